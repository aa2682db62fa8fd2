//! `examples/tour`: each of its stops says what it should, which is in `said.txt` beside it. Must not live here: what the other
//! examples do (`examples`).
//!
//! `AMENDS_UPDATE_SAMPLES=1` writes what they say now into that file.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Mutex;

use crate::support::run;

#[path = "../../examples/tour/main.rs"]
#[allow(dead_code, reason = "its `main` only chooses the stops")]
mod guide;

/// One writer at a time: tests run beside each other.
static FILE: Mutex<()> = Mutex::new(());

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/tour/said.txt")
}

/// What each stop has to say, line by line.
fn written() -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(file()).unwrap_or_default();
    let mut said = BTreeMap::<String, Vec<String>>::new();
    let mut stop = String::new();
    for line in text.lines() {
        match line.strip_prefix("# ") {
            Some(name) => stop = name.to_owned(),
            None => said.entry(stop.clone()).or_default().push(line.to_owned()),
        }
    }
    said
}

#[track_caller]
fn says_what_is_written(name: &str) {
    let (_, visit) = guide::STOPS.iter().find(|(stop, _)| *stop == name).unwrap();
    let said = run(visit()).unwrap_or_else(|error| panic!("{name}: {error}"));
    // As lines are printed.
    let said: Vec<String> = said.iter().flat_map(|line| line.lines().map(str::to_owned)).collect();
    #[expect(
        clippy::disallowed_methods,
        reason = "how samples are written anew, as elsewhere in the tests"
    )]
    let update = std::env::var_os("AMENDS_UPDATE_SAMPLES").is_some();
    if update {
        let _alone = FILE.lock().unwrap();
        let mut all = written();
        all.insert(name.to_owned(), said);
        let mut text = String::new();
        for (stop, _) in guide::STOPS {
            let lines = all.get(stop).map(|lines| lines.join("\n")).unwrap_or_default();
            write!(text, "# {stop}\n{lines}\n").unwrap();
        }
        std::fs::write(file(), text).unwrap();
        return;
    }
    let expected = written().remove(name).unwrap_or_default();
    assert_eq!(
        said, expected,
        "examples/tour/said.txt; AMENDS_UPDATE_SAMPLES=1 mends it"
    );
}

/// A test for each stop.
macro_rules! stops {
    ($($stop:ident),* $(,)?) => {
        $(
            #[test]
            fn $stop() {
                says_what_is_written(stringify!($stop));
            }
        )*

        #[test]
        fn no_stop_is_left_out() {
            let stops: Vec<&str> = guide::STOPS.iter().map(|(stop, _)| *stop).collect();
            assert_eq!(stops, [$(stringify!($stop)),*]);
        }
    };
}

stops!(
    messages,
    lifecycle,
    schedules,
    repair,
    families,
    scopes,
    sagas,
    activities,
    limits,
    determinism,
    data,
    visibility,
    namespaces,
    crashes,
);
