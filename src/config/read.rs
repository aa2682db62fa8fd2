//! The keys of a configuration file, each with its type. Must not live here: how a table is read (`definition`).

use std::collections::BTreeMap;
use std::time::Duration;

use toml::de::DeTable;

use crate::definition::{Part, Problem, Problems, Table, document, read_limits};
use crate::model::{NamespaceName, SearchAttributeType, SearchAttributeTypes, TaskQueue, TaskQueueOptions, limits};
use crate::store::Durability;

use super::{EngineConfig, NamespaceConfig};

/// What other tools, and the builder, call our keys.
const ADVICE: &[(&str, &str)] = &[
    ("data", "use `data_directory`"),
    ("directory", "use `data_directory`"),
    ("threads", "use `shards`"),
    ("activity_limits", "use `[activities.<activity>]`"),
    ("task_queue", "use `[task_queues.<name>]`"),
    ("namespace", "use `[namespaces.<name>]`"),
    ("cache", "use `cache_bytes`"),
    ("config", "use `[settings]` for values of definitions"),
    ("set", "use `[settings]`"),
];

pub(super) fn read(text: &str) -> Result<EngineConfig, Vec<Problem>> {
    let (config, problems) = document(text, grammar);
    match config {
        Some(config) if !problems.has_errors() => Ok(config),
        _ => Err(problems.into_sorted()),
    }
}

fn grammar(document: &DeTable<'_>, problems: &mut Problems) -> EngineConfig {
    let mut table = Table::new("", document, problems);
    let mut config = EngineConfig {
        data_directory: table.string("data_directory", problems).map(Into::into),
        durability: durability(&mut table, problems),
        cache_bytes: cache_bytes(&mut table, problems),
        shards: number("shards", usize::from(limits::LOGICAL_SHARDS), &mut table, problems),
        passivate_after: table.duration("passivate_after", problems),
        admission_timeout: table.duration("admission_timeout", problems),
        turn_hangs_after: table.duration("turn_hangs_after", problems),
        identity: table.string("identity", problems),
        replay_every_turn: table.boolean("replay_every_turn", problems).unwrap_or_default(),
        sagas: table
            .strings("sagas", problems)
            .unwrap_or_default()
            .into_iter()
            .map(Into::into)
            .collect(),
        max_concurrent_activities: number("max_concurrent_activities", limits::ATTEMPTS_MAX, &mut table, problems),
        max_blocking_activities: number(
            "max_blocking_activities",
            limits::BLOCKING_ATTEMPTS_MAX,
            &mut table,
            problems,
        ),
        activity_rate: read_limits::rate("activity_rate", &mut table, problems),
        worker_processes: number("worker_processes", limits::WORKER_PROCESSES_MAX, &mut table, problems),
        default_task_queue: table.boolean("default_task_queue", problems),
        every_task_queue: table.boolean("every_task_queue", problems).unwrap_or_default(),
        retention: retention(&mut table, problems),
        max_open_runs: max_open_runs(&mut table, problems),
        max_payload_bytes: max_payload_bytes(&mut table, problems),
        max_history_events: max_history_events(&mut table, problems),
        max_history_bytes: max_history_bytes(&mut table, problems),
        ..EngineConfig::default()
    };
    if let Some(settings) = table.table("settings", problems) {
        let as_text = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        let settings = settings.all_json(problems).into_iter();
        config.settings = settings.map(|(key, value)| (key, as_text(value))).collect();
    }
    if let Some(queues) = table.table("task_queues", problems) {
        config.task_queues = task_queues(queues, problems);
    }
    if let Some(types) = table.table("activities", problems) {
        config.activities = read_limits::activity_limits(types, problems);
    }
    if let Some(attributes) = table.table("search_attributes", problems) {
        config.search_attributes = search_attributes(attributes, problems);
    }
    if let Some(named) = table.table("namespaces", problems) {
        config.namespaces = namespaces(named, problems);
    }
    table.finish(ADVICE, problems);
    config
}

fn cache_bytes(table: &mut Table<'_>, problems: &mut Problems) -> Option<u64> {
    let bytes = u64::from(table.count("cache_bytes", problems)?);
    if bytes < limits::CACHE_BYTES_MIN {
        let message = format!("must be at least {} (1 MiB)", limits::CACHE_BYTES_MIN);
        problems.error(&table.at("cache_bytes"), message);
    }
    Some(bytes)
}

fn retention(table: &mut Table<'_>, problems: &mut Problems) -> Option<Duration> {
    let period = table.duration("retention", problems)?;
    if period < limits::RETENTION_MIN {
        let hint = "leave it out to keep runs for ever";
        let problem = problems.error(&table.at("retention"), "must be at least one second");
        problem.hint(hint);
    }
    Some(period)
}

fn max_open_runs(table: &mut Table<'_>, problems: &mut Problems) -> Option<usize> {
    number("max_open_runs", usize::MAX, table, problems)
}

fn max_payload_bytes(table: &mut Table<'_>, problems: &mut Problems) -> Option<usize> {
    let (least, most) = (limits::NAMESPACE_PAYLOAD_BYTES_LEAST, limits::PAYLOAD_BYTES_MAX);
    let granted = granted("max_payload_bytes", least as u64, most as u64, table, problems)?;
    usize::try_from(granted).ok()
}

