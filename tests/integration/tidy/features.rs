//! The table of features in `docs/features.md`: every row has a test, and something that shows it and is run by tests. Must not
//! live here: the other rules.

use std::path::Path;

/// What is wrong with the table's rows.
pub(super) fn problems(root: &Path, page: &str) -> Vec<String> {
    let table = Table::read(root);
    let rows = page.lines().enumerate().filter(|(_, line)| is_row(line));
    rows.flat_map(|(number, line)| {
        let wrong = table.problems_of_row(line);
        wrong
            .into_iter()
            .map(move |what| format!("docs/features.md:{}: {what}", number + 1))
    })
    .collect()
}

fn is_row(line: &str) -> bool {
    line.starts_with("| ") && !line.starts_with("| Feature ")
}

/// What the rows are looked up in.
struct Table<'a> {
    root: &'a Path,
    /// The sources of the integration tests, which say what they run.
    tests: String,
    /// The tour's own list of its stops.
    stops: String,
}

impl<'a> Table<'a> {
    fn read(root: &'a Path) -> Self {
        let tests = super::files(&["tests/integration"], &["rs"]);
        // Not this file, which names what it looks for.
        let tests = tests.iter().filter(|file| !file.path.contains("/tidy/"));
        let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
        Self {
            root,
            tests: tests.map(|file| read(&file.path)).collect(),
            stops: read("examples/tour/main.rs"),
        }
    }

    fn problems_of_row(&self, line: &str) -> Vec<String> {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let &[feature, here, test, example] = cells.as_slice() else {
            return vec![format!("a row has four cells, this one {}", cells.len())];
        };
        let mut problems = Vec::new();
        for (name, path) in links(test) {
            if !self.text(path).contains(&format!("fn {}()", name.trim_matches('`'))) {
                problems.push(format!("{feature}: there is no test {name} in {path}"));
            }
        }
        for (name, target) in links(here).into_iter().chain(links(example)) {
            if !self.root.join("docs").join(without_fragment(target)).exists() {
                problems.push(format!("{feature}: there is no page or example {name} in {target}"));
            }
        }
        if links(test).is_empty() {
            problems.push(format!("{feature}: name the test that shows it"));
        }
        if links(example).is_empty() {
            problems.push(format!("{feature}: link something that runs and shows it"));
        }
        let shows = links(example).into_iter();
        problems.extend(shows.filter_map(|(_, target)| Some(format!("{feature}: {}", self.not_run(target)?))));
        problems
    }

    fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.root.join("docs").join(without_fragment(path))).unwrap_or_default()
    }

    /// Why what is linked is nothing that tests run, if it is not.
    fn not_run(&self, target: &str) -> Option<String> {
        let path = without_fragment(target);
        if let Some(example) = path.strip_prefix("../examples/") {
            let is_run = match example.strip_prefix("tour/").and_then(|stop| stop.strip_suffix(".rs")) {
                Some(stop) => self.stops.contains(&format!("(\"{stop}\", ||")),
                None => self.tests.contains(&format!("examples/{example}\"]")),
            };
            if !is_run {
                return Some(format!("no test in tests/integration runs {example}"));
            }
            let function = target.split_once('#').map(|(_, function)| format!("{function}("));
            // Once where it is written, and where it is called.
            let uses = function.map_or(2, |function| self.text(path).matches(&function).count());
            return (uses < 2).then(|| format!("{target} names no function that is called there"));
        }
        if let Some(saga) = path.strip_prefix("../sagas/") {
            let is_run = self.tests.contains(&format!("\"{saga}\"")) && saga.ends_with(".toml");
            return (!is_run).then(|| format!("no test in tests/integration runs the definition {saga}"));
        }
        // Programs that the compiler has to refuse: all that are in this directory.
        if path.starts_with("../macros/tests/refusals/") {
            let said = self.root.join("docs").join(path).with_extension("stderr");
            return (!said.exists()).then(|| format!("{path}: it is not said what the compiler prints"));
        }
        self.not_walked(target)
    }

    /// The same for a page whose commands are executed by `walkthrough`: the whole page, or the chapter that is linked.
    fn not_walked(&self, target: &str) -> Option<String> {
        let (page, anchor) = target.split_once('#').unwrap_or((target, ""));
        let text = self.text(page);
        let heading = text.lines().filter(|line| line.starts_with('#')).find(|heading| {
            let words = heading.trim_start_matches('#').trim().to_lowercase();
            words.replace(' ', "-").replace(',', "") == anchor
        });
        let walks = format!("walk(\"docs/{page}\", \"");
        let walked = self.tests.match_indices(&walks);
        let walked: Vec<&str> = walked
            .filter_map(|(at, _)| self.tests[at..].split('"').nth(3))
            .collect();
        match heading {
            None => Some(format!("{target} is no heading of a page")),
            Some(heading) if walked.iter().any(|of| *of == heading || of.starts_with("# ")) => None,
            Some(_) => Some(format!("nothing in {target} is run: link an example")),
        }
    }
}

