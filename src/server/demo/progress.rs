//! What the conductor knows of the orders, and how it is shown: one line that renews itself on a terminal, a line now and
//! then otherwise. Must not live here: deciding anything by it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::RunStatus;
use crate::server::console::{Console, FAINT, style_of};

/// What coordinators have said so far.
#[derive(Default)]
pub(super) struct Progress {
    orders: usize,
    /// The run that was acknowledged for each order, the first time.
    accepted: BTreeMap<String, String>,
    /// How each order ended, as far as it was said.
    closed: BTreeMap<String, String>,
    /// Orders whose run was another one when their start was repeated.
    changed: Vec<String>,
    shown: usize,
}

impl Progress {
    pub(super) fn new(orders: usize) -> Self {
        Self {
            orders,
            ..Self::default()
        }
    }

    /// Takes in what a coordinator said.
    pub(super) fn hear(&mut self, said: &Value) {
        let field = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        match field("type").as_str() {
            "accepted" => {
                let (order, run) = (field("order"), field("run"));
                match self.accepted.get(&order) {
                    Some(first) if *first != run => self.changed.push(order),
                    Some(_) => {}
                    None => drop(self.accepted.insert(order, run)),
                }
            }
            "closed" => drop(self.closed.insert(field("order"), field("status"))),
            _ => {}
        }
    }

    pub(super) fn closed(&self) -> usize {
        self.closed.len()
    }

    /// Orders that were accepted and have not ended, as far as it was said.
    pub(super) fn in_flight(&self) -> usize {
        let is_open = |order: &&String| !self.closed.contains_key(*order);
        self.accepted.keys().filter(is_open).count()
    }

    /// What is known in the end: the acknowledged runs, and the orders whose run changed.
    pub(super) fn into_acknowledged(self) -> (BTreeMap<String, String>, Vec<String>) {
        (self.accepted, self.changed)
    }

    /// Shows how far it is, if there is anything new.
    pub(super) fn show(&mut self, console: &Console) {
        let closed = self.closed();
        if console.can_replace() {
            return console.replace(&self.bar(console));
        }
        // Ten lines are enough for a log.
        let step = self.orders.div_ceil(10).max(1);
        if closed / step > self.shown / step {
            self.shown = closed;
            console.line(format!(
                "  {closed:>4}/{} closed: {}",
                self.orders,
                self.counts(console)
            ));
            console.object(&json!({"type": "progress", "closed": closed, "orders": self.orders}));
        }
    }

    fn bar(&self, console: &Console) -> String {
        const WIDTH: usize = 30;
        let filled = (self.closed() * WIDTH).checked_div(self.orders).unwrap_or(0).min(WIDTH);
        let bar = "#".repeat(filled);
        let rest = console.paint_error(FAINT, &"-".repeat(WIDTH - filled));
        format!(
            "  [{bar}{rest}] {:>4}/{} closed: {}",
            self.closed(),
            self.orders,
            self.counts(console)
        )
    }

    fn counts(&self, console: &Console) -> String {
        let counts = RunStatus::ALL.into_iter().filter_map(|status| {
            let number = self
                .closed
                .values()
                .filter(|closed| **closed == status.as_str())
                .count();
            let text = format!("{number} {status}");
            let shown = match console.can_replace() {
                true => console.paint_error(style_of(status), &text),
                false => console.paint(style_of(status), &text),
            };
            (number > 0).then_some(shown)
        });
        counts.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_words_count_once_and_changed_runs_are_noticed() {
        let mut progress = Progress::new(2);
        for (kind, order, rest) in [
            ("accepted", "a", "run-1"),
            ("accepted", "b", "run-2"),
            ("closed", "a", "completed"),
            ("accepted", "a", "run-1"),
            ("closed", "a", "completed"),
            ("accepted", "b", "run-3"),
        ] {
            progress.hear(&json!({"type": kind, "order": order, "run": rest, "status": rest}));
        }
        assert_eq!((progress.closed(), progress.in_flight()), (1, 1));
        let (accepted, changed) = progress.into_acknowledged();
        assert_eq!((accepted.len(), changed), (2, vec!["b".to_owned()]));
    }
}
