//! Heads of runs as stored values, and the tallies that tell when one of them is missing. Must not live here: when they
//! are written.
//!
//! Behind the head of a run that has few turns, and then names no history chunks, come its turns, as in a piece of
//! history. The mark of an open run says when it must be looked at after a restart.

use super::codec::{Cursor, put_optional_time, put_text, put_time, put_u32, put_u64};
use super::found_by;
use super::frame;
use super::keys;
use super::state::Stored;
use crate::model::{DefinitionDigest, RunId, RunStatus, WorkflowId, WorkflowType};
use crate::store::{Error, RunHead, RunWake};

/// The head of a run as it is stored: the head, and what must be found under the run's history keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredHead {
    pub(super) head: RunHead,
    /// How many history chunks there are; none: the turns are in the same value.
    pub(super) chunks: u32,
    /// What the chain of the run's turns comes to.
    pub(super) chain: u32,
}

/// Goes on with the chain over a run's turns: a turn that is missing, changed or exchanged changes every later link.
pub(super) fn link(chain: u32, turn: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&chain.to_be_bytes()), turn)
}

/// Numbers of the format: never changed, never used again.
pub(super) fn status_code(status: RunStatus) -> u8 {
    match status {
        RunStatus::Running => 1,
        RunStatus::Unwinding => 2,
        RunStatus::Stuck => 3,
        RunStatus::Parked => 4,
        RunStatus::Completed => 5,
        RunStatus::Amended => 6,
        RunStatus::Failed => 7,
        RunStatus::Canceled => 8,
        RunStatus::Terminated => 9,
        RunStatus::TimedOut => 10,
        RunStatus::ContinuedAsNew => 11,
        RunStatus::Paused => 12,
    }
}

pub(super) fn read_status(code: u8) -> Option<RunStatus> {
    RunStatus::ALL.into_iter().find(|status| status_code(*status) == code)
}

impl StoredHead {
    /// What the run's history chunks hold.
    pub(super) fn stored(&self) -> Stored {
        Stored {
            turns: self.head.turns,
            chunks: self.chunks,
            chain: self.chain,
        }
    }

    pub(super) fn mark(&self) -> u64 {
        head_mark(self.head.run_id, self.stored())
    }

    /// The bytes of it at most, without turns.
    pub(super) fn bytes_max(head: &RunHead) -> usize {
        let texts = head.workflow_id.qualified().len() + head.workflow_type.as_str().len();
        80 + texts + found_by::bytes(head.found_by.as_deref())
    }

    /// What is stored; of a run that has no history chunks, the turns follow.
    pub(super) fn encode(&self, turns_bytes: usize) -> Vec<u8> {
        let head = &self.head;
        let mut out = Vec::with_capacity(Self::bytes_max(head) + turns_bytes);
        put_text(&mut out, head.workflow_id.qualified());
        put_text(&mut out, head.workflow_type.as_str());
        out.push(status_code(head.status));
        put_time(&mut out, head.started_at);
        put_optional_time(&mut out, head.closed_at);
        put_u64(&mut out, head.turns);
        put_u64(&mut out, head.next_event);
        put_optional_time(&mut out, head.wake);
        put_u64(&mut out, head.history_bytes);
        found_by::put(&mut out, head.found_by.as_deref());
        put_u32(&mut out, self.chunks);
        put_u32(&mut out, self.chain);
        out
    }

    /// # Errors
    /// [`Error::Corrupt`] that names the run.
    pub(super) fn decode(key: &[u8], content: &[u8]) -> Result<StoredHead, Error> {
        Self::decode_with_turns(key, content).map(|(head, _)| head)
    }

