//! The options of `amends bench`: what was written, and what is to be done. Lives here: every option, what goes with
//! what, and the defaults. Must not live here: measuring.

use std::path::PathBuf;

use crate::Durability;
use crate::server::console::OutputArgs;

use super::BenchError;

/// Steps whose activities and turns still say something about sagas.
const STEPS_MAX: u32 = 100;

/// Clients wait in memory; more would measure the allocator.
const CONCURRENCY_MAX: u32 = 65_536;

/// Enough for a disk of a terabyte.
const RUNS_MAX: u64 = 100_000_000;

/// Measure sagas per second, latency and cost on this machine: amends bench
///
/// Beside the engine, in turns with it, a bare file is measured: the same bytes in as many appends, each of them durable
/// before the next one, without any engine.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// What is measured
    #[arg(long, value_enum, value_name = "NAME")]
    workload: Option<Workload>,
    /// Sagas in flight at once; 1, 64 and 512, one after the other, when not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(CONCURRENCY_MAX)))]
    concurrency: Option<u32>,
    /// Seconds measured for each number in flight: half of them the engine, half of them a bare file [default: 10;
    /// 36 for each size of `stored`]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: Option<u32>,
    /// Slices that these seconds are cut into, for each side; 5 or more when not given, 9 or more for `stored`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    slices: Option<u32>,
    /// Steps of a saga [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(STEPS_MAX)))]
    steps: Option<u32>,
    /// Runs in the store, for `timers`, `recovery` and `parked` [default: 100000] and `stored` [default: 1000000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=RUNS_MAX))]
    runs: Option<u64>,
    /// Let the last step fail, so that all steps before it are compensated: short for --workload rollback
    #[arg(long)]
    rollback: bool,
    /// Where histories are kept
    #[arg(long, value_enum, default_value_t)]
    store: StoreKind,
    /// How the saga is written
    #[arg(long, value_enum, default_value_t)]
    form: Form,
    /// What an acknowledged turn survives: a power cut, or the death of the process only
    #[arg(long, value_enum, default_value_t)]
    durability: Safety,
    /// Directory for the files that are measured (removed afterwards); the system's temporary directory when not given
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Measure how cost grows, from 1 to 10,000 in flight and from 1,000 stored runs on, and draw it into this file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Leave the bare file out: for profilers
    #[arg(long, hide = true)]
    engine_only: bool,
    /// What a process of its own does for `recovery`
    #[arg(long, hide = true, value_enum)]
    recovery_part: Option<RecoveryPart>,
    /// When that process was started, in microseconds of the monotonic clock
    #[arg(long, hide = true, default_value_t)]
    recovery_begun: u64,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum Workload {
    /// Sagas of --steps steps that do nothing
    #[default]
    Steps,
    /// The same, but the last step fails, and the steps before it are compensated
    Rollback,
    /// Sagas of 10 steps at once
    FanOut,
    /// Runs that receive 100 signals, one after the other
    Signals,
    /// --runs timers that are pending, then fire
    Timers,
    /// A store with --runs open sagas is opened after a crash
    Recovery,
    /// --runs runs wait for a signal; some are woken at random
    Parked,
    /// Rate and memory with 1,000 and more, up to --runs, ended runs in the store, beside a new store
    Stored,
    /// Four times as many starts as the engine can take
    Saturation,
}

/// Where histories are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum StoreKind {
    #[default]
    Sled,
    Memory,
}

/// How the saga is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum Form {
    #[default]
    Definition,
    Code,
}

/// What an acknowledged turn survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum Safety {
    #[default]
    Power,
    Process,
}

/// The two processes of `recovery`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum RecoveryPart {
    Fill,
    Open,
}

impl From<Safety> for Durability {
    fn from(safety: Safety) -> Self {
        match safety {
            Safety::Power => Durability::PowerSafe,
            Safety::Process => Durability::ProcessSafe,
        }
    }
}

