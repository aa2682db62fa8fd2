//! What a workload that is measured once has found: named facts, for people and for programs. Must not live here: tables
//! of closed loops (`report`), measuring.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::server::console::Console;

use super::args::Settings;
use super::figures::{Latencies, Ratio, SliceFigures, Spent};
use super::filling::Sides;
use super::report::{names, rounded, warn_of_unrest};

/// Facts in the order in which they are told.
pub(super) struct Facts {
    title: String,
    lines: Vec<(String, String)>,
    object: Map<String, Value>,
    /// Whether all CPU time was counted from rest to rest.
    rested: bool,
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
            rested: true,
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
        self.percentiles(key, label, latencies.percentiles([50, 99, 100]));
    }

    /// The same of figures that are known, in microseconds.
    pub(super) fn percentiles(&mut self, key: &str, label: &str, [p50, p99, max]: [f64; 3]) {
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

    /// CPU time of each of some things.
    pub(super) fn cpu(&mut self, key: &str, label: &str, spent: Spent) {
        self.rested &= spent.rested;
        self.amount(key, label, spent.each(), "us");
    }

    /// Medians of both sides of a comparison, and of the ratios of neighbours; only the first where the other is empty.
    pub(super) fn sides(&mut self, keys: [&str; 3], labels: [&str; 3], sides: &Sides) {
        let [engine, bare, ratio] = keys;
        if let Some(figures) = SliceFigures::medians(&sides.engine) {
            self.side(engine, labels[0], &figures);
        }
        if let Some(figures) = SliceFigures::medians(&sides.bare) {
            self.side(bare, labels[1], &figures);
        }
        let of = |figure: fn(&SliceFigures) -> f64| Ratio::of(&sides.engine, &sides.bare, figure);
        let rate = of(|slice| slice.sagas_per_second);
        let (p50, p99) = (of(|slice| slice.p50), of(|slice| slice.p99));
        if let (Some(rate), Some(p50), Some(p99), Some(cpu)) = (rate, p50, p99, of(|slice| slice.cpu_per_saga)) {
            let [rate, p50, p99, cpu] = [rate, p50, p99, cpu].map(|ratio| rounded(ratio.median));
            let pairs = sides.bare.len();
            let value = json!({ "rate": rate, "p50": p50, "p99": p99, "cpu": cpu, "pairs": pairs });
            let shown = format!("{rate:.2}x, p50 {p50:.2}x, p99 {p99:.2}x, CPU {cpu:.2}x");
            self.put(ratio, labels[2], value, shown);
        }
    }

    /// What one side of a comparison did, as `starts` or `appends`: rate, latency and cost.
    pub(super) fn side(&mut self, key: &str, label: &str, figures: &SliceFigures) {
        self.rested &= figures.rested;
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
        let mut object = self.object.clone();
        object.insert("rested".to_owned(), json!(self.rested));
        Value::Object(object)
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
        warn_of_unrest(self.rested, console);
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
    use super::super::figures::Counters;
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        let numbers = [0, 999, 1_000, 12_345, 1_234_567];
        assert_eq!(numbers.map(grouped), ["0", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn sides_are_compared_by_medians_of_neighbours() {
        let slice = |millis, rested| {
            let mut latencies = Latencies::default();
            latencies.push(Duration::from_millis(millis));
            let spent = Spent {
                cpu: Duration::from_micros(10 * millis),
                sagas: 1,
                rested,
            };
            SliceFigures::new(Duration::from_millis(millis), spent, Counters::default(), latencies)
        };
        let slices = |of: [u64; 3]| of.into_iter().filter_map(|millis| slice(millis, millis != 9)).collect();
        let sides = Sides {
            engine: slices([10, 20, 9]),
            bare: slices([5, 2, 9]),
        };
        let told = |sides: &Sides| {
            let mut facts = Facts::new(&settings("--workload parked --store memory"), "3 runs");
            facts.sides(["started", "bare", "ratio"], ["started", "bare file", "  ratio"], sides);
            (facts.table(), facts.object())
        };
        let (table, object) = told(&sides);
        assert!(
            table.contains("  ratio    0.50x, p50 2.00x, p99 2.00x, CPU 2.00x"),
            "{table}"
        );
        assert_eq!(
            (&object["ratio"]["p50"], &object["ratio"]["pairs"]),
            (&json!(2.0), &json!(3))
        );
        assert_eq!(
            (&object["bare"]["p50_us"], &object["rested"]),
            (&json!(5_000.0), &json!(false))
        );
        let alone = Sides {
            bare: Vec::new(),
            ..sides
        };
        let (table, object) = told(&alone);
        assert!(!table.contains("bare") && !table.contains("ratio"), "{table}");
        assert!(
            object.get("ratio").is_none() && object.get("bare").is_none(),
            "{object}"
        );
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
            "wake_p50_us": 51_000.0, "wake_p99_us": 100_000.0, "wake_max_us": 101_000.0, "audit": "clean", "rested": true,
        });
        assert_eq!(facts.object(), expected);
    }
}
