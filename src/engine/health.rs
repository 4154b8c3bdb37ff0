//! How a carrier fares: shares of failures in a sliding window. One that fails too often is *out*: messages that have another carrier avoid it. After a
//! pause, which grows each time, a few messages *probe* it; when they do well it *recovers*, its share growing step by step, and then is *well* again.
//!
//! Whether a refusal or a receipt is the carrier's fault is for the caller to say. State lives in memory: after a restart a carrier counts as well.

use crate::model::{MessageId, Now};
use crate::telemetry::{HealthFigures, HealthState};
use arrayvec::ArrayVec;

/// Slices of the window.
const SLICES: usize = 10;
/// Most messages that probe a carrier at once.
pub const PROBES_MAX: usize = 16;
/// Shares in percent while it recovers, each for the same part of the time.
const SHARES: [u32; 4] = [10, 25, 50, 75];

/// When a carrier counts as ill, and how it comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthRules {
    /// Off: every carrier counts as well.
    pub enabled: bool,
    /// Length of the window, milliseconds.
    pub window_ms: u64,
    /// Answers (or receipts, or times) in the window without which nothing is judged.
    pub min_sample: u32,
    /// Share of failed answers at which it is out, percent.
    pub failed_percent: u32,
    /// Share of receipts that blame it at which it is out, percent.
    pub receipts_failed_percent: u32,
    /// Mean time of answers at which it is out, milliseconds; 0: never for that.
    pub slow_ms: u64,
    /// The first pause, milliseconds; it doubles each time.
    pub pause_ms: u64,
    /// The longest.
    pub pause_max_ms: u64,
    /// Messages that probe it, all of which must do well. At most [`PROBES_MAX`].
    pub probes: u8,
    /// How long its share grows after that, milliseconds.
    pub slow_start_ms: u64,
}

impl Default for HealthRules {
    fn default() -> HealthRules {
        HealthRules {
            enabled: true,
            window_ms: 60_000,
            min_sample: 50,
            failed_percent: 50,
            receipts_failed_percent: 80,
            slow_ms: 0,
            pause_ms: 10_000,
            pause_max_ms: 600_000,
            probes: 5,
            slow_start_ms: 30_000,
        }
    }
}

/// Why a carrier was taken out last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)] // every variant has its line
pub enum Cause {
    /// It never was.
    #[default]
    None,
    /// Answers: refusals that blame it, or none in time.
    Answers { failed: u32, of: u32 },
    /// Receipts that blame it.
    Receipts { failed: u32, of: u32 },
    /// Answers take too long.
    Slow { took_ms: u64 },
    /// A message that probed it failed.
    Probe,
}

impl Cause {
    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Cause::None => "none",
            Cause::Answers { .. } => "answers",
            Cause::Receipts { .. } => "receipts",
            Cause::Slow { .. } => "slow",
            Cause::Probe => "probe",
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Slice {
    good: u32,
    failed: u32,
    receipts_good: u32,
    receipts_failed: u32,
    took_us: u64,
    times: u32,
}

impl Slice {
    fn add(&mut self, other: &Slice) {
        self.good += other.good;
        self.failed += other.failed;
        self.receipts_good += other.receipts_good;
        self.receipts_failed += other.receipts_failed;
        self.took_us += other.took_us;
        self.times += other.times;
    }
}

/// The last slices of time, the present one at `at`.
#[derive(Debug, Clone, Default)]
struct Window {
    slices: [Slice; SLICES],
    at: usize,
    until_us: u64,
}

impl Window {
    /// The slice of this instant.
    fn now(&mut self, slice_us: u64, now_us: u64) -> &mut Slice {
        if now_us >= self.until_us {
            let passed = ((now_us - self.until_us) / slice_us + 1).min(SLICES as u64);
            for _ in 0..passed {
                self.at = (self.at + 1) % SLICES;
                self.slices[self.at] = Slice::default();
            }
            self.until_us = now_us - now_us % slice_us + slice_us;
        }
        &mut self.slices[self.at]
    }

