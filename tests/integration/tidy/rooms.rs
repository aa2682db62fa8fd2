//! Who may import whom, and which dependency has which door. Lives here: the two tables of ARCHITECTURE.md in a form that
//! can be checked. Must not live here: exceptions without a reason.

use super::Problem;
use super::source::{Source, starts_path};

/// Each room with the rooms it may import. Itself, always. The test kit and test code import what they test.
const ROOMS: [(&str, &[&str]); 15] = [
    ("model", &[]),
    ("definition", &["model"]),
    ("history", &["model"]),
    ("machine", &["model", "definition"]),
    ("visibility", &["model"]),
    ("store", &["model", "visibility"]),
    ("schedule", &["model"]),
    ("sdk", &["model"]),
    ("replay", &["model", "history", "machine", "sdk"]),
    ("runtime", &["model", "definition", "machine", "store", "sdk", "replay"]),
    (
        "engine",
        &[
            "model",
            "definition",
            "machine",
            "schedule",
            "store",
            "sdk",
            "runtime",
            "visibility",
        ],
    ),
    ("config", &["model", "definition", "store", "engine"]),
    ("server", &["model", "history", "engine", "config"]),
    (
        "testing",
        &[
            "model",
            "definition",
            "history",
            "machine",
            "store",
            "sdk",
            "replay",
            "runtime",
            "visibility",
        ],
    ),
    ("main.rs", &["server", "config"]),
];

/// The first segment of a path, and the only places that may use it.
const DOORS: [(&str, &[&str]); 24] = [
    ("actix", &["src/runtime/"]),
    ("actix_rt", &["src/runtime/"]),
    ("actix_web", &["src/server/"]),
    ("backoff", &["src/runtime/"]),
    ("aes_gcm", &["src/runtime/codecs/encryption.rs"]),
    ("base64", &["src/history/radix64.rs"]),
    ("bincode", &["src/store/record", "src/model/payload/bincode.rs"]),
    ("cel", &["src/definition/"]),
    ("clap", &["src/server/", "src/main.rs"]),
    ("crc32c", &["src/store/"]),
    (
        "flate2",
        &["src/runtime/codecs/compression.rs", "src/runtime/codecs/tests.rs"],
    ),
    ("foldhash", &["src/store/maps.rs"]),
    ("fs4", &["src/store/sled"]),
    ("getrandom", &["src/runtime/entropy.rs"]),
    ("jiff", &["src/schedule/times.rs", "src/schedule/tests.rs"]),
    (
        "jsonschema",
        &[
            "src/definition/schema/checker.rs",
            "src/definition/tests/file_schema.rs",
        ],
    ),
    ("lz4_flex", &["src/store/sled/pack.rs"]),
    ("plotters", &["src/server/bench/plot.rs"]),
    ("prost", &["src/model/payload/proto.rs"]),
    ("reqwest", &["src/runtime/http.rs", "src/runtime/http/"]),
    (
        "rustix",
        &["src/runtime/exec.rs", "src/runtime/process/", "src/server/bench/"],
    ),
    ("sled", &["src/store/sled"]),
    (
        "tokio",
        &[
            "src/runtime/",
            "src/engine/",
            "src/server/",
            "src/testing/",
            "src/main.rs",
        ],
    ),
    ("tracing_subscriber", &["src/server/", "src/main.rs"]),
];

/// Calls that have one door although they need no dependency.
const CALLS: [(&str, &[&str], &str); 3] = [
    (
        "SystemTime::now",
        &["src/runtime/clock.rs"],
        "take the time from the engine's Clock",
    ),
    (
        "Instant::now",
        &["src/runtime/clock.rs"],
        "take the time from the engine's Clock",
    ),
    (
        "tokio::process",
        &["src/runtime/exec.rs", "src/runtime/process/pool.rs"],
        "programs and worker processes are run there, so that none is left behind",
    ),
];

