//! What people and scripts see of a benchmark. Must not live here: figures (`figures`).

use std::path::Path;

use serde_json::{Value, json};

use crate::server::console::Console;
use crate::server::text::count;

use super::args::{Form, Safety, Settings, StoreKind, Workload};
use super::figures::{Level, Ratio, SliceFigures, median};
use super::{fan_out, meter, signals, stored};

/// A disk that is none makes every figure a wrong one.
pub(super) fn warn_of_memory(settings: &Settings, directory: &Path, console: &Console) {
    if settings.store == StoreKind::Sled && meter::is_in_memory(directory) {
        let directory = directory.display();
        console.note(format!(
            "{directory} is in memory only, so that syncing costs nothing there: choose a disk with --data"
        ));
    }
}

/// Says what is measured, and what the columns of the table are.
pub(super) fn title(settings: &Settings, console: &Console) {
    let (store, form, durability) = names(settings);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workload = workload(settings);
    let beside = match (settings.engine_only, settings.workload) {
        (true, _) => ".",
        (_, Workload::Stored) => {
            "; the\nnew store is another engine's in the same process, in turns with the one that is full. Slices add to both: means."
        }
        _ => "; the\nbare file takes the same bytes in as many dependent, group-committed appends of as many clients.",
    };
    console.line(format!(
        "{workload} ({form}), store {store}, durability {durability}, {cores} cores. Medians of slices{beside}\n"
    ));
    console.line(heading(settings));
}

/// Shows one level, as soon as it is measured.
pub(super) fn level(settings: &Settings, level: &Level, console: &Console) {
    console.object(&as_json(settings, level));
    table(level).iter().for_each(|line| console.line(line));
    warn_of_unrest(level.rested(), console);
}

/// CPU time that may be another's.
pub(super) fn warn_of_unrest(rested: bool, console: &Console) {
    if !rested {
        let most = meter::REST_MAX.as_secs();
        console.note(format!(
            "the process was still at work {most} s after what was measured: CPU time that is told may be another slice's"
        ));
    }
}

fn workload(settings: &Settings) -> String {
    let steps = count(u64::from(settings.steps), "step");
    match settings.workload {
        Workload::Rollback => format!("Sagas of {steps}, the last one fails: rollback"),
        Workload::FanOut => format!("Sagas of {} steps at once", fan_out::BRANCHES),
        Workload::Signals => format!("Runs that receive {} signals", signals::SIGNALS),
        Workload::Stored => format!(
            "Sagas of {steps}, {} in flight, with ended runs in the store",
            stored::IN_FLIGHT
        ),
        _ => format!("Sagas of {steps}"),
    }
}

/// Store, form and durability.
pub(super) fn names(settings: &Settings) -> (&'static str, &'static str, &'static str) {
    let store = match settings.store {
        StoreKind::Sled => "sled",
        StoreKind::Memory => "memory",
    };
    let form = match settings.form {
        Form::Definition => "definition",
        Form::Code => "code",
    };
    let durability = match (settings.store, settings.durability) {
        (StoreKind::Memory, _) => "none",
        (StoreKind::Sled, Safety::Power) => "power",
        (StoreKind::Sled, Safety::Process) => "process",
    };
    (store, form, durability)
}

