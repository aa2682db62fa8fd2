//! Numbers that look random and are the same on replay. Must not live here: real randomness.

use crate::model::RunId;

/// SplitMix64 (Steele, Lea and Flood, 2014): one addition and a mixing function per number. Small, without weak seeds,
/// and so simple that it will never have to change: a change would make every run that uses it decide differently.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// The sequence of this run.
    pub(super) fn of_run(run_id: RunId) -> Self {
        // Fold 128 bits into 64, mixing in between: run ids of the same millisecond share their first bytes.
        let bits = u128::from_be_bytes(*run_id.as_bytes());
        let high = u64::try_from(bits >> 64).unwrap_or_default();
        let low = u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
        Self {
            state: mix(high.wrapping_add(GOLDEN)) ^ low,
        }
    }

    pub(super) fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // Refuse the numbers beyond the largest multiple of the bound: they would favour small results.
        let Some(excess) = (u64::MAX % bound.max(1)).checked_add(1) else {
            return 0;
        };
        let last_fair = u64::MAX - if excess == bound { 0 } else { excess };
        loop {
            let number = self.next_u64();
            if bound <= 1 || number <= last_fair {
                return number % bound.max(1);
            }
        }
    }

    pub(super) fn uuid(&mut self) -> String {
        let bits = (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64());
        // Version 4 and the standard's variant, at the places that RFC 9562 gives them.
        let version = 0xf_u128 << 76;
        let variant = 0b11_u128 << 62;
        let bits = (bits & !version & !variant) | (0x4_u128 << 76) | (0b10_u128 << 62);
        // A run id has the same text form.
        RunId::from_bytes(bits.to_be_bytes()).to_string()
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_never_changes() {
        // The published test vector of SplitMix64 for the seed 1234567.
        let mut random = Random { state: 1_234_567 };
        assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
        // Ours: another seed for the same run would make runs in progress decide differently.
        let first_of = |bytes| Random::of_run(RunId::from_bytes(bytes)).next_u64();
        assert_eq!(first_of(*b"0123456789abcdef"), PINNED);
        assert_ne!(first_of(*b"0123456789abcdeg"), PINNED);
    }

    const PINNED: u64 = 15_426_900_178_291_213_944;

    #[test]
    fn bounds_hold_and_uuids_have_their_form() {
        let mut random = Random::of_run(RunId::from_bytes([7; 16]));
        for bound in [1, 2, 3, 10, u64::MAX] {
            assert!((0..100).all(|_| random.below(bound) < bound));
        }
        assert_eq!(random.below(0), 0);
        let uuid = random.uuid();
        assert_eq!((uuid.len(), uuid.as_bytes()[14]), (36, b'4'), "{uuid}");
        assert!(b"89ab".contains(&uuid.as_bytes()[19]), "{uuid}");
    }
}
