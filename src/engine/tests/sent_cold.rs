//! Sent messages that leave memory, and what comes back for them.

use super::*;
use crate::engine::port::CancelWhat;

/// Memory for next to nothing; sent messages are old after ten seconds, after one when it is crowded.
pub(super) fn few() -> Bounds {
    Bounds { journal_octets: 1 << 20, max_in_memory: 8, sent_cold_after_ms: 10_000, notes_per_run: 50, ..Bounds::default() }
}

/// A bench on which `count` messages were sent under the ids that `id` gives, and have left memory.
fn sent(bounds: Bounds, count: u64, id: impl Fn(u64) -> String) -> (Bench, Vec<MessageId>) {
    let mut bench = Bench::with(bounds).up();
    let ids: Vec<_> = (0..count)
        .map(|n| {
            let message = bench.submit(n, Class::Transactional, "a text that is longer than what a report shows of it");
            bench.sent(message, 0, &id(n));
            message
        })
        .collect();
    bench.pass(15_000);
    assert_eq!((bench.engine.cold().0, bench.engine.messages.len()), (count, 0), "all of them are out of memory");
    assert_eq!((bench.state(State::SentWaiting), bench.engine.index.len()), (count, 0));
    (bench, ids)
}

#[test]
fn a_receipt_finds_its_message_out_of_memory_in_whatever_form_it_writes_the_id_also_across_crashes() {
    type Form<'f> = &'f dyn Fn(u64) -> String;
    let forms: [(Form, Form); 3] = [
        (&|n| format!("{:x}", 0xabcd_0000 + n), &|n| (0xabcd_0000 + n).to_string()),
        (&|n| (5_000_000 + n).to_string(), &|n| format!("{:X}", 5_000_000 + n)),
        (&|n| format!("00-{n}-q"), &|n| format!("00-{n}-Q")),
    ];
    for (answer, receipt) in forms {
        let (mut bench, ids) = sent(few(), 300, answer);
        let mut got = Vec::new();
        for n in 0..300 {
            // Here and there, so that chunks come back again and again.
            let n = n * 77 % 300;
            bench.receipt(n, &receipt(n), ReceiptState::Delivered, n);
            got.extend(bench.reported());
            assert_eq!(got.last(), Some(&(ids[n as usize], ReceiptState::Delivered)));
            bench.take_reports();
            if n % 50 == 7 {
                bench = bench.crash();
                bench.take_reports();
            }
        }
        assert_eq!((bench.state(State::Delivered), bench.engine.alive(), bench.engine.parked()), (300, 0, 0));
        bench.pass(20_000);
        let mut bench = bench.crash();
        assert_eq!((bench.state(State::Delivered), bench.engine.alive()), (300, 0));
        // What nobody needs any more goes.
        (0..60).for_each(|n| {
            let id = bench.submit(1_000 + n, Class::Transactional, "more");
            bench.sent(id, 0, &format!("more{n}"));
        });
        bench.pass(40_000);
        let chunks = bench.ledger.chunk_ids().unwrap().len();
        let mut pages = 0;
        bench
            .ledger
            .pages(crate::engine::runs::RUN, &mut |_, _| {
                pages += 1;
                Ok(())
            })
            .unwrap();
        assert!(chunks <= 6 && pages <= 4, "{chunks} chunks, {pages} runs for 60 messages");
    }
}

#[test]
fn the_phone_must_agree_and_an_id_that_came_round_means_the_newest_message() {
    // A hundred ids for three hundred messages: each came round twice.
    let (mut bench, ids) = sent(few(), 300, |n| format!("id{}", n % 100));
    bench.receipt(1, "id5", ReceiptState::Delivered, 999);
    assert_eq!((bench.reported().len(), bench.engine.parked()), (0, 1), "nobody's");
    bench.receipt(2, "id5", ReceiptState::Delivered, 205);
    assert_eq!(bench.reported(), [(ids[205], ReceiptState::Delivered)]);
    let mut bench = bench.crash();
    bench.take_reports();
    bench.receipt(3, "id5", ReceiptState::Delivered, 205);
    assert_eq!((bench.reported().len(), bench.state(State::Delivered)), (0, 1), "once");
}

