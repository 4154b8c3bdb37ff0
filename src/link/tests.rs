//! What the unit tests of the links share.

use crate::model::{AccountId, Address, Body, Class, Encoding, Message, MessageId, Report};

/// A message of one part to a mobile number, asking for every final report.
pub fn message(id: u64) -> Message {
    Message {
        id: MessageId(id),
        account: AccountId(0),
        class: Class::Transactional,
        source: Address::new(5, 0, b"Goose").unwrap(),
        destination: Address::new(1, 1, b"8613812341234").unwrap(),
        number: crate::number::pack(b"8613812341234").unwrap(),
        body: Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: b"hello"[..].into() },
        part: None,
        report: Report { on_success: true, on_failure: true, intermediate: false },
        service_type: Default::default(),
        protocol_id: 0,
        priority: 0,
        accepted_ms: 0,
        due_ms: 0,
        expires_ms: 0,
        tlvs: Box::default(),
        campaign: crate::model::CampaignId::NONE,
        identity: 0,
        charge: 0,
        notes: None,
    }
}
