//! Schedules: when runs are started again and again, and what happens when one is due while another is running. Lives here: the
//! times of a specification, and a schedule as a pure state machine. Must not live here: clocks, starting anything (that is
//! `engine`).

mod calendar;
mod cron;
mod line;
mod machine;
mod spec;
#[cfg(test)]
mod tests;
mod times;
mod wire;

pub use calendar::{Calendar, Range};
pub use line::{Due, OverlapPolicy, Running, Step};
pub use machine::{Ended, RecentAction, Schedule, ScheduleState};
pub use spec::{Interval, ScheduleSpec, SpecError};
pub use times::Times;
