//! The behaviour of a simulated carrier, sans-io: submits go in with the time, answers and deliveries come out when
//! they are due. Sockets are left to `smsc`; the deterministic world drives the same struct.

use super::agenda::Agenda;
use super::behaviour::{Behaviour, Dice, ReceiptBind, StateNumber};
use super::deliveries::Deliveries;
use super::delivery::{Delivery, IdText, Party, What, Writer, Written, write_id};
use super::memory::Memory;
use crate::model::Now;
use crate::model::mark::Marks;
use crate::model::message::Part;
use crate::model::state::ReceiptState;
use crate::smpp::tlv::tag;
use crate::smpp::{Addr, Sm, Tlvs, status};
use crate::text::{gsm7, udh};
use arrayvec::ArrayVec;
use serde::Serialize;
use std::collections::VecDeque;

/// Names one session with the carrier while it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BindKey(usize);

/// What the carrier does on one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Answer a submit.
    Answer {
        /// command_id of the answer.
        command_id: u32,
        /// Its sequence number.
        sequence: u32,
        /// Its status.
        status: u32,
        /// The number of the message id ([`Carrier::id_text`]); 0 for none.
        id: u64,
    },
    /// Send a deliver_sm ([`Carrier::write`]); say [`Carrier::delivered`] when it is answered.
    Deliver {
        /// Names the delivery until then.
        token: u64,
    },
    /// Drop the connection without a word.
    HangUp,
    /// Unbind.
    Unbind,
}

/// What of a submit_sm or data_sm the carrier looks at.
#[derive(Debug, Clone, Copy)]
pub struct Submit<'a> {
    /// command_id of the answer that it wants.
    pub answer: u32,
    /// Its sequence number.
    pub sequence: u32,
    /// Sender.
    pub source: Addr<'a>,
    /// Recipient.
    pub destination: Addr<'a>,
    /// registered_delivery.
    pub registered_delivery: u8,
    /// service_type.
    pub service_type: &'a [u8],
    /// data_coding.
    pub data_coding: u8,
    /// Which part of a longer text it is, by its header or the sar_ TLVs.
    pub part: Option<Part>,
    /// Octets of the user data header.
    pub header_len: usize,
    /// The text without its user data header.
    pub text: &'a [u8],
    /// Its TLVs.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Submit<'a> {
    /// The submit in this PDU.
    pub fn of(answer: u32, sequence: u32, sm: &Sm<'a>) -> Self {
        let octets = match sm.short_message {
            [] => sm.tlvs.first(tag::MESSAGE_PAYLOAD).unwrap_or_default(),
            text => text,
        };
        let has_header = sm.esm_class & 0x40 != 0;
        let header_len = if has_header { octets.first().map_or(0, |length| usize::from(*length) + 1) } else { 0 };
        let named = if has_header { udh::parse(octets).ok().and_then(|header| header.concatenation()) } else { None };
        let sar = || {
            let (reference, total) = (sm.tlvs.u16(tag::SAR_MSG_REF_NUM)?, sm.tlvs.u8(tag::SAR_TOTAL_SEGMENTS)?);
            Some(Part { reference, total, number: sm.tlvs.u8(tag::SAR_SEGMENT_SEQNUM)? })
        };
        Submit {
            answer,
            sequence,
            source: sm.source,
            destination: sm.destination,
            registered_delivery: sm.registered_delivery,
            service_type: sm.service_type,
            data_coding: sm.data_coding,
            part: named.or_else(sar),
            header_len,
            text: octets.get(header_len..).unwrap_or_default(),
            tlvs: sm.tlvs,
        }
    }
}

