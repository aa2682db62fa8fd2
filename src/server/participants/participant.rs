//! One participant service: what a request does to its ledger and what it answers. Lives here: idempotency, refusals,
//! compensations that come first. Must not live here: HTTP, waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use super::ledger::NewEntry;
use super::{
    Behavior, Direction, EntryOutcome, FLAKY_REFUSALS, Ledger, LedgerEntry, LedgerError, Operation, Order, Service,
};

/// A service with its ledger.
#[derive(Debug)]
pub(super) struct Participant {
    service: Service,
    ledger: Ledger,
    /// The first answer of every key that was answered for good.
    answers: BTreeMap<String, FirstAnswer>,
    /// Forward operations that had their effect.
    applied: BTreeSet<(String, Operation)>,
    /// Forward operations whose compensation came first: they must not happen any more.
    forestalled: BTreeSet<(String, Operation)>,
    /// Requests seen with a key by this process: what flaky and slow behaviour counts.
    visits: BTreeMap<String, u32>,
}

#[derive(Clone, Debug)]
struct FirstAnswer {
    order_id: String,
    operation: Operation,
    answer: Answer,
}

/// A request, taken out of HTTP.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) key: String,
    pub(super) attempt: Option<u32>,
    pub(super) operation: Operation,
    pub(super) order: Order,
}

/// What to answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

/// How the answer travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    AtOnce,
    Late,
    Never,
}

impl Participant {
    /// Opens the service's ledger in `dir` and remembers what is in it.
    pub(super) fn open(dir: &Path, service: Service) -> Result<Self, LedgerError> {
        let (ledger, entries) = Ledger::open(dir, service)?;
        let mut participant = Self {
            service,
            ledger,
            answers: BTreeMap::new(),
            applied: BTreeSet::new(),
            forestalled: BTreeSet::new(),
            visits: BTreeMap::new(),
        };
        for entry in entries {
            participant.remember(entry);
        }
        Ok(participant)
    }

    /// Counts a request that has arrived: 1 for the first one with its key.
    pub(super) fn visit(&mut self, key: &str) -> u32 {
        let visits = self.visits.entry(key.to_owned()).or_default();
        *visits = visits.saturating_add(1);
        *visits
    }

    /// Does what the request asks, once per key, and says what to answer. Everything that must survive is on the disk.
    pub(super) fn handle(&mut self, request: &Request, visit: u32) -> Result<(Answer, Delivery), LedgerError> {
        if let Some(first) = self.answers.get(&request.key) {
            if first.operation != request.operation || first.order_id != request.order.order_id {
                let what = format!("the key was used for {} of {} before", first.operation, first.order_id);
                return Ok((problem(422, "IdempotencyKeyReused", &what), Delivery::AtOnce));
            }
            let answer = first.answer.clone();
            self.record(request, EntryOutcome::Repeated, &answer)?;
            return Ok((answer, Delivery::AtOnce));
        }
        let behavior = Behavior::of(request.operation, &request.order);
        let (outcome, answer) = self.decide(request, behavior, visit);
        self.record(request, outcome, &answer)?;
        let delivery = match (behavior, outcome, visit) {
            (Behavior::Dropping, EntryOutcome::Applied, 1) => Delivery::Never,
            (Behavior::Hanging, EntryOutcome::Applied, 1) => Delivery::Late,
            _ => Delivery::AtOnce,
        };
        Ok((answer, delivery))
    }

