//! The binary's facades. Lives here: what stands between the outside and the engine. Must not live here: decisions about
//! runs.

mod advice;
mod bench;
mod cli;
mod commands;
mod console;
mod demo;
mod desk;
mod dto;
mod exit;
mod input;
pub mod participants;
mod place;
mod text;
mod waiting;

pub use cli::main;
