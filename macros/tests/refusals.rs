//! What the compiler prints for a workflow that is refused: the words, and the place they point at. The cases stand alone,
//! with stand-ins for the crates that they misuse, so that nothing but this crate has to be built for them.
//! `TRYBUILD=overwrite` writes anew what is expected.

#[test]
fn refusals_point_at_what_is_refused() {
    trybuild::TestCases::new().compile_fail("tests/refusals/*.rs");
}
