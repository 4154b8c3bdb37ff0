//! Recordings of sessions: the latest PDUs in a ring of octets ([`ring`]), made harmless ([`redact`]), written as a pcap file that Wireshark decodes and read
//! back ([`pcap`], [`capture`]), and what they tell: submissions with their answers and receipts ([`exchanges`]), a carrier's habits ([`learn`]). Sans-io; sessions are tapped in `link`, replayed in `load`.

pub mod capture;
pub mod exchanges;
pub mod learn;
pub mod pcap;
pub mod redact;
pub mod ring;

use crate::smpp::DecodeLimits;

/// One PDU of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// When it was read or written, wall microseconds.
    pub at_us: u64,
    /// Which connection of the recorded name, from 0.
    pub connection: u16,
    /// From the ESME to the message centre.
    pub to_server: bool,
    /// The whole PDU.
    pub pdu: Vec<u8>,
}

/// How recorded PDUs are read: whatever was taken on the wire is.
pub const LIMITS: DecodeLimits = DecodeLimits { system_id: 255, password: 255, any_tlv_length: true };

/// A big-endian word of a PDU's header; 0 where there is none. 0: command_length, 1: command_id, 2: command_status, 3: sequence_number.
pub fn word(pdu: &[u8], at: usize) -> u32 {
    pdu.get(4 * at..4 * at + 4).map_or(0, |octets| u32::from_be_bytes([octets[0], octets[1], octets[2], octets[3]]))
}
