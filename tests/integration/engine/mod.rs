//! The public API on real actors, in memory and on a real sled store. Lives here: one file per kind of promise. Must not
//! live here: crashes of the process (`crash`), failing stores (`store_failure`), failing code (`isolation`).

mod activities;
mod amends_first;
mod async_completion;
mod attributes;
mod chain;
mod child_begun_once;
mod child_messages;
mod child_workflows;
mod child_workflows_end;
mod child_workflows_options;
mod children;
mod children_change;
mod code_sagas;
mod data;
mod definitions;
mod desk;
#[cfg(target_os = "linux")]
mod failure_kinds;
mod failures;
mod heartbeats;
mod hung_turns;
mod left_children;
mod left_messages;
mod lifecycle;
mod limits;
mod local_activities;
mod locks;
mod messages;
mod messages_every_turn;
mod namespace_limits;
mod namespaces;
mod open_runs;
mod overload;
mod passive;
mod pause;
#[cfg(unix)]
mod programs;
mod queries;
mod requests;
mod reset;
mod reset_children;
mod reset_survives;
mod retention;
mod retention_children;
mod schedules;
mod scopes;
mod several_runs;
mod sizes;
mod task_queue_places;
mod task_queues;
mod time;
mod unreadable;
