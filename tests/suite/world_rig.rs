//! Runs worlds and sums up what they came to.

use hongyan::sim::world::{Outcome, Settings, run};

/// Seeds of the long tests: `HONGYAN_SEEDS=FIRST..LAST` or `HONGYAN_SEEDS=COUNT`, else these.
pub fn seeds(else_these: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let number = |text: &str| text.parse().expect("HONGYAN_SEEDS is COUNT or FIRST..LAST");
    match std::env::var("HONGYAN_SEEDS") {
        Ok(text) => match text.split_once("..") {
            Some((first, last)) => number(first)..number(last),
            None => 0..number(&text),
        },
        Err(_) => else_these,
    }
}

/// Runs worlds of these settings; the sum of what they came to. Prints every failure.
pub fn worlds(seeds: std::ops::Range<u64>, settings: impl Fn(u64) -> Settings) -> Outcome {
    let mut failed = Vec::new();
    let mut sum = Outcome::default();
    for seed in seeds {
        match run(seed, &settings(seed)) {
            Ok(outcome) => {
                sum.accepted += outcome.accepted;
                sum.acknowledged += outcome.acknowledged;
                sum.repeated += outcome.repeated;
                sum.reported += outcome.reported;
                sum.crashes += outcome.crashes;
                sum.carried += outcome.carried;
                sum.chunks_read += outcome.chunks_read;
                sum.listed += outcome.listed;
                sum.stopped += outcome.stopped;
                sum.repeats += outcome.repeats;
                sum.no_credit += outcome.no_credit;
                sum.rerouted += outcome.rerouted;
                sum.pages_read += outcome.pages_read;
                sum.events = sum.events.max(outcome.events);
            }
            Err(failure) => {
                println!("{failure}");
                failed.push(seed);
            }
        }
    }
    assert!(failed.is_empty(), "seeds {failed:?}");
    sum
}
