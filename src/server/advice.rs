//! The commands that messages advise to type, so that a shell takes them as they stand. Must not live here: saying them.

use std::path::Path;

use super::input::DataArgs;

/// The command that shows a run.
pub(super) fn show(id: &str, data: &DataArgs) -> String {
    format!("amends show {}", of(id, data))
}

/// The command that goes on with the run of a definition file.
pub(super) fn go_on(file: &Path, id: &str, data: &DataArgs) -> String {
    format!("amends run {} --id {}", shell_path(file), of(id, data))
}

/// What brings about what was left for a run.
pub(super) fn next_engine(id: &str, data: &DataArgs) -> String {
    format!(
        "the next engine on {} brings about what follows; for a saga: amends run FILE --id {}",
        data.data.display(),
        of(id, data)
    )
}

fn of(id: &str, data: &DataArgs) -> String {
    format!("{} {}", shell_word(id), options(data))
}

/// The options that say where a run is.
pub(super) fn options(data: &DataArgs) -> String {
    let path = shell_path(&data.data);
    match data.namespace.is_default() {
        true => format!("--data {path}"),
        false => format!("--data {path} --namespace {}", shell_word(data.namespace.as_str())),
    }
}

/// A path that a shell takes as it is.
pub(super) fn shell_path(path: &Path) -> String {
    shell_word(&path.display().to_string())
}

/// A word that a shell takes as it is.
pub(super) fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NamespaceName;

    #[test]
    fn a_shell_takes_every_word_as_it_is() {
        let words = ["order-1", "", "order 1", "it's", "$(rm)"].map(shell_word);
        assert_eq!(words, ["order-1", "''", "'order 1'", r"'it'\''s'", "'$(rm)'"]);
        let mut data = DataArgs {
            data: "data".into(),
            namespace: NamespaceName::default(),
        };
        assert_eq!(show("a b", &data), "amends show 'a b' --data data");
        let command = go_on(Path::new("my sagas/a.toml"), "a", &data);
        assert_eq!(command, "amends run 'my sagas/a.toml' --id a --data data");
        data.namespace = NamespaceName::new("my shop").unwrap();
        assert_eq!(show("a", &data), "amends show a --data data --namespace 'my shop'");
    }
}