/// What happened so far.
#[derive(Debug, Clone, Default, Serialize, PartialEq, Eq)]
pub struct Counts {
    /// Sessions bound, in all.
    pub binds: u64,
    /// Sessions bound now.
    pub bound: u64,
    /// Submits that came.
    pub submits: u64,
    /// Submits that were taken (whether or not the answer was sent).
    pub taken: u64,
    /// Submits taken and never answered.
    pub answers_lost: u64,
    /// Submits refused because of the rate.
    pub throttled: u64,
    /// Submits refused with another status.
    pub refused: u64,
    /// Connections dropped on purpose.
    pub hang_ups: u64,
    /// Receipts made, duplicates and intermediate ones included.
    pub receipts: u64,
    /// Receipts that went before the answer to their submit.
    pub receipts_early: u64,
    /// Receipts made a second time.
    pub receipts_duplicate: u64,
    /// Messages from phones.
    pub inbound: u64,
    /// Receipts and inbound messages that the other side took.
    pub delivered: u64,
    /// Attempts that were refused for now, or not answered.
    pub delivery_retries: u64,
    /// Receipts and inbound messages given up: refused for good, tried too often, or above the bound.
    pub delivery_failures: u64,
    /// Receipts and inbound messages not yet taken.
    pub waiting: u64,
    /// Texts with a mark: distinct ones.
    pub marks: u64,
    /// Texts with a mark that had come before.
    pub marks_duplicate: u64,
}

enum Due {
    Answer { command_id: u32, sequence: u32, status: u32, id: u64 },
    Deliver(u64),
}

struct Bind {
    receives: bool,
    opened_us: u64,
    submits: u64,
    agenda: Agenda<Due>,
    ready: VecDeque<u64>,
    ending: bool,
}

/// One simulated carrier with all its sessions.
pub struct Carrier {
    behaviour: Behaviour,
    dice: Dice,
    writer: Writer,
    binds: Vec<Option<Bind>>,
    deliveries: Deliveries,
    /// Deliveries for which no receiver is bound.
    parked: VecDeque<u64>,
    /// Theoretical arrival time of the rate limit (GCRA), microseconds.
    arrival_us: u64,
    next_id: u64,
    next_inbound_us: Option<u64>,
    turn: usize,
    wake: Vec<BindKey>,
    due: Vec<Due>,
    marks: Marks,
    memory: Memory,
    /// Text of the last submit, unpacked.
    unpacked: Vec<u8>,
    counts: Counts,
}

impl Carrier {
    /// A carrier of these habits; the same seed and the same calls give the same course.
    pub fn new(behaviour: Behaviour, seed: u64) -> Self {
        Carrier {
            dice: Dice::new(seed),
            writer: Writer::default(),
            binds: Vec::new(),
            deliveries: Deliveries::default(),
            parked: VecDeque::new(),
            arrival_us: 0,
            next_id: behaviour.id_start,
            next_inbound_us: None,
            turn: 0,
            wake: Vec::new(),
            due: Vec::new(),
            marks: Marks::default(),
            memory: Memory::default(),
            unpacked: Vec::new(),
            counts: Counts::default(),
            behaviour,
        }
    }

    /// Its habits; may be changed while it runs.
    pub fn behaviour_mut(&mut self) -> &mut Behaviour {
        &mut self.behaviour
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        let (marks, marks_duplicate) = self.marks.totals();
        let bound = self.binds.iter().flatten().count() as u64;
        Counts { bound, waiting: self.deliveries.len, marks, marks_duplicate, ..self.counts.clone() }
    }

    /// The marks that were taken.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// The same, to ask that times be kept.
    pub fn marks_mut(&mut self) -> &mut Marks {
        &mut self.marks
    }

    /// A session is bound.
    pub fn bind_up(&mut self, receives: bool, now: Now) -> BindKey {
        self.counts.binds += 1;
        let mut bind =
            Bind { receives, opened_us: now.mono_us, submits: 0, agenda: Agenda::default(), ready: VecDeque::new(), ending: false };
        if receives {
            std::mem::swap(&mut bind.ready, &mut self.parked);
        }
        if self.behaviour.inbound_per_s > 0.0 && self.next_inbound_us.is_none() {
            self.next_inbound_us = Some(now.mono_us + self.inbound_gap_us());
        }
        match self.binds.iter().position(Option::is_none) {
            Some(place) => {
                self.binds[place] = Some(bind);
                BindKey(place)
            }
            None => {
                self.binds.push(Some(bind));
                BindKey(self.binds.len() - 1)
            }
        }
    }

