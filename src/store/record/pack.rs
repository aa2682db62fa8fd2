//! Leaves out zero bytes. Must not live here: what the bytes mean.
//!
//! Fixed-width integers are mostly zeros: a typical turn shrinks to 60 %. A stored byte is written about seven times
//! (log, history, and sled's own rewriting of both), which costs far more than packing it.
//!
//! ```text
//! length(4, little-endian)   of the unpacked bytes; then for each group of eight bytes, the last one filled up with 0:
//! mask(1) bytes              bit n of the mask: byte n of the group is not zero, and follows
//! 0x00 count(1)              this group and `count` more are all zeros
//! 0xFF bytes(8) count(1)     this group has no zeros; `count` groups follow as they are
//! ```

use super::RecordError;

const GROUP: usize = 8;

/// Bit n says whether byte n is not zero: all eight at once, as this is most of what packing does.
fn mask_of(group: [u8; GROUP]) -> u8 {
    const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let word = u64::from_le_bytes(group);
    // The highest bit of each byte: set if any bit of the byte is; then the eight of them moved next to each other.
    let highest = (((word & LOW) + LOW) | word) & !LOW;
    let [.., mask] = (highest >> 7).wrapping_mul(GATHER).to_le_bytes();
    mask
}

/// The bytes that are not zero, moved together, without a branch for each.
fn squeeze(group: [u8; GROUP]) -> [u8; GROUP] {
    let (mut squeezed, mut shift) = (0_u64, 0);
    for byte in group {
        squeezed |= u64::from(byte).wrapping_shl(shift);
        shift += u32::from(byte != 0) * 8;
    }
    squeezed.to_le_bytes()
}

fn put_masked(out: &mut Vec<u8>, mask: u8, group: [u8; GROUP]) {
    let squeezed = squeeze(group);
    let count = usize::try_from(mask.count_ones()).unwrap_or(GROUP);
    out.extend_from_slice(squeezed.get(..count).unwrap_or_default());
}

/// How many of the groups, 255 at the most, do not fit a mask better than they fit as they are.
fn run(groups: &[[u8; GROUP]], belongs: impl Fn(u8) -> bool) -> usize {
    let run = groups.iter().take(255).take_while(|group| belongs(mask_of(**group)));
    run.count()
}

/// Packs the bytes behind what is in `out`.
pub(super) fn pack(bytes: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend(length.to_le_bytes());
    let (mut groups, rest) = bytes.as_chunks::<GROUP>();
    while let Some((group, later)) = groups.split_first() {
        groups = later;
        let mask = mask_of(*group);
        out.push(mask);
        match mask {
            0 => {
                let zeros = run(groups, |mask| mask == 0);
                out.push(u8::try_from(zeros).unwrap_or(0));
                groups = groups.get(zeros..).unwrap_or_default();
            }
            u8::MAX => {
                // One zero costs as much in a mask as it saves: only groups with two of them end the run.
                let raw = run(groups, |mask| mask.count_zeros() < 2);
                let (now, later) = groups.split_at(raw);
                out.extend_from_slice(group);
                out.push(u8::try_from(raw).unwrap_or(0));
                out.extend_from_slice(now.as_flattened());
                groups = later;
            }
            _ => put_masked(out, mask, *group),
        }
    }
    if !rest.is_empty() {
        let mut group = [0; GROUP];
        group.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        let mask = mask_of(group);
        out.push(mask);
        match mask {
            0 => out.push(0),
            u8::MAX => out.extend(group.into_iter().chain([0])),
            _ => put_masked(out, mask, group),
        }
    }
}

fn damaged() -> RecordError {
    RecordError::Damaged("the packed bytes do not fit together".to_owned())
}

/// Unpacks what [`pack`] wrote.
///
/// # Errors
/// [`RecordError::Damaged`] unless the bytes come to exactly the length that they begin with, and that is at most
/// `bytes_max`.
pub(super) fn unpack(packed: &[u8], bytes_max: u64) -> Result<Vec<u8>, RecordError> {
    let (length, mut rest) = packed.split_first_chunk::<4>().ok_or_else(damaged)?;
    let length = u32::from_le_bytes(*length);
    if u64::from(length) > bytes_max {
        return Err(damaged());
    }
    let length = usize::try_from(length).map_err(|_| damaged())?;
    // No more than what is usual is reserved before it is seen: the length may be damaged.
    let mut out = Vec::with_capacity(length.min(packed.len().saturating_mul(4)).saturating_add(GROUP));
    while out.len() < length {
        let (&mask, later) = rest.split_first().ok_or_else(damaged)?;
        rest = later;
        match mask {
            0 => {
                let (&zeros, later) = rest.split_first().ok_or_else(damaged)?;
                rest = later;
                out.resize(out.len() + (usize::from(zeros) + 1) * GROUP, 0);
            }
            u8::MAX => {
                let (group, later) = rest.split_first_chunk::<GROUP>().ok_or_else(damaged)?;
                let (&raw, later) = later.split_first().ok_or_else(damaged)?;
                let (now, later) = later.split_at_checked(usize::from(raw) * GROUP).ok_or_else(damaged)?;
                out.extend_from_slice(group);
                out.extend_from_slice(now);
                rest = later;
            }
            mask => {
                let mut group = [0; GROUP];
                for (at, byte) in group.iter_mut().enumerate() {
                    if mask & (1 << at) != 0 {
                        let (&next, later) = rest.split_first().ok_or_else(damaged)?;
                        (*byte, rest) = (next, later);
                    }
                }
                out.extend_from_slice(&group);
            }
        }
    }
    // Exactly the groups that the length needs, filled up with zeros, and nothing behind them.
    let fits = out.len() < length + GROUP && out.iter().skip(length).all(|byte| *byte == 0) && rest.is_empty();
    out.truncate(length);
    fits.then_some(out).ok_or_else(damaged)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        pack(bytes, &mut out);
        out
    }

    #[test]
    fn the_format_is_as_described() {
        assert_eq!(packed(&[]), [0, 0, 0, 0]);
        assert_eq!(packed(&[0, 7, 0, 0, 0, 0, 0, 9]), [8, 0, 0, 0, 0b1000_0010, 7, 9]);
        assert_eq!(packed(&[0; 24]), [24, 0, 0, 0, 0, 2]);
        let text = *b"abcdefghABCDEFGH";
        let mut expected = vec![16, 0, 0, 0, 0xFF];
        expected.extend_from_slice(b"abcdefgh");
        expected.push(1);
        expected.extend_from_slice(b"ABCDEFGH");
        assert_eq!(packed(&text), expected);
        assert_eq!(packed(b"x"), [1, 0, 0, 0, 1, b'x']);
    }

    #[test]
    fn long_runs_cost_next_to_nothing() {
        for byte in [0, 7] {
            let bytes = vec![byte; 2 * 1024 * 1024];
            let packed = packed(&bytes);
            assert!(packed.len() < usize::from(byte != 0) * bytes.len() + bytes.len() / 200);
            assert!(unpack(&packed, u64::MAX).unwrap() == bytes);
        }
        assert!(unpack(&packed(&[0; 100]), 99).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn everything_survives(bytes in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..600)) {
            let packed = packed(&bytes);
            prop_assert_eq!(unpack(&packed, u64::MAX).unwrap(), bytes);
            prop_assert!(unpack(&packed[..packed.len() - 1], u64::MAX).is_err());
        }

        #[test]
        fn nothing_else_panics(bytes in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..200)) {
            if let Ok(unpacked) = unpack(&bytes, 1 << 20) {
                prop_assert!(unpacked.len() <= 1 << 20);
            }
        }
    }
}
