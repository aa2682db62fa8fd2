//! Search attributes and memo under code: the same on replay, after a crash in any place.

use std::time::Duration;

use crate::model::{EventAttributes, Failure, Outcome, ParkReason, Payload, SearchAttributeType, SearchAttributeValue};
use crate::sdk::{Registry, WorkflowContext, WorkflowDefinition};

use super::double;
use super::world::World;

async fn order(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    cx.upsert_search_attributes([("Stage", "new")])?;
    let doubled = cx.activity(double, &n).await?;
    cx.upsert_search_attributes([
        ("Doubled", SearchAttributeValue::from(doubled)),
        ("Stage", "done".into()),
    ])?;
    cx.upsert_memo("note", &format!("{n} became {doubled}"))?;
    cx.sleep(Duration::from_secs(1)).await?;
    // What the code sees decides what it does: it has to be the same on replay.
    let Some(SearchAttributeValue::Int(seen)) = cx.search_attributes().remove("Doubled") else {
        return Err(Failure::new("Lost", "the attribute is not there"));
    };
    cx.remove_search_attributes(["Stage"])?;
    u32::try_from(seen).map_err(|_| Failure::new("Lost", "not what it was"))
}

#[test]
fn changes_are_the_same_with_and_without_crashes() {
    let mut histories = Vec::new();
    for crashing in [false, true] {
        let mut world = World::new(order, crashing).begun();
        for _ in 0..100 {
            match world.state.outcome() {
                Some(_) => break,
                None => world.step(),
            }
        }
        let expected = Outcome::Completed(Payload::json(&10).unwrap());
        assert_eq!(world.state.outcome(), Some(&expected), "{:?}", world.state.parked());
        let attributes = world.state.search_attributes();
        assert_eq!(
            attributes.iter().collect::<Vec<_>>(),
            [(&"Doubled".to_owned(), &10.into())]
        );
        assert_eq!(world.state.memo()["note"], Payload::json("1 became 10").unwrap());
        histories.push(world.history());
    }
    assert_eq!(histories[0], histories[1]);
}

#[test]
fn a_change_that_the_code_does_not_make_any_more_is_a_difference_and_another_value_is_none() {
    async fn other_values(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        cx.upsert_search_attributes([("Stage", "fresh")])?;
        let doubled = cx.activity(double, &n).await?;
        cx.upsert_search_attributes([("Doubled", SearchAttributeValue::from(0))])?;
        cx.upsert_memo("note", &"something else")?;
        cx.sleep(Duration::from_secs(1)).await?;
        // What is recorded counts.
        let recorded = cx.search_attributes().remove("Doubled") == Some(doubled.into());
        cx.remove_search_attributes(["Stage"])?;
        if recorded {
            Ok(doubled)
        } else {
            Err(Failure::new("Wrong", "not what was recorded"))
        }
    }
    async fn fewer(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        cx.upsert_search_attributes([("Stage", "new")])?;
        let doubled = cx.activity(double, &n).await?;
        cx.upsert_memo("note", &"a note")?;
        Ok(doubled)
    }
    let mut world = World::new(order, false).begun();
    while world.state.outcome().is_none() {
        world.step();
    }
    let replays = |definition: WorkflowDefinition| {
        let mut registry = Registry::new();
        registry.add_workflow(definition).unwrap();
        let mut history = world.history();
        let Some(first) = history.first_mut() else {
            panic!("no history")
        };
        let EventAttributes::WorkflowExecutionStarted(started) = &mut first.attributes else {
            panic!("no beginning")
        };
        std::sync::Arc::make_mut(started).workflow_type = registry.workflows().next().unwrap().workflow_type().clone();
        crate::replay::replay_history(&registry, &history)
    };
    replays(WorkflowDefinition::of(other_values).unwrap()).unwrap();
    let Err(ParkReason::Nondeterminism { expected, recorded, .. }) = replays(WorkflowDefinition::of(fewer).unwrap())
    else {
        panic!("the difference was not seen");
    };
    assert_eq!(expected, "ModifyWorkflowProperties");
    assert_eq!(recorded, "UpsertWorkflowSearchAttributes");
}

#[test]
fn a_wrong_type_is_a_failure_of_the_call() {
    async fn wrong(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let refused = cx.upsert_search_attributes([("Amount", "many")]).unwrap_err();
        assert!(refused.is_type("InvalidSearchAttribute"));
        assert!(refused.message.contains("of type Double"), "{refused}");
        let built_in = cx.upsert_search_attributes([("RunId", "x")]).unwrap_err();
        assert!(built_in.message.contains("every run has"), "{built_in}");
        for refused in [
            cx.upsert_search_attributes([("TemporalChangeVersion", ["mine"])]),
            cx.remove_search_attributes(["TemporalChangeVersion"]),
        ] {
            let refused = refused.unwrap_err();
            assert!(refused.message.contains("is amends' own"), "{refused}");
        }
        cx.upsert_search_attributes([("Amount", n)])?;
        Ok(n)
    }
    let world = World::new(wrong, false)
        .registering("Amount", SearchAttributeType::Double)
        .begun();
    let expected = Outcome::Completed(Payload::json(&1).unwrap());
    assert_eq!(world.state.outcome(), Some(&expected), "{:?}", world.state.parked());
    assert_eq!(
        world.state.search_attributes()["Amount"],
        SearchAttributeValue::Double(1.0)
    );
}
