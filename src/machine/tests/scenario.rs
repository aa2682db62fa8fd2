//! The voice of the table tests: what arrives for a run, what its code answers, and what it looks like then. Must not
//! live here: expectations of a particular test.

use std::collections::VecDeque;

pub(super) use super::script::*;
use super::text::{history_text, seconds};
use crate::machine::{Decider, Decision, Reply, RunState, StepState, Task, UndoState, decide};
use crate::model::*;

/// One run, told from its start. Inputs are taken at the scenario's time, which moves only when told.
pub(super) struct Scenario {
    pub(super) state: RunState,
    pub(super) journal: Vec<Turn>,
    pub(super) now: Timestamp,
    pub(super) last: Decision,
    /// How many tasks the code was given so far.
    pub(super) tasks: usize,
}

/// What the code answers to its next tasks; nothing when it has no answer left.
#[derive(Default)]
pub(super) struct Script {
    pub(super) answers: VecDeque<Result<Vec<Command>, ParkReason>>,
    tasks: usize,
}

impl Decider for Script {
    fn decide(&mut self, _: &Task<'_>) -> Result<Vec<Command>, ParkReason> {
        self.tasks += 1;
        self.answers.pop_front().unwrap_or_else(|| Ok(Vec::new()))
    }
}

impl Scenario {
    /// A run of code that answers its first task so.
    pub(super) fn start(answer: impl IntoIterator<Item = Do>) -> Self {
        Self::start_as(start_run(), answer)
    }

    pub(super) fn start_as(start: StartRun, answer: impl IntoIterator<Item = Do>) -> Self {
        let mut scenario = Self {
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
        };
        scenario.input(Input::Start(Box::new(start)), answer);
        scenario
    }

    /// So many seconds after the start.
    pub(super) fn at(&mut self, seconds: u64) -> &mut Self {
        self.now = at(seconds);
        self
    }

    pub(super) fn input(&mut self, input: Input, answer: impl IntoIterator<Item = Do>) -> &mut Self {
        self.inputs([input], answer)
    }

    /// Several inputs at once, one turn.
    pub(super) fn inputs(
        &mut self,
        inputs: impl IntoIterator<Item = Input>,
        answer: impl IntoIterator<Item = Do>,
    ) -> &mut Self {
        let answer: Vec<Command> = answer.into_iter().map(|Do(command)| command).collect();
        self.turn(inputs, [Ok(answer)])
    }

    pub(super) fn turn(
        &mut self,
        inputs: impl IntoIterator<Item = Input>,
        answers: impl IntoIterator<Item = Result<Vec<Command>, ParkReason>>,
    ) -> &mut Self {
        let mut script = Script {
            answers: answers.into_iter().collect(),
            tasks: 0,
        };
        self.last = decide(&mut self.state, inputs.into_iter().collect(), self.now, &mut script);
        let unsaid = script
            .answers
            .iter()
            .any(|answer| answer.as_ref().is_ok_and(|said| !said.is_empty()));
        assert!(!unsaid, "the code was not asked:\n{}", history_text(&self.journal));
        self.tasks += script.tasks;
        self.journal.extend(self.last.turn.clone());
        self.check_fold();
        self
    }

    /// What recovery would make of the journal is what is there.
    pub(super) fn check_fold(&self) {
        match RunState::fold(&self.journal) {
            Ok(folded) => assert_eq!(
                folded,
                self.state,
                "folded and live differ:\n{}",
                history_text(&self.journal)
            ),
            Err(error) => panic!("the journal cannot be read: {error}\n{}", history_text(&self.journal)),
        }
    }

    pub(super) fn completes(&mut self, name: &str, answer: impl IntoIterator<Item = Do>) -> &mut Self {
        let input = self.outcome(name, Ok(Payload::null()));
        self.input(input, answer)
    }

    pub(super) fn fails(&mut self, name: &str, failure: Failure, answer: impl IntoIterator<Item = Do>) -> &mut Self {
        let input = self.outcome(name, Err(failure));
        self.input(input, answer)
    }

    /// The end of the current attempt of a pending activity.
    pub(super) fn outcome(&self, name: &str, outcome: AttemptOutcome) -> Input {
        let pending = self.pending(name);
        let token = pending.unwrap_or_else(|| panic!("{name} is not pending")).token();
        Input::AttemptEnded { token, outcome }
    }