fn without_fragment(target: &str) -> &str {
    target.split('#').next().unwrap_or_default()
}

/// Which of a page's links to tests lead nowhere. Their fragment is the name of the test; the page is at the root.
pub(super) fn missing_tests(root: &Path, page: &str) -> Vec<String> {
    let tests = links(page)
        .into_iter()
        .filter_map(|(_, target)| target.split_once(".rs#"));
    tests
        .filter(|(file, test)| {
            let text = std::fs::read_to_string(root.join(format!("{file}.rs"))).unwrap_or_default();
            !text.contains(&format!("fn {test}("))
        })
        .map(|(file, test)| format!("there is no test {test} in {file}.rs"))
        .collect()
}

/// The text and the target of each link.
fn links(cell: &str) -> Vec<(&str, &str)> {
    let parts = cell.split("](").zip(cell.split("](").skip(1));
    parts
        .filter_map(|(before, after)| {
            let text = before.rsplit('[').next()?;
            Some((text, after.split(')').next()?))
        })
        .collect()
}

#[test]
fn a_row_without_its_test_or_without_anything_that_runs_is_found() {
    let root = super::root();
    let test = "[`every_feature_has_its_test`](../tests/integration/tidy/mod.rs)";
    let row = |shows: &str| format!("| A | `a` | {test} | {shows} |");
    for good in [
        "[messages](../examples/tour/messages.rs#once)",
        "[batch](../examples/batch.rs), [order](../sagas/place-order.toml)",
        "[chance](../macros/tests/refusals/clocks_and_chance.rs)",
        "[a night](operating.md#a-saga-is-stuck-at-night), [finding](command-line.md#finding-runs)",
    ] {
        assert_eq!(problems(&root, &row(good)), Vec::<String>::new());
    }
    let bad = [
        ("", "link something that runs"),
        ("[features](features.md)", "is no heading"),
        ("[data](operating.md#data)", "nothing in operating.md#data is run"),
        ("[tour](../examples/tour/messages.rs#twice)", "names no function"),
        (
            "[main](../examples/tour/main.rs)",
            "no test in tests/integration runs tour/main.rs",
        ),
        ("[read](../sagas/README.md)", "runs the definition README.md"),
    ];
    for (shows, expected) in bad {
        let found = problems(&root, &row(shows));
        assert!(found.len() == 1 && found[0].contains(expected), "{shows}: {found:?}");
    }
    let rows = "| B | [`b`](nowhere.md) | [`gone`](../tests/integration/tidy/mod.rs) | |\n| C | | | |\n| D |";
    let found = problems(&root, rows);
    let expected = [
        "B: there is no test",
        "B: there is no page",
        "B: link something",
        "C: name the test",
        "C: link something",
        "four cells",
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found}");
    }
}
