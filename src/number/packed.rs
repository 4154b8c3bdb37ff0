//! A number in a `u64` (numbers.md section 2): bits 63-60 count its digits, bits 59-50 are zero, bits 49-0 are its
//! value. So leading zeros keep numbers apart, 0 means "none", and E.164 numbers compare by their low 50 bits.

use arrayvec::ArrayVec;

/// Most digits of a number.
pub const DIGITS_MAX: usize = 15;
/// The bits of a packed number that hold its value.
pub const VALUE_MASK: u64 = (1 << 50) - 1;

/// The powers of ten up to 10^15.
pub(crate) const POWERS: [u64; DIGITS_MAX + 1] = {
    let mut powers = [1; DIGITS_MAX + 1];
    let mut n = 1;
    while n <= DIGITS_MAX {
        powers[n] = powers[n - 1] * 10;
        n += 1;
    }
    powers
};

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

/// How many digits a packed number has; 0 for none.
#[inline]
pub fn digit_count(packed: u64) -> usize {
    (packed >> 60) as usize
}

/// The digits of a packed number; empty for 0.
pub fn unpack(packed: u64) -> ArrayVec<u8, DIGITS_MAX> {
    let count = digit_count(packed);
    let mut value = packed & VALUE_MASK;
    let mut digits = [b'0'; DIGITS_MAX];
    for place in digits[..count].iter_mut().rev() {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
    }
    digits[..count].iter().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_back_with_their_leading_zeros() {
        for digits in ["1", "0", "007", "10086", "8613800138000", "999999999999999", "000000000000000"] {
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
