//! Token buckets, paid in segments: governor's GCRA on the engine's own clock. Its seam for state holds a new state back until it is taken, so that a
//! message pays at every level or at none, and keeps the level when a rate changes.

use crate::model::Now;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What one bucket remembers, shared with its limiter, which takes it for both its clock and its store. Nanoseconds of the engine's clock.
#[derive(Debug, Default)]
struct Memory {
    /// The step's `now`.
    now: AtomicU64,
    /// When the bucket is full again.
    full: AtomicU64,
    /// When it would be full if what was asked for last were taken.
    asked: AtomicU64,
}

#[derive(Debug, Clone, Default)]
struct Shared(Arc<Memory>);

impl Clock for Shared {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.now.load(Relaxed))
    }
}

impl StateStore for Shared {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (answer, next) = f(Some(Nanos::from(self.0.full.load(Relaxed))))?;
        self.0.asked.store(next.as_u64(), Relaxed);
        Ok(answer)
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
    limiter: RateLimiter<NotKeyed, Shared, Shared, NoOpMiddleware<Nanos>>,
    memory: Shared,
    per_s: f64,
    burst: NonZeroU32,
    /// Permits already paid towards a message that is larger than the burst ([`Bucket::take`] only).
    paid: u32,
}

/// Slowest rate: one segment a day.
const RATE_MIN: f64 = 1.0 / 86_400.0;
/// Fastest rate: governor counts in whole nanoseconds.
const RATE_MAX: f64 = 1e8;

impl Bucket {
    /// A bucket of `rate_per_s` segments a second (`None`: no limit, 0: paused). `burst` 0: the larger of 100 ms of the rate and one segment.
    pub fn new(rate_per_s: Option<u32>, burst: u32, now: Now) -> Bucket {
        Bucket::with_rate(rate_per_s.map(f64::from), burst, now)
    }

    /// The same for a rate with a fraction.
    pub fn with_rate(per_s: Option<f64>, burst: u32, now: Now) -> Bucket {
        match per_s {
            None => Bucket { kind: Kind::Open },
            Some(per_s) if per_s <= 0.0 => Bucket { kind: Kind::Paused },
            Some(per_s) => {
                let per_s = per_s.clamp(RATE_MIN, RATE_MAX);
                let burst = NonZeroU32::new(burst).or(NonZeroU32::new((per_s / 10.0) as u32)).unwrap_or(NonZeroU32::MIN);
                // Empty at the start: a restart must not let a burst through on top of what the old process sent.
                Bucket::with_missing(per_s, burst, f64::from(burst.get()), now)
            }
        }
    }

    fn with_missing(per_s: f64, burst: NonZeroU32, missing: f64, now: Now) -> Bucket {
        let memory = Shared::default();
        let quota =
            Quota::with_period(Duration::from_secs_f64(1.0 / per_s)).unwrap_or(Quota::per_second(NonZeroU32::MAX)).allow_burst(burst);
        let limiter = RateLimiter::new(quota, memory.clone(), memory.clone());
        memory.0.full.store(now.mono_us * 1000 + (missing * 1e9 / per_s) as u64, Relaxed);
        Bucket { kind: Kind::Limited(Box::new(Limited { limiter, memory, per_s, burst, paid: 0 })) }
    }

    /// Permits that can be asked for at once.
    pub fn burst(&self) -> u32 {
        match &self.kind {
            Kind::Limited(limited) => limited.burst.get(),
            Kind::Open | Kind::Paused => u32::MAX,
        }
    }

    /// Segments a second; `None` without a limit, 0 while paused.
    pub fn per_s(&self) -> Option<f64> {
        match &self.kind {
            Kind::Open => None,
            Kind::Paused => Some(0.0),
            Kind::Limited(limited) => Some(limited.per_s),
        }
    }

    /// Permits there are now, at most the burst; `None` without a limit.
    pub fn level(&self, now: Now) -> Option<f64> {
        match &self.kind {
            Kind::Open => None,
            Kind::Paused => Some(0.0),
            Kind::Limited(limited) => Some((f64::from(limited.burst.get()) - limited.missing(now)).max(0.0)),
        }
    }

