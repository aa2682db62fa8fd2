//! The subcommands, one file each. Must not live here: what several of them share (that is one room up).

pub(super) mod activity;
pub(super) mod check;
pub(super) mod decide;
pub(super) mod deliver;
pub(super) mod history;
pub(super) mod list;
pub(super) mod participants;
pub(super) mod pause;
pub(super) mod prune;
pub(super) mod query;
pub(super) mod reset;
pub(super) mod run;
pub(super) mod schedule;
pub(super) mod serve;
pub(super) mod show;
pub(super) mod start;
pub(super) mod verify;
