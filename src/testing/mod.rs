//! The test kit, for users and for amends itself. Lives here: what makes tests of workflows, stores and the engine short
//! and exact. Must not live here: anything that a running engine needs.

pub mod store_conformance;
