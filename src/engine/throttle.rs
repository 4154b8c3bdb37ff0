//! Token buckets, paid in segments: governor's GCRA on the engine's own clock. In this first form one per carrier and one per
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

    /// Another rate from now on; what is paid towards a large message stays paid.
    fn change(&mut self, rate_per_s: u32, burst: u32, now: Now) {
        let paid = if let Kind::Limited(limited) = &self.kind { limited.paid } else { 0 };
        *self = Bucket::new(Some(rate_per_s), burst, now);
        self.give_back(paid);
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

/// What a carrier's throttle answers (ESME_RTHROTTLED, ESME_RMSGQFUL) allow: a short pause, then a rate below the one at which it said no, which grows
/// until it says no again. Without such answers nothing is limited. The dispatch engine's closed loop, with floors and ceilings, takes this place.
#[derive(Debug)]
pub struct Adaptive {
    bucket: Option<Bucket>,
    rate_per_s: f64,
    /// The rate at which it last said no; below it the rate grows fast, near it slowly.
    ceiling_per_s: f64,
    /// Segments granted since `second_us`: how much was asked of it when it says no for the first time.
    granted: u64,
    second_us: u64,
    taken: bool,
    since_us: u64,
    grown_us: u64,
    paused_until_us: u64,
    pause_us: u64,
}

/// Shortest and longest pause; it doubles while the carrier takes nothing between two of them.
const PAUSE_MIN_US: u64 = 500_000;
const PAUSE_MAX_US: u64 = 8_000_000;
/// How often the rate grows.
const GROW_US: u64 = 500_000;
/// So long without a throttle answer the rate grows fast again, whatever it last said no to.
const CALM_US: u64 = 10_000_000;
/// So long without a throttle answer, and the limit is forgotten.
const FORGET_US: u64 = 60_000_000;

impl Adaptive {
    /// No limit.
    pub fn new(now: Now) -> Adaptive {
        Adaptive {
            bucket: None,
            rate_per_s: 0.0,
            ceiling_per_s: f64::INFINITY,
            granted: 0,
            second_us: now.mono_us,
            taken: false,
            since_us: now.mono_us,
            grown_us: 0,
            paused_until_us: 0,
            pause_us: PAUSE_MIN_US,
        }
    }

    /// The carrier took a segment.
    pub fn taken(&mut self) {
        self.taken = true;
    }

    /// Until when (mono_us) nothing may leave, if it is paused.
    pub fn paused(&self, now: Now) -> Option<u64> {
        Some(self.paused_until_us).filter(|&until| until > now.mono_us)
    }

    /// The carrier said no. Gives the pause that begins, microseconds; 0 while one is under way (what was in flight says no too).
    pub fn throttled(&mut self, now: Now) -> u64 {
        if self.paused(now).is_some() {
            return 0;
        }
        self.pause_us = if self.taken { PAUSE_MIN_US } else { (self.pause_us * 2).min(PAUSE_MAX_US) };
        let rate = match &self.bucket {
            None => self.granted as f64,
            Some(_) => {
                self.ceiling_per_s = self.rate_per_s;
                let at_once = now.mono_us < self.since_us + 1_000_000;
                self.rate_per_s * if at_once { 0.7 } else { 0.85 }
            }
        };
        self.paused_until_us = now.mono_us + self.pause_us;
        (self.taken, self.since_us) = (false, self.paused_until_us);
        self.set_rate(rate.max(1.0), Now { mono_us: self.paused_until_us, ..now });
        self.pause_us
    }

    /// Takes permits of the rate that it allows now, or says when to ask again.
    pub fn take(&mut self, segments: u32, now: Now) -> Result<(), u64> {
        if now.mono_us > self.second_us + 1_000_000 {
            (self.granted, self.second_us) = (0, now.mono_us);
        }
        if let Some(bucket) = &mut self.bucket
            && bucket.take(segments, now).is_err()
        {
            // It is empty now: a new one of a higher rate, which starts empty, takes nothing away.
            self.grow(now);
            self.bucket.as_mut().map_or(Ok(()), |bucket| bucket.take(segments, now))?;
        }
        self.granted += u64::from(segments);
        Ok(())
    }

    fn grow(&mut self, now: Now) {
        let calm = now.mono_us > self.since_us + CALM_US;
        if now.mono_us > self.since_us + FORGET_US {
            (self.bucket, self.ceiling_per_s) = (None, f64::INFINITY);
        } else if now.mono_us > self.grown_us + GROW_US.max((2e6 / self.rate_per_s) as u64) {
            // Fast up to where it last said no, then slowly: the way back must not cost another no at once.
            let near = self.rate_per_s > self.ceiling_per_s * 0.8 && !calm;
            self.set_rate(self.rate_per_s * if near { 1.01 } else { 1.1 } + 0.1, now);
        }
    }

    fn set_rate(&mut self, rate_per_s: f64, now: Now) {
        self.rate_per_s = rate_per_s;
        self.grown_us = now.mono_us;
        // A twentieth of a second at once: the carrier's own burst is unknown.
        let burst = (rate_per_s / 20.0).max(1.0) as u32;
        self.bucket.get_or_insert_with(|| Bucket::new(None, 0, now)).change(rate_per_s as u32, burst, now);
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

    /// A carrier that takes `rate` segments a second with a burst of `burst`, asked for as much as it allows for `seconds`: how many it took, how often it said no.
    fn against_a_carrier(rate: f64, burst: f64, seconds: u64) -> (u64, u64) {
        let (mut ours, mut tokens, mut refused, mut taken) = (Adaptive::new(at(1_000_000)), burst, 0, 0);
        for now_us in (1_000_000..1_000_000 + seconds * 1_000_000).step_by(1_000) {
            tokens = (tokens + rate / 1000.0).min(burst);
            // A window of fifty, answered within the millisecond.
            for _ in 0..50 {
                if ours.paused(at(now_us)).is_some() || ours.take(1, at(now_us)).is_err() {
                    break;
                }
                if tokens >= 1.0 {
                    tokens -= 1.0;
                    taken += 1;
                    ours.taken();
                } else {
                    refused += 1;
                    ours.throttled(at(now_us));
                }
            }
        }
        (taken, refused)
    }

    #[test]
    fn a_carrier_that_throttles_gets_most_of_what_it_allows_and_is_seldom_hit_harder() {
        for (rate, burst) in [(100.0, 20.0), (1000.0, 100.0), (20.0, 1.0)] {
            let (taken, refused) = against_a_carrier(rate, burst, 60);
            let allowed = rate * 60.0 + burst;
            assert!(taken as f64 >= allowed * 0.7, "{taken} of {allowed} at {rate}/s");
            assert!(refused as f64 <= allowed * 0.02 + 10.0, "{refused} refused at {rate}/s");
        }
    }

    #[test]
    fn a_carrier_that_takes_nothing_is_asked_ever_more_seldom() {
        let (taken, refused) = against_a_carrier(0.0, 0.0, 60);
        assert!(taken == 0 && refused <= 12, "{refused}");
    }
}