pub(super) fn imports_only_what_it_may(source: &Source) -> Vec<Problem> {
    let Some(room) = room_of(&source.path) else {
        return Vec::new();
    };
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        let what = format!("the room {room:?} is not in the table: add it to ARCHITECTURE.md and to ROOMS here");
        return vec![Problem::new(source, 1, what)];
    };
    let mut problems = Vec::new();
    for (line, code) in source.product_code() {
        for imported in imports(code) {
            match imported {
                Import::Group => {
                    let what = "write one `use crate::room::...` per room, so that the table can be checked";
                    problems.push(Problem::new(source, line, what));
                }
                Import::Room(other) if other != room && is_room(other) && !allowed.contains(&other) => {
                    let what = format!(
                        "{room} may import {allowed:?}, not {other}: move what both need down, or turn the call around"
                    );
                    problems.push(Problem::new(source, line, what));
                }
                Import::Room(_) => {}
            }
        }
    }
    problems
}

pub(super) fn keeps_to_the_doors(source: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    let is_at = |doors: &[&str]| doors.iter().any(|door| source.path.starts_with(door));
    for (line, code) in source.product_code() {
        for (name, doors) in DOORS {
            if starts_path(code, name) && !is_at(doors) {
                let what = format!("{name} is used only behind {doors:?}: ask that room for what you need");
                problems.push(Problem::new(source, line, what));
            }
        }
        for (call, doors, instead) in CALLS {
            if code.contains(call) && !doors.contains(&source.path.as_str()) {
                let what = format!("{call} is called only in {doors:?}: {instead}");
                problems.push(Problem::new(source, line, what));
            }
        }
    }
    problems
}

enum Import<'a> {
    Room(&'a str),
    Group,
}

/// The rooms that stand behind `crate::` in this line.
fn imports(code: &str) -> impl Iterator<Item = Import<'_>> {
    let outside = |at: usize| {
        let before = code.get(..at).unwrap_or_default();
        before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
    };
    code.match_indices("crate::")
        .filter(move |(at, _)| !outside(*at))
        .filter_map(|(at, found)| {
            let rest = code.get(at + found.len()..)?;
            if rest.starts_with('{') {
                return Some(Import::Group);
            }
            rest.split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .map(Import::Room)
        })
}

fn is_room(name: &str) -> bool {
    ROOMS.iter().any(|(room, _)| *room == name)
}

/// `src/machine/x.rs` and `src/machine.rs` are of the room `machine`; the library's root is of none.
fn room_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    match inside.split_once('/') {
        Some((room, _)) => Some(room),
        None if inside == "lib.rs" => None,
        None if inside == "main.rs" => Some(inside),
        None => inside.strip_suffix(".rs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source::new(path.to_owned(), text.to_owned())
    }

    #[test]
    fn forbidden_imports_are_found_and_allowed_ones_are_not() {
        for (path, text, expected) in [
            ("src/model/ids.rs", "use crate::machine::RunState;", 1),
            ("src/machine/timer.rs", "let x: crate::store::Error = y;", 1),
            ("src/machine/timer.rs", "use crate::{model, store};", 1),
            (
                "src/machine/timer.rs",
                "use crate::model::Event;\n/// [`crate::engine::Amends`]\n",
                0,
            ),
            (
                "src/machine/timer.rs",
                "#[cfg(test)]\nmod tests {\n    use crate::testing::History;\n}\n",
                0,
            ),
            ("src/attic/x.rs", "", 1),
            ("src/lib.rs", "use crate::engine::Amends;", 0),
        ] {
            assert_eq!(
                imports_only_what_it_may(&source(path, text)).len(),
                expected,
                "{path}: {text}"
            );
        }
    }

    #[test]
    fn dependencies_and_the_clock_are_found_outside_their_doors() {
        for (path, text, expected) in [
            ("src/machine/timer.rs", "use tokio::time;", 1),
            ("src/engine/mod.rs", "actix::System::new()", 1),
            ("src/runtime/shard.rs", "actix::System::new()", 0),
            ("src/runtime/shard.rs", "use crate::store::sled::SledStore;", 0),
            ("src/store/memory.rs", "use sled::Db;", 1),
            ("src/store/record.rs", "bincode::deserialize(x)", 0),
            ("src/engine/mod.rs", "let t = std::time::Instant::now();", 1),
            ("src/runtime/clock.rs", "let t = std::time::Instant::now();", 0),
        ] {
            assert_eq!(
                keeps_to_the_doors(&source(path, text)).len(),
                expected,
                "{path}: {text}"
            );
        }
    }
}
