//! A history as Temporal's tools have it, read into events of ours. Lives here: the order of events, and their types. Must not
//! live here: their attributes one by one (`events`).

use serde_json::Value;

use crate::model::{CHANGE_VERSION, Event, EventAttributes, Timestamp, WorkflowTask};

use super::HistoryError;
use super::attribute;
use super::events;
use super::fields::{Fields, malformed};
use super::ours;
use super::refs::Refs;

/// Events that say nothing about what the run decides; they are left out.
const WITHOUT_MEANING: [&str; 4] = [
    "WORKFLOW_EXECUTION_OPTIONS_UPDATED",
    "WORKFLOW_EXECUTION_UPDATE_ADMITTED",
    "WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED",
    "WORKFLOW_TASK_TIMED_OUT",
];

/// Reads event by event. A turn of ours is one event that takes three ids in a row. Where something arrived between the three
/// it came before the turn, as the worker saw it; tasks that failed or timed out came to nothing and are left out. So ids are
/// given anew; those of a history that amends wrote stay what they are.
#[derive(Default)]
pub(super) struct Reader {
    refs: Refs,
    events: Vec<Event>,
    last: u64,
    scheduled: Option<u64>,
    begun: Option<Begun>,
    /// The last turn; and which events are local activities that Temporal's SDKs have run.
    turn: WorkflowTask,
    locals: Vec<usize>,
}

/// A task that a worker has begun with.
struct Begun {
    id: u64,
    time: Timestamp,
    history_bytes: u64,
    continue_as_new_suggested: bool,
}

impl Begun {
    fn read(id: u64, time: Timestamp, fields: &Fields<'_>) -> Result<Self, HistoryError> {
        let attributes = fields.object("workflowTaskStartedEventAttributes")?;
        let told = |read: fn(&Fields<'_>) -> Result<u64, HistoryError>| attributes.as_ref().map(read).transpose();
        Ok(Self {
            id,
            time,
            history_bytes: told(|fields| fields.number("historySizeBytes"))?.unwrap_or_default(),
            continue_as_new_suggested: told(|fields| fields.flag("suggestContinueAsNew").map(u64::from))? == Some(1),
        })
    }
}

impl Reader {
    pub(super) fn history(mut self, events: &[Value]) -> Result<Vec<Event>, HistoryError> {
        for event in events {
            self.event(event)?;
        }
        self.number_locals();
        match self.events.first().map(|first| &first.attributes) {
            Some(EventAttributes::WorkflowExecutionStarted(_)) => Ok(self.events),
            _ => Err(HistoryError::NoHistory(
                "its first event is not WorkflowExecutionStarted".to_owned(),
            )),
        }
    }

    fn event(&mut self, event: &Value) -> Result<(), HistoryError> {
        let place = self.last + 1;
        let id = Fields::of(event, place)?.number("eventId")?;
        if id <= self.last {
            return Err(malformed(place, format!("event {id} comes after event {}", self.last)));
        }
        self.last = id;
        let fields = Fields::of(event, id)?;
        let time = fields.time("eventTime")?.unwrap_or_default();
        let kind = fields.word("eventType", "EVENT_TYPE")?;
        match kind.as_str() {
            "WORKFLOW_TASK_SCHEDULED" => self.scheduled = Some(id),
            "WORKFLOW_TASK_STARTED" => self.begun = Some(Begun::read(id, time, &fields)?),
            "WORKFLOW_TASK_COMPLETED" => self.task(id, &fields)?,
            "WORKFLOW_TASK_FAILED" => self.failed_task(id, time, &fields)?,
            _ if WITHOUT_MEANING.contains(&kind.as_str()) => {}
            "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES" if self.is_of_a_version(&fields)? => {}
            _ => {
                self.fact(id, time, &kind, &fields)?;
                self.local(time, &fields)?;
            }
        }
        Ok(())
    }

    fn task(&mut self, completed: u64, fields: &Fields<'_>) -> Result<(), HistoryError> {
        let (Some(scheduled), Some(begun)) = (self.scheduled.take(), self.begun.take()) else {
            return Err(fields.error("WorkflowTaskCompleted without WorkflowTaskScheduled and WorkflowTaskStarted"));
        };
        let attributes = fields.object("workflowTaskCompletedEventAttributes")?;
        let identity = attributes.map(|attributes| attributes.text("identity")).transpose()?;
        self.turn = WorkflowTask {
            identity: identity.unwrap_or_default(),
            history_bytes: begun.history_bytes,
            continue_as_new_suggested: begun.continue_as_new_suggested,
        };
        self.events.push(Event {
            id: self.refs.next(),
            // What the worker took for the time of its turn.
            time: begun.time,
            attributes: EventAttributes::WorkflowTask(self.turn.clone()),
        });
        self.refs.take_turn([scheduled, begun.id, completed]);
        Ok(())
    }

