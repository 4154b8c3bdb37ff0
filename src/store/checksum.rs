//! The checksum under which groups, chunks and blobs are kept. One rule for every store, so that verify means the same everywhere.

use super::Chunk;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The form in which a group or chunk is kept; the first thing to change when the rule below does.
pub const VERSION: u8 = 1;

/// Checksum (XXH3, 64 bit) of `octets` kept under `place` (journal position, chunk id). The place is the seed, so that sound
/// octets in the wrong place are told too.
pub fn checksum(place: u64, octets: &[u8]) -> u64 {
    // The golden-ratio step keeps neighbouring places from being neighbouring seeds.
    xxh3_64_with_seed(octets, (place ^ u64::from(VERSION)).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// Checksum of a chunk: its kind and key count too.
pub fn chunk_checksum(chunk: &Chunk) -> u64 {
    checksum(chunk.id ^ chunk.key.rotate_left(21) ^ u64::from(chunk.kind).rotate_left(56), &chunk.octets)
}

/// Checksum of a page: its kind too.
pub fn page_checksum(kind: u8, id: u64, octets: &[u8]) -> u64 {
    checksum(id ^ u64::from(kind).rotate_left(56) ^ 0x7061_6765, octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_and_place_both_count() {
        let sum = checksum(7, b"group");
        assert_eq!(sum, checksum(7, b"group"));
        assert_ne!(sum, checksum(8, b"group"));
        assert_ne!(sum, checksum(7, b"grouq"));
        assert_ne!(checksum(1, b""), checksum(2, b""));
    }
}
