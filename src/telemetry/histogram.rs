//! How long things took, counted by whoever acts in a row of plain integers, and handed over whole.

/// Upper bounds of the buckets in microseconds: 50 µs to a day, for an answer on the same machine and for a phone that was off overnight alike.
pub const BOUNDS_US: [u64; 25] = [
    50,
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    60_000_000,
    120_000_000,
    300_000_000,
    900_000_000,
    3_600_000_000,
    14_400_000_000,
    86_400_000_000,
];

/// Times by bucket, the last one for what took longer than a day, and their sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeHistogram {
    counts: [u64; BOUNDS_US.len() + 1],
    sum_us: u64,
}

impl TimeHistogram {
    /// Counts one time.
    #[inline]
    pub fn record_us(&mut self, us: u64) {
        self.counts[BOUNDS_US.partition_point(|&bound| bound < us)] += 1;
        self.sum_us = self.sum_us.saturating_add(us);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum, microseconds.
    pub fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// Each bound in seconds, with how many took no longer.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let upto = self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        BOUNDS_US.iter().map(|&us| us as f64 / 1e6).zip(upto)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_under_the_first_bound_that_is_not_less() {
        let mut times = TimeHistogram::default();
        for us in [0, 50, 51, 86_400_000_000, 86_400_000_001] {
            times.record_us(us);
        }
        let buckets: Vec<(f64, u64)> = times.buckets().collect();
        assert_eq!((buckets[0], buckets[1]), ((5e-5, 2), (1e-4, 3)));
        assert_eq!((buckets[24], times.count()), ((86_400.0, 4), 5));
        assert_eq!(times.sum_us(), 172_800_000_102);
        assert!(BOUNDS_US.is_sorted());
    }
}
