//! The world around one run in the property tests: attempts that are out, a clock, and crashes. It checks after each turn
//! what must hold after each turn. Must not live here: chance, and what is checked at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::oracle::Oracle;
use super::plan::{Plan, PlanDecider};
use super::scenario::{broken, busy, cancel_request, decision, declined, signal, unreachable};
use super::text::history_text;
use crate::machine::{Phase, Reply, RunState, Stuck, decide, park};
use crate::model::*;

/// One thing that may happen. Numbers choose among what there is at that moment.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// An attempt that is out ends.
    Ends(usize, Ending),
    /// An attempt that was out long ago is heard of again.
    EndsAgain(usize),
    Signal(u8),
    /// A person decides about something that is stuck, one way or another.
    Decides(usize, usize),
    Cancel,
    Terminate,
    Wake,
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    Completed,
    Busy,
    Unreachable,
    Broken,
    Declined,
    TimedOut,
    NotTaken,
    Canceled,
}

/// What happens between turns.
#[derive(Clone, Debug)]
pub(super) enum Interlude {
    None,
    /// So many seconds pass.
    Pass(u64),
    /// Time passes until the run wants to be woken.
    UntilWake,
    Crash,
    Park,
    Unpark,
    Pause,
    Unpause,
}

/// The run and its world.
pub(super) struct World<'a> {
    plan: &'a Plan,
    pub(super) state: RunState,
    pub(super) journal: Vec<Turn>,
    now: Timestamp,
    /// Attempts that are running.
    out: Vec<AttemptToken>,
    /// Every attempt that ever left, and whether it may have had an effect.
    left: BTreeMap<AttemptToken, bool>,
}

