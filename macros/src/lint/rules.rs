//! Which paths are refused, and what to write instead. Must not live here: finding them.

/// How a path is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Call {
    /// As a value.
    Not,
    /// As a function, with so many arguments.
    With(usize),
}

/// One thing that is refused.
pub(super) struct Rule {
    /// The whole path; `*` at its end is anything.
    path: &'static [&'static str],
    /// How many names of the path, `*` not counted, must be written for it to be meant: `now` alone is anybody's.
    least: usize,
    /// It takes no arguments: with some, it is another function of that name.
    bare: bool,
    /// What to write instead; `{cx}` is the context.
    pub(super) instead: &'static str,
}

const NOW: &str = "use `{cx}.now()`, the recorded time of the turn";
const RANDOM: &str = "use `{cx}.random()` or `{cx}.random_below(..)`, which are seeded by the run's id";
const UUID: &str = "use `{cx}.uuid()`, which is the same on replay";
const SLEEP: &str = "use `{cx}.sleep(..)`, a durable timer";
const TIMEOUT: &str = "let it race with `{cx}.sleep(..)`, a durable timer, by `futures_util::future::select`";
const SPAWN: &str = "call several activities and await them together, with `join!` for example; what runs beside the workflow \
                     belongs into an activity";
const ACTIVITY: &str = "do that in an activity, whose result is recorded";
const CONFIG: &str = "take it as input, or read it in an activity";
const ORDER: &str = "use a BTreeMap or BTreeSet, whose order is its keys'";

const fn rule(path: &'static [&'static str], least: usize, instead: &'static str) -> Rule {
    let bare = false;
    Rule {
        path,
        least,
        bare,
        instead,
    }
}

const fn bare(path: &'static [&'static str], least: usize, instead: &'static str) -> Rule {
    let bare = true;
    Rule {
        path,
        least,
        bare,
        instead,
    }
}