    fn decide(&self, request: &Request, behavior: Behavior, visit: u32) -> (EntryOutcome, Answer) {
        let operation = request.operation;
        let order_id = &request.order.order_id;
        if behavior == Behavior::Flaky && visit <= FLAKY_REFUSALS {
            let what = format!("{} is having a bad moment, try again", self.service);
            return (EntryOutcome::Unavailable, problem(503, "Unavailable", &what));
        }
        if behavior == Behavior::Final && operation.undoes().is_some() {
            let what = format!("{} does not take back what it has booked as final", self.service);
            return (EntryOutcome::Refused, problem(409, "Final", &what));
        }
        if behavior == Behavior::WithoutReceipt && operation == Operation::Receipt {
            let what = "there is no address to send the receipt to";
            return (EntryOutcome::Refused, problem(422, "NoAddress", what));
        }
        if let Some(forward) = operation.undoes() {
            // A second compensation under another key has its effect again, as it would at a careless participant: that is
            // how the audit finds a coordinator whose keys are not stable.
            let undone = self.applied.contains(&(order_id.clone(), forward));
            let outcome = match undone {
                true => EntryOutcome::Applied,
                false => EntryOutcome::NothingToUndo,
            };
            let body = json!({"order_id": order_id, "undone": undone});
            return (outcome, Answer { status: 200, body });
        }
        if self.forestalled.contains(&(order_id.clone(), operation)) {
            let what = format!("{operation} of {order_id} was undone before it came");
            return (EntryOutcome::Refused, problem(409, "OrderCancelled", &what));
        }
        if behavior == Behavior::Refusing {
            return (EntryOutcome::Refused, refusal(self.service, &request.order));
        }
        let body = receipt(operation, &request.order);
        (EntryOutcome::Applied, Answer { status: 200, body })
    }

    fn record(&mut self, request: &Request, outcome: EntryOutcome, answer: &Answer) -> Result<(), LedgerError> {
        let entry = self.ledger.append(NewEntry {
            key: request.key.clone(),
            order_id: request.order.order_id.clone(),
            operation: request.operation,
            attempt: request.attempt,
            outcome,
            status: answer.status,
            answer: answer.body.clone(),
        })?;
        self.remember(entry);
        Ok(())
    }

    /// Folds an entry into memory: the same after a restart as while running.
    fn remember(&mut self, entry: LedgerEntry) {
        let what = (entry.order_id.clone(), entry.operation);
        match (entry.outcome, entry.operation.undoes()) {
            (EntryOutcome::Repeated | EntryOutcome::Unavailable, _) => return,
            (EntryOutcome::Applied, _) if entry.direction == Direction::Forward => {
                self.applied.insert(what);
            }
            (EntryOutcome::NothingToUndo, Some(forward)) => {
                self.forestalled.insert((entry.order_id.clone(), forward));
            }
            _ => {}
        }
        let first = FirstAnswer {
            order_id: entry.order_id,
            operation: entry.operation,
            answer: Answer {
                status: entry.status,
                body: entry.answer,
            },
        };
        self.answers.insert(entry.key, first);
    }
}

/// An answer that says what is wrong, with a type for retry policies and handlers.
pub(super) fn problem(status: u16, type_name: &str, message: &str) -> Answer {
    let body = json!({"type": type_name, "message": message});
    Answer { status, body }
}

fn refusal(service: Service, order: &Order) -> Answer {
    match service {
        Service::Inventory => problem(409, "OutOfStock", &format!("{} is sold out", order.sku)),
        Service::Payment => problem(402, "CardDeclined", &format!("the card {} was declined", order.card)),
        Service::Shipping => problem(422, "Undeliverable", &format!("nobody delivers to {}", order.address)),
    }
}