    /// True while the rate is 0.
    pub fn is_paused(&self) -> bool {
        matches!(self.kind, Kind::Paused)
    }

    /// Are `permits` (at most the burst) there? If not: when (mono_us) it is worth asking again; `u64::MAX` while paused. Nothing is taken before
    /// [`Bucket::commit`].
    pub fn ask(&self, permits: u32, now: Now) -> Result<(), u64> {
        match &self.kind {
            Kind::Open => Ok(()),
            Kind::Paused => Err(u64::MAX),
            Kind::Limited(limited) => limited.ask(permits, now),
        }
    }

    /// Takes what was asked for last and was there.
    pub fn commit(&self) {
        if let Kind::Limited(limited) = &self.kind {
            limited.commit();
        }
    }

    /// Takes `permits` or says when (mono_us) it is worth asking again; `u64::MAX` while paused. More than the burst is paid in instalments.
    pub fn take(&mut self, permits: u32, now: Now) -> Result<(), u64> {
        let limited = match &mut self.kind {
            Kind::Open => return Ok(()),
            Kind::Paused => return Err(u64::MAX),
            Kind::Limited(limited) => limited,
        };
        while limited.paid < permits {
            let instalment = (permits - limited.paid).min(limited.burst.get());
            limited.ask(instalment, now)?;
            limited.commit();
            limited.paid += instalment;
        }
        limited.paid -= permits;
        Ok(())
    }

    /// Takes `permits`, of which as many as the bucket holds at most are there: were asked for and not refused. What is more is owed.
    pub fn overdraw(&self, permits: u32) {
        if let Kind::Limited(limited) = &self.kind {
            let owed = permits.saturating_sub(limited.burst.get());
            limited.commit();
            limited.memory.0.full.fetch_add((f64::from(owed) * 1e9 / limited.per_s) as u64, Relaxed);
        }
    }

    /// Another rate from now on. What is in the bucket stays, up to the new burst: a change gives nothing, however often it comes. One that had no limit or was
    /// paused starts empty.
    pub fn set_rate(&mut self, per_s: Option<f64>, burst: u32, now: Now) {
        let before = match &self.kind {
            Kind::Limited(limited) => Some((f64::from(limited.burst.get()) - limited.missing(now), limited.paid)),
            Kind::Open | Kind::Paused => None,
        };
        *self = Bucket::with_rate(per_s, burst, now);
        if let (Some((level, paid)), Kind::Limited(limited)) = (before, &mut self.kind) {
            let missing = (f64::from(limited.burst.get()) - level).max(0.0);
            limited.memory.0.full.store(now.mono_us * 1000 + (missing * 1e9 / limited.per_s) as u64, Relaxed);
            limited.paid = paid;
        }
    }
}

impl Limited {
    fn ask(&self, permits: u32, now: Now) -> Result<(), u64> {
        let Some(permits) = NonZeroU32::new(permits) else { return Ok(()) };
        self.memory.0.now.store(now.mono_us * 1000, Relaxed);
        match self.limiter.check_n(permits) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => Err(not_until.earliest_possible().as_u64() / 1000 + 1),
            Err(_) => Err(u64::MAX),
        }
    }

    fn commit(&self) {
        self.memory.0.full.store(self.memory.0.asked.load(Relaxed), Relaxed);
    }

    /// How many permits it lacks to be full.
    fn missing(&self, now: Now) -> f64 {
        self.memory.0.full.load(Relaxed).saturating_sub(now.mono_us * 1000) as f64 * self.per_s / 1e9
    }
}

