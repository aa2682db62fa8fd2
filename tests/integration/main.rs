//! The one integration test binary: everything that is tested from outside, over the public API, the binary or the
//! sources. One binary, because each one links everything again. Must not live here: tests; they have modules.

mod tidy;