    /// A session is gone; `unanswered` are the tokens of deliveries that it had not answered. They go elsewhere, or wait for a receiver.
    pub fn bind_down(&mut self, key: BindKey, unanswered: &[u64], now: Now) {
        let Some(mut bind) = self.binds.get_mut(key.0).and_then(Option::take) else { return };
        let mut due = Vec::new();
        bind.agenda.take_due(u64::MAX, &mut due);
        let timed = due.into_iter().filter_map(|due| if let Due::Deliver(token) = due { Some(token) } else { None });
        let tokens: Vec<u64> = unanswered.iter().copied().chain(bind.ready).chain(timed).collect();
        for token in tokens {
            if self.deliveries.get(token).is_some() {
                self.place(token, None, now.mono_us);
            }
        }
    }

    /// One submit. What is to be done about it at once is returned; the rest comes from [`Carrier::due`].
    pub fn submit(&mut self, key: BindKey, submit: &Submit<'_>, now: Now) -> Option<Action> {
        let bind = self.binds.get_mut(key.0)?.as_mut()?;
        self.counts.submits += 1;
        bind.submits += 1;
        if self.behaviour.hang_up_every > 0 && bind.submits.is_multiple_of(self.behaviour.hang_up_every) {
            bind.ending = true;
            self.counts.hang_ups += 1;
            return Some(Action::HangUp);
        }
        if !self.rate_allows(now) {
            self.counts.throttled += 1;
            return self.answer(key, submit, (self.behaviour.throttle_status, 0), 0, now);
        }
        if let Some(status) = self.misses(submit) {
            self.counts.refused += 1;
            return self.answer(key, submit, (status, 0), 0, now);
        }
        if let Some(status) = self.dice.choose(&self.behaviour.errors) {
            self.counts.refused += 1;
            return self.answer(key, submit, (status, 0), 0, now);
        }
        self.counts.taken += 1;
        let mut unpacked = std::mem::take(&mut self.unpacked);
        let read = Submit { text: self.read(submit, &mut unpacked), ..*submit };
        self.marks.note(read.text, now.mono_us);
        let id = self.next_id;
        self.next_id += 1;
        let whole = match submit.part.filter(|part| self.behaviour.one_receipt && part.total > 1) {
            Some(part) => self.memory.completes(party(submit.source), party(submit.destination), part),
            None => true,
        };
        let early = whole && self.make_receipts(key, &read, id, now);
        self.unpacked = unpacked;
        if self.dice.chance(self.behaviour.lost_answers) {
            self.counts.answers_lost += 1;
            return None;
        }
        let behind_us = if early { self.behaviour.early_by_ms.max(1) * 1000 } else { 0 };
        self.answer(key, submit, (status::ESME_ROK, id), behind_us, now)
    }

    /// What a submit lacks that this carrier wants, as the status of the refusal.
    fn misses(&self, submit: &Submit<'_>) -> Option<u32> {
        let wanted = self.behaviour.service_type.as_ref();
        if wanted.is_some_and(|wanted| wanted.as_bytes() != submit.service_type) {
            return Some(status::ESME_RINVSERTYP);
        }
        let lacks = self.behaviour.required_tlvs.iter().any(|&tag| submit.tlvs.first(tag).is_none());
        lacks.then_some(status::ESME_RMISSINGOPTPARAM)
    }

    /// The text of a submit, one character an octet where it is packed.
    fn read<'a>(&self, submit: &Submit<'a>, unpacked: &'a mut Vec<u8>) -> &'a [u8] {
        if !self.behaviour.packed_text || submit.data_coding != 0 {
            return submit.text;
        }
        unpacked.clear();
        gsm7::unpack_all(submit.text, gsm7::fill_bits(submit.header_len), unpacked);
        unpacked
    }

    /// What query_sm tells of the message with this id, if the carrier answers it: state, and wall time of the end (0 before).
    pub fn query(&self, id: &[u8], now: Now) -> Option<(ReceiptState, u64)> {
        self.memory.state(id, now.wall_ms).filter(|_| self.behaviour.query_sm)
    }

