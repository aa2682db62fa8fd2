//! What a configuration file may say, and every mistake in it. Must not live here: what it does to an engine.

use std::collections::BTreeSet;

use super::*;
use crate::model::Breaker;

const EXAMPLE: &str = include_str!("../../config/amends.toml");

fn parse(text: &str) -> Result<EngineConfig, String> {
    EngineConfig::parse("amends.toml", text).map_err(|error| error.to_string())
}

/// The example with what it only shows.
fn shown() -> String {
    EXAMPLE
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix("#: ").unwrap_or(line)))
        .collect()
}

#[test]
fn the_example_says_what_holds_when_nothing_is_said() {
    let said = parse(EXAMPLE).unwrap();
    let as_built = EngineConfig {
        durability: Some(Durability::default()),
        cache_bytes: Some(crate::model::limits::CACHE_BYTES_DEFAULT),
        passivate_after: Some(Duration::from_secs(10)),
        admission_timeout: Some(Duration::from_secs(1)),
        turn_hangs_after: Some(crate::model::limits::TURN_HANGS_DEFAULT),
        max_concurrent_activities: Some(crate::model::limits::ATTEMPTS_MAX),
        max_blocking_activities: Some(crate::model::limits::BLOCKING_ATTEMPTS_DEFAULT),
        default_task_queue: Some(true),
        max_payload_bytes: Some(crate::model::limits::PAYLOAD_BYTES_MAX),
        max_history_events: Some(crate::model::limits::HISTORY_EVENTS_MAX),
        max_history_bytes: Some(crate::model::limits::HISTORY_BYTES_MAX),
        ..EngineConfig::default()
    };
    assert_eq!(said, as_built);
    // The builder's own word for it: it is the same description with and without the file.
    let builder = |config| format!("{:?}", crate::Amends::builder().config(config));
    assert_eq!(builder(EngineConfig::default()), builder(said));
}

#[test]
fn the_example_has_every_key() {
    let shown = shown();
    let config = parse(&shown).unwrap();
    assert_eq!(config.settings["inventory"], "http://127.0.0.1:8081");
    assert_eq!(config.search_attributes["CustomAmount"], SearchAttributeType::Double);
    let charge = &config.activities["charge_card"];
    assert_eq!(
        charge.breaker,
        Some(Breaker::after(5).open_for(Duration::from_secs(30)))
    );
    assert_eq!(
        config.task_queues[&TaskQueue::new("gpu").unwrap()]
            .max_concurrent_activities
            .unwrap()
            .get(),
        2
    );
    let payments = &config.namespaces[&NamespaceName::new("payments").unwrap()];
    let days = |days: u64| Some(Duration::from_secs(days * 24 * 60 * 60));
    assert_eq!((config.retention, payments.retention), (days(30), days(90)));
    let granted = (payments.max_payload_bytes, payments.max_history_events);
    assert_eq!(granted, (Some(65_536), Some(10_000)));
    assert_eq!(payments.max_history_bytes, Some(10 * 1024 * 1024));
    assert!(payments.task_queues.contains_key(&TaskQueue::new("cards").unwrap()));
    for (place, said) in [
        ("", parse("\"~~\" = 1").unwrap_err()),
        (
            "namespaces.payments",
            parse("[namespaces.payments]\n\"~~\" = 1").unwrap_err(),
        ),
        ("task_queues.gpu", parse("[task_queues.gpu]\n\"~~\" = 1").unwrap_err()),
        (
            "activities.charge_card",
            parse("[activities.charge_card]\n\"~~\" = 1\nmax_concurrent = 1").unwrap_err(),
        ),
    ] {
        let (_, known) = said.split_once("known keys here: ").unwrap_or_else(|| panic!("{said}"));
        let known: BTreeSet<&str> = known.trim().split(", ").collect();
        let section = match place {
            "" => shown.as_str(),
            place => shown.split_once(&format!("[{place}]\n")).unwrap().1,
        };
        for key in known {
            let of_place = format!("[{place}.{key}.");
            let starts = [format!("{key} ="), format!("[{key}]"), format!("[{key}."), of_place];
            let is_there = section
                .lines()
                .any(|line| starts.iter().any(|start| line.starts_with(start)));
            assert!(is_there, "config/amends.toml does not show {key} of [{place}]");
        }
    }
}

