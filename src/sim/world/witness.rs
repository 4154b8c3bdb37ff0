//! What the judge hears at both peers: what carriers took and reported, and what upstreams were told.

use super::judge::{How, Judge, Judged, Record, Said, Wrong, wrong};
use super::parts::{Leaving, Text};
use super::record::{Copy, is_replacement};
use crate::engine::port::DeliveryAnswer;
use crate::model::message::Part as Header;
use crate::model::state::ReceiptState;
use crate::model::{Class, MessageId, State};

/// What a carrier took.
#[derive(Debug)]
pub struct Taken<'a> {
    /// The carrier, and its number for it.
    pub carrier: usize,
    /// See `carrier`.
    pub copy: u64,
    /// The part that it says it is.
    pub header: Option<Header>,
    /// Its text.
    pub text: &'a str,
    /// When, virtual milliseconds.
    pub at_ms: u64,
}

impl Judge {
    /// A carrier took (a part of) message `number`.
    pub fn taken_by(&mut self, number: usize, copy: &Taken<'_>) -> Judged {
        let Some(record) = self.records.get_mut(number) else { return Ok(()) };
        let header = copy.header.filter(|header| header.total > 1);
        let (part, text) = match record.how {
            How::Part(cut) => {
                if header.is_none_or(|header| (header.total, header.number) != (cut.total, cut.number)) {
                    return wrong(number, format!("part {} of {} came as {header:?}", cut.number, cut.total));
                }
                (0, Text::Passed(cut.set))
            }
            _ => (header.map_or(0, |header| header.number - 1), Text::Own(number)),
        };
        if is_replacement(copy.text) != record.replaced && (record.replaced_told || !record.to_replace) && !record.crashed {
            return wrong(number, format!("came as {} after its replacement was told", copy.text));
        }
        let part_record = record.part(part);
        part_record.taken += 1;
        part_record.copies.push(Copy { carrier: copy.carrier, number: copy.copy, reported: Vec::new(), answered: false });
        let (taken, sends) = (part_record.taken, part_record.sends);
        self.copies.insert((copy.carrier, copy.copy), (number, part));
        if taken > sends {
            return wrong(number, format!("part {part} came {taken} times to carriers, and was sent {sends} times"));
        }
        if record.class == Class::Otp && taken as usize > 1 + record.left.len() {
            return wrong(number, format!("part {part} of an otp came twice to a carrier"));
        }
        let Some(header) = header else { return Ok(()) };
        let Taken { carrier, at_ms, .. } = *copy;
        let part_record = record.part(part);
        // Of a part that was sent more than once nobody knows which copy this is.
        let life = if part_record.sends == 1 { part_record.life } else { u64::MAX };
        let leaving = Leaving { digits: &record.digits, text, reference: header.reference, carrier, at_ms, life };
        self.phones.gets(leaving).or_else(|what| wrong(number, what))
    }

    /// A carrier delivers its final report on `copy`; `answered`: the gateway has just said 0 to it.
    pub fn carrier_reports(&mut self, carrier: usize, copy: u64, state: ReceiptState, answered: bool) -> Option<usize> {
        let &(number, part) = self.copies.get(&(carrier, copy))?;
        // A part of a text that another with fewer parts has replaced is none any more.
        if state.is_final()
            && let Some(part) = self.records[number].parts.get_mut(usize::from(part))
            && let Some(copy) = part.copies.iter_mut().find(|c| c.carrier == carrier && c.number == copy)
        {
            copy.reported.push(state);
            copy.answered |= answered;
        }
        Some(number)
    }

    /// A carrier that the message has left said that it is delivered after all, and the gateway took that: then it must have ended by now.
    pub fn first_delivered_wins(&self, number: usize, carrier: usize, state: ReceiptState) -> Judged {
        let record = &self.records[number];
        let at_carrier = record.parts.iter().flat_map(|p| &p.copies).filter(|c| c.carrier == carrier).count();
        // With a doubt in between nobody can say which copy a receipt meant that came without an answer before it.
        let known = !record.doubted
            && record.parts.len() == 1
            && at_carrier == 1
            && record.left.iter().any(|left| usize::from(left.carrier) == carrier);
        match state == ReceiptState::Delivered && known && !record.is_closed {
            true => wrong(number, format!("carrier {carrier}, which it has left, delivered it, and that did not count")),
            false => Ok(()),
        }
    }

