//! Definitions that work, and what a careful reader would ask about them: `warnings.txt` has one case after the other, the
//! file above the `-----` line, what is said below it.

use super::super::{ParseOptions, SagaDefinition};
use super::bad_files::said;

const CASES: &str = include_str!("warnings.txt");

#[test]
fn every_warning_is_given_where_its_reason_is() {
    let cases: Vec<&str> = CASES.split("=====\n").collect();
    assert!(cases.len() >= 9, "{} cases", cases.len());
    let mut wrong = String::new();
    for case in cases {
        let (file, expected) = case.split_once("-----\n").unwrap();
        let usable = SagaDefinition::parse("x", file, &ParseOptions::default()).is_ok();
        assert!(usable, "only a warning, but refused:\n{file}");
        if said(file) != expected {
            wrong += &format!("{file}-----\n{}=====\n", said(file));
        }
    }
    assert!(wrong.is_empty(), "what is said now:\n{wrong}");
}
