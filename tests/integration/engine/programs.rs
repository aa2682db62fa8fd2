//! Programs as steps of sagas, on a whole engine. Must not live here: what each exit code means (the activity's own tests).

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use amends::model::StepKind;
use amends::testing::VirtualClock;
use amends::{Amends, Failure, ResultError, RetryPolicy, WorkflowContext};
use serde_json::{Value, json};

use crate::support::{Home, run, saga, workflow};

const SECOND: Duration = Duration::from_secs(1);

async fn program(cx: &WorkflowContext, script: &str, stdin: &Value) -> Result<Value, Failure> {
    let request = json!({"command": ["sh", "-c", script], "stdin": stdin, "success_codes": [0]});
    let step = cx
        .saga()
        .step_by_name::<_, Value>(StepKind::Compensatable, "amends.exec", &request);
    let step = step.compensate_by_name("amends.exec").retry(RetryPolicy::never());
    step.start_to_close(SECOND * 10).await
}

#[test]
fn a_program_gets_json_and_gives_json() {
    run(async {
        let home = Home::memory();
        let amends = home
            .builder()
            .workflow_definition(workflow(
                "w",
                |cx, input| async move { program(&cx, "cat", &input).await },
            ))
            .start()
            .await
            .unwrap();
        let run = amends
            .workflow_by_name("w")
            .start(&json!({"order": [1, 2]}))
            .await
            .unwrap();
        assert_eq!(run.result().await.unwrap(), json!({"order": [1, 2]}));
        // A placeholder in a run's data is not one of a definition: nothing is put in its place.
        let forged = json!("{{amends:secret:PATH}}");
        let run = amends.workflow_by_name("w").start(&forged).await.unwrap();
        assert_eq!(run.result().await.unwrap(), forged);
        amends.shutdown(SECOND).await;
    });
}

const WITH_SECRET: &str = r#"
name = "with_secret"
secrets = ["TOKEN"]
[[step]]
name = "call"
exec = { command = ["sh", "-c", "test $(printf %s $TOKEN | wc -c) -eq 9 && cat"], env = { TOKEN = "${ secret.TOKEN }" } }
compensation = "none"
"#;

/// Whether a file below the directory holds the text.
fn is_stored(directory: &Path, text: &str) -> bool {
    std::fs::read_dir(directory).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => is_stored(&path, text),
            false => std::fs::read(&path)
                .unwrap()
                .windows(text.len())
                .any(|found| found == text.as_bytes()),
        }
    })
}

#[test]
fn a_definition_s_secret_reaches_its_program_and_no_disk() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let amends = Amends::builder()
            .sled(directory.path())
            .saga(saga(WITH_SECRET))
            .secrets(|name: &str| (name == "TOKEN").then(|| "hush-hush".to_owned()))
            .start()
            .await
            .unwrap();
        let run = amends
            .workflow_by_name("with_secret")
            .start(&json!({"order": 1}))
            .await
            .unwrap();
        assert_eq!(run.result().await.unwrap(), json!({"call": {"order": 1}}));
        amends.shutdown(SECOND).await;
        assert!(is_stored(directory.path(), "{{amends:secret:TOKEN}}"));
        assert!(!is_stored(directory.path(), "hush-hush"));
    });
}

/// The number of the process group, once the script has written it.
async fn group_in(file: &Path) -> String {
    loop {
        match std::fs::read_to_string(file) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            _ => tokio::task::yield_now().await,
        }
    }
}

async fn until_gone(group: &str) {
    let probe = format!("kill -0 -{group} 2> /dev/null");
    while Command::new("sh").args(["-c", &probe]).status().unwrap().success() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_program_whose_time_is_up_is_ended_with_all_that_it_started() {
    run(async {
        let (home, clock, directory) = (Home::memory(), VirtualClock::new(), tempfile::tempdir().unwrap());
        let file = directory.path().join("group");
        let name = file.display();
        let script = format!("trap '' TERM; (sleep 1000; true) & echo $$ > {name}.tmp; mv {name}.tmp {name}; wait");
        let amends = home
            .builder()
            .clock(Arc::new(clock.clone()))
            .passivate_after(SECOND * 3_600)
            .workflow_definition(workflow("w", move |cx, input| {
                let script = script.clone();
                async move { program(&cx, &script, &input).await }
            }))
            .start()
            .await
            .unwrap();
        let run = amends.workflow_by_name("w").id("w").start(&json!(0)).await.unwrap();
        let group = group_in(&file).await;
        clock.pass(SECOND * 10).await;
        clock.pass(SECOND * 2).await;
        until_gone(&group).await;
        run.terminate("its compensation is no program").await.unwrap();
        assert!(matches!(run.result().await, Err(ResultError::Terminated { .. })));
        amends.shutdown(SECOND).await;
    });
}
