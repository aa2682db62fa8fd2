//! Names and numbers that identify things. Lives here: the id types and their validity rules. Must not live here:
//! how ids are generated (that needs randomness and a clock) or stored.

use std::fmt;
use std::sync::Arc;

use super::limits;

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
    /// The caller's name for a workflow: the deduplication key of its start. At most one open run has it.
    WorkflowId,
    "workflow id"
);
text_id!(
    /// The name of a semantic lock, for example of the order that a saga works on.
    LockName,
    "lock name"
);
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
}