    fn sum(&self) -> Slice {
        let mut sum = Slice::default();
        self.slices.iter().for_each(|slice| sum.add(slice));
        sum
    }
}

#[derive(Debug, Clone, Default)]
enum State {
    #[default]
    Well,
    /// Until this instant.
    Out(u64),
    /// These messages probe it, and so many have done well; at this instant new ones may.
    Probing { with: ArrayVec<MessageId, PROBES_MAX>, good: u8, until_us: u64 },
    /// Since this instant. `credit`: percent of a message that it is due.
    Recovering { since_us: u64, credit: u32 },
}

/// One carrier's health.
#[derive(Debug, Clone, Default)]
pub struct Health {
    state: State,
    cause: Cause,
    since_ms: u64,
    /// When it was well last, mono_us, if it is not now; else since when it is.
    well_us: u64,
    /// How often it went out without having been well for a window between.
    times: u32,
    window: Window,
    /// A part on its way whose answer will be timed.
    timed: Option<(MessageId, u64)>,
}

impl Health {
    /// Nothing speaks against it.
    #[inline]
    pub fn is_well(&self) -> bool {
        matches!(self.state, State::Well)
    }

    /// It may have messages at all: it is well or recovers.
    pub fn is_in(&self) -> bool {
        matches!(self.state, State::Well | State::Recovering { .. })
    }

    /// Its state.
    pub fn state(&self) -> HealthState {
        match self.state {
            State::Well => HealthState::Well,
            State::Out(_) => HealthState::Out,
            State::Probing { .. } => HealthState::Probing,
            State::Recovering { .. } => HealthState::Recovering,
        }
    }

    /// Why it was taken out last.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// What the metrics tell of it.
    pub fn figures(&self) -> HealthFigures {
        HealthFigures { state: self.state(), since_ms: self.since_ms, cause: self.cause.name() }
    }

    /// May message `id` go there? A yes counts: it is one of the probes, or of the growing share.
    pub fn admit(&mut self, id: MessageId, rules: &HealthRules, now: Now) -> bool {
        let pause_us = self.pause_us(rules);
        match &mut self.state {
            State::Well => return true,
            State::Out(until_us) if now.mono_us < *until_us => return false,
            State::Out(_) => {
                self.enter(State::Probing { with: ArrayVec::new(), good: 0, until_us: now.mono_us + pause_us }, now);
            }
            State::Probing { with, good, until_us } if now.mono_us >= *until_us => {
                // The probes came to nothing: cancelled, expired, or still waiting.
                with.clear();
                (*good, *until_us) = (0, now.mono_us + pause_us);
            }
            State::Recovering { since_us, .. } if now.mono_us - *since_us >= rules.slow_start_ms * 1000 => {
                self.well_us = now.mono_us;
                self.enter(State::Well, now);
                return true;
            }
            _ => {}
        }
        match &mut self.state {
            State::Probing { with, good, .. } => {
                let more = with.len() + usize::from(*good) < usize::from(rules.probes).min(PROBES_MAX);
                if more {
                    with.push(id);
                }
                more
            }
            State::Recovering { since_us, credit } => {
                let step = (now.mono_us - *since_us) * SHARES.len() as u64 / (rules.slow_start_ms * 1000).max(1);
                *credit += SHARES[(step as usize).min(SHARES.len() - 1)];
                let due = *credit >= 100;
                *credit -= if due { 100 } else { 0 };
                due
            }
            State::Well | State::Out(_) => false,
        }
    }

    /// A part of `id` left for it.
    pub fn left(&mut self, id: MessageId, now: Now) {
        if self.timed.is_none() {
            self.timed = Some((id, now.mono_us));
        }
    }

    /// It answered a part of `id`, or did not in time. `good`: `None` says nothing of it. True if it is out by that.
    pub fn answered(&mut self, id: MessageId, good: Option<bool>, rules: &HealthRules, now: Now) -> bool {
        let took_us = self.timed.take_if(|(timed, _)| *timed == id).map(|(_, left_us)| now.mono_us.saturating_sub(left_us));
        if !rules.enabled {
            return false;
        }
        if let State::Probing { with, .. } = &mut self.state {
            let Some(at) = with.iter().position(|probe| *probe == id) else { return false };
            with.remove(at);
            return self.probed(good, rules, now);
        }
        let Some(good) = good else { return false };
        let slice = self.window.now(slice_us(rules), now.mono_us);
        match good {
            true => slice.good += 1,
            false => slice.failed += 1,
        }
        if let Some(us) = took_us {
            slice.took_us += us;
            slice.times += 1;
        }
        let slow = rules.slow_ms > 0 && took_us.is_some_and(|us| us >= rules.slow_ms * 1000);
        (!good || slow) && self.judge(rules, now)
    }

