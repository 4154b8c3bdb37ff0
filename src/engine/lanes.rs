//! The queues in front of one carrier. In this first form a lane per class, most urgent first; fair sharing between accounts and
//! campaigns inside a class is the dispatch engine's and takes this file's place.
//!
//! A lane is long: its head in memory, then chunks of the ledger in the order in which they were cut from it, then its back, in memory again. Nothing in
//! the back overtakes a chunk before it; what comes newly joins the back while there is any chunk. What moves between memory and ledger is [`super::cold`]'s.

use crate::model::{Class, MessageId};
use std::collections::VecDeque;

/// A chunk's place in a lane.
#[derive(Debug)]
struct Section {
    chunk: u64,
    /// Its messages, while they are in memory.
    ids: Option<VecDeque<MessageId>>,
}

/// One lane.
#[derive(Debug, Default)]
struct Lane {
    head: VecDeque<MessageId>,
    sections: VecDeque<Section>,
    back: VecDeque<MessageId>,
}

impl Lane {
    /// What follows an empty head takes its place, as far as it is in memory.
    fn advance(&mut self) {
        while self.head.is_empty() {
            match self.sections.front_mut().map(|section| section.ids.take()) {
                Some(Some(ids)) => {
                    self.head = ids;
                    self.sections.pop_front();
                }
                Some(None) => return,
                None if self.back.is_empty() => return,
                None => std::mem::swap(&mut self.head, &mut self.back),
            }
        }
    }
}

/// Messages that wait for one carrier. Holds ids only: whoever pops one checks that the message still waits here.
#[derive(Debug, Default)]
pub struct Lanes {
    by_class: [Lane; 3],
}

impl Lanes {
    /// To the end of its class's lane.
    pub fn push(&mut self, class: Class, message: MessageId) {
        let lane = &mut self.by_class[class as usize];
        match lane.sections.is_empty() && lane.back.is_empty() {
            true => lane.head.push_back(message),
            false => lane.back.push_back(message),
        }
    }

    /// Back to its place at the front (it came back from a bind, or had no permit).
    pub fn push_front(&mut self, class: Class, message: MessageId) {
        self.by_class[class as usize].head.push_front(message);
    }

    /// To the end of the part that is in front of every chunk.
    pub fn push_ahead(&mut self, class: Class, message: MessageId) {
        self.by_class[class as usize].head.push_back(message);
    }

    /// The next message of the most urgent class at or above `least` urgent that is in memory.
    pub fn pop(&mut self, least: Class) -> Option<(Class, MessageId)> {
        Class::ALL[..=least as usize].iter().find_map(|&class| {
            let lane = &mut self.by_class[class as usize];
            lane.advance();
            Some((class, lane.head.pop_front()?))
        })
    }

    /// Entries in the class's lane that are in memory (stale ones included).
    pub fn depth(&self, class: Class) -> usize {
        let lane = &self.by_class[class as usize];
        let warm: usize = lane.sections.iter().filter_map(|section| section.ids.as_ref()).map(VecDeque::len).sum();
        lane.head.len() + warm + lane.back.len()
    }

    /// True if no lane holds anything in memory.
    pub fn is_empty(&self) -> bool {
        self.by_class.iter().all(|lane| lane.head.is_empty() && lane.back.is_empty() && lane.sections.is_empty())
    }

    /// Takes everything that is in memory and has no chunk outside of it before it, in order of class and age.
    pub fn take_ready(&mut self) -> Vec<MessageId> {
        let mut ready = Vec::new();
        for lane in &mut self.by_class {
            lane.advance();
            while !lane.head.is_empty() {
                ready.extend(lane.head.drain(..));
                lane.advance();
            }
        }
        ready
    }

    // ---- chunks ----

    /// The lane's end, beyond `keep` messages of its head, becomes its back: what [`Lanes::pop_back_part`] gives. How long the back is then.
    pub fn part(&mut self, class: Class, keep: usize) -> usize {
        let lane = &mut self.by_class[class as usize];
        if lane.sections.is_empty() && lane.head.len() > keep {
            let mut rest = lane.head.split_off(keep);
            rest.append(&mut lane.back);
            lane.back = rest;
        }
        lane.back.len()
    }

    /// How many messages [`Lanes::part`] would find to take out of memory.
    pub fn excess(&self, class: Class, keep: usize) -> usize {
        let lane = &self.by_class[class as usize];
        let head = if lane.sections.is_empty() { lane.head.len().saturating_sub(keep) } else { 0 };
        head + lane.back.len()
    }

    /// The first message of the back; the caller puts it into a chunk ([`Lanes::cut`]), or gives it back.
    pub fn pop_back_part(&mut self, class: Class) -> Option<MessageId> {
        self.by_class[class as usize].back.pop_front()
    }

    /// It stays where it was.
    pub fn unpop_back_part(&mut self, class: Class, message: MessageId) {
        self.by_class[class as usize].back.push_front(message);
    }

    /// These messages were cut from the front of the back: they are in `chunk` too.
    pub fn cut(&mut self, class: Class, chunk: u64, ids: VecDeque<MessageId>) {
        self.by_class[class as usize].sections.push_back(Section { chunk, ids: Some(ids) });
    }

    /// The messages of `chunk` are out of memory. It joins the lane's chunks if it wasn't there (recovery).
    pub fn cooled(&mut self, class: Class, chunk: u64) {
        let sections = &mut self.by_class[class as usize].sections;
        match sections.binary_search_by_key(&chunk, |section| section.chunk) {
            Ok(at) => sections[at].ids = None,
            Err(at) => sections.insert(at, Section { chunk, ids: None }),
        }
    }

    /// The messages of `chunk` are in memory again, in its place. Gives them back if it has no place here.
    pub fn warmed(&mut self, class: Class, chunk: u64, ids: VecDeque<MessageId>) {
        let lane = &mut self.by_class[class as usize];
        match lane.sections.binary_search_by_key(&chunk, |section| section.chunk) {
            Ok(at) => lane.sections[at].ids = Some(ids),
            Err(_) => lane.head.extend(ids),
        }
    }

    /// `chunk` was loaded in recovery: its messages will be set off again one by one.
    pub fn forget(&mut self, class: Class, chunk: u64) {
        self.by_class[class as usize].sections.retain(|section| section.chunk != chunk);
    }

    /// The lane's messages waiting in chunks have ids from this one on, if the first chunk is out of memory.
    pub fn first_chunk(&self, class: Class) -> Option<u64> {
        self.by_class[class as usize].sections.front().map(|section| section.chunk)
    }

    /// The chunk that is to be read, so that at least `low` messages are ready.
    pub fn wanted(&self, class: Class, low: usize) -> Option<u64> {
        let lane = &self.by_class[class as usize];
        let mut ready = lane.head.len();
        for section in &lane.sections {
            if ready >= low {
                return None;
            }
            match &section.ids {
                Some(ids) => ready += ids.len(),
                None => return Some(section.chunk),
            }
        }
        None
    }
}