fn max_history_events(table: &mut Table<'_>, problems: &mut Problems) -> Option<u64> {
    let (least, most) = (limits::NAMESPACE_HISTORY_EVENTS_LEAST, limits::HISTORY_EVENTS_MAX);
    granted("max_history_events", least, most, table, problems)
}

fn max_history_bytes(table: &mut Table<'_>, problems: &mut Problems) -> Option<u64> {
    let (least, most) = (limits::NAMESPACE_HISTORY_BYTES_LEAST, limits::HISTORY_BYTES_MAX);
    granted("max_history_bytes", least, most, table, problems)
}

/// What a namespace grants its runs. The builder takes the nearest number that it can; who writes a file is told.
fn granted(key: &'static str, least: u64, most: u64, table: &mut Table<'_>, problems: &mut Problems) -> Option<u64> {
    let number = u64::from(table.count(key, problems)?);
    if !(least..=most).contains(&number) {
        let problem = problems.error(&table.at(key), format!("must be from {least} to {most}"));
        problem.hint("leave it out for the most that any run may have");
        return None;
    }
    Some(number)
}

fn namespaces(table: Table<'_>, problems: &mut Problems) -> BTreeMap<NamespaceName, NamespaceConfig> {
    let mut namespaces = BTreeMap::new();
    for (name, mut nested) in table.all_tables(problems) {
        let mut said = NamespaceConfig {
            retention: retention(&mut nested, problems),
            max_open_runs: max_open_runs(&mut nested, problems),
            max_payload_bytes: max_payload_bytes(&mut nested, problems),
            max_history_events: max_history_events(&mut nested, problems),
            max_history_bytes: max_history_bytes(&mut nested, problems),
            default_task_queue: nested.boolean("default_task_queue", problems),
            every_task_queue: nested.boolean("every_task_queue", problems).unwrap_or_default(),
            task_queues: BTreeMap::new(),
        };
        if let Some(queues) = nested.table("task_queues", problems) {
            said.task_queues = task_queues(queues, problems);
        }
        match NamespaceName::new(&name) {
            Ok(name) if name.is_default() => {
                let hint = "write what is meant for it outside of any table";
                let message = "`default` is the namespace of everything that names none";
                problems.error_in(nested.place(), Part::Key, message).hint(hint);
            }
            Ok(name) => drop(namespaces.insert(name, said)),
            Err(error) => {
                problems.error_in(nested.place(), Part::Key, error.to_string());
            }
        }
        nested.finish(&[], problems);
    }
    namespaces
}

fn durability(table: &mut Table<'_>, problems: &mut Problems) -> Option<Durability> {
    let word = table.string("durability", problems)?;
    let known = match word.as_str() {
        "power-safe" => Some(Durability::PowerSafe),
        "process-safe" => Some(Durability::ProcessSafe),
        _ => None,
    };
    if known.is_none() {
        let hint = "write \"power-safe\" or \"process-safe\"";
        problems
            .error("durability", format!("unknown durability `{word}`"))
            .hint(hint);
    }
    known
}

/// A number from one to a limit.
fn number(key: &'static str, most: usize, table: &mut Table<'_>, problems: &mut Problems) -> Option<usize> {
    let count = read_limits::at_least_one(key, table, problems)?;
    let count = usize::try_from(count.get()).unwrap_or(usize::MAX);
    if count > most {
        problems.error(&table.at(key), format!("must be at most {most}"));
        return None;
    }
    Some(count)
}

fn task_queues(table: Table<'_>, problems: &mut Problems) -> BTreeMap<TaskQueue, TaskQueueOptions> {
    let mut queues = BTreeMap::new();
    for (name, mut nested) in table.all_tables(problems) {
        let options = TaskQueueOptions {
            max_concurrent_activities: read_limits::at_least_one("max_concurrent_activities", &mut nested, problems),
            activity_rate: read_limits::rate("activity_rate", &mut nested, problems),
            max_concurrent_workflow_tasks: read_limits::at_least_one(
                "max_concurrent_workflow_tasks",
                &mut nested,
                problems,
            ),
        };
        match TaskQueue::new(&name) {
            Ok(queue) => drop(queues.insert(queue, options)),
            Err(error) => {
                problems.error(nested.place(), error.to_string());
            }
        }
        nested.finish(&[], problems);
    }
    queues
}

fn search_attributes(table: Table<'_>, problems: &mut Problems) -> BTreeMap<String, SearchAttributeType> {
    let mut types = BTreeMap::new();
    let place = table.place().to_owned();
    for (name, word) in table.all_strings(problems) {
        match word.parse::<SearchAttributeType>() {
            Ok(kind) => match SearchAttributeTypes::default().register(&name, kind) {
                Ok(()) => drop(types.insert(name, kind)),
                Err(error) => {
                    problems.error_in(&format!("{place}.{name}"), Part::Key, error.to_string());
                }
            },
            Err(error) => {
                problems.error(&format!("{place}.{name}"), error);
            }
        }
    }
    types
}
