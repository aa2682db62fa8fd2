//! How cost grows with the number in flight and with the store, measured for a plot. Must not live here: drawing (`plot`),
//! the measurements themselves (`closed_loop`, `stored`).

use std::path::Path;

use crate::server::console::Console;

use super::args::{Settings, Workload};
use super::closed_loop::one_level;
use super::figures::{Level, median};
use super::plot::{Panel, Scale, draw};
use super::slice::Timing;
use super::steps::Steps;
use super::{BenchError, Scratch, report, stored};

/// In flight, from alone to more than there are places in the engine's queues.
const IN_FLIGHT: [u32; 8] = [1, 4, 16, 64, 256, 1_024, 4_096, 10_000];

pub(super) async fn measure(
    settings: &Settings,
    file: &Path,
    scratch: &Scratch,
    console: &Console,
) -> Result<(), BenchError> {
    // A file that cannot be written is known before minutes are spent.
    std::fs::write(file, "").map_err(|error| BenchError::file(file, &error))?;
    report::title(settings, console);
    let mut by_clients = Vec::new();
    for clients in IN_FLIGHT {
        let directory = scratch.directory(&clients.to_string())?;
        let timing = Timing::of(settings, clients);
        let level = one_level(settings, Steps::of(settings), clients, timing, &directory, console).await?;
        report::level(settings, &level, console);
        by_clients.push(level);
        let _ = std::fs::remove_dir_all(&directory);
    }
    let settings = Settings {
        workload: Workload::Stored,
        ..settings.clone()
    };
    console.line("");
    report::title(&settings, console);
    let by_stored = stored::levels(&settings, scratch, console).await?;
    let drawing = draw(&panels(&by_clients, &by_stored)).map_err(|reason| BenchError::Thread(reason.clone()))?;
    std::fs::write(file, drawing).map_err(|error| BenchError::file(file, &error))?;
    console.note(format!("\ndrawn into {}", file.display()));
    Ok(())
}

/// A row for each figure, a column for each thing that grows.
/// What the number of stored runs changes is shown against a new store, measured in turns with it.
fn panels(by_clients: &[Level], by_stored: &[Level]) -> [Panel; 8] {
    let points = |levels: &[Level], figure: fn(&Level) -> f64| -> Vec<(f64, f64)> {
        let at = |level: &Level| level.stored.unwrap_or(u64::from(level.clients)) as f64;
        levels.iter().map(|level| (at(level), figure(level))).collect()
    };
    let cpu = |level: &Level| median(&level.engine, |slice| slice.cpu_per_saga);
    let rate = |level: &Level| median(&level.engine, |slice| slice.sagas_per_second);
    let p50 = |level: &Level| median(&level.engine, |slice| slice.p50) / 1e3;
    let memory = |level: &Level| level.footprint.resident_bytes.unwrap_or(0) as f64 / 1_048_576.0;
    let panel = |title: &str, grows: &str, scale: Scale, points: Vec<(f64, f64)>| Panel {
        title: title.to_owned(),
        grows: grows.to_owned(),
        scale,
        points,
    };
    let (clients, stored) = ("sagas in flight", "ended runs in the store, 64 in flight");
    [
        panel("CPU per saga, us", clients, Scale::FromZero, points(by_clients, cpu)),
        panel(
            "CPU per saga, times a new store's",
            stored,
            Scale::FromZero,
            points(by_stored, |level| level.ratio(|slice| slice.cpu_per_saga)),
        ),
        panel("sagas per second", clients, Scale::FromZero, points(by_clients, rate)),
        panel(
            "sagas per second, times a new store's",
            stored,
            Scale::FromZero,
            points(by_stored, |level| level.ratio(|slice| slice.sagas_per_second)),
        ),
        panel(
            "median latency, ms",
            clients,
            Scale::Logarithmic,
            points(by_clients, p50),
        ),
        panel(
            "median latency, times a new store's",
            stored,
            Scale::FromZero,
            points(by_stored, |level| level.ratio(|slice| slice.p50)),
        ),
        panel("memory, MiB", clients, Scale::FromZero, points(by_clients, memory)),
        panel("memory, MiB", stored, Scale::FromZero, points(by_stored, memory)),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::figures::{Counters, Footprint, Latencies, SliceFigures, Spent, Work};
    use super::*;

    fn level(clients: u32, stored: Option<u64>, micros: u64) -> Level {
        let mut latencies = Latencies::default();
        latencies.push(Duration::from_micros(micros));
        let second = Duration::from_secs(1);
        let spent = Spent {
            cpu: Duration::from_micros(90),
            sagas: 1,
        };
        let slice = SliceFigures::new(second, spent, Counters::default(), latencies);
        Level {
            clients,
            stored,
            work: Work {
                turns: 4,
                turn_bytes: 200,
            },
            engine: slice.into_iter().collect(),
            beside: slice.into_iter().collect(),
            footprint: Footprint {
                resident_bytes: Some(64 * 1_048_576),
                disk_bytes_per_saga: 0.0,
            },
        }
    }

    #[test]
    fn each_figure_is_drawn_over_both_things_that_grow() {
        let by_clients = [level(1, None, 500), level(64, None, 4_000)];
        let by_stored = [level(64, Some(1_000), 4_000), level(64, Some(10_000), 5_000)];
        let panels = panels(&by_clients, &by_stored);
        let points: Vec<_> = panels.iter().map(|panel| panel.points.clone()).collect();
        assert_eq!(points[0], [(1.0, 90.0), (64.0, 90.0)]);
        assert_eq!(points[4], [(1.0, 0.5), (64.0, 4.0)]);
        assert_eq!(points[5], [(1_000.0, 1.0), (10_000.0, 1.0)]);
        assert_eq!(points[7], [(1_000.0, 64.0), (10_000.0, 64.0)]);
    }
}
