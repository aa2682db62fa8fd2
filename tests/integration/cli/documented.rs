//! What users look up has everything that there is: subcommands, features, statuses. Must not live here: whether it is explained
//! well.

use amends::RunStatus;

use super::Cli;

fn page(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The part of a page that begins with this.
fn part<'a>(page: &'a str, start: &str, end: &str) -> &'a str {
    let rest = page
        .split_once(start)
        .unwrap_or_else(|| panic!("nothing begins with {start:?}"))
        .1;
    rest.split(end).next().unwrap_or_default()
}

#[test]
fn every_subcommand_is_in_the_readme() {
    let help = Cli::new().run(&["--help"]).exits(0).out;
    let commands: Vec<&str> = part(&help, "Commands:\n", "\n\n")
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help")
        .collect();
    assert!(commands.len() > 10, "{help}");
    let readme = page("README.md");
    let named: Vec<&str> = part(&readme, "| `cargo amends --help` | ", " |").split(", ").collect();
    let missing: Vec<&&str> = commands.iter().filter(|name| !named.contains(*name)).collect();
    assert!(
        missing.is_empty(),
        "README.md: the line of `cargo amends --help` lacks {missing:?}"
    );
}

#[test]
fn every_feature_is_in_the_readme() {
    let manifest = page("Cargo.toml");
    let features: Vec<&str> = part(&manifest, "[features]\n", "\n[")
        .lines()
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name))
        .filter(|name| !name.starts_with('#') && *name != "default")
        .collect();
    assert!(features.contains(&"testing"), "{features:?}");
    let readme = page("README.md");
    let told = part(&readme, "\nFeatures: ", "\n\n");
    let missing: Vec<&&str> = features
        .iter()
        .filter(|name| !told.contains(&format!("`{name}`")) && !told.contains(&format!("\"{name}\"")))
        .collect();
    assert!(
        missing.is_empty(),
        "README.md: the paragraph `Features:` lacks {missing:?}"
    );
}

#[test]
fn every_status_is_where_statuses_are_listed() {
    let help = Cli::new().run(&["list", "--help"]).exits(0).out;
    let (visibility, operating) = (page("docs/visibility.md"), page("docs/operating.md"));
    let in_queries = part(&visibility, "| `ExecutionStatus` |", "\n");
    let meanings = part(&operating, "## What the statuses mean", "\n## ");
    let known: Vec<&str> = meanings
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
        .flat_map(|names| names.split(", "))
        .collect();
    // `--status STATUS`, however its text is broken into lines.
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let in_help = part(&help, "Only runs with this status (", ")");
    for status in RunStatus::ALL {
        let name = status.as_str();
        assert!(known.contains(&name), "docs/operating.md: what does {name} mean?");
        assert!(
            in_help.split(", ").any(|one| one == name),
            "amends list --help: --status lacks {name}"
        );
        let listed = in_queries
            .split('`')
            .any(|word| word != name && RunStatus::named(word) == Some(status));
        assert!(listed, "docs/visibility.md: ExecutionStatus lacks {name}");
    }
}
