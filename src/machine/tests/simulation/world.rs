//! The simulated world: a queue of happenings on a virtual clock, the process that may die, and the journal. Must not live
//! here: what participants do, the shape of sagas, and what is checked at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::chance::Chance;
use super::participants::Participants;
use crate::machine::tests::plan::{Plan, PlanDecider};
use crate::machine::tests::scenario::{cancel_request, signal};
use crate::machine::tests::text::{history_text, seconds};
use crate::machine::{Reply, RunState, decide, park};
use crate::model::*;

/// Faults happen up to this time; afterwards all is well.
const CALM_AFTER: Timestamp = Timestamp::from_micros(600_000_000);

/// More than any world needs that does not spin.
const HAPPENINGS_MAX: u32 = 20_000;

/// Something that is going to happen. What belongs to a process is forgotten with it: `life` says to which.
#[derive(Clone, Debug)]
enum Happening {
    /// A client sends its request, again if need be.
    Sends(usize),
    /// The turns decided so far become durable.
    Commits {
        life: u64,
    },
    /// The run asked to be looked at.
    Wakes {
        life: u64,
    },
    /// A request reaches its participant, whatever became of its sender.
    Arrives {
        request: Request,
    },
    /// The sender hears how an attempt went.
    Answers {
        request: Request,
        outcome: AttemptOutcome,
    },
    /// An attempt says that it is alive.
    Beats {
        request: Request,
    },
    /// The code of an attempt returns, and the participant will answer the run itself.
    HandsOver {
        request: Request,
    },
    /// A participant answers the run itself, whatever became of the sender.
    Reports {
        token: AttemptToken,
        what: Reported,
    },
    /// A person looks at what is stuck.
    Looks {
        life: u64,
    },
    Dies,
    Restarts,
}

/// What a request asks of its participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Errand {
    Forward,
    Undo,
    Verify,
    /// Nothing that anybody keeps a record of.
    Other,
}

#[derive(Clone, Debug)]
struct Request {
    token: AttemptToken,
    step: String,
    errand: Errand,
    life: u64,
}

/// A client's request: it insists until it is acknowledged.
pub(super) struct Wish {
    pub(super) input: Input,
    pub(super) acknowledged: Option<Reply>,
}

/// What dies with the process.
pub(super) struct Process {
    pub(super) state: RunState,
    undurable: Vec<Turn>,
    pub(super) out: BTreeSet<AttemptToken>,
    /// When it is going to be woken.
    alarms: BTreeSet<Timestamp>,
    /// Answers to clients that wait for these turns to be durable.
    answers: Vec<(u64, usize, Reply)>,
}

pub(super) struct World<'a> {
    seed: u64,
    plan: &'a Plan,
    pub(super) chance: Chance,
    pub(super) now: Timestamp,
    queue: BTreeMap<(Timestamp, u64), Happening>,
    happened: u64,
    life: u64,
    pub(super) process: Option<Process>,
    pub(super) journal: Vec<Turn>,
    pub(super) participants: Participants,
    pub(super) wishes: Vec<Wish>,
    pub(super) left: BTreeSet<AttemptToken>,
    pub(super) trace: Vec<String>,
}

impl<'a> World<'a> {
    pub(super) fn new(seed: u64, plan: &'a Plan, chance: Chance) -> Self {
        let mut world = Self {
            seed,
            plan,
            chance,
            now: Timestamp::EPOCH,
            queue: BTreeMap::new(),
            happened: 0,
            life: 0,
            process: None,
            journal: Vec::new(),
            participants: Participants::default(),
            wishes: Vec::new(),
            left: BTreeSet::new(),
            trace: Vec::new(),
        };
        world.soon(0, Happening::Restarts);
        world.wish(0, Input::Start(Box::new(plan.start())));
        for number in 0..world.chance.below(4) {
            let when = world.chance.below(120_000);
            world.wish(when, signal("s", &format!("r{number}")));
        }
        if world.chance.one_in(5) {
            let when = world.chance.below(60_000);
            world.wish(when, cancel_request());
        }
        if world.chance.one_in(20) {
            let when = world.chance.below(60_000);
            let identity = "operator".to_owned();
            let reason = "enough".to_owned();
            world.wish(when, Input::Terminate { reason, identity });
        }
        for _ in 0..world.chance.below(8) {
            let when = world.chance.below(90_000);
            world.soon(when, Happening::Dies);
        }
        world
    }

    fn wish(&mut self, millis: u64, input: Input) {
        self.wishes.push(Wish {
            input,
            acknowledged: None,
        });
        self.soon(millis, Happening::Sends(self.wishes.len() - 1));
    }

    fn soon(&mut self, millis: u64, what: Happening) {
        let when = self.now.after(Duration::from_millis(millis));
        self.at(when, what);
    }

