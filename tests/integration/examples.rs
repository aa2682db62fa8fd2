//! The programs in `examples/` that show what workflows can do: they run, and a second time, too. Must not live here: those
//! that show how to embed the engine (`embed`).

use crate::support::run;

#[path = "../../examples/cart_entity.rs"]
#[allow(dead_code, reason = "its `main` only chooses the directory")]
mod cart_entity;
#[path = "../../examples/order_approval.rs"]
#[allow(dead_code, reason = "its `main` only chooses the directory")]
mod order_approval;

#[test]
fn orders_are_approved_declined_or_forgotten() {
    let directory = tempfile::TempDir::new().unwrap();
    for _ in 0..2 {
        let ends = run(order_approval::run(directory.path())).unwrap();
        assert_eq!(ends[0], "a piano for 900000 cents, approved by Ada");
        assert!(
            ends[1].starts_with("undone") && ends[1].contains("Ada said no"),
            "{ends:?}"
        );
        assert!(ends[2].starts_with("undone") && ends[2].contains("in time"), "{ends:?}");
    }
}

#[test]
fn a_cart_is_filled_and_paid_once() {
    let directory = tempfile::TempDir::new().unwrap();
    for _ in 0..2 {
        let (cart, spent) = run(cart_entity::run(directory.path())).unwrap();
        assert_eq!(cart.items, ["a book", "a lamp"]);
        assert_eq!((cart.cents, spent), (6_500, 6_500));
    }
}
