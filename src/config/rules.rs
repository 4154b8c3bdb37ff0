//! What a carrier's error status means for the message: the default table (SMPP v3.4 section 5.1.3, v5.0 section 4.7.6), on which a
//! profile lays its own words.

use serde::{Deserialize, Serialize};

/// What to do with a message after a carrier refused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// Try again here, later.
    Later,
    /// The whole carrier is asked to slow down; the message waits in front and no attempt is counted.
    Throttle,
    /// Not here; another carrier of the route may take it.
    Elsewhere,
    /// Final: no carrier will take it as it is.
    Never,
}

/// The class of `status` where the profile says nothing. Refusals of the *message* (length, number, encoding) are final;
/// refusals that blame the agreement with this carrier (service type, TON, NPI, TLVs, rights) lead to the next one.
pub fn default_error_class(status: u32) -> ErrorClass {
    match status {
        0x14 | 0x58 => ErrorClass::Throttle,
        // system error, submit failed, temporary application error, unknown error, unavailable service, delivery failure, wrong bind state
        0x04 | 0x08 | 0x45 | 0x64 | 0xFE | 0xFF | 0x102 | 0x10D => ErrorClass::Later,
        // configuration of this link: priority, registered_delivery, service_type, TON and NPI, TLVs, rights, data_coding
        0x03 | 0x06 | 0x07 | 0x15 | 0x48..=0x51 | 0xC0..=0xC4 | 0x100 | 0x101 | 0x103 | 0x104 => ErrorClass::Elsewhere,
        // vendor codes and codes nobody knows: another carrier may know better
        0x400..=0x4FF => ErrorClass::Elsewhere,
        0x01..=0x1FF => ErrorClass::Never,
        _ => ErrorClass::Elsewhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_slows_the_carrier_and_a_bad_number_is_final() {
        assert_eq!(default_error_class(0x14), ErrorClass::Throttle);
        assert_eq!(default_error_class(0x58), ErrorClass::Throttle);
        assert_eq!(default_error_class(0x0B), ErrorClass::Never);
        assert_eq!(default_error_class(0x08), ErrorClass::Later);
        assert_eq!(default_error_class(0x15), ErrorClass::Elsewhere);
        assert_eq!(default_error_class(0x455), ErrorClass::Elsewhere);
    }
}