    fn at(&mut self, when: Timestamp, what: Happening) {
        self.happened += 1;
        self.queue.insert((when.max(self.now), self.happened), what);
    }

    fn is_calm(&self) -> bool {
        self.now >= CALM_AFTER
    }

    /// Until nothing is going to happen any more.
    pub(super) fn run(&mut self) {
        for _ in 0..HAPPENINGS_MAX {
            let Some(((when, _), what)) = self.queue.pop_first() else {
                return;
            };
            self.now = when;
            self.trace.push(format!("{} {what:?}", seconds(when)));
            self.happens(what);
        }
        panic!("the world does not come to rest");
    }

    fn happens(&mut self, what: Happening) {
        match what {
            Happening::Sends(which) => self.client_sends(which),
            Happening::Commits { life } if life == self.life => self.commit(),
            Happening::Wakes { life } if life == self.life => self.wakes(),
            Happening::Looks { life } if life == self.life => self.operator_looks(),
            Happening::Arrives { request } => self.request_arrives(request),
            Happening::Answers { request, outcome } if request.life == self.life => self.hear(&request, outcome),
            Happening::Beats { request } if request.life == self.life => self.beats(request.token),
            Happening::HandsOver { request } if request.life == self.life => self.hands_over(request.token),
            Happening::Reports { token, what } => self.report(token, what),
            Happening::Dies if !self.is_calm() => self.die(),
            Happening::Restarts if self.process.is_none() => self.restart(),
            _ => {}
        }
    }

    fn client_sends(&mut self, which: usize) {
        if self.wishes[which].acknowledged.is_some() {
            return;
        }
        self.soon(5_000, Happening::Sends(which));
        if self.process.is_some() {
            let input = self.wishes[which].input.clone();
            self.turn(vec![input], Some(which));
        }
    }

    /// Decides; nothing leaves yet.
    pub(super) fn turn(&mut self, inputs: Vec<Input>, client: Option<usize>) {
        let trips = !self.is_calm() && self.chance.one_in(40);
        let mut decider = PlanDecider { plan: self.plan, trips };
        let Some(process) = &mut self.process else {
            return;
        };
        let decision = decide(&mut process.state, inputs, self.now, &mut decider);
        process.undurable.extend(decision.turn);
        if decision.task_failure.is_some() && self.chance.one_in(3) {
            process
                .undurable
                .extend(park(&mut process.state, decision.task_failure.clone(), self.now));
        }
        // Even an answer that changed nothing may rest on a turn that is not durable yet.
        let rests_on = process.state.turns();
        if let (Some(which), Some(reply)) = (client, decision.replies.into_iter().next()) {
            process.answers.push((rests_on, which, reply));
        }
        let life = self.life;
        if decision.task_failure.is_some() {
            self.soon(1_000, Happening::Wakes { life });
        }
        let delay = self.chance.below(50);
        if self.chance.one_in(40) {
            let sooner = self.chance.below(delay + 1);
            self.soon(sooner, Happening::Dies);
        }
        self.soon(delay, Happening::Commits { life });
    }

    /// What was decided is durable: answers and attempts may leave.
    fn commit(&mut self) {
        let is_calm = self.is_calm();
        let Some(process) = &mut self.process else {
            return;
        };
        self.journal.append(&mut process.undurable);
        if !is_calm && self.chance.one_in(50) {
            return self.die();
        }
        for (rests_on, which, reply) in std::mem::take(&mut process.answers) {
            assert!(rests_on <= self.journal.len() as u64, "answered before it was durable");
            self.wishes[which].acknowledged = Some(reply);
        }
        process.out.retain(|token| process.state.wants_attempt(*token));
        let due: Vec<(AttemptToken, String, Errand)> = process
            .state
            .attempts_due(self.now)
            .filter(|activity| !process.out.contains(&activity.token()))
            .map(|activity| {
                let id = activity.attributes.activity_id.as_str();
                let errand = match activity.attributes.role {
                    ActivityRole::Step(_) => Errand::Forward,
                    ActivityRole::Compensation(_) => Errand::Undo,
                    ActivityRole::Verification(_) => Errand::Verify,
                    ActivityRole::Plain | ActivityRole::Escalation(_) => Errand::Other,
                };
                let step = id.split('/').next().unwrap_or(id).to_owned();
                (activity.token(), step, errand)
            })
            .collect();
        let cancelled: Vec<AttemptToken> = process
            .out
            .iter()
            .copied()
            .filter(|token| process.state.cancels_attempt(*token))
            .collect();
        let wake = process.state.next_wake(self.now);
        let is_stuck = process.state.stuck().next().is_some();
        process.out.extend(due.iter().map(|(token, ..)| *token));
        for (token, step, errand) in due {
            self.send(token, step, errand);
        }
        if is_stuck {
            let (life, later) = (self.life, self.chance.below(120_000));
            self.soon(later, Happening::Looks { life });
        }
        for token in cancelled {
            self.heed(token);
        }
        if let Some(wake) = wake {
            self.arm(wake);
        }
    }

