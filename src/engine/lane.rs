//! One lane: a queue that may be longer than memory. Its head in memory, then chunks of the ledger in the order in which they were cut from it, then its
//! back, in memory again. Nothing in the back overtakes a chunk before it; what comes newly joins the back while there is any chunk. What moves between
//! memory and ledger is [`super::cold`]'s.

use crate::model::MessageId;
use std::collections::VecDeque;

/// A chunk's place in a lane.
#[derive(Debug)]
struct Section {
    /// In memory, and before the chunk: what recovery found out of chunks.
    ahead: VecDeque<MessageId>,
    chunk: u64,
    /// Its messages, while they are in memory.
    ids: Option<VecDeque<MessageId>>,
}

/// Holds ids only: whoever pops one checks that the message still waits here.
#[derive(Debug, Default)]
pub struct Queue {
    head: VecDeque<MessageId>,
    sections: VecDeque<Section>,
    back: VecDeque<MessageId>,
    /// Messages between head and back are on their way into a chunk: nothing behind them may pass.
    is_cut_open: bool,
}

impl Queue {
    /// What follows an empty head takes its place, as far as it is in memory.
    fn advance(&mut self) {
        while self.head.is_empty() {
            if let Some(section) = self.sections.front_mut().filter(|section| !section.ahead.is_empty()) {
                std::mem::swap(&mut self.head, &mut section.ahead);
                return;
            }
            match self.sections.front_mut().map(|section| section.ids.take()) {
                Some(Some(ids)) => {
                    self.head = ids;
                    self.sections.pop_front();
                }
                Some(None) => return,
                None if self.back.is_empty() || self.is_cut_open => return,
                None => std::mem::swap(&mut self.head, &mut self.back),
            }
        }
    }

    /// To the end.
    pub fn push(&mut self, message: MessageId) {
        match self.sections.is_empty() && self.back.is_empty() && !self.is_cut_open {
            true => self.head.push_back(message),
            false => self.back.push_back(message),
        }
    }

    /// Back to its place at the front (it came back from a bind, or had no permit).
    pub fn push_front(&mut self, message: MessageId) {
        self.head.push_front(message);
    }

    /// To the end of the part that is in front of every chunk.
    pub fn push_ahead(&mut self, message: MessageId) {
        self.head.push_back(message);
    }

    /// Recovery: to its place among the chunks by its age. `first_of`: the first message of a chunk. Messages come here in the order of their ids.
    pub fn push_by_age(&mut self, message: MessageId, first_of: impl Fn(u64) -> Option<MessageId>) {
        let after = self.sections.partition_point(|section| first_of(section.chunk).is_none_or(|first| first < message));
        match self.sections.get_mut(after) {
            Some(_) if after == 0 => self.head.push_back(message),
            Some(section) => section.ahead.push_back(message),
            None => self.push(message),
        }
    }

    /// The next message, if it is in memory.
    pub fn pop(&mut self) -> Option<MessageId> {
        self.advance();
        self.head.pop_front()
    }

    /// The next message, if it is in memory.
    pub fn peek(&mut self) -> Option<MessageId> {
        self.advance();
        self.head.front().copied()
    }

    /// Entries in memory (stale ones included).
    pub fn depth(&self) -> usize {
        let warm: usize = self.sections.iter().map(|section| section.ahead.len() + section.ids.as_ref().map_or(0, VecDeque::len)).sum();
        self.head.len() + warm + self.back.len()
    }

