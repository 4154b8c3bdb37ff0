//! The closed loop: what a carrier's own answers allow. A throttle answer (ESME_RTHROTTLED, ESME_RMSGQFUL) lowers the rate at once to what the carrier was
//! seen to take; without one it rises again, fast up to where the carrier last said no, then slowly. A carrier that takes nothing at all is left alone for a
//! while, longer each time. Answers that take too long lower the rate too. Without any such sign nothing is limited.
//!
//! Why it settles fast: once the carrier says no, it takes exactly what it allows, so the rate of its yeses since the last cut is the new rate. Only for a
//! carrier that hardly says anything a guess takes that place.

use super::throttle::Bucket;
use crate::model::Now;

/// The bounds of the loop for one carrier.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptiveBounds {
    /// Never slower than this while the carrier takes anything, segments a second.
    pub floor_per_s: f64,
    /// Never faster (the configured rate), segments a second.
    pub ceiling_per_s: f64,
    /// Answers that take longer than this on average lower the rate, microseconds; 0: never.
    pub slow_answer_us: u64,
}

/// What is remembered across a restart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Remembered {
    /// The rate in force, segments a second.
    pub rate_per_s: f64,
    /// The rate at which the carrier last said no.
    pub said_no_per_s: f64,
}

/// The loop of one carrier.
#[derive(Debug)]
pub struct Adaptive {
    bounds: AdaptiveBounds,
    bucket: Bucket,
    /// `f64::INFINITY`: nothing limits.
    rate_per_s: f64,
    said_no_per_s: f64,
    /// When it last said no.
    said_no_us: u64,
    /// When the rate was last cut, and the yeses and noes since.
    since_us: u64,
    taken: u64,
    refused: u64,
    /// Yeses in the last slots of time, by number of the slot.
    slots: [u32; SLOTS],
    slot: u64,
    grown_us: u64,
    /// The bucket said no since the rate last grew: more was wanted.
    limits: bool,
    paused_until_us: u64,
    pause_us: u64,
    /// Nothing is known of what it allows yet, or any more: the rate doubles until it says no.
    searching: bool,
    /// The sum over time of segments in flight, for the mean time of an answer (Little's law), since when, and how many are in flight.
    flying: i64,
    area: f64,
    answered: u64,
    area_us: u64,
    area_since_us: u64,
}

/// Shortest and longest pause while nothing at all is taken; it doubles.
const PAUSE_MIN_US: u64 = 500_000;
const PAUSE_MAX_US: u64 = 8_000_000;
/// So many answers, or so much time, make the rate of yeses worth believing.
const BELIEVE_ANSWERS: u64 = 40;
const BELIEVE_US: u64 = 1_000_000;
/// Yeses are counted by slots of so much time, and so many of them are remembered.
const SLOT_US: u64 = 100_000;
const SLOTS: usize = 20;
/// So many noes are a sign even before that, and lower the rate a little.
const FEW_NOES: u64 = 3;
/// A no that comes so long after the last cut is one by itself.
const ALONE_US: u64 = 3_000_000;
/// Where a search begins, segments a second, and how often its rate doubles.
const SEARCH_PER_S: f64 = 10.0;
const SEARCH_US: u64 = 200_000;
/// Noes within this time of a cut belong to what was in flight then.
const ECHO_US: u64 = 100_000;
/// How often the rate grows, and by how much: far from the last no, near it, and after a long time without one.
const GROW_US: u64 = 500_000;
const GROW_FAST: f64 = 1.15;
const GROW_NEAR: f64 = 1.002;
/// So long without a no the rate grows fast, whatever it last said no to.
const CALM_US: u64 = 15_000_000;
/// So long without a no and without limiting anything, and the limit is forgotten.
const FORGET_US: u64 = 60_000_000;

impl Adaptive {
    /// Nothing limits.
    pub fn new(bounds: AdaptiveBounds, now: Now) -> Adaptive {
        Adaptive {
            bounds,
            bucket: Bucket::new(None, 0, now),
            rate_per_s: f64::INFINITY,
            said_no_per_s: f64::INFINITY,
            said_no_us: 0,
            since_us: now.mono_us,
            taken: 0,
            refused: 0,
            slots: [0; SLOTS],
            slot: now.mono_us / SLOT_US,
            grown_us: now.mono_us,
            limits: false,
            paused_until_us: 0,
            pause_us: PAUSE_MIN_US,
            searching: false,
            flying: 0,
            area: 0.0,
            answered: 0,
            area_us: now.mono_us,
            area_since_us: now.mono_us,
        }
    }

