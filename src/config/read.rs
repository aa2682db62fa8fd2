//! The keys of a configuration file, each with its type. Must not live here: how a table is read (`definition`).

use std::collections::BTreeMap;

use toml::de::DeTable;

use crate::definition::{Problem, Problems, Table, document, read_limits};
use crate::model::{SearchAttributeType, TaskQueue, TaskQueueOptions, limits};
use crate::store::Durability;

use super::EngineConfig;

/// What other tools, and the builder, call our keys.
const ADVICE: &[(&str, &str)] = &[
    ("data", "use `data_directory`"),
    ("directory", "use `data_directory`"),
    ("threads", "use `shards`"),
    ("activity_limits", "use `[activities.<activity>]`"),
    ("task_queue", "use `[task_queues.<name>]`"),
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
        shards: number("shards", usize::from(limits::LOGICAL_SHARDS), &mut table, problems),
        passivate_after: table.duration("passivate_after", problems),
        admission_timeout: table.duration("admission_timeout", problems),
        identity: table.string("identity", problems),
        replay_every_turn: table.boolean("replay_every_turn", problems).unwrap_or_default(),
        sagas: table
            .strings("sagas", problems)
            .unwrap_or_default()
            .into_iter()
            .map(Into::into)
            .collect(),
        max_concurrent_activities: number("max_concurrent_activities", limits::ATTEMPTS_MAX, &mut table, problems),
        activity_rate: read_limits::rate("activity_rate", &mut table, problems),
        worker_processes: number("worker_processes", limits::WORKER_PROCESSES_MAX, &mut table, problems),
        default_task_queue: table.boolean("default_task_queue", problems),
        every_task_queue: table.boolean("every_task_queue", problems).unwrap_or_default(),
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
    table.finish(ADVICE, problems);
    config
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
            Ok(kind) => drop(types.insert(name, kind)),
            Err(error) => {
                problems.error(&format!("{place}.{name}"), error);
            }
        }
    }
    types
}
