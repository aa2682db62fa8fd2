//! Times at which something is to happen again and again: calendars, intervals, cron expressions, time zones. Must not live here:
//! clocks, starting anything.

mod calendar;
mod cron;
mod spec;
#[cfg(test)]
mod tests;
mod times;
mod wire;

pub use calendar::{Calendar, Range};
pub use spec::{Interval, ScheduleSpec, SpecError};
pub use times::Times;
