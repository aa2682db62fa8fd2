//! How points in time are written when a specification is a value of JSON. Must not live here: anything else.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::Timestamp;

/// Microseconds since 1970, or nothing.
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