    fn probed(&mut self, good: Option<bool>, rules: &HealthRules, now: Now) -> bool {
        let State::Probing { good: well, .. } = &mut self.state else { return false };
        match good {
            // Another message takes its place.
            None => {}
            Some(false) => {
                self.out(Cause::Probe, rules, now);
                return true;
            }
            Some(true) => {
                *well += 1;
                if usize::from(*well) >= usize::from(rules.probes).min(PROBES_MAX) {
                    self.window = Window::default();
                    self.enter(State::Recovering { since_us: now.mono_us, credit: 100 }, now);
                }
            }
        }
        false
    }

    /// A final receipt of it came; `good` if it doesn't blame the carrier. True if it is out by that.
    pub fn reported(&mut self, good: bool, rules: &HealthRules, now: Now) -> bool {
        if !rules.enabled {
            return false;
        }
        let slice = self.window.now(slice_us(rules), now.mono_us);
        match good {
            true => slice.receipts_good += 1,
            false => slice.receipts_failed += 1,
        }
        !good && self.judge(rules, now)
    }

    /// Is it out by what the window holds?
    fn judge(&mut self, rules: &HealthRules, now: Now) -> bool {
        // One that has just come back is judged by fewer.
        let least = match self.state {
            State::Well => rules.min_sample,
            State::Recovering { .. } => rules.min_sample.min(u32::from(rules.probes)),
            State::Out(_) | State::Probing { .. } => return false,
        };
        self.window.now(slice_us(rules), now.mono_us);
        let sum = self.window.sum();
        let (answers, receipts) = (sum.good + sum.failed, sum.receipts_good + sum.receipts_failed);
        let over = |failed: u32, of: u32, percent: u32| of >= least.max(1) && u64::from(failed) * 100 >= u64::from(of) * u64::from(percent);
        let mean_ms = sum.took_us / u64::from(sum.times.max(1)) / 1000;
        let cause = if over(sum.failed, answers, rules.failed_percent) {
            Cause::Answers { failed: sum.failed, of: answers }
        } else if over(sum.receipts_failed, receipts, rules.receipts_failed_percent) {
            Cause::Receipts { failed: sum.receipts_failed, of: receipts }
        } else if rules.slow_ms > 0 && answers >= least && sum.times >= least.min(5) && mean_ms >= rules.slow_ms {
            Cause::Slow { took_ms: mean_ms }
        } else {
            return false;
        };
        self.out(cause, rules, now);
        true
    }

    fn out(&mut self, cause: Cause, rules: &HealthRules, now: Now) {
        let lasted = self.is_well() && now.mono_us.saturating_sub(self.well_us) >= rules.window_ms * 1000;
        self.times = if lasted { 1 } else { self.times + 1 };
        self.cause = cause;
        self.window = Window::default();
        let until_us = now.mono_us + self.pause_us(rules);
        self.enter(State::Out(until_us), now);
    }

    fn pause_us(&self, rules: &HealthRules) -> u64 {
        let doubled = rules.pause_ms.saturating_mul(1 << self.times.saturating_sub(1).min(20));
        doubled.min(rules.pause_max_ms.max(rules.pause_ms)) * 1000
    }

