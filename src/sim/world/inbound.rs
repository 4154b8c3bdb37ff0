//! Messages from phones: how they come, and what must be true of them. Whole and once where every part came once; in parts, or again, only where
//! parts were lost or came again; to the account that owns the number, and to no other.

use super::course::World;
use super::judge::{Judged, Wrong};
use crate::engine::event::Event;
use crate::engine::port;
use crate::model::MessageId;
use crate::sim::delivery::Party;
use crate::text::transcode;
use arrayvec::ArrayVec;
use std::collections::{BTreeMap, BTreeSet};

/// One message from a phone.
#[derive(Debug, Clone)]
pub struct Inbound {
    /// The account that owns the number; `None`: nobody.
    account: Option<usize>,
    carrier: usize,
    phone: String,
    service_number: String,
    parts: Vec<InboundPart>,
    /// How often the gateway made a whole message of it, and one with parts missing.
    whole: u32,
    incomplete: u32,
    /// Its account took it, or refused it for good.
    taken: u32,
    refused: u32,
}

#[derive(Debug, Clone, Default)]
struct InboundPart {
    text: String,
    /// How often the carrier sent it, and whether the gateway said 0 to one of these.
    sent: u32,
    stored: bool,
}

impl Inbound {
    /// The message of this number to the service number of `account` (or, beyond all, of nobody), in so many parts.
    pub fn new(number: usize, account: usize, carrier: usize, parts: usize) -> Inbound {
        let part = |part| InboundPart { text: format!("#{number:06}.{part};"), ..InboundPart::default() };
        Inbound {
            account: (account < 3).then_some(account),
            carrier,
            phone: format!("86139{number:08}"),
            service_number: service_number(account),
            parts: (0..parts).map(part).collect(),
            whole: 0,
            incomplete: 0,
            taken: 0,
            refused: 0,
        }
    }

    fn text(&self) -> String {
        self.parts.iter().map(|part| &*part.text).collect()
    }
}

/// The service number of an account.
pub(super) fn service_number(account: usize) -> String {
    format!("1069{account}")
}

/// The number in the first mark of a text from a phone.
pub(super) fn read_inbound(text: &str) -> Option<usize> {
    text.strip_prefix('#')?.get(..6)?.parse().ok()
}

/// What is known of messages from phones.
#[derive(Debug, Default)]
pub struct InboundJudge {
    /// By number.
    pub records: Vec<Inbound>,
    handed_over: BTreeSet<MessageId>,
    ids: BTreeMap<MessageId, usize>,
    replies: BTreeSet<MessageId>,
}

fn wrong(number: usize, what: impl std::fmt::Display) -> Judged {
    Err(Wrong { what: format!("inbound {number}: {what}"), message: None })
}

impl InboundJudge {
    /// A carrier sends a part (again).
    pub fn sent(&mut self, number: usize, part: usize) {
        self.records[number].parts[part].sent += 1;
    }

    /// The gateway said 0 to a part.
    pub fn stored(&mut self, number: usize, part: usize) {
        self.records[number].parts[part].stored = true;
    }

    /// Something is durable.
    pub fn happened(&mut self, event: &Event) -> Judged {
        match event {
            Event::InboundReady { inbound, .. } => self.ready(inbound),
            Event::HandedOver { key, .. } => {
                self.handed_over.insert(key.message);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn ready(&mut self, inbound: &port::Inbound) -> Judged {
        let text = transcode::text_of(&inbound.body).unwrap_or_default();
        let Some(number) = read_inbound(&text) else {
            // A phone's word about its lists: see `listing`.
            self.replies.insert(inbound.message);
            return Ok(());
        };
        self.ids.insert(inbound.message, number);
        let record = &mut self.records[number];
        if !inbound.incomplete && text != record.text() {
            return wrong(number, format!("is said to be whole as {text}"));
        }
        match inbound.incomplete {
            true => record.incomplete += 1,
            false => record.whole += 1,
        }
        let (least, sum) = record.parts.iter().fold((u32::MAX, 0), |(least, sum), part| (least.min(part.sent), sum + part.sent));
        if record.whole > least {
            return wrong(number, format!("was made {} times of parts that were sent {least} times", record.whole));
        }
        if record.incomplete > sum - record.whole * record.parts.len() as u32 {
            return wrong(number, "was given up though no part was missing or came again");
        }
        Ok(())
    }

    /// The gateway hands it to an upstream.
    pub fn delivered(&self, inbound: &port::Inbound) -> Judged {
        match self.ids.get(&inbound.message) {
            Some(&number) if self.handed_over.contains(&inbound.message) => {
                wrong(number, "delivered once more though its being taken is durable")
            }
            Some(_) => Ok(()),
            None if self.replies.contains(&inbound.message) => Ok(()),
            None => Err(Wrong { what: format!("inbound {} is delivered before it is durable", inbound.message), message: None }),
        }
    }

    /// A session of `account` got this text.
    pub fn came_to(&mut self, account: usize, text: &str) -> Judged {
        let Some(number) = read_inbound(text) else { return Ok(()) };
        let record = &self.records[number];
        if record.account != Some(account) {
            return wrong(number, format!("came to account {account}, not to {:?}", record.account));
        }
        let mut rest = text;
        for part in &record.parts {
            rest = rest.strip_prefix(&*part.text).unwrap_or(rest);
        }
        if !rest.is_empty() || (text != record.text() && record.incomplete == 0) {
            return wrong(number, format!("came as {text}"));
        }
        Ok(())
    }

    /// An upstream answered it: took it, or refused it for good.
    pub fn answered(&mut self, number: usize, taken: bool) {
        let record = &mut self.records[number];
        record.taken += u32::from(taken);
        record.refused += u32::from(!taken);
    }

    /// Everything is at rest.
    pub fn at_rest(&self) -> Judged {
        for (number, record) in self.records.iter().enumerate() {
            let ready = record.whole + record.incomplete;
            if record.account.is_none() {
                if ready > 0 {
                    return wrong(number, "nobody owns its number");
                }
                continue;
            }
            if record.parts.iter().all(|part| part.stored) && record.whole == 0 {
                return wrong(number, "all of it was stored, and it never became whole");
            }
            if record.parts.iter().any(|part| part.stored) && ready == 0 {
                return wrong(number, "a part was stored, and nothing came of it");
            }
            if record.taken + record.refused < ready.min(1) {
                return wrong(number, "was never delivered");
            }
        }
        Ok(())
    }
}

impl World {
    /// A phone's part comes to its carrier, which delivers it.
    pub(super) fn inbound_due(&mut self, number: usize, part: usize) -> Judged {
        let record = &self.judge.inbound.records[number];
        let (carrier, total) = (record.carrier, record.parts.len());
        let from = Party::new(1, 1, record.phone.as_bytes());
        let to = Party::new(3, 0, record.service_number.as_bytes());
        let mut text = ArrayVec::new();
        if total > 1 {
            text.extend([5, 0, 3, number as u8, total as u8, part as u8 + 1]);
        }
        text.extend(record.parts[part].text.bytes());
        self.note(None, || format!("a phone sends part {part} of inbound {number} to carrier {carrier}"));
        let now_us = self.now_us;
        let operator = &mut self.operators[carrier];
        let token = operator.carrier.inbound(from, to, total > 1, text, now_us);
        operator.inbound.insert(token, (number, part));
        self.wake_operators(carrier, usize::MAX);
        Ok(())
    }
}
