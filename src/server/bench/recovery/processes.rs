//! Starts the two processes of `recovery`, kills the first, and tells what the second found out. Must not live here: what
//! they do.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::server::console::Console;

use super::super::args::{Form, Safety, Settings};
use super::super::facts::{Facts, grouped};
use super::super::figures::middle;
use super::super::meter::{directory_bytes, monotonic};
use super::super::{BenchError, Scratch};

/// How often the same store is opened: the middle one is told.
const OPENINGS: usize = 5;

/// A process that is killed when this is dropped.
struct Part(Child);

impl Drop for Part {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Part {
    fn start(part: &str, settings: &Settings, directory: &Path) -> Result<Self, BenchError> {
        let program = std::env::current_exe().map_err(|error| BenchError::thread(&error))?;
        let mut command = Command::new(program);
        command.args(["bench", "--json", "--workload", "recovery", "--recovery-part", part]);
        command.arg("--runs").arg(settings.runs.to_string());
        command.arg("--data").arg(directory);
        command.args([
            "--form",
            if settings.form == Form::Code {
                "code"
            } else {
                "definition"
            },
        ]);
        let process = settings.durability == Safety::Process;
        command.args(["--durability", if process { "process" } else { "power" }]);
        command.arg("--recovery-begun").arg(monotonic().as_micros().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.spawn().map(Part).map_err(|error| BenchError::thread(&error))
    }

    /// Reads what it says until `wanted` is in it; the rest is progress.
    fn hear(&mut self, wanted: &str, mut progress: impl FnMut(&Value)) -> Result<Value, BenchError> {
        let said = self.0.stdout.take().map(BufReader::new);
        for line in said.into_iter().flat_map(BufRead::lines).map_while(Result::ok) {
            let said: Value = serde_json::from_str(&line).unwrap_or_default();
            if said.get(wanted).is_some() {
                return Ok(said);
            }
            if let Some(message) = said.get("message") {
                return Err(BenchError::Lost(message.as_str().unwrap_or_default().to_owned()));
            }
            progress(&said);
        }
        Err(BenchError::Lost(
            "a process of the benchmark ended before it was done".to_owned(),
        ))
    }
}

pub(super) fn measure(settings: &Settings, scratch: &Scratch, console: &Console) -> Result<(), BenchError> {
    let made = scratch.directory("made")?;
    let total = grouped(settings.runs);
    let count = |said: &Value, key: &str| grouped(said.get(key).and_then(Value::as_u64).unwrap_or(0));
    let mut filling = Part::start("fill", settings, &made)?;
    filling.hear("filled", |said| {
        console.replace(&format!("starting sagas: {} of {total}", count(said, "started")));
    })?;
    // SIGKILL, while every saga has an attempt running or waiting.
    drop(filling);
    let disk = directory_bytes(&made);
    let read = time_to_read(&made)?;

    let mut openings = Vec::new();
    for opening in 1..=OPENINGS {
        let directory = scratch.path.join(format!("opened-{opening}"));
        copy(&made, &directory).map_err(|error| BenchError::file(&directory, &error))?;
        let mut part = Part::start("open", settings, &directory)?;
        openings.push(part.hear("all_recovered_ms", |said| {
            let done = count(said, "done");
            console.replace(&format!("opening {opening} of {OPENINGS}: {done} of {total} recovered"));
        })?);
        drop(part);
        let _ = std::fs::remove_dir_all(&directory);
    }
    let figure = |key: &str| middle(openings.iter().filter_map(|found| found.get(key)?.as_f64()).collect());
    let millis = |key: &str| Duration::from_secs_f64(figure(key) / 1e3);
    let bytes = |key: &str| Some(figure(key) as u64).filter(|bytes| *bytes > 0);

    let mut facts = Facts::new(
        settings,
        format!("{total} open sagas after a kill -9; medians of {OPENINGS} openings"),
    );
    facts.number("runs", "open sagas", settings.runs);
    facts.bytes("disk_bytes", "store on disk", Some(disk));
    facts.time("read_ms", "bare file: its bytes read once", read);
    facts.time("opened_ms", "since the process began: store open", millis("opened_ms"));
    let key = "open_for_business_ms";
    facts.time(key, "  a new start acknowledged", millis(key));
    facts.time(
        "first_progress_ms",
        "  a recovered saga goes on",
        millis("first_progress_ms"),
    );
    facts.time("all_recovered_ms", "  all have ended", millis("all_recovered_ms"));
    let each = figure("cpu_ms") * 1e3 / settings.runs as f64;
    facts.amount("cpu_us_per_saga", "CPU, each", each, "us");
    facts.amount(
        "start_p50_us",
        "new starts meanwhile, p50",
        figure("start_p50_us"),
        "us",
    );
    facts.amount("start_p99_us", "  p99", figure("start_p99_us"), "us");
    facts.amount("start_max_us", "  at most", figure("start_max_us"), "us");
    facts.bytes("rss_bytes", "memory, open for business", bytes("rss_bytes"));
    facts.bytes("rss_bytes_max", "  at most", bytes("rss_bytes_max"));
    facts.show(console);
    Ok(())
}

/// What any program needs at least to know what is in these files; they are in the page cache, as they are for the engine.
fn time_to_read(directory: &Path) -> Result<Duration, BenchError> {
    let begun = monotonic();
    read_all(directory).map_err(|error| BenchError::file(directory, &error))?;
    Ok(monotonic().saturating_sub(begun))
}

fn read_all(directory: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        match path.is_dir() {
            true => read_all(&path)?,
            false => drop(std::io::copy(&mut std::fs::File::open(&path)?, &mut std::io::sink())?),
        }
    }
    Ok(())
}

/// Copies, and waits until the disk has them: what is opened then does not wait for our own writing.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target)?,
            false => {
                std::fs::copy(entry.path(), &target)?;
                std::fs::File::open(&target)?.sync_all()?;
            }
        }
    }
    std::fs::File::open(to)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_copied_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        std::fs::create_dir_all(from.join("below")).unwrap();
        std::fs::write(from.join("a"), "1").unwrap();
        std::fs::write(from.join("below/b"), "23").unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(std::fs::read_to_string(to.join("below/b")).unwrap(), "23");
        assert_eq!(directory_bytes(&to), 3);
        read_all(&to).unwrap();
    }
}