    fn arm(&mut self, wake: Timestamp) {
        let process = self.process.as_mut();
        if process.is_some_and(|process| process.alarms.insert(wake)) {
            let life = self.life;
            self.at(wake, Happening::Wakes { life });
        }
    }

    fn wakes(&mut self) {
        let now = self.now;
        if let Some(process) = &mut self.process {
            process.alarms.retain(|alarm| *alarm > now);
        }
        self.turn(vec![Input::Wake], None);
    }

    fn send(&mut self, token: AttemptToken, step: String, errand: Errand) {
        let life = self.life;
        assert!(self.left.insert(token), "{step} {token:?} leaves a second time");
        let request = Request {
            token,
            step,
            errand,
            life,
        };
        let timeout = Err(Failure::timeout(TimeoutKind::StartToClose));
        let late = Happening::Answers {
            request: request.clone(),
            outcome: timeout,
        };
        self.soon(60_000, late);
        let delay = match self.chance.below(20) {
            0 if !self.is_calm() => self.chance.below(300_000),
            _ => self.chance.below(2_000),
        };
        let is_lost = !self.is_calm() && self.chance.one_in(20);
        if self.chance.one_in(4) {
            let (request, soon) = (request.clone(), self.chance.below(1_000));
            self.soon(soon, Happening::Beats { request });
        }
        if !is_lost {
            self.soon(delay, Happening::Arrives { request });
        }
    }

    /// An attempt that is asked to stop does so, sometimes; what it has sent is on its way.
    fn heed(&mut self, token: AttemptToken) {
        if self.chance.one_in(2) {
            let request = Request {
                token,
                step: String::new(),
                errand: Errand::Other,
                life: self.life,
            };
            let outcome = Err(Failure::canceled(""));
            let delay = self.chance.below(3_000);
            self.soon(delay, Happening::Answers { request, outcome });
        }
    }

    fn request_arrives(&mut self, request: Request) {
        let calm = self.is_calm();
        let Request {
            token, step, errand, ..
        } = &request;
        let outcome = match errand {
            Errand::Undo => self.participants.undo(step, &mut self.chance, calm),
            Errand::Verify => self.participants.verify(step, &mut self.chance, calm),
            Errand::Forward => self.participants.forward(step, token.scheduled, &mut self.chance, calm),
            Errand::Other => Ok(Payload::null()),
        };
        let is_lost = !calm && self.chance.one_in(15);
        if !calm && self.chance.one_in(6) {
            let (token, soon, later) = (request.token, self.chance.below(200), self.chance.below(90_000));
            self.soon(soon, Happening::HandsOver { request });
            let what = outcome.map_or_else(Reported::Failed, Reported::Completed);
            return self.soon(later, Happening::Reports { token, what });
        }
        if !is_lost {
            let delay = self.chance.below(2_000);
            self.soon(delay, Happening::Answers { request, outcome });
        }
    }

    fn hear(&mut self, request: &Request, outcome: AttemptOutcome) {
        let token = request.token;
        let Some(process) = &mut self.process else {
            return;
        };
        if process.out.remove(&token) {
            self.turn(vec![Input::AttemptEnded { token, outcome }], None);
        }
    }

    /// Memory is gone; of what was not durable, any prefix may have reached the disk.
    fn die(&mut self) {
        let Some(process) = self.process.take() else {
            return;
        };
        let kept = self.chance.below(process.undurable.len() as u64 + 1);
        let kept = usize::try_from(kept).unwrap_or(0);
        self.journal.extend(process.undurable.into_iter().take(kept));
        let down = self.chance.below(40_000);
        self.soon(down, Happening::Restarts);
    }

    fn restart(&mut self) {
        self.life += 1;
        let state = RunState::fold(&self.journal).expect("what is durable can be read");
        let wake = state.wake_after_restart(self.now);
        self.process = Some(Process {
            state,
            undurable: Vec::new(),
            out: BTreeSet::new(),
            alarms: BTreeSet::new(),
            answers: Vec::new(),
        });
        match wake {
            Some(wake) if wake == Timestamp::EPOCH => self.turn(vec![Input::Recovered { at: self.now }], None),
            Some(wake) => self.arm(wake),
            None => {}
        }
    }
}

impl Drop for World<'_> {
    /// A world that fails says how to see it again.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let from = self.trace.len().saturating_sub(30);
            println!(
                "\nSEED={} fails at {}\n{}",
                self.seed,
                seconds(self.now),
                self.trace[from..].join("\n")
            );
            println!("{:#?}\n{}", self.plan, history_text(&self.journal));
        }
    }
}
