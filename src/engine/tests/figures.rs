//! What the metrics are told: how long things took, what waits for what, and how carriers deliver.

use super::*;
use crate::telemetry::WAIT_CAUSES;

impl Bench {
    fn waits(&self, class: Class) -> crate::telemetry::WaitFigures {
        self.engine.snapshot().carriers[0].waits[class as usize]
    }
}

#[test]
fn each_stop_of_the_way_is_timed_and_the_end_counts_where_the_number_is() {
    let mut bench = Bench::new().up();
    let delivered = bench.submit(1, Class::Transactional, "hi");
    bench.pass(1_000);
    bench.sent(delivered, 0, "A1");
    bench.pass(3_000);
    bench.receipt(1, "A1", ReceiptState::Delivered, 1);
    bench.take_reports();
    let failed = bench.submit(2, Class::Otp, "hi");
    bench.sent(failed, 0, "A2");
    bench.receipt(2, "A2", ReceiptState::Undeliverable, 2);
    let figures = bench.engine.snapshot();
    assert_eq!(figures.queue_times.map(|times| times.count()), [1, 1, 0]);
    let receipts = figures.carriers[0].receipt_times;
    assert_eq!(receipts.count(), 2);
    assert!((3_000_000..3_500_000).contains(&receipts.sum_us()), "{}", receipts.sum_us());
    assert!(figures.delivery_times.count() >= 1);
    assert_eq!((figures.accounts[0].submitted, figures.accounts[0].segments), (2, 2));
    let [row] = &figures.quality[..] else { panic!("{:?}", figures.quality) };
    let ends = [State::Delivered, State::Undelivered].map(|state| row.ends[state as usize]);
    assert_eq!((row.sent, ends, &*row.country), (2, [1, 1], "CN"));
    assert_eq!(row.failures, [(State::Undelivered, "none".to_owned(), 1)], "its receipt names no error");
    assert_eq!([row.matured, row.matured_delivered], [0, 0]);
    bench.pass(bench.engine.plan().bounds.matured_after_ms + 60_000);
    let row = &bench.engine.snapshot().quality[0];
    assert_eq!([row.matured, row.matured_delivered], [2, 1]);
}

#[test]
fn what_waits_is_told_with_its_age_its_cause_and_when_it_will_have_left() {
    let mut bench = Bench::new();
    bench.step(vec![Input::SessionUp { session: SESSION, account: AccountId(0), window: 10 }]);
    bench.submit(1, Class::Transactional, "hi");
    bench.submit(2, Class::Transactional, "hi");
    bench.pass(2_000);
    let waits = bench.waits(Class::Transactional);
    let causes: Vec<_> = WAIT_CAUSES.iter().zip(waits.causes).filter(|(_, messages)| *messages > 0).collect();
    assert_eq!(causes, [(&"no_bind", 2)]);
    assert!((2_000..3_000).contains(&waits.oldest_ms), "{}", waits.oldest_ms);
    let lane = &bench.engine.lane_reports()[0];
    assert_eq!((waits.drains_in_s, lane.drains_in_s), (None, None), "nothing leaves: any time would be invented");
    assert_eq!(bench.waits(Class::Otp), crate::telemetry::WaitFigures { drains_in_s: Some(0.0), ..Default::default() });
    bench.step(vec![Input::BindUp { bind: BIND, window: 10 }]);
    let waits = bench.waits(Class::Transactional);
    assert_eq!((waits.oldest_ms, waits.drains_in_s, waits.causes), (0, Some(0.0), [0; WAIT_CAUSES.len()]));
}

#[test]
fn after_a_restart_quality_begins_anew_and_what_was_sent_before_matures_nowhere() {
    let mut bench = Bench::new().up();
    let before = bench.submit(1, Class::Transactional, "hi");
    bench.sent(before, 0, "A1");
    let mut bench = bench.crash();
    bench.receipt(1, "A1", ReceiptState::Delivered, 1);
    bench.pass(bench.engine.plan().bounds.matured_after_ms + 60_000);
    let rows = bench.engine.snapshot().quality;
    let sums: Vec<_> = rows.iter().map(|row| (row.sent, row.ends[State::Delivered as usize], row.matured)).collect();
    assert_eq!(sums, [(0, 1, 0)]);
}
