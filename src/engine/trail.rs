//! The trail of a message: what happened to it, step by step, read back from its own events. Sans-io: the octets come from whoever keeps them.
//!
//! Kept octets are the message's events as the journal has them, one after another, the text left out of the first unless texts are kept. Before an event
//! that carries no time stands [`CLOCK`] and the time at which it was read (milliseconds, eight octets): right to a second while the gateway runs; after a
//! restart, for what the tail had not seen yet, the time of the event before it.

pub mod table;

use super::event::glance::read_one;
use super::event::{Event, EventError, PartReceipt};
use super::index::{Key, answer_key};
use super::port::{CarrierId, CarrierMessageId};
use crate::model::state::ReceiptState;
use crate::model::{Message, MessageId, State};

/// Stands before a time in kept octets; no kind of event.
pub const CLOCK: u8 = 0xfe;

/// What one step was.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // every variant has its line; its fields are those of the events
pub enum What {
    /// It was taken.
    Accepted,
    /// It repeats the text of this one, and was taken all the same.
    Flagged(MessageId),
    /// It got another text or other times.
    Replaced,
    /// It was about to be written to a socket of this carrier.
    Attempt(CarrierId),
    /// The carrier took a part of so many, and gave it this id.
    Sent { carrier: CarrierId, part: u8, parts: u8, id: CarrierMessageId },
    /// The carrier that it was with reported on a part (255: on all).
    Receipt { part: u8, facts: PartReceipt },
    /// The carrier refused it for good with this status; another one was tried.
    Moved { carrier: CarrierId, status: u32 },
    /// The carrier reported that it failed; another one was tried.
    Rerouted { carrier: CarrierId, part: u8, facts: PartReceipt },
    /// A carrier that it had left reported on its copy.
    Late { carrier: CarrierId, part: u8, facts: PartReceipt },
    /// Our own verdict, with the last refusal's status. `carrier`: where it was last, if it was sent before.
    Verdict { state: State, carrier: CarrierId, status: u32 },
    /// Its sender took the report of this number (or it was dropped for good).
    Told { serial: u8, taken: bool },
    /// Nothing more was awaited.
    Forgotten,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When, wall milliseconds.
    pub at_ms: u64,
    /// What.
    pub what: What,
}

/// A message with all that happened to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trail {
    /// The message as it was accepted; absent if that was before anything was kept of it.
    pub message: Option<Box<Message>>,
    /// In order.
    pub steps: Vec<Step>,
    /// What is reserved for it or was spent, thousandths of a credit.
    pub charge: u32,
}

/// How a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// In which state.
    pub state: State,
    /// When, wall milliseconds.
    pub at_ms: u64,
    /// What the carrier said, if its word ended it.
    pub facts: Option<PartReceipt>,
    /// The last refusal's status, or a cause of our own as a receipt's `err`; 0: none.
    pub status: u32,
}

impl Trail {
    /// Reads kept octets.
    ///
    /// # Errors
    /// They are none.
    pub fn read(mut octets: &[u8]) -> Result<Trail, EventError> {
        let mut trail = Trail::default();
        let mut clock_ms = 0;
        while let Some(&first) = octets.first() {
            if first == CLOCK {
                let (time, rest) = octets[1..].split_first_chunk::<8>().ok_or(EventError::Short)?;
                (clock_ms, octets) = (u64::from_le_bytes(*time), rest);
                continue;
            }
            let (event, rest) = read_one(octets)?;
            octets = rest;
            trail.add(event, clock_ms);
        }
        Ok(trail)
    }

    fn add(&mut self, event: Event, clock_ms: u64) {
        let (at_ms, what) = match event {
            Event::Accepted(message) => {
                let at_ms = message.accepted_ms;
                self.charge = message.charge;
                self.message = Some(message);
                (at_ms, What::Accepted)
            }
            Event::Reserved { charge, .. } => {
                self.charge = charge;
                return;
            }
            Event::Flagged { original, .. } => (clock_ms, What::Flagged(original)),
            Event::Replaced { with, .. } => {
                if let Some(message) = &mut self.message {
                    (message.due_ms, message.expires_ms) =
                        (if with.due_ms != 0 { with.due_ms } else { message.due_ms }, with.expires_ms.max(message.expires_ms));
                }
                (clock_ms, What::Replaced)
            }
            Event::Attempt { carrier, .. } => (clock_ms, What::Attempt(carrier)),
            Event::Sent { part, parts, carrier, at_ms, carrier_id, .. } => (at_ms, What::Sent { carrier, part, parts, id: carrier_id }),
            Event::Receipt { part, at_ms, facts, .. } => (at_ms, What::Receipt { part, facts }),
            Event::Moved { carrier, at_ms, status, .. } => (at_ms, What::Moved { carrier, status }),
            Event::Rerouted { carrier, part, at_ms, facts, .. } => (at_ms, What::Rerouted { carrier, part, facts }),
            Event::CopyReceipt { carrier, part, at_ms, facts, .. } => (at_ms, What::Late { carrier, part, facts }),
            Event::Verdict { state, carrier, at_ms, error, .. } => (at_ms, What::Verdict { state, carrier, status: error }),
            Event::HandedOver { key, taken } => (clock_ms, What::Told { serial: key.serial, taken }),
            Event::Forgotten { .. } => (clock_ms, What::Forgotten),
            // What is carried into the ledger repeats what was said before; nothing else is about one message.
            _ => return,
        };
        self.steps.push(Step { at_ms, what });
    }

    /// What it all came to.
    pub fn course(&self) -> Course {
        let mut course = Course::default();
        (0..self.steps.len()).for_each(|at| course.follow(self, at));
        course
    }

