//! Why a search attribute or a memo is refused. Must not live here: refusing it.

use super::super::{CHANGE_VERSION, IdError, limits};
use super::SearchAttributeType;

/// Why a search attribute or a memo is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchAttributeError {
    /// The value has another type than the attribute.
    #[error("search attribute {name:?} is of type {expected}; {value} is of type {found}")]
    Type {
        /// The attribute.
        name: String,
        /// Its type.
        expected: SearchAttributeType,
        /// The type of the value.
        found: SearchAttributeType,
        /// The value.
        value: String,
    },
    /// The value is JSON that no search attribute has.
    #[error("search attribute {name:?} cannot be {value}: it is a text, a number, true or false, or a list of texts")]
    NoValue {
        /// The attribute.
        name: String,
        /// The value.
        value: String,
    },
    /// The name stands for something that every run has.
    #[error("the name {0:?} stands for something that every run has: give the search attribute another name")]
    BuiltIn(String),
    /// The name is that of the list which amends makes itself.
    #[error(
        "the search attribute {:?} is amends' own: it lists the changes of its code that a run has met, by `patched`, `version` \
         and the workflow's version; give yours another name",
        CHANGE_VERSION
    )]
    ChangeList,
    /// The name was registered with another type.
    #[error("search attribute {name:?} is registered as {first} and as {second}: it can have one type only")]
    Registered {
        /// The attribute.
        name: String,
        /// The type it has.
        first: SearchAttributeType,
        /// The other one.
        second: SearchAttributeType,
    },
    /// The name cannot be one.
    #[error(transparent)]
    Name(#[from] IdError),
    /// A number that is none, or not finite.
    #[error("search attribute {0:?} must be a finite number")]
    NotFinite(String),
    /// Too many of them.
    #[error("a run may have at most {} search attributes", limits::SEARCH_ATTRIBUTES_MAX)]
    TooMany,
    /// Too large, all together.
    #[error(
        "the search attributes of a run may have {} bytes all together, these have {bytes} (they are for finding runs; data \
         belongs into the input or the memo)",
        limits::SEARCH_ATTRIBUTES_BYTES_MAX
    )]
    TooLarge {
        /// Their size.
        bytes: usize,
    },
    /// A memo has too many fields, or they are too large.
    #[error(
        "the memo of a run may have {} fields and {} bytes, this one has {fields} and {bytes}",
        limits::MEMO_FIELDS_MAX,
        limits::MEMO_BYTES_MAX
    )]
    Memo {
        /// Its fields.
        fields: usize,
        /// Their size.
        bytes: usize,
    },
}
