//! Timers of the engine: bucketed by 50 ms of the monotonic clock, for things that are few or far (retries, deferred messages, doubts).
//! A timer is never cancelled; whoever it wakes checks whether it still means anything.

use super::port::CarrierId;
use crate::model::{AccountId, MessageId};
use std::collections::BTreeMap;

const BUCKET_US: u64 = 50_000;

/// What a timer wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// A deferred or retried message may leave.
    Due(MessageId),
    /// A doubt has waited long enough.
    Doubt(MessageId),
    /// An account's outbox may try again.
    Outbox(AccountId),
    /// A carrier has been without any bind for long enough to fail over.
    Failover(CarrierId),
    /// Time to look for messages past their time.
    Sweep,
}

/// Timers by bucket of time.
#[derive(Debug, Default)]
pub struct Timers {
    buckets: BTreeMap<u64, Vec<Timer>>,
}

impl Timers {
    /// Wakes `timer` at or up to 50 ms after `mono_us`.
    pub fn set(&mut self, mono_us: u64, timer: Timer) {
        self.buckets.entry(mono_us.div_ceil(BUCKET_US)).or_default().push(timer);
    }

    /// Takes everything that is due at `mono_us`, in order of time.
    pub fn due(&mut self, mono_us: u64, out: &mut Vec<Timer>) {
        while let Some(first) = self.buckets.first_entry() {
            if *first.key() * BUCKET_US > mono_us {
                return;
            }
            out.append(&mut first.remove());
        }
    }

    /// The next instant, mono_us.
    pub fn next(&self) -> Option<u64> {
        self.buckets.first_key_value().map(|(bucket, _)| bucket * BUCKET_US)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_in_order_of_time_and_never_early() {
        let mut timers = Timers::default();
        timers.set(170_000, Timer::Sweep);
        timers.set(60_000, Timer::Due(MessageId(1)));
        let mut out = Vec::new();
        timers.due(60_000, &mut out);
        assert!(out.is_empty(), "a bucket fires when all of it is over");
        assert_eq!(timers.next(), Some(100_000));
        timers.due(200_000, &mut out);
        assert_eq!(out, [Timer::Due(MessageId(1)), Timer::Sweep]);
        assert_eq!(timers.next(), None);
    }
}
