//! Runs that end before their handlers have finished, on a whole engine: the log names them, once. Must not live here: which
//! handlers those are (`replay` tests that).

use std::time::Duration;

use amends::{
    Failure, HandlerUnfinishedPolicy, ResultError, UpdateError, UpdateHandle, UpdateOptions, WorkflowContext,
    workflow as flow,
};

use crate::support::{Home, listen_to_warnings, run, warnings_about};

/// Ends when it is told to, whatever its handlers are about.
#[flow]
async fn leaver(cx: WorkflowContext, _: ()) -> Result<u32, Failure> {
    let own = cx.clone();
    cx.on_update("wait", async move |(): ()| own.wait_condition(|| false).await)?;
    let own = cx.clone();
    cx.on_signal("wait", async move |(): ()| drop(own.wait_condition(|| false).await))?;
    let own = cx.clone();
    let quiet = cx.on_update("wait quietly", async move |(): ()| own.wait_condition(|| false).await)?;
    quiet.unfinished(HandlerUnfinishedPolicy::Abandon);
    cx.on_query("is it there", |(): ()| true)?;
    match cx.signal::<bool>("end").recv().await? {
        true => Ok(7),
        false => cx.continue_as_new(leaver, &()).await,
    }
}

fn named(update_id: &str) -> UpdateOptions {
    UpdateOptions {
        update_id: Some(update_id.to_owned()),
    }
}

#[test]
fn the_log_names_what_a_run_left_once_and_its_callers_hear_of_it() {
    listen_to_warnings();
    for (home, id) in Home::each().into_iter().zip(["unfinished-1", "unfinished-2"]) {
        run(async {
            let amends = home.builder().workflow(leaver).start().await.unwrap();
            let left = amends.workflow(leaver).id(id).start(&()).await.unwrap();
            let quiet: UpdateHandle<()> = left.start_update("wait quietly", &(), named("q")).await.unwrap();
            left.signal("end", &false).await.unwrap();
            left.run_outcome().await.unwrap();
            assert_eq!(warnings_about(id), Vec::<String>::new(), "nobody minds");
            let update: UpdateHandle<()> = left.start_update("wait", &(), named("u")).await.unwrap();
            left.signal("wait", &()).await.unwrap();
            left.signal("end", &true).await.unwrap();
            assert_eq!(left.result().await.unwrap(), 7);
            for abandoned in [update.result().await, quiet.result().await] {
                assert!(matches!(abandoned, Err(UpdateError::Failed(failure)) if failure.is_type("UpdateAbandoned")));
            }
            let [warning] = &warnings_about(id)[..] else {
                panic!("{:?}", warnings_about(id));
            };
            let run_id = left.newest_run_id().await.unwrap();
            for said in [
                r#"handlers=update "wait" (id u), signal "wait" "#,
                "count=2",
                "all_handlers_finished",
                &format!("run_id={run_id}"),
            ] {
                assert!(warning.contains(said), "{said}: {warning}");
            }
            // Asking it has its code replayed.
            assert!(left.query::<_, bool>("is it there", &()).await.unwrap());
            amends.shutdown(Duration::ZERO).await;

            let amends = home.builder().workflow(leaver).start().await.unwrap();
            let left = amends.find(id).await.unwrap();
            assert!(left.query::<_, bool>("is it there", &()).await.unwrap());
            assert_eq!(warnings_about(id).len(), 1);
            // A run that somebody else ends is not to blame.
            let ended = amends
                .workflow(leaver)
                .id(format!("{id}-ended"))
                .start(&())
                .await
                .unwrap();
            ended.signal("wait", &()).await.unwrap();
            ended.terminate("enough").await.unwrap();
            assert!(matches!(ended.result().await, Err(ResultError::Terminated { .. })));
            assert_eq!(warnings_about(&format!("{id}-ended")).len(), 0);
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}
