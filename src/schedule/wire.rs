//! How points in time are written in a schedule's own state, which is JSON. Must not live here: anything else.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::Timestamp;

/// Microseconds since 1970.
pub(super) mod micros {
    use super::*;

    pub(in crate::schedule) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        time.as_micros().serialize(serializer)
    }

    pub(in crate::schedule) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp::from_micros)
    }
}

/// The same, or nothing.
pub(super) mod micros_or_none {
    use super::*;

    pub(in crate::schedule) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Timestamp::as_micros).serialize(serializer)
    }

    pub(in crate::schedule) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<i64>::deserialize(deserializer)?.map(Timestamp::from_micros))
    }
}
