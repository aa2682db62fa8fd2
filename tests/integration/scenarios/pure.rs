//! A row played by the machine alone: inputs, turns, and a time that passes when nothing else happens. Must not live here:
//! engines.

use std::collections::BTreeMap;
use std::time::Duration;

use amends::machine::{DefinitionDecider, RunState, decide};
use amends::model::{
    ActivityRole, AttemptOutcome, AttemptToken, Decide, Input, Payload, RunId, StartRun, StepName, TimeoutKind,
    Timestamp, WorkflowId,
};
use amends::{Failure, SagaDefinition};

use super::table::{Deed, Row, choice_of};

/// What somebody has to do to an engine for it to do the same.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Move {
    /// So much time goes by, once so many attempts have begun.
    Pass(Duration, usize),
    /// The row's deed, once its attempt has begun.
    Deed(String, Deed),
    /// A decision, once the step (empty: the saga) is stuck.
    Decision(String, String),
}

/// What came of a row.
pub(super) struct Played {
    pub(super) moves: Vec<Move>,
    /// The attempts in the order of their beginning.
    pub(super) log: Vec<String>,
    pub(super) ends: String,
}

/// An attempt that is running.
struct Out {
    who: String,
    number: usize,
    times_out: Timestamp,
}

struct Play<'a> {
    row: &'a Row,
    state: RunState,
    decider: DefinitionDecider,
    now: Timestamp,
    out: BTreeMap<AttemptToken, Out>,
    begun: BTreeMap<String, usize>,
    deeds: Vec<(String, Deed)>,
    decisions: Vec<(String, String)>,
    played: Played,
}

/// A row does not move more often.
const MOVES_MAX: usize = 500;

pub(super) fn play(row: &Row) -> Played {
    let saga = row.definition("row");
    let mut play = Play {
        row,
        state: RunState::default(),
        now: Timestamp::EPOCH,
        out: BTreeMap::new(),
        begun: BTreeMap::new(),
        deeds: row.deeds.clone(),
        decisions: row.decisions.clone(),
        played: Played {
            moves: Vec::new(),
            log: Vec::new(),
            ends: String::new(),
        },
        decider: DefinitionDecider::new(saga.clone()),
    };
    play.input(Input::Start(Box::new(start(&saga))));
    let mut moved = 0;
    while play.moves_on() {
        moved += 1;
        assert!(moved < MOVES_MAX, "{}: does not come to rest", row.name);
    }
    let unsaid = (&play.deeds, &play.decisions);
    assert!(
        unsaid.0.is_empty() && unsaid.1.is_empty(),
        "{}: never came to {unsaid:?}",
        row.name
    );
    play.played.ends = play.state.status().to_string();
    play.played
}

fn start(saga: &SagaDefinition) -> StartRun {
    let workflow_id = WorkflowId::from_trusted("row");
    let mut start = StartRun {
        run_id: RunId::from_bytes([7; 16]),
        identity: "test".to_owned(),
        ..StartRun::new(workflow_id, saga.name().clone(), Payload::null())
    };
    saga.begin(&mut start).expect("nothing is asked of the input");
    start
}

impl Play<'_> {
    fn input(&mut self, input: Input) {
        decide(&mut self.state, vec![input], self.now, &mut self.decider);
        self.out.retain(|token, _| self.state.wants_attempt(*token));
        let due: Vec<(AttemptToken, String, Duration)> = self
            .state
            .attempts_due(self.now)
            .filter(|activity| !self.out.contains_key(&activity.token()))
            .map(|activity| {
                let id = activity.attributes.activity_id.as_str();
                let step = id.split('/').next().unwrap_or(id);
                let who = match activity.attributes.role {
                    ActivityRole::Compensation(_) => format!("undo:{step}"),
                    ActivityRole::Verification(_) => format!("find:{step}"),
                    ActivityRole::Escalation(_) => "page".to_owned(),
                    _ => step.to_owned(),
                };
                (activity.token(), who, activity.attributes.options.start_to_close())
            })
            .collect();
        for (token, who, start_to_close) in due {
            let number = self.begun.entry(who.clone()).or_default();
            *number += 1;
            self.played.log.push(who.clone());
            let out = Out {
                who,
                number: *number,
                times_out: self.now.after(start_to_close),
            };
            self.out.insert(token, out);
        }
    }

    /// The next thing that happens; `false` when nothing is going to happen any more.
    fn moves_on(&mut self) -> bool {
        if self.state.is_closed() {
            return false;
        }
        if let Some((token, outcome)) = self.ended() {
            self.out.remove(&token);
            self.input(Input::AttemptEnded { token, outcome });
            return true;
        }
        if let Some(at) = self
            .deeds
            .iter()
            .position(|(attempt, _)| self.begun.contains_key(attempt))
        {
            let (attempt, deed) = self.deeds.remove(at);
            self.played.moves.push(Move::Deed(attempt, deed));
            self.input(deed_input(deed));
            return true;
        }
        if self.decides() {
            return true;
        }
        self.time_passes()
    }

    fn ended(&self) -> Option<(AttemptToken, AttemptOutcome)> {
        self.out.iter().find_map(|(token, out)| {
            let does = self.row.does(&out.who, out.number);
            let timed_out = || (out.times_out <= self.now).then(|| Err(Failure::timeout(TimeoutKind::StartToClose)));
            let asked = self.state.cancels_attempt(*token);
            let outcome = does
                .at_once()
                .or_else(|| does.when_asked().filter(|_| asked))
                .or_else(timed_out)?;
            Some((*token, outcome))
        })
    }

    fn decides(&mut self) -> bool {
        let Some((step, choice)) = self.decisions.first().cloned() else {
            return false;
        };
        let stuck = |name: Option<StepName>| name.map_or(String::new(), |name| name.to_string());
        if !self.state.stuck().any(|item| stuck(item.step) == step) {
            return false;
        }
        self.decisions.remove(0);
        self.played.moves.push(Move::Decision(step.clone(), choice.clone()));
        self.input(Input::Decide(Box::new(Decide {
            step: (!step.is_empty()).then(|| StepName::from_trusted(step)),
            choice: choice_of(&choice).expect("was read before"),
            by: "ada".to_owned(),
            reason: "by the table".to_owned(),
            request_id: None,
        })));
        true
    }

    fn time_passes(&mut self) -> bool {
        let timeouts = self.out.values().map(|out| out.times_out);
        let Some(next) = timeouts.chain(self.state.next_wake(self.now)).min() else {
            return false;
        };
        let passes = next.since(self.now);
        self.now = next;
        self.played.moves.push(Move::Pass(passes, self.played.log.len()));
        self.input(Input::Wake);
        true
    }
}

fn deed_input(deed: Deed) -> Input {
    let (reason, identity) = ("by the table".to_owned(), "test".to_owned());
    match deed {
        Deed::Cancel => Input::RequestCancel { reason, identity },
        Deed::Terminate => Input::Terminate { reason, identity },
    }
}
