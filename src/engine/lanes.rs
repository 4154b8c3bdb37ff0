//! The queues in front of one carrier. In this first form a lane per class, most urgent first; fair sharing between accounts and
//! campaigns inside a class is the dispatch engine's and takes this file's place.

use crate::model::{Class, MessageId};
use std::collections::VecDeque;

/// Messages that wait for one carrier. Holds ids only: whoever pops one checks that the message still waits here.
#[derive(Debug, Default)]
pub struct Lanes {
    by_class: [VecDeque<MessageId>; 3],
}

impl Lanes {
    /// To the end of its class's lane.
    pub fn push(&mut self, class: Class, message: MessageId) {
        self.by_class[class as usize].push_back(message);
    }

    /// Back to its place at the front (it came back from a bind, or had no permit).
    pub fn push_front(&mut self, class: Class, message: MessageId) {
        self.by_class[class as usize].push_front(message);
    }

    /// The next message of the most urgent class at or above `least` urgent.
    pub fn pop(&mut self, least: Class) -> Option<(Class, MessageId)> {
        Class::ALL[..=least as usize].iter().find_map(|&class| Some((class, self.by_class[class as usize].pop_front()?)))
    }

    /// Entries in the class's lane (stale ones included).
    pub fn depth(&self, class: Class) -> usize {
        self.by_class[class as usize].len()
    }

    /// True if no lane holds anything.
    pub fn is_empty(&self) -> bool {
        self.by_class.iter().all(VecDeque::is_empty)
    }

    /// Takes everything, in order of class and age.
    pub fn take_all(&mut self) -> Vec<MessageId> {
        self.by_class.iter_mut().flat_map(std::mem::take).collect()
    }
}
