//! The audit: do the participants' ledgers agree with what the sagas say happened? A pure function. Must not live here:
//! reading either of them.

use std::collections::BTreeMap;

use super::{AuditReport, AuditRow, Direction, EntryOutcome, LedgerEntry, Operation, Violation, ViolationKind};

/// The steps of the demo's saga, each of which a completed order has exactly once.
pub const PLACE_ORDER: [Operation; 4] = [
    Operation::Reserve,
    Operation::Charge,
    Operation::Ship,
    Operation::Receipt,
];

#[derive(Clone, Debug, Default)]
struct Tally {
    applied: BTreeMap<Operation, u64>,
    /// Keys under which something was applied more than once.
    doubled_keys: BTreeMap<String, u64>,
}

impl Tally {
    fn count(&self, operation: Operation) -> u64 {
        self.applied.get(&operation).copied().unwrap_or_default()
    }
}

/// Compares the ledgers with the outcomes: every placed order's id with its status as text (`completed`, `amended`,
/// `stuck`, ...; `missing` for one that the coordinator does not know). `steps` are what a completed order has done.
///
/// - completed: each step exactly once, nothing undone;
/// - amended, failed, canceled, timed-out: every applied step undone exactly once;
/// - stuck, parked, terminated: nothing doubled (the rest waits for, or was decided by, a person);
/// - anything else at the end of a demo is an order that was lost or left unfinished.
#[must_use]
pub fn audit(ledgers: &[LedgerEntry], outcomes: &BTreeMap<String, String>, steps: &[Operation]) -> AuditReport {
    let tallies = tallies(ledgers);
    let mut report = AuditReport {
        repeated: count(ledgers, EntryOutcome::Repeated),
        unavailable: count(ledgers, EntryOutcome::Unavailable),
        nothing_to_undo: count(ledgers, EntryOutcome::NothingToUndo),
        ..AuditReport::default()
    };
    let mut rows: BTreeMap<&str, AuditRow> = BTreeMap::new();
    let nothing = Tally::default();
    for (order_id, status) in outcomes {
        let tally = tallies.get(order_id.as_str()).unwrap_or(&nothing);
        let violations = check(order_id, status, tally, steps);
        let row = rows.entry(status).or_insert_with(|| AuditRow {
            status: status.clone(),
            orders: 0,
            applied: BTreeMap::new(),
            violations: 0,
        });
        row.orders += 1;
        row.violations += violations.len() as u64;
        for (operation, times) in &tally.applied {
            *row.applied.entry(*operation).or_default() += times;
        }
        report.violations.extend(violations);
    }
    for (order_id, tally) in &tallies {
        if !outcomes.contains_key(*order_id) {
            let what = format!("nobody placed this order, but the participants did: {}", done(tally));
            report
                .violations
                .push(violation(order_id, ViolationKind::Unknown, what));
        }
    }
    report.rows = rows.into_values().collect();
    report
}

fn count(ledgers: &[LedgerEntry], outcome: EntryOutcome) -> u64 {
    ledgers.iter().filter(|entry| entry.outcome == outcome).count() as u64
}

fn tallies(ledgers: &[LedgerEntry]) -> BTreeMap<&str, Tally> {
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut keys: BTreeMap<&str, u64> = BTreeMap::new();
    for entry in ledgers {
        let tally = tallies.entry(&entry.order_id).or_default();
        if entry.outcome != EntryOutcome::Applied {
            continue;
        }
        *tally.applied.entry(entry.operation).or_default() += 1;
        let times = keys.entry(&entry.key).or_default();
        *times += 1;
        if *times > 1 {
            tally.doubled_keys.insert(entry.key.clone(), *times);
        }
    }
    tallies
}

fn check(order_id: &str, status: &str, tally: &Tally, steps: &[Operation]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut report = |kind, what: String| found.push(violation(order_id, kind, what));
    for (key, times) in &tally.doubled_keys {
        report(
            ViolationKind::Doubled,
            format!("applied {times} times under the key {key}"),
        );
    }
    for operation in Operation::ALL {
        let times = tally.count(operation);
        if times > 1 {
            report(ViolationKind::Doubled, format!("{operation} was applied {times} times"));
        }
    }
    match status {
        "completed" => {
            for step in steps.iter().filter(|step| tally.count(**step) == 0) {
                report(ViolationKind::Lost, format!("completed, but {step} was never applied"));
            }
            for (operation, _) in applied(tally, Direction::Compensation) {
                report(
                    ViolationKind::WronglyUndone,
                    format!("completed, but {operation} was applied"),
                );
            }
        }
        "amended" | "failed" | "canceled" | "timed-out" => {
            for (operation, times) in applied(tally, Direction::Forward) {
                let undone = operation
                    .undone_by()
                    .map_or(0, |compensation| tally.count(compensation));
                if undone < times {
                    report(
                        ViolationKind::NotUndone,
                        format!("{status}, but {operation} was left standing"),
                    );
                }
            }
        }
        "stuck" | "parked" | "terminated" => {}
        "missing" => report(
            ViolationKind::Lost,
            format!("accepted, but the coordinator does not know it; done: {}", done(tally)),
        ),
        other => report(
            ViolationKind::Unfinished,
            format!("the status is {other:?}, which is not an end; done: {}", done(tally)),
        ),
    }
    for (operation, times) in applied(tally, Direction::Compensation) {
        let forward = operation.undoes().map_or(0, |forward| tally.count(forward));
        if times > forward {
            let what = format!("{operation} was applied {times} times for {forward} of what it undoes");
            report(ViolationKind::WronglyUndone, what);
        }
    }
    found
}

