//! How a participant misbehaves, read from the words of an order, so that the same order always meets the same luck.
//! Must not live here: doing it.

use std::time::Duration;

use super::{Operation, Order, Service};

/// How many requests with the same key a flaky service turns away before it answers.
pub const FLAKY_REFUSALS: u32 = 2;

/// What happens to a request. The first word of the field that the service reads decides (`sku` for inventory, `card` for
/// payment, `address` for shipping): `flaky-lamp` meets a flaky inventory, `lamp` a healthy one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    /// Done and answered at once.
    Healthy,
    /// `declined-`, `soldout-`, `undeliverable-`: refused for good, nothing was done. Compensations are not refused.
    Refusing,
    /// `final-`: done and answered at once, but not undone any more: compensations are refused for good.
    Final,
    /// `noreceipt-`: the receipt is refused for good; everything else is healthy.
    WithoutReceipt,
    /// `flaky-`: 503 for the first [`FLAKY_REFUSALS`] requests with a key, nothing was done; then healthy.
    Flaky,
    /// `slow-`: the first request with a key waits for [`Pace::slow`] before anything is done.
    Slow,
    /// `drop-`: the first request with a key is done, and then the connection closes without an answer.
    Dropping,
    /// `hang-`: the first request with a key is done, and its answer comes only after [`Pace::hang`].
    Hanging,
}

/// How long slow things take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long a slow service thinks before it does anything. Less than any sensible timeout.
    pub slow: Duration,
    /// How late a hanging service answers. Meant to be longer than the step's timeout.
    pub hang: Duration,
}

impl Default for Pace {
    /// 400 ms and 10 s: a demo with a step timeout of a few seconds sees both, and still ends in well under a minute.
    fn default() -> Self {
        Self {
            slow: Duration::from_millis(400),
            hang: Duration::from_secs(10),
        }
    }
}

impl Behavior {
    /// How the operation goes for this order.
    #[must_use]
    pub fn of(operation: Operation, order: &Order) -> Self {
        let text = match operation.service() {
            Service::Inventory => &order.sku,
            Service::Payment => &order.card,
            Service::Shipping => &order.address,
        };
        match text.split_once('-').map(|(first, _)| first) {
            Some("declined" | "soldout" | "undeliverable") => Behavior::Refusing,
            Some("final") => Behavior::Final,
            Some("noreceipt") => Behavior::WithoutReceipt,
            Some("flaky") => Behavior::Flaky,
            Some("slow") => Behavior::Slow,
            Some("drop") => Behavior::Dropping,
            Some("hang") => Behavior::Hanging,
            _ => Behavior::Healthy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_reads_its_own_field() {
        let order = Order {
            sku: "flaky-lamp".to_owned(),
            card: "declined-4242".to_owned(),
            address: "Utrecht".to_owned(),
            ..Order::default()
        };
        assert_eq!(Behavior::of(Operation::Release, &order), Behavior::Flaky);
        assert_eq!(Behavior::of(Operation::Charge, &order), Behavior::Refusing);
        assert_eq!(Behavior::of(Operation::Ship, &order), Behavior::Healthy);
    }
}
