//! What is past its time: messages whose validity ended while they waited, receipts that never came, parked receipts, parts and deliveries that are too
//! old. Every live message stands in one queue, oldest first; a pass takes each from the front and, if it lives on, puts it to the back, in slices, so
//! that a million messages never hold up a step.

use super::Engine;
use super::messages::Phase;
use super::timers::Timer;
use crate::model::{MessageId, State};

/// Time between two walks, microseconds.
pub const PERIOD_US: u64 = 1_000_000;
/// Messages looked at in one step: each is a look into memory far away, and a code may wait for the end of the step.
const SLICE: usize = 1_000;

impl Engine {
    pub(super) fn start_sweep(&mut self) {
        if self.sweep_left == 0 {
            self.sweep_left = self.sweeping.len();
            self.old_are_noted();
        }
        let seconds = self.now.mono_us.saturating_sub(std::mem::replace(&mut self.swept_us, self.now.mono_us)) as f64 / 1e6;
        self.sweep_dispatchers(seconds);
        self.quality.sweep(self.now.wall_ms);
        self.index.tidy(&self.messages);
        self.sweep_inbound();
        self.sweep_outboxes();
        self.sweep_dedupe();
        self.follow_cancels();
        let oldest_ms = self.now.wall_ms.saturating_sub(self.plan.bounds.parked_age_ms);
        while let Some((_, parked)) = self.parked.pop_old(oldest_ms, self.plan.bounds.max_parked) {
            self.tally.receipts_orphaned += 1;
            self.parked_ended(&parked);
        }
        self.timers.set(self.now.mono_us + self.sweep_period_us(), Timer::Sweep);
    }

    /// Time until the next walk.
    pub(super) fn sweep_period_us(&self) -> u64 {
        PERIOD_US * (1 + self.messages.len() as u64 / 200_000)
    }

    pub(super) fn sweep_some(&mut self) {
        for _ in 0..SLICE {
            if !self.may_sweep() || self.sweep_left == 0 {
                return;
            }
            self.sweep_left -= 1;
            let Some(id) = self.sweeping.pop_front() else { return };
            self.sweep_one(id);
            if self.messages.contains_key(&id) {
                self.sweeping.push_back(id);
            }
        }
    }

    /// Ends one message whose time is over; notes what may leave memory or must soon be woken.
    pub(super) fn sweep_one(&mut self, id: MessageId) {
        self.sweep_cancelled(id);
        let now_ms = self.now.wall_ms;
        let Some(entry) = self.messages.get(&id) else { return };
        match entry.phase {
            Phase::Deferred | Phase::Waiting(_) if entry.message.expires_ms <= now_ms => self.verdict(id, State::Expired, 0),
            Phase::Sent(carrier) if entry.sent_ms + self.plan.carrier(carrier).no_receipt_after_ms <= now_ms => {
                self.verdict(id, State::NoReceipt, 0);
            }
            Phase::Sent(_) => self.note_old(id),
            Phase::Deferred if !entry.armed => self.arm_if_near(id),
            Phase::Settled(carrier, _) if entry.message.accepted_ms + self.plan.carrier(carrier).no_receipt_after_ms <= now_ms => {
                // Its provisional end stays; nobody waits for a carrier's word any more.
                self.record(&super::event::Event::Forgotten { message: id });
                self.forget_doubt(id);
                self.remove(id);
            }
            _ => {}
        }
    }
}
