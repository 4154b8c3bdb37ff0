//! One endpoint: what waits for it, what is under way, and whether it is left alone. After some failures in a row it rests, longer each time; then one
//! request alone is tried, and its success opens it again.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Failures in a row after which it rests.
const FAILURES_MAX: u32 = 5;
/// The first rest and the longest; it doubles.
const REST_MIN: Duration = Duration::from_secs(15);
const REST_MAX: Duration = Duration::from_secs(600);

/// See the module.
pub(super) struct Endpoint<T> {
    pub queue: VecDeque<T>,
    /// Requests under way.
    pub under_way: usize,
    failures: u32,
    rest: Duration,
    until: Option<Instant>,
}

impl<T> Default for Endpoint<T> {
    fn default() -> Self {
        Endpoint { queue: VecDeque::new(), under_way: 0, failures: 0, rest: REST_MIN, until: None }
    }
}

impl<T> Endpoint<T> {
    /// How much longer it is left alone, if it is.
    pub fn rests(&self, now: Instant) -> Option<Duration> {
        self.until.filter(|until| *until > now).map(|until| until - now)
    }

    /// Requests that it may have at once: a single one after a rest.
    pub fn may_have(&self, most: usize) -> usize {
        if self.until.is_some() { 1 } else { most }
    }

    /// Somebody wants it tried now: it isn't left alone any more, until it fails again as often.
    pub fn lift(&mut self) {
        (self.failures, self.until) = (0, None);
    }

    /// A request failed. True if it rests from now on.
    pub fn failed(&mut self, now: Instant) -> bool {
        self.failures += 1;
        // What was under way with the failure that began the rest doesn't make it longer.
        if self.rests(now).is_some() || (self.failures < FAILURES_MAX && self.until.is_none()) {
            return false;
        }
        if self.until.is_some() {
            self.rest = (self.rest * 2).min(REST_MAX);
        }
        self.until = Some(now + self.rest);
        true
    }

    /// A request went well.
    pub fn well(&mut self) {
        (self.failures, self.rest, self.until) = (0, REST_MIN, None);
    }

    /// Nothing is to be remembered of it.
    pub fn is_idle(&self, now: Instant) -> bool {
        // A rest that ended long ago is over: nobody has asked since.
        let forgotten = self.until.is_none_or(|until| now > until + REST_MAX);
        self.queue.is_empty() && self.under_way == 0 && forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_rests_after_failures_in_a_row_longer_each_time_and_one_success_opens_it() {
        let mut endpoint: Endpoint<()> = Endpoint::default();
        let now = Instant::now();
        assert!((1..FAILURES_MAX).all(|_| !endpoint.failed(now)));
        assert!(endpoint.failed(now));
        assert_eq!((endpoint.rests(now), endpoint.may_have(8)), (Some(REST_MIN), 1));
        assert!(!endpoint.failed(now), "what was under way changes nothing");
        let later = now + REST_MIN;
        assert_eq!(endpoint.rests(later), None);
        assert!(endpoint.failed(later), "the one that was tried failed too");
        assert_eq!(endpoint.rests(later), Some(REST_MIN * 2));
        endpoint.well();
        assert_eq!((endpoint.rests(later), endpoint.may_have(8), endpoint.is_idle(later)), (None, 8, true));
    }
}
