//! Which messages are to be sent when: numbers handed out once, in portions, at once (closed loop) or by a rate that is
//! fixed in advance (open loop, so that a slow peer can't make its own latency look better).

use std::collections::VecDeque;

/// Consecutive messages that are to leave together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portion {
    /// Number of the first.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// When they are to leave, microseconds; latencies count from here.
    pub intended_us: u64,
}

impl Portion {
    /// Takes up to `most` off the front.
    pub fn split_off(&mut self, most: u64) -> Portion {
        let taken = Portion { count: self.count.min(most), ..*self };
        self.first += taken.count;
        self.count -= taken.count;
        taken
    }
}

/// What is still to be sent, and by whom.
#[derive(Debug)]
pub struct Schedule {
    next: u64,
    end: u64,
    until_us: u64,
    /// Portions that a session could not send before it ended.
    returned: VecDeque<Portion>,
    bound: Vec<bool>,
    turn: usize,
    /// Open loop: messages a second, and when it began.
    rate_per_s: f64,
    start_us: u64,
}

impl Schedule {
    /// `total` messages over `sessions` sessions, none after `until_us`. `rate_per_s` 0: closed loop.
    pub fn new(total: u64, until_us: u64, rate_per_s: f64, start_us: u64, sessions: usize) -> Self {
        Schedule { next: 0, end: total, until_us, returned: VecDeque::new(), bound: vec![false; sessions], turn: 0, rate_per_s, start_us }
    }

    /// A session is bound, or no more.
    pub fn bound(&mut self, place: usize, bound: bool) {
        self.bound[place] = bound;
    }

    /// How many sessions are bound.
    pub fn bound_count(&self) -> usize {
        self.bound.iter().filter(|bound| **bound).count()
    }

    /// From now on the rate counts.
    pub fn start(&mut self, now_us: u64) {
        self.start_us = now_us;
    }

    /// Portions that come back unsent.
    pub fn give_back(&mut self, portions: impl Iterator<Item = Portion>) {
        self.returned.extend(portions.filter(|portion| portion.count > 0));
    }

    /// Closed loop: up to `most` messages to be sent now. `None`: there are none left.
    pub fn take_now(&mut self, most: u64, now_us: u64) -> Option<Portion> {
        if let Some(front) = self.returned.front_mut() {
            let taken = front.split_off(most);
            if front.count == 0 {
                self.returned.pop_front();
            }
            return Some(taken);
        }
        self.take_new(most, now_us, now_us)
    }

    fn take_new(&mut self, most: u64, intended_us: u64, now_us: u64) -> Option<Portion> {
        let count = most.min(self.end - self.next);
        if count == 0 || now_us >= self.until_us {
            return None;
        }
        self.next += count;
        Some(Portion { first: self.next - count, count, intended_us })
    }

    /// Open loop: what is due at `now_us`, spread over the bound sessions: (session, portion).
    pub fn take_due(&mut self, now_us: u64, into: &mut Vec<(usize, Portion)>) {
        if self.bound_count() == 0 {
            return;
        }
        while let Some(portion) = self.returned.pop_front() {
            let place = self.next_place();
            into.push((place, portion));
        }
        let due = (now_us.saturating_sub(self.start_us) as f64 * self.rate_per_s / 1e6) as u64;
        while self.next < due.min(self.end) {
            // Each message's own time, however late we are.
            let intended_us = self.start_us + (self.next as f64 * 1e6 / self.rate_per_s) as u64;
            let Some(portion) = self.take_new(1, intended_us, now_us) else { return };
            let place = self.next_place();
            into.push((place, portion));
        }
    }

    /// Open loop: when the next message is due; `None`: all were handed out.
    pub fn next_due_us(&self) -> Option<u64> {
        (self.next < self.end).then(|| self.start_us + ((self.next + 1) as f64 * 1e6 / self.rate_per_s) as u64)
    }

    fn next_place(&mut self) -> usize {
        loop {
            self.turn = (self.turn + 1) % self.bound.len();
            if self.bound[self.turn] {
                return self.turn;
            }
        }
    }

    /// Nothing is left to hand out.
    pub fn is_done(&self, now_us: u64) -> bool {
        self.returned.is_empty() && (self.next >= self.end || now_us >= self.until_us)
    }

    /// Messages handed out so far.
    pub fn handed_out(&self) -> u64 {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_handed_out_once_also_when_portions_come_back() {
        let mut schedule = Schedule::new(10, u64::MAX, 0.0, 0, 1);
        let first = schedule.take_now(4, 5).unwrap();
        assert_eq!(first, Portion { first: 0, count: 4, intended_us: 5 });
        schedule.give_back([Portion { first: 2, count: 2, intended_us: 5 }].into_iter());
        let mut numbers = vec![0, 1];
        while let Some(portion) = schedule.take_now(3, 6) {
            numbers.extend(portion.first..portion.first + portion.count);
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..10).collect::<Vec<_>>());
        assert!(schedule.is_done(6));
    }

    #[test]
    fn a_rate_is_kept_from_the_intended_times_and_only_by_bound_sessions() {
        let mut schedule = Schedule::new(100, u64::MAX, 1000.0, 1_000_000, 3);
        let mut due = Vec::new();
        schedule.take_due(1_010_000, &mut due);
        assert!(due.is_empty(), "nobody is bound");
        schedule.bound(0, true);
        schedule.bound(2, true);
        schedule.take_due(1_010_000, &mut due);
        assert_eq!(due.len(), 10);
        assert!(due.iter().enumerate().all(|(n, (_, portion))| portion.intended_us == 1_000_000 + 1000 * n as u64));
        assert_eq!(due.iter().filter(|(place, _)| *place == 0).count(), 5);
        assert_eq!(due.iter().filter(|(place, _)| *place == 1).count(), 0);
    }

    #[test]
    fn nothing_is_sent_after_the_end_of_the_time() {
        let mut schedule = Schedule::new(u64::MAX, 2_000_000, 0.0, 0, 1);
        assert!(schedule.take_now(5, 1_999_999).is_some());
        assert!(schedule.take_now(5, 2_000_000).is_none() && schedule.is_done(2_000_000));
    }
}