#[test]
fn receipts_for_one_part_keep_their_order_while_they_wait() {
    let (mut bench, ids) = sent(few(), 40, |n| format!("id{n}"));
    let facts = |state: ReceiptState| facts("id7", state, 7);
    let receipts = [ReceiptState::Enroute, ReceiptState::Delivered, ReceiptState::Undeliverable, ReceiptState::Delivered];
    let deliveries = receipts.iter().enumerate().map(|(at, &state)| (at as u64, Received::Receipt(Box::new(facts(state))))).collect();
    let before = bench.engine.tally().receipts_repeated;
    bench.step(vec![Input::Received { bind: BIND, deliveries }]);
    assert_eq!(bench.reported(), [(ids[7], ReceiptState::Delivered)]);
    assert_eq!((bench.stored.as_slice(), bench.engine.tally().receipts_repeated - before), (&[0, 1, 2, 3][..], 3));
    assert_eq!(bench.engine.parked(), 0);
}

#[test]
fn more_receipts_than_may_wait_are_asked_for_again() {
    let (mut bench, ids) = sent(few(), 40, |n| format!("id{n}"));
    let deliveries = (0..10_003).map(|at| (at, Received::Receipt(Box::new(facts("id7", ReceiptState::Delivered, 7))))).collect();
    bench.step(vec![Input::Received { bind: BIND, deliveries }]);
    assert_eq!((bench.stored.len(), bench.engine.tally().receipts_put_off), (10_000, 3));
    assert_eq!(bench.reported(), [(ids[7], ReceiptState::Delivered)]);
}

#[test]
fn a_long_message_keeps_what_was_reported_of_its_parts() {
    let mut bench = Bench::with(few()).up();
    let ids: Vec<_> = (0..30).map(|n| three_parts(&mut bench, n, Class::Transactional)).collect();
    for (n, &id) in ids.iter().enumerate() {
        (0..3).for_each(|part| bench.sent(id, part, &format!("m{n}p{part}")));
        bench.receipt(n as u64, &format!("m{n}p1"), ReceiptState::Delivered, n as u64);
    }
    bench.pass(15_000);
    let mut bench = bench.crash();
    assert_eq!((bench.engine.cold().0, bench.state(State::SentWaiting)), (30, 30));
    for n in 0..30 {
        bench.receipt(n, &format!("m{n}p1"), ReceiptState::Undeliverable, n);
        bench.receipt(n, &format!("m{n}p2"), ReceiptState::Delivered, n);
        bench.pass(1_000);
    }
    assert_eq!((bench.reported().len(), bench.state(State::SentWaiting)), (0, 30), "one part is missing of each");
    bench.pass(15_000);
    let mut bench = bench.crash();
    (0..30).for_each(|n| bench.receipt(n, &format!("m{n}p0"), ReceiptState::Delivered, n));
    assert_eq!((bench.reported().len(), bench.state(State::Delivered), bench.engine.alive()), (10, 30, 0), "ten are with the client");
}

#[test]
fn messages_whose_receipts_never_come_end_in_time_and_a_late_receipt_changes_nothing() {
    let (bench, _) = sent(few(), 300, |n| format!("id{n}"));
    let mut bench = bench.crash();
    let after_ms = bench.engine.plan.carriers[0].no_receipt_after_ms;
    bench.now = bench.now.plus_us((after_ms - 60_000) * 1000);
    bench.pass(1_000);
    assert_eq!(bench.state(State::NoReceipt), 0, "not early");
    bench.now = bench.now.plus_us(150_000_000);
    bench.pass(5_000);
    assert_eq!((bench.state(State::NoReceipt), bench.engine.alive(), bench.engine.cold()), (300, 0, (0, 0)));
    bench.receipt(1, "id1", ReceiptState::Delivered, 1);
    let bench = bench.crash();
    assert_eq!((bench.state(State::NoReceipt), bench.state(State::Delivered)), (300, 0));
}

#[test]
fn sent_messages_out_of_memory_are_found_and_can_no_longer_be_cancelled() {
    let (mut bench, ids) = sent(few(), 300, |n| format!("id{n}"));
    let source = Address::new(5, 0, b"SHOP").unwrap();
    let before = bench.reads;
    bench.step(vec![Input::Query { session: SESSION, token: 1, message: ids[211], source: source.clone() }]);
    bench.step(vec![Input::Query { session: SESSION, token: 2, message: MessageId(ids[211].0 + 10_000), source: source.clone() }]);
    let what = CancelWhat::One { message: ids[3], source: source.clone() };
    bench.step(vec![Input::Cancel { session: SESSION, token: 3, what }]);
    assert_eq!(bench.queried, [(1, Ok(State::SentWaiting)), (2, Err(Refusal::UnknownMessage))]);
    assert_eq!(bench.done, [(3, Err(Refusal::CancelFailed))]);
    assert!(bench.reads - before <= 2, "{} chunks were read for two messages", bench.reads - before);
    bench.pass(2_000);
    assert_eq!(bench.engine.cold().0, 300, "they leave again as they are");
    let destination = Address::new(1, 1, b"8613800138000").unwrap();
    let what = CancelWhat::All { source, destination, service_type: ArrayVec::new() };
    bench.step(vec![Input::Cancel { session: SESSION, token: 4, what }]);
    assert_eq!((bench.done[1], bench.engine.cold().0), ((4, Err(Refusal::CancelFailed)), 300));
}