    /// Other bounds: the plan changed.
    pub fn set_bounds(&mut self, bounds: AdaptiveBounds) {
        self.bounds = bounds;
    }

    /// The rate that the carrier's answers allow now, segments a second; `None` if nothing limits.
    pub fn allowed(&self) -> Option<f64> {
        Some(self.rate_per_s).filter(|rate| rate.is_finite())
    }

    /// What is worth remembering.
    pub fn remember(&self) -> Option<Remembered> {
        self.allowed().map(|rate_per_s| Remembered { rate_per_s, said_no_per_s: self.said_no_per_s.min(1e12) })
    }

    /// After a restart: where it was.
    pub fn recall(&mut self, remembered: Remembered, now: Now) {
        self.said_no_per_s = remembered.said_no_per_s;
        self.said_no_us = now.mono_us;
        self.set_rate(remembered.rate_per_s, now);
    }

    /// The level that messages pay at.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Until when (mono_us) nothing may leave, if it is paused.
    pub fn paused(&self, now: Now) -> Option<u64> {
        Some(self.paused_until_us).filter(|&until| until > now.mono_us)
    }

    /// Segments were handed out.
    pub fn granted(&mut self, segments: u32, now: Now) {
        self.fly(i64::from(segments), now);
    }

    /// The bucket had no permit.
    pub fn lacked(&mut self, now: Now) {
        self.limits = true;
        self.grow(now);
    }

    /// A segment was taken.
    pub fn taken(&mut self, now: Now) {
        self.taken += 1;
        self.turn_slots(now);
        self.slots[self.slot as usize % SLOTS] += 1;
        self.pause_us = PAUSE_MIN_US;
        self.landed(now);
    }

    /// A segment is no longer in flight, whatever was said of it (called for every outcome but [`Adaptive::taken`]).
    pub fn landed(&mut self, now: Now) {
        self.fly(-1, now);
        self.answered += 1;
        if now.mono_us > self.area_since_us + BELIEVE_US && self.answered > 0 {
            let mean_us = self.area / self.answered as f64;
            (self.area, self.answered, self.area_since_us) = (0.0, 0, now.mono_us);
            if self.bounds.slow_answer_us > 0 && mean_us > self.bounds.slow_answer_us as f64 {
                let seen = self.seen_per_s(now);
                self.cut(seen.min(self.rate_per_s) * 0.9, now);
            }
        }
    }

    fn fly(&mut self, change: i64, now: Now) {
        self.area += self.flying.max(0) as f64 * now.mono_us.saturating_sub(self.area_us) as f64;
        self.area_us = now.mono_us;
        self.flying += change;
    }

    /// A bind is gone with what was in flight on it.
    pub fn lost(&mut self, segments: u32, now: Now) {
        self.fly(-i64::from(segments), now);
    }

    /// The carrier said no. Gives the pause that begins, microseconds, mostly 0.
    pub fn throttled(&mut self, now: Now) -> u64 {
        self.refused += 1;
        self.landed(now);
        if self.paused(now).is_some() || now.mono_us < self.since_us + ECHO_US && self.said_no_us != 0 {
            // It was in flight when the last cut was made: it tells nothing new.
            return 0;
        }
        let elapsed_us = now.mono_us.saturating_sub(self.since_us);
        let known = self.rate_per_s.is_finite();
        let few = self.taken + self.refused < BELIEVE_ANSWERS && elapsed_us < BELIEVE_US;
        if known && few && self.refused < FEW_NOES {
            return 0;
        }
        if known && self.taken == 0 {
            return self.pause(now);
        }
        let seen = self.seen_per_s(now);
        let alone = elapsed_us > ALONE_US || few;
        let rate = match (known, std::mem::replace(&mut self.searching, !known)) {
            // The first no of all: whatever was seen in so short a time tells little. The search begins low.
            (false, _) => (seen / 2.0).clamp(SEARCH_PER_S, 1e6),
            // The rate before the last step of the search was good.
            (true, true) => self.rate_per_s * 0.7,
            // Now and then a no: the rate was hardly above what is allowed.
            (true, false) if alone => self.rate_per_s * 0.97,
            // One after another: it allows less than before. What it takes now is what it allows.
            (true, false) => (seen * 0.995).clamp(self.rate_per_s * 0.4, self.rate_per_s * 0.97),
        };
        self.said_no_per_s = if known && alone { self.rate_per_s } else { rate / 0.97 };
        self.cut(rate, now);
        0
    }