    /// An upstream got a final report on `id` and answers it. `None`: it doesn't.
    pub fn upstream_got(&mut self, id: MessageId, state: ReceiptState, answer: Option<DeliveryAnswer>) -> Judged {
        let Some(&number) = self.ids.get(&id) else {
            return Err(Wrong { what: format!("an upstream got a report on {id}, which nobody sent"), message: None });
        };
        let record = &mut self.records[number];
        match answer {
            Some(DeliveryAnswer::Taken) => record.finals.push(state),
            Some(DeliveryAnswer::Never) => record.report_refused = true,
            _ => {}
        }
        if record.finals.iter().any(|before| *before != state) {
            return wrong(number, format!("reported as {state:?} after {:?}", record.finals));
        }
        Ok(())
    }

    /// The upstream saw the answer to its submission.
    pub fn upstream_told(&mut self, number: usize, said: Said) -> Judged {
        let record = &mut self.records[number];
        if record.said != Said::Nothing {
            return wrong(number, "its submission was answered twice");
        }
        record.said = said;
        match said {
            Said::Yes(id) if record.id != Some(id) || !record.accepted => wrong(number, format!("told {id}, but it is {:?}", record.id)),
            Said::No(status) if record.accepted && !record.is_repeated => {
                wrong(number, format!("refused with {status:#x}, but it is accepted"))
            }
            _ => Ok(()),
        }
    }

    /// What was handed in more than once was answered with a yes: it must be the id of the one message that was made of it.
    pub fn repeat_told(&mut self, number: usize, id: MessageId) -> Judged {
        let record = &self.records[number];
        self.repeats += u64::from(matches!(record.said, Said::Yes(_)));
        match record.id == Some(id) && record.accepted {
            true => Ok(()),
            false => wrong(number, format!("a repetition was told {id}, but it is {:?}", record.id)),
        }
    }

    /// An operator asks for a cancel of all of an account (or of one class): what is written down by now may end by it.
    pub fn may_cancel(&mut self, account: usize) -> Vec<usize> {
        let meant = self.records.iter().enumerate().filter(|(_, r)| r.account == account && r.id.is_some());
        let meant: Vec<usize> = meant.map(|(number, _)| number).collect();
        meant.iter().for_each(|&number| self.records[number].is_meant = true);
        meant
    }

    /// The operator was told that it is so: of these, those accepted up to `upto` must not leave.
    pub fn must_not_leave(&mut self, meant: &[usize], upto: u64) {
        for &number in meant {
            let record = &mut self.records[number];
            record.must_not_leave |= record.id.is_some_and(|id| id.0 <= upto);
        }
    }

    /// The upstream was told that its message is cancelled.
    pub fn cancelled(&mut self, number: usize) -> Judged {
        match self.records[number].conclusions.last() {
            Some(State::Cancelled) => Ok(()),
            other => wrong(number, format!("said to be cancelled, but has ended as {other:?}")),
        }
    }

    /// What cancels of all and replacing submissions may end.
    pub fn allow_cancels(&mut self) {
        let ending: Vec<Record> = self.records.iter().filter(|r| r.cancels_all || r.replaces).cloned().collect();
        for record in &mut self.records {
            record.may_be_cancelled = ending.iter().any(|other| other.is_beside(record));
        }
    }

    /// The upstream of `number` is about to cancel all to its phone: what was taken and is with no carrier must end.
    pub fn asks_to_cancel_all(&mut self, number: usize) {
        let all = self.records.iter().enumerate().filter(|(_, r)| r.is_beside(&self.records[number]));
        let waiting = all.filter(|(_, r)| matches!(r.said, Said::Yes(_)) && r.sends() == 0).map(|(n, _)| n).collect();
        self.to_end.insert(number, waiting);
    }

    /// It was told that they are cancelled.
    pub fn cancelled_all(&mut self, number: usize) -> Judged {
        for other in self.to_end.remove(&number).unwrap_or_default() {
            let record = &self.records[other];
            if record.conclusions.is_empty() && record.sends() == 0 {
                return wrong(other, "all to its phone are said to be cancelled, and it waits on");
            }
        }
        Ok(())
    }

    /// The upstream was told that its message is replaced.
    pub fn replaced(&mut self, number: usize) -> Judged {
        let record = &mut self.records[number];
        record.replaced_told = true;
        if record.replaced_durably { Ok(()) } else { wrong(number, "said to be replaced before that is durable") }
    }

    /// The upstream was told a state, or that there is no such message.
    pub fn queried(&mut self, number: usize, told: Option<u8>) -> Judged {
        let record = &self.records[number];
        if record.may_be_told(told) { Ok(()) } else { wrong(number, format!("told to be in state {told:?}, ends: {:?}", record.endings)) }
    }
}
