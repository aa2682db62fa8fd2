//! Cron expressions as times of a schedule: calendars, in which days of the month *and* of the week must fit, and intervals, as
//! Temporal makes them. Must not live here: reading an expression (that is `model::cron`), computing times.

use crate::model::cron::{Cron, CronFields, CronRange, CronTimes, CronValues};

use super::calendar::{Calendar, Range};
use super::spec::{Interval, SpecError};

/// What an expression says.
pub(super) struct Expression {
    pub(super) times: Times,
    pub(super) time_zone: Option<String>,
}

pub(super) enum Times {
    Calendar(Calendar),
    Interval(Interval),
}

pub(super) fn parse(expression: &str) -> Result<Expression, SpecError> {
    let Cron { times, time_zone } = Cron::read(expression).map_err(|reason| SpecError::Cron {
        text: expression.to_owned(),
        reason,
    })?;
    let times = match times {
        CronTimes::Fields(fields) => Times::Calendar(calendar(*fields)),
        CronTimes::Every { interval, phase } => Times::Interval(Interval { every: interval, phase }),
    };
    Ok(Expression { times, time_zone })
}

fn calendar(fields: CronFields) -> Calendar {
    Calendar {
        second: ranges(fields.second),
        minute: ranges(fields.minute),
        hour: ranges(fields.hour),
        day_of_month: ranges(fields.day_of_month),
        month: ranges(fields.month),
        // Any year is none in particular.
        year: match fields.year.is_any {
            true => Vec::new(),
            false => ranges(fields.year),
        },
        day_of_week: ranges(fields.day_of_week),
    }
}

pub(super) fn ranges(values: CronValues) -> Vec<Range> {
    let range = |CronRange { start, end, step }| Range::new(start, end, step);
    values.ranges.into_iter().map(range).collect()
}
