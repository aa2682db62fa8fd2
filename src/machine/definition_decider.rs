//! The decider of runs that follow a saga definition.

/// The decider of runs that follow a saga definition.
#[derive(Debug)]
pub struct DefinitionDecider;
