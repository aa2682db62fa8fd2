//! What runs are asked about. Must not live here: a run's values (`evaluate`).

use std::fmt;

use crate::model::SearchAttributeType;

/// Something that a run has, or may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attribute {
    /// Every run has it.
    BuiltIn(BuiltIn),
    /// A search attribute of the user's, with its type if that was registered.
    Custom(String, Option<SearchAttributeType>),
}

/// What every run has. The names are Temporal's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BuiltIn {
    /// When it ended; null while it is open.
    CloseTime,
    /// How long it took, in nanoseconds; null while it is open.
    ExecutionDuration,
    /// How it stands.
    ExecutionStatus,
    /// When its first turn was.
    ExecutionTime,
    /// How many event ids its history has.
    HistoryLength,
    /// How many bytes its history has.
    HistorySizeBytes,
    /// The run whose child it is; null for others.
    ParentRunId,
    /// That run's workflow id; null for others.
    ParentWorkflowId,
    /// The execution.
    RunId,
    /// When it was started.
    StartTime,
    /// The caller's id.
    WorkflowId,
    /// Which workflow.
    WorkflowType,
}

/// How the values of an attribute are written and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Status,
    RunId,
    Duration,
    Of(SearchAttributeType),
    /// Whatever type the value of a run has.
    Any,
}

impl BuiltIn {
    /// All of them.
    pub const ALL: [BuiltIn; 12] = [
        BuiltIn::CloseTime,
        BuiltIn::ExecutionDuration,
        BuiltIn::ExecutionStatus,
        BuiltIn::ExecutionTime,
        BuiltIn::HistoryLength,
        BuiltIn::HistorySizeBytes,
        BuiltIn::ParentRunId,
        BuiltIn::ParentWorkflowId,
        BuiltIn::RunId,
        BuiltIn::StartTime,
        BuiltIn::WorkflowId,
        BuiltIn::WorkflowType,
    ];

    /// Its name in queries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            BuiltIn::CloseTime => "CloseTime",
            BuiltIn::ExecutionDuration => "ExecutionDuration",
            BuiltIn::ExecutionStatus => "ExecutionStatus",
            BuiltIn::ExecutionTime => "ExecutionTime",
            BuiltIn::HistoryLength => "HistoryLength",
            BuiltIn::HistorySizeBytes => "HistorySizeBytes",
            BuiltIn::ParentRunId => "ParentRunId",
            BuiltIn::ParentWorkflowId => "ParentWorkflowId",
            BuiltIn::RunId => "RunId",
            BuiltIn::StartTime => "StartTime",
            BuiltIn::WorkflowId => "WorkflowId",
            BuiltIn::WorkflowType => "WorkflowType",
        }
    }

    fn kind(self) -> Kind {
        use SearchAttributeType as T;
        match self {
            BuiltIn::CloseTime | BuiltIn::ExecutionTime | BuiltIn::StartTime => Kind::Of(T::Datetime),
            BuiltIn::ExecutionDuration => Kind::Duration,
            BuiltIn::ExecutionStatus => Kind::Status,
            BuiltIn::HistoryLength | BuiltIn::HistorySizeBytes => Kind::Of(T::Int),
            BuiltIn::ParentRunId | BuiltIn::RunId => Kind::RunId,
            BuiltIn::ParentWorkflowId | BuiltIn::WorkflowId | BuiltIn::WorkflowType => Kind::Of(T::Keyword),
        }
    }
}

impl Attribute {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Attribute::BuiltIn(built_in) => built_in.kind(),
            Attribute::Custom(_, kind) => kind.map_or(Kind::Any, Kind::Of),
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attribute::BuiltIn(built_in) => f.write_str(built_in.as_str()),
            Attribute::Custom(name, _) => f.write_str(name),
        }
    }
}
