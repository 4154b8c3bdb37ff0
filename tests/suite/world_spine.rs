//! The whole gateway in one thread: many worlds, each from a seed, each with its own mixture of misfortunes, held against the promises.

use hongyan::sim::world::{Settings, run};

#[test]
fn a_calm_world_reports_everything_once() {
    let outcome = run(1, &Settings::calm()).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!((outcome.accepted, outcome.acknowledged, outcome.repeated), (80, 80, 0));
}

#[test]
fn the_same_seed_gives_the_same_world() {
    for seed in 0..5 {
        let settings = Settings::drawn(seed);
        assert_eq!(run(seed, &settings).ok(), run(seed, &settings).ok(), "seed {seed}");
    }
}
