//! Shards: hash classes of numbers. A number's shard decides who owns what belongs to it, so the function is fixed for ever: another one would hand
//! every number to another owner.

/// The shard of a packed number among `shards` of them, 0 to `shards` − 1.
///
/// # Panics
/// If `shards` is 0.
#[inline]
pub fn shard(number: u64, shards: u32) -> u32 {
    assert!(shards > 0, "there is at least one shard");
    // The upper half times the count: even for any count, and no division.
    (((mix(number) >> 32) * u64::from(shards)) >> 32) as u32
}

/// Spreads a number over 64 bits: the last steps of splitmix64 (Steele, Lea and Flood 2014), a bijection, so that numbers stay apart.
#[inline]
pub(crate) fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::pack;

    #[test]
    fn the_shard_of_a_number_never_changes() {
        let shards =
            ["8613800138000", "8613800138001", "447911123456", "12125551234"].map(|digits| shard(pack(digits.as_bytes()).unwrap(), 64));
        assert_eq!(shards, [38, 36, 3, 24]);
    }

    #[test]
    fn shards_are_even_for_any_count() {
        let first = pack(b"8613800000000").unwrap();
        for shards in [1u32, 2, 7, 64, 1000] {
            let mut counts = vec![0u32; shards as usize];
            (0..100_000).for_each(|n| counts[shard(first + n, shards) as usize] += 1);
            let even = 100_000 / shards;
            assert!(counts.iter().all(|&count| count.abs_diff(even) <= 40 + even / 4), "{shards}: {counts:?}");
        }
    }
}