    /// The rate as a GCRA: an empty bucket after `burst` submits at once.
    fn rate_allows(&mut self, now: Now) -> bool {
        if self.behaviour.rate_per_s == 0 {
            return true;
        }
        let step = 1_000_000 / u64::from(self.behaviour.rate_per_s).max(1);
        let arrival = self.arrival_us.max(now.mono_us);
        let allowed = arrival - now.mono_us <= step * u64::from(self.behaviour.burst.max(1) - 1);
        if allowed {
            self.arrival_us = arrival + step;
        }
        allowed
    }

    /// Answers `(status, id)`: at once if there is no delay, else by the agenda. `behind_us` comes on top.
    fn answer(&mut self, key: BindKey, submit: &Submit<'_>, (status, id): (u32, u64), behind_us: u64, now: Now) -> Option<Action> {
        let Behaviour { answer_delay_ms, answer_jitter_ms, .. } = self.behaviour;
        let delay_us = behind_us + answer_delay_ms * 1000 + self.dice.up_to(answer_jitter_ms * 1000);
        let (command_id, sequence) = (submit.answer, submit.sequence);
        if delay_us == 0 {
            return Some(Action::Answer { command_id, sequence, status, id });
        }
        let bind = self.binds.get_mut(key.0)?.as_mut()?;
        bind.agenda.add(now.mono_us + delay_us, Due::Answer { command_id, sequence, status, id });
        None
    }

    /// Makes the receipts of a message that was taken; true if one of them goes before the answer.
    fn make_receipts(&mut self, key: BindKey, submit: &Submit<'_>, id: u64, now: Now) -> bool {
        let Some(StateNumber(state)) = self.dice.choose(&self.behaviour.receipts) else { return false };
        let state = ReceiptState::from_u8(state).unwrap_or(ReceiptState::Unknown);
        let wanted = match submit.registered_delivery & 3 {
            0 => false,
            2 => state != ReceiptState::Delivered,
            3 => state == ReceiptState::Delivered,
            _ => true,
        };
        let early = wanted && self.dice.chance(self.behaviour.early_receipts);
        let delay_us =
            if early { 0 } else { self.behaviour.receipt_delay_ms * 1000 + self.dice.up_to(self.behaviour.receipt_jitter_ms * 1000) };
        if self.behaviour.query_sm {
            let id = self.id_text(id);
            self.memory.will_be(id, state, now.wall_ms + delay_us / 1000);
        }
        if self.behaviour.intermediate && submit.registered_delivery & 0x10 != 0 {
            self.receipt(key, submit, id, ReceiptState::Enroute, delay_us / 2, now);
        }
        if wanted {
            if state != ReceiptState::Accepted && self.dice.chance(self.behaviour.accepted_first) {
                self.receipt(key, submit, id, ReceiptState::Accepted, delay_us / 2, now);
            }
            self.receipt(key, submit, id, state, delay_us, now);
            self.counts.receipts_early += u64::from(early);
            if self.dice.chance(self.behaviour.duplicate_receipts) {
                self.counts.receipts_duplicate += 1;
                self.receipt(key, submit, id, state, delay_us, now);
            }
            if state != ReceiptState::Delivered && self.dice.chance(self.behaviour.corrected_receipts) {
                self.receipt(key, submit, id, ReceiptState::Delivered, 2 * delay_us + 500_000, now);
            }
        }
        early
    }

    fn receipt(&mut self, key: BindKey, submit: &Submit<'_>, id: u64, state: ReceiptState, delay_us: u64, now: Now) {
        self.counts.receipts += 1;
        let mut text = ArrayVec::new();
        if self.behaviour.text_codings.contains(&submit.data_coding) {
            text.extend(submit.text.iter().copied().take(20));
        }
        let (from, to) =
            if self.behaviour.receipt_swapped { (submit.destination, submit.source) } else { (submit.source, submit.destination) };
        let token = self.deliveries.add(Delivery {
            source: party(from),
            destination: party(to),
            what: What::Receipt { id, state, submit_ms: now.wall_ms, done_ms: now.wall_ms + delay_us / 1000 },
            tries: 0,
            text,
        });
        self.place(token, Some(key), now.mono_us + delay_us);
    }

