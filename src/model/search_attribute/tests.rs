//! What values may be, and what becomes of them.

use super::*;
use SearchAttributeType as T;
use SearchAttributeValue as V;

#[test]
fn a_registered_type_takes_what_loses_nothing_and_refuses_the_rest() {
    let mut types = SearchAttributeTypes::default();
    for kind in T::ALL {
        types.register(kind.as_str(), kind).unwrap();
    }
    let typed = |kind: T, value: V| types.typed(kind.as_str(), value);
    assert_eq!(typed(T::Double, V::from(3)), Ok(V::Double(3.0)));
    assert_eq!(
        typed(T::Text, V::from("some words")),
        Ok(V::Text("some words".to_owned()))
    );
    assert_eq!(typed(T::KeywordList, V::from("one")), Ok(V::from(["one"])));
    let noon = Timestamp::from_micros(1_769_860_800_000_000);
    assert_eq!(typed(T::Datetime, V::from("2026-01-31T12:00:00Z")), Ok(V::from(noon)));
    let refused = typed(T::Int, V::from("many")).unwrap_err().to_string();
    assert_eq!(
        refused,
        "search attribute \"Int\" is of type Int; \"many\" is of type Keyword"
    );
    for (kind, value) in [
        (T::Datetime, V::from("tomorrow")),
        (T::Int, V::from(1.5)),
        (T::Double, V::from(i64::MAX)),
        (T::Bool, V::from(1)),
        (T::Keyword, V::from(true)),
    ] {
        assert!(typed(kind, value.clone()).is_err(), "{kind} took {value}");
    }
    assert_eq!(types.typed("unknown", V::from(1.5)), Ok(V::from(1.5)));
}

#[test]
fn names_of_what_every_run_has_and_second_types_are_refused() {
    let mut types = SearchAttributeTypes::default();
    types.register("Stage", T::Keyword).unwrap();
    types.register("Stage", T::Keyword).unwrap();
    let second = types.register("Stage", T::Int).unwrap_err();
    assert!(second.to_string().contains("as Keyword and as Int"), "{second}");
    assert!(matches!(
        types.register("StartTime", T::Int),
        Err(SearchAttributeError::BuiltIn(_))
    ));
    assert!(check_search_attribute("workflowid", &V::from(1)).is_err());
    assert!(check_search_attribute("a\nb", &V::from(1)).is_err());
}

#[test]
fn the_list_of_changes_is_nobodys_to_give_but_is_read() {
    let types = SearchAttributeTypes::default();
    let list = SearchAttributes::from([(CHANGE_VERSION.to_owned(), V::from(["mine"]))]);
    assert_eq!(
        types.typed(CHANGE_VERSION, V::from("mine")),
        Err(SearchAttributeError::ChangeList)
    );
    let refused = types.checked(list.clone()).unwrap_err().to_string();
    assert!(
        refused.contains("\"TemporalChangeVersion\" is amends' own") && refused.ends_with("give yours another name"),
        "{refused}"
    );
    assert_eq!(check_search_attributes(&list), Ok(()), "as in histories of Temporal's");
}

#[test]
fn there_is_a_limit_to_numbers_sizes_and_counts() {
    let one = |value: V| SearchAttributes::from([("a".to_owned(), value)]);
    assert!(check_search_attributes(&one(V::from(f64::NAN))).is_err());
    let fits = limits::SEARCH_ATTRIBUTES_BYTES_MAX - 12;
    assert_eq!(check_search_attributes(&one(V::from("x".repeat(fits)))), Ok(()));
    let over = check_search_attributes(&one(V::from("x".repeat(fits + 1))));
    assert!(matches!(over, Err(SearchAttributeError::TooLarge { .. })));
    let many = |count: usize| (0..count).map(|number| (number.to_string(), V::from(true))).collect();
    assert_eq!(check_search_attributes(&many(limits::SEARCH_ATTRIBUTES_MAX)), Ok(()));
    let over = check_search_attributes(&many(limits::SEARCH_ATTRIBUTES_MAX + 1));
    assert_eq!(over, Err(SearchAttributeError::TooMany));
}

#[test]
fn json_has_the_types_that_it_can_tell_apart() {
    let read = |json: &str| V::from_json(&serde_json::from_str(json).unwrap());
    assert_eq!(read("\"a\""), Some(V::from("a")));
    assert_eq!(read("7"), Some(V::from(7)));
    assert_eq!(read("7.5"), Some(V::from(7.5)));
    assert_eq!(read("[\"a\",\"b\"]"), Some(V::from(["a", "b"])));
    assert_eq!((read("null"), read("{}"), read("[1]")), (None, None, None));
    assert_eq!(V::from(Timestamp::EPOCH).to_json(), "1970-01-01T00:00:00.000000Z");
}

#[test]
fn changes_set_and_take_away() {
    let mut attributes = SearchAttributes::from([("a".to_owned(), V::from(1)), ("b".to_owned(), V::from(2))]);
    let changes = [("a".to_owned(), None), ("c".to_owned(), Some(V::from(3)))].into();
    merge(&mut attributes, &changes);
    assert_eq!(
        attributes,
        [("b".to_owned(), V::from(2)), ("c".to_owned(), V::from(3))].into()
    );
}

#[test]
fn a_memo_is_counted_with_the_metadata_of_its_payloads() {
    let memo = |bytes: usize| {
        let value = Payload::json("x").unwrap().with_metadata("note", vec![0; bytes]);
        Memo::from([("a".to_owned(), value)])
    };
    // The name, the value as JSON, and the key.
    let fits = limits::MEMO_BYTES_MAX - 1 - 3 - 4;
    assert_eq!(check_memo(&memo(fits)), Ok(()));
    let over = check_memo(&memo(fits + 1));
    assert!(matches!(over, Err(SearchAttributeError::Memo { .. })), "{over:?}");
}