    fn enter(&mut self, state: State, now: Now) {
        self.state = state;
        self.since_ms = now.wall_ms;
    }
}

fn slice_us(rules: &HealthRules) -> u64 {
    (rules.window_ms * 1000 / SLICES as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Now = Now { mono_us: 1_000_000, wall_ms: 1_790_000_000_000 };

    fn rules() -> HealthRules {
        HealthRules {
            min_sample: 10,
            window_ms: 10_000,
            pause_ms: 1_000,
            pause_max_ms: 5_000,
            probes: 2,
            slow_start_ms: 4_000,
            ..HealthRules::default()
        }
    }

    fn answers(health: &mut Health, good: u64, failed: u64, now: Now) -> bool {
        let all = (0..good).map(|_| true).chain((0..failed).map(|_| false));
        all.filter(|&good| health.answered(MessageId(0), Some(good), &rules(), now)).count() > 0
    }

    #[test]
    fn a_share_counts_from_the_least_sample_on_and_only_within_the_window() {
        let mut health = Health::default();
        assert!(!answers(&mut health, 0, 9, START), "nine are too few");
        assert!(answers(&mut health, 0, 1, START));
        assert_eq!((health.state(), health.cause()), (HealthState::Out, Cause::Answers { failed: 10, of: 10 }));
        let mut health = Health::default();
        assert!(!answers(&mut health, 11, 10, START), "less than half");
        assert!(!answers(&mut health, 0, 9, START.plus_us(11_000_000)), "what is older than the window is forgotten");
        let mut health = Health::default();
        assert!(!health.answered(MessageId(1), None, &rules(), START), "what says nothing counts for nothing");
        let off = HealthRules { enabled: false, ..rules() };
        assert!((0..100).all(|_| !health.answered(MessageId(1), Some(false), &off, START)));
    }

    #[test]
    fn receipts_and_slow_answers_take_a_carrier_out_too() {
        let mut health = Health::default();
        (0..2).for_each(|_| assert!(!health.reported(true, &rules(), START)));
        let out = (0..8).filter(|_| health.reported(false, &rules(), START)).count();
        assert_eq!((out, health.cause()), (1, Cause::Receipts { failed: 8, of: 10 }));
        let slow = HealthRules { slow_ms: 500, ..rules() };
        let (mut health, mut now, mut out) = (Health::default(), START, false);
        for id in 0..10 {
            health.left(MessageId(id), now);
            now = now.plus_us(600_000);
            out |= health.answered(MessageId(id), Some(true), &slow, now);
        }
        assert!(out && matches!(health.cause(), Cause::Slow { took_ms: 600 }), "{:?}", health.cause());
    }

    #[test]
    fn pauses_double_until_it_has_been_well_for_a_window() {
        let (mut health, mut now) = (Health::default(), START);
        answers(&mut health, 0, 10, now);
        for pause_ms in [1_000, 2_000, 4_000, 5_000, 5_000] {
            now = now.plus_us(pause_ms * 1000 - 1);
            assert!(!health.admit(MessageId(7), &rules(), now), "not before {pause_ms} ms are over");
            now = now.plus_us(1);
            assert!(health.admit(MessageId(7), &rules(), now));
            assert!(health.answered(MessageId(7), Some(false), &rules(), now));
            assert_eq!(health.cause(), Cause::Probe);
        }
        now = now.plus_us(5_000_000);
        for id in [1, 2] {
            assert!(health.admit(MessageId(id), &rules(), now));
            health.answered(MessageId(id), Some(true), &rules(), now);
        }
        now = now.plus_us(4_000_000);
        assert!(health.admit(MessageId(3), &rules(), now) && health.is_well());
        now = now.plus_us(10_000_000);
        answers(&mut health, 0, 10, now);
        assert!(health.admit(MessageId(4), &rules(), now.plus_us(1_000_000)), "the first pause again");
    }

    #[test]
    fn only_probes_speak_while_it_is_probed_and_one_that_says_nothing_gives_its_place_back() {
        let mut health = Health::default();
        answers(&mut health, 0, 10, START);
        let now = START.plus_us(1_000_000);
        assert!(health.admit(MessageId(1), &rules(), now) && health.admit(MessageId(2), &rules(), now));
        assert!(!health.admit(MessageId(3), &rules(), now), "two are enough");
        health.answered(MessageId(9), Some(false), &rules(), now);
        assert_eq!(health.state(), HealthState::Probing);
        health.answered(MessageId(1), None, &rules(), now);
        assert!(health.admit(MessageId(3), &rules(), now));
        // Both are cancelled: after another pause new ones may.
        assert!(!health.admit(MessageId(4), &rules(), now));
        assert!(health.admit(MessageId(4), &rules(), now.plus_us(1_000_000)));
    }

    #[test]
    fn its_share_grows_step_by_step_and_a_relapse_is_seen_sooner() {
        let mut health = Health::default();
        answers(&mut health, 0, 10, START);
        let now = START.plus_us(1_000_000);
        for id in [1, 2] {
            assert!(health.admit(MessageId(id), &rules(), now));
            health.answered(MessageId(id), Some(true), &rules(), now);
        }
        let mut admitted = |at_ms: u64| (0..1000).filter(|&id| health.admit(MessageId(id), &rules(), now.plus_us(at_ms * 1000))).count();
        for (at_ms, share) in [(0, 10), (1_000, 25), (2_000, 50), (3_000, 75), (4_000, 100)] {
            assert!(admitted(at_ms).abs_diff(share * 10) <= 2, "{share} %");
        }
        let mut health = Health::default();
        answers(&mut health, 0, 10, START);
        for id in [1, 2] {
            health.admit(MessageId(id), &rules(), now);
            health.answered(MessageId(id), Some(true), &rules(), now);
        }
        assert!(!answers(&mut health, 0, 1, now) && answers(&mut health, 0, 1, now), "two are enough while it recovers");
    }
}
