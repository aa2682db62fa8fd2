//! Children that are open when their parent continues as a new run: looked after along the chain, and let go of at its end.
//! Must not live here: a parent of one run (`child_workflows_end`).

use std::time::Duration;

use amends::engine::Rejection;
use amends::{Amends, AmendsBuilder, Error, Failure, ParentClosePolicy, RunStatus, WorkflowContext, workflow as flow};

use crate::support::{Home, insist_on_finding, run, whichever_commit_fails};

/// Waits until it is told to end.
#[flow]
async fn guest(cx: WorkflowContext) -> Result<(), Failure> {
    cx.signal::<()>("leave").recv().await
}

const GUESTS: [(&str, ParentClosePolicy); 4] = [
    ("ended", ParentClosePolicy::Terminate),
    ("asked", ParentClosePolicy::RequestCancel),
    ("left", ParentClosePolicy::Abandon),
    ("early", ParentClosePolicy::Terminate),
];

/// Has guests in its first year, one more that it asks to leave in the second, and ends when it is told to.
#[flow]
async fn house(cx: WorkflowContext, year: u32) -> Result<u32, Failure> {
    match year {
        1 => {
            for (id, policy) in GUESTS {
                let guest = cx.child(guest).id(id).parent_close_policy(policy);
                guest.start(&()).await?;
            }
        }
        2 => {
            let unwanted = cx.child(guest).id("unwanted").start(&()).await?;
            // Nobody waits until it was told: the next year sees to that.
            let mut asked = Box::pin(unwanted.cancel("no room"));
            std::future::poll_fn(|cx| std::task::Poll::Ready(asked.as_mut().poll(cx).is_ready())).await;
        }
        _ => {
            cx.signal::<()>("close").recv().await?;
            return Ok(year);
        }
    }
    cx.continue_as_new(house, &(year + 1)).await
}

fn registered(builder: AmendsBuilder) -> AmendsBuilder {
    builder.workflow(guest).workflow(house)
}

/// Signals a run that ends by that: it may have, although nobody could say so.
async fn tell(amends: &Amends, id: &str, name: &str) {
    let options = amends::engine::SignalOptions {
        request_id: Some(name.to_owned()),
        ..Default::default()
    };
    let client = amends.client();
    let signal = || async {
        match client.signal_with(id, name, &(), options.clone()).await {
            Err(Error::Rejected(Rejection::Closed)) => Ok(()),
            told => told,
        }
    };
    insist_on_finding(signal).await;
}

/// The guests that the house still looks after.
async fn looked_after(amends: &Amends) -> Vec<String> {
    let client = amends.client();
    let house = insist_on_finding(|| client.describe("house")).await;
    let guests = house.children.iter();
    let mut guests: Vec<String> = guests.map(|child| child.workflow_id.to_string()).collect();
    guests.sort_unstable();
    guests
}

async fn until_looked_after(amends: &Amends, wanted: &[&str]) {
    while looked_after(amends).await != wanted {
        tokio::task::yield_now().await;
    }
}

async fn ended(amends: &Amends, id: &str) -> RunStatus {
    let run = insist_on_finding(|| amends.find(id)).await;
    insist_on_finding(|| run.outcome()).await.status()
}

async fn open_house(amends: &Amends) {
    let starter = || amends.workflow(house).id("house").request_id("h");
    insist_on_finding(|| async { starter().start(&1).await }).await;
    tell(amends, "early", "leave").await;
    assert_eq!(ended(amends, "unwanted").await, RunStatus::Canceled);
    // Those that have ended are forgotten, also by a later run than the one that began them.
    until_looked_after(amends, &["asked", "ended"]).await;
}

async fn close_house(amends: &Amends) {
    let client = amends.client();
    for guest in ["ended", "asked", "left"] {
        let status = insist_on_finding(|| client.describe(guest)).await.status;
        assert_eq!(status, RunStatus::Running, "{guest}: the chain goes on");
    }
    tell(amends, "house", "close").await;
    assert_eq!(ended(amends, "house").await, RunStatus::Completed);
    assert_eq!(ended(amends, "ended").await, RunStatus::Terminated);
    assert_eq!(ended(amends, "asked").await, RunStatus::Canceled);
    let left = insist_on_finding(|| client.describe("left")).await;
    assert_eq!(left.status, RunStatus::Running);
}

#[test]
fn a_parent_s_close_policies_act_when_its_chain_ends_also_after_a_restart() {
    for home in Home::each() {
        run(async {
            let amends = registered(home.builder()).start().await.unwrap();
            open_house(&amends).await;
            amends.shutdown(Duration::from_secs(5)).await;
            let amends = registered(home.builder()).start().await.unwrap();
            assert_eq!(looked_after(&amends).await, ["asked", "ended"]);
            close_house(&amends).await;
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn whichever_commit_fails_the_children_of_a_chain_are_let_go_of() {
    whichever_commit_fails(15..=60, registered, async |amends| {
        open_house(amends).await;
        close_house(amends).await;
    });
}

/// Asks for a guest, and has moved on before anybody could come.
#[flow]
async fn hasty(cx: WorkflowContext, year: u32) -> Result<u32, Failure> {
    if year > 3 {
        cx.signal::<()>("close").recv().await?;
        return Ok(year);
    }
    let mut invited = Box::pin(cx.child(guest).start(&()));
    std::future::poll_fn(|cx| std::task::Poll::Ready(invited.as_mut().poll(cx).is_ready())).await;
    cx.continue_as_new(hasty, &(year + 1)).await
}

#[test]
fn children_that_never_began_are_not_gathered_along_a_chain() {
    run(async {
        let home = Home::memory();
        let builder = home.builder().workflow(guest).workflow(hasty);
        let amends = builder.start().await.unwrap();
        amends.workflow(hasty).id("house").start(&1).await.unwrap();
        until_looked_after(&amends, &[]).await;
        tell(&amends, "house", "close").await;
        assert_eq!(ended(&amends, "house").await, RunStatus::Completed);
        let open = amends.client().count("ExecutionStatus = 'Running'").await.unwrap().runs;
        assert_eq!(open, 0, "nobody came");
        amends.shutdown(Duration::ZERO).await;
        home.assert_sound();
    });
}
