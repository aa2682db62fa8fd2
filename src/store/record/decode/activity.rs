//! Events of activities, from the wire. Must not live here: what an activity is scheduled with, and failures.

use std::sync::Arc;

use super::super::v1 as wire;
use super::{Decoded, chain, payload, retry_state, saga, scheduled_activity};
use crate::model::{EventAttributes, EventId};

/// These, or events of sagas.
pub(super) fn attributes(attributes: wire::Attributes<'_>) -> Decoded<EventAttributes> {
    use EventAttributes as E;
    use wire::Attributes as W;
    Ok(match attributes {
        W::ActivityTaskScheduled(activity) => E::ActivityTaskScheduled(Arc::new(scheduled_activity(*activity)?)),
        W::ActivityTaskStarted {
            scheduled,
            attempt,
            last_failure,
        } => E::ActivityTaskStarted {
            scheduled: EventId(scheduled),
            attempt,
            last_failure: last_failure.map(chain).transpose()?,
        },
        W::ActivityTaskCompleted {
            scheduled,
            started,
            result,
        } => E::ActivityTaskCompleted {
            scheduled: EventId(scheduled),
            started: EventId(started),
            result: payload(&result),
        },
        W::ActivityTaskFailed {
            scheduled,
            started,
            failure,
            retry_state: state,
        } => E::ActivityTaskFailed {
            scheduled: EventId(scheduled),
            started: EventId(started),
            failure: chain(failure)?,
            retry_state: retry_state(&state),
        },
        W::ActivityTaskTimedOut {
            scheduled,
            started,
            failure,
            retry_state: state,
        } => E::ActivityTaskTimedOut {
            scheduled: EventId(scheduled),
            started: started.map(EventId),
            failure: chain(failure)?,
            retry_state: retry_state(&state),
        },
        W::ActivityTaskCancelRequested { scheduled } => E::ActivityTaskCancelRequested {
            scheduled: EventId(scheduled),
        },
        W::ActivityTaskCanceled {
            scheduled,
            started,
            details,
        } => E::ActivityTaskCanceled {
            scheduled: EventId(scheduled),
            started: started.map(EventId),
            details: details.as_ref().map(payload),
        },
        other => return saga::attributes(other),
    })
}
