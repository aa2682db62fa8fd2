//! What version 1 says about versions of workflow code; frozen like the rest of it.

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(in crate::store::record) enum VersionMarker<'a> {
    Patch { id: &'a str, deprecated: bool },
    Version { id: &'a str, version: i32 },
}
