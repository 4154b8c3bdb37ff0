//! What the unit tests of the links share.

use crate::model::{AccountId, Address, Body, Class, Encoding, Message, MessageId, Report};

/// A message of one part to a mobile number, asking for every final report.
pub fn message(id: u64) -> Message {
    Message {
        id: MessageId(id),
        report: Report { on_success: true, on_failure: true, intermediate: false },
        ..Message::new(
            AccountId(0),
            Class::Transactional,
            [Address::new(5, 0, b"Goose").unwrap(), Address::new(1, 1, b"8613812341234").unwrap()],
            crate::number::pack(b"8613812341234").unwrap(),
            Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: b"hello"[..].into() },
        )
    }
}