fn receipt(operation: Operation, order: &Order) -> Value {
    let order_id = &order.order_id;
    match operation {
        Operation::Reserve => json!({
            "reservation_id": format!("reservation-{order_id}"), "sku": order.sku, "quantity": order.quantity,
        }),
        Operation::Charge => json!({"charge_id": format!("charge-{order_id}"), "amount_cents": order.amount_cents}),
        Operation::Ship => json!({"tracking_id": format!("parcel-{order_id}"), "address": order.address}),
        _ => json!({"order_id": order_id, "done": operation}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(operation: Operation, key: &str, card: &str) -> Request {
        Request {
            key: key.to_owned(),
            attempt: Some(1),
            operation,
            order: Order {
                order_id: "order-1".to_owned(),
                card: card.to_owned(),
                ..Order::default()
            },
        }
    }

    fn outcomes(dir: &Path) -> Vec<EntryOutcome> {
        Ledger::load(dir).unwrap().iter().map(|entry| entry.outcome).collect()
    }

    #[test]
    fn a_key_has_one_effect_and_one_answer_even_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let charge = request(Operation::Charge, "k1", "visa");
        let mut payment = Participant::open(dir.path(), Service::Payment).unwrap();
        let (first, _) = payment.handle(&charge, 1).unwrap();
        drop(payment);
        let mut payment = Participant::open(dir.path(), Service::Payment).unwrap();
        assert_eq!(payment.handle(&charge, 1).unwrap(), (first, Delivery::AtOnce));
        assert_eq!(outcomes(dir.path()), [EntryOutcome::Applied, EntryOutcome::Repeated]);

        let (reused, _) = payment.handle(&request(Operation::Refund, "k1", "visa"), 1).unwrap();
        assert_eq!(reused.status, 422);
        assert_eq!(outcomes(dir.path()).len(), 2, "a reused key does nothing");
    }

    #[test]
    fn a_compensation_that_comes_first_keeps_the_late_step_out_even_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut payment = Participant::open(dir.path(), Service::Payment).unwrap();
        let (answer, _) = payment.handle(&request(Operation::Refund, "k2", "visa"), 1).unwrap();
        assert_eq!((answer.status, answer.body["undone"].clone()), (200, json!(false)));
        drop(payment);
        let mut payment = Participant::open(dir.path(), Service::Payment).unwrap();
        let (late, _) = payment.handle(&request(Operation::Charge, "k1", "visa"), 1).unwrap();
        assert_eq!((late.status, late.body["type"].clone()), (409, json!("OrderCancelled")));
        assert_eq!(
            outcomes(dir.path()),
            [EntryOutcome::NothingToUndo, EntryOutcome::Refused]
        );
    }

    #[test]
    fn refusals_are_final_and_flaky_services_recover() {
        let dir = tempfile::tempdir().unwrap();
        let mut payment = Participant::open(dir.path(), Service::Payment).unwrap();
        let declined = request(Operation::Charge, "k1", "declined-4242");
        for visit in [1, 2] {
            let (answer, _) = payment.handle(&declined, visit).unwrap();
            assert_eq!(
                (answer.status, answer.body["type"].clone()),
                (402, json!("CardDeclined"))
            );
        }
        let mut flaky = request(Operation::Charge, "k2", "flaky-4242");
        flaky.order.order_id = "order-2".to_owned();
        let statuses: Vec<u16> = (0..3)
            .map(|_| {
                let visit = payment.visit(&flaky.key);
                payment.handle(&flaky, visit).unwrap().0.status
            })
            .collect();
        assert_eq!(statuses, [503, 503, 200]);
    }

    #[test]
    fn what_is_final_is_not_undone_and_some_cards_have_no_receipt() {
        let dir = tempfile::tempdir().unwrap();
        let mut payment = Participant::open(dir.path(), Service::Payment).unwrap();
        let mut ask = |operation, key, card| payment.handle(&request(operation, key, card), 1).unwrap().0.status;
        assert_eq!(ask(Operation::Charge, "k1", "final-4242"), 200);
        assert_eq!(ask(Operation::Refund, "k2", "final-4242"), 409);
        assert_eq!(ask(Operation::Receipt, "k3", "final-4242"), 200);
        assert_eq!(ask(Operation::Receipt, "k4", "noreceipt-4242"), 422);
    }

    #[test]
    fn unstable_keys_are_not_covered_up() {
        let dir = tempfile::tempdir().unwrap();
        let mut payment = Participant::open(dir.path(), Service::Payment).unwrap();
        payment.handle(&request(Operation::Charge, "k1", "visa"), 1).unwrap();
        payment.handle(&request(Operation::Charge, "k2", "visa"), 1).unwrap();
        assert_eq!(outcomes(dir.path()), [EntryOutcome::Applied, EntryOutcome::Applied]);
    }

    #[test]
    fn only_the_first_answer_goes_astray() {
        let dir = tempfile::tempdir().unwrap();
        let mut payment = Participant::open(dir.path(), Service::Payment).unwrap();
        for (card, expected) in [("drop-1", Delivery::Never), ("hang-1", Delivery::Late)] {
            let mut charge = request(Operation::Charge, card, card);
            charge.order.order_id = card.to_owned();
            let (first, delivery) = payment.handle(&charge, 1).unwrap();
            assert_eq!(delivery, expected);
            assert_eq!(payment.handle(&charge, 2).unwrap(), (first, Delivery::AtOnce));
        }
    }
}
