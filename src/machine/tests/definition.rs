//! The voice of the tests of sagas that follow a definition: the file, what arrives, and the whole history that comes of
//! it. Must not live here: expectations of a particular test.

mod foreach;
mod locks;
mod people;
mod waits;

use serde_json::Value;

use super::scenario::{Scenario, cancel_request, start_run};
use super::text::history_text;
use crate::definition::{ParseOptions, SagaDefinition};
use crate::machine::{Decider, Decision, DefinitionDecider, RunState, decide};
use crate::model::*;

/// One run of a definition. Everything that does not need its decider is asked of the scenario.
struct Story {
    run: Scenario,
    definition: SagaDefinition,
}

/// Steps without the keys that every test would have to repeat.
fn parse(text: &str) -> SagaDefinition {
    let text = format!("name = \"order\"\n{text}");
    match SagaDefinition::parse("order.toml", &text, &ParseOptions::default()) {
        Ok((definition, _)) => definition,
        Err(error) => panic!("{error}"),
    }
}

impl Story {
    fn start(text: &str, input: &Value) -> Self {
        Self::start_as("order-42", text, input)
    }

    fn start_as(id: &str, text: &str, input: &Value) -> Self {
        let definition = parse(text);
        let start = StartRun {
            workflow_id: WorkflowId::from_trusted(id),
            definition: Some(definition.digest()),
            input: Payload::json(input).unwrap(),
            saga: Some(Box::new(definition.saga_options().clone())),
            ..start_run()
        };
        let mut story = Self {
            run: Scenario {
                state: RunState::default(),
                journal: Vec::new(),
                now: Timestamp::EPOCH,
                last: Decision {
                    turn: None,
                    replies: Vec::new(),
                    task_failure: None,
                    successor: None,
                },
                tasks: 0,
            },
            definition,
        };
        story.input(Input::Start(Box::new(start)));
        story
    }

    fn at(&mut self, seconds: u64) -> &mut Self {
        self.run.at(seconds);
        self
    }

    /// One turn. The decider is a new one each time, as after a crash: it has nothing to remember.
    fn input(&mut self, input: Input) -> &mut Self {
        let mut decider = DefinitionDecider::new(self.definition.clone());
        self.run.last = decide(&mut self.run.state, vec![input], self.run.now, &mut decider);
        assert_eq!(
            self.run.last.task_failure,
            None,
            "\n{}",
            history_text(&self.run.journal)
        );
        self.run.journal.extend(self.run.last.turn.clone());
        self.run.check_fold();
        self
    }

    fn completes(&mut self, name: &str, output: &Value) -> &mut Self {
        let output = Payload::json(output).unwrap();
        self.input(self.run.outcome(name, Ok(output)))
    }

    fn fails(&mut self, name: &str, failure: Failure) -> &mut Self {
        self.input(self.run.outcome(name, Err(failure)))
    }

    fn signal(&mut self, name: &str, data: &Value) -> &mut Self {
        self.input(Input::Signal {
            name: SignalName::from_trusted(name),
            input: Payload::json(data).unwrap(),
            request_id: None,
            identity: "test".to_owned(),
        })
    }

    fn cancel(&mut self) -> &mut Self {
        self.input(cancel_request())
    }

    fn wake(&mut self) -> &mut Self {
        self.input(Input::Wake)
    }

    /// The process dies and comes back: memory is gone, the journal is read, attempts are lost.
    fn crash(&mut self) -> &mut Self {
        self.run.state = RunState::fold(&self.run.journal).expect("every turn was folded before");
        self.input(Input::Recovered { at: self.run.now })
    }

    fn expect_running(&mut self, expected: &str) -> &mut Self {
        self.run.expect_running(expected);
        self
    }

    fn expect_wake(&mut self, expected: &str) -> &mut Self {
        self.run.expect_wake(expected);
        self
    }

    #[track_caller]
    fn expect_history(&mut self, expected: &str) -> &mut Self {
        self.run.expect_history(expected);
        self
    }

    /// What a pending activity was given.
    fn input_of(&self, name: &str) -> Value {
        let pending = self.run.pending(name);
        let pending = pending.unwrap_or_else(|| panic!("{name} is not pending\n{}", history_text(&self.run.journal)));
        pending.attributes.input.to().unwrap()
    }

    /// The run's result.
    #[track_caller]
    fn expect_result(&mut self, expected: &Value) -> &mut Self {
        match self.run.state.outcome() {
            Some(Outcome::Completed(result)) => assert_eq!(result.to::<Value>().unwrap(), *expected),
            other => panic!("{other:?}\n{}", history_text(&self.run.journal)),
        }
        self
    }

    /// The failure that the run ended with, everything undone.
    #[track_caller]
    fn expect_amended(&mut self, expected: &str) -> &mut Self {
        match self.run.state.outcome() {
            Some(Outcome::Amended(failure)) => {
                let text = failure.to_string();
                assert!(text.contains(expected), "{text}");
            }
            other => panic!("{other:?}\n{}", history_text(&self.run.journal)),
        }
        self
    }

    /// What the definition makes for a run that nobody works on.
    fn decider(&self) -> impl Decider {
        DefinitionDecider::new(self.definition.clone())
    }
}
