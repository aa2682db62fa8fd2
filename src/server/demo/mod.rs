//! `amends demo`: real sagas against real services, a coordinator that is killed in the middle, and an audit. Lives here:
//! the order of the scenes. Must not live here: the scenes.
//!
//! ```text
//! amends demo --- amends participants       three services on loopback HTTP, a durable ledger each
//!            \--- amends demo-coordinator   an engine; killed with SIGKILL, started again, killed again ...
//! ```

mod conductor;
mod coordinator;
mod process;
mod progress;
mod report;
mod workspace;

use std::path::{Path, PathBuf};

use clap::Args;

use crate::engine::{Clock, SystemClock, check_saga};
use crate::server::console::{Console, FAINT, OutputArgs, STRONG};
use crate::server::exit::{Exit, Refusal};
use crate::server::participants::{DEMO_ORDERS, Order};
use crate::server::text::count;

pub(super) use coordinator::{CoordinatorArgs, coordinate};

use conductor::Conductor;
use process::Participants;
use workspace::Workspace;

/// Watch a few hundred sagas survive `kill -9`: amends demo
///
/// Starts three participant services (inventory, payment, shipping) as a process of their own, each with its own durable
/// ledger, and a coordinator that takes every order of a sample file through sagas/place-order.toml. Cards are declined,
/// services are slow, flaky, or lose their answers. The coordinator is killed with SIGKILL in the middle, and again while
/// it recovers. In the end an audit compares the ledgers with what the sagas say. Exits with 0 only if they agree.
#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Other orders: a JSON array like config/demo-orders.json
    #[arg(long, value_name = "FILE")]
    orders: Option<PathBuf>,
    /// Another saga for them (the one that is built in is sagas/place-order.toml)
    #[arg(long, value_name = "FILE")]
    saga: Option<PathBuf>,
    /// Orders under way at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    concurrency: u16,
    /// Keep the journal and the ledgers, to look at with `amends list --data ..` and the like
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// The saga that the demo runs when nobody says otherwise.
const PLACE_ORDER: &str = include_str!("../../../sagas/place-order.toml");

/// What all scenes need to know.
struct Stage<'a> {
    console: &'a Console,
    workspace: Workspace,
    orders: Vec<Order>,
    concurrency: u16,
}

impl Stage<'_> {
    /// A line of the introduction.
    fn field(&self, name: &str, value: &str) {
        let name = self.console.paint(FAINT, &format!("  {name:<14}"));
        self.console.line(format!("{name}{value}"));
    }
}

pub(super) fn run(args: &DemoArgs, console: &Console) -> Result<Exit, Refusal> {
    let begun = SystemClock.now();
    let orders = orders(args.orders.as_deref())?;
    let saga = saga(args.saga.as_deref())?;
    let workspace = Workspace::create(args.keep)?;
    workspace.write(&workspace.orders_file(), &serde_json::json!(orders).to_string())?;
    workspace.write(&workspace.saga_file(), &saga)?;
    let stage = Stage {
        console,
        workspace,
        orders,
        concurrency: args.concurrency,
    };
    let participants = Participants::start(&stage.workspace)?;
    introduce(&stage, args, &participants);
    let played = Conductor::new(&stage, &participants)?.conduct()?;
    participants.stop();
    let exit = report::report(&stage, &played, SystemClock.now().since(begun))?;
    if let Some(kept) = stage.workspace.kept() {
        let kept = kept.display();
        console.note(format!(
            "kept: amends list --data {kept}/journal; ledgers in {kept}/ledgers"
        ));
    }
    Ok(exit)
}

fn orders(file: Option<&Path>) -> Result<Vec<Order>, Refusal> {
    let text = match file {
        Some(file) => read(file)?,
        None => DEMO_ORDERS.to_owned(),
    };
    let name = file.map_or("config/demo-orders.json".to_owned(), |file| file.display().to_string());
    let orders = Order::parse_all(&text).map_err(|error| Refusal::usage(format!("{name}: {error}")))?;
    match orders.is_empty() {
        true => Err(Refusal::usage(format!("{name}: no orders in it"))),
        false => Ok(orders),
    }
}

fn saga(file: Option<&Path>) -> Result<String, Refusal> {
    let Some(file) = file else {
        return Ok(PLACE_ORDER.to_owned());
    };
    // Here, where it can be said in the terms of the user's own file.
    let (saga, report) = check_saga(file, &std::collections::BTreeMap::new())?;
    match saga {
        Some(_) => read(file),
        None => {
            let errors = count(report.errors() as u64, "error");
            Err(Refusal::usage(format!("{report}\nthe definition has {errors}")))
        }
    }
}

fn read(file: &Path) -> Result<String, Refusal> {
    std::fs::read_to_string(file).map_err(|error| Refusal::usage(format!("cannot read {}: {error}", file.display())))
}

fn introduce(stage: &Stage<'_>, args: &DemoArgs, participants: &Participants) {
    let console = stage.console;
    let shown = |file: &Option<PathBuf>, built_in: &str| match file {
        Some(file) => file.display().to_string(),
        None => format!("{built_in} (built in)"),
    };
    let orders = count(stage.orders.len() as u64, "order");
    console.line(console.paint(STRONG, &format!("amends demo: {orders}, a saga each")));
    stage.field("orders", &shown(&args.orders, "config/demo-orders.json"));
    stage.field("saga", &shown(&args.saga, "sagas/place-order.toml"));
    stage.field(
        "participants",
        &format!(
            "inventory, payment, shipping on 127.0.0.1:{} (pid {})",
            participants.port(),
            participants.pid()
        ),
    );
    console.object(&serde_json::json!({
        "type": "started", "orders": stage.orders.len(),
        "participants": {"port": participants.port(), "pid": participants.pid()},
    }));
}
