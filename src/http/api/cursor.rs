//! Cursors: places in something that is read page by page, as text that means nothing to who gets it.

use crate::engine::scope::Fault;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Places of a kind as text.
pub(super) fn written<const N: usize>(kind: u8, place: [u64; N]) -> String {
    let mut octets = vec![kind];
    place.iter().for_each(|number| octets.extend_from_slice(&number.to_be_bytes()));
    URL_SAFE_NO_PAD.encode(octets)
}

/// The place that was written so.
///
/// # Errors
/// It is none of this kind.
pub(super) fn read<const N: usize>(kind: u8, cursor: &str, field: &'static str) -> Result<[u64; N], Fault> {
    let bad = || Fault::of("bad_value", field, "it is no cursor", "the next_cursor of a page, or the id of an event in a stream");
    let octets = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad())?;
    let numbers = octets.strip_prefix(&[kind]).filter(|numbers| numbers.len() == N * 8).ok_or_else(bad)?;
    let mut place = [0; N];
    for (number, octets) in place.iter_mut().zip(numbers.chunks_exact(8)) {
        *number = octets.iter().fold(0, |sum, &octet| sum << 8 | u64::from(octet));
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_what_it_was_written_and_nothing_else_is_one() {
        let cursor = written(2, [7, u64::MAX]);
        assert_eq!(read(2, &cursor, "cursor").ok(), Some([7, u64::MAX]));
        assert!(read::<2>(1, &cursor, "cursor").is_err() && read::<1>(2, &cursor, "cursor").is_err());
        for bad in ["", "x", "AA", "!!!!"] {
            assert!(read::<1>(1, bad, "cursor").is_err(), "{bad}");
        }
    }
}
