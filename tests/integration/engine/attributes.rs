//! Search attributes and memo of runs: set at the start, changed by code and by definitions, typed, kept over restarts.
//! Must not live here: finding runs by them (`queries`).

use std::time::Duration;

use amends::model::SearchAttributes;
use amends::testing::VirtualClock;
use amends::{Amends, Error, Failure, Payload, SearchAttributeType, SearchAttributeValue, WorkflowDefinition};
use serde_json::{Value, json};

use crate::support::{Home, run, saga, workflow};

fn named<const N: usize>(attributes: [(&str, SearchAttributeValue); N]) -> SearchAttributes {
    attributes.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Says how far it is, and waits for a signal before it ends.
fn order() -> WorkflowDefinition {
    workflow("order", |cx, input| async move {
        cx.upsert_search_attributes([("Stage", "packed")])?;
        cx.upsert_memo("note", &json!({"parcels": 2}))?;
        let go: Value = cx.signal("go").recv().await?;
        cx.upsert_search_attributes([("Stage", SearchAttributeValue::from("sent")), ("Parcels", 2.into())])?;
        cx.remove_memo(["title"])?;
        Ok(json!([input, go]))
    })
}

#[test]
fn what_the_start_says_and_the_code_changes_is_kept() {
    for home in Home::each() {
        run(async {
            let amends = home.builder().workflow_definition(order()).start().await.unwrap();
            let starter = amends.workflow_by_name("order").id("o");
            let starter = starter.search_attribute("Customer", "ada").unwrap();
            let starter = starter.memo("title", "Order 1").unwrap();
            starter.start(&json!(1)).await.unwrap();
            amends.shutdown(Duration::from_secs(5)).await;
        });
        run(async {
            let amends = home.builder().workflow_definition(order()).start().await.unwrap();
            let seen = amends.client().describe("o").await.unwrap();
            assert_eq!(
                seen.search_attributes,
                named([("Customer", "ada".into()), ("Stage", "packed".into())])
            );
            assert_eq!(seen.memo["title"], Payload::json("Order 1").unwrap());
            assert_eq!(seen.memo["note"].to::<Value>().unwrap(), json!({"parcels": 2}));
            amends.client().signal("o", "go", &1).await.unwrap();
            let run = amends.workflow_by_name("order").id("o");
            drop(run);
            let mut seen = amends.client().describe("o").await.unwrap();
            while seen.outcome.is_none() {
                tokio::task::yield_now().await;
                seen = amends.client().describe("o").await.unwrap();
            }
            let expected = named([
                ("Customer", "ada".into()),
                ("Stage", "sent".into()),
                ("Parcels", 2.into()),
            ]);
            assert_eq!(seen.search_attributes, expected);
            assert_eq!(seen.memo.keys().collect::<Vec<_>>(), ["note"]);
            let heads = amends.client().list("").await.unwrap();
            assert_eq!(heads[0].search_attributes(), Some(&expected));
            amends.shutdown(Duration::from_secs(5)).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_registered_type_counts_wherever_an_attribute_comes_from() {
    const SAGA: &str = "name = \"ship\"\n[search_attributes]\nAmount = \"${ input.amount }\"\n[[step]]\nname = \"wait\"\ntimer = { after = \"1s\" }\n";
    run(async {
        let code = workflow("order", |cx, input| async move {
            cx.upsert_search_attributes([("Amount", 7)])?;
            let wrong = cx.upsert_search_attributes([("Amount", "seven")]);
            assert_eq!(
                wrong.map_err(|failure: Failure| failure.is_type("InvalidSearchAttribute")),
                Err(true)
            );
            Ok(input)
        });
        let clock = VirtualClock::new();
        let builder = Amends::builder()
            .memory()
            .clock(std::sync::Arc::new(clock.clone()))
            .workflow_definition(code);
        let builder = builder.search_attribute("Amount", SearchAttributeType::Double);
        let saga = saga(SAGA);
        let amends = builder.saga(saga).start().await.unwrap();
        let amount = |id: &'static str| {
            let client = amends.client();
            async move { client.describe(id).await.unwrap().search_attributes["Amount"].clone() }
        };
        let by_code = amends
            .workflow_by_name("order")
            .id("code")
            .start(&json!(1))
            .await
            .unwrap();
        by_code.result().await.unwrap();
        assert_eq!(amount("code").await, SearchAttributeValue::Double(7.0));
        let ship = |amount: Value| {
            amends
                .workflow_by_name("ship")
                .id("saga")
                .start_payload(Payload::json(&json!({"amount": amount})).unwrap())
        };
        let refused = ship(json!("lots")).await.err().unwrap();
        assert_eq!(
            refused.to_string(),
            "search attribute \"Amount\" is of type Double; \"lots\" is of type Keyword"
        );
        assert_eq!(refused.code().to_string(), "E0018");
        ship(json!(3)).await.unwrap();
        assert_eq!(amount("saga").await, SearchAttributeValue::Double(3.0));
        let starter = amends.workflow_by_name("order").id("start");
        assert!(matches!(
            starter.search_attribute("Amount", true),
            Err(Error::SearchAttribute(_))
        ));
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn search_attributes_and_memos_have_their_limits() {
    run(async {
        let amends = Amends::builder().memory().start().await.unwrap();
        let starter = || amends.workflow_by_name("order");
        let refused = |result: Result<_, Error>| matches!(result.map(drop), Err(Error::SearchAttribute(_)));
        assert!(refused(starter().search_attribute("", 1)));
        assert!(refused(starter().search_attribute("StartTime", 1)));
        assert!(refused(starter().search_attribute("a", "x".repeat(2_049))));
        let mut many = starter();
        for number in 0..100 {
            many = many.search_attribute(&format!("a{number}"), number).unwrap();
        }
        let many = many.search_attribute("a7", true).unwrap();
        assert!(refused(many.search_attribute("one-more", 1)));
        assert!(refused(starter().memo("m", &"x".repeat(256 * 1024))));
        amends.shutdown(Duration::ZERO).await;
        let twice = Amends::builder()
            .memory()
            .search_attribute("a", SearchAttributeType::Int);
        let twice = twice.search_attribute("a", SearchAttributeType::Bool).start().await;
        let error = twice.err().unwrap().to_string();
        assert!(error.contains("\"a\" is registered as Int and as Bool"), "{error}");
    });
}