    pub(super) fn pending(&self, name: &str) -> Option<&crate::machine::PendingActivity> {
        let mut pending = self.state.activities();
        pending.find(|activity| activity.attributes.activity_id.as_str() == name)
    }

    pub(super) fn wake(&mut self, answer: impl IntoIterator<Item = Do>) -> &mut Self {
        self.input(Input::Wake, answer)
    }

    pub(super) fn cancel(&mut self, answer: impl IntoIterator<Item = Do>) -> &mut Self {
        self.input(cancel_request(), answer)
    }

    pub(super) fn terminate(&mut self) -> &mut Self {
        let input = Input::Terminate {
            reason: "enough".to_owned(),
            identity: "operator".to_owned(),
        };
        self.input(input, [])
    }

    /// A person decides about what is stuck; an empty step means the only one.
    pub(super) fn decides(&mut self, step: &str, choice: Choice, answer: impl IntoIterator<Item = Do>) -> &mut Self {
        self.input(decision(step, choice, ""), answer)
    }

    /// What is stuck: `step: reason (choices)`.
    pub(super) fn expect_desk(&mut self, expected: &str) -> &mut Self {
        let stuck = self.state.stuck().map(|stuck| {
            let step = stuck.step.map_or("(saga)".to_owned(), |step| step.to_string());
            let choices: Vec<String> = stuck.choices.iter().map(ToString::to_string).collect();
            format!("{step}: {:?} ({})", stuck.reason, choices.join(" "))
        });
        assert_eq!(
            stuck.collect::<Vec<_>>().join("; "),
            expected,
            "\n{}",
            history_text(&self.journal)
        );
        self
    }

    /// Every step: `name state/undo`.
    pub(super) fn expect_steps(&mut self, expected: &str) -> &mut Self {
        let steps = self.state.steps().map(|step| {
            let state = match &step.state {
                StepState::Pending => "pending",
                StepState::Skipped => "skipped",
                StepState::Completed { .. } => "completed",
                StepState::Failed { .. } => "failed",
            };
            let undo = match step.undo {
                UndoState::NotOwed => "not-owed",
                UndoState::Owed => "owed",
                UndoState::Running(_) => "running",
                UndoState::Done => "done",
                UndoState::Skipped => "skipped",
                UndoState::Stuck => "stuck",
            };
            format!("{} {state}/{undo}", step.name)
        });
        assert_eq!(
            steps.collect::<Vec<_>>().join(", "),
            expected,
            "\n{}",
            history_text(&self.journal)
        );
        self
    }

    pub(super) fn signal(&mut self, name: &str, request: &str, answer: impl IntoIterator<Item = Do>) -> &mut Self {
        self.input(signal(name, request), answer)
    }

    /// The process dies and comes back: memory is gone, the journal is read, attempts are lost.
    pub(super) fn crash(&mut self, answer: impl IntoIterator<Item = Do>) -> &mut Self {
        self.state = RunState::fold(&self.journal).expect("every turn was folded before");
        self.input(Input::Recovered { at: self.now }, answer)
    }

    pub(super) fn expect_reply(&mut self, reply: Reply) -> &mut Self {
        assert_eq!(self.last.replies, [reply]);
        self
    }

    /// The attempts that should be running now: `name#attempt`, in the order of their scheduling.
    pub(super) fn expect_running(&mut self, expected: &str) -> &mut Self {
        let due = self.state.attempts_due(self.now);
        let due: Vec<String> = due
            .map(|activity| format!("{}#{}", activity.attributes.activity_id, activity.attempt))
            .collect();
        assert_eq!(due.join(" "), expected);
        self
    }

    pub(super) fn expect_wake(&mut self, expected: &str) -> &mut Self {
        let wake = self.state.next_wake(self.now);
        assert_eq!(wake.map_or("never".to_owned(), seconds), expected);
        self
    }

    pub(super) fn expect_status(&mut self, expected: RunStatus) -> &mut Self {
        assert_eq!(self.state.status(), expected, "\n{}", history_text(&self.journal));
        self
    }

    /// The whole history, a line for each turn (`@`), event, and change of the pending record (`~`).
    #[track_caller]
    pub(super) fn expect_history(&mut self, expected: &str) -> &mut Self {
        let found = history_text(&self.journal);
        let wanted: Vec<&str> = expected
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        assert!(
            found.lines().eq(wanted.iter().copied()),
            "expected:\n{}\n\nfound:\n{found}",
            wanted.join("\n")
        );
        self
    }
}