impl Workload {
    pub(super) fn name(self) -> &'static str {
        match self {
            Workload::Steps => "steps",
            Workload::Rollback => "rollback",
            Workload::FanOut => "fan-out",
            Workload::Signals => "signals",
            Workload::Timers => "timers",
            Workload::Recovery => "recovery",
            Workload::Parked => "parked",
            Workload::Stored => "stored",
            Workload::Saturation => "saturation",
        }
    }

    /// Whether clients do one saga after the other, so that their number can be chosen.
    pub(super) fn is_closed_loop(self) -> bool {
        matches!(
            self,
            Workload::Steps | Workload::Rollback | Workload::FanOut | Workload::Signals
        )
    }

    /// Its sagas are those of `steps`.
    fn has_steps(self) -> bool {
        matches!(
            self,
            Workload::Steps | Workload::Rollback | Workload::Stored | Workload::Saturation
        )
    }

    fn has_runs(self) -> bool {
        matches!(
            self,
            Workload::Timers | Workload::Recovery | Workload::Parked | Workload::Stored
        )
    }

    fn has_seconds(self) -> bool {
        !matches!(self, Workload::Recovery | Workload::Parked)
    }

    /// When not said otherwise. Two stores differ by less than a store and a bare file.
    fn seconds(self) -> u32 {
        match self {
            Workload::Stored => 36,
            _ => 10,
        }
    }

    fn has_slices(self) -> bool {
        self.is_closed_loop() || matches!(self, Workload::Stored | Workload::Saturation)
    }
}

/// What is to be measured, after all questions are answered.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) workload: Workload,
    pub(super) concurrency: Option<u32>,
    pub(super) seconds: u32,
    /// What was said of them: other workloads have other defaults.
    pub(super) seconds_asked: Option<u32>,
    pub(super) slices: Option<u32>,
    pub(super) steps: u32,
    pub(super) runs: u64,
    pub(super) store: StoreKind,
    pub(super) form: Form,
    pub(super) durability: Safety,
    pub(super) data: Option<PathBuf>,
    pub(super) plot: Option<PathBuf>,
    pub(super) engine_only: bool,
    pub(super) recovery: Option<(RecoveryPart, u64)>,
}

impl Settings {
    /// The same for another workload.
    pub(super) fn of(&self, workload: Workload) -> Self {
        Self {
            workload,
            seconds: self.seconds_asked.unwrap_or(workload.seconds()),
            ..self.clone()
        }
    }

    /// Whether the last step is refused.
    pub(super) fn rollback(&self) -> bool {
        self.workload == Workload::Rollback
    }

    /// Whether a turn is synced to a disk.
    pub(super) fn is_durable(&self) -> bool {
        self.store == StoreKind::Sled && self.durability == Safety::Power
    }
}

impl BenchArgs {
    /// What the options mean.
    ///
    /// # Errors
    /// [`BenchError::Usage`] for options that do not go together.
    pub(super) fn settings(&self) -> Result<Settings, BenchError> {
        let workload = match (self.workload, self.rollback) {
            (None | Some(Workload::Steps | Workload::Rollback), true) => Workload::Rollback,
            (Some(other), true) => {
                let name = other.name();
                return Err(usage(
                    format!("--rollback is a workload of its own, and not one of {name}"),
                    "leave one of the two out",
                ));
            }
            (chosen, false) => chosen.unwrap_or_default(),
        };
        self.check(workload)?;
        Ok(Settings {
            workload,
            concurrency: self.concurrency,
            seconds: self.seconds.unwrap_or(workload.seconds()),
            seconds_asked: self.seconds,
            slices: self.slices,
            steps: self.steps.unwrap_or(3),
            runs: self.runs.unwrap_or(match workload {
                Workload::Stored | Workload::Steps => 1_000_000,
                _ => 100_000,
            }),
            store: self.store,
            form: self.form,
            durability: self.durability,
            data: self.data.clone(),
            plot: self.plot.clone(),
            engine_only: self.engine_only,
            recovery: self.recovery_part.map(|part| (part, self.recovery_begun)),
        })
    }

    fn check(&self, workload: Workload) -> Result<(), BenchError> {
        let name = workload.name();
        let plots = self.plot.is_some();
        let unused = |option: &str, what: &str| {
            let hint = format!("leave {option} out");
            Err(usage(format!("--workload {name} {what}"), hint))
        };
        if self.concurrency.is_some() && !workload.is_closed_loop() {
            return unused("--concurrency", "chooses the number of sagas in flight itself");
        }
        if self.steps.is_some() && !workload.has_steps() {
            return unused("--steps", "has a saga of its own");
        }
        if self.runs.is_some() && !workload.has_runs() && !plots {
            return unused("--runs", "goes on for --seconds, however many runs these are");
        }
        if self.seconds.is_some() && !workload.has_seconds() {
            return unused("--seconds", "takes as long as its --runs take");
        }
        if self.slices.is_some() && !workload.has_slices() {
            return unused("--slices", "is not measured in slices");
        }
        if self.store == StoreKind::Memory && workload == Workload::Recovery {
            return Err(usage(
                "nothing can be recovered from a store in memory".to_owned(),
                "leave --store memory out",
            ));
        }
        if self.store == StoreKind::Memory && self.durability == Safety::Process {
            return Err(usage(
                "a store in memory has no durability to choose".to_owned(),
                "leave --store memory or --durability out",
            ));
        }
        if plots && (workload != Workload::Steps || self.concurrency.is_some()) {
            return Err(usage(
                "--plot measures --workload steps with 1 to 10,000 in flight, and its growth with the store".to_owned(),
                "leave --workload and --concurrency out, or --plot",
            ));
        }
        let extension = self.plot.as_ref().and_then(|file| file.extension());
        if plots && extension.is_none_or(|found| found != "svg") {
            return Err(usage(
                "the plot is written as SVG".to_owned(),
                "name it so: --plot growth.svg",
            ));
        }
        Ok(())
    }
}

