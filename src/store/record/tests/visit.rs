//! That what encodes users' data finds all of it. Must not live here: the encoding (`runtime::codecs`).

use std::sync::Arc;

use proptest::prelude::*;

use super::super::{encode_turn, generate};
use crate::model::*;

/// Takes the data away.
struct Forget;

impl Visit for Forget {
    type Error = std::convert::Infallible;

    fn payload(&mut self, payload: &mut Payload) -> Result<(), Self::Error> {
        *payload = Payload::null();
        Ok(())
    }

    fn message(&mut self, _: &mut String) -> Result<(), Self::Error> {
        Ok(())
    }
}

fn hide(left: &mut LeftChild) {
    Arc::make_mut(&mut left.start).search_attributes.clear();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    /// Whatever has users' data must be found by what encodes it.
    #[test]
    fn every_payload_of_a_turn_is_visited(turn in generate::turn()) {
        let mut turn = turn;
        turn.visit_data(&mut Forget).unwrap();
        // Runs are found by their search attributes, which nothing encodes.
        for event in &mut turn.events {
            match &mut event.attributes {
                EventAttributes::WorkflowExecutionStarted(started) => {
                    let started = Arc::make_mut(started);
                    started.search_attributes.clear();
                    started.chain.iter_mut().flat_map(|chain| &mut chain.children).for_each(hide);
                }
                EventAttributes::WorkflowExecutionReset(reset) => reset.children.iter_mut().for_each(hide),
                EventAttributes::Child(child) => {
                    if let ChildEvent::Initiated(start) = &mut **child {
                        Arc::make_mut(start).search_attributes.clear();
                    }
                }
                EventAttributes::UpsertWorkflowSearchAttributes(changes) => changes.clear(),
                _ => {}
            }
        }
        let record = encode_turn(&turn).unwrap();
        let secret = generate::SECRET.as_bytes();
        prop_assert!(!record.windows(secret.len()).any(|bytes| bytes == secret), "{turn:#?}");
    }
}
