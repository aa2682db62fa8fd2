//! A subscription: charged month by month, each month a run of its own, until its customer leaves or does not pay. A card that
//! is declined gets a grace period with reminders; what was opened for somebody who does not pay is closed again.
//!
//! Run it with `cargo run --example subscription --features testing`: months pass in a second, on a virtual clock.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use amends::engine::Clock;
use amends::testing::VirtualClock;
use amends::{
    ActivityContext, Amends, Failure, RunHandle, RunStatus, Undo, UpdateError, WorkflowContext, WorkflowState,
    activity, workflow,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const MONTH: Duration = Duration::from_secs(30 * 86_400);
/// How long a customer whose card was declined keeps what was not paid for.
const GRACE: Duration = Duration::from_secs(14 * 86_400);
/// Between two reminders.
const PATIENCE: Duration = Duration::from_secs(4 * 86_400);

/// What one run of it is given, and hands on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Subscription {
    pub(crate) customer: String,
    pub(crate) cents: u64,
    /// Months that are over and paid for.
    pub(crate) months: u32,
    /// Whether this month is still to be paid.
    pub(crate) owes: bool,
    /// How often the customer has given another card.
    cards: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Invoice {
    customer: String,
    cents: u64,
}

/// One month. It never ends well, but goes on as the next one.
#[workflow]
async fn subscription(cx: WorkflowContext, begun: Subscription) -> Result<(), Failure> {
    let began = cx.now();
    let customer = begun.customer.clone();
    let subscription = cx.state(begun);
    // Counts from the next month on.
    subscription.on_signal("change plan", |subscription, cents: u64| subscription.cents = cents)?;
    subscription.on_signal("new card", |subscription, ()| subscription.cards += 1)?;
    subscription.on_query("subscription", |subscription, ()| subscription.clone())?;
    let this_month = subscription.clone();
    // Answered when this month is paid.
    cx.on_update("paid", async move |(): ()| {
        this_month.wait_until(|this| !this.owes).await
    })?;
    let invoice = Invoice {
        customer: customer.clone(),
        cents: subscription.read(|subscription| subscription.cents),
    };

    // Whatever ends this month early closes it again.
    cx.saga().run(open_access, &customer).await?;
    subscription.change(|subscription| subscription.owes = true);
    collect(&cx, &subscription, &invoice).await?;
    subscription.change(|subscription| subscription.owes = false);
    let rest = MONTH.saturating_sub(cx.now().since(began));
    if let Err(left) = cx.sleep(rest).await {
        // Only a cancellation ends a sleep. What is left of the month is paid back all the same.
        let rest = MONTH.saturating_sub(cx.now().since(began));
        let refund = Invoice {
            cents: invoice.cents * (rest.as_secs() / 86_400) / 30,
            ..invoice
        };
        cx.shield(cx.activity(pay_back, &refund)).await?;
        return Err(left);
    }
    subscription.change(|subscription| subscription.months += 1);
    // The month is over and paid for: nothing of it is to be undone any more.
    cx.continue_as_new(self::subscription, &subscription.get())
        .saga_done()
        .await
}

/// Gets the month's money: at once, or within the grace period.
async fn collect(
    cx: &WorkflowContext,
    subscription: &WorkflowState<Subscription>,
    invoice: &Invoice,
) -> Result<(), Failure> {
    match cx.activity(charge, invoice).await {
        Err(failure) if failure.is_type("CardDeclined") => {}
        other => return other,
    }
    let grace = cx.scope();
    match grace.run_for(GRACE, dun(cx, subscription, invoice)).await {
        // Not the customer has ended it, but the time.
        Err(failure) if failure.is_canceled() && !cx.is_cancel_requested() => Err(Failure::non_retryable(
            "Unpaid",
            format!("{} has not paid in time", invoice.customer),
        )),
        other => other,
    }
}

/// Reminds the customer until the card works, or there is another one.
async fn dun(
    cx: &WorkflowContext,
    subscription: &WorkflowState<Subscription>,
    invoice: &Invoice,
) -> Result<(), Failure> {
    loop {
        cx.activity(remind, &invoice.customer).await?;
        let cards = subscription.read(|subscription| subscription.cards);
        let looked_at = subscription.clone();
        let another = move || looked_at.read(|subscription| subscription.cards > cards);
        cx.wait_condition_for(PATIENCE, another).await?;
        match cx.activity(charge, invoice).await {
            Err(failure) if failure.is_type("CardDeclined") => {}
            other => return other,
        }
    }
}

#[activity(compensate = close_access)]
async fn open_access(cx: ActivityContext, customer: String) -> Result<(), Failure> {
    Town::of(&cx)?.note(&format!("{customer} may come in"));
    Ok(())
}

#[activity]
async fn close_access(cx: ActivityContext, undo: Undo<String, ()>) -> Result<(), Failure> {
    Town::of(&cx)?.note(&format!("{} may not come in", undo.input));
    Ok(())
}

/// A real one gives the bank `cx.info().idempotency_key`, so that no attempt charges twice.
#[activity(
    start_to_close = "30s",
    retry(initial_interval = "1h", coefficient = 1.0, max_attempts = 48)
)]
async fn charge(cx: ActivityContext, invoice: Invoice) -> Result<(), Failure> {
    let town = Town::of(&cx)?;
    let Invoice { customer, cents } = invoice;
    if town.bank_is_closed.swap(false, Ordering::SeqCst) {
        return Err(Failure::new("BankClosed", "try again"));
    }
    if lock(&town.declined).contains(&customer) {
        town.note(&format!("{customer}'s card is declined"));
        return Err(Failure::not_applied("CardDeclined", "no money"));
    }
    town.note(&format!("{customer} pays {cents}"));
    Ok(())
}

