//! The house rules as tests. Lives here: which files are looked at, and one test per rule. Must not live here: the rules
//! (`rules`, `rooms`), reading Rust (`source`).

mod features;
mod rooms;
mod rules;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use source::Source;

/// A breach of a rule: where, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    path: String,
    line: usize,
    what: String,
}

impl Problem {
    fn new(source: &Source, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: source.path.clone(),
            line,
            what: what.into(),
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below these directories of the repository that has one of the extensions, in a stable order.
fn files(directories: &[&str], extensions: &[&str]) -> Vec<Source> {
    let root = root();
    let mut paths = Vec::new();
    for directory in directories {
        collect(&root.join(directory), extensions, &mut paths);
    }
    paths.sort();
    let read = |path: &PathBuf| {
        let relative = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        Source::new(relative, fs::read_to_string(path).unwrap())
    };
    paths.iter().map(read).collect()
}

fn collect(path: &Path, extensions: &[&str], paths: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), extensions, paths);
        }
    } else if path
        .extension()
        .is_some_and(|found| extensions.iter().any(|wanted| found == *wanted))
    {
        paths.push(path.to_owned());
    }
}

/// Everything written in Rust.
fn rust_files() -> Vec<Source> {
    let found = files(&["src", "macros/src", "tests", "examples", "benches"], &["rs"]);
    assert!(
        found.len() > 20,
        "only {} Rust files found: looking in the wrong place?",
        found.len()
    );
    found
}

/// Everything that people read: sources, configuration, prose, scripts.
fn text_files() -> Vec<Source> {
    let mut found = rust_files();
    let elsewhere = [
        "sagas",
        "config",
        "docs",
        ".config",
        ".cargo",
        ".ci",
        "macros/Cargo.toml",
    ];
    found.extend(files(&elsewhere, &["toml", "md", "json", "sh"]));
    for entry in fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name == "test" || name.ends_with(".md") || name.ends_with(".toml") {
            found.push(Source::new(name, fs::read_to_string(&path).unwrap()));
        }
    }
    found.push(Source::new(
        ".ci/run".to_owned(),
        fs::read_to_string(root().join(".ci/run")).unwrap(),
    ));
    found
}

/// Applies a rule to files, and fails with everything that it finds.
#[track_caller]
fn enforce(sources: &[Source], rule: impl Fn(&Source) -> Vec<Problem>) {
    let problems: Vec<String> = sources
        .iter()
        .flat_map(rule)
        .map(|problem| format!("{}:{}: {}", problem.path, problem.line, problem.what))
        .collect();
    assert!(
        problems.is_empty(),
        "{} problems\n{}\n",
        problems.len(),
        problems.join("\n")
    );
}

#[test]
fn every_file_opens_with_what_lives_in_it() {
    enforce(&rust_files(), rules::opens_with_its_purpose);
}

#[test]
fn files_stay_small() {
    enforce(&rust_files(), rules::file_is_small);
}

#[test]
fn functions_stay_small() {
    let sources = rust_files();
    enforce(&sources, rules::functions_are_small);
    let unneeded = rules::unneeded_exceptions(&sources);
    assert!(
        unneeded.is_empty(),
        "these functions are small now, take them off the list: {unneeded:?}"
    );
}

#[test]
fn rooms_import_only_what_they_may() {
    enforce(&files(&["src"], &["rs"]), rooms::imports_only_what_it_may);
}

#[test]
fn every_dependency_has_one_door() {
    enforce(&files(&["src"], &["rs"]), rooms::keeps_to_the_doors);
}

#[test]
fn nothing_is_left_undone_or_private() {
    enforce(&text_files(), rules::has_no_forbidden_words);
}

#[test]
fn tests_do_not_sleep() {
    enforce(
        &files(&["src", "tests", "examples", "macros/src"], &["rs"]),
        rules::does_not_sleep,
    );
}

#[test]
fn every_saga_is_in_the_readme_of_the_sagas() {
    let Ok(readme) = fs::read_to_string(root().join("sagas/README.md")) else {
        return;
    };
    for saga in files(&["sagas"], &["toml"]) {
        let name = saga.path.rsplit('/').next().unwrap();
        assert!(
            readme.contains(name),
            "{} is not mentioned in sagas/README.md: add a line about it",
            saga.path
        );
    }
}

#[test]
fn the_changelog_says_what_happens_to_journals() {
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let unreleased = changelog.split("## [").nth(1).unwrap_or_default();
    assert!(
        unreleased.starts_with("Unreleased]") && unreleased.contains("\nJournal format: "),
        "CHANGELOG.md: [Unreleased] needs a line `Journal format: unchanged` or `Journal format: vN -> vM`"
    );
}

/// Every code that `Error::code` can give has its row in docs/errors.md, and no row is left over.
#[test]
fn every_error_code_is_explained() {
    let codes = |text: &str, before: &str, after: char| -> std::collections::BTreeSet<u16> {
        let after_mark = text.split(before).skip(1);
        after_mark
            .filter_map(|rest| rest.split(after).next()?.trim().parse().ok())
            .collect()
    };
    let read = |path: &str| std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let rows: Vec<String> = read("docs/errors.md")
        .lines()
        .filter(|line| line.starts_with("| E"))
        .map(str::to_owned)
        .collect();
    let mut numbers: Vec<&str> = rows.iter().filter_map(|row| row.split('|').nth(1)).collect();
    numbers.dedup();
    assert!(
        numbers.len() == rows.len() && numbers.is_sorted(),
        "docs/errors.md: one row for each code, in order"
    );
    let given = codes(&read("src/engine/error.rs"), "=> ", ',');
    let explained = codes(&read("docs/errors.md"), "\n| E", '|');
    assert!(given.len() > 10, "the codes were not found: {given:?}");
    assert_eq!(
        given, explained,
        "src/engine/error.rs and docs/errors.md must tell the same codes"
    );
}

#[test]
fn every_feature_has_its_test() {
    let page = fs::read_to_string(root().join("docs/features.md")).unwrap();
    let problems = features::problems(&root(), &page);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// What the README promises is linked to the test that holds it.
#[test]
fn every_promise_has_its_tests() {
    let page = fs::read_to_string(root().join("README.md")).unwrap();
    let promises = page.split("## What is promised").nth(1).unwrap();
    let promises = promises.split("\n## ").next().unwrap();
    for number in 1..=5 {
        let (_, rest) = promises.split_once(&format!("\n{number}. ")).unwrap();
        let promise = rest.split(&format!("\n{}. ", number + 1)).next().unwrap();
        assert!(promise.contains(".rs#"), "README.md: name the test of: {promise}");
    }
    let missing = features::missing_tests(&root(), promises);
    assert!(missing.is_empty(), "README.md: {}", missing.join("\n"));
}
