//! A cart that lives for as long as its customer shops: an entity with updates, queries, a message to another run, and a
//! history that never grows long, because it continues as a new run in time.
//!
//! Run it with `cargo run --example cart_entity`.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::path::Path;
use std::time::Duration;

use amends::{Amends, Failure, UpdateError, UpdateOptions, WorkflowContext, workflow};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cart {
    pub(crate) items: Vec<String>,
    pub(crate) cents: u64,
    /// How often it continued as a new run.
    pub(crate) renewed: u32,
    paid: bool,
    customer: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Item {
    name: String,
    cents: u64,
}

/// How many events the history of one run of a cart may have. Real ones only ask `continue_as_new_suggested`, which is true from
/// some thousands of events on; nobody wants to wait for that here.
const EVENTS_PER_RUN: u64 = 5;

/// Whether it is time to continue as a new run. What a run is told of its history is recorded, so the same on replay.
fn is_long(cx: &WorkflowContext) -> bool {
    let info = cx.info();
    info.continue_as_new_suggested || info.history_length > EVENTS_PER_RUN
}

#[workflow]
async fn cart(cx: WorkflowContext, begun: Cart) -> Result<Cart, Failure> {
    let customer = begun.customer.clone();
    let cart = cx.state(begun);
    cart.on_query("cart", |cart, ()| cart.clone())?;
    cart.on_validated_update(
        "add",
        |cart, item: &Item| match cart.cents + item.cents > 10_000 {
            true => Err(Failure::new(
                "TooExpensive",
                format!("{} does not fit the budget", item.name),
            )),
            false => Ok(()),
        },
        |cart, item| {
            cart.items.push(item.name);
            cart.cents += item.cents;
            Ok(cart.cents)
        },
    )?;
    // This one awaits: it tells the customer's account, and answers when the account has been told.
    let (own, paying) = (cx.clone(), cart.clone());
    cx.on_update("check-out", async move |(): ()| {
        let cents = paying.read(|cart| cart.cents);
        own.external(format!("account-{customer}"))
            .signal("spend", &cents)
            .await?;
        paying.change(|cart| cart.paid = true);
        Ok::<u64, Failure>(cents)
    })?;
    cx.wait_condition(|| cart.read(|cart| cart.paid) || is_long(&cx))
        .await?;
    // Who asked for an update waits for its answer: let handlers end before this run does.
    cx.wait_condition(|| cx.all_handlers_finished()).await?;
    if cart.read(|cart| cart.paid) {
        return Ok(cart.get());
    }
    cart.change(|cart| cart.renewed += 1);
    cx.continue_as_new(self::cart, &cart.get()).await
}

#[workflow]
async fn account(cx: WorkflowContext, _customer: String) -> Result<u64, Failure> {
    let spent = cx.state(0_u64);
    spent.on_signal("spend", |spent, cents: u64| *spent += cents)?;
    spent.wait_until(|spent| *spent > 0).await?;
    Ok(spent.get())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    run(&std::env::temp_dir().join("amends-example-cart")).await.map(drop)
}

/// Gives back the cart as it ended, and what the customer has spent.
pub(crate) async fn run(directory: &Path) -> Result<(Cart, u64), Box<dyn std::error::Error>> {
    let amends = Amends::builder()
        .sled(directory)
        .workflow(cart)
        .workflow(account)
        .start()
        .await?;
    let customer = "ada".to_owned();
    let spending = amends
        .workflow(account)
        .id("account-ada")
        .request_id("a")
        .start(&customer)
        .await?;
    let item = |name: &str, cents| Item {
        name: name.to_owned(),
        cents,
    };
    let empty = Cart {
        customer,
        ..Cart::default()
    };
    // The first thing in the cart makes the cart, in one turn. The ids make everything here repeatable.
    let named = |id: &str| UpdateOptions {
        update_id: Some(id.to_owned()),
    };
    let starter = amends.workflow(cart).id("cart-ada").request_id("c");
    let (shopping, first) = starter
        .update_with_start::<_, u64>("add", &item("a book", 2_500), &empty, named("book"))
        .await?;
    println!("the cart is worth {} cents", first.result().await?);
    let lamp = shopping
        .start_update::<_, u64>("add", &item("a lamp", 4_000), named("lamp"))
        .await;
    println!("with a lamp, {} cents", lamp?.result().await?);
    match shopping.update::<_, u64>("add", &item("a piano", 900_000)).await {
        Err(UpdateError::Refused(failure)) => println!("no piano: {failure}"),
        other => println!("a piano: {other:?}"),
    }
    let seen: Cart = shopping.query("cart", &()).await?;
    println!("in the cart: {:?}", seen.items);
    let paying = shopping.start_update::<_, u64>("check-out", &(), named("pay")).await?;
    println!("paid: {} cents", paying.result().await?);
    let (cart, spent) = (shopping.result().await?, spending.result().await?);
    amends.shutdown(Duration::from_secs(5)).await;
    Ok((cart, spent))
}
