//! What upstreams ask of the gateway: submissions of every kind, and afterwards query, cancel and replace; and what its answers must be.

use super::course::{Due, World};
use super::judge::{How, Judged, Said, replacement};
use super::peers::SHOP;
use super::wire::Side;
use crate::model::MessageId;
use crate::smpp::pdu::{CancelSm, DataSm, DestinationsBuf, QuerySm, ReplaceSm, SubmitMulti};
use crate::smpp::tlv::tag;
use crate::smpp::{Addr, Destination, Pdu, Sm, TlvBuf, status};
use crate::text::utf16;

/// What a request is, in the highest bits of its token; the rest is the number of the message.
const CANCEL: u64 = 1 << 63;
const REPLACE: u64 = 1 << 62;
const QUERY: u64 = 1 << 61;
const CANCEL_ALL: u64 = 1 << 60;
/// A second submission of the same.
const REPEAT: u64 = 1 << 59;
const NUMBER: u64 = REPEAT - 1;

/// What an upstream does with a message that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wish {
    Cancel,
    Replace,
    Query,
    CancelAll,
}

/// Text as it stands in a PDU.
fn octets(text: &str, ucs2: bool) -> Vec<u8> {
    if !ucs2 {
        return text.as_bytes().to_vec();
    }
    let mut octets = Vec::new();
    utf16::encode_into(text, &mut octets);
    octets
}

/// A relative time of the protocol (v3.4 7.1.1); empty for 0.
fn relative(seconds: u64) -> String {
    if seconds == 0 { String::new() } else { format!("0000000000{seconds:02}000R") }
}

impl World {
    pub(super) fn submit(&mut self, number: usize) -> Judged {
        let how = self.judge.records[number].how;
        if !self.submit_as(number, 0) {
            let us = 50_000 + self.dice.up_to(100_000);
            self.after(us, Due::Submit { number });
            return Ok(());
        }
        let count = if let How::Multi { count, .. } = how { count } else { 1 };
        (0..count).for_each(|_| self.submitted());
        if count == 1 && self.dice.chance(self.settings.repeated_share) {
            self.judge.records[number].is_repeated = true;
            for _ in 0..=self.dice.up_to(1) {
                let us = self.dice.up_to(4_000_000);
                self.after(us, Due::Repeat { number });
            }
        }
        Ok(())
    }

    /// The same once more, if a connection is there: it is not known whether the first one came through.
    pub(super) fn repeat(&mut self, number: usize) -> Judged {
        self.submit_as(number, REPEAT);
        Ok(())
    }

    fn submit_as(&mut self, number: usize, flag: u64) -> bool {
        let record = self.judge.records[number].clone();
        let Some(at) = self.transmitter(record.account) else { return false };
        let (schedule, validity) = (relative(record.delay_s), relative(record.validity_s));
        let (mut text, mut tlvs, mut esm_class) = (octets(&record.text, record.ucs2), TlvBuf::new(), 0);
        if let How::Part(cut) = record.how {
            if cut.by_tlvs {
                tlvs.u16(tag::SAR_MSG_REF_NUM, cut.reference);
                tlvs.u8(tag::SAR_TOTAL_SEGMENTS, cut.total);
                tlvs.u8(tag::SAR_SEGMENT_SEQNUM, cut.number);
            } else {
                let [high, low] = cut.reference.to_be_bytes();
                let header = match high {
                    0 => vec![5, 0, 3, low, cut.total, cut.number],
                    _ => vec![6, 8, 4, high, low, cut.total, cut.number],
                };
                text.splice(0..0, header);
                esm_class = 0x40;
            }
        }
        let long = text.len() > 254 || record.how == How::Data;
        if long {
            tlvs.octets(tag::MESSAGE_PAYLOAD, &text);
        }
        let destination = Addr { ton: 1, npi: 1, addr: record.digits.as_bytes() };
        let data_coding = if record.ucs2 { 8 } else { 0 };
        let sm = Sm {
            source: SHOP,
            destination,
            esm_class,
            schedule_delivery_time: schedule.as_bytes(),
            validity_period: validity.as_bytes(),
            registered_delivery: record.registered,
            replace_if_present_flag: u8::from(record.replaces),
            data_coding,
            short_message: if long { b"" } else { &text },
            tlvs: tlvs.as_tlvs(),
            ..Sm::default()
        };
        let mut dests = DestinationsBuf::default();
        let pdu = match record.how {
            How::Plain | How::Part(_) => Pdu::SubmitSm(sm),
            How::Data => Pdu::DataSm(DataSm {
                source: SHOP,
                destination,
                registered_delivery: record.registered,
                data_coding,
                tlvs: tlvs.as_tlvs(),
                ..DataSm::default()
            }),
            How::Multi { first, count } => {
                for other in &self.judge.records[first..first + count] {
                    dests.push(Destination::Sme(Addr { ton: 1, npi: 1, addr: other.digits.as_bytes() }));
                }
                Pdu::SubmitMulti(SubmitMulti { sm, dests: dests.as_destinations() })
            }
        };
        let asked = self.ask(at, flag | number as u64, &pdu);
        if asked {
            self.note(Some(number), || {
                format!("upstream submits {} octets on connection {at}, again: {}: {:?}", text.len(), flag != 0, record.how)
            });
        }
        asked
    }

