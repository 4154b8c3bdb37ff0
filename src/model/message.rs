//! A message: one text to one number, as the engine knows it. No wire format: `link/translate` makes it from a PDU
//! and a PDU from it.

use super::notes::Notes;
use super::{AccountId, Address, CampaignId, MessageId};
use std::sync::Arc;

/// Decides priority, quiet hours, caps and the policy when in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Class {
    /// One-time codes: first out, never sent twice.
    Otp = 0,
    /// Notices.
    Transactional = 1,
    /// Campaigns: last out, never takes the last slots of a window.
    Marketing = 2,
}

impl Class {
    /// All classes, most urgent first.
    pub const ALL: [Class; 3] = [Class::Otp, Class::Transactional, Class::Marketing];

    /// The name in configuration, metrics and the API.
    pub fn name(self) -> &'static str {
        match self {
            Class::Otp => "otp",
            Class::Transactional => "transactional",
            Class::Marketing => "marketing",
        }
    }

    /// The class of number `n`, as kept in the journal.
    pub fn from_u8(n: u8) -> Option<Class> {
        Class::ALL.get(n as usize).copied()
    }
}

/// How the octets of a body are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// GSM 03.38 septets, one per octet (unpacked), escapes included. With national shift tables when the header says so.
    Gsm7 = 0,
    /// ISO 8859-1.
    Latin1 = 1,
    /// UTF-16, big-endian.
    Ucs2 = 2,
    /// Octets that nobody transcodes.
    Binary = 3,
    /// Octets of a data_coding that we don't interpret; `raw_data_coding` of the body says which. Never transcoded.
    Opaque = 4,
}

impl Encoding {
    /// The encoding of number `n`, as kept in the journal.
    pub fn from_u8(n: u8) -> Option<Encoding> {
        [Encoding::Gsm7, Encoding::Latin1, Encoding::Ucs2, Encoding::Binary, Encoding::Opaque].get(n as usize).copied()
    }

    /// Its name in answers and records: what we don't read is octets.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Gsm7 => "gsm7",
            Encoding::Latin1 => "latin1",
            Encoding::Ucs2 => "ucs2",
            Encoding::Binary | Encoding::Opaque => "binary",
        }
    }
}

/// What is sent: octets, how to read them, and the header that stands before them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Body {
    /// How `octets` (after the header) are to be read.
    pub encoding: Encoding,
    /// The data_coding as it came, for message class and message waiting bits, and for [`Encoding::Opaque`].
    pub raw_data_coding: u8,
    /// Length in octets of the user data header at the start of `octets` (its length octet included); 0 for none.
    pub header_len: u8,
    /// Header and text.
    pub octets: Box<[u8]>,
}

impl Body {
    /// The user data header, its length octet included; empty if there is none.
    pub fn header(&self) -> &[u8] {
        &self.octets[..self.header_len as usize]
    }

    /// The text's octets, without the header.
    pub fn text(&self) -> &[u8] {
        &self.octets[self.header_len as usize..]
    }
}

/// What becomes of a message whose text its account sent to the same number a short while ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DuplicateAction {
    /// It is answered with the first one's id and not sent.
    #[default]
    Drop,
    /// It is refused.
    Refuse,
    /// It is sent, and marked on record as a duplicate.
    Flag,
}

/// Which reports the sender asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Report {
    /// A final report of success.
    pub on_success: bool,
    /// A final report of failure.
    pub on_failure: bool,
    /// Intermediate notifications.
    pub intermediate: bool,
}

impl Report {
    /// True if any final report was asked for.
    pub fn wants_final(self) -> bool {
        self.on_success || self.on_failure
    }
}

/// One part of a long message that upstream cut itself: kept together on one carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Part {
    /// Reference that the parts share.
    pub reference: u16,
    /// Number of parts, 1 or more.
    pub total: u8,
    /// Which one this is, from 1.
    pub number: u8,
}

/// One message from acceptance to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Our id; 0 until intake gives one.
    pub id: MessageId,
    /// Who sent it.
    pub account: AccountId,
    /// Its class.
    pub class: Class,
    /// Source as upstream wrote it.
    pub source: Address,
    /// Destination as upstream wrote it (its receipt must show the same).
    pub destination: Address,
    /// Destination as E.164 digits packed by `number`; 0 if it isn't an international number.
    pub number: u64,
    /// What is sent.
    pub body: Body,
    /// Set when upstream cut the message itself.
    pub part: Option<Part>,
    /// Which reports upstream asked for.
    pub report: Report,
    /// Carriers are asked for a final receipt though nobody may be told: whoever looks it up sees how it ended.
    pub ask_receipt: bool,
    /// service_type of the submission, at most 5 octets.
    pub service_type: arrayvec::ArrayVec<u8, 5>,
    /// protocol_id, passed through.
    pub protocol_id: u8,
    /// priority_flag, passed through.
    pub priority: u8,
    /// Wall time at which intake took it.
    pub accepted_ms: u64,
    /// Not before this wall time; 0: at once.
    pub due_ms: u64,
    /// Not after this wall time.
    pub expires_ms: u64,
    /// TLVs to be passed on (tag, length, value as on the wire), already limited to what an account may pass; mostly empty.
    pub tlvs: Box<[u8]>,
    /// The campaign that it belongs to.
    pub campaign: CampaignId,
    /// Identity computed by the sender (a job and a line, an idempotency key): handing the same one over again is answered with the first one's id and makes
    /// no second message. 0: none.
    pub identity: u64,
    /// Credits reserved for it at intake, in thousandths; 0: none.
    pub charge: u32,
    /// What its sender wants to find again; shared with the reports on it.
    pub notes: Option<Arc<Notes>>,
}

impl Message {
    /// A message with nothing but what every message has: whole, due at once, without end of validity, reports, campaign, identity or charge.
    pub fn new(account: AccountId, class: Class, [source, destination]: [Address; 2], number: u64, body: Body) -> Message {
        Message {
            id: MessageId(0),
            account,
            class,
            source,
            destination,
            number,
            body,
            part: None,
            report: Report::default(),
            ask_receipt: false,
            service_type: arrayvec::ArrayVec::new(),
            protocol_id: 0,
            priority: 0,
            accepted_ms: 0,
            due_ms: 0,
            expires_ms: 0,
            tlvs: Box::default(),
            campaign: CampaignId::NONE,
            identity: 0,
            charge: 0,
            notes: None,
        }
    }

    /// Carriers are to be asked for a final receipt.
    pub fn asks_receipt(&self) -> bool {
        self.ask_receipt || self.report.wants_final()
    }
}