#[activity]
async fn remind(cx: ActivityContext, customer: String) -> Result<(), Failure> {
    Town::of(&cx)?.note(&format!("{customer} is reminded"));
    Ok(())
}

#[activity]
async fn pay_back(cx: ActivityContext, invoice: Invoice) -> Result<(), Failure> {
    Town::of(&cx)?.note(&format!("{} gets {} back", invoice.customer, invoice.cents));
    Ok(())
}

/// Everybody outside: the bank, the customers' letter boxes, the door. Clones are the same town.
#[derive(Clone, Default)]
struct Town {
    clock: VirtualClock,
    /// For one request.
    bank_is_closed: Arc<AtomicBool>,
    declined: Arc<Mutex<BTreeSet<String>>>,
    notes: Arc<Mutex<Vec<String>>>,
    noted: Arc<Notify>,
}

impl Town {
    fn of(cx: &ActivityContext) -> Result<Arc<Self>, Failure> {
        cx.state()
            .ok_or_else(|| Failure::non_retryable("NoTown", "give the engine a town"))
    }

    /// The day since the beginning, and what happened.
    fn note(&self, what: &str) {
        let days = self.clock.now().since(VirtualClock::new().now()).as_secs() / 86_400;
        lock(&self.notes).push(format!("day {days}: {what}"));
        self.noted.notify_waiters();
    }

