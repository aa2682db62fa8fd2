//! Version 1 of runs that follow one another. Must not live here: any change after a release (write a `v2`).

use serde::{Deserialize, Serialize};

use super::{Failure, LeftChild, LeftMessage, Micros, Payload, Span};

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) struct RunChain<'a> {
    pub(in crate::store::record) first: Option<[u8; 16]>,
    pub(in crate::store::record) follows: Option<Follows>,
    pub(in crate::store::record) attempt: u32,
    pub(in crate::store::record) backoff: Span,
    pub(in crate::store::record) execution_timeout: Option<Span>,
    pub(in crate::store::record) expires_at: Option<Micros>,
    #[serde(borrow)]
    pub(in crate::store::record) retry: Option<RunRetry<'a>>,
    #[serde(borrow)]
    pub(in crate::store::record) cron: Option<&'a str>,
    #[serde(borrow)]
    pub(in crate::store::record) last_failure: Option<Failure<'a>>,
    #[serde(borrow)]
    pub(in crate::store::record) last_result: Option<Payload<'a>>,
    #[serde(borrow)]
    pub(in crate::store::record) signal_requests: Vec<&'a str>,
    #[serde(borrow)]
    pub(in crate::store::record) updates: Vec<&'a str>,
    #[serde(borrow)]
    pub(in crate::store::record) children: Vec<LeftChild<'a>>,
    #[serde(borrow)]
    pub(in crate::store::record) messages: Vec<LeftMessage<'a>>,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
pub(in crate::store::record) struct Follows {
    pub(in crate::store::record) run_id: [u8; 16],
    pub(in crate::store::record) initiator: Initiator,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
pub(in crate::store::record) enum Initiator {
    Workflow,
    Retry,
    Cron,
}

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) struct RunRetry<'a> {
    pub(in crate::store::record) initial_interval: Span,
    pub(in crate::store::record) backoff_coefficient: f64,
    pub(in crate::store::record) maximum_interval: Option<Span>,
    pub(in crate::store::record) maximum_attempts: u32,
    #[serde(borrow)]
    pub(in crate::store::record) non_retryable_types: Vec<&'a str>,
}

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) struct ContinuedAsNew<'a> {
    pub(in crate::store::record) new_run_id: [u8; 16],
    pub(in crate::store::record) workflow_type: &'a str,
    #[serde(borrow)]
    pub(in crate::store::record) input: Payload<'a>,
    pub(in crate::store::record) run_timeout: Option<Span>,
    pub(in crate::store::record) task_queue: Option<&'a str>,
}
