//! The judge of order. Messages of one class to one number come to a carrier in the order in which they were handed out: a later one overtakes none that is
//! still under way. And of one account, class and campaign to one number, before a single carrier, they are handed out in the order in which they were
//! accepted, those aside that are to wait or were refused.

use super::judge::{Judged, Record, wrong};
use super::record::Standing;
use crate::engine::port::BindId;
use crate::model::Class;
use std::collections::BTreeMap;

/// One message that was handed out.
#[derive(Debug, Clone, Copy)]
struct Left {
    number: usize,
    bind: BindId,
    is_over: bool,
}

/// What was handed out, by class and number.
#[derive(Debug, Default)]
pub struct Orders {
    streams: BTreeMap<(Class, String), Vec<Left>>,
    /// There is one carrier only.
    pub is_single: bool,
}

impl Orders {
    /// A message is about to be handed to a bind.
    pub fn leaves(&mut self, number: usize, records: &[Record], bind: BindId) -> Judged {
        let record = &records[number];
        let stream = self.streams.entry((record.class, record.digits.clone())).or_default();
        // An earlier hand-out of the same is over; on the same bind it comes first all the same.
        stream.iter_mut().filter(|left| left.number == number && left.bind != bind).for_each(|left| left.is_over = true);
        stream.push(Left { number, bind, is_over: false });
        if !self.is_single || record.sends() > 0 {
            return Ok(());
        }
        let waits = |other: &Record| {
            let same = (other.account, other.class, other.campaign) == (record.account, record.class, record.campaign);
            let untouched = other.accepted
                && !other.attempted
                && other.endings.is_empty()
                && other.sends() == 0
                && other.refusals == 0
                && other.delay_s == 0;
            same && untouched && other.digits == record.digits && other.id < record.id
        };
        match records.iter().position(waits) {
            Some(other) => wrong(number, format!("leaves before {other}, which was accepted earlier and waits for the same phone")),
            None => Ok(()),
        }
    }

    /// It comes to the carrier.
    pub fn arrives(&mut self, number: usize, records: &[Record], carrier: u16) -> Judged {
        let record = &records[number];
        let Some(stream) = self.streams.get_mut(&(record.class, record.digits.clone())) else { return Ok(()) };
        let Some(at) = stream.iter().position(|left| left.number == number && left.bind.carrier.0 == carrier && !left.is_over) else {
            return Ok(());
        };
        stream[at].is_over = true;
        let is_out = |left: &&Left| {
            let with = |standing: Standing| matches!(standing, Standing::Out(bind) if bind.carrier.0 == carrier);
            !left.is_over && left.bind.carrier.0 == carrier && records[left.number].parts.iter().any(|part| with(part.standing))
        };
        match stream[..at].iter().find(is_out) {
            Some(left) => {
                wrong(number, format!("comes to carrier {carrier} before {}, which left before it to the same phone", left.number))
            }
            None => Ok(()),
        }
    }

    /// The gateway is gone: what was under way may arrive any time.
    pub fn crashed(&mut self) {
        self.streams.clear();
    }
}
