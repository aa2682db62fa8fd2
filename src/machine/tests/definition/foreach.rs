//! Steps for each element of a list.

use serde_json::{Value, json};

use super::Story;
use crate::machine::tests::scenario::{busy, declined};

const PACK: &str = r#"
[[step]]
name = "order"
activity = "order"
compensation = { activity = "cancel" }
[[step]]
name = "pack"
foreach = { items = "${ input.lines }", concurrency = 2 }
activity = "pack"
input = { sku = "${ item.sku }", box = "${ run.workflow_id }-${ index }" }
compensation = { activity = "unpack", input = { sku = "${ item.sku }", box = "${ undo.input.box }", n = "${ index }" } }
[[step]]
name = "ship"
activity = "ship"
input = "${ steps.pack.output }"
compensation = { activity = "recall" }
"#;

fn lines(skus: &[&str]) -> Value {
    let lines: Vec<Value> = skus.iter().map(|sku| json!({"sku": sku})).collect();
    json!({"lines": lines})
}

#[test]
fn elements_are_worked_on_a_few_at_once_and_their_outputs_are_a_list_in_order() {
    let mut story = Story::start(PACK, &lines(&["a", "b", "c"]));
    story
        .completes("order", &json!(1))
        .expect_running("pack[0]#1 pack[1]#1");
    assert_eq!(story.input_of("pack[1]"), json!({"sku": "b", "box": "order-42-1"}));
    story
        .completes("pack[1]", &json!("B"))
        .expect_running("pack[0]#1 pack[2]#1");
    story.completes("pack[2]", &json!("C")).expect_running("pack[0]#1");
    story.completes("pack[0]", &json!("A")).expect_running("ship#1");
    assert_eq!(story.input_of("ship"), json!(["A", "B", "C"]));
    story.completes("ship", &json!("gone"));
    story.expect_result(&json!({"order": 1, "pack": ["A", "B", "C"], "ship": "gone"}));
}

#[test]
fn a_crash_at_any_point_changes_nothing_but_attempts() {
    let mut story = Story::start(PACK, &lines(&["a", "b", "c"]));
    story.crash().at(1).completes("order", &json!(1));
    story.crash().at(3).completes("pack[0]", &json!("A"));
    story.crash().at(9).completes("pack[1]", &json!("B"));
    story.crash().at(30).completes("pack[2]", &json!("C"));
    story
        .crash()
        .at(60)
        .expect_running("ship#2")
        .completes("ship", &json!(0));
    story.expect_result(&json!({"order": 1, "pack": ["A", "B", "C"], "ship": 0}));
}

#[test]
fn one_element_that_fails_has_the_others_undone_before_what_they_were_made_for() {
    let mut story = Story::start(PACK, &lines(&["a", "b", "c", "d"]));
    story.completes("order", &json!(1)).completes("pack[0]", &json!("A"));
    story
        .completes("pack[1]", &json!("B"))
        .expect_running("pack[2]#1 pack[3]#1");
    story.fails("pack[2]", declined());
    // The one that is still running is waited for; nothing it depends on is touched before.
    story.expect_running("pack[3]#1 pack[1]/undo#1 pack[0]/undo#1");
    assert_eq!(
        story.input_of("pack[1]/undo"),
        json!({"sku": "b", "box": "order-42-1", "n": 1})
    );
    story.crash().at(5);
    story
        .completes("pack[0]/undo", &json!(null))
        .completes("pack[1]/undo", &json!(null));
    story.expect_running("pack[3]/undo#1");
    story
        .completes("pack[3]/undo", &json!(null))
        .expect_running("order/undo#1");
    story.completes("order/undo", &json!(null)).expect_amended("Declined");
}

#[test]
fn a_later_failure_undoes_the_whole_list_after_what_was_built_on_it() {
    let mut story = Story::start(PACK, &lines(&["a", "b"]));
    story
        .completes("order", &json!(1))
        .completes("pack[0]", &json!("A"))
        .completes("pack[1]", &json!("B"));
    story.fails("ship", crate::model::Failure::non_retryable("Lost", ""));
    story.expect_running("ship/undo#1");
    story
        .completes("ship/undo", &json!(null))
        .expect_running("pack[1]/undo#1 pack[0]/undo#1");
    story
        .completes("pack[0]/undo", &json!(null))
        .expect_running("pack[1]/undo#1");
    story
        .completes("pack[1]/undo", &json!(null))
        .expect_running("order/undo#1");
}

#[test]
fn an_empty_list_is_nothing_to_do_and_nothing_to_undo() {
    let mut story = Story::start(PACK, &lines(&[]));
    story.completes("order", &json!(1)).expect_running("ship#1");
    assert_eq!(story.input_of("ship"), json!([]));
    story.fails("ship", declined()).expect_running("order/undo#1");
    // Not wanted at all is something else.
    let text = PACK.replace(
        "name = \"pack\"",
        "name = \"pack\"\nwhen = \"${ size(input.lines) > 1 }\"",
    );
    let mut story = Story::start(&text, &lines(&["a"]));
    story.completes("order", &json!(1)).expect_running("ship#1");
    assert_eq!(story.input_of("ship"), json!(null));
}

#[test]
fn a_list_that_is_too_long_or_none_fails_the_saga_before_it_begins() {
    let many: Vec<&str> = vec!["x"; 998];
    let mut story = Story::start(PACK, &lines(&many));
    story
        .completes("order", &json!(1))
        .expect_running("order/undo#1")
        .completes("order/undo", &json!(null));
    story.expect_amended("the list of step `pack` has 998 elements");
    let mut story = Story::start(PACK, &json!({"lines": "a"}));
    story
        .completes("order", &json!(1))
        .completes("order/undo", &json!(null));
    story.expect_amended("step `pack`, foreach.items: the result is a text, not a list");
}

#[test]
fn an_element_is_retried_as_any_step_is() {
    let mut story = Story::start(PACK, &lines(&["a"]));
    story
        .completes("order", &json!(1))
        .fails("pack[0]", busy())
        .expect_running("")
        .expect_wake("1s");
    story.at(1).crash().at(4).expect_running("pack[0]#3");
}

#[test]
fn a_long_list_is_worked_through_to_its_end() {
    let many: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    let skus: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut story = Story::start(PACK, &lines(&skus));
    story.completes("order", &json!(1));
    for n in 0..300 {
        story.completes(&format!("pack[{n}]"), &json!(n));
    }
    let all: Vec<u32> = (0..300).collect();
    assert_eq!(story.input_of("ship"), json!(all));
}