fn usage(message: String, hint: impl Into<String>) -> BenchError {
    BenchError::Usage {
        message,
        hint: hint.into(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        bench: BenchArgs,
    }

    fn args(line: &str) -> Result<BenchArgs, clap::Error> {
        let parsed = Command::try_parse_from(std::iter::once("bench").chain(line.split_whitespace()));
        parsed.map(|command| command.bench)
    }

    /// What a command line that is right means.
    pub(in crate::server::bench) fn settings(line: &str) -> Settings {
        args(line).unwrap().settings().unwrap()
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let plain = settings("");
        assert_eq!((plain.workload, plain.concurrency), (Workload::Steps, None));
        assert_eq!((plain.steps, plain.seconds), (3, 10));
        assert!(plain.is_durable() && !plain.rollback());
        assert_eq!(settings("--workload stored").runs, 1_000_000);
        assert_eq!(
            (
                settings("--workload stored").seconds,
                plain.of(Workload::Stored).seconds
            ),
            (36, 36)
        );
        assert_eq!(settings("--seconds 6").of(Workload::Stored).seconds, 6);
        assert_eq!(settings("--workload parked").runs, 100_000);
    }

    #[test]
    fn everything_can_be_said() {
        let all = settings("--concurrency 64 --seconds 1 --steps 2 --rollback --store memory --form code");
        assert_eq!(
            (all.store, all.form, all.workload),
            (StoreKind::Memory, Form::Code, Workload::Rollback)
        );
        assert_eq!((all.concurrency, all.seconds, all.steps), (Some(64), 1, 2));
        assert!(settings("--workload rollback").rollback());
        assert!(settings("--workload steps --rollback").rollback());
        for workload in "fan-out signals timers recovery parked stored saturation".split(' ') {
            let line = format!("--workload {workload} --form code --durability process");
            assert_eq!(settings(&line).workload.name(), workload);
        }
    }

    #[test]
    fn values_are_checked() {
        for bad in [
            "--concurrency 0",
            "--steps 101",
            "--store disk",
            "--seconds 0",
            "--durability none",
            "--workload lunch",
            "--runs 0",
        ] {
            assert!(args(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused_with_what_to_do() {
        for (line, expected, hint) in [
            ("--workload timers --rollback", "not one of timers", "leave one"),
            ("--workload timers --concurrency 4", "in flight itself", "--concurrency"),
            ("--workload fan-out --steps 4", "a saga of its own", "--steps"),
            ("--runs 4", "--workload steps goes on", "--runs"),
            ("--workload parked --seconds 4", "as long as", "--seconds"),
            ("--workload timers --slices 4", "in slices", "--slices"),
            ("--workload recovery --slices 4", "in slices", "--slices"),
            ("--workload parked --slices 4", "in slices", "--slices"),
            ("--workload recovery --store memory", "recovered from", "--store memory"),
            ("--store memory --durability process", "no durability", "--durability"),
            ("--plot x.svg --concurrency 3", "1 to 10,000", "--plot"),
            ("--plot x.svg --workload stored", "1 to 10,000", "--plot"),
            ("--plot x.png", "SVG", "--plot growth.svg"),
        ] {
            match args(line).unwrap().settings() {
                Err(BenchError::Usage { message, hint: found }) => {
                    assert!(
                        message.contains(expected) && found.contains(hint),
                        "{line}: {message}; {found}"
                    );
                }
                other => panic!("{line}: {other:?}"),
            }
        }
        assert_eq!(settings("--plot x.svg --runs 10").runs, 10);
        for workload in ["steps", "fan-out", "signals", "rollback", "stored", "saturation"] {
            assert_eq!(settings(&format!("--workload {workload} --slices 4")).slices, Some(4));
        }
    }
}