/// A path breaks a rule when it is the end of the rule's path: as much of it as stands behind a `use`.
const RULES: &[Rule] = &[
    // Clocks.
    bare(&["std", "time", "SystemTime", "now"], 2, NOW),
    bare(&["std", "time", "Instant", "now"], 2, NOW),
    bare(&["chrono", "Utc", "now"], 2, NOW),
    bare(&["chrono", "offset", "Utc", "now"], 4, NOW),
    bare(&["chrono", "Local", "now"], 2, NOW),
    bare(&["chrono", "offset", "Local", "now"], 4, NOW),
    bare(&["time", "OffsetDateTime", "now_utc"], 2, NOW),
    bare(&["time", "OffsetDateTime", "now_local"], 2, NOW),
    bare(&["jiff", "Zoned", "now"], 2, NOW),
    bare(&["jiff", "Timestamp", "now"], 3, NOW),
    // Randomness. Seeded generators are the same on replay, when their seed is.
    rule(&["rand", "random"], 2, RANDOM),
    rule(&["rand", "random_range"], 2, RANDOM),
    rule(&["rand", "random_bool"], 2, RANDOM),
    rule(&["rand", "random_ratio"], 2, RANDOM),
    rule(&["rand", "random_iter"], 2, RANDOM),
    rule(&["rand", "fill"], 2, RANDOM),
    bare(&["rand", "rng"], 2, RANDOM),
    bare(&["rand", "thread_rng"], 1, RANDOM),
    rule(&["rand", "rngs", "OsRng"], 1, RANDOM),
    rule(&["rand", "rngs", "ThreadRng", "*"], 1, RANDOM),
    bare(&["rand", "rngs", "StdRng", "from_entropy"], 2, RANDOM),
    bare(&["rand", "rngs", "StdRng", "from_os_rng"], 2, RANDOM),
    bare(&["rand", "rngs", "SmallRng", "from_entropy"], 2, RANDOM),
    bare(&["rand", "rngs", "SmallRng", "from_os_rng"], 2, RANDOM),
    rule(&["fastrand", "*"], 1, RANDOM),
    rule(&["getrandom", "*"], 1, RANDOM),
    bare(&["std", "collections", "hash_map", "RandomState", "new"], 2, ORDER),
    bare(&["std", "hash", "RandomState", "new"], 3, ORDER),
    bare(&["uuid", "Uuid", "new_v4"], 2, UUID),
    bare(&["uuid", "Uuid", "now_v7"], 2, UUID),
    rule(&["uuid", "Uuid", "now_v1"], 2, UUID),
    rule(&["uuid", "Uuid", "now_v6"], 2, UUID),
    // Threads and tasks.
    rule(&["std", "thread", "sleep"], 2, SLEEP),
    rule(&["std", "thread", "sleep_ms"], 2, SLEEP),
    rule(&["std", "thread", "spawn"], 2, SPAWN),
    rule(&["std", "thread", "scope"], 2, SPAWN),
    rule(&["std", "thread", "Builder", "*"], 2, SPAWN),
    rule(&["std", "thread", "current"], 2, ACTIVITY),
    rule(&["std", "thread", "park"], 2, "await a signal: `{cx}.signal(..)`"),
    rule(&["std", "thread", "park_timeout"], 2, SLEEP),
    rule(&["std", "thread", "available_parallelism"], 2, CONFIG),
    rule(&["std", "thread", "*"], 2, ACTIVITY),
    rule(&["tokio", "time", "sleep"], 3, SLEEP),
    rule(&["tokio", "time", "sleep_until"], 3, SLEEP),
    rule(&["tokio", "time", "interval"], 3, SLEEP),
    rule(&["tokio", "time", "interval_at"], 3, SLEEP),
    rule(&["tokio", "time", "timeout"], 3, TIMEOUT),
    rule(&["tokio", "time", "timeout_at"], 3, TIMEOUT),
    bare(&["tokio", "time", "Instant", "now"], 3, NOW),
    rule(&["tokio", "spawn"], 2, SPAWN),
    rule(&["tokio", "task", "*"], 2, SPAWN),
    rule(&["tokio", "runtime", "*"], 2, SPAWN),
    rule(&["tokio", "fs", "*"], 2, ACTIVITY),
    rule(&["tokio", "net", "*"], 2, ACTIVITY),
    rule(&["tokio", "process", "*"], 2, ACTIVITY),
    rule(
        &["tokio", "signal", "*"],
        2,
        "await a signal of amends: `{cx}.signal(..)`",
    ),
    rule(&["async_std", "task", "*"], 2, SPAWN),
    rule(&["smol", "spawn"], 2, SPAWN),
    rule(&["actix", "spawn"], 2, SPAWN),
    rule(&["actix_rt", "spawn"], 2, SPAWN),
    rule(&["actix_web", "rt", "spawn"], 3, SPAWN),
    // The world outside.
    rule(&["std", "fs", "*"], 2, ACTIVITY),
    rule(&["std", "fs", "read"], 2, ACTIVITY),
    rule(&["std", "fs", "read_to_string"], 2, ACTIVITY),
    rule(&["std", "fs", "read_dir"], 2, ACTIVITY),
    rule(&["std", "fs", "write"], 2, ACTIVITY),
    rule(&["std", "fs", "metadata"], 2, ACTIVITY),
    rule(&["std", "fs", "create_dir"], 2, ACTIVITY),
    rule(&["std", "fs", "create_dir_all"], 2, ACTIVITY),
    rule(&["std", "fs", "remove_file"], 2, ACTIVITY),
    rule(&["std", "fs", "remove_dir_all"], 2, ACTIVITY),
    rule(&["std", "fs", "File", "open"], 3, ACTIVITY),
    rule(&["std", "fs", "File", "create"], 3, ACTIVITY),
    // Constants of the platform, which a program is built for.
    rule(&["std", "env", "var"], 2, CONFIG),
    rule(&["std", "env", "var_os"], 2, CONFIG),
    rule(&["std", "env", "vars"], 2, CONFIG),
    rule(&["std", "env", "vars_os"], 2, CONFIG),
    rule(&["std", "env", "args"], 2, CONFIG),
    rule(&["std", "env", "args_os"], 2, CONFIG),
    rule(&["std", "env", "set_var"], 2, CONFIG),
    rule(&["std", "env", "remove_var"], 2, CONFIG),
    rule(&["std", "env", "current_dir"], 2, CONFIG),
    rule(&["std", "env", "current_exe"], 2, CONFIG),
    rule(&["std", "env", "temp_dir"], 2, CONFIG),
    rule(&["std", "env", "home_dir"], 2, CONFIG),
    // Addresses are data.
    rule(&["std", "net", "TcpStream", "*"], 2, ACTIVITY),
    rule(&["std", "net", "TcpListener", "*"], 2, ACTIVITY),
    rule(&["std", "net", "UdpSocket", "*"], 2, ACTIVITY),
    rule(&["std", "net", "TcpStream", "connect"], 2, ACTIVITY),
    rule(&["std", "net", "TcpListener", "bind"], 2, ACTIVITY),
    rule(&["std", "net", "UdpSocket", "bind"], 2, ACTIVITY),
    rule(&["std", "process", "Command", "*"], 3, ACTIVITY),
    rule(&["std", "process", "id"], 2, ACTIVITY),
    rule(
        &["std", "process", "exit"],
        2,
        "return a result or a failure: the run ends with it",
    ),
    rule(
        &["std", "process", "abort"],
        2,
        "return a result or a failure: the run ends with it",
    ),
    rule(&["std", "os", "unix", "net", "*"], 3, ACTIVITY),
    rule(&["std", "io", "stdin"], 2, "await a signal: `{cx}.signal(..)`"),
    rule(&["tokio", "io", "stdin"], 3, "await a signal: `{cx}.signal(..)`"),
    rule(&["reqwest", "get"], 2, ACTIVITY),
    rule(&["reqwest", "Client", "*"], 2, ACTIVITY),
    rule(&["reqwest", "blocking", "*"], 2, ACTIVITY),
];

/// The rule that this path breaks.
pub(super) fn broken_by(path: &[String], call: Call) -> Option<&'static Rule> {
    let is_with_arguments = matches!(call, Call::With(arguments) if arguments > 0);
    let broken = RULES.iter().filter(|rule| !(rule.bare && is_with_arguments));
    broken.into_iter().find(|rule| rule.fits(path))
}

impl Rule {
    fn fits(&self, path: &[String]) -> bool {
        let (named, open) = match self.path.split_last() {
            Some((&"*", named)) => (named, true),
            _ => (self.path, false),
        };
        let latest = named.len().saturating_sub(self.least);
        (0..=latest).any(|from| {
            let shown = named.get(from..).unwrap_or_default();
            let whole = if open {
                path.len() > shown.len()
            } else {
                path.len() == shown.len()
            };
            whole && shown.iter().zip(path).all(|(name, written)| name == written)
        })
    }
}

#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = (Vec<&'static str>, usize)> {
    RULES.iter().map(|rule| (rule.path.to_vec(), rule.least))
}