    fn turn_slots(&mut self, now: Now) {
        let slot = now.mono_us / SLOT_US;
        for gone in (self.slot + 1..=slot).rev().take(SLOTS) {
            self.slots[gone as usize % SLOTS] = 0;
        }
        self.slot = self.slot.max(slot);
    }

    /// Segments a second that it took of late: since the last cut, and no longer than makes a count worth believing.
    fn seen_per_s(&mut self, now: Now) -> f64 {
        self.turn_slots(now);
        let since_us = self.since_us.max(now.mono_us.saturating_sub(SLOT_US * (SLOTS as u64 - 1)));
        let (mut count, mut from_us) = (0, now.mono_us);
        for slot in (since_us / SLOT_US..=self.slot).rev() {
            count += u64::from(self.slots[slot as usize % SLOTS]);
            from_us = (slot * SLOT_US).max(since_us);
            if count >= 10 * BELIEVE_ANSWERS && now.mono_us - from_us >= SLOT_US {
                break;
            }
        }
        count as f64 * 1e6 / now.mono_us.saturating_sub(from_us).max(SLOT_US / 2) as f64
    }

    fn cut(&mut self, rate_per_s: f64, now: Now) {
        self.said_no_us = now.mono_us;
        self.count_anew(now);
        self.set_rate(rate_per_s, now);
    }

    /// Nothing at all was taken since the last cut: it is left alone for a while.
    fn pause(&mut self, now: Now) -> u64 {
        let pause_us = self.pause_us;
        self.pause_us = (pause_us * 2).min(PAUSE_MAX_US);
        self.paused_until_us = now.mono_us + pause_us;
        let then = Now { mono_us: self.paused_until_us, ..now };
        self.searching = true;
        self.cut(SEARCH_PER_S.min(self.rate_per_s), then);
        pause_us
    }

    fn count_anew(&mut self, now: Now) {
        (self.taken, self.refused, self.since_us) = (0, 0, now.mono_us);
        self.turn_slots(now);
        // What the slot under way had before the cut doesn't count after it.
        self.slots[self.slot as usize % SLOTS] = 0;
    }

    fn grow(&mut self, now: Now) {
        let every_us = if self.searching { SEARCH_US } else { GROW_US };
        if self.rate_per_s.is_infinite() || now.mono_us < self.grown_us + every_us.max((2e6 / self.rate_per_s) as u64) {
            return;
        }
        let calm = now.mono_us > self.said_no_us + CALM_US;
        let near = self.said_no_per_s * 0.98;
        let grown = match (self.searching, self.rate_per_s < near || calm) {
            (true, _) => self.rate_per_s * 2.0,
            (false, true) => (self.rate_per_s * GROW_FAST).min(if calm { f64::INFINITY } else { near }),
            (false, false) => self.rate_per_s * GROW_NEAR,
        };
        self.limits = false;
        self.set_rate(grown.max(self.rate_per_s + 0.01), now);
    }

    /// Once a second: a limit that limits nothing is forgotten after a while.
    pub fn sweep(&mut self, now: Now) {
        if self.rate_per_s.is_finite() && !self.limits && now.mono_us > self.said_no_us.max(self.grown_us) + FORGET_US {
            self.rate_per_s = f64::INFINITY;
            self.bucket = Bucket::new(None, 0, now);
        }
    }

