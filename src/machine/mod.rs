//! The pure, event-sourced state machine of one run. Lives here: deciding what an input means and folding events into
//! state. Must not live here: I/O, clocks, randomness, async, or anything of a particular decider.

mod decider;
mod state;

pub use decider::{Decider, Task};
pub use state::RunState;
