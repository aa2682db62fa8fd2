//! Children of steps whose ids somebody else has taken by the time that their parents ask. Must not live here: what becomes of
//! children whose ids are theirs (`children`).

use std::time::Duration;

use amends::model::Outcome;
use amends::{Amends, IdReusePolicy, RunHandle, RunStatus};
use serde_json::{Value, json};

use super::children::{simple_child, start, with_all, with_steps};
use crate::support::{Home, Recorder, run, until_status};

const SECOND: Duration = Duration::from_secs(1);

/// Somebody takes the child's id, which is free when the child has ended.
async fn takes_the_id(amends: &Amends) -> RunHandle<Value> {
    let other = amends.workflow_by_name("child").id("p/child");
    let other = other.id_reuse_policy(IdReusePolicy::AllowDuplicate);
    other.start(&json!("waits")).await.unwrap()
}

async fn is_left_alone(other: RunHandle<Value>, recorder: &Recorder) {
    let undone = recorder.count("undo c1");
    other.signal("go", &json!(1)).await.unwrap();
    other.result().await.unwrap();
    assert_eq!(recorder.count("undo c1"), undone);
}

#[test]
fn a_child_is_undone_although_somebody_else_has_its_id_by_now() {
    run(async {
        let (home, recorder) = (Home::memory(), Recorder::new());
        let amends = with_all(home.builder(), &recorder).start().await.unwrap();
        let parent = start(&amends, json!({"input": 1, "then": "fails", "holds": true})).await;
        recorder.until("do last", 1).await;
        let other = takes_the_id(&amends).await;
        recorder.until("do c1", 2).await;
        parent.signal("go", &json!(1)).await.unwrap();
        assert!(matches!(parent.outcome().await, Ok(Outcome::Amended(_))));
        let mut undone = recorder.all();
        undone.retain(|note| note.starts_with("undo"));
        assert_eq!(undone, ["undo last", "undo c2", "undo c1", "undo first"]);
        is_left_alone(other, &recorder).await;
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_parent_hears_of_its_child_although_somebody_else_has_its_id_by_now() {
    let (home, recorder) = (Home::sled(), Recorder::new());
    run(async {
        let amends = with_all(home.builder(), &recorder).start().await.unwrap();
        start(&amends, json!({"input": "waits"})).await;
        recorder.until("do c1", 1).await;
        amends.shutdown(SECOND).await;
    });
    run(async {
        // Here is nobody who could go on with the parent.
        let builder = with_steps(home.builder(), &recorder).workflow_definition(simple_child());
        let amends = builder.start().await.unwrap();
        amends.client().signal("p/child", "go", &json!(1)).await.unwrap();
        until_status(&amends, "p/child", RunStatus::Completed).await;
        takes_the_id(&amends).await;
        recorder.until("do c1", 2).await;
        amends.shutdown(SECOND).await;
    });
    run(async {
        let amends = with_all(home.builder(), &recorder).start().await.unwrap();
        let result = amends.find("p").await.unwrap().outcome().await.unwrap();
        let expected = json!("result of \"waits\"");
        assert!(
            matches!(&result, Outcome::Completed(result) if result.to::<Value>().unwrap() == expected),
            "{result:?}"
        );
        let other = amends.find("p/child").await.unwrap();
        is_left_alone(other, &recorder).await;
        amends.shutdown(SECOND).await;
    });
    home.assert_sound();
}
