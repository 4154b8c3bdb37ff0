//! submit_multi and its response: the lists of recipients inside them, borrowed when read and gathered in a buffer when sent.

use super::{Addr, Sm};
use crate::smpp::decode;
use crate::smpp::tlv::Tlvs;

/// One recipient of submit_multi.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination<'a> {
    /// `dest_flag` 1: a number.
    Sme(Addr<'a>),
    /// `dest_flag` 2: the name of a distribution list, at most 20 characters.
    List(&'a [u8]),
}

/// Recipients of submit_multi, known to be well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Destinations<'a> {
    pub(in crate::smpp) raw: &'a [u8],
    pub(in crate::smpp) count: u8,
}

impl<'a> Destinations<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = Destination<'a>> + use<'a> {
        let mut rest = self.raw;
        std::iter::from_fn(move || {
            let (after, destination) = decode::destination(rest).ok()?;
            rest = after;
            Some(destination)
        })
    }
}

/// Recipients in the making, for a submit_multi to be sent.
#[derive(Debug, Clone, Default)]
pub struct DestinationsBuf {
    raw: Vec<u8>,
    count: u8,
}

impl DestinationsBuf {
    /// Appends one; false (and nothing is written) beyond 255 or when a string is too long or holds a NUL.
    pub fn push(&mut self, destination: Destination<'_>) -> bool {
        let text = match destination {
            Destination::Sme(addr) => addr.addr,
            Destination::List(name) => name,
        };
        if self.count == u8::MAX || text.len() > 20 || text.contains(&0) {
            return false;
        }
        match destination {
            Destination::Sme(addr) => self.raw.extend_from_slice(&[1, addr.ton, addr.npi]),
            Destination::List(_) => self.raw.push(2),
        }
        self.raw.extend_from_slice(text);
        self.raw.push(0);
        self.count += 1;
        true
    }

    /// What was written, to hang on a [`SubmitMulti`].
    pub fn as_destinations(&self) -> Destinations<'_> {
        Destinations { raw: &self.raw, count: self.count }
    }
}

/// submit_multi (v3.4 §4.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubmitMulti<'a> {
    /// All fields but the recipients; its `destination` is not used.
    pub sm: Sm<'a>,
    /// Recipients, 1 to 255.
    pub dests: Destinations<'a>,
}

impl<'a> SubmitMulti<'a> {
    /// Recipients in order.
    pub fn destinations(&self) -> impl Iterator<Item = Destination<'a>> + use<'a> {
        self.dests.iter()
    }
}

/// A recipient of submit_multi that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsuccess<'a> {
    /// The recipient.
    pub destination: Addr<'a>,
    /// `error_status_code`, see [`crate::smpp::status`].
    pub status: u32,
}

/// Refused recipients of submit_multi_resp, known to be well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unsuccesses<'a> {
    pub(in crate::smpp) raw: &'a [u8],
    pub(in crate::smpp) count: u8,
}

impl<'a> Unsuccesses<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = Unsuccess<'a>> + use<'a> {
        let mut rest = self.raw;
        std::iter::from_fn(move || {
            let (after, unsuccess) = decode::unsuccess(rest).ok()?;
            rest = after;
            Some(unsuccess)
        })
    }
}

/// Refused recipients in the making, for a submit_multi_resp to be sent.
#[derive(Debug, Clone, Default)]
pub struct UnsuccessesBuf {
    raw: Vec<u8>,
    count: u8,
}

impl UnsuccessesBuf {
    /// Appends one; false (and nothing is written) beyond 255 or when the address is too long or holds a NUL.
    pub fn push(&mut self, unsuccess: Unsuccess<'_>) -> bool {
        let addr = unsuccess.destination;
        if self.count == u8::MAX || addr.addr.len() > 20 || addr.addr.contains(&0) {
            return false;
        }
        self.raw.extend_from_slice(&[addr.ton, addr.npi]);
        self.raw.extend_from_slice(addr.addr);
        self.raw.push(0);
        self.raw.extend_from_slice(&unsuccess.status.to_be_bytes());
        self.count += 1;
        true
    }

    /// What was written, to hang on a [`SubmitMultiResp`].
    pub fn as_unsuccesses(&self) -> Unsuccesses<'_> {
        Unsuccesses { raw: &self.raw, count: self.count }
    }
}

/// submit_multi_resp (v3.4 §4.5.2); status 0 with refused recipients inside is normal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubmitMultiResp<'a> {
    /// Name of the message at the peer.
    pub message_id: &'a [u8],
    /// Recipients that were refused.
    pub unsuccess: Unsuccesses<'a>,
    /// Optional parameters (v5.0).
    pub tlvs: Tlvs<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smpp::pdu::Pdu;
    use crate::smpp::{DecodeLimits, encode};
    use bytes::BytesMut;

    fn number(addr: &[u8]) -> Addr<'_> {
        Addr { ton: 1, npi: 1, addr }
    }

    #[test]
    fn gathered_recipients_are_read_back_in_order() {
        let mut buf = DestinationsBuf::default();
        let all = [Destination::Sme(number(b"8613800138000")), Destination::List(b"vip"), Destination::Sme(number(b""))];
        assert!(all.iter().all(|&destination| buf.push(destination)));
        let pdu = Pdu::SubmitMulti(SubmitMulti { dests: buf.as_destinations(), ..SubmitMulti::default() });
        let mut out = BytesMut::new();
        encode(0, 1, &pdu, &mut out);
        let (_, again) = decode::decode(&out, &DecodeLimits::default()).expect("readable");
        assert_eq!(again, pdu);
        let Pdu::SubmitMulti(multi) = again else { panic!("{again:?}") };
        assert!(multi.destinations().eq(all));
    }

    #[test]
    fn a_list_of_recipients_is_bounded_and_takes_no_bad_string() {
        let mut buf = DestinationsBuf::default();
        assert!(!buf.push(Destination::List(b"a name longer than twenty")));
        assert!(!buf.push(Destination::Sme(number(b"12\x0034"))));
        assert_eq!((0..300).filter(|_| buf.push(Destination::Sme(number(b"1")))).count(), 255);
    }

    #[test]
    fn gathered_refusals_are_read_back_in_order() {
        let mut buf = UnsuccessesBuf::default();
        let all = [Unsuccess { destination: number(b"1"), status: 0x0B }, Unsuccess { destination: number(b"2"), status: 0x58 }];
        assert!(all.iter().all(|&unsuccess| buf.push(unsuccess)));
        let body = SubmitMultiResp { message_id: b"m", unsuccess: buf.as_unsuccesses(), ..SubmitMultiResp::default() };
        let mut out = BytesMut::new();
        encode(0, 1, &Pdu::SubmitMultiResp(Some(body)), &mut out);
        let (_, again) = decode::decode(&out, &DecodeLimits::default()).expect("readable");
        assert_eq!(again, Pdu::SubmitMultiResp(Some(body)));
        assert!(body.unsuccess.iter().eq(all));
    }
}