fn applied(tally: &Tally, direction: Direction) -> impl Iterator<Item = (Operation, u64)> {
    tally
        .applied
        .iter()
        .map(|(operation, times)| (*operation, *times))
        .filter(move |(operation, _)| operation.direction() == direction)
}

fn done(tally: &Tally) -> String {
    match tally.applied.is_empty() {
        true => "nothing".to_owned(),
        false => {
            let words: Vec<&str> = tally.applied.keys().map(|operation| operation.as_str()).collect();
            words.join(", ")
        }
    }
}

fn violation(order_id: &str, kind: ViolationKind, what: String) -> Violation {
    Violation {
        order_id: order_id.to_owned(),
        kind,
        what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Operation as O;
    use ViolationKind as V;

    fn entry(order_id: &str, operation: Operation, key: &str, outcome: EntryOutcome) -> LedgerEntry {
        LedgerEntry {
            sequence: 1,
            key: key.to_owned(),
            order_id: order_id.to_owned(),
            operation,
            direction: operation.direction(),
            attempt: Some(1),
            outcome,
            status: 200,
            answer: serde_json::Value::Null,
        }
    }

    /// The audit of one order `a` with this status, for which these operations were applied, each under its own key.
    fn audit_one(status: &str, operations: &[Operation]) -> AuditReport {
        let entries: Vec<LedgerEntry> = operations
            .iter()
            .enumerate()
            .map(|(index, operation)| entry("a", *operation, &format!("key-{index}"), EntryOutcome::Applied))
            .collect();
        audit(
            &entries,
            &BTreeMap::from([("a".to_owned(), status.to_owned())]),
            &PLACE_ORDER,
        )
    }

    fn kinds(report: &AuditReport) -> Vec<ViolationKind> {
        report.violations.iter().map(|violation| violation.kind).collect()
    }

    #[test]
    fn every_promise_and_its_breach() {
        let all = [O::Reserve, O::Charge, O::Ship, O::Receipt];
        let cases: [(&str, &[Operation], &[ViolationKind]); 16] = [
            ("completed", &all, &[]),
            ("completed", &[O::Reserve, O::Ship, O::Receipt], &[V::Lost]),
            (
                "completed",
                &[O::Reserve, O::Charge, O::Charge, O::Ship, O::Receipt],
                &[V::Doubled],
            ),
            (
                "completed",
                &[O::Reserve, O::Charge, O::Ship, O::Receipt, O::Refund],
                &[V::WronglyUndone],
            ),
            ("amended", &[], &[]),
            ("amended", &[O::Reserve, O::Release], &[]),
            ("amended", &[O::Reserve, O::Charge, O::Refund, O::Release], &[]),
            ("amended", &[O::Reserve, O::Charge, O::Release], &[V::NotUndone]),
            (
                "amended",
                &[O::Reserve, O::Release, O::Release],
                &[V::Doubled, V::WronglyUndone],
            ),
            ("amended", &[O::Release], &[V::WronglyUndone]),
            ("amended", &[O::Reserve, O::Release, O::Receipt], &[V::NotUndone]),
            ("stuck", &[O::Reserve], &[]),
            ("stuck", &[O::Reserve, O::Reserve], &[V::Doubled]),
            ("running", &[O::Reserve], &[V::Unfinished]),
            ("missing", &[], &[V::Lost]),
            ("canceled", &[O::Charge], &[V::NotUndone]),
        ];
        for (status, operations, expected) in cases {
            let report = audit_one(status, operations);
            assert_eq!(kinds(&report), expected, "{status} {operations:?}: {report}");
        }
    }

    #[test]
    fn one_key_has_one_effect_and_orders_are_known() {
        let entries = [
            entry("a", O::Reserve, "same", EntryOutcome::Applied),
            entry("a", O::Reserve, "same", EntryOutcome::Applied),
            entry("ghost", O::Charge, "other", EntryOutcome::Applied),
        ];
        let report = audit(
            &entries,
            &BTreeMap::from([("a".to_owned(), "stuck".to_owned())]),
            &PLACE_ORDER,
        );
        assert_eq!(kinds(&report), [V::Doubled, V::Doubled, V::Unknown]);
        assert!(
            report.to_string().contains("ghost: nobody placed this order"),
            "{report}"
        );
    }

    #[test]
    fn requests_without_effect_are_counted_but_harmless() {
        let entries = [
            entry("a", O::Reserve, "1", EntryOutcome::Unavailable),
            entry("a", O::Reserve, "1", EntryOutcome::Applied),
            entry("a", O::Reserve, "1", EntryOutcome::Repeated),
            entry("a", O::Charge, "2", EntryOutcome::Refused),
            entry("a", O::Refund, "3", EntryOutcome::NothingToUndo),
            entry("a", O::Release, "4", EntryOutcome::Applied),
        ];
        let report = audit(
            &entries,
            &BTreeMap::from([("a".to_owned(), "amended".to_owned())]),
            &PLACE_ORDER,
        );
        assert!(report.is_clean(), "{report}");
        assert_eq!((report.repeated, report.unavailable, report.nothing_to_undo), (1, 1, 1));
        assert_eq!(report.orders("amended"), 1);
    }
}
