//! How cost grows with the number in flight and with the store, measured for a plot. Must not live here: drawing (`plot`),
//! the measurements themselves (`closed_loop`, `stored`).

use std::path::{Path, PathBuf};

use crate::server::console::Console;

use super::args::{Settings, Workload};
use super::closed_loop::one_level;
use super::figures::{Level, SliceFigures, median};
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
    let plot = PlotFile::begin(file)?;
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
    let settings = settings.of(Workload::Stored);
    console.line("");
    report::title(&settings, console);
    let by_stored = stored::levels(&settings, scratch, console).await?;
    let drawing = draw(&panels(&by_clients, &by_stored)).map_err(BenchError::Drawing)?;
    plot.finish(&drawing)?;
    console.note(format!("\ndrawn into {}", file.display()));
    Ok(())
}

/// A plot on its way: beside the one that is there until it is done.
struct PlotFile {
    file: PathBuf,
    growing: PathBuf,
}

impl PlotFile {
    /// That it cannot be written is known before minutes are spent.
    fn begin(file: &Path) -> Result<Self, BenchError> {
        let growing = file.with_extension(format!("svg.{}", std::process::id()));
        if file.is_dir() {
            return Err(BenchError::plot(file, &"it is a directory"));
        }
        std::fs::write(&growing, "").map_err(|error| BenchError::plot(file, &error))?;
        Ok(Self {
            file: file.to_owned(),
            growing,
        })
    }

    fn finish(self, drawing: &str) -> Result<(), BenchError> {
        let written = std::fs::write(&self.growing, drawing);
        let renamed = written.and_then(|()| std::fs::rename(&self.growing, &self.file));
        renamed.map_err(|error| BenchError::plot(&self.file, &error))
    }
}

impl Drop for PlotFile {
    fn drop(&mut self) {
        // It is not there any more when it is done.
        let _ = std::fs::remove_file(&self.growing);
    }
}

/// A row for each figure, a column for each thing that grows.
/// What the number of stored runs changes is shown against a new store, measured in turns with it.
fn panels(by_clients: &[Level], by_stored: &[Level]) -> [Panel; 8] {
    let points = |levels: &[Level], figure: fn(&Level) -> f64| -> Vec<(f64, f64)> {
        let at = |level: &Level| level.stored.map_or(u64::from(level.clients), |stored| stored.full) as f64;
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
            points(by_stored, |level| ratio(level, |slice| slice.cpu_per_saga)),
        ),
        panel("sagas per second", clients, Scale::FromZero, points(by_clients, rate)),
        panel(
            "sagas per second, times a new store's",
            stored,
            Scale::FromZero,
            points(by_stored, |level| ratio(level, |slice| slice.sagas_per_second)),
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
            points(by_stored, |level| ratio(level, |slice| slice.p50)),
        ),
        panel("memory, MiB", clients, Scale::FromZero, points(by_clients, memory)),
        panel("memory, MiB", stored, Scale::FromZero, points(by_stored, memory)),
    ]
}

/// 0 where there is nothing to compare.
fn ratio(level: &Level, figure: fn(&SliceFigures) -> f64) -> f64 {
    level.ratio(figure).map_or(0.0, |ratio| ratio.median)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::figures::{Counters, Footprint, Latencies, Spent, Stored, Work};
    use super::*;

    fn level(clients: u32, full: Option<u64>, micros: u64) -> Level {
        let mut latencies = Latencies::default();
        latencies.push(Duration::from_micros(micros));
        let second = Duration::from_secs(1);
        let spent = Spent {
            cpu: Duration::from_micros(90),
            sagas: 1,
            rested: true,
        };
        let slice = SliceFigures::new(second, spent, Counters::default(), latencies);
        Level {
            clients,
            stored: full.map(|full| Stored { full, new: None }),
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
    fn the_plot_that_is_there_stays_until_another_one_is_drawn() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("growth.svg");
        std::fs::write(&file, "old").unwrap();
        drop(PlotFile::begin(&file).unwrap());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "old");
        PlotFile::begin(&file).unwrap().finish("new").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing else is left"
        );
        for bad in [dir.path().join("nowhere/growth.svg"), dir.path().to_owned()] {
            assert!(matches!(PlotFile::begin(&bad), Err(BenchError::Plot { .. })), "{bad:?}");
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
