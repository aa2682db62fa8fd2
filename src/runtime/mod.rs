//! The actors and everything that touches the outside. Must not live here: decisions about runs.

#[cfg(feature = "http")]
#[cfg_attr(not(test), expect(dead_code, reason = "its activity adapter comes with the sdk"))]
pub(crate) mod http;