    /// A task that came to nothing is left out, unless it tells of a reset.
    fn failed_task(&mut self, failed: u64, time: Timestamp, fields: &Fields<'_>) -> Result<(), HistoryError> {
        let Some(attributes) = fields.object("workflowTaskFailedEventAttributes")? else {
            return Ok(());
        };
        if attributes.word("cause", "WORKFLOW_TASK_FAILED_CAUSE")? != "RESET_WORKFLOW" {
            return Ok(());
        }
        let (Some(scheduled), Some(begun)) = (self.scheduled.take(), self.begun.take()) else {
            return Err(fields.error("a reset without WorkflowTaskScheduled and WorkflowTaskStarted"));
        };
        let reset = ours::read_reset(&attributes, &self.refs)?;
        self.events.push(Event {
            id: self.refs.next(),
            time,
            attributes: EventAttributes::WorkflowExecutionReset(Box::new(reset)),
        });
        self.refs.take_turn([scheduled, begun.id, failed]);
        Ok(())
    }

    /// A local activity that one of Temporal's SDKs has run within a turn: what its code asks for next stands behind it, in the
    /// same turn. Here code hears of it in a turn of its own. One of ours stands before a turn, and names none.
    fn local(&mut self, time: Timestamp, fields: &Fields<'_>) -> Result<(), HistoryError> {
        let last = self.events.last().map(|last| &last.attributes);
        let Some(EventAttributes::LocalActivityEnded(_)) = last else {
            return Ok(());
        };
        let marker = fields.object("markerRecordedEventAttributes")?;
        if marker
            .map(|marker| marker.number("workflowTaskCompletedEventId"))
            .transpose()?
            == Some(0)
        {
            return Ok(());
        }
        self.locals.push(self.events.len() - 1);
        self.events.push(Event {
            id: self.refs.next(),
            time,
            attributes: EventAttributes::WorkflowTask(self.turn.clone()),
        });
        self.refs.take_turn_of_ours();
        Ok(())
    }

    /// Temporal's SDKs number local activities together with others, amends by themselves.
    fn number_locals(&mut self) {
        let mut theirs: Vec<(u32, usize)> = Vec::new();
        for place in &self.locals {
            if let Some(EventAttributes::LocalActivityEnded(ended)) =
                self.events.get(*place).map(|event| &event.attributes)
            {
                theirs.push((ended.seq, *place));
            }
        }
        theirs.sort_unstable();
        for (seq, (_, place)) in (1..).zip(theirs) {
            if let Some(EventAttributes::LocalActivityEnded(ended)) =
                self.events.get_mut(place).map(|event| &mut event.attributes)
            {
                ended.seq = seq;
            }
        }
    }

    /// Whether Temporal's SDKs have set this search attribute, and not the code: they list there the patches and versions that a
    /// run has met, behind the marker of each.
    fn is_of_a_version(&self, fields: &Fields<'_>) -> Result<bool, HistoryError> {
        let last = self.events.last().map(|last| &last.attributes);
        if !matches!(last, Some(EventAttributes::VersionMarkerRecorded(_))) {
            return Ok(false);
        }
        let attributes = fields.object("upsertWorkflowSearchAttributesEventAttributes")?;
        let changes = attributes.map(|attributes| attribute::read_changes(&attributes, "searchAttributes"));
        Ok(changes
            .transpose()?
            .is_some_and(|changes| changes.keys().eq([CHANGE_VERSION])))
    }

    fn fact(&mut self, id: u64, time: Timestamp, kind: &str, fields: &Fields<'_>) -> Result<(), HistoryError> {
        let amended = events::is_amended(fields)?;
        let read = match Self::attributes_of(kind, fields)? {
            Some(attributes) => events::read(kind, &attributes, time, amended, &self.refs)?,
            None => None,
        };
        let Some(attributes) = read else {
            if fields.flag("workerMayIgnore")? {
                return Ok(());
            }
            let kind = kind.to_owned();
            return Err(HistoryError::Unsupported { event: id, kind });
        };
        let event = self.refs.next();
        self.refs.take(id);
        self.events.push(Event {
            id: event,
            time,
            attributes,
        });
        Ok(())
    }

    fn attributes_of<'a>(kind: &str, fields: &Fields<'a>) -> Result<Option<Fields<'a>>, HistoryError> {
        let mut name = String::new();
        for (place, word) in kind.split('_').enumerate() {
            let lower = word.to_ascii_lowercase();
            match (place, lower.split_at_checked(1)) {
                (1.., Some((first, rest))) => {
                    name.push_str(&first.to_ascii_uppercase());
                    name.push_str(rest);
                }
                _ => name.push_str(&lower),
            }
        }
        fields.object(&format!("{name}EventAttributes"))
    }
}
