//! The table of messages that are alive: everything accepted that isn't final, and what is final only provisionally.

use super::event::PartReceipt;
use super::flights::Stream;
use super::port::{BindId, CarrierId};
use crate::model::{Message, MessageId, State};
use std::sync::Arc;

/// Where a live message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Taken, its group not yet synced.
    Accepting,
    /// Waits for its time: scheduled, or between two tries.
    Deferred,
    /// In a lane of this carrier.
    Waiting(CarrierId),
    /// With a bind of this carrier; some part has no outcome yet.
    InFlight(CarrierId),
    /// Handed to a socket of this carrier without an answer; waits to be settled.
    Doubt(CarrierId),
    /// Taken by this carrier; a receipt is awaited.
    Sent(CarrierId),
    /// Provisionally final; kept for a carrier's late word.
    Settled(CarrierId, State),
}

impl Phase {
    /// The carrier that it is with, or was last.
    pub fn carrier(self) -> Option<CarrierId> {
        match self {
            Phase::Accepting | Phase::Deferred => None,
            Phase::Waiting(c) | Phase::InFlight(c) | Phase::Doubt(c) | Phase::Sent(c) | Phase::Settled(c, _) => Some(c),
        }
    }

    /// The state that this phase counts as.
    pub fn state(self) -> State {
        match self {
            Phase::Accepting | Phase::Deferred | Phase::Waiting(_) | Phase::InFlight(_) | Phase::Doubt(_) => State::Waiting,
            Phase::Sent(_) => State::SentWaiting,
            Phase::Settled(_, state) => state,
        }
    }
}

/// Where one part stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartState {
    /// Not with a carrier.
    Unsent,
    /// With a bind, no outcome yet.
    InFlight,
    /// No answer in time.
    Doubt,
    /// Refused, status known, while other parts may still be open.
    Refused,
    /// The carrier took it.
    Sent,
    /// The carrier reported a final success.
    Delivered,
    /// The carrier reported a final failure.
    Failed,
}

/// The parts of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parts {
    /// The ordinary case.
    One(PartState),
    /// Cut by us into several.
    Many(Box<ManyParts>),
}

/// A message of several parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManyParts {
    /// State of each part.
    pub states: Vec<PartState>,
    /// The first failure reported: what the final report will say.
    pub worst: Option<PartReceipt>,
    /// Key of each part in the id index.
    pub keys: Vec<super::index::Key>,
}

impl Parts {
    /// `n` unsent parts.
    pub fn unsent(n: u8) -> Parts {
        match n {
            0 | 1 => Parts::One(PartState::Unsent),
            n => Parts::Many(Box::new(ManyParts { states: vec![PartState::Unsent; n as usize], worst: None, keys: vec![0; n as usize] })),
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Never: a message has at least one part.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Their states.
    pub fn as_slice(&self) -> &[PartState] {
        match self {
            Parts::One(state) => std::slice::from_ref(state),
            Parts::Many(many) => &many.states,
        }
    }

    /// Sets one part's state; parts that don't exist are ignored.
    pub fn set(&mut self, part: u8, to: PartState) {
        match self {
            Parts::One(state) if part == 0 => *state = to,
            Parts::One(_) => {}
            Parts::Many(many) => {
                if let Some(state) = many.states.get_mut(part as usize) {
                    *state = to;
                }
            }
        }
    }

    /// State of one part.
    pub fn get(&self, part: u8) -> Option<PartState> {
        self.as_slice().get(part as usize).copied()
    }

    /// A carrier has taken some part.
    pub fn any_taken(&self) -> bool {
        self.as_slice().iter().any(|s| matches!(s, PartState::Sent | PartState::Delivered | PartState::Failed))
    }

    /// How many are in `state`.
    pub fn count(&self, state: PartState) -> usize {
        self.as_slice().iter().filter(|&&s| s == state).count()
    }
}

/// A live message.
#[derive(Debug)]
pub struct Entry {
    /// The message; once sent, only the start of its text is kept, for the receipt, unless another carrier may have to send it.
    pub message: Arc<Message>,
    /// Where it stands.
    pub phase: Phase,
    /// Its parts.
    pub parts: Parts,
    /// Where its record lives: the batch of its acceptance, or the chunk that it was carried into.
    pub home: super::carry::Home,
    /// The chunk that holds what came before `home`; 0 for none.
    pub base: u64,
    /// Key of its (first) part in the id index; 0 before it is sent.
    pub key: super::index::Key,
    /// What is reserved for it still, thousandths of a credit; 0 once that is spent.
    pub charge: u32,
    /// When a carrier took it (the first part), wall milliseconds; 0 before.
    pub sent_ms: u64,
    /// When it is tried again, wall milliseconds; 0 before its first try.
    pub retry_ms: u64,
    /// The carrier's last refusal.
    pub last_status: u32,
    /// Reference of its concatenation, once cut.
    pub reference: u16,
    /// Tries at the present carrier.
    pub attempts: u8,
    /// Carriers that are done with it, and what they had taken of it.
    pub past: Option<Box<super::reroute::Past>>,
    /// Of its text only the start is left.
    pub body_cut: bool,
    /// How often it was in doubt.
    pub doubts: u8,
    /// Reports made about it: the serial of the next delivery.
    pub reports: u8,
    /// While it is deferred: a timer will wake it.
    pub armed: bool,
    /// A final report went out (after a provisional verdict).
    pub reported_final: bool,
    /// It was told that carriers have taken it.
    pub told_taken: bool,
    /// An ATTEMPT is durable and unanswered.
    pub attempted: bool,
    /// With which carrier, if `attempted`.
    pub attempted_at: CarrierId,
    /// The bind that it is with, while it is in flight.
    pub with: BindId,
    /// The weightiest refusal among its parts in this try.
    pub refused: super::outcome::Refused,
}

impl Entry {
    /// Whose order it keeps.
    pub fn stream(&self) -> Stream {
        Stream::new(self.message.number, self.message.class)
    }

    /// Nothing has happened to it since it was accepted: its acceptance tells all of it.
    pub fn is_fresh(&self) -> bool {
        let tries = u32::from(self.attempts) + u32::from(self.doubts) + u32::from(self.reports);
        tries == 0
            && self.past.is_none()
            && !self.attempted
            && !self.reported_final
            && self.parts.count(PartState::Unsent) == self.parts.len()
    }

    /// Key of a part in the id index; 0 if it has none.
    pub fn key_of(&self, part: usize) -> super::index::Key {
        match &self.parts {
            Parts::One(_) => self.key,
            Parts::Many(many) => many.keys.get(part).copied().unwrap_or(0),
        }
    }

    /// Remembers the key of a part.
    pub fn set_key(&mut self, part: u8, key: super::index::Key) {
        match &mut self.parts {
            Parts::One(_) => self.key = key,
            Parts::Many(many) => {
                if let Some(slot) = many.keys.get_mut(part as usize) {
                    *slot = key;
                }
            }
        }
    }
}

/// Live messages by id. Boxed: the table grows by moving pointers, not messages, so that growing never holds up a step.
pub type Messages = hashbrown::HashMap<MessageId, Box<Entry>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_message_is_small() {
        let (entry, message) = (size_of::<Entry>(), size_of::<Message>());
        assert!(entry <= 200 && message <= 248, "entry {entry}, message {message}");
    }
}
