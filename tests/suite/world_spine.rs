//! The whole gateway in one thread: many worlds, each from a seed, held against the promises. A failing seed is printed and replays.

use super::world_rig::{seeds, worlds};
use hongyan::sim::behaviour::ReceiptBind;
use hongyan::sim::world::{Settings, run};

#[test]
fn in_every_world_the_promises_hold() {
    let sum = worlds(seeds(0..900), Settings::drawn);
    assert!(sum.acknowledged <= sum.accepted && sum.crashes > 0 && sum.carried > 0, "{sum:?}");
}

#[test]
fn a_calm_world_takes_everything_sends_it_once_and_reports_it() {
    let sum = worlds(0..5, |_| Settings { long_share: 0.3, ..Settings::calm() });
    assert_eq!((sum.accepted, sum.acknowledged, sum.repeated), (400, 400, 0));
}

#[test]
fn the_same_seed_gives_the_same_world() {
    for seed in 0..10 {
        let settings = Settings::drawn(seed);
        let [first, second] = [(), ()].map(|()| run(seed, &settings).unwrap_or_else(|failure| panic!("{failure}")));
        assert_eq!(first, second, "seed {seed}");
    }
}

/// A short world with everything in it that a crash could tear apart.
fn short(seed: u64) -> Settings {
    let mut settings = Settings { messages: 12, busy_ms: 1_500, long_share: 0.4, journal_octets: 1_500, ..Settings::calm() };
    settings.behaviour.early_receipts = 0.3;
    settings.behaviour.receipt_jitter_ms = 500;
    settings.behaviour.lost_answers = if seed.is_multiple_of(2) { 0.2 } else { 0.0 };
    settings.response_timeout_ms = 300;
    settings
}

#[test]
fn a_crash_at_any_step_loses_nothing_acknowledged() {
    for seed in 0..4 {
        let events = worlds(seed..seed + 1, short).events.min(900);
        for at in (seed..events).step_by(4) {
            worlds(seed..seed + 1, |seed| Settings { crash_at_event: Some(at), ..short(seed) });
        }
    }
}

#[test]
fn lost_and_late_answers_end_in_no_loss_and_in_doubles_only_where_they_are_allowed() {
    let sum = worlds(seeds(1000..1040), |seed| {
        let mut settings = Settings { long_share: 0.3, ..Settings::calm() };
        settings.behaviour.lost_answers = 0.2;
        settings.behaviour.answer_jitter_ms = if seed.is_multiple_of(2) { 6_000 } else { 50 };
        settings
    });
    assert!(sum.repeated > 0, "a doubt of a notice is sent once again");
}

#[test]
fn connections_cut_at_any_octet_on_both_sides_lose_nothing() {
    worlds(seeds(2000..2030), |_| Settings {
        cut_carrier_every_ms: 500,
        cut_upstream_every_ms: 500,
        stall_every_ms: 2_000,
        half_open_share: 0.4,
        ..Settings::calm()
    });
}

#[test]
fn receipts_that_are_early_doubled_or_come_on_another_bind_are_told_once() {
    worlds(seeds(3000..3030), |_| {
        let mut settings = Settings::calm();
        settings.behaviour.early_receipts = 0.5;
        settings.behaviour.duplicate_receipts = 0.5;
        settings.behaviour.receipt_bind = ReceiptBind::Other;
        settings
    });
}

#[test]
fn an_upstream_that_answers_late_or_not_at_all_gets_its_reports_at_least_once() {
    worlds(seeds(4000..4030), |_| Settings {
        upstream_later: 0.3,
        upstream_never: 0.1,
        upstream_silent: 0.3,
        crash_every_ms: 4_000,
        ..Settings::calm()
    });
}

#[test]
fn what_is_carried_into_the_ledger_survives_crash_upon_crash() {
    let sum = worlds(seeds(5000..5030), |_| Settings { crash_every_ms: 700, journal_octets: 1_200, long_share: 0.3, ..Settings::calm() });
    assert!(sum.carried > 100 && sum.crashes > 300, "{sum:?}");
}

/// Memory holds next to nothing: most messages go out of it and come back.
fn cold(seed: u64) -> Settings {
    let settings = Settings::drawn(seed);
    Settings { max_in_memory: 2 + seed as usize % 7, cold_after_ms: 1_000, sent_cold_after_ms: 600_000, scheduled_share: 0.4, ..settings }
}

/// Sent messages go out of memory as soon as they can, and their receipts are slow.
fn sent_cold(seed: u64) -> Settings {
    let mut settings = Settings::drawn(seed);
    settings.behaviour.receipt_jitter_ms = 12_000;
    settings.max_in_memory = [4, 15, 1_000_000][seed as usize % 3].min(15);
    Settings { sent_cold_after_ms: 100, notes_per_run: 1 + seed as usize % 30, ..settings }
}

#[test]
fn receipts_find_messages_that_have_left_memory() {
    let sum = worlds(seeds(8000..8120), sent_cold);
    assert!(sum.chunks_read > 500 && sum.pages_read > 500, "{sum:?}");
    println!("{sum:?}");
}

