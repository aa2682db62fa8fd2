//! Every workload of `bench` once, with tiny numbers: that it measures, what programs get, and that nothing is left behind.
//! Must not live here: whether anything is fast.

use serde_json::Value;

use super::Cli;

/// Runs `bench` with its files in the test's own directory; gives what it printed for programs.
#[track_caller]
fn bench(line: &str) -> Vec<Value> {
    let cli = Cli::new();
    let mut arguments = vec!["bench", "--json", "--data", "."];
    arguments.extend(line.split_whitespace());
    let objects = cli.run(&arguments).exits(0).objects();
    let left: Vec<_> = std::fs::read_dir(cli.directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(left.is_empty(), "{line}: {left:?}");
    objects
}

/// The numbers in these fields are there and above zero.
#[track_caller]
fn assert_measured(object: &Value, fields: &str) {
    for field in fields.split_whitespace() {
        let found = field.split('.').try_fold(object, |object, name| object.get(name));
        let number = found.and_then(Value::as_f64);
        assert!(number.is_some_and(|number| number > 0.0), "{field} in {object:#}");
    }
}

const SIDES: &str =
    "engine.sagas_per_second engine.p50_us engine.cpu_us_per_saga bare_file.sagas_per_second rate_ratio turns_per_saga";

#[test]
fn closed_loops_are_measured_beside_the_bare_file() {
    for (line, workload) in [
        ("--steps 1 --store memory", "steps"),
        ("--rollback --store memory --form code", "rollback"),
        ("--workload fan-out --durability process", "fan-out"),
        ("--workload signals --store memory", "signals"),
    ] {
        let objects = bench(&format!("--seconds 3 --slices 3 --concurrency 2 {line}"));
        assert_eq!(objects.len(), 1, "{line}");
        assert_eq!(objects[0]["workload"], workload);
        assert_measured(&objects[0], SIDES);
    }
}

#[test]
fn timers_are_started_and_fire() {
    for form in ["definition", "code"] {
        let objects = bench(&format!(
            "--workload timers --runs 40 --seconds 1 --durability process --form {form}"
        ));
        let fields =
            "runs started.per_second bare_file.per_second punctual_per_second fired_per_second fired_cpu_us_each";
        assert_measured(&objects[0], fields);
        assert_eq!(objects[0]["at_once"], 36, "{form}");
    }
}

#[test]
fn a_killed_process_s_sagas_are_recovered() {
    for form in ["definition", "code"] {
        let objects = bench(&format!(
            "--workload recovery --runs 30 --durability process --form {form}"
        ));
        let fields =
            "runs disk_bytes opened_ms open_for_business_ms first_progress_ms all_recovered_ms cpu_us_per_saga";
        assert_measured(&objects[0], fields);
        let millis = |key: &str| objects[0][key].as_f64().unwrap();
        assert!(millis("opened_ms") <= millis("open_for_business_ms"), "{form}");
        assert!(millis("first_progress_ms") <= millis("all_recovered_ms"), "{form}");
    }
}

#[test]
fn parked_runs_are_counted_and_woken() {
    let objects = bench("--workload parked --runs 50 --durability process");
    assert_measured(
        &objects[0],
        "disk_bytes_per_run wake_p50_us wake_ended_p99_us wake_bare_file.per_second",
    );
    assert_eq!(objects[0]["woken"], 50);
}

#[test]
fn a_full_store_is_compared_with_a_new_one() {
    let objects = bench("--workload stored --runs 1500 --seconds 4 --slices 1 --store memory");
    assert_eq!(objects.len(), 2, "a thousand, and what was asked for");
    for (object, size) in objects.iter().zip([1_000, 1_500]) {
        // About the size while it is measured, not what has gathered when it is over.
        let stored = object["stored_runs"].as_u64().unwrap();
        assert!((size / 2..size * 2).contains(&stored), "{stored} for {size}");
        assert_eq!(object["beside"], "new_store");
        // It has 500 at first, and gets as many more as are measured, and those that begin and end outside of the slice.
        let new = object["new_store_runs"].as_u64().unwrap();
        assert!((500..500 + size).contains(&new), "{new} beside {size}");
        let fields = "engine.sagas_per_second new_store.sagas_per_second rate_ratio rate_ratio_most cpu_ratio";
        assert_measured(object, fields);
    }
}

#[test]
fn an_engine_alone_is_compared_with_nothing() {
    let objects = bench("--seconds 1 --slices 1 --concurrency 2 --store memory --engine-only");
    assert_measured(&objects[0], "engine.sagas_per_second");
    assert_eq!(objects[0].get("bare_file"), None);
    assert_eq!(objects[0].get("rate_ratio"), None);
}

#[test]
fn a_saturated_engine_is_audited() {
    let objects = bench("--workload saturation --seconds 1 --steps 1 --store memory");
    assert_measured(
        &objects[0],
        "offered_per_second accepted_per_second goodput_share end_p99_us unsaturated.p99_us p99_ratio_per_place",
    );
    assert_eq!(objects[0]["audit_expected"], objects[0]["audit_completed"]);
    assert_eq!(objects[0]["audit"], "nothing lost");
    assert!(objects[0]["refusal_p99_us"].is_number() && objects[0]["p99_verdict"].is_string());
}

#[test]
fn people_get_a_table() {
    let cli = Cli::new();
    let parked = cli
        .run(&["bench", "--workload", "parked", "--runs", "5", "--store", "memory"])
        .exits(0);
    assert!(
        parked
            .out
            .starts_with("5 runs that wait for a signal (definition), store memory"),
        "{}",
        parked.out
    );
    assert!(parked.out.contains("\n  woken at random "), "{}", parked.out);
    assert_eq!(
        parked.err,
        "with fewer than 1,000 runs the CPU time of their starts is told without that of returning their memory\n",
        "no progress where nobody watches"
    );
}

#[test]
fn what_does_not_go_together_is_a_usage_error() {
    let cli = Cli::new();
    cli.run(&["bench", "--workload", "timers", "--rollback"])
        .exits(2)
        .says("--rollback is a workload of its own")
        .says("help: leave one of the two out");
    cli.run(&["bench", "--plot", "nowhere/growth.svg"])
        .exits(2)
        .says("the plot nowhere/growth.svg cannot be written")
        .says("help: choose another file with --plot");
    cli.run(&["bench", "--workload", "parked", "--slices", "3"])
        .exits(2)
        .says("--workload parked is not measured in slices");
}