fn heading(settings: &Settings) -> String {
    let row = [
        match settings.workload {
            Workload::Stored => "stored",
            _ => "in flight",
        },
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

fn table(level: &Level) -> Vec<String> {
    let first = level.stored.map_or(u64::from(level.clients), |stored| stored.full);
    let mut engine = row(first.to_string(), "amends", &level.engine);
    let resident = level.footprint.resident_bytes;
    engine.push(resident.map_or_else(|| "?".to_owned(), |bytes| format!("{:.0}", bytes as f64 / 1_048_576.0)));
    engine.push(format!("{:.0}", level.footprint.disk_bytes_per_saga));
    let mut lines = vec![line(&engine)];
    if level.beside.is_empty() {
        return lines;
    }
    let (first, beside) = match level.stored {
        Some(stored) => (stored.new.map_or_else(String::new, |new| new.to_string()), "new store"),
        None => (String::new(), "bare file"),
    };
    lines.push(line(&row(first, beside, &level.beside)));
    lines.push(line(&ratios(level, "ratio", |ratio| ratio.median)));
    // Two stores differ by little: then it matters how far pairs are from each other.
    if level.stored.is_some() {
        lines.push(line(&ratios(level, "  least", |ratio| ratio.least)));
        lines.push(line(&ratios(level, "  most", |ratio| ratio.most)));
    }
    lines
}

fn ratios(level: &Level, name: &str, of: fn(Ratio) -> f64) -> Vec<String> {
    let ratio = |figure: fn(&SliceFigures) -> f64| {
        let ratio = level.ratio(figure);
        ratio.map_or_else(String::new, |ratio| format!("{:.2}x", of(ratio)))
    };
    vec![
        String::new(),
        name.to_owned(),
        ratio(|slice| slice.sagas_per_second),
        ratio(|slice| slice.p50),
        ratio(|slice| slice.p99),
        ratio(|slice| slice.commits_per_second),
        ratio(|slice| slice.syncs_per_second),
        ratio(|slice| slice.cpu_per_saga),
    ]
}

fn as_json(settings: &Settings, level: &Level) -> Value {
    let (store, form, durability) = names(settings);
    let mut object = json!({
        "workload": settings.workload.name(),
        "in_flight": level.clients,
        "stored_runs": level.stored.map(|stored| stored.full),
        "steps": settings.steps,
        "rollback": settings.rollback(),
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
        "rested": level.rested(),
    });
    if !level.beside.is_empty() {
        let beside = if level.stored.is_some() {
            "new_store"
        } else {
            "bare_file"
        };
        put(&mut object, "beside", json!(beside));
        put(&mut object, beside, side(&level.beside));
        if let Some(new) = level.stored.and_then(|stored| stored.new) {
            put(&mut object, "new_store_runs", json!(new));
        }
        for (name, ratio) in [
            ("p50_ratio", level.ratio(|slice| slice.p50)),
            ("cpu_ratio", level.ratio(|slice| slice.cpu_per_saga)),
            ("rate_ratio", level.ratio(|slice| slice.sagas_per_second)),
        ] {
            let Some(ratio) = ratio else { continue };
            put(&mut object, name, json!(rounded(ratio.median)));
            put(&mut object, &format!("{name}_least"), json!(rounded(ratio.least)));
            put(&mut object, &format!("{name}_most"), json!(rounded(ratio.most)));
        }
    }
    object
}

fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
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
pub(super) fn rounded(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::args::tests::settings;
    use super::super::figures::{Counters, Footprint, Latencies, Spent, Stored, Work};
    use super::*;

    fn sample() -> Level {
        let slice = |micros| {
            let mut latencies = Latencies::default();
            latencies.push(Duration::from_micros(micros));
            let counters = Counters { commits: 4, syncs: 4 };
            let cpu = Duration::from_micros(90);
            let slice = SliceFigures::new(
                Duration::from_secs(1),
                Spent {
                    cpu,
                    sagas: 1,
                    rested: true,
                },
                counters,
                latencies,
            );
            vec![slice.unwrap()]
        };
        Level {
            clients: 64,
            stored: None,
            work: Work {
                turns: 4,
                turn_bytes: 200,
            },
            engine: slice(1_500),
            beside: slice(1_000),
            footprint: Footprint {
                resident_bytes: Some(64 * 1_048_576),
                disk_bytes_per_saga: 1_234.5,
            },
        }
    }

    #[test]
    fn an_engine_alone_has_a_line_and_no_ratios() {
        let alone = Level {
            beside: Vec::new(),
            ..sample()
        };
        assert_eq!(table(&alone).len(), 1);
        let object = as_json(&settings("--engine-only"), &alone);
        let beside = "bare_file new_store beside p50_ratio cpu_ratio rate_ratio rate_ratio_least";
        for key in beside.split_whitespace() {
            assert_eq!(object.get(key), None, "{key}");
        }
    }

    #[test]
    fn a_level_is_three_lines_under_the_heading() {
        let expected = "
 in flight               sagas/s   p50 ms   p99 ms  commits/s  fdatasyncs/s  CPU us/saga  RSS MiB  disk B/saga
        64  amends             1    1.500    1.500          4             4         90.0       64         1234
            bare file          1    1.000    1.000          4             4         90.0
            ratio          1.00x    1.50x    1.50x      1.00x         1.00x        1.00x
";
        let lines = [vec![heading(&settings(""))], table(&sample())].concat();
        assert_eq!(format!("\n{}\n", lines.join("\n")), expected);
    }

    #[test]
    fn stored_runs_take_the_place_of_those_in_flight() {
        let level = Level {
            stored: Some(Stored {
                full: 1_000_000,
                new: Some(13_000),
            }),
            ..sample()
        };
        assert!(heading(&settings("--workload stored")).contains("   stored"));
        assert!(
            table(&level)[0].starts_with("   1000000  amends"),
            "{:?}",
            table(&level)
        );
        assert!(
            table(&level)[1].starts_with("     13000  new store"),
            "{:?}",
            table(&level)
        );
        let spread = &table(&level)[3..];
        let spread = [&spread[0], &spread[1]].map(|line| line.split_whitespace().take(2).collect::<Vec<_>>());
        assert_eq!(spread, [["least", "1.00x"], ["most", "1.00x"]]);
        let object = as_json(&settings("--workload stored"), &level);
        assert_eq!(
            (&object["stored_runs"], &object["new_store_runs"]),
            (&json!(1_000_000), &json!(13_000))
        );
    }

    /// Scripts rely on these names.
    #[test]
    fn programs_get_an_object_a_level() {
        let object = as_json(&settings("--rollback"), &sample());
        let keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = "bare_file beside cpu_ratio cpu_ratio_least cpu_ratio_most disk_bytes_per_saga durability engine \
                        form in_flight p50_ratio p50_ratio_least p50_ratio_most rate_ratio rate_ratio_least \
                        rate_ratio_most rested rollback rss_bytes sagas slices steps store stored_runs turn_bytes \
                        turns_per_saga workload";
        assert_eq!(keys, expected.split_whitespace().collect::<Vec<_>>());
        assert_eq!(
            (&object["workload"], &object["rollback"]),
            (&json!("rollback"), &json!(true))
        );
        assert_eq!(
            (&object["engine"]["p50_us"], &object["p50_ratio"]),
            (&json!(1_500.0), &json!(1.5))
        );
        let keys: Vec<&str> = object["engine"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let expected = "commits_per_second cpu_us_per_saga fdatasyncs_per_second p50_us p99_us sagas_per_second";
        assert_eq!(keys, expected.split_whitespace().collect::<Vec<_>>());
    }
}
