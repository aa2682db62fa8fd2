//! Bad files and exactly what is said about them: `bad_files.txt` has one case after the other, the file above the
//! `-----` line, what is said below it. `@OK` stands for a step that is right.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{ParseOptions, SagaDefinition, Severity};

const CASES: &str = include_str!("bad_files.txt");
const OK: &str = "[[step]]\nname = \"ok\"\nactivity = \"a\"\ncompensation = \"none\"\n";

/// What is said about a file, without the file's name.
pub(super) fn said(text: &str) -> String {
    let known: BTreeSet<String> = ["a", "undo_a", "reserve_inventory"].map(str::to_owned).into();
    let options = ParseOptions {
        known_activities: Some(&known),
        ..ParseOptions::default()
    };
    let report = match SagaDefinition::parse("x", text, &options) {
        Ok((_, warnings)) => warnings.to_string(),
        Err(error) => error.to_string(),
    };
    let lines = report.lines().map(|line| line.strip_prefix("x:").unwrap_or(line));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn every_problem_of_every_bad_file_is_reported_where_it_is() {
    let cases: Vec<&str> = CASES.split("=====\n").collect();
    assert!(cases.len() >= 25, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let (file, expected) = case.split_once("-----\n").unwrap();
        let file = file.replace("@OK\n", OK);
        let found = said(&file);
        if found != expected {
            wrong.push(format!("{file}-----\n{found}"));
        }
    }
    assert!(wrong.is_empty(), "what is said now:\n{}", wrong.join("=====\n"));
}

#[test]
fn a_file_cut_anywhere_is_refused_or_understood_but_never_a_panic() {
    let text = include_str!("../../../sagas/place-order.toml");
    let mut refused = 0;
    for (end, _) in text.char_indices().step_by(41) {
        let cut = text.get(..end).unwrap();
        if let Err(error) = SagaDefinition::parse("x", cut, &ParseOptions::default()) {
            refused += 1;
            assert!(
                error.problems.iter().all(|problem| problem.position.is_some()),
                "{error}"
            );
        }
    }
    assert!(refused > 10, "{refused}");
}

#[test]
fn overrides_are_checked_against_the_config() {
    let text = format!("name = \"x\"\n[config]\nurl = \"http://a\"\nlimit = 3\n{OK}");
    let parse = |key: &str, value: &str| {
        let config = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        let options = ParseOptions {
            config: Some(&config),
            ..ParseOptions::default()
        };
        match SagaDefinition::parse("x", &text, &options) {
            Ok((definition, _)) => serde_json::to_string(definition.config()).unwrap(),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(parse("url", "7"), r#"{"limit":3,"url":"7"}"#);
    assert_eq!(parse("limit", "5"), r#"{"limit":5,"url":"http://a"}"#);
    assert_eq!(
        parse("limit", "many"),
        "x:4:9: error: the override `limit=many` is of another type than the default, 3"
    );
    assert_eq!(
        parse("urk", "x"),
        "x:2:1: error: the override `urk` is not a key of [config]; did you mean `url`?"
    );
}

#[test]
fn too_many_steps_are_refused_at_the_first_one_over_the_limit() {
    let steps: String = (0..=1_000)
        .map(|n| format!("[[step]]\nname = \"s{n}\"\nactivity = \"a\"\n"))
        .collect();
    let error = SagaDefinition::parse("x", &format!("name = \"x\"\n{steps}"), &ParseOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "x:3002:1: error: 1001 steps, more than the limit of 1000; split the saga"
    );
    assert!(error.problems.iter().all(|problem| problem.severity == Severity::Error));
}
