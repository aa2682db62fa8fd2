//! The demo's last scene: what the journal says, what the ledgers say, and whether they agree. Must not live here: the
//! rules of the audit (those are `participants::audit`'s).

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::{Error, Offline};
use crate::model::RunStatus;
use crate::server::console::{BAD, Console, GOOD, STRONG};
use crate::server::exit::{Exit, Refusal};
use crate::server::participants::{AuditReport, Ledger, PLACE_ORDER, audit};
use crate::server::text::{count, duration};

use super::Stage;
use super::conductor::Played;

/// What the journal says about the orders.
struct Journal {
    /// The status of each order; `missing` for one without a run.
    outcomes: BTreeMap<String, String>,
    /// Orders whose run is not the one that was acknowledged.
    lost: Vec<String>,
    /// What `amends verify` has to say.
    problems: Vec<String>,
    runs: u64,
    turns: u64,
}

/// Audits, and prints what came of it.
pub(super) fn report(stage: &Stage<'_>, played: &Played, took: Duration) -> Result<Exit, Refusal> {
    let console = stage.console;
    let journal = read_journal(stage, played)?;
    let ledgers = Ledger::load(&stage.workspace.ledgers()).map_err(|error| Refusal::failed(error.to_string()))?;
    let report = audit(&ledgers, &journal.outcomes, &PLACE_ORDER);
    let number = |status: RunStatus| report.orders(status.as_str());
    let (completed, amended) = (number(RunStatus::Completed), number(RunStatus::Amended));
    let stuck = number(RunStatus::Stuck) + number(RunStatus::Parked);
    let all = journal.outcomes.len() as u64;
    let other = all - completed - amended - stuck;
    let is_clean = report.is_clean() && journal.lost.is_empty() && journal.problems.is_empty();
    console.line("");
    console.line(console.paint(
        STRONG,
        "What the sagas say, and how often their steps and compensations had an effect at the participants:",
    ));
    console.line("");
    report
        .to_string()
        .lines()
        .for_each(|line| console.line(format!("  {line}")));
    console.line("");
    absorbed(&report, console);
    for problem in journal.problems.iter().chain(&journal.lost) {
        console.line(format!("  {} {problem}", console.paint(BAD, "journal:")));
    }
    console.line(format!(
        "  journal verified: {}, {}, {}",
        count(journal.runs, "run"),
        count(journal.turns, "turn"),
        count(journal.problems.len() as u64, "problem")
    ));
    let verdict = match is_clean {
        true => console.paint(GOOD, "audit clean: nothing lost, nothing doubled"),
        false => console.paint(BAD, "the audit found violations"),
    };
    console.line(format!(
        "  {}: {completed} completed, {amended} amended, {stuck} stuck, {other} other; coordinator killed {}; {}",
        count(all, "order"),
        count(u64::from(played.kills), "time"),
        duration(took)
    ));
    console.line(format!("  {verdict}"));
    objects(&report, &journal, console);
    console.object(&json!({
        "type": "summary", "orders": all, "completed": completed, "amended": amended, "stuck": stuck, "other": other,
        "kills": played.kills, "clean": is_clean, "milliseconds": took.as_millis(),
    }));
    Ok(match (is_clean, stuck) {
        (true, 0) => Exit::Done,
        (true, _) => Exit::Stuck,
        (false, _) => Exit::Failed,
    })
}

fn read_journal(stage: &Stage<'_>, played: &Played) -> Result<Journal, Refusal> {
    let offline = Offline::open(stage.workspace.journal())?;
    let verified = offline.verify(&mut |_| {})?;
    let mut outcomes = BTreeMap::new();
    let mut lost: Vec<String> = played
        .changed
        .iter()
        .map(|order| format!("{order}: its start, repeated, was answered with another run"))
        .collect();
    for order in &stage.orders {
        let id = &order.order_id;
        let (status, run) = match offline.find(id) {
            Ok(head) => (head.status.as_str(), Some(head.run_id.to_string())),
            Err(Error::NotFound(_)) => ("missing", None),
            Err(error) => return Err(error.into()),
        };
        let acknowledged = played.acknowledged.get(id);
        if acknowledged.is_some() && acknowledged != run.as_ref() {
            lost.push(format!("{id}: the run that was acknowledged is not there"));
        }
        outcomes.insert(id.clone(), status.to_owned());
    }
    Ok(Journal {
        outcomes,
        lost,
        problems: verified.problems.iter().map(ToString::to_string).collect(),
        runs: verified.runs,
        turns: verified.turns,
    })
}

/// What went wrong on the way and did no harm.
fn absorbed(report: &AuditReport, console: &Console) {
    console.line(format!(
        "  on the way: {} turned away and tried again, {} absorbed by {} idempotency key, {} with nothing to undo",
        count(report.unavailable, "request"),
        count(report.repeated, "repetition"),
        if report.repeated == 1 { "its" } else { "their" },
        count(report.nothing_to_undo, "compensation")
    ));
}

fn objects(report: &AuditReport, journal: &Journal, console: &Console) {
    for row in &report.rows {
        let applied: BTreeMap<&str, u64> = row
            .applied
            .iter()
            .map(|(operation, times)| (operation.as_str(), *times))
            .collect();
        console.object(&json!({
            "type": "audit", "status": row.status, "orders": row.orders, "applied": applied, "violations": row.violations,
        }));
    }
    let violation =
        |order: Option<&str>, what: &str| -> Value { json!({"type": "violation", "order": order, "what": what}) };
    for found in &report.violations {
        console.object(&violation(Some(&found.order_id), &found.what));
    }
    for what in journal.problems.iter().chain(&journal.lost) {
        console.object(&violation(None, what));
    }
}
