//! Token buckets, paid in segments: governor's GCRA on the engine's own clock (choice 10). In this first form one per carrier and one per
//! account; the tree of all levels takes this file's place in the dispatch engine.

use crate::model::Now;
use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A clock that stands still until it is turned to the step's `now`.
#[derive(Debug, Clone, Default)]
struct TurnedClock(Arc<AtomicU64>);

impl Clock for TurnedClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.load(Ordering::Relaxed))
    }
}

/// One token bucket. Starts empty; with rate 0 it is paused; without a rate it lets everything through.
#[derive(Debug)]
pub struct Bucket {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Open,
    Paused,
    Limited(Box<Limited>),
}

#[derive(Debug)]
struct Limited {
    limiter: RateLimiter<NotKeyed, InMemoryState, TurnedClock, NoOpMiddleware<Nanos>>,
    clock: TurnedClock,
    burst: NonZeroU32,
    /// Permits already paid towards a message that is larger than the burst.
    paid: u32,
}

impl Bucket {
    /// A bucket of `rate_per_s` segments a second (`None`: no limit, 0: paused). `burst` 0: the larger of 100 ms of the rate and one segment.
    pub fn new(rate_per_s: Option<u32>, burst: u32, now: Now) -> Bucket {
        let kind = match rate_per_s.map(NonZeroU32::new) {
            None => Kind::Open,
            Some(None) => Kind::Paused,
            Some(Some(rate)) => {
                let burst = NonZeroU32::new(burst).or(NonZeroU32::new(rate.get() / 10)).unwrap_or(NonZeroU32::MIN);
                let clock = TurnedClock::default();
                clock.0.store(now.mono_us * 1000, Ordering::Relaxed);
                let limiter = RateLimiter::direct_with_clock(Quota::per_second(rate).allow_burst(burst), clock.clone());
                // Empty at the start: a restart must not let a burst through on top of what the old process sent.
                let _ = limiter.check_n(burst);
                Kind::Limited(Box::new(Limited { limiter, clock, burst, paid: 0 }))
            }
        };
        Bucket { kind }
    }

    /// Takes `permits` or says when (mono_us) it is worth asking again; `u64::MAX` while paused. More than the burst is paid in instalments.
    pub fn take(&mut self, permits: u32, now: Now) -> Result<(), u64> {
        let limited = match &mut self.kind {
            Kind::Open => return Ok(()),
            Kind::Paused => return Err(u64::MAX),
            Kind::Limited(limited) => limited,
        };
        limited.clock.0.store(now.mono_us * 1000, Ordering::Relaxed);
        while limited.paid < permits {
            let Some(instalment) = NonZeroU32::new((permits - limited.paid).min(limited.burst.get())) else { break };
            match limited.limiter.check_n(instalment) {
                Ok(Ok(())) => limited.paid += instalment.get(),
                Ok(Err(not_until)) => {
                    let start = Nanos::from(0);
                    return Err(not_until.earliest_possible().duration_since(start).as_u64() / 1000 + 1);
                }
                Err(_) => return Err(u64::MAX),
            }
        }
        limited.paid -= permits;
        Ok(())
    }

    /// Gives back permits for what was not sent after all.
    pub fn give_back(&mut self, permits: u32) {
        if let Kind::Limited(limited) = &mut self.kind {
            limited.paid = (limited.paid + permits).min(limited.burst.get().max(permits));
        }
    }

    /// True while the rate is 0.
    pub fn is_paused(&self) -> bool {
        matches!(self.kind, Kind::Paused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono_us: u64) -> Now {
        Now { mono_us, wall_ms: 0 }
    }

    #[test]
    fn in_any_window_no_more_than_burst_plus_rate_times_window_passes() {
        let mut bucket = Bucket::new(Some(1000), 0, at(1_000_000));
        let mut passed: Vec<u64> = Vec::new();
        let mut now = 1_000_000;
        while now < 4_000_000 {
            match bucket.take(1, at(now)) {
                Ok(()) => passed.push(now),
                Err(earliest) => now = earliest.max(now + 1),
            }
        }
        assert!((2990..=3100).contains(&passed.len()), "{} in 3 s at 1000/s", passed.len());
        for (i, from) in passed.iter().enumerate().step_by(37) {
            for window in [1_000, 50_000, 700_000] {
                let sent = passed[i..].iter().take_while(|&&at| at < from + window).count() as u64;
                assert!(sent <= 101 + window * 1000 / 1_000_000, "{sent} in {window} us");
            }
        }
    }

    #[test]
    fn starts_empty_pauses_at_zero_and_pays_large_messages_in_instalments() {
        let mut bucket = Bucket::new(Some(10), 1, at(1_000_000));
        assert!(bucket.take(1, at(1_000_000)).is_err(), "a new bucket is empty");
        let mut now = 1_000_000;
        while let Err(earliest) = bucket.take(5, at(now)) {
            assert!(earliest > now);
            now = earliest;
        }
        assert!((1_490_000..1_600_000).contains(&now), "five segments at ten a second take half a second, not {now}");
        assert_eq!(Bucket::new(Some(0), 0, at(0)).take(1, at(0)), Err(u64::MAX));
        assert_eq!(Bucket::new(None, 0, at(0)).take(1000, at(0)), Ok(()));
    }
}