#[test]
fn a_crash_at_any_step_loses_no_receipt_of_a_message_that_has_left_memory() {
    let few = |seed: u64| {
        let mut settings = Settings { max_in_memory: 4, sent_cold_after_ms: 50, notes_per_run: 4, ..short(seed) };
        settings.behaviour.receipt_jitter_ms = 6_000;
        settings.behaviour.duplicate_receipts = 0.3;
        settings.behaviour.intermediate = true;
        settings
    };
    for seed in 0..2 {
        let events = worlds(seed..seed + 1, few).events.min(1_500);
        for at in (seed..events).step_by(5) {
            worlds(seed..seed + 1, |seed| Settings { crash_at_event: Some(at), ..few(seed) });
        }
    }
}

#[test]
fn what_leaves_memory_comes_back_and_is_sent() {
    let sum = worlds(seeds(7000..7060), cold);
    assert!(sum.chunks_read > 100, "{sum:?}");
}

#[test]
fn a_crash_at_any_step_loses_nothing_that_is_out_of_memory() {
    let few = |seed: u64| Settings {
        max_in_memory: 2,
        cold_after_ms: 500,
        scheduled_share: 0.5,
        cancelled_share: 0.3,
        rate_per_s: Some(5),
        ..short(seed)
    };
    for seed in 0..2 {
        let events = worlds(seed..seed + 1, few).events.min(900);
        for at in (seed..events).step_by(3) {
            worlds(seed..seed + 1, |seed| Settings { crash_at_event: Some(at), ..few(seed) });
        }
    }
}

/// Numbers are blocked and opt out all the time, while messages wait for slow carriers.
fn listed(seed: u64) -> Settings {
    Settings {
        listed_every_ms: 150,
        crash_every_ms: [0, 3_000, 900][seed as usize % 3],
        journal_octets: 1_500,
        rate_per_s: Some(8),
        ..Settings::drawn(seed)
    }
}

#[test]
fn nothing_leaves_to_a_number_once_its_block_or_its_opt_out_is_answered() {
    let sum = worlds(seeds(8000..8060), listed);
    assert!(sum.listed > 500 && sum.stopped > 100 && sum.crashes > 20 && sum.carried > 100, "{sum:?}");
}

#[test]
fn failing_syncs_slow_disks_and_a_jumping_clock_lose_nothing() {
    worlds(seeds(6000..6030), |_| Settings {
        failed_sync_every_ms: 3_000,
        disk_every_ms: 2_000,
        wall_jump_every_ms: 1_000,
        ..Settings::calm()
    });
}

#[test]
fn what_is_handed_in_twice_is_one_message_with_one_id_also_across_crashes() {
    let sum = worlds(seeds(8000..8030), |seed| Settings {
        repeated_share: 0.5,
        job_lines: 30,
        crash_every_ms: [0, 700, 3_000][seed as usize % 3],
        journal_octets: 1_500,
        ..Settings::calm()
    });
    assert!(sum.repeats > 500 && sum.crashes > 200, "{sum:?}");
}

#[test]
fn balances_are_exact_and_never_below_their_limit_also_across_crashes() {
    let sum = worlds(seeds(8100..8130), |seed| Settings {
        limit: Some([0, 100, 500][seed as usize % 3]),
        top_up_every_ms: 500,
        crash_every_ms: [0, 700, 3_000][seed as usize % 3],
        journal_octets: 1_500,
        job_lines: 10,
        ..Settings::drawn(seed)
    });
    assert!(sum.no_credit > 100 && sum.accepted > 1_000, "{sum:?}");
}

#[test]
fn a_crash_at_any_step_makes_no_second_message_and_loses_no_credit() {
    let twice = |seed: u64| Settings {
        repeated_share: 0.7,
        job_lines: 6,
        limit: Some(100),
        top_up_every_ms: 200,
        cancelled_share: 0.3,
        journal_octets: 1_000,
        ..short(seed)
    };
    for seed in 0..2 {
        let events = worlds(seed..seed + 1, twice).events.min(900);
        for at in (seed..events).step_by(3) {
            worlds(seed..seed + 1, |seed| Settings { crash_at_event: Some(at), ..twice(seed) });
        }
    }
}

#[test]
fn rules_weights_health_and_second_tries_break_no_promise() {
    let sum = worlds(seeds(0..300), Settings::routed);
    assert!(sum.rerouted > sum.accepted / 50, "{sum:?}");
}

#[test]
fn a_crash_at_any_step_of_a_second_try_loses_nothing() {
    let few = |seed: u64| Settings { rules: true, reroutes: [1, 2, 2], behaviour: Settings::routed(seed).behaviour, ..short(seed) };
    for seed in 0..3 {
        let events = worlds(seed..seed + 1, few).events.min(900);
        for at in (seed..events).step_by(5) {
            worlds(seed..seed + 1, |seed| Settings { crash_at_event: Some(at), ..few(seed) });
        }
    }
}
