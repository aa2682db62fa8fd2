//! The attributes `#[activity]` and `#[workflow]`. Lives here: reading the attribute and writing metadata beside
//! the function. Must not live here: any behaviour; the function itself is passed through untouched.
