//! Version 1 of what only sagas have. Must not live here: any change after a release.

use serde::{Deserialize, Serialize};

use super::{ActivityOptions, CompensationSpec, Failure, Payload, Span, StepKind};

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) struct Decided<'a> {
    pub(in crate::store::record) step: Option<u64>,
    #[serde(borrow)]
    pub(in crate::store::record) choice: Choice<'a>,
    pub(in crate::store::record) by: &'a str,
    pub(in crate::store::record) reason: &'a str,
    #[serde(borrow)]
    pub(in crate::store::record) request_id: Option<&'a str>,
    pub(in crate::store::record) automatic: bool,
}

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) enum Choice<'a> {
    Retry,
    RetryWith(#[serde(borrow)] Payload<'a>),
    Skip,
    MarkDone(#[serde(borrow)] Payload<'a>),
    GoForward,
    GoBack,
    Abandon,
}

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) enum ChoiceKind {
    Retry,
    RetryWith,
    Skip,
    MarkDone,
    GoForward,
    GoBack,
    Abandon,
}

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) enum Verdict {
    Applied,
    NotApplied,
    Unknown,
}

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) enum WaitResult {
    Signaled(u64),
    Elapsed,
    TimedOut,
    Canceled,
}

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) struct AdoptedStep<'a> {
    pub(in crate::store::record) name: &'a str,
    pub(in crate::store::record) kind: StepKind,
    #[serde(borrow)]
    pub(in crate::store::record) after: Option<Vec<&'a str>>,
    #[serde(borrow)]
    pub(in crate::store::record) input: Payload<'a>,
    #[serde(borrow)]
    pub(in crate::store::record) outcome: Result<Payload<'a>, Failure<'a>>,
    #[serde(borrow)]
    pub(in crate::store::record) compensation: Option<CompensationSpec<'a>>,
    pub(in crate::store::record) scheduled: u64,
    pub(in crate::store::record) closed: u64,
}

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) struct SagaOptions<'a> {
    pub(in crate::store::record) unwind_timeout: Option<Span>,
    pub(in crate::store::record) unwind_parallel: Option<u32>,
    #[serde(borrow)]
    pub(in crate::store::record) escalation: Option<Escalation<'a>>,
    pub(in crate::store::record) automatic: Option<AutomaticDecision>,
}

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) struct Escalation<'a> {
    pub(in crate::store::record) after: Span,
    pub(in crate::store::record) activity_type: &'a str,
    #[serde(borrow)]
    pub(in crate::store::record) options: ActivityOptions<'a>,
}

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) struct AutomaticDecision {
    pub(in crate::store::record) after: Span,
    pub(in crate::store::record) choice: ChoiceKind,
}