    /// Waits until this has happened.
    async fn happens(&self, what: &str) {
        loop {
            // Before looking, so that nothing is missed.
            let noted = self.noted.notified();
            if lock(&self.notes).iter().any(|note| note == what) {
                return;
            }
            noted.await;
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn engine(town: &Town) -> Result<Amends, amends::Error> {
    let builder = Amends::builder().memory().clock(Arc::new(town.clock.clone()));
    let builder = builder.state(town.clone()).activity(open_access).activity(close_access);
    let builder = builder.activity(charge).activity(remind).activity(pay_back);
    builder.workflow(subscription).start().await
}

async fn subscribe(amends: &Amends, customer: &str) -> Result<RunHandle<()>, amends::Error> {
    let begun = Subscription {
        customer: customer.to_owned(),
        cents: 900,
        months: 0,
        owes: false,
        cards: 0,
    };
    amends.workflow(subscription).id(customer).start(&begun).await
}

/// How a customer's subscription stands.
async fn standing(amends: &Amends, customer: &str) -> Result<Subscription, amends::Error> {
    amends.client().query(customer, "subscription", &()).await
}

/// The bank is closed on Ada's first day. She chooses a dearer plan in her first month, and leaves in the middle of the third.
async fn ada(amends: &Amends, town: &Town) -> Result<RunStatus, amends::Error> {
    town.bank_is_closed.store(true, Ordering::SeqCst);
    let ada = subscribe(amends, "Ada").await?;
    // `pass` waits until the engine sleeps until just then.
    town.clock.pass(HOUR).await;
    amends.client().signal("Ada", "change plan", &1_500).await?;
    town.clock.pass(MONTH - HOUR).await;
    town.clock.pass(MONTH).await;
    town.clock.until_asleep(MONTH).await;
    town.clock.advance(DAY * 12);
    let Subscription { months, cents, .. } = standing(amends, "Ada").await?;
    println!("Ada has paid for {months} months before this one, and pays {cents} now");
    amends.client().cancel("Ada", "moves away").await?;
    Ok(ada.outcome().await?.status())
}

/// Bob's card is declined in the second month. He gives another one after the second reminder, and leaves in the third month.
async fn bob(amends: &Amends, town: &Town) -> Result<RunStatus, UpdateError> {
    let bob = subscribe(amends, "Bob").await?;
    town.clock.until_asleep(MONTH).await;
    lock(&town.declined).insert("Bob".to_owned());
    town.clock.pass(MONTH).await;
    town.clock.pass(PATIENCE).await;
    town.clock.until_asleep(PATIENCE).await;
    town.clock.advance(DAY);
    lock(&town.declined).remove("Bob");
    amends.client().signal("Bob", "new card", &()).await?;
    amends.client().update::<_, ()>("Bob", "paid", &()).await?;
    // The month ends 30 days after it began, whenever it was paid.
    (36..60).for_each(|_| town.clock.advance(DAY));
    town.clock.pass(DAY).await;
    town.clock.until_asleep(MONTH).await;
    println!("Bob has paid for {} months", standing(amends, "Bob").await?.months);
    amends.client().cancel("Bob", "has enough").await?;
    Ok(bob.outcome().await?.status())
}

/// Cleo pays once, and never again.
async fn cleo(amends: &Amends, town: &Town) -> Result<RunStatus, amends::Error> {
    let cleo = subscribe(amends, "Cleo").await?;
    town.clock.until_asleep(MONTH).await;
    lock(&town.declined).insert("Cleo".to_owned());
    town.clock.pass(MONTH).await;
    for _ in 0..3 {
        town.clock.pass(PATIENCE).await;
    }
    town.happens("day 42: Cleo is reminded").await;
    town.clock.pass(GRACE - PATIENCE * 3).await;
    Ok(cleo.outcome().await?.status())
}

/// For each of the three what became of the subscription, and everything that happened.
pub(crate) async fn run() -> Result<Vec<(RunStatus, Vec<String>)>, UpdateError> {
    let mut lives = Vec::new();
    for customer in ["Ada", "Bob", "Cleo"] {
        let town = Town::default();
        let amends = engine(&town).await?;
        let end = match customer {
            "Ada" => ada(&amends, &town).await?,
            "Bob" => bob(&amends, &town).await?,
            _ => cleo(&amends, &town).await?,
        };
        amends.shutdown(Duration::from_secs(5)).await;
        let notes = std::mem::take(&mut *lock(&town.notes));
        lives.push((end, notes));
    }
    Ok(lives)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (end, notes) in run().await? {
        notes.iter().for_each(|note| println!("{note}"));
        println!("in the end the subscription was {end}\n");
    }
    Ok(())
}
