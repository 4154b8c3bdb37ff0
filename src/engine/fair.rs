//! Start-time fair queueing: who is next among children that share one thing by weight. A child's tag is the virtual time at which its next message
//! starts; the least tag goes first, and what it sends moves its tag on by segments over weight. Whoever comes back after a pause starts at the present
//! virtual time: idle time is never saved up, and nobody with a backlog gets more than its share by more than one message.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Virtual time that one segment of a child of weight 1 takes.
const SEGMENT: u64 = 1 << 20;
/// Largest weight.
pub const WEIGHT_MAX: u32 = 1000;

/// The virtual time that `segments` take at `weight`.
pub fn cost(segments: u32, weight: u32) -> u64 {
    u64::from(segments) * SEGMENT / u64::from(weight.clamp(1, WEIGHT_MAX))
}

/// Children that have something to send, by tag. Children are numbers of their owner's; ties go to the lower one.
#[derive(Debug, Default)]
pub struct Fair {
    /// The one that is being served, outside of the heap: as long as it stays first nothing moves.
    current: Option<(u64, u32)>,
    heap: BinaryHeap<Reverse<(u64, u32)>>,
    now: u64,
}

impl Fair {
    /// `child`, whose last tag was `tag`, has something to send. It must not be in here already.
    pub fn activate(&mut self, child: u32, tag: u64) {
        self.heap.push(Reverse((tag.max(self.now), child)));
    }

    /// The child whose turn it is. It stays until [`Fair::served`] or [`Fair::leave`] says otherwise.
    pub fn turn(&mut self) -> Option<u32> {
        let first = self.heap.peek().map(|Reverse(first)| *first);
        match (self.current, first) {
            (Some(current), Some(first)) if first < current => {
                self.heap.push(Reverse(current));
                self.heap.pop();
                self.current = Some(first);
            }
            (None, Some(first)) => {
                self.heap.pop();
                self.current = Some(first);
            }
            _ => {}
        }
        self.current.map(|(_, child)| child)
    }

    /// The child that [`Fair::turn`] named has sent something of this cost.
    pub fn served(&mut self, cost: u64) {
        if let Some((tag, _)) = &mut self.current {
            // Only what is sent moves time on: whoever had its turn and no permit comes back with all that it is owed.
            self.now = self.now.max(*tag);
            *tag += cost;
        }
    }

    /// The child that [`Fair::turn`] named has nothing to send for now. Gives the tag to come back with.
    pub fn leave(&mut self) -> u64 {
        self.current.take().map_or(self.now, |(tag, _)| tag)
    }

    /// The present virtual time: a tag that isn't after it is worth nothing.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// True if no child is in here.
    pub fn is_empty(&self) -> bool {
        self.current.is_none() && self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments that each of `weights` got of `total`, when all have a backlog of messages of `sizes` segments.
    fn shares(weights: &[u32], sizes: &[u32], total: u64) -> Vec<u64> {
        let mut fair = Fair::default();
        (0..weights.len() as u32).for_each(|child| fair.activate(child, 0));
        let mut got = vec![0; weights.len()];
        while got.iter().sum::<u64>() < total {
            let child = fair.turn().unwrap() as usize;
            got[child] += u64::from(sizes[child]);
            fair.served(cost(sizes[child], weights[child]));
        }
        got
    }

    #[test]
    fn everybody_gets_its_weight_within_one_message() {
        let got = shares(&[1, 2, 7], &[1, 1, 1], 1000);
        for (got, fair) in got.iter().zip([100, 200, 700]) {
            assert!(got.abs_diff(fair) <= 1, "{got} of {fair}");
        }
        let got = shares(&[1, 1], &[1, 10], 2000);
        assert!(got[0].abs_diff(got[1]) <= 10, "segments are shared, not messages: {got:?}");
    }

    #[test]
    fn who_was_idle_gets_nothing_for_it_and_who_leaves_and_returns_gains_nothing() {
        let mut fair = Fair::default();
        fair.activate(0, 0);
        for _ in 0..100 {
            assert_eq!(fair.turn(), Some(0));
            fair.served(cost(1, 1));
        }
        fair.activate(1, 0);
        let mut got = [0; 2];
        let mut tag = 0;
        for _ in 0..100 {
            let child = fair.turn().unwrap();
            got[child as usize] += 1;
            fair.served(cost(1, if child == 0 { 1 } else { 9 }));
            if child == 0 {
                tag = fair.leave();
                fair.activate(0, tag);
            }
        }
        assert!(tag > 0);
        assert!((9..=11).contains(&got[0]), "{got:?}");
    }
}
