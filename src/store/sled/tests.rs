//! What only a store with a disk can be asked: reopening, locking, unusable directories and damage.

use std::fs;
use std::path::Path;

use bytes::Bytes;

use super::*;
use crate::model::RunStatus;
use crate::store::{Error, TurnRecord};
use crate::testing::store_conformance::{self, Open, run_id, turn};

/// What is lost in a power cut does not matter here, and syncing costs most of the time.
fn options() -> SledOptions {
    SledOptions {
        durability: Durability::ProcessSafe,
        ..SledOptions::default()
    }
}

fn open(directory: &Path) -> SledStore {
    SledStore::open(directory, options()).unwrap()
}

fn commit(store: &SledStore, turns: Vec<TurnRecord>) {
    let epoch = store.live().epoch;
    let definitions = Vec::new();
    store.commit(epoch, &CommitBatch { turns, definitions }).unwrap();
}

#[test]
fn the_sled_store_conforms() {
    let mut directory = tempfile::tempdir().unwrap();
    store_conformance::check(&mut |which| {
        if which == Open::Fresh {
            directory = tempfile::tempdir().unwrap();
        }
        Box::new(open(directory.path()))
    });
}
