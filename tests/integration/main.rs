//! The one integration test binary: everything that is tested from outside, over the public API, the binary or the
//! sources. One binary, because each one links everything again. Must not live here: tests; they have modules.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests are test code too, which clippy cannot know here"
)]

#[cfg(feature = "server")]
mod cli;
#[cfg(feature = "server")]
mod demo;
mod tidy;