    /// Nothing is here, in memory or in a chunk.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.back.is_empty() && self.sections.is_empty() && !self.is_cut_open
    }

    /// Takes everything that is in memory and has no chunk outside of it before it, in order.
    pub fn take_ready(&mut self, out: &mut Vec<MessageId>) {
        while let Some(id) = self.pop() {
            out.push(id);
        }
    }

    // ---- chunks ----

    /// The lane's end, beyond `keep` messages of its head, becomes its back: what [`Queue::pop_back_part`] gives.
    pub fn part(&mut self, keep: usize) {
        if self.sections.is_empty() && self.head.len() > keep {
            let mut rest = self.head.split_off(keep);
            rest.append(&mut self.back);
            self.back = rest;
        }
    }

    /// How many messages [`Queue::part`] would find to take out of memory.
    pub fn excess(&self, keep: usize) -> usize {
        let head = if self.sections.is_empty() { self.head.len().saturating_sub(keep) } else { 0 };
        head + self.back.len()
    }

    /// The first message of the back; the caller puts it into a chunk ([`Queue::cut`]), or gives it back.
    pub fn pop_back_part(&mut self) -> Option<MessageId> {
        let first = self.back.pop_front();
        self.is_cut_open |= first.is_some();
        first
    }

    /// Whatever was taken from the back is in a chunk now, or was given back.
    pub fn close_cut(&mut self) {
        self.is_cut_open = false;
    }

    /// It stays where it was.
    pub fn unpop_back_part(&mut self, message: MessageId) {
        self.back.push_front(message);
    }

    /// These messages were cut from the front of the back: they are in `chunk` too.
    pub fn cut(&mut self, chunk: u64, ids: VecDeque<MessageId>) {
        self.sections.push_back(Section { ahead: VecDeque::new(), chunk, ids: Some(ids) });
    }

    /// The messages of `chunk` are out of memory. It joins the lane's chunks if it wasn't there (recovery).
    pub fn cooled(&mut self, chunk: u64) {
        match self.sections.binary_search_by_key(&chunk, |section| section.chunk) {
            Ok(at) => self.sections[at].ids = None,
            Err(at) => self.sections.insert(at, Section { ahead: VecDeque::new(), chunk, ids: None }),
        }
    }

    /// `chunk` has a place of its own: its messages have not come to the head yet.
    pub fn has_place(&self, chunk: u64) -> bool {
        self.sections.binary_search_by_key(&chunk, |section| section.chunk).is_ok()
    }

    /// The messages of `chunk` are in memory again, in its place; at the end of the head if it has no place here.
    pub fn warmed(&mut self, chunk: u64, ids: VecDeque<MessageId>) {
        match self.sections.binary_search_by_key(&chunk, |section| section.chunk) {
            Ok(at) => self.sections[at].ids = Some(ids),
            Err(_) => self.head.extend(ids),
        }
    }

    /// `chunk` was loaded in recovery: its messages will be set off again one by one.
    pub fn forget(&mut self, chunk: u64) {
        self.sections.retain(|section| section.chunk != chunk);
    }

    /// Chunks that hold what isn't in memory.
    pub fn chunks(&self) -> impl Iterator<Item = u64> + '_ {
        self.sections.iter().filter(|section| section.ids.is_none()).map(|section| section.chunk)
    }

    /// The first message, if it is in memory.
    pub fn first(&self) -> Option<MessageId> {
        let of_section = |section: &Section| section.ahead.front().or_else(|| section.ids.as_ref()?.front()).copied();
        self.head
            .front()
            .copied()
            .or_else(|| of_section(self.sections.front()?))
            .or_else(|| self.sections.is_empty().then(|| self.back.front().copied()).flatten())
    }

    /// The chunk that is to be read, so that at least `low` messages are ready.
    pub fn wanted(&self, low: usize) -> Option<u64> {
        let mut ready = self.head.len();
        for section in &self.sections {
            ready += section.ahead.len();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_while_a_chunk_is_cut_stays_behind_it() {
        let mut queue = Queue::default();
        (1..=2).for_each(|n| queue.push(MessageId(n)));
        queue.part(0);
        let cut: VecDeque<MessageId> = std::iter::from_fn(|| queue.pop_back_part()).collect();
        // Another step of the engine before the chunk is closed.
        queue.push(MessageId(3));
        assert!(queue.pop().is_none() && !queue.is_empty());
        queue.cut(7, cut);
        queue.close_cut();
        let mut order = Vec::new();
        queue.take_ready(&mut order);
        assert_eq!(order, [1, 2, 3].map(MessageId));
    }

    #[test]
    fn a_chunk_that_has_come_to_the_head_has_no_place_to_leave_memory_from() {
        let mut queue = Queue::default();
        queue.push(MessageId(1));
        queue.part(0);
        let cut: VecDeque<MessageId> = std::iter::from_fn(|| queue.pop_back_part()).collect();
        queue.cut(7, cut);
        queue.close_cut();
        assert!(queue.has_place(7));
        assert_eq!(queue.peek(), Some(MessageId(1)));
        queue.push(MessageId(2));
        assert!(!queue.has_place(7), "what came later would pass it");
    }

    #[test]
    fn what_recovery_finds_in_memory_joins_its_place_among_the_chunks() {
        let mut queue = Queue::default();
        [7, 9].into_iter().for_each(|chunk| queue.cooled(chunk));
        let first_of = |chunk: u64| Some(MessageId(chunk * 10));
        [5, 75, 76, 95].into_iter().for_each(|id| queue.push_by_age(MessageId(id), first_of));
        assert_eq!((queue.depth(), queue.first(), queue.wanted(2)), (4, Some(MessageId(5)), Some(7)));
        let mut order = Vec::new();
        queue.take_ready(&mut order);
        queue.warmed(7, [70, 71].map(MessageId).into());
        queue.take_ready(&mut order);
        assert_eq!((queue.first(), queue.wanted(1)), (None, Some(9)), "nothing passes a chunk that is not there");
        queue.warmed(9, [90].map(MessageId).into());
        queue.take_ready(&mut order);
        assert_eq!(order, [5, 70, 71, 75, 76, 90, 95].map(MessageId));
    }
}