/// Permits at every level or at none. A message larger than a burst pays in instalments, each at every level too; `paid` remembers them. Says which level
/// (by its place) has none, and when it is worth asking again.
pub fn pay_all<'a, L>(levels: L, segments: u32, paid: &mut u32, now: Now) -> Result<(), (usize, u64)>
where
    L: Iterator<Item = &'a Bucket> + Clone,
{
    // What was paid before a pause waits with it.
    if *paid >= segments
        && let Some(at) = levels.clone().position(Bucket::is_paused)
    {
        return Err((at, u64::MAX));
    }
    let burst = levels.clone().map(Bucket::burst).min().unwrap_or(u32::MAX);
    while *paid < segments {
        let instalment = (segments - *paid).min(burst);
        for (at, level) in levels.clone().enumerate() {
            level.ask(instalment, now).map_err(|earliest| (at, earliest))?;
        }
        levels.clone().for_each(Bucket::commit);
        *paid += instalment;
    }
    *paid -= segments;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono_us: u64) -> Now {
        Now { mono_us, wall_ms: 0 }
    }

    /// Holds what passed (instants) against burst + rate × window, for many windows.
    fn holds(passed: &[u64], burst: u64, rate: u64) {
        for (i, from) in passed.iter().enumerate().step_by(7) {
            for window in [1_000, 50_000, 700_000] {
                let sent = passed[i..].iter().take_while(|&&at| at < from + window).count() as u64;
                assert!(sent <= burst + 1 + window * rate / 1_000_000, "{sent} in {window} us");
            }
        }
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
        assert!((2890..=3100).contains(&passed.len()), "{} in 3 s at 1000/s", passed.len());
        holds(&passed, 100, 1000);
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

    #[test]
    fn a_message_pays_at_every_level_or_at_none() {
        let wide = Bucket::new(Some(1000), 100, at(0));
        let narrow = Bucket::new(Some(10), 5, at(0));
        let levels = [&wide, &narrow];
        let later = at(10_000_000);
        let mut paid = 0;
        let mut passed = 0;
        while pay_all(levels.iter().copied(), 1, &mut paid, later).is_ok() {
            passed += 1;
        }
        assert_eq!(passed, 5, "the narrow one decides");
        assert!(
            (wide.level(later).unwrap() - 95.0).abs() < 0.01,
            "what was refused by one level was paid at no other: {:?}",
            wide.level(later)
        );
        let refused = pay_all(levels.iter().copied(), 1, &mut paid, later);
        assert!(matches!(refused, Err((1, earliest)) if earliest > later.mono_us), "{refused:?}");
    }

    #[test]
    fn a_message_larger_than_a_burst_pays_in_instalments_at_every_level() {
        let (a, b) = (Bucket::new(Some(100), 10, at(0)), Bucket::new(Some(10), 2, at(0)));
        let levels = [&a, &b];
        let (mut paid, mut now) = (0, 10_000_000);
        while let Err((_, earliest)) = pay_all(levels.iter().copied(), 12, &mut paid, at(now)) {
            assert!(earliest > now && earliest != u64::MAX);
            now = earliest;
        }
        assert!((10_900_000..11_200_000).contains(&now), "ten beyond the burst of two at ten a second take a second, not {now}");
        assert_eq!(paid, 0);
    }

    #[test]
    fn a_new_rate_keeps_the_level() {
        let mut bucket = Bucket::new(Some(100), 10, at(0));
        let now = at(5_000_000);
        for _ in 0..10 {
            assert!(bucket.take(1, now).is_ok());
        }
        bucket.set_rate(Some(200.0), 10, now);
        assert!(bucket.take(1, now).is_err(), "what was spent stays spent");
        assert!(bucket.take(1, at(5_005_001)).is_ok(), "and comes back at the new rate");
        for _ in 0..5 {
            bucket.set_rate(Some(200.0), 1, now);
            bucket.set_rate(Some(200.0), 10, now);
        }
        assert!(bucket.take(1, now).is_err(), "a change gives nothing, however often it comes");
        bucket.set_rate(Some(0.0), 10, now);
        assert!(bucket.is_paused());
        bucket.set_rate(Some(10.0), 10, now);
        assert!(bucket.take(1, now).is_err(), "one that was paused starts empty");
        bucket.set_rate(None, 0, now);
        assert!(bucket.take(1000, now).is_ok());
    }
}