    fn ask(&mut self, at: usize, token: u64, pdu: &Pdu<'_>) -> bool {
        let now = self.now();
        let Some(end) = &mut self.connections[at].ends[Side::Peer as usize] else { return false };
        let asked = end.session.request(token, pdu, now).is_ok();
        if asked {
            self.after(0, Due::Nudge { at, side: Side::Peer });
        }
        asked
    }

    /// What the upstream of message `number` does with it now.
    pub(super) fn wish(&mut self, number: usize, wish: Wish) -> Judged {
        let record = self.judge.records[number].clone();
        let Said::Yes(id) = record.said else { return Ok(()) };
        let Some(at) = self.transmitter(record.account) else { return Ok(()) };
        let digits = id.digits();
        let (text, token);
        let pdu = match wish {
            Wish::Cancel => {
                token = CANCEL;
                Pdu::CancelSm(CancelSm { message_id: &digits, source: SHOP, ..CancelSm::default() })
            }
            Wish::CancelAll => {
                token = CANCEL_ALL;
                self.judge.asks_to_cancel_all(number);
                let destination = Addr { ton: 1, npi: 1, addr: record.digits.as_bytes() };
                Pdu::CancelSm(CancelSm { source: SHOP, destination, ..CancelSm::default() })
            }
            Wish::Query => {
                token = QUERY;
                Pdu::QuerySm(QuerySm { message_id: &digits, source: SHOP })
            }
            Wish::Replace => {
                token = REPLACE;
                let marks = if record.ucs2 { 8 } else { 25 };
                text = octets(&replacement(number).repeat(1 + self.dice.up_to(marks - 1) as usize), record.ucs2);
                let registered_delivery = record.registered;
                Pdu::ReplaceSm(ReplaceSm {
                    message_id: &digits,
                    source: SHOP,
                    registered_delivery,
                    short_message: &text,
                    ..ReplaceSm::default()
                })
            }
        };
        if self.ask(at, token | number as u64, &pdu) {
            self.note(Some(number), || format!("upstream asks: {wish:?}"));
        }
        Ok(())
    }

    /// The gateway answers a request of an upstream.
    pub(super) fn client_answered(&mut self, token: u64, status: u32, pdu: Option<&Pdu<'_>>) -> Judged {
        let number = (token & NUMBER) as usize;
        let is_yes = status == status::ESME_ROK;
        if token & !NUMBER != 0 {
            self.note(Some(number), || format!("upstream's request is answered with {status:#x}: {pdu:?}"));
        }
        match (token & !NUMBER, pdu) {
            (CANCEL, _) if is_yes => self.judge.cancelled(number),
            (CANCEL_ALL, _) if is_yes => self.judge.cancelled_all(number),
            (REPLACE, _) if is_yes => self.judge.replaced(number),
            (QUERY, Some(Pdu::QuerySmResp(Some(resp)))) if is_yes => self.judge.queried(number, Some(resp.message_state)),
            (QUERY, _) if status == status::ESME_RQUERYFAIL => self.judge.queried(number, None),
            (REPEAT, Some(Pdu::SubmitSmResp(Some(body)) | Pdu::DataSmResp(Some(body)))) if is_yes => {
                match MessageId::parse(body.message_id) {
                    Some(id) => self.judge.repeat_told(number, id),
                    None => Ok(()),
                }
            }
            (0, _) => self.submission_answered(number, status, pdu),
            _ => Ok(()),
        }
    }

    fn submission_answered(&mut self, number: usize, status: u32, pdu: Option<&Pdu<'_>>) -> Judged {
        let id = match pdu {
            Some(Pdu::SubmitSmResp(Some(body)) | Pdu::DataSmResp(Some(body))) => MessageId::parse(body.message_id),
            Some(Pdu::SubmitMultiResp(Some(body))) => MessageId::parse(body.message_id),
            _ => None,
        };
        let id = id.filter(|_| status == status::ESME_ROK);
        let How::Multi { first, count } = self.judge.records[number].how else {
            return self.told(number, id.map_or(Said::No(status), Said::Yes));
        };
        let refused: Vec<(Vec<u8>, u32)> = match pdu {
            Some(Pdu::SubmitMultiResp(Some(body))) => body.unsuccess.iter().map(|u| (u.destination.addr.to_vec(), u.status)).collect(),
            _ => Vec::new(),
        };
        // The n-th recipient that was taken has the id of the answer plus n.
        let mut taken = 0;
        for number in first..first + count {
            let digits = self.judge.records[number].digits.as_bytes();
            let no = refused.iter().find(|(addr, _)| addr == digits).map(|&(_, status)| status);
            let said = match (id, no) {
                (Some(first), None) => {
                    taken += 1;
                    Said::Yes(MessageId(first.0 + taken - 1))
                }
                (_, no) => Said::No(no.unwrap_or(status)),
            };
            self.told(number, said)?;
        }
        Ok(())
    }

    fn told(&mut self, number: usize, said: Said) -> Judged {
        self.note(Some(number), || format!("upstream is told {said:?}"));
        let record = &self.judge.records[number];
        let wishes = [
            (record.to_cancel, Wish::Cancel),
            (record.to_replace, Wish::Replace),
            (record.to_query, Wish::Query),
            (record.cancels_all, Wish::CancelAll),
        ];
        for (_, wish) in wishes.into_iter().filter(|(wanted, _)| *wanted && matches!(said, Said::Yes(_))) {
            let us = self.dice.up_to(1_500_000);
            self.after(us, Due::Wish { number, wish });
        }
        self.judge.upstream_told(number, said)
    }
}