    /// With the late word at step `at`, a carrier that the message had left has delivered all parts of its copy. It leaves none that has delivered a part before.
    fn arrived_late(&self, at: usize, carrier: CarrierId) -> bool {
        let mut sent: Vec<(u8, bool)> = Vec::new();
        for step in &self.steps[..=at] {
            match &step.what {
                What::Sent { carrier: by, part, .. } if *by == carrier && !sent.iter().any(|(known, _)| known == part) => {
                    sent.push((*part, false));
                }
                What::Late { carrier: by, part, facts } if *by == carrier => {
                    let delivered = facts.state.message_state() == State::Delivered;
                    // Of one part that left twice, one copy that arrived is enough.
                    let meant = |sent: &u8, is: bool| *part == u8::MAX || (sent == part && !is);
                    sent.iter_mut().filter(|(sent, is)| meant(sent, *is)).for_each(|(_, is)| *is = delivered);
                }
                _ => {}
            }
        }
        let there = |part: u8| sent.iter().any(|(sent, delivered)| *sent == part && *delivered);
        sent.iter().map(|(part, _)| *part).max().is_some_and(|last| (0..=last).all(there))
    }

    /// The keys of its parts, for those who look a carrier's id up.
    pub fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        self.steps.iter().filter_map(|step| match &step.what {
            What::Sent { carrier, id, .. } => answer_key(*carrier, id),
            _ => None,
        })
    }
}

/// How far a message has come, step by step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Course {
    /// The carrier that it is with, or was last.
    pub carrier: Option<CarrierId>,
    /// The step in which that carrier took the first part, and of how many.
    pub sent: Option<(usize, u8)>,
    /// How it ended, if it has. A later end takes the place of an earlier one.
    pub end: Option<End>,
    /// Carriers that it left after a receipt: what they say later is about their copies.
    left: Vec<CarrierId>,
    parts: Delivered,
    worst: Option<PartReceipt>,
    failed: Option<PartReceipt>,
}

impl Course {
    /// Takes the step `at` of `trail`; to be called for each in order.
    pub fn follow(&mut self, trail: &Trail, at: usize) {
        let Some(step) = trail.steps.get(at) else { return };
        let by = |facts: PartReceipt| Some(End { state: facts.state.message_state(), at_ms: step.at_ms, facts: Some(facts), status: 0 });
        match &step.what {
            What::Attempt(carrier) => self.carrier = Some(*carrier),
            What::Sent { carrier, part, parts, .. } if !self.left.contains(carrier) => {
                self.carrier = Some(*carrier);
                self.parts.of(*parts);
                if *part == 0 || self.sent.is_none() {
                    self.sent = Some((at, *parts));
                }
            }
            What::Receipt { part, facts } if facts.is_final => {
                let delivered = facts.state.message_state() == State::Delivered;
                if !delivered && self.worst.is_none() {
                    self.worst = Some(*facts);
                }
                if !delivered || self.parts.one_more(*part) {
                    self.end = by(self.worst.unwrap_or(*facts));
                }
            }
            What::Moved { carrier, .. } => {
                self.carrier = Some(*carrier);
                (self.parts, self.sent) = (Delivered::default(), None);
            }
            What::Rerouted { carrier, facts, .. } => {
                self.left.push(*carrier);
                self.carrier = Some(*carrier);
                (self.parts, self.failed) = (Delivered::default(), Some(*facts));
            }
            What::Late { carrier, facts, .. } if trail.arrived_late(at, *carrier) => {
                self.carrier = Some(*carrier);
                self.end = by(*facts);
            }
            What::Verdict { state, status, .. } => {
                // A carrier's own final goes before a verdict for want of another carrier.
                let ours = matches!(state, State::Expired | State::Rejected | State::Undelivered | State::Delivered);
                self.end = Some(End { state: *state, at_ms: step.at_ms, facts: self.failed.filter(|_| ours), status: *status });
            }
            _ => {}
        }
    }
}

/// Parts that were delivered, of how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Delivered {
    pub parts: u8,
    pub delivered: u8,
}

impl Delivered {
    /// A part was taken, of so many.
    pub fn of(&mut self, parts: u8) {
        if self.parts != parts {
            *self = Delivered { parts, delivered: 0 };
        }
    }

    /// A part (255: all) was delivered, which is told once of each; true if that was the last.
    pub fn one_more(&mut self, part: u8) -> bool {
        self.delivered = if part == u8::MAX { self.parts.max(1) } else { self.delivered.saturating_add(1) };
        self.delivered >= self.parts.max(1)
    }
}

/// Each step's name, for those who show it.
impl What {
    /// In one word.
    pub fn name(&self) -> &'static str {
        match self {
            What::Accepted => "accepted",
            What::Flagged(_) => "flagged",
            What::Replaced => "replaced",
            What::Attempt(_) => "attempt",
            What::Sent { .. } => "sent",
            What::Receipt { .. } => "receipt",
            What::Moved { .. } => "moved",
            What::Rerouted { .. } => "rerouted",
            What::Late { .. } => "late_receipt",
            What::Verdict { .. } => "verdict",
            What::Told { taken: true, .. } => "told",
            What::Told { taken: false, .. } => "not_told",
            What::Forgotten => "forgotten",
        }
    }

    /// The receipt that it is about.
    pub fn facts(&self) -> Option<&PartReceipt> {
        match self {
            What::Receipt { facts, .. } | What::Rerouted { facts, .. } | What::Late { facts, .. } => Some(facts),
            _ => None,
        }
    }
}

/// A report of success is meant by this state.
pub(super) fn is_success(state: State) -> bool {
    state == State::Delivered
}

/// The state that a receipt of this state ends a message with.
pub(super) fn ended_by(state: ReceiptState) -> State {
    state.message_state()
}
