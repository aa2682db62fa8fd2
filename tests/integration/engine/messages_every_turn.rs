//! Messages, changes of the code and local activities in one run, with every turn replayed at once. Must not live here: each
//! by itself (`messages`, `local_activities`, `isolation`).

use std::time::Duration;

use amends::{ActivityContext, Amends, Error, Failure, UpdateError, WorkflowContext, activity, workflow as flow};

use crate::support::{Home, run};

#[activity]
async fn price(_cx: ActivityContext, article: String) -> Result<u32, Failure> {
    Ok(u32::try_from(article.len()).unwrap_or(u32::MAX))
}

/// A basket that is priced beside the code, by a rule that has changed.
#[flow]
async fn basket(cx: WorkflowContext, limit: u32) -> Result<u32, Failure> {
    let total = cx.state(0_u32);
    let (own, sum) = (cx.clone(), total.clone());
    cx.on_signal("add", async move |article: String| {
        let priced = own.local_activity(price, &article).await.unwrap_or(0);
        let priced = match own.patched("twofold prices") {
            true => 2 * priced,
            false => priced,
        };
        sum.change(|total| *total += priced);
    })?;
    let (own, sum) = (cx.clone(), total.clone());
    cx.on_update("reach", async move |wanted: u32| {
        let looked_at = sum.clone();
        own.wait_condition(move || looked_at.get() >= wanted).await?;
        Ok::<_, Failure>((sum.get(), own.version("reaching", 1, 2)))
    })?;
    let own = cx.clone();
    cx.on_validated_update(
        "curious",
        move |(): &()| match own.version("reaching", 1, 2) {
            2 => Ok(()),
            _ => Err(Failure::new("TooOld", "")),
        },
        async |(): ()| Ok(()),
    )?;
    let own = cx.clone();
    cx.on_query("is_patched", move |(): ()| own.patched("twofold prices"))?;
    total.on_query("total", |total, ()| *total)?;
    total.wait_until(move |total| *total >= limit).await?;
    cx.wait_condition(|| cx.all_handlers_finished()).await?;
    Ok(total.get())
}

async fn engine(home: &Home) -> Amends {
    let builder = home.builder().replay_every_turn();
    builder.workflow(basket).activity(price).start().await.unwrap()
}

#[test]
fn handlers_that_meet_changes_are_the_same_on_every_replay_and_after_a_restart() {
    let home = Home::sled();
    run(async {
        let amends = engine(&home).await;
        let handle = amends.workflow(basket).id("b").start(&20).await.unwrap();
        // Neither may ask; what they asked is forgotten, with the memory of the code that they asked.
        for _ in 0..2 {
            let refused = handle.query::<_, bool>("is_patched", &()).await.unwrap_err();
            assert!(matches!(refused, Error::Query(_)), "{refused}");
            assert!(refused.to_string().contains("tried to ask for a patch"), "{refused}");
            let refused = handle.update::<_, ()>("curious", &()).await;
            assert!(matches!(refused, Err(UpdateError::Refused(failure)) if failure.is_type("NotReadOnly")));
        }
        handle.signal("add", &"book").await.unwrap();
        let reached = handle.update::<_, (u32, i32)>("reach", &8).await.unwrap();
        assert_eq!(reached, (8, 2));
        amends.shutdown(Duration::from_secs(5)).await;

        let amends = engine(&home).await;
        let handle = amends.find("b").await.unwrap();
        assert_eq!(handle.query::<_, u32>("total", &()).await.unwrap(), 8);
        handle.signal("add", &"bottle").await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 20);
        amends.shutdown(Duration::ZERO).await;
    });
    home.assert_sound();
}