impl<'a> World<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        let mut world = Self {
            plan,
            state: RunState::default(),
            journal: Vec::new(),
            now: Timestamp::EPOCH,
            out: Vec::new(),
            left: BTreeMap::new(),
        };
        world.turn(&[Input::Start(Box::new(plan.start()))], false);
        world
    }

    /// Something between turns, and a turn of several inputs.
    pub(super) fn happens(&mut self, interlude: &Interlude, actions: &[Action], code_trips: bool) {
        let mut inputs = Vec::new();
        match interlude {
            Interlude::None => {}
            Interlude::Pass(seconds) => self.now = self.now.after(Duration::from_secs(*seconds)),
            Interlude::UntilWake => {
                self.now = self.now.max(self.state.next_wake(self.now).unwrap_or(self.now));
                inputs.push(Input::Wake);
            }
            Interlude::Crash => {
                self.state = RunState::fold(&self.journal).expect("what was written can be read");
                self.out.clear();
                inputs.push(Input::Recovered { at: self.now });
            }
            Interlude::Park => self
                .journal
                .extend(park(&mut self.state, Some(ParkReason::ForeignFuture), self.now)),
            Interlude::Pause => inputs.push(Input::Pause {
                reason: String::new(),
                identity: String::new(),
            }),
            Interlude::Unpause => inputs.push(Input::Unpause {
                reason: String::new(),
                identity: String::new(),
            }),
            Interlude::Unpark => self.journal.extend(park(&mut self.state, None, self.now)),
        }
        if !matches!(interlude, Interlude::Crash) {
            self.send_out();
        }
        inputs.extend(actions.iter().filter_map(|action| self.input(action)));
        let wrote = self.turn(&inputs, code_trips);
        let again = self.state.next_wake(self.now).is_some_and(|wake| wake <= self.now);
        let for_nothing = matches!(interlude, Interlude::UntilWake) && again && !wrote;
        assert!(!for_nothing, "wakes for nothing\n{}", history_text(&self.journal));
    }

    fn input(&mut self, action: &Action) -> Option<Input> {
        let ended = |token, outcome| Input::AttemptEnded { token, outcome };
        Some(match action {
            Action::Ends(which, ending) => {
                let token = *self.out.get(which % self.out.len().max(1))?;
                self.out.retain(|other| *other != token);
                let verifies = self.verifies(token).is_some();
                match (verifies, ending) {
                    (true, Ending::Completed) => ended(token, Ok(verdict(*which))),
                    _ => ended(token, ending.outcome()),
                }
            }
            Action::EndsAgain(which) => {
                let token = *self.left.keys().nth(which % self.left.len().max(1))?;
                if self.out.contains(&token) {
                    return None;
                }
                ended(token, Ok(Payload::null()))
            }
            Action::Signal(number) => signal("s", &format!("r{number}")),
            Action::Decides(which, choice) => {
                let stuck: Vec<Stuck> = self.state.stuck().collect();
                let stuck = stuck.get(which % stuck.len().max(1))?;
                let kind = stuck.choices[choice % stuck.choices.len()];
                // An abandoned run says nothing more; there are other tests for the end by decree.
                let kind = if kind == ChoiceKind::Abandon {
                    ChoiceKind::MarkDone
                } else {
                    kind
                };
                let step = stuck.step.as_ref().map_or("", |step| step.as_str());
                decision(step, choice_of(kind), "")
            }
            Action::Cancel => cancel_request(),
            Action::Terminate => Input::Terminate {
                reason: "enough".to_owned(),
                identity: "operator".to_owned(),
            },
            Action::Wake => Input::Wake,
        })
    }

    fn turn(&mut self, inputs: &[Input], code_trips: bool) -> bool {
        let before = self.state.is_closed().then(|| self.state.clone());
        let mut decider = PlanDecider {
            plan: self.plan,
            trips: code_trips,
        };
        let is_late =
            |input: &Input| matches!(input, Input::AttemptEnded { token, .. } if !self.state.wants_attempt(*token));
        let is_late = inputs.first().is_some_and(is_late);
        let decision = decide(&mut self.state, inputs.to_vec(), self.now, &mut decider);
        assert_eq!(decision.replies.len(), inputs.len());
        let refused = matches!(decision.replies.first(), Some(Reply::Rejected(_)));
        assert!(
            !is_late || refused,
            "{inputs:?} is too late\n{}",
            history_text(&self.journal)
        );
        for (input, reply) in inputs.iter().zip(&decision.replies) {
            self.believe(input, reply);
        }
        let wrote = decision.turn.is_some();
        self.believe_verdicts(decision.turn.as_ref());
        self.journal.extend(decision.turn);
        if let Some(before) = before {
            assert!(!wrote && before == self.state, "closed stays closed");
        }
        let folded = RunState::fold(&self.journal);
        assert_eq!(folded.as_ref(), Ok(&self.state), "\n{}", history_text(&self.journal));
        self.send_out();
        wrote
    }

    /// The step that this attempt finds out about.
    fn verifies(&self, token: AttemptToken) -> Option<EventId> {
        let mut activities = self.state.activities();
        let activity = activities.find(|activity| activity.scheduled == token.scheduled)?;
        match activity.attributes.role {
            ActivityRole::Verification(step) => Some(step),
            _ => None,
        }
    }

    /// What a turn found out about steps that had not answered: whom it says so of, that one had no effect.
    fn believe_verdicts(&mut self, turn: Option<&Turn>) {
        for event in turn.iter().flat_map(|turn| &turn.events) {
            if let EventAttributes::SagaStepResolved { scheduled, verdict } = &event.attributes
                && *verdict == StepVerdict::NotApplied
            {
                let of = |token: &AttemptToken| token.scheduled == *scheduled;
                self.left
                    .iter_mut()
                    .filter(|(token, _)| of(token))
                    .for_each(|(_, may_have)| *may_have = false);
            }
        }
    }

    /// An attempt had no effect if it says so, and is heard.
    fn believe(&mut self, input: &Input, reply: &Reply) {
        let Input::AttemptEnded { token, outcome } = input else {
            return;
        };
        let nothing_happened = outcome.as_ref().is_err_and(|failure| {
            failure.is_not_applied() || failure.timeout_kind() == Some(TimeoutKind::ScheduleToStart)
        });
        if nothing_happened && *reply == Reply::Accepted {
            self.left.insert(*token, false);
        }
    }

    /// Nothing leaves twice, nothing leaves beyond its policy, and nothing goes forward from a saga that goes back.
    fn send_out(&mut self) {
        self.out.retain(|token| self.state.wants_attempt(*token));
        for activity in self.state.attempts_due(self.now) {
            let token = activity.token();
            if self.out.contains(&token) {
                continue;
            }
            let history = || history_text(&self.journal);
            assert!(!self.left.contains_key(&token), "{token:?} leaves again\n{}", history());
            let maximum = activity.attributes.options.retry.maximum_attempts;
            assert!(
                maximum == 0 || token.attempt - activity.attempts_forgiven <= maximum,
                "{token:?} of {maximum}\n{}",
                history()
            );
            let backward = matches!(self.state.phase(), Phase::Unwinding(_));
            assert!(
                !backward || !activity.attributes.is_of_the_code(),
                "{token:?} goes forward\n{}",
                history()
            );
            self.left.insert(token, true);
            self.out.push(token);
        }
    }

    fn may_have_happened(&self, scheduled: EventId) -> bool {
        let attempts = self.left.range(AttemptToken { scheduled, attempt: 0 }..);
        let mut attempts = attempts.take_while(|(token, _)| token.scheduled == scheduled);
        attempts.any(|(_, may_have)| *may_have)
    }

    /// From here on all goes well: the run must come to its end, or wait for a person, and never spin.
    pub(super) fn calms_down(&mut self) {
        self.happens(&Interlude::Unpark, &[], false);
        self.happens(&Interlude::Unpause, &[], false);
        for _ in 0..500 {
            if self.state.is_closed() {
                return;
            }
            if !self.out.is_empty() {
                self.happens(&Interlude::None, &[Action::Ends(0, Ending::Completed)], false);
                continue;
            }
            let Some(wake) = self.state.next_wake(self.now) else {
                let stuck = self.state.status() == RunStatus::Stuck;
                assert!(stuck, "nothing will ever happen\n{}", history_text(&self.journal));
                return;
            };
            self.now = self.now.max(wake);
            self.send_out();
            let sent = !self.out.is_empty();
            let wrote = self.turn(&[Input::Wake], false);
            let moved = self.state.next_wake(self.now) != Some(wake);
            assert!(
                wrote || sent || moved,
                "wakes for nothing\n{}",
                history_text(&self.journal)
            );
        }
        panic!("does not come to an end\n{}", history_text(&self.journal));
    }

    /// What must hold for the whole history.
    pub(super) fn check(&self) {
        let oracle = Oracle::read(&self.journal);
        let may_have_happened = |scheduled| self.may_have_happened(scheduled);
        oracle.check_order(&may_have_happened);
        oracle.check_amends(&may_have_happened);
        oracle.check_nothing_undone_in_vain(&may_have_happened);
        oracle.check_timers();
        let stuck = self.state.status() == RunStatus::Stuck;
        assert!(!stuck || oracle.says_stuck(), "stuck, and nobody said why\n{oracle}");
    }
}

