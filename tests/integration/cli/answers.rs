//! Answers for activities that somebody else completes, given on the command line while no engine runs. Must not live
//! here: answers through a running engine.

use std::time::Duration;

use amends::Amends;
use serde_json::{Value, json};

use super::Cli;
use crate::support::{Recorder, activity, run, workflow};

/// An engine on the data directory of the command line, with a workflow that asks twice.
async fn engine(cli: &Cli, asked: &Recorder) -> Amends {
    let asked = asked.clone();
    let ask = activity("ask", move |cx, _| {
        asked.note(cx.task_token().to_string());
        async move { Err(cx.complete_later()) }
    });
    let builder = Amends::builder().sled(cli.path("amends-data")).activity_definition(ask);
    let builder = builder.workflow_definition(workflow("w", |cx, _| async move {
        let first = cx.activity_by_name::<Value>("ask", &()).id("first").await?;
        let second = cx.activity_by_name::<Value>("ask", &()).id("second").await;
        Ok(json!([first, second.map_err(|failure| failure.to_string())]))
    }));
    builder.start().await.unwrap()
}

async fn until_handed_over(amends: &Amends, times: usize, asked: &Recorder) {
    asked.until_len(times).await;
    loop {
        let description = amends.client().describe("w").await.unwrap();
        if description.pending.first().is_some_and(|pending| pending.handed_over) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn an_activity_is_completed_by_token_and_failed_by_id() {
    run(async {
        let (cli, asked) = (Cli::new(), Recorder::new());
        let amends = engine(&cli, &asked).await;
        let started = amends.workflow_by_name("w").id("w").start(&json!(0)).await.unwrap();
        until_handed_over(&amends, 1, &asked).await;
        drop(started);
        amends.shutdown(Duration::ZERO).await;

        cli.run(&["show", "w"])
            .exits(0)
            .says("is to be completed by somebody else");
        let shown = cli.run(&["show", "w", "--json"]).exits(0).objects().remove(0);
        assert_eq!(shown["pending"][0]["handed_over"], json!(true));
        let token = asked.all().remove(0);
        cli.run(&["complete", "mistyped", "1"])
            .exits(4)
            .says("error[E0030]")
            .says("amends complete mistyped --of WORKFLOW");
        cli.run(&["complete", &token, "{"]).exits(2).says("is not JSON");
        cli.run(&["complete", &token, r#"{"approved": true}"#])
            .exits(0)
            .says("result for an activity of w is recorded");
        cli.run(&["complete", "first", "2", "--of", "w"])
            .exits(4)
            .says("error[E0031]");

        let amends = engine(&cli, &asked).await;
        until_handed_over(&amends, 2, &asked).await;
        amends.shutdown(Duration::ZERO).await;
        let fail = [
            "fail",
            "second",
            "--of",
            "w",
            "--type",
            "Declined",
            "--message",
            "no",
            "--final",
        ];
        cli.run(&fail).exits(0).says("failure for an activity of w is recorded");

        let amends = engine(&cli, &asked).await;
        let run = amends.find("w").await.unwrap();
        let failed = "activity ask failed: Declined: no";
        assert_eq!(
            run.result().await.unwrap(),
            json!([{"approved": true}, {"Err": failed}])
        );
        amends.shutdown(Duration::ZERO).await;
    });
}
