//! A cancel in force: one durable event of a predicate and a position. From that event on nothing that it means leaves; the ends of what it means are
//! written behind it at a bounded rate: first everything in memory, in one pass of the sweep, then what is out of memory, chunk by chunk. When nothing
//! that it means can be alive any more it is taken out of force.

use super::Engine;
use super::event::{self, Event};
use super::messages::{Entry, Phase};
use super::overlay::ChangeId;
use super::port::Output;
use super::scope::Matcher;
use crate::model::{Message, MessageId, State};
use std::collections::VecDeque;

/// Ends written in one millisecond: a million are swept in five seconds, and no step is held up for long.
const ENDS_PER_MS: u64 = 200;

/// Ends that may still be written, of those granted at `since_us`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Budget {
    ends: u64,
    since_us: u64,
}

/// A cancel and how far its sweep is.
#[derive(Debug, Clone)]
pub struct Cancelling {
    /// Its change.
    pub id: ChangeId,
    matcher: Matcher,
    /// The latest id that it means.
    pub upto: MessageId,
    /// Messages in memory that this pass has still to look at.
    left: usize,
    /// What this pass found that can't end yet: it is with a carrier, or in doubt.
    spared: u64,
    /// Sent ones that another carrier may get after a negative receipt were among them: it stays in force while such a receipt may come.
    may_return: bool,
    /// Ended so far.
    pub ended: u64,
    /// Chunks out of memory that are still to be looked into; the first is being read if `asked`.
    chunks: VecDeque<u64>,
    asked: bool,
}

impl Cancelling {
    /// Begins with all that is in memory.
    pub fn new(id: ChangeId, matcher: Matcher, upto: MessageId, in_memory: usize) -> Cancelling {
        Cancelling { id, matcher, upto, left: in_memory, spared: 0, may_return: false, ended: 0, chunks: VecDeque::new(), asked: false }
    }

    fn means(&self, message: &Message, phase: Option<Phase>) -> bool {
        message.id <= self.upto && self.matcher.matches(message, phase.and_then(Phase::carrier))
    }

    /// What is still to be looked at: messages in memory, chunks out of it.
    pub fn left(&self) -> (usize, usize) {
        (self.left, self.chunks.len())
    }
}

impl Engine {
    /// The message must not leave: it ends here, if it hasn't. A part that a carrier has taken, or may have, decides how.
    pub(super) fn end_if_cancelled(&mut self, id: MessageId) -> bool {
        let Some(entry) = self.messages.get(&id) else { return false };
        let Some(at) = self.overlay.cancels.iter().position(|cancel| cancel.means(&entry.message, Some(entry.phase))) else { return false };
        let Some(state) = end_of(entry) else {
            let cancel = &mut self.overlay.cancels[at];
            cancel.spared += u64::from(matches!(entry.phase, Phase::InFlight(_) | Phase::Doubt(_)));
            cancel.may_return |= matches!(entry.phase, Phase::Sent(_)) && !entry.body_cut;
            return false;
        };
        self.overlay.cancels[at].ended += 1;
        if state == State::InDoubt {
            // A late answer or a receipt may still settle it.
            let carrier = entry.phase.carrier().unwrap_or(entry.attempted_at);
            let tail = crate::number::tail(entry.message.number);
            self.doubts.entry((carrier, tail)).or_default().push(id);
        }
        self.verdict(id, state, 0);
        true
    }

    /// A cancel in force means it.
    pub(super) fn is_cancelled(&self, id: MessageId) -> bool {
        let means = |entry: &Entry| self.overlay.cancels.iter().any(|cancel| cancel.means(&entry.message, Some(entry.phase)));
        !self.overlay.cancels.is_empty() && self.messages.get(&id).is_some_and(|entry| means(entry))
    }

    /// The sweep looks at one message on its way round.
    pub(super) fn sweep_cancelled(&mut self, id: MessageId) {
        if self.overlay.cancels.is_empty() {
            return;
        }
        let ended = self.end_if_cancelled(id);
        self.overlay.budget.ends = self.overlay.budget.ends.saturating_sub(u64::from(ended));
        self.overlay.cancels.iter_mut().for_each(|cancel| cancel.left = cancel.left.saturating_sub(1));
    }

