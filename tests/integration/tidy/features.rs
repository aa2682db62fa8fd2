//! The table of features in `docs/features.md`: every row has a test and whatever it points to is there. Must not live
//! here: the other rules.

use std::path::Path;

/// What is wrong with the table's rows.
pub(super) fn problems(root: &Path, page: &str) -> Vec<String> {
    let rows = page.lines().enumerate().filter(|(_, line)| is_row(line));
    rows.flat_map(|(number, line)| {
        let wrong = problems_of_row(root, line);
        wrong
            .into_iter()
            .map(move |what| format!("docs/features.md:{}: {what}", number + 1))
    })
    .collect()
}

fn is_row(line: &str) -> bool {
    line.starts_with("| ") && !line.starts_with("| Feature ")
}

fn problems_of_row(root: &Path, line: &str) -> Vec<String> {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let &[feature, here, test, example] = cells.as_slice() else {
        return vec![format!("a row has four cells, this one {}", cells.len())];
    };
    let mut problems = Vec::new();
    let mut missing = |what: &str, (name, path): (&str, &str)| {
        problems.push(format!("{feature}: there is no {what} {name} in {path}"));
    };
    let tests = links(test);
    for link in &tests {
        let file = std::fs::read_to_string(root.join("docs").join(link.1)).unwrap_or_default();
        let name = link.0.trim_matches('`');
        if !file.contains(&format!("fn {name}()")) {
            missing("test", *link);
        }
    }
    for link in links(here).into_iter().chain(links(example)) {
        let path = link.1.split('#').next().unwrap_or_default();
        if !root.join("docs").join(path).exists() {
            missing("page or example", link);
        }
    }
    if tests.is_empty() {
        problems.push(format!("{feature}: name the test that shows it"));
    }
    problems
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
fn a_row_without_its_test_is_found() {
    let root = super::root();
    let good =
        "| A | `a` | [`every_feature_has_its_test`](../tests/integration/tidy/mod.rs) | [features](features.md) |";
    assert_eq!(problems(&root, good), Vec::<String>::new());
    let bad = "| B | [`b`](nowhere.md) | [`gone`](../tests/integration/tidy/mod.rs) | |\n| C | | | |\n| D |";
    let found = problems(&root, bad);
    let expected = [
        "B: there is no test",
        "B: there is no page",
        "C: name the test",
        "four cells",
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found}");
    }
}
