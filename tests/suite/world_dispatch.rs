//! Worlds in which the dispatch engine has more to do, each from a seed, held against what it promises: buckets, shares, hours, order. A failing seed is printed
//! and replays.

use super::world_rig::{seeds, worlds};
use hongyan::sim::world::Settings;

#[test]
fn no_bucket_lets_more_through_than_burst_and_rate_whatever_goes_wrong() {
    let sum = worlds(seeds(0..500), Settings::paced);
    assert!(sum.acknowledged <= sum.accepted && sum.crashes > 0, "{sum:?}");
}

#[test]
fn accounts_share_by_weight_campaigns_equally_and_classes_get_their_guaranteed_share() {
    let sum = worlds(seeds(0..40), Settings::fair);
    assert!(sum.accepted > 0, "{sum:?}");
}

#[test]
fn nothing_of_a_class_leaves_outside_its_hours_whatever_the_wall_clock_does() {
    worlds(seeds(0..40), Settings::hourly);
}

#[test]
fn what_gathered_while_its_hours_were_closed_leaves_at_their_opening_and_spread() {
    let sum = worlds(seeds(0..150), Settings::gathering);
    assert!(sum.accepted > 0, "{sum:?}");
}
