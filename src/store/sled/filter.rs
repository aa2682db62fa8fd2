//! Which workflow ids may be in the database: a filter in memory that spares the start of a run the search for an older
//! one of its id, nearly always. Must not live here: reading the database.
//!
//! A Bloom filter in layers, each twice as large as the one before: about 20 bits for each id, and one unneeded search
//! in some hundred starts.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use crate::model::WorkflowId;

/// Ids in the first layer.
const FIRST_IDS: usize = 4_096;

/// Bits for each id; with `PROBES` of them set, a full layer takes one unknown id in a hundred for a known one.
const BITS_PER_ID: usize = 10;
const PROBES: u64 = 7;

/// Ids from which on the filter is given up: 80 MiB. A process that goes on for months would else fill its memory; from
/// then on until it opens the store again, a start costs a search.
const IDS_MAX: usize = 64 * 1024 * 1024;

/// Ids that were added, and some that were not.
#[derive(Debug, Default)]
pub(super) struct NameFilter {
    /// Only the last one is still being filled.
    layers: Vec<Layer>,
    /// Ids may be missing: nothing can be said.
    blind: bool,
}

#[derive(Debug)]
struct Layer {
    words: Vec<u64>,
    free: usize,
}

impl NameFilter {
    /// One that cannot say anything.
    pub(super) fn blind() -> Self {
        Self {
            layers: Vec::new(),
            blind: true,
        }
    }

    pub(super) fn add(&mut self, workflow_id: &WorkflowId) {
        self.add_below(workflow_id, IDS_MAX);
    }

    fn add_below(&mut self, workflow_id: &WorkflowId, ids_max: usize) {
        // An id that comes again and again takes no room.
        if self.may_contain(workflow_id) {
            return;
        }
        let ids = match self.layers.last() {
            Some(layer) if layer.free > 0 => 0,
            Some(layer) => layer.words.len() * 64 / BITS_PER_ID * 2,
            None => FIRST_IDS,
        };
        if ids > ids_max / 2 {
            *self = Self::blind();
            return;
        }
        if ids > 0 {
            let words = vec![0; (ids * BITS_PER_ID).div_ceil(64)];
            self.layers.push(Layer { words, free: ids });
        }
        let hash = hash(workflow_id);
        if let Some(layer) = self.layers.last_mut() {
            layer.free -= 1;
            for (word, bit) in places(layer.words.len(), hash) {
                if let Some(word) = layer.words.get_mut(word) {
                    *word |= bit;
                }
            }
        }
    }

    /// `false`: it was not added.
    pub(super) fn may_contain(&self, workflow_id: &WorkflowId) -> bool {
        let hash = hash(workflow_id);
        let contains = |layer: &Layer| {
            let mut places = places(layer.words.len(), hash);
            places.all(|(word, bit)| layer.words.get(word).is_some_and(|word| word & bit != 0))
        };
        self.blind || self.layers.iter().any(contains)
    }
}

/// The filter lives no longer than the process: any hash will do.
fn hash(workflow_id: &WorkflowId) -> u64 {
    let mut hasher = DefaultHasher::new();
    workflow_id.qualified().hash(&mut hasher);
    hasher.finish()
}

/// Which bits stand for a hash: by double hashing.
fn places(words: usize, hash: u64) -> impl Iterator<Item = (usize, u64)> {
    let (bits, step) = ((words as u64).saturating_mul(64).max(1), hash.rotate_left(32) | 1);
    (0..PROBES).map(move |probe| {
        let bit = hash.wrapping_add(step.wrapping_mul(probe)) % bits;
        (usize::try_from(bit / 64).unwrap_or(usize::MAX), 1 << (bit % 64))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_known_and_little_else() {
        let id = |number: u32| WorkflowId::from_trusted(format!("order-{number}"));
        let mut filter = NameFilter::default();
        assert!(!filter.may_contain(&id(1)));
        (0..30_000).for_each(|number| filter.add(&id(number)));
        assert!((0..30_000).all(|number| filter.may_contain(&id(number))));
        let wrong = (30_000..60_000)
            .filter(|number| filter.may_contain(&id(*number)))
            .count();
        assert!(wrong < 1_500, "{wrong} of 30,000");
        let bits: usize = filter.layers.iter().map(|layer| layer.words.len() * 64).sum();
        assert!(bits < 30_000 * 30, "{bits} bits");
    }

    #[test]
    fn an_id_that_comes_again_takes_no_room_and_too_many_make_it_blind() {
        let id = |number: usize| WorkflowId::from_trusted(format!("order-{number}"));
        let mut filter = NameFilter::default();
        (0..4 * FIRST_IDS).for_each(|_| filter.add(&id(1)));
        assert_eq!(filter.layers.len(), 1);
        (0..8 * FIRST_IDS).for_each(|number| filter.add_below(&id(number), 4 * FIRST_IDS));
        assert!(filter.blind && filter.layers.is_empty());
        assert!((0..9 * FIRST_IDS).all(|number| filter.may_contain(&id(number))));
    }

    #[test]
    fn a_blind_one_says_yes() {
        let mut filter = NameFilter::blind();
        filter.add(&WorkflowId::from_trusted("a"));
        assert!(filter.may_contain(&WorkflowId::from_trusted("b")) && filter.layers.is_empty());
    }
}
