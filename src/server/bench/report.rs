//! What people and scripts see of a benchmark. Must not live here: figures (`figures`).

use std::path::Path;

use serde_json::{Value, json};

use super::figures::{Level, SliceFigures, median};
use super::{BenchArgs, Form, Safety, StoreKind, meter};
use crate::server::console::Console;

/// Says what is measured, and what the columns of the table are.
pub(super) fn title(args: &BenchArgs, directory: &Path, console: &Console) {
    if args.store == StoreKind::Sled && meter::is_in_memory(directory) {
        let directory = directory.display();
        console.note(format!(
            "{directory} is in memory only, so that syncing costs nothing there: choose a disk with --data"
        ));
    }
    let (store, form, durability) = names(args);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workload = workload(args);
    console.line(format!(
        "Sagas of {workload} ({form}), store {store}, durability {durability}, {cores} cores. Medians of slices; the\n\
         bare file takes the same bytes in as many dependent, group-committed appends of as many clients.\n"
    ));
    console.line(heading());
}

/// Shows one level, as soon as it is measured.
pub(super) fn level(args: &BenchArgs, level: &Level, console: &Console) {
    console.object(&as_json(args, level));
    table(level).iter().for_each(|line| console.line(line));
}

fn workload(args: &BenchArgs) -> String {
    match args.rollback {
        true => format!("{} steps, the last one fails: rollback", args.steps),
        false => format!("{} steps", args.steps),
    }
}

fn names(args: &BenchArgs) -> (&'static str, &'static str, &'static str) {
    let store = match args.store {
        StoreKind::Sled => "sled",
        StoreKind::Memory => "memory",
    };
    let form = match args.form {
        Form::Definition => "definition",
        Form::Code => "code",
    };
    let durability = match (args.store, args.durability) {
        (StoreKind::Memory, _) => "none",
        (StoreKind::Sled, Safety::Power) => "power",
        (StoreKind::Sled, Safety::Process) => "process",
    };
    (store, form, durability)
}

fn heading() -> String {
    let row = [
        "in flight",
        "",
        "sagas/s",
        "p50 ms",
        "p99 ms",
        "commits/s",
        "fdatasyncs/s",
        "CPU us/saga",
        "RSS MiB",
        "disk B/saga",
    ];
    line(&row.map(str::to_owned))
}

const WIDTHS: [usize; 10] = [9, 10, 9, 8, 8, 10, 13, 12, 8, 12];

fn line(cells: &[String]) -> String {
    let mut line = String::new();
    for (column, (cell, width)) in cells.iter().zip(WIDTHS).enumerate() {
        match column {
            1 => line.push_str(&format!("  {cell:<width$}")),
            _ => line.push_str(&format!(" {cell:>width$}")),
        }
    }
    line.truncate(line.trim_end().len());
    line
}

fn row(first: String, name: &str, slices: &[SliceFigures]) -> Vec<String> {
    let rate = |figure: fn(&SliceFigures) -> f64| format!("{:.0}", median(slices, figure));
    let millis = |figure: fn(&SliceFigures) -> f64| format!("{:.3}", median(slices, figure) / 1_000.0);
    vec![
        first,
        name.to_owned(),
        rate(|slice| slice.sagas_per_second),
        millis(|slice| slice.p50),
        millis(|slice| slice.p99),
        rate(|slice| slice.commits_per_second),
        rate(|slice| slice.syncs_per_second),
        format!("{:.1}", median(slices, |slice| slice.cpu_per_saga)),
    ]
}

fn table(level: &Level) -> [String; 3] {
    let mut engine = row(level.clients.to_string(), "amends", &level.engine);
    let resident = level.footprint.resident_bytes;
    engine.push(resident.map_or_else(|| "?".to_owned(), |bytes| format!("{:.0}", bytes as f64 / 1_048_576.0)));
    engine.push(format!("{:.0}", level.footprint.disk_bytes_per_saga));
    let bare = row(String::new(), "bare file", &level.bare);
    let ratio = |figure: fn(&SliceFigures) -> f64| format!("{:.2}x", level.ratio(figure));
    let ratios = [
        String::new(),
        "ratio".to_owned(),
        ratio(|slice| slice.sagas_per_second),
        ratio(|slice| slice.p50),
        ratio(|slice| slice.p99),
        ratio(|slice| slice.commits_per_second),
        ratio(|slice| slice.syncs_per_second),
        ratio(|slice| slice.cpu_per_saga),
    ];
    [line(&engine), line(&bare), line(&ratios)]
}

fn as_json(args: &BenchArgs, level: &Level) -> Value {
    let (store, form, durability) = names(args);
    json!({
        "in_flight": level.clients,
        "steps": args.steps,
        "rollback": args.rollback,
        "store": store,
        "form": form,
        "durability": durability,
        "turns_per_saga": level.work.turns,
        "turn_bytes": level.work.turn_bytes,
        "slices": level.engine.len(),
        "sagas": level.engine.iter().map(|slice| slice.sagas).sum::<usize>(),
        "engine": side(&level.engine),
        "rss_bytes": level.footprint.resident_bytes,
        "disk_bytes_per_saga": rounded(level.footprint.disk_bytes_per_saga),
        "bare_file": side(&level.bare),
        "p50_ratio": rounded(level.ratio(|slice| slice.p50)),
        "cpu_ratio": rounded(level.ratio(|slice| slice.cpu_per_saga)),
    })
}

fn side(slices: &[SliceFigures]) -> Value {
    let figure = |figure: fn(&SliceFigures) -> f64| rounded(median(slices, figure));
    json!({
        "sagas_per_second": figure(|slice| slice.sagas_per_second),
        "p50_us": figure(|slice| slice.p50),
        "p99_us": figure(|slice| slice.p99),
        "commits_per_second": figure(|slice| slice.commits_per_second),
        "fdatasyncs_per_second": figure(|slice| slice.syncs_per_second),
        "cpu_us_per_saga": figure(|slice| slice.cpu_per_saga),
    })
}

/// More digits would only look like precision.
fn rounded(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::figures::{Counters, Footprint, Latencies, Work};
    use super::*;

    #[test]
    fn a_level_is_three_lines_under_the_heading() {
        let slice = |micros| {
            let mut latencies = Latencies::default();
            latencies.push(Duration::from_micros(micros));
            let counters = Counters { commits: 4, syncs: 4 };
            let slice = SliceFigures::new(Duration::from_secs(1), Duration::from_micros(90), counters, latencies);
            vec![slice.unwrap()]
        };
        let level = Level {
            clients: 64,
            work: Work {
                turns: 4,
                turn_bytes: 200,
            },
            engine: slice(1_500),
            bare: slice(1_000),
            footprint: Footprint {
                resident_bytes: Some(64 * 1_048_576),
                disk_bytes_per_saga: 1_234.5,
            },
        };
        let expected = "
 in flight               sagas/s   p50 ms   p99 ms  commits/s  fdatasyncs/s  CPU us/saga  RSS MiB  disk B/saga
        64  amends             1    1.500    1.500          4             4         90.0       64         1234
            bare file          1    1.000    1.000          4             4         90.0
            ratio          1.00x    1.50x    1.50x      1.00x         1.00x        1.00x
";
        let lines = [[heading()].as_slice(), &table(&level)].concat();
        assert_eq!(format!("\n{}\n", lines.join("\n")), expected);
    }
}