#[test]
fn a_late_answer_to_an_earlier_copy_finds_its_message_out_of_memory() {
    let mut bench = Bench::with(few()).up();
    let ids: Vec<_> = (0..40).map(|n| bench.submit(n, Class::Transactional, "text")).collect();
    // Ten have room at a time; each is in doubt once and goes out again.
    for &id in &ids {
        bench.outcome(id, 0, Outcome::InDoubt);
    }
    bench.pass(11_000);
    for (n, &id) in ids.iter().enumerate() {
        bench.sent(id, 0, &format!("second{n}"));
    }
    bench.pass(15_000);
    assert_eq!(bench.engine.cold().0, 40);
    bench.sent(ids[9], 0, "first9");
    bench.receipt(1, "first9", ReceiptState::Delivered, 9);
    assert_eq!(bench.reported(), [(ids[9], ReceiptState::Delivered)]);
    assert_eq!(bench.crash().engine.alive(), 39);
}

#[test]
fn one_deferred_message_among_many_is_found_by_reading_next_to_nothing() {
    let mut bench = Bench::with(Bounds { notes_per_run: 300, ..tiny() }).up();
    // Due here and there, so that every chunk holds ids from first to last.
    let ids: Vec<_> = (0..2_000)
        .map(|n| {
            bench.due_in_ms = 3_600_000 + n * 7_919 % 2_000 * 60_000;
            bench.submit(n, Class::Transactional, "later")
        })
        .collect();
    bench.due_in_ms = 0;
    bench.pass(5_000);
    let (out, chunks) = bench.engine.cold();
    assert!(out > 1_900 && chunks > 4, "{out} in {chunks}");
    let mut bench = bench.crash();
    let before = bench.reads;
    let source = Address::new(5, 0, b"SHOP").unwrap();
    for (token, &id) in ids.iter().enumerate().step_by(199) {
        bench.step(vec![Input::Query { session: SESSION, token: token as u64, message: id, source: source.clone() }]);
        bench.pass(100);
    }
    assert!(bench.queried.iter().all(|(_, result)| *result == Ok(State::Waiting)), "{:?}", bench.queried);
    assert!(bench.reads - before <= 11, "{} chunks were read for 11 messages", bench.reads - before);
}

#[test]
fn memory_holds_little_more_than_it_may_while_very_many_arrive() {
    let mut bench = Bench::with(Bounds { max_in_memory: 500, ..Bounds::default() }).up();
    bench.due_in_ms = 3_600_000;
    let mut most = 0;
    for n in 0..6_000 {
        bench.submit(n, Class::Transactional, "later");
        most = most.max(bench.engine.messages.len());
    }
    assert!(most < 1_000, "{most} in memory");
    assert_eq!(bench.engine.alive(), 6_000, "none was refused");
}

#[test]
fn an_ended_message_whose_id_reads_the_same_in_another_form_hides_none_that_is_out_of_memory() {
    // 24 in decimal is 18 in hexadecimal: both are ids of this carrier.
    let (mut bench, ids) = sent(few(), 40, |n| n.to_string());
    for n in [24, 36, 18, 22] {
        bench.receipt(n, &n.to_string(), ReceiptState::Delivered, n);
        // The others leave again.
        bench.pass(1_000);
    }
    let reported: Vec<_> = bench.reported().into_iter().map(|(id, _)| id).collect();
    assert_eq!(reported, [24, 36, 18, 22].map(|n: usize| ids[n]));
    assert_eq!((bench.state(State::Delivered), bench.engine.parked()), (4, 0));
    let before = bench.engine.tally().receipts_repeated;
    bench.receipt(99, "18", ReceiptState::Delivered, 18);
    assert_eq!(bench.engine.tally().receipts_repeated, before + 1);
}