#[test]
fn mistakes_are_told_with_their_place_and_what_to_do() {
    for (text, expected) in [
        (
            "shrads = 1",
            "amends.toml:1:1: error: unknown key `shrads`; did you mean `shards`?",
        ),
        ("\nshards = 0", "amends.toml:2:10: error: must be at least 1"),
        ("shards = 100000", "must be at most"),
        ("data = \"x\"", "use `data_directory`"),
        (
            "durability = \"fast\"",
            "1:14: error: unknown durability `fast`; write \"power-safe\" or \"process-safe\"",
        ),
        ("passivate_after = 10", "expected a duration, found 10"),
        ("sagas = \"sagas\"", "expected an array"),
        ("activity_rate = { attempts = 5 }", "say how many in how much time"),
        ("max_blocking_activities = 257", "must be at most 256"),
        (
            "[task_queues.gpu]\nactivity_rate = { per = \"1s\" }",
            "say how many in how much time",
        ),
        ("[activities.pay]\nrate = { attempts = 1, per = \"0s\" }", "not a rate"),
        (
            "[activities.pay]\nbreaker = { open_for = \"1s\" }",
            "say after how many failures in a row",
        ),
        ("[activities.pay]\nconcurrency = 4", "use `max_concurrent`"),
        (
            "[activities.pay]\n",
            "nothing is limited; say `max_concurrent`, `rate` or `breaker`",
        ),
        ("[activities]\npay = 4", "expected a table, found 4"),
        (
            "[task_queues.gpu]\nmax_concurrent = 1",
            "known keys here: max_concurrent_activities",
        ),
        (
            "[search_attributes]\nAmount = \"Number\"",
            "2:10: error: there is no type \"Number\"",
        ),
        ("[search_attributes]\nWorkflowId = \"Int\"", "2:1: error: "),
        (
            "retention = \"0s\"",
            "1:13: error: must be at least one second; leave it out",
        ),
        ("cache_bytes = 4096", "1:15: error: must be at least 1048576 (1 MiB)"),
        ("max_open_runs = 0", "1:17: error: must be at least 1"),
        (
            "[namespaces.default]\nretention = \"1d\"",
            "1:13: error: `default` is the namespace of everything that names none; write what is meant for it outside",
        ),
        ("[namespaces.\"a\\u001fb\"]\n", "control character"),
        (
            "[namespaces.payments]\nretention = \"1\"",
            "2:13: error: `1` is not a duration",
        ),
        (
            "[namespaces.payments]\nmax_runs = 1",
            "2:1: error: unknown key `max_runs`",
        ),
        (
            "max_payload_bytes = 255",
            "1:21: error: must be from 256 to 2097152; leave it out for the most",
        ),
        (
            "[namespaces.payments]\nmax_payload_bytes = 2097153",
            "2:21: error: must be from 256 to 2097152",
        ),
        (
            "[namespaces.payments]\nmax_history_events = 51201",
            "2:22: error: must be from 100 to 51200",
        ),
        (
            "[namespaces.payments]\nmax_history_bytes = 0",
            "2:21: error: must be from 16384 to 52428800",
        ),
        (
            "[namespaces.payments]\nmax_history_bytes = \"16k\"",
            "expected a whole number",
        ),
        ("[activities.pay", "not valid TOML"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
    // All at once, whatever comes first, and each only once.
    let error = parse(
        "shards = 0\nnonsense = 1\nactivity_rate = { attempts = 5 }\n\
         [activities.pay]\nbreaker = { open_for = \"1s\" }\n[activities.ship]\n[activities.mail]\nconcurrency = 4\n",
    );
    let error = error.unwrap_err();
    assert_eq!(error.matches("error: ").count(), 6, "{error}");
    for line in [1, 2, 3, 5, 6, 8] {
        assert!(error.contains(&format!("amends.toml:{line}:")), "line {line}: {error}");
    }
    let missing = EngineConfig::from_file("no/such/amends.toml").unwrap_err();
    assert!(missing.to_string().contains("no/such/amends.toml"), "{missing}");
}

#[test]
fn paths_are_as_seen_from_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("amends.toml");
    std::fs::write(
        &file,
        "data_directory = \"data\"\nsagas = [\"sagas\", \"/etc/sagas\"]\n",
    )
    .unwrap();
    let config = EngineConfig::from_file(&file).unwrap();
    assert_eq!(config.data_directory, Some(directory.path().join("data")));
    assert_eq!(
        config.sagas,
        [directory.path().join("sagas"), PathBuf::from("/etc/sagas")]
    );
}
