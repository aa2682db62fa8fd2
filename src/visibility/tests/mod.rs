//! What the language says, what it refuses, and what an index may be asked. Must not live here: stores.

mod errors;
mod language;
mod narrowing;
mod sorting;

use super::*;
use crate::model::{
    ParentRun, RunId, RunStatus, SearchAttributeType, SearchAttributeTypes, SearchAttributes, Timestamp, WorkflowId,
};

/// A run to ask about.
struct Run {
    workflow_id: &'static str,
    number: u8,
    status: RunStatus,
    started: &'static str,
    closed: Option<&'static str>,
    parent: Option<ParentRun>,
    attributes: SearchAttributes,
}

impl Run {
    fn new(workflow_id: &'static str, number: u8) -> Self {
        Self {
            workflow_id,
            number,
            status: RunStatus::Running,
            started: "2026-01-31T12:00:00Z",
            closed: None,
            parent: None,
            attributes: SearchAttributes::new(),
        }
    }

    fn with(mut self, name: &str, value: impl Into<crate::model::SearchAttributeValue>) -> Self {
        self.attributes.insert(name.to_owned(), value.into());
        self
    }

    fn ended(mut self, status: RunStatus, closed: &'static str) -> Self {
        (self.status, self.closed) = (status, Some(closed));
        self
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            workflow_id: self.workflow_id,
            run_id: RunId::from_bytes([self.number; 16]),
            workflow_type: "order",
            status: self.status,
            started_at: Timestamp::parse(self.started).unwrap(),
            closed_at: self.closed.map(|closed| Timestamp::parse(closed).unwrap()),
            history_length: 17,
            history_bytes: 900,
            parent: self.parent.as_ref(),
            search_attributes: Some(&self.attributes),
        }
    }
}

fn known() -> Known {
    let mut types = SearchAttributeTypes::default();
    for (name, kind) in [
        ("Customer", SearchAttributeType::Keyword),
        ("Note", SearchAttributeType::Text),
        ("Items", SearchAttributeType::Int),
        ("Amount", SearchAttributeType::Double),
        ("Express", SearchAttributeType::Bool),
        ("Due", SearchAttributeType::Datetime),
        ("Tags", SearchAttributeType::KeywordList),
    ] {
        types.register(name, kind).unwrap();
    }
    Known {
        types,
        others: ["Loose".to_owned()].into(),
    }
}

fn query(text: &str) -> Query {
    Query::parse(text, &known()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn parent() -> ParentRun {
    ParentRun {
        workflow_id: WorkflowId::from_trusted("basket-7"),
        run_id: RunId::from_bytes([7; 16]),
    }
}

/// One run of each kind.
fn runs() -> Vec<Run> {
    let due = Timestamp::parse("2026-03-01T00:00:00Z").unwrap();
    let note = crate::model::SearchAttributeValue::Text("Call back, please!".to_owned());
    let mut child = Run::new("child", 3).ended(RunStatus::TimedOut, "2026-02-01T12:00:00Z");
    child.parent = Some(parent());
    vec![
        Run::new("order-1", 1)
            .with("Customer", "ada")
            .with("Amount", 99.5)
            .with("Items", 3)
            .with("Loose", "x"),
        Run::new("order-2", 2)
            .ended(RunStatus::Amended, "2026-01-31T12:00:01.5Z")
            .with("Customer", "bob")
            .with("Amount", 100.0)
            .with("Express", true)
            .with("Due", due)
            .with("Note", note)
            .with("Tags", ["a", "b c"])
            .with("Loose", 7),
        child,
    ]
}
