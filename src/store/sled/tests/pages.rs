//! Pages against a map in memory: whatever is added, changed and removed, in whatever order. Must not live here: what is
//! in the pages of a store.

use std::collections::BTreeMap;

use super::super::pages::{Changes, Edits};
use super::*;

const PAGE_BYTES_MAX: usize = 300;

fn disk(directory: &Path) -> Disk {
    let db = raw(directory);
    let file = File::open(directory.join("db")).unwrap();
    let directory = directory.to_owned();
    Disk { db, file, directory }
}

fn key(number: u64) -> Vec<u8> {
    [&b"P"[..], &number.to_be_bytes()].concat()
}

fn change(disk: &Disk, model: &mut BTreeMap<u64, Vec<u8>>, changes: &[(u64, Option<Vec<u8>>)]) {
    let mut keyed = Changes::new();
    for (number, value) in changes {
        keyed.insert(key(*number), value.clone());
        match value {
            Some(value) => drop(model.insert(*number, value.clone())),
            None => drop(model.remove(number)),
        }
    }
    let mut edits = Edits::default();
    disk.edit(keyed, PAGE_BYTES_MAX, &mut edits).unwrap();
    disk.apply(edits.writes).unwrap();
}

fn check(disk: &Disk, model: &BTreeMap<u64, Vec<u8>>) {
    let mut found = Vec::new();
    let each = |key: &[u8], value: &[u8]| {
        found.push((key.to_vec(), value.to_vec()));
        Ok(())
    };
    disk.each_entry(b'P', each).unwrap();
    let expected = model.iter().map(|(number, value)| (key(*number), value.clone()));
    assert!(found == expected.collect::<Vec<_>>());
    for page in disk.scan(b'P') {
        let (_, value) = page.unwrap();
        assert!(value.len() <= PAGE_BYTES_MAX + 13, "{}", value.len());
    }
    for number in 0..600 {
        assert_eq!(
            disk.entry(&key(number)).unwrap().as_ref(),
            model.get(&number),
            "{number}"
        );
        let last = model
            .range(100..=number.max(100))
            .next_back()
            .map(|(number, _)| key(*number));
        assert_eq!(disk.last_between(&key(100), &key(number.max(100))).unwrap(), last);
    }
}

#[test]
fn pages_are_what_a_map_is() {
    let directory = tempfile::tempdir().unwrap();
    let disk = disk(directory.path());
    // Neighbours of other kinds, which are none of theirs.
    for other in [b"O~", b"Q\0"] {
        disk.db.insert(other, b"other").unwrap();
    }
    let mut model = BTreeMap::new();
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for round in 0..60 {
        let most = 1 + random(30);
        let changes: Vec<_> = (0..most)
            .map(|at| match random(4) {
                // Removed, or was never there.
                0 => (random(600), None),
                // At the end, as runs mostly come.
                1 => (round * 9 + at % 9, Some(vec![1; 40])),
                _ => (random(600), Some(vec![7; usize::try_from(random(90)).unwrap()])),
            })
            .collect();
        change(&disk, &mut model, &changes);
        check(&disk, &model);
    }
    let all: Vec<_> = (0..600).map(|number| (number, None)).collect();
    change(&disk, &mut model, &all);
    check(&disk, &model);
    assert_eq!(disk.scan(b'P').count(), 0, "empty pages are removed");
}

#[test]
fn what_comes_in_order_fills_the_pages() {
    let directory = tempfile::tempdir().unwrap();
    let disk = disk(directory.path());
    let mut model = BTreeMap::new();
    for number in 0..90 {
        change(&disk, &mut model, &[(number, Some(vec![5; 36]))]);
    }
    check(&disk, &model);
    // 49 bytes each, in 300.
    assert_eq!(disk.scan(b'P').count(), 15);
}
