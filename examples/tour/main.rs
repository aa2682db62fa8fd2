//! A tour of the features: for each group of the table in `docs/features.md` a stop, a file to be read in one go, in which
//! each row has a function that shows it and says what came of it. What all of them say is in `said.txt`.
//!
//! Run it with `cargo run --all-features --example tour`, or only some stops: `.. --example tour -- messages schedules`.
//! Days and months pass at once, on a virtual clock.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

mod activities;
mod crashes;
mod data;
mod determinism;
mod families;
mod lifecycle;
mod limits;
mod messages;
mod namespaces;
mod repair;
mod sagas;
mod schedules;
mod scopes;
mod visibility;

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use amends::engine::RunDescription;
use amends::testing::VirtualClock;
use amends::{ActivityContext, Amends, AmendsBuilder};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// What a stop has to say, or what went wrong.
pub(crate) type Told = Result<Vec<String>, Box<dyn Error>>;

/// Whoever comes by.
pub(crate) type Visit = fn() -> Pin<Box<dyn Future<Output = Told>>>;

/// All stops, in the order of the table.
pub(crate) const STOPS: [(&str, Visit); 14] = [
    ("messages", || Box::pin(messages::visit())),
    ("lifecycle", || Box::pin(lifecycle::visit())),
    ("schedules", || Box::pin(schedules::visit())),
    ("repair", || Box::pin(repair::visit())),
    ("families", || Box::pin(families::visit())),
    ("scopes", || Box::pin(scopes::visit())),
    ("sagas", || Box::pin(sagas::visit())),
    ("activities", || Box::pin(activities::visit())),
    ("limits", || Box::pin(limits::visit())),
    ("determinism", || Box::pin(determinism::visit())),
    ("data", || Box::pin(data::visit())),
    ("visibility", || Box::pin(visibility::visit())),
    ("namespaces", || Box::pin(namespaces::visit())),
    ("crashes", || Box::pin(crashes::visit())),
];

/// An engine in memory whose time is that of the clock. What is idle stays in memory: nothing but the stop moves the clock.
fn on(clock: &VirtualClock) -> AmendsBuilder {
    let builder = Amends::builder().memory().shards(2);
    builder.clock(Arc::new(clock.clone())).passivate_after(DAY * 3_650)
}

/// How often somebody looks for something that nobody tells of, a moment apart, until it is clear that it does not come.
const LOOKS: u32 = 60_000;

/// A moment of real time, however the engine's clock is moved.
#[expect(
    clippy::disallowed_methods,
    reason = "who looks from outside is not on the engine's clock"
)]
async fn moment() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Looks until there is what is looked for. Only for what there is no better way to wait for: a result, an update's answer, a
/// channel.
async fn look<T>(mut for_it: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS {
        if let Some(found) = for_it().await {
            return found;
        }
        moment().await;
    }
    panic!("what this stop waits for has not come for a minute")
}

/// Looks until it is so.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    look(async || is_so().await.then_some(())).await;
}

/// Looks at a run until it stands as asked for.
async fn until_run(amends: &Amends, id: &str, is_so: impl Fn(&RunDescription) -> bool) -> RunDescription {
    let client = amends.client();
    look(async || client.describe(id).await.ok().filter(&is_so)).await
}

/// What activities have noted, in the order in which they did. Clones are the same pad.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(what.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn until(&self, notes: usize) {
        until(async || self.all().len() >= notes).await;
    }
}

/// Notes what an activity does, where its engine has a pad for that.
fn note(cx: &ActivityContext, what: impl Into<String>) {
    if let Some(notes) = cx.state::<Notes>() {
        notes.note(what);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    for (name, visit) in STOPS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            println!("# {name}");
            visit().await?.iter().for_each(|line| println!("{line}"));
        }
    }
    Ok(())
}
