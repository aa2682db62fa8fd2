//! The `amends` binary. Lives here: nothing but the way into `server`.
fn main() {}
