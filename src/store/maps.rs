//! Hash maps by ids, of which a saga is looked up in some thirty. Must not live here: what is kept in them.
//!
//! Ids are short, so hashing them is most of a look-up, and SipHash costs some ten times as much as what is used here. It is
//! seeded anew in each process and for each map: whoever makes up workflow ids does not know which of them collide.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

/// A hash map whose keys are ids.
pub(crate) type IdMap<K, V> = HashMap<K, V, RandomState>;

/// A set of ids.
pub(crate) type IdSet<K> = HashSet<K, RandomState>;
