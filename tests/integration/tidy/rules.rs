//! The rules about single files. Lives here: each rule with its fix in the message, and the exceptions with their reasons.
//! Must not live here: who may import what (`rooms`).

use super::Problem;
use super::source::Source;

const FILE_LINES_MAX: usize = 450;
const FUNCTION_LINES_MAX: usize = 100;

/// Functions that may be longer, each with its reason: file, name, lines. The list only shrinks.
// One match over every kind of event, whose arms only name their fields: nothing to move out.
const LONG_FUNCTIONS: [(&str, &str, usize); 1] = [("src/store/record/encode.rs", "attributes", 120)];

/// What must not be in any file, in pieces so that this file does not have it, and what to do instead.
const FORBIDDEN: [(&str, &str, &str); 10] = [
    ("to", "do!(", "write it, or leave it out"),
    ("unimple", "mented!(", "write it, or leave it out"),
    ("db", "g!(", "take the debugging output out again"),
    (
        "#[ig",
        "nore",
        "a test that does not run is no test: repair or delete it",
    ),
    ("/ho", "me/", "a path of somebody's machine: use a relative one"),
    ("/Use", "rs/", "a path of somebody's machine: use a relative one"),
    ("/ro", "ot/", "a path of somebody's machine: use a relative one"),
    ("/wo", "rk/", "a path of somebody's machine: use a relative one"),
    ("<<<<", "<<<", "finish the merge"),
    (">>>>", ">>>", "finish the merge"),
];

pub(super) fn opens_with_its_purpose(source: &Source) -> Vec<Problem> {
    // A program in examples/ may need its shebang or attributes after the purpose, never before.
    let first = source.text.lines().next().unwrap_or_default();
    match first.strip_prefix("//! ") {
        Some(purpose) if !purpose.trim().is_empty() => Vec::new(),
        _ => vec![Problem::new(
            source,
            1,
            "open the file with `//!`: what lives here, and what must not",
        )],
    }
}

pub(super) fn file_is_small(source: &Source) -> Vec<Problem> {
    let lines = source.text.lines().count();
    if lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    let what = format!("{lines} lines, at most {FILE_LINES_MAX}: give a concept of it a file of its own");
    vec![Problem::new(source, lines, what)]
}

pub(super) fn functions_are_small(source: &Source) -> Vec<Problem> {
    let too_long = |name: &str, length: usize| length > allowed(&source.path, name);
    source
        .functions()
        .iter()
        .filter(|function| too_long(&function.name, function.length))
        .map(|function| {
            let (name, length) = (&function.name, function.length);
            let what = format!("fn {name} has {length} lines, at most {FUNCTION_LINES_MAX}: move the arms' bodies out");
            Problem::new(source, function.line, what)
        })
        .collect()
}

fn allowed(path: &str, name: &str) -> usize {
    LONG_FUNCTIONS
        .iter()
        .find(|(long_path, long_name, _)| *long_path == path && *long_name == name)
        .map_or(FUNCTION_LINES_MAX, |(_, _, lines)| *lines)
}

/// Entries of the list of long functions that nothing needs any more.
pub(super) fn unneeded_exceptions(sources: &[Source]) -> Vec<String> {
    let is_needed = |path: &str, name: &str| {
        let functions = sources
            .iter()
            .filter(|source| source.path == path)
            .flat_map(Source::functions);
        functions
            .into_iter()
            .any(|function| function.name == name && function.length > FUNCTION_LINES_MAX)
    };
    LONG_FUNCTIONS
        .iter()
        .filter(|(path, name, _)| !is_needed(path, name))
        .map(|(path, name, _)| format!("{path}: {name}"))
        .collect()
}

pub(super) fn has_no_forbidden_words(source: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        for (beginning, end, fix) in FORBIDDEN {
            let word = format!("{beginning}{end}");
            if line.match_indices(&word).any(|(at, _)| stands_alone(line, at, &word)) {
                problems.push(Problem::new(source, index + 1, format!("`{word}`: {fix}")));
            }
        }
    }
    problems
}

/// Paths count only from their beginning: `src/root/mod.rs` is nobody's home.
fn stands_alone(line: &str, at: usize, word: &str) -> bool {
    let before = line.get(..at).unwrap_or_default();
    !word.starts_with('/')
        || !before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '}' | '/' | '-'))
}

pub(super) fn does_not_sleep(source: &Source) -> Vec<Problem> {
    let sleep = concat!("thread::", "sleep");
    source
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains(sleep))
        .map(|(index, _)| {
            let what = format!(
                "`{sleep}`: wait for the thing itself (a channel, a line of output, a state), or move the clock"
            );
            Problem::new(source, index + 1, what)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("src/machine/x.rs".to_owned(), text.to_owned())
    }

    #[test]
    fn each_rule_finds_its_breach() {
        assert_eq!(opens_with_its_purpose(&source("use a;\n")).len(), 1);
        assert_eq!(opens_with_its_purpose(&source("//! Words.\n")), []);
        assert_eq!(file_is_small(&source(&"\n".repeat(FILE_LINES_MAX + 1))).len(), 1);
        let long = format!("fn long() {{\n{}}}\n", "    x();\n".repeat(FUNCTION_LINES_MAX));
        assert_eq!(functions_are_small(&source(&long)).len(), 1);
        let sleepy = format!("    std::{}(d);\n", concat!("thread::", "sleep"));
        assert_eq!(does_not_sleep(&source(&sleepy)).len(), 1);
    }

    #[test]
    fn every_forbidden_word_is_found_and_lookalikes_are_not() {
        for (beginning, end, _) in FORBIDDEN {
            assert_eq!(
                has_no_forbidden_words(&source(&format!("    {beginning}{end} x"))).len(),
                1,
                "{beginning}{end}"
            );
        }
        let lookalike = format!("see src{}{}mod.rs", "/ro", "ot/");
        assert_eq!(has_no_forbidden_words(&source(&lookalike)), []);
    }
}