    /// Puts a delivery on the agenda of the bind that it shall take; `from` is the bind of the submit.
    fn place(&mut self, token: u64, from: Option<BindKey>, due_us: u64) {
        if self.deliveries.len > self.behaviour.waiting_max as u64 {
            self.deliveries.remove(token);
            self.counts.delivery_failures += 1;
            return;
        }
        let Some(key) = self.choose_bind(from) else {
            self.parked.push_back(token);
            return;
        };
        let bind = self.binds[key.0].as_mut().expect("a chosen bind is up");
        if from != Some(key) && bind.agenda.next_us().is_none_or(|next| due_us < next) && !self.wake.contains(&key) {
            self.wake.push(key);
        }
        bind.agenda.add(due_us, Due::Deliver(token));
    }

    fn choose_bind(&mut self, from: Option<BindKey>) -> Option<BindKey> {
        let usable = |binds: &[Option<Bind>], place: usize| binds[place].as_ref().is_some_and(|bind| bind.receives && !bind.ending);
        let own = from.filter(|key| usable(&self.binds, key.0));
        if self.behaviour.receipt_bind == ReceiptBind::Same && own.is_some() {
            return own;
        }
        let count = self.binds.len();
        for _ in 0..count {
            self.turn = (self.turn + 1) % count;
            let is_own = own == Some(BindKey(self.turn));
            if usable(&self.binds, self.turn) && !(is_own && self.behaviour.receipt_bind == ReceiptBind::Other) {
                return Some(BindKey(self.turn));
            }
        }
        own
    }

    /// Everything that this session has to do now; at most `free` deliveries (the free slots of its window).
    pub fn due(&mut self, key: BindKey, free: usize, now: Now, actions: &mut Vec<Action>) {
        self.make_inbound(key, now);
        let Some(bind) = self.binds.get_mut(key.0).and_then(Option::as_mut) else { return };
        bind.agenda.take_due(now.mono_us, &mut self.due);
        for due in self.due.drain(..) {
            match due {
                Due::Answer { command_id, sequence, status, id } => actions.push(Action::Answer { command_id, sequence, status, id }),
                Due::Deliver(token) => bind.ready.push_back(token),
            }
        }
        let age_ms = (now.mono_us - bind.opened_us) / 1000;
        if !bind.ending && reached(self.behaviour.hang_up_after_ms, age_ms) {
            bind.ending = true;
            self.counts.hang_ups += 1;
            actions.push(Action::HangUp);
        }
        if !bind.ending && reached(self.behaviour.unbind_after_ms, age_ms) {
            bind.ending = true;
            actions.push(Action::Unbind);
        }
        if !bind.ending {
            let most = free.min(bind.ready.len());
            actions.extend(bind.ready.drain(..most).map(|token| Action::Deliver { token }));
        }
    }

    /// When [`Carrier::due`] has something new for this session by itself, microseconds.
    pub fn next_due(&self, key: BindKey) -> Option<u64> {
        let bind = self.binds.get(key.0)?.as_ref()?;
        let age = |ms: u64| (ms > 0 && !bind.ending).then(|| bind.opened_us + ms * 1000);
        let inbound = self.next_inbound_us.filter(|_| self.makes_inbound(key));
        [bind.agenda.next_us(), age(self.behaviour.hang_up_after_ms), age(self.behaviour.unbind_after_ms), inbound]
            .into_iter()
            .flatten()
            .min()
    }

