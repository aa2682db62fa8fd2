//! Sagas as a table of text: what a saga looks like, what its participants do, what a person decides, and what comes of it.
//! Each row is played twice: by the pure machine alone, and by an engine on sled, which must do the same. Must not live
//! here: the rows (`sagas.txt`).

mod pure;
mod real;
mod table;

use crate::support::run;

#[test]
fn every_row_is_what_the_machine_does() {
    let rows = table::rows();
    assert!(rows.len() >= 60, "only {} rows", rows.len());
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            let played = pure::play(row);
            row.misses(&played.log, &played.ends)
        })
        .collect();
    assert!(wrong.is_empty(), "{} rows:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn every_row_is_what_the_engine_does() {
    let rows = table::rows();
    run(async {
        let wrong = real::play_all(&rows).await;
        assert!(wrong.is_empty(), "{} rows:\n\n{}", wrong.len(), wrong.join("\n\n"));
    });
}
