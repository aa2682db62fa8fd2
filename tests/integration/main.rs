//! The one integration test binary: everything that is tested from outside, over the public API, the binary or the
//! sources. One binary, because each one links everything again. Must not live here: tests; they have modules.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests are test code too, which clippy cannot know here"
)]

#[cfg(all(feature = "sled", feature = "macros", feature = "testing"))]
mod children_survive;
#[cfg(feature = "server")]
mod cli;
#[cfg(all(unix, feature = "sled", feature = "macros", feature = "testing"))]
mod crash;
#[cfg(feature = "server")]
mod demo;
#[cfg(all(feature = "sled", feature = "macros", feature = "testing"))]
mod embed;
#[cfg(all(feature = "sled", feature = "macros", feature = "testing"))]
mod engine;
#[cfg(all(feature = "sled", feature = "macros", feature = "testing"))]
mod equivalence;
#[cfg(all(feature = "sled", feature = "macros", feature = "testing"))]
mod examples;
#[cfg(all(target_os = "linux", feature = "sled", feature = "macros", feature = "testing"))]
mod isolated;
#[cfg(all(feature = "sled", feature = "macros", feature = "testing"))]
mod isolation;
#[cfg(all(feature = "sled", feature = "macros", feature = "testing"))]
mod messages_survive;
#[cfg(all(unix, feature = "http", feature = "sled", feature = "macros", feature = "testing"))]
mod sagas;
#[cfg(all(feature = "sled", feature = "macros", feature = "testing"))]
mod scenarios;
#[cfg(all(feature = "sled", feature = "macros", feature = "testing"))]
mod store_failure;
#[cfg(all(feature = "sled", feature = "macros", feature = "testing"))]
mod support;
#[cfg(all(feature = "sled", feature = "macros", feature = "testing"))]
mod temporal;
mod tidy;
#[cfg(all(
    feature = "sled",
    feature = "macros",
    feature = "testing",
    feature = "bincode",
    feature = "prost",
    feature = "schedules"
))]
mod tour;
#[cfg(all(unix, feature = "server"))]
mod walkthrough;
