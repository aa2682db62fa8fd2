//! The coordinator that the demo kills: an engine, fed with orders. It is an ordinary user of amends: every start carries
//! a request id, so that feeding all orders again after each death is harmless. Must not live here: who kills it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use futures_util::StreamExt;
use serde_json::json;

use crate::engine::{Amends, Error, ListQuery};
use crate::model::RunStatus;
use crate::server::console::Console;
use crate::server::exit::{Exit, Refusal};
use crate::server::participants::Order;
use crate::server::waiting::{End, until_it_ends};

/// The coordinator of `amends demo`.
#[derive(Args)]
pub(crate) struct CoordinatorArgs {
    /// Where the runs are kept
    #[arg(long)]
    data: PathBuf,
    /// The orders, a JSON array
    #[arg(long)]
    orders: PathBuf,
    /// The saga
    #[arg(long)]
    saga: PathBuf,
    /// The port that the participants listen on
    #[arg(long)]
    participants: u16,
    /// Orders under way at once
    #[arg(long)]
    concurrency: u16,
}

/// How long attempts that are running get to end when all is done, or the demo is.
const GRACE: Duration = Duration::from_secs(5);

pub(crate) fn coordinate(args: &CoordinatorArgs, console: &Console) -> Result<Exit, Refusal> {
    let orders = super::orders(Some(&args.orders))?;
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let tokio = tokio.map_err(|error| Refusal::failed(format!("no threads to run on: {error}")))?;
    tokio.block_on(async {
        let amends = engine(args).await?;
        let fed = tokio::select! {
            fed = feed(&amends, orders, args, console) => fed,
            () = parent_is_gone() => Ok(()),
        };
        amends.shutdown(GRACE).await;
        fed?;
        console.object(&json!({"type": "done"}));
        Ok(Exit::Done)
    })
}

async fn engine(args: &CoordinatorArgs) -> Result<Amends, Error> {
    let address = |service: &str| format!("http://127.0.0.1:{}/{service}", args.participants);
    let mut builder = Amends::builder()
        .sled(&args.data)
        .sagas(&args.saga)
        .identity("amends demo");
    for service in ["inventory", "payment", "shipping"] {
        builder = builder.set(service, address(service));
    }
    builder.start().await
}

async fn feed(amends: &Amends, orders: Vec<Order>, args: &CoordinatorArgs, console: &Console) -> Result<(), Error> {
    let open = RunStatus::ALL.into_iter().filter(|status| !status.is_closed());
    let open = ListQuery {
        statuses: open.collect(),
        ..ListQuery::default()
    };
    let recovered = amends.client().count(&open).await?.runs;
    console.object(&json!({"type": "open", "runs": recovered}));
    let saga = amends
        .sagas()
        .next()
        .map(|saga| saga.name().to_string())
        .unwrap_or_default();
    let concurrency = usize::from(args.concurrency.max(1));
    let place = |order: Order| place(amends, saga.clone(), order, console);
    let mut placed = futures_util::stream::iter(orders.into_iter().map(place)).buffer_unordered(concurrency);
    while let Some(placed) = placed.next().await {
        placed?;
    }
    Ok(())
}

/// Places one order and waits for its end.
async fn place(amends: &Amends, saga: String, order: Order, console: &Console) -> Result<(), Error> {
    let id = order.order_id.clone();
    let starter = amends.workflow_by_name(&saga).id(&id).request_id(&id);
    let run = starter.start(&json!(order)).await?;
    console.object(&json!({"type": "accepted", "order": id, "run": run.run_id().to_string()}));
    let status = match until_it_ends(&run, |_| {}).await? {
        End::Closed(outcome) => outcome.status(),
        End::Waits(run) => run.status,
    };
    console.object(&json!({"type": "closed", "order": id, "status": status.as_str()}));
    Ok(())
}

/// Ends when standard input does: the demo holds its other end for as long as it lives.
async fn parent_is_gone() {
    let (gone, is_gone) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        drop(gone);
    });
    let _ = is_gone.await;
}