    /// The head, and the turns behind it.
    ///
    /// # Errors
    /// [`Error::Corrupt`] that names the run.
    pub(super) fn decode_with_turns<'a>(key: &[u8], content: &'a [u8]) -> Result<(StoredHead, &'a [u8]), Error> {
        let run = keys::run_at_end(key);
        let mut content = Cursor::new(content);
        let read = run.and_then(|run| Some((Self::read(run, &mut content)?, content.rest())));
        let read = read.filter(|(head, turns)| (head.chunks == 0) != turns.is_empty());
        read.ok_or_else(|| Error::Corrupt {
            run,
            what: "its head cannot be read".to_owned(),
        })
    }

    fn read(run_id: RunId, from: &mut Cursor<'_>) -> Option<StoredHead> {
        let head = RunHead {
            workflow_id: WorkflowId::from_trusted(from.text()?),
            run_id,
            workflow_type: WorkflowType::from_trusted(from.text()?),
            status: read_status(from.u8()?)?,
            started_at: from.time()?,
            closed_at: from.optional_time()?,
            turns: from.u64()?,
            next_event: from.u64()?,
            wake: from.optional_time()?,
            history_bytes: from.u64()?,
            found_by: found_by::read(from)?,
        };
        let (chunks, chain) = (from.u32()?, from.u32()?);
        Some(StoredHead { head, chunks, chain })
    }
}

/// The mark of an open run: nothing, or when it must be looked at after a restart, and its workflow id, so that its head
/// need not be read for that.
pub(super) fn encode_open(head: &RunHead) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(RunWake { workflow_id, at, .. }) = head.wakes() {
        put_time(&mut out, at);
        put_text(&mut out, workflow_id.qualified());
    }
    out
}

/// # Errors
/// [`Error::Corrupt`] that names the run.
pub(super) fn decode_open(key: &[u8], content: &[u8]) -> Result<(RunId, Option<RunWake>), Error> {
    let run = keys::run_at_end(key);
    let read = run.and_then(|run_id| {
        if content.is_empty() {
            return Some((run_id, None));
        }
        let mut from = Cursor::new(content);
        let (at, text) = (from.time()?, from.text()?);
        let workflow_id = WorkflowId::from_trusted(text);
        let wake = RunWake {
            run_id,
            workflow_id,
            at,
        };
        from.is_at_end().then_some((run_id, Some(wake)))
    });
    read.ok_or_else(|| Error::Corrupt {
        run,
        what: "its mark as open cannot be read".to_owned(),
    })
}

/// How many things of a kind are stored, and a sum over them. They are written with every change, so that losing a
/// thing, or only its newest version, shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) count: u64,
    pub(super) sum: u64,
}

impl Tally {
    pub(super) fn add(&mut self, mark: u64) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(mark);
    }

    pub(super) fn remove(&mut self, mark: u64) {
        self.count = self.count.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(mark);
    }
}

/// One tally for each kind of thing that could vanish unseen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tallies {
    pub(super) heads: Tally,
    pub(super) names: Tally,
    pub(super) open: Tally,
    pub(super) definitions: Tally,
    pub(super) attributes: Tally,
}

/// What the database says of itself, in the same batch as everything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) epoch: u64,
    /// Everything of every commit before this one is here, and need not be looked for in the log.
    pub(super) horizon: u64,
    pub(super) tallies: Tallies,
}

impl State {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = frame::begin(96);
        put_u64(&mut out, self.epoch);
        put_u64(&mut out, self.horizon);
        let tallies = &self.tallies;
        for tally in [
            tallies.heads,
            tallies.names,
            tallies.open,
            tallies.definitions,
            tallies.attributes,
        ] {
            put_u64(&mut out, tally.count);
            put_u64(&mut out, tally.sum);
        }
        frame::seal(&keys::state(), out)
    }

    /// # Errors
    /// [`Error::Corrupt`].
    pub(super) fn decode(value: &[u8]) -> Result<State, Error> {
        let corrupt = |what: &str| Error::Corrupt {
            run: None,
            what: format!("the state record {what}"),
        };
        let content = frame::open(&keys::state(), value).map_err(corrupt)?;
        Self::read(&mut Cursor::new(content)).ok_or_else(|| corrupt("cannot be read"))
    }

    fn read(from: &mut Cursor<'_>) -> Option<State> {
        let (epoch, horizon) = (from.u64()?, from.u64()?);
        let mut tally = || {
            let (count, sum) = (from.u64()?, from.u64()?);
            Some(Tally { count, sum })
        };
        let tallies = Tallies {
            heads: tally()?,
            names: tally()?,
            open: tally()?,
            definitions: tally()?,
            attributes: tally()?,
        };
        Some(State {
            epoch,
            horizon,
            tallies,
        })
    }
}