    /// Sessions for which something came up on another one; call [`Carrier::due`] for each.
    pub fn woken(&mut self) -> impl Iterator<Item = BindKey> + '_ {
        self.wake.drain(..)
    }

    /// The first receiver makes the inbound messages for all.
    fn makes_inbound(&self, key: BindKey) -> bool {
        self.binds.iter().position(|bind| bind.as_ref().is_some_and(|bind| bind.receives && !bind.ending)) == Some(key.0)
    }

    fn inbound_gap_us(&self) -> u64 {
        (1_000_000.0 / self.behaviour.inbound_per_s).max(1.0) as u64
    }

    fn make_inbound(&mut self, key: BindKey, now: Now) {
        let Some(mut next_us) = self.next_inbound_us.filter(|next| *next <= now.mono_us) else { return };
        if !self.makes_inbound(key) {
            return;
        }
        while next_us <= now.mono_us {
            next_us += self.inbound_gap_us();
            let phone = format!("86139{:08}", self.dice.up_to(99_999_999));
            let mut text = ArrayVec::new();
            text.extend(format!("inbound {}", self.counts.inbound + 1).bytes());
            let to = Party::new(3, 0, self.behaviour.inbound_to.as_bytes());
            self.inbound(Party::new(1, 1, phone.as_bytes()), to, false, text, now.mono_us);
        }
        self.next_inbound_us = Some(next_us);
    }

    /// A phone writes a short text to a service number, now. Returns the token.
    pub fn say(&mut self, phone: &str, service: &str, text: &str, now: Now) -> u64 {
        let mut kept = ArrayVec::new();
        kept.extend(text.bytes().take(40));
        let (from, to) = (Party::new(1, 1, phone.as_bytes()), Party::new(3, 0, service.as_bytes()));
        self.inbound(from, to, false, kept, now.mono_us)
    }

    /// A phone writes to a service number: a message, or a part of one whose text begins with its header. It comes at `due_us`. Returns the token of the
    /// delivery, which comes back in [`Carrier::delivered`].
    pub fn inbound(&mut self, from: Party, to: Party, has_header: bool, text: ArrayVec<u8, 40>, due_us: u64) -> u64 {
        self.counts.inbound += 1;
        let what = What::Inbound { has_header };
        let token = self.deliveries.add(Delivery { source: from, destination: to, what, tries: 0, text });
        self.place(token, None, due_us);
        token
    }

    /// The id of number `id` as this carrier writes it in its answers; empty for 0.
    pub fn id_text(&self, id: u64) -> IdText {
        if id == 0 { IdText::new() } else { write_id(id, self.behaviour.id_answer) }
    }

    /// Writes a delivery that is due. `None` if it is no more.
    pub fn write(&mut self, token: u64, written: &mut Written) -> Option<&Delivery> {
        let delivery = self.deliveries.get_mut(token)?;
        delivery.tries = delivery.tries.saturating_add(1);
        self.writer.write(delivery, &self.behaviour, written);
        Some(delivery)
    }

    /// The other side answered a delivery with `status`, or (`None`) not in time.
    pub fn delivered(&mut self, key: BindKey, token: u64, status: Option<u32>, now: Now) {
        let Some(delivery) = self.deliveries.get(token) else { return };
        let later =
            matches!(status, None | Some(status::ESME_RX_T_APPN | status::ESME_RTHROTTLED | status::ESME_RMSGQFUL | status::ESME_RSYSERR));
        if later && delivery.tries < self.behaviour.redeliver_tries {
            self.counts.delivery_retries += 1;
            let due_us = now.mono_us + self.behaviour.redeliver_ms * 1000;
            self.place(token, Some(key), due_us);
            return;
        }
        self.deliveries.remove(token);
        match status {
            Some(status::ESME_ROK) => self.counts.delivered += 1,
            _ => self.counts.delivery_failures += 1,
        }
    }

    /// A delivery could not be sent on this session after all: it takes its place again.
    pub fn not_sent(&mut self, key: BindKey, token: u64) {
        if let Some(bind) = self.binds.get_mut(key.0).and_then(Option::as_mut) {
            bind.ready.push_front(token);
        }
    }
}

fn party(addr: Addr<'_>) -> Party {
    Party::new(addr.ton, addr.npi, addr.addr)
}

fn reached(limit_ms: u64, age_ms: u64) -> bool {
    limit_ms > 0 && age_ms >= limit_ms
}