    /// The sweep goes round as long as a cancel has something left in memory; false: not in this millisecond any more.
    pub(super) fn may_sweep(&mut self) -> bool {
        if self.overlay.cancels.is_empty() {
            return true;
        }
        let budget = &mut self.overlay.budget;
        if self.now.mono_us >= budget.since_us + 1000 {
            let passed_ms = (self.now.mono_us - budget.since_us) / 1000;
            *budget = Budget { ends: (passed_ms * ENDS_PER_MS).min(2 * ENDS_PER_MS), since_us: self.now.mono_us };
        }
        let left = self.overlay.cancels.iter().map(|cancel| cancel.left).max().unwrap_or(0);
        self.sweep_left = self.sweep_left.max(left.min(self.sweeping.len()));
        self.overlay.budget.ends > 0
    }

    /// Once a second: passes that are over are followed by the chunks, and cancels that mean nothing alive any more go out of force.
    pub(super) fn follow_cancels(&mut self) {
        let in_memory = self.sweeping.len();
        let longest_ms = self.plan.carriers.iter().map(|carrier| carrier.no_receipt_after_ms).max().unwrap_or(0);
        let now_ms = self.now.wall_ms;
        let mut over = Vec::new();
        for at in 0..self.overlay.cancels.len() {
            let cancel = &self.overlay.cancels[at];
            if cancel.left.min(in_memory) > 0 || !cancel.chunks.is_empty() {
                continue;
            }
            let chunks = self.cold_chunks_of(&cancel.matcher, cancel.upto);
            let cancel = &mut self.overlay.cancels[at];
            match (cancel.spared, chunks.is_empty()) {
                (0, true) if cancel.may_return && now_ms < cancel.upto.made_at_ms() + longest_ms => {}
                (0, true) => over.push(cancel.id),
                // What came back from a carrier since is in memory, what left memory in one of the chunks.
                _ => (cancel.left, cancel.spared, cancel.chunks) = (in_memory, 0, chunks),
            }
        }
        over.into_iter().for_each(|id| self.overlay.cancelled(id));
    }

    /// Asks for the next chunk of each cancel once memory was gone through.
    pub(super) fn read_for_cancels(&mut self, outputs: &mut Vec<Output>) {
        for cancel in self.overlay.cancels.iter_mut().filter(|cancel| !cancel.asked && cancel.left == 0) {
            if let Some(&chunk) = cancel.chunks.front() {
                cancel.asked = true;
                outputs.push(Output::ReadChunk(chunk));
            }
        }
    }

    /// A chunk was read for a cancel, and holds something that it means.
    pub(super) fn is_cancelled_in(&mut self, chunk: u64, found: Option<&(Vec<u8>, Vec<u8>)>) -> bool {
        let is_cold = self.is_cold(chunk);
        let mut sought = false;
        for cancel in self.overlay.cancels.iter_mut().filter(|cancel| cancel.asked && cancel.chunks.front() == Some(&chunk)) {
            cancel.asked = false;
            cancel.chunks.pop_front();
            let Some((octets, _)) = found.filter(|_| is_cold) else { continue };
            // Octets that are no events are told when the chunk is needed.
            let _ = event::read_group(octets, &mut |_, event| {
                if let Event::Accepted(message) = event {
                    sought |= message.id <= cancel.upto && cancel.matcher.anywhere().matches(&message, None);
                }
            });
        }
        sought
    }

    /// Of what came back into memory, what no cancel means.
    pub(super) fn not_cancelled(&mut self, ids: Vec<MessageId>) -> Vec<MessageId> {
        if self.overlay.cancels.is_empty() {
            return ids;
        }
        ids.into_iter().filter(|&id| !self.end_if_cancelled(id)).collect()
    }
}

/// How a message ends that is cancelled; `None`: it is with a carrier, or not yet settled.
fn end_of(entry: &Entry) -> Option<State> {
    match entry.phase {
        Phase::Accepting | Phase::Deferred | Phase::Waiting(_) if entry.parts.any_taken() => Some(State::Undelivered),
        Phase::Accepting | Phase::Deferred | Phase::Waiting(_) if entry.doubts > 0 => Some(State::InDoubt),
        Phase::Accepting | Phase::Deferred | Phase::Waiting(_) => Some(State::Cancelled),
        _ => None,
    }
}
