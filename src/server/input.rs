//! What users give on the command line: inputs as JSON, settings, data directories. Must not live here: using them.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use serde::de::IgnoredAny;

use crate::engine::{DrawingFormat, Error, Offline, Rejection};
use crate::model::{DEFAULT_NAMESPACE, NamespaceName, Payload, RunId, limits};

use super::exit::Refusal;

/// Where runs are kept when nobody says where.
pub(crate) const DATA_DIRECTORY: &str = "amends-data";

/// The options that say where runs are kept, and which of them are meant.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct DataArgs {
    /// The directory that keeps the runs
    #[arg(long, value_name = "DIR", default_value = DATA_DIRECTORY)]
    pub(crate) data: PathBuf,
    /// The namespace of the runs that are meant
    #[arg(long, value_name = "NAME", env = "AMENDS_NAMESPACE", default_value = DEFAULT_NAMESPACE)]
    pub(crate) namespace: NamespaceName,
}

impl DataArgs {
    /// The directory, open for looking and leaving messages, in the namespace.
    pub(crate) fn open(&self) -> Result<Offline, Error> {
        Ok(Offline::open(&self.data)?.in_namespace(self.namespace.clone()))
    }
}

/// The option that names one run of a workflow id.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct OneRunArgs {
    /// Only this run of the workflow id, not its newest one
    #[arg(long, value_name = "RUN-ID", value_parser = run_id)]
    pub(crate) run_id: Option<RunId>,
}

impl OneRunArgs {
    /// The same directory, for what is asked of this run or said to it.
    pub(crate) fn of(self, offline: Offline) -> Offline {
        match self.run_id {
            Some(run_id) => offline.only_run(run_id),
            None => offline,
        }
    }

    /// The refusal; a run that was named and has ended need not be the one that was meant.
    pub(crate) fn refusal(self, error: Error) -> Refusal {
        let has_ended = matches!(error, Error::Rejected(Rejection::Closed));
        let refusal = Refusal::from(error);
        match has_ended && self.run_id.is_some() {
            true => refusal.hint("without --run-id the newest run of the workflow id is meant"),
            false => refusal,
        }
    }
}

/// A run's id.
pub(crate) fn run_id(text: &str) -> Result<RunId, String> {
    text.parse()
        .map_err(|_| "not a run id, which `amends list` shows in its last column".to_owned())
}

/// The option that draws instead.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct GraphArgs {
    /// Draw the way forward and the way back: a Mermaid flowchart, or a digraph for Graphviz (`| dot -Tsvg`)
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, default_missing_value = "mermaid")]
    graph: Option<GraphFormat>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum GraphFormat {
    Mermaid,
    Dot,
}

impl GraphArgs {
    pub(crate) fn format(self) -> Option<DrawingFormat> {
        self.graph.map(|format| match format {
            GraphFormat::Mermaid => DrawingFormat::Mermaid,
            GraphFormat::Dot => DrawingFormat::Dot,
        })
    }
}

/// The option that overrides a definition's `[config]`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct SettingArgs {
    /// Override a value of the definition's [config] table; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
}

impl SettingArgs {
    pub(crate) fn to_map(&self) -> BTreeMap<String, String> {
        self.settings.iter().cloned().collect()
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("expected KEY=VALUE, as in inventory=http://inventory.internal")?;
    match key.trim() {
        "" => Err("the key before `=` is empty".to_owned()),
        key => Ok((key.to_owned(), value.to_owned())),
    }
}

/// Reads an input given as `JSON`, `@FILE` or `-` (standard input); `what` names it in messages.
pub(crate) fn payload(what: &str, text: &str) -> Result<Payload, Refusal> {
    let unreadable = |name: &str, error: std::io::Error| Error::File {
        path: name.to_owned(),
        reason: error.to_string(),
    };
    let bytes = match (text, text.strip_prefix('@')) {
        ("-", _) => read_bounded(std::io::stdin().lock()).map_err(|error| unreadable("standard input", error))?,
        (_, Some(file)) => std::fs::File::open(file)
            .and_then(read_bounded)
            .map_err(|error| unreadable(file, error))?,
        (json, None) => json.as_bytes().to_vec(),
    };
    let payload = Payload::json_bytes(bytes).map_err(Error::from)?;
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(payload.data()) {
        let hint = "give JSON as in '{\"order_id\": \"order-1\"}', a file as in @order.json, or - for standard input";
        return Err(Refusal::usage(format!("{what} is not JSON: {error}")).hint(hint));
    }
    Ok(payload)
}

/// Everything, but not more than a byte over what a payload may have.
fn read_bounded(reader: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = limits::PAYLOAD_BYTES_MAX as u64 + 1;
    reader.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::exit::Exit;

    #[test]
    fn inputs_are_json_within_the_limit() {
        assert_eq!(payload("--input", "[1]").unwrap(), Payload::json(&[1]).unwrap());
        let refusal = payload("--input", "{oops").unwrap_err();
        assert_eq!(refusal.exit, Exit::Usage);
        assert!(
            refusal.message.starts_with("--input is not JSON"),
            "{}",
            refusal.message
        );
        let refusal = payload("--input", "@no/such/file").unwrap_err();
        assert!(refusal.message.contains("no/such/file"), "{}", refusal.message);
    }

    #[test]
    fn settings_are_pairs() {
        assert_eq!(setting("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(setting("a").is_err() && setting("=a").is_err());
    }
}