fn verdict(number: usize) -> Payload {
    match number % 4 {
        0 => Payload::json("perhaps"),
        1 => Payload::json(&Verdict::<()>::not_applied()),
        _ => Payload::json(&Verdict::applied(1)),
    }
    .expect("small enough")
}

fn choice_of(kind: ChoiceKind) -> Choice {
    match kind {
        ChoiceKind::Retry => Choice::Retry,
        ChoiceKind::RetryWith => Choice::RetryWith { input: Payload::null() },
        ChoiceKind::Skip => Choice::Skip,
        ChoiceKind::MarkDone => Choice::MarkDone {
            output: Payload::null(),
        },
        ChoiceKind::GoForward => Choice::GoForward,
        ChoiceKind::GoBack => Choice::GoBack,
        ChoiceKind::Abandon => Choice::Abandon,
    }
}

impl Ending {
    fn outcome(self) -> AttemptOutcome {
        match self {
            Ending::Completed => Ok(Payload::null()),
            Ending::Busy => Err(busy()),
            Ending::Unreachable => Err(unreachable()),
            Ending::Broken => Err(broken()),
            Ending::Declined => Err(declined()),
            Ending::TimedOut => Err(Failure::timeout(TimeoutKind::StartToClose)),
            Ending::NotTaken => Err(Failure::timeout(TimeoutKind::ScheduleToStart)),
            Ending::Canceled => Err(Failure::canceled("")),
        }
    }
}