/// A finalizer with good diffusion (MurmurHash3's), so that sums of marks do not cancel out.
fn mix(mut word: u64) -> u64 {
    word ^= word >> 33;
    word = word.wrapping_mul(0xff51_afd7_ed55_8ccd);
    word ^= word >> 33;
    word = word.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ (word >> 33)
}

fn mark(bytes: &[u8; 16]) -> u64 {
    let whole = u128::from_be_bytes(*bytes);
    let (high, low) = ((whole >> 64) as u64, whole as u64);
    mix(mix(high) ^ low)
}

pub(super) fn run_mark(run: RunId) -> u64 {
    mark(run.as_bytes())
}

/// Differs for each version of a run's head.
pub(super) fn head_mark(run: RunId, stored: Stored) -> u64 {
    let version = (u64::from(stored.chain) << 32) ^ stored.turns;
    mix(run_mark(run) ^ version)
}

pub(super) fn definition_mark(digest: DefinitionDigest) -> u64 {
    let first = digest.0.first_chunk::<16>();
    first.map_or(0, mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn stored() -> StoredHead {
        let head = RunHead {
            workflow_id: WorkflowId::from_trusted("order-42"),
            run_id: RunId::from_bytes([5; 16]),
            workflow_type: WorkflowType::from_trusted("place_order"),
            status: RunStatus::Stuck,
            started_at: Timestamp::from_micros(-1),
            closed_at: None,
            turns: 3,
            next_event: 12,
            wake: Some(Timestamp::FOREVER),
            history_bytes: 999,
            found_by: Some(std::sync::Arc::default()),
        };
        StoredHead {
            head,
            chunks: 2,
            chain: 0xdead_beef,
        }
    }

    #[test]
    fn heads_survive_and_damage_names_the_run() {
        let key = keys::head(RunId::from_bytes([5; 16]));
        let content = stored().encode(0);
        assert!(content.len() <= StoredHead::bytes_max(&stored().head));
        assert_eq!(StoredHead::decode(&key, &content).unwrap(), stored());
        let whole = StoredHead { chunks: 0, ..stored() };
        let with_turns = [&whole.encode(5), &b"turns"[..]].concat();
        let (head, turns) = StoredHead::decode_with_turns(&key, &with_turns).unwrap();
        assert_eq!((head, turns), (whole.clone(), &b"turns"[..]));
        let with_both = [&stored().encode(5), &b"turns"[..]].concat();
        for contradiction in [whole.encode(0), with_both] {
            assert!(StoredHead::decode(&key, &contradiction).is_err());
        }
        let error = StoredHead::decode(&key, &content[..20]).unwrap_err().to_string();
        assert!(error.contains("05050505-0505"), "{error}");
    }

    #[test]
    fn the_state_comes_back_and_damage_shows() {
        let mut state = State {
            epoch: 7,
            horizon: 9,
            ..State::default()
        };
        state.tallies.open = Tally { count: 3, sum: 4 };
        let mut value = state.encode();
        assert_eq!(State::decode(&value).unwrap(), state);
        value[30] ^= 1;
        assert!(State::decode(&value).is_err());
    }

    #[test]
    fn every_status_has_its_own_number() {
        for status in RunStatus::ALL {
            assert_eq!(read_status(status_code(status)), Some(status));
        }
        assert_eq!(read_status(0), None);
    }

    #[test]
    fn a_tally_tells_versions_apart_and_forgets_what_was_removed() {
        let newer = StoredHead { chain: 1, ..stored() };
        assert_ne!(stored().mark(), newer.mark());
        let mut tally = Tally::default();
        tally.add(stored().mark());
        tally.add(run_mark(RunId::from_bytes([1; 16])));
        tally.remove(stored().mark());
        tally.remove(run_mark(RunId::from_bytes([1; 16])));
        assert_eq!(tally, Tally::default());
    }
}