    fn set_rate(&mut self, rate_per_s: f64, now: Now) {
        self.grown_us = now.mono_us;
        self.rate_per_s = rate_per_s.min(self.bounds.ceiling_per_s).max(self.bounds.floor_per_s);
        // A fiftieth of a second at once: the carrier's own burst is unknown.
        let burst = (self.rate_per_s / 50.0).max(1.0) as u32;
        self.bucket.set_rate(Some(self.rate_per_s), burst, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: AdaptiveBounds = AdaptiveBounds { floor_per_s: 0.5, ceiling_per_s: f64::INFINITY, slow_answer_us: 0 };

    fn at(mono_us: u64) -> Now {
        Now { mono_us, wall_ms: 0 }
    }

    /// A carrier with a bucket of its own, asked for as much as the loop allows.
    struct Rig {
        ours: Adaptive,
        now_us: u64,
        tokens: f64,
    }

    impl Rig {
        fn new() -> Rig {
            Rig { ours: Adaptive::new(BOUNDS, at(1_000_000)), now_us: 1_000_000, tokens: 0.0 }
        }

        /// So long at `rate` with `burst`; a window of `window`, answered within the millisecond. Taken and refused.
        fn run(&mut self, rate: f64, burst: f64, window: u32, seconds: f64) -> (u64, u64) {
            let (mut taken, mut refused) = (0, 0);
            let end = self.now_us + (seconds * 1e6) as u64;
            while self.now_us < end {
                self.now_us += 1_000;
                self.tokens = (self.tokens + rate / 1000.0).min(burst);
                for _ in 0..window {
                    let now = at(self.now_us);
                    if self.ours.paused(now).is_some() {
                        break;
                    }
                    if self.ours.bucket().ask(1, now).is_err() {
                        self.ours.lacked(now);
                        break;
                    }
                    self.ours.bucket().commit();
                    self.ours.granted(1, now);
                    if self.tokens >= 1.0 {
                        self.tokens -= 1.0;
                        taken += 1;
                        self.ours.taken(now);
                    } else {
                        refused += 1;
                        self.ours.throttled(now);
                    }
                }
            }
            (taken, refused)
        }
    }

    #[test]
    fn a_carrier_that_throttles_gets_what_it_allows_and_is_seldom_hit_harder() {
        for (rate, burst) in [(100.0, 20.0), (1000.0, 100.0), (20.0, 1.0), (5000.0, 50.0)] {
            let (taken, refused) = Rig::new().run(rate, burst, 50, 60.0);
            let allowed = rate * 60.0 + burst;
            assert!(taken as f64 >= allowed * 0.96, "{taken} of {allowed} at {rate}/s, {refused} refused");
            assert!(refused as f64 <= allowed * 0.02 + 60.0, "{refused} refused of {allowed} at {rate}/s");
        }
    }

    #[test]
    fn a_carrier_that_halves_its_allowance_is_followed_within_seconds_and_back_again() {
        for rate in [40.0, 400.0, 4000.0] {
            let mut rig = Rig::new();
            rig.run(rate, rate / 10.0, 50, 20.0);
            let (_, refused) = rig.run(rate / 2.0, rate / 20.0, 50, 10.0);
            assert!((refused as f64) < rate * 2.0, "{refused} refused at {rate}/s");
            let (taken, refused) = rig.run(rate / 2.0, rate / 20.0, 50, 20.0);
            assert!(taken as f64 >= rate / 2.0 * 20.0 * 0.95, "{taken} at half of {rate}/s");
            assert!(refused as f64 <= taken as f64 * 0.03 + 10.0, "{refused} of {taken}");
            rig.run(rate, rate / 10.0, 50, 40.0);
            let (taken, _) = rig.run(rate, rate / 10.0, 50, 20.0);
            assert!(taken as f64 >= rate * 20.0 * 0.95, "{taken} back at {rate}/s");
        }
    }

    #[test]
    fn a_carrier_that_takes_nothing_is_asked_ever_more_seldom() {
        let (taken, refused) = Rig::new().run(0.0, 0.0, 50, 60.0);
        assert!(taken == 0 && refused <= 900, "{refused}");
        let mut rig = Rig::new();
        rig.run(0.0, 0.0, 50, 60.0);
        let (_, refused) = rig.run(0.0, 0.0, 50, 60.0);
        assert!(refused <= 60, "{refused}");
    }

    #[test]
    fn slow_answers_lower_the_rate_and_it_never_goes_below_its_floor() {
        let bounds = AdaptiveBounds { floor_per_s: 5.0, ceiling_per_s: 100.0, slow_answer_us: 500_000 };
        let mut ours = Adaptive::new(bounds, at(0));
        // A hundred always in flight, fifty answers a second: two seconds each.
        ours.granted(100, at(0));
        for n in 1..2_000u64 {
            let now = at(n * 20_000);
            ours.granted(1, now);
            ours.taken(now);
        }
        let allowed = ours.allowed().unwrap();
        assert!((5.0..45.0).contains(&allowed), "{allowed}");
    }
}
