//! Names and numbers that identify things. Lives here: the id types and their validity rules. Must not live here:
//! how ids are generated (that needs randomness and a clock) or stored.

use std::fmt;
use std::sync::Arc;

use super::{Timestamp, limits};

/// Why a text cannot be used as an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty.
    #[error("a {what} must not be empty")]
    Empty {
        /// Which kind of id was being made.
        what: &'static str,
    },
    /// The text is longer than [`limits::ID_BYTES_MAX`].
    #[error("a {what} may have at most {max} bytes, this one has {bytes}", max = limits::ID_BYTES_MAX)]
    TooLong {
        /// Which kind of id was being made.
        what: &'static str,
        /// The length of the refused text.
        bytes: usize,
    },
    /// The name of a namespace is longer than [`limits::NAMESPACE_BYTES_MAX`].
    #[error("a namespace may have at most {max} bytes, this one has {bytes}", max = limits::NAMESPACE_BYTES_MAX)]
    LongNamespace {
        /// The length of the refused text.
        bytes: usize,
    },
    /// The text holds a control character (a newline, a NUL, ...).
    #[error("a {what} must not contain control characters (found {found:?} at byte {at})")]
    ControlCharacter {
        /// Which kind of id was being made.
        what: &'static str,
        /// The offending character.
        found: char,
        /// Its byte offset.
        at: usize,
    },
}

/// Whether the text can be an id: 1 to 255 bytes, no control characters.
pub(crate) fn check(what: &'static str, text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { what });
    }
    if text.len() > limits::ID_BYTES_MAX {
        return Err(IdError::TooLong {
            what,
            bytes: text.len(),
        });
    }
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, found)) => Err(IdError::ControlCharacter { what, found, at }),
        None => Ok(()),
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text (1 to 255 bytes, no control characters) and makes the id.
            ///
            /// # Errors
            /// [`IdError`] names what is wrong with the text.
            pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
                check($what, text.as_ref())?;
                Ok(Self(Arc::from(text.as_ref())))
            }

            /// Makes the id without checking: for text that was checked before (read from the journal, or a constant).
            #[must_use]
            pub fn from_trusted(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }
    };
}

text_id!(
    /// The name of a kind of workflow: a registered function or a saga definition.
    WorkflowType,
    "workflow type"
);
text_id!(
    /// The name of a kind of activity.
    ActivityType,
    "activity type"
);
text_id!(
    /// Names one activity within its run; unique among the run's activities.
    ActivityId,
    "activity id"
);
text_id!(
    /// Names one timer within its run; unique among the run's pending timers.
    TimerId,
    "timer id"
);
text_id!(
    /// The name of a task queue: which workers do something.
    TaskQueue,
    "task queue"
);
text_id!(
    /// The name of a signal.
    SignalName,
    "signal name"
);
text_id!(
    /// The name of a query.
    QueryName,
    "query name"
);
text_id!(
    /// The name of an update.
    UpdateName,
    "update name"
);
text_id!(
    /// A caller's name for one update: its deduplication key within the run.
    UpdateId,
    "update id"
);
text_id!(
    /// The name of a saga step.
    StepName,
    "step name"
);
text_id!(
    /// Names one change of workflow code, for `patched` and `version`.
    ChangeId,
    "change id"
);
text_id!(
    /// A caller's deduplication key for one request (a start, a signal).
    RequestId,
    "request id"
);

/// One execution of a workflow. Ours, unique forever, and ordered by time of creation (UUID version 7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId([u8; 16]);

impl RunId {
    /// The id of no run: it stands in where there is none yet.
    pub const NIL: Self = Self([0; 16]);

    /// The id with these 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id's 16 bytes, in the order that sorts by creation time.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Makes a version 7 UUID from a time (milliseconds since 1970) and 10 random bytes.
    #[must_use]
    pub fn from_parts(unix_millis: u64, random: &[u8; 10]) -> Self {
        Self(
            *uuid::Builder::from_unix_timestamp_millis(unix_millis, random)
                .as_uuid()
                .as_bytes(),
        )
    }

    /// The id of the run that follows this one at this time. Made from both, so that nobody has to draw one; newer than
    /// this one in any case, also when the clock was set back.
    #[must_use]
    pub fn following(self, now: Timestamp) -> Self {
        let bits = u128::from_be_bytes(self.0);
        let own_millis = u64::try_from(bits >> 80).unwrap_or_default();
        let now_millis = u64::try_from(now.as_micros() / 1_000).unwrap_or_default();
        let (high, low) = (
            u64::try_from(bits >> 64).unwrap_or_default(),
            bits & u128::from(u64::MAX),
        );
        let low = u64::try_from(low).unwrap_or_default();
        let first = mix(high ^ mix(low));
        let second = mix(first ^ low);
        let mut random = [0; 10];
        for (to, from) in random
            .iter_mut()
            .zip(first.to_be_bytes().into_iter().chain(second.to_be_bytes()))
        {
            *to = from;
        }
        let id = Self::from_parts(own_millis.max(now_millis), &random);
        match id > self {
            true => id,
            false => Self::from_parts(own_millis.max(now_millis).saturating_add(1), &random),
        }
    }
}

/// Spreads bits (the mixing function of SplitMix64).
fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for RunId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        uuid::Uuid::try_parse(text).map(|id| Self(*id.as_bytes()))
    }
}

/// The place of an event in its run's history: 1 for the first, dense.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EventId(pub u64);

impl EventId {
    /// The id of the first event of every history.
    pub const FIRST: EventId = EventId(1);

    /// The id `ids` places later.
    #[must_use]
    pub const fn plus(self, ids: u64) -> Self {
        Self(self.0.saturating_add(ids))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The SHA-256 of a saga definition's canonical form: names a definition for ever, whatever happens to its file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DefinitionDigest(pub [u8; 32]);

impl fmt::Display for DefinitionDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for DefinitionDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::WorkflowId;

    #[test]
    fn ids_are_checked_where_they_enter() {
        assert!(WorkflowId::new("order-42").is_ok());
        assert!(WorkflowId::new("../../etc").is_ok(), "never used as a path");
        assert_eq!(WorkflowId::new(""), Err(IdError::Empty { what: "workflow id" }));
        assert!(matches!(
            WorkflowId::new("x".repeat(256)),
            Err(IdError::TooLong { bytes: 256, .. })
        ));
        assert!(matches!(
            WorkflowId::new("a\nb"),
            Err(IdError::ControlCharacter { at: 1, .. })
        ));
    }

    #[test]
    fn run_ids_sort_by_creation_and_survive_text() {
        let early = RunId::from_parts(1_000, &[255; 10]);
        let late = RunId::from_parts(1_001, &[0; 10]);
        assert!(early < late);
        assert_eq!(early.to_string().parse::<RunId>().unwrap(), early);
    }

    #[test]
    fn a_following_run_id_is_newer_whatever_the_clock_says_and_the_same_when_made_again() {
        let mut seen = std::collections::BTreeSet::new();
        for last in 0..=255 {
            let run = RunId::from_parts(1_000, &[last; 10]);
            assert!(run.following(Timestamp::EPOCH) > run, "the clock was set back");
            for now in [1_000_000, 5_000_000].map(Timestamp::from_micros) {
                let next = run.following(now);
                assert!(next > run, "{next} after {run}");
                assert_eq!(next, run.following(now));
                assert!(seen.insert(next), "{next} twice");
            }
        }
    }
}
