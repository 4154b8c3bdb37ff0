//! An address as it stands in a message: type of number, numbering plan, and its characters.

use arrayvec::ArrayVec;
use std::fmt;

/// Longest address in octets: C-octet string of 21 in submit_sm; data_sm's 65 is cut to the same bound by refusal.
pub const ADDRESS_MAX: usize = 20;

/// A source or destination address. `Debug` and `Display` mask it (138****1234): an address is personal data.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Address {
    /// Type of number (SMPP v3.4 5.2.5): 0 unknown, 1 international, 2 national, 3 network specific, 5 alphanumeric ...
    pub ton: u8,
    /// Numbering plan indicator (5.2.6): 0 unknown, 1 E.164 ...
    pub npi: u8,
    /// The characters, at most [`ADDRESS_MAX`] octets, without a terminator.
    pub digits: ArrayVec<u8, ADDRESS_MAX>,
}

impl Address {
    /// An address of these parts; `None` if it has over [`ADDRESS_MAX`] octets.
    pub fn new(ton: u8, npi: u8, digits: &[u8]) -> Option<Address> {
        Some(Address { ton, npi, digits: ArrayVec::try_from(digits).ok()? })
    }

    /// The characters.
    pub fn as_bytes(&self) -> &[u8] {
        &self.digits
    }
}

/// Writes `digits` with its middle hidden: the last eleven digits' first three and last four stay for numbers of
/// seven or more, everything else becomes stars.
pub fn mask(digits: &[u8]) -> String {
    let keep = |range: &[u8]| range.iter().map(|&b| if b.is_ascii_graphic() { b as char } else { '?' }).collect::<String>();
    if digits.len() < 7 {
        return "*".repeat(digits.len());
    }
    let national = digits.len().min(11);
    let head = &digits[digits.len() - national..];
    format!("{}****{}", keep(&head[..3.min(national - 4)]), keep(&digits[digits.len() - 4..]))
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.ton, self.npi, mask(&self.digits))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(&self.digits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_masked_wherever_they_are_printed() {
        let address = Address::new(1, 1, b"8613812341234").unwrap();
        assert_eq!(address.to_string(), "138****1234");
        assert_eq!(format!("{address:?}"), "1/1:138****1234");
        assert_eq!(mask(b"10086"), "*****");
        assert_eq!(mask(b"1234567"), "123****4567");
    }
}
