//! Children: what becomes of them when their parent ends or is cancelled, and how one is undone as a unit.

use amends::{
    ActivityContext, Amends, ChildCancellationType, Failure, IdConflictPolicy, ParentClosePolicy, RunStatus, Undo,
    WorkflowContext, activity, workflow,
};
use serde::{Deserialize, Serialize};

use super::{Notes, SECOND, Told, note, until_run};

/// Stays until it is told to go. Asked to end, it takes its time until it is told, too.
#[workflow]
async fn guest(cx: WorkflowContext) -> Result<(), Failure> {
    let asked = cx.signal::<()>("go").recv().await;
    if asked.is_err() {
        cx.shield(cx.signal::<()>("go").recv()).await?;
    }
    asked
}

/// Has three guests in its first year, and is open for as many years as it is told to.
#[workflow]
async fn house(cx: WorkflowContext, year: u32) -> Result<u32, Failure> {
    if year == 1 {
        for (id, policy) in [
            ("ended with the house", ParentClosePolicy::Terminate),
            ("asked to go", ParentClosePolicy::RequestCancel),
            ("stays", ParentClosePolicy::Abandon),
        ] {
            cx.child(guest).id(id).parent_close_policy(policy).start(&()).await?;
        }
        return cx.continue_as_new(house, &2).await;
    }
    cx.signal::<()>("close").recv().await?;
    Ok(year)
}

/// Has one guest, of this name, until it is told to close.
#[workflow]
async fn tent(cx: WorkflowContext, name: String) -> Result<(), Failure> {
    cx.child(guest).id(&name).start(&()).await?;
    cx.signal::<()>("close").recv().await
}

/// Waits for one guest, whatever happens.
#[workflow]
async fn host(cx: WorkflowContext, cancellation: Kind) -> Result<(), Failure> {
    let child = cx.child(guest).id(format!("guest of {}", cx.workflow_id()));
    let child = child.parent_close_policy(ParentClosePolicy::Abandon);
    let child = match cancellation {
        Kind::Try => child.cancellation(ChildCancellationType::TryCancel),
        Kind::Wait => child.cancellation(ChildCancellationType::WaitCancellationCompleted),
        Kind::Abandon => child.cancellation(ChildCancellationType::Abandon),
    };
    child.run(&()).await
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Kind {
    Try,
    Wait,
    Abandon,
}

#[activity(compensate = take_down)]
async fn put_up(cx: ActivityContext, what: String) -> Result<(), Failure> {
    note(&cx, format!("{what} is put up"));
    Ok(())
}

#[activity]
async fn take_down(cx: ActivityContext, undo: Undo<String, ()>) -> Result<(), Failure> {
    note(&cx, format!("{} is taken down", undo.input));
    Ok(())
}

/// A saga of two steps.
#[workflow]
async fn stand(cx: WorkflowContext) -> Result<(), Failure> {
    let saga = cx.saga();
    saga.run(put_up, &"the table".to_owned()).await?;
    saga.run(put_up, &"the roof".to_owned()).await
}

/// A saga that has another one as a step, and fails after it.
#[workflow]
async fn fair(cx: WorkflowContext) -> Result<(), Failure> {
    let saga = cx.saga();
    saga.run(put_up, &"the fence".to_owned()).await?;
    saga.child_workflow(stand, &()).await?;
    Err(Failure::non_retryable("Rain", "nobody comes"))
}

/// A parent has ended when its chain has: until then its children go on.
async fn close_policies(amends: &Amends) -> Told {
    let house = amends.workflow(house).id("house").start(&1).await?;
    house.run_outcome().await?;
    let client = amends.client();
    let guests = ["ended with the house", "asked to go", "stays"];
    let mut open = 0;
    for guest in guests {
        open += usize::from(!client.describe(guest).await?.status.is_closed());
    }
    house.signal("close", &()).await?;
    let years = house.result().await?;
    let mut told = vec![format!("in year {years} there were {open} guests")];
    for guest in guests {
        // The one that was asked takes its time.
        let seen = until_run(amends, guest, |seen| {
            seen.status.is_closed() || seen.cancel_requested.is_some() || guest == "stays"
        });
        let seen = seen.await;
        let asked = if seen.cancel_requested.is_some() {
            ", asked to end"
        } else {
            ""
        };
        told.push(format!("{guest}: {}{asked}", seen.status));
    }
    Ok(told)
}

/// The run that a start begins in the place of another one lets go of the other one's children.
async fn in_its_place(amends: &Amends) -> Told {
    for name in ["the first guest", "the second guest"] {
        let tent = amends.workflow(tent).id("tent");
        let tent = tent.id_conflict_policy(IdConflictPolicy::TerminateExisting);
        tent.start(&name.to_owned()).await?;
        until_run(amends, name, |seen| seen.status == RunStatus::Running).await;
    }
    let first = until_run(amends, "the first guest", |seen| seen.status.is_closed()).await;
    let second = amends.client().describe("the second guest").await?;
    Ok(vec![format!(
        "another tent in its place: the first guest is {}, the second one {}",
        first.status, second.status
    )])
}

/// What cancelling a parent does to its child, and what the parent waits for.
async fn cancellation_types(amends: &Amends) -> Told {
    let mut told = Vec::new();
    for (id, kind) in [
        ("trying", Kind::Try),
        ("waiting", Kind::Wait),
        ("abandoning", Kind::Abandon),
    ] {
        let run = amends.workflow(host).id(id).start(&kind).await?;
        let guest = format!("guest of {id}");
        until_run(amends, &guest, |seen| seen.status == RunStatus::Running).await;
        until_run(amends, id, |seen| {
            seen.children.iter().any(|child| child.run_id.is_some())
        })
        .await;
        run.cancel("the party is over").await?;
        if matches!(kind, Kind::Wait) {
            until_run(amends, &guest, |seen| seen.cancel_requested.is_some()).await;
            let waits = run.describe().await?.status;
            told.push(format!("{id}: {waits} until its guest has gone"));
            amends.client().signal(&guest, "go", &()).await?;
        }
        let ended = run.outcome().await?.status();
        let asked = match kind {
            Kind::Abandon => amends.client().describe(&guest).await?.cancel_requested.is_some(),
            _ => until_run(amends, &guest, |seen| seen.cancel_requested.is_some())
                .await
                .cancel_requested
                .is_some(),
        };
        told.push(format!("{id}: {ended}; its guest was asked to go: {asked}"));
    }
    Ok(told)
}

/// A child saga that has completed is undone whole, before what came before it.
async fn undone_as_a_unit(amends: &Amends, notes: &Notes) -> Told {
    let status = amends
        .workflow(fair)
        .id("fair")
        .start(&())
        .await?
        .outcome()
        .await?
        .status();
    let mut told = notes.all();
    told.push(format!("the fair is {status}"));
    Ok(told)
}

pub(crate) async fn visit() -> Told {
    let notes = Notes::default();
    let builder = Amends::builder()
        .memory()
        .state(notes.clone())
        .activity(put_up)
        .activity(take_down);
    let builder = builder.workflow(guest).workflow(house).workflow(host).workflow(tent);
    let amends = builder.workflow(stand).workflow(fair).start().await?;
    let mut told = close_policies(&amends).await?;
    told.extend(in_its_place(&amends).await?);
    told.extend(cancellation_types(&amends).await?);
    told.extend(undone_as_a_unit(&amends, &notes).await?);
    amends.shutdown(SECOND).await;
    Ok(told)
}
