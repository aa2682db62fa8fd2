//! What a workload that is measured once has found: named facts, for people and for programs. Must not live here: tables
//! of closed loops (`report`), measuring.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::server::console::Console;

use super::args::Settings;
use super::figures::{Latencies, SliceFigures};
use super::report::{names, rounded};

/// Facts in the order in which they are told.
pub(super) struct Facts {
    title: String,
    lines: Vec<(String, String)>,
    object: Map<String, Value>,
}

impl Facts {
    /// Begins with what is measured: `title` says it in a sentence.
    pub(super) fn new(settings: &Settings, title: impl Into<String>) -> Self {
        let (store, form, durability) = names(settings);
        let mut object = Map::new();
        let mut put = |key: &str, value: Value| drop(object.insert(key.to_owned(), value));
        put("workload", json!(settings.workload.name()));
        put("store", json!(store));
        put("form", json!(form));
        put("durability", json!(durability));
        Self {
            title: format!("{} ({form}), store {store}, durability {durability}.", title.into()),
            lines: Vec::new(),
            object,
        }
    }

    fn put(&mut self, key: &str, label: &str, value: Value, shown: String) {
        self.object.insert(key.to_owned(), value);
        self.lines.push((label.to_owned(), shown));
    }

    /// How many.
    pub(super) fn number(&mut self, key: &str, label: &str, number: u64) {
        self.put(key, label, json!(number), grouped(number));
    }

    /// A rate or a number per something, which has decimals when it is small.
    pub(super) fn amount(&mut self, key: &str, label: &str, amount: f64, unit: &str) {
        let shown = match amount.abs() >= 100.0 {
            true => format!("{amount:.0} {unit}"),
            false => format!("{amount:.2} {unit}"),
        };
        self.put(key, label, json!(rounded(amount)), shown.trim_end().to_owned());
    }

    /// A time that people would measure in milliseconds or seconds; programs get milliseconds.
    pub(super) fn time(&mut self, key: &str, label: &str, time: Duration) {
        let millis = time.as_secs_f64() * 1e3;
        self.put(key, label, json!(rounded(millis)), shown_micros(millis * 1e3));
    }

    /// Median, 99th percentile and maximum; programs get microseconds under `key_p50_us` and so on.
    pub(super) fn latencies(&mut self, key: &str, label: &str, latencies: Latencies) {
        let [p50, p99, max] = latencies.percentiles([50, 99, 100]);
        for (name, micros) in [("p50", p50), ("p99", p99), ("max", max)] {
            self.object.insert(format!("{key}_{name}_us"), json!(rounded(micros)));
        }
        let [p50, p99, max] = [p50, p99, max].map(shown_micros);
        self.lines
            .push((label.to_owned(), format!("p50 {p50}, p99 {p99}, at most {max}")));
    }

    /// Bytes, where they could be found out.
    pub(super) fn bytes(&mut self, key: &str, label: &str, bytes: Option<u64>) {
        let shown = bytes.map_or_else(
            || "?".to_owned(),
            |bytes| format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        );
        self.put(key, label, json!(bytes), shown);
    }

    /// What one side of a comparison did, as `starts` or `appends`: rate, latency and cost.
    pub(super) fn side(&mut self, key: &str, label: &str, figures: &SliceFigures) {
        let rate = rounded(figures.sagas_per_second);
        let (p50, p99) = (rounded(figures.p50), rounded(figures.p99));
        let cpu = rounded(figures.cpu_per_saga);
        let value = json!({ "per_second": rate, "p50_us": p50, "p99_us": p99, "cpu_us_each": cpu });
        let shown = format!(
            "{rate:.0} per second, p50 {}, p99 {}, CPU {cpu:.1} us each",
            shown_micros(p50),
            shown_micros(p99)
        );
        self.put(key, label, value, shown);
    }

    /// A word, such as a verdict.
    pub(super) fn word(&mut self, key: &str, label: &str, word: &str) {
        self.put(key, label, json!(word), word.to_owned());
    }

    /// What programs get.
    pub(super) fn object(&self) -> Value {
        Value::Object(self.object.clone())
    }

    /// What people get.
    pub(super) fn table(&self) -> String {
        let width = self.lines.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
        let lines = self.lines.iter();
        let lines: Vec<String> = lines
            .map(|(label, shown)| format!("  {label:<width$}  {shown}"))
            .collect();
        format!("{}\n\n{}", self.title, lines.join("\n"))
    }

    /// Tells them.
    pub(super) fn show(&self, console: &Console) {
        console.object(&self.object());
        console.line(self.table());
    }
}

/// With a comma between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn shown_micros(micros: f64) -> String {
    match micros {
        small if small < 1_000.0 => format!("{small:.0} us"),
        medium if medium < 1_000_000.0 => format!("{:.2} ms", medium / 1e3),
        large => format!("{:.2} s", large / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::super::args::tests::settings;
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        let numbers = [0, 999, 1_000, 12_345, 1_234_567];
        assert_eq!(numbers.map(grouped), ["0", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn people_and_programs_are_told_the_same() {
        let mut facts = Facts::new(&settings("--workload parked --store memory"), "3 runs that wait");
        facts.number("runs", "runs", 12_345);
        facts.amount("rss_per_run", "memory of each", 56.789, "B");
        facts.time("opened_ms", "opened", Duration::from_micros(2_500));
        facts.bytes("disk_bytes", "on disk", Some(3 * 1_048_576));
        facts.bytes("rss_bytes", "in memory", None);
        let mut latencies = Latencies::default();
        (1..=101).for_each(|millis| latencies.push(Duration::from_millis(millis)));
        facts.latencies("wake", "waking", latencies);
        facts.word("audit", "audit", "clean");
        let expected = "
3 runs that wait (definition), store memory, durability none.

  runs            12,345
  memory of each  56.79 B
  opened          2.50 ms
  on disk         3.0 MiB
  in memory       ?
  waking          p50 51.00 ms, p99 100.00 ms, at most 101.00 ms
  audit           clean
";
        assert_eq!(format!("\n{}\n", facts.table()), expected);
        let expected = json!({
            "workload": "parked", "store": "memory", "form": "definition", "durability": "none",
            "runs": 12_345, "rss_per_run": 56.79, "opened_ms": 2.5, "disk_bytes": 3_145_728, "rss_bytes": null,
            "wake_p50_us": 51_000.0, "wake_p99_us": 100_000.0, "wake_max_us": 101_000.0, "audit": "clean",
        });
        assert_eq!(facts.object(), expected);
    }
}
