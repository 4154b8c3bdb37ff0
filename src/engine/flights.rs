//! Order within a number and a class: while a message is with a bind, the next one of the same class to the same phone takes the same bind
//! or waits. Everything else goes wherever there is room.

use super::port::BindId;
use crate::model::{Class, MessageId};
use hashbrown::HashMap;
use std::collections::VecDeque;

/// Names a phone and a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stream(u64);

impl Stream {
    /// The stream of `class` to the packed `number` (whose bits 50 to 59 are free).
    pub fn new(number: u64, class: Class) -> Stream {
        Stream(number ^ ((class as u64 + 1) << 50))
    }
}

#[derive(Debug)]
struct Flight {
    bind: BindId,
    messages: u32,
    held: VecDeque<MessageId>,
}

/// Streams that have a message with a bind of one carrier.
#[derive(Debug, Default)]
pub struct Flights(HashMap<Stream, Flight>);

impl Flights {
    /// The bind that the stream is bound to now, and whether messages of it are held already.
    pub fn of(&self, stream: Stream) -> Option<(BindId, bool)> {
        self.0.get(&stream).map(|flight| (flight.bind, !flight.held.is_empty()))
    }

    /// Messages that wait here for an earlier one: they have no place in a lane.
    pub fn held(&self) -> usize {
        self.0.values().map(|flight| flight.held.len()).sum()
    }

    /// A message of the stream left by `bind`.
    pub fn left(&mut self, stream: Stream, bind: BindId) {
        self.0.entry(stream).or_insert(Flight { bind, messages: 0, held: VecDeque::new() }).messages += 1;
    }

    /// A message of the stream waits for those before it.
    pub fn hold(&mut self, stream: Stream, message: MessageId) {
        if let Some(flight) = self.0.get_mut(&stream) {
            flight.held.push_back(message);
        }
    }

    /// True if the message is held behind another of its stream.
    pub fn is_held(&self, stream: Stream, message: MessageId) -> bool {
        self.0.get(&stream).is_some_and(|flight| flight.held.contains(&message))
    }

    /// A message of the stream has its outcome; what was held may be tried again.
    pub fn landed(&mut self, stream: Stream) -> VecDeque<MessageId> {
        let Some(flight) = self.0.get_mut(&stream) else { return VecDeque::new() };
        flight.messages -= 1;
        let held = std::mem::take(&mut flight.held);
        if flight.messages == 0 {
            self.0.remove(&stream);
        }
        held
    }
}
