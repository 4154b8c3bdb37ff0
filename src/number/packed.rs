//! A number in a `u64`: bits 63-60 count its digits, bits 59-50 are zero, bits 49-0 are its
//! value. So leading zeros keep numbers apart, 0 means "none", and E.164 numbers compare by their low 50 bits.

use arrayvec::ArrayVec;

/// Most digits of a number.
pub const DIGITS_MAX: usize = 15;
/// The bits of a packed number that hold its value.
pub const VALUE_MASK: u64 = (1 << 50) - 1;

/// 2^114 / 10^n, rounded up: what turns a number of n digits into a fraction of one.
const FRACTIONS: [u128; DIGITS_MAX + 1] = {
    let mut fractions = [0; DIGITS_MAX + 1];
    let mut power = 1;
    let mut n = 1;
    while n <= DIGITS_MAX {
        power *= 10;
        fractions[n] = (1 << 114) / power + 1;
        n += 1;
    }
    fractions
};

/// A packed number as the fraction 0.digits of 64 bits: each multiplication by ten (or a thousand) gives the next digit (or three), without any
/// division. Rounded up by less than 2^-63, which the 15 digits of 10^-15 never notice.
#[inline]
pub(crate) fn fraction(packed: u64) -> u64 {
    let count = digit_count(packed);
    ((u128::from(packed & VALUE_MASK).wrapping_mul(FRACTIONS[count]) >> 50) as u64).wrapping_add(u64::from(count > 0))
}

/// The digits of a packed number (0-9), first digit first.
#[inline]
pub fn digits(packed: u64) -> impl Iterator<Item = u8> {
    let count = digit_count(packed);
    let mut fraction = fraction(packed);
    (0..count).map(move |_| {
        let next = u128::from(fraction) * 10;
        fraction = next as u64;
        (next >> 64) as u8
    })
}

/// Packs 1 to 15 ASCII digits; `None` for anything else.
#[inline]
pub fn pack(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    let mut value = 0u64;
    for &octet in digits {
        let digit = octet.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some((digits.len() as u64) << 60 | value)
}

/// A key of the last eight digits of a packed number: the same for a number in its national and its international form. 0 only for none.
#[inline]
pub fn tail(packed: u64) -> u64 {
    // The bit above keeps a number that ends in eight zeros apart from none.
    if packed == 0 { 0 } else { ((packed & ((1 << 50) - 1)) % 100_000_000) | (1 << 32) }
}

/// True if one of the two is the other with or without what may stand in front (country code, trunk prefix): the same phone, for all that
/// a receipt can tell. Numbers of fewer than seven digits must be equal.
pub fn ends_alike(a: u64, b: u64) -> bool {
    let shorter = digit_count(a).min(digit_count(b)) as u32;
    if shorter < 7 {
        return a == b;
    }
    let ends = |packed: u64| (packed & ((1 << 50) - 1)) % 10u64.pow(shorter);
    ends(a) == ends(b)
}

/// How many digits a packed number has; 0 for none.
#[inline]
pub fn digit_count(packed: u64) -> usize {
    (packed >> 60) as usize
}

/// The digits of a packed number; empty for 0.
pub fn unpack(packed: u64) -> ArrayVec<u8, DIGITS_MAX> {
    digits(packed).map(|digit| b'0' + digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_back_with_their_leading_zeros() {
        let mut samples: Vec<String> =
            ["1", "0", "007", "10086", "8613800138000", "999999999999999", "000000000000000"].map(String::from).to_vec();
        for length in 1..=DIGITS_MAX {
            let one = 10u64.pow(length as u32 - 1);
            samples.extend([one, one * 10 - 1, one * 5, one * 7 - 1].map(|value| format!("{value:0length$}")));
            samples.extend((0..500u64).map(|n| format!("{:0length$}", n.wrapping_mul(987_654_321_987_654_321) % (one * 10))));
        }
        for digits in samples {
            let packed = pack(digits.as_bytes()).unwrap();
            assert_eq!(&unpack(packed)[..], digits.as_bytes());
            assert_eq!(packed >> 50 & 0x3FF, 0);
        }
        assert_ne!(pack(b"07"), pack(b"7"));
        assert!(unpack(0).is_empty());
    }

    #[test]
    fn what_is_no_number_is_not_packed() {
        for digits in ["", "1234567890123456", "12a", "+1", " 1"] {
            assert_eq!(pack(digits.as_bytes()), None);
        }
    }
}
