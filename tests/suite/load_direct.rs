//! Load generator and simulated carrier face to face over real sockets: what one end counts, the other confirms.

use hongyan::load::generator::{Load, LoadReport, LoadSettings};
use hongyan::load::ledger::AtCarrier;
use hongyan::sim::behaviour::{Behaviour, IdForm, ReceiptBind, ReceiptPlace, Share, StateNumber};
use hongyan::sim::carrier::Counts;
use hongyan::sim::smsc::{Smsc, SmscSettings};
use hongyan::smpp::status;

struct Outcome {
    report: LoadReport,
    reached: u64,
    repeated: u64,
    missing: u64,
    carrier: Counts,
}

fn face_to_face(behaviour: Behaviour, load: LoadSettings) -> Outcome {
    let smsc = Smsc::start(SmscSettings { behaviour, ..SmscSettings::default() }).unwrap();
    let load = Load::start(LoadSettings { target: smsc.local_addr(), ..load }).unwrap();
    let run = *b"run0";
    let (report, judged) = load.join(|| smsc.marks(run));
    let AtCarrier { reached, repeated, missing } = judged.unwrap_or_default();
    Outcome { report, reached, repeated, missing, carrier: smsc.stop() }
}

fn four_accounts() -> LoadSettings {
    let accounts = (1..=4).map(|n| (format!("account{n}"), "secret".to_owned())).collect();
    LoadSettings { accounts, binds: 4, ..LoadSettings::default() }
}

#[test]
fn every_message_is_answered_and_reported_once() {
    let outcome = face_to_face(Behaviour::default(), LoadSettings { messages: 20_000, ..four_accounts() });
    let tally = &outcome.report.tally;
    assert_eq!((tally.sent, tally.accepted, tally.reported, tally.unreported), (20_000, 20_000, 20_000, 0));
    assert_eq!((tally.duplicate_receipts, tally.mismatched_receipts, tally.unmatched_receipts, tally.unanswered), (0, 0, 0, 0));
    assert_eq!((outcome.reached, outcome.repeated, outcome.missing), (20_000, 0, 0));
    assert_eq!((outcome.carrier.taken, outcome.carrier.delivered, outcome.carrier.waiting), (20_000, 20_000, 0));
    assert_eq!((outcome.report.answer.count, outcome.report.receipt.count), (20_000, 20_000));
    assert_eq!(tally.states[&2], 20_000);
}

#[test]
fn an_open_loop_keeps_to_its_rate_and_sends_all() {
    let load = LoadSettings { messages: 2_000, rate_per_s: 4_000.0, ..four_accounts() };
    let outcome = face_to_face(Behaviour { answer_delay_ms: 3, receipt_delay_ms: 10, ..Behaviour::default() }, load);
    assert_eq!((outcome.report.tally.reported, outcome.missing), (2_000, 0));
    assert!(outcome.report.sending_s > 0.45, "2000 at 4000/s take half a second, not {}", outcome.report.sending_s);
    assert!(outcome.report.answer.p50_us >= 3_000 && outcome.report.receipt.p50_us >= 10_000);
}

#[test]
fn what_is_throttled_or_refused_is_counted_by_status_and_gets_no_receipt() {
    let behaviour = Behaviour { rate_per_s: 2_000, burst: 20, errors: vec![Share { what: 0x08, share: 0.1 }], ..Behaviour::default() };
    let outcome = face_to_face(behaviour, LoadSettings { messages: 1_000, binds: 2, ..LoadSettings::default() });
    let tally = &outcome.report.tally;
    assert!(tally.refused[&status::ESME_RTHROTTLED] > 0 && tally.refused[&0x08] > 0);
    assert_eq!(tally.accepted + tally.refused.values().sum::<u64>(), 1_000);
    assert_eq!((tally.reported, outcome.reached, outcome.carrier.taken), (tally.accepted, tally.accepted, tally.accepted));
    assert_eq!((outcome.carrier.throttled, outcome.carrier.refused), (tally.refused[&0x58], tally.refused[&0x08]));
}

#[test]
fn receipts_come_early_twice_and_on_another_bind_and_all_are_told_apart() {
    let behaviour = Behaviour {
        early_receipts: 0.3,
        duplicate_receipts: 0.2,
        receipt_bind: ReceiptBind::Other,
        receipts: vec![Share { what: StateNumber(2), share: 0.5 }, Share { what: StateNumber(5), share: 0.5 }],
        ..Behaviour::default()
    };
    let outcome = face_to_face(behaviour, LoadSettings { messages: 5_000, binds: 3, ..LoadSettings::default() });
    let tally = &outcome.report.tally;
    assert_eq!((tally.accepted, tally.reported, tally.mismatched_receipts), (5_000, 5_000, 0));
    assert!(outcome.carrier.receipts_early > 1_000 && outcome.carrier.receipts_duplicate > 500);
    assert_eq!(tally.states.values().sum::<u64>(), tally.reported + tally.duplicate_receipts);
    assert!(tally.duplicate_receipts <= outcome.carrier.receipts_duplicate);
    assert!(tally.states[&2] > 2_000 && tally.states[&5] > 2_000);
}

#[test]
fn without_quoted_texts_ids_alone_match_early_and_repeated_receipts() {
    let behaviour = Behaviour {
        early_receipts: 0.5,
        duplicate_receipts: 0.5,
        receipt_quote: false,
        receipt_place: ReceiptPlace::Text,
        receipt_sub_dlvrd: false,
        ..Behaviour::default()
    };
    let outcome = face_to_face(behaviour, LoadSettings { messages: 3_000, ..LoadSettings::default() });
    let tally = &outcome.report.tally;
    assert_eq!((tally.reported, tally.unreported, tally.unmatched_receipts, tally.matched_by_mark), (3_000, 0, 0, 0));
}

#[test]
fn an_id_in_another_form_is_matched_by_the_quoted_mark() {
    let behaviour =
        Behaviour { id_answer: IdForm::HexUpper, id_receipt: IdForm::Padded, receipt_place: ReceiptPlace::Text, ..Behaviour::default() };
    let outcome = face_to_face(behaviour, LoadSettings { messages: 500, ..LoadSettings::default() });
    assert_eq!((outcome.report.tally.reported, outcome.report.tally.matched_by_mark), (500, 500));
}

#[test]
fn after_hang_ups_sessions_bind_again_and_no_receipt_is_lost() {
    let behaviour = Behaviour { hang_up_every: 400, receipt_delay_ms: 20, ..Behaviour::default() };
    let load = LoadSettings { messages: 3_000, binds: 2, reconnect_ms: 20, ..LoadSettings::default() };
    let outcome = face_to_face(behaviour, load);
    let tally = &outcome.report.tally;
    assert!(outcome.carrier.hang_ups >= 4 && tally.unanswered > 0, "{tally:?}");
    assert_eq!(tally.accepted + tally.unanswered, 3_000);
    assert_eq!((tally.unreported, outcome.missing, outcome.repeated), (0, 0, 0));
    // What was taken without its answer coming through is reported too.
    assert_eq!(outcome.reached, tally.accepted + tally.reported_unanswered);
}

#[test]
fn lost_answers_are_unanswered_and_their_receipts_show_that_they_arrived() {
    let behaviour = Behaviour { lost_answers: 0.1, ..Behaviour::default() };
    let load = LoadSettings { messages: 2_000, response_timeout_ms: 200, wait_ms: 1_000, ..LoadSettings::default() };
    let outcome = face_to_face(behaviour, load);
    let tally = &outcome.report.tally;
    assert!(outcome.carrier.answers_lost > 100);
    assert_eq!((tally.unanswered, tally.reported_unanswered), (outcome.carrier.answers_lost, outcome.carrier.answers_lost));
    assert_eq!((tally.reported, outcome.reached), (tally.accepted, 2_000));
}

#[test]
fn transmitters_and_receivers_share_the_work_where_a_carrier_wants_that() {
    let smsc = Smsc::start(SmscSettings { no_transceiver: true, ..SmscSettings::default() }).unwrap();
    let load = LoadSettings { target: smsc.local_addr(), messages: 1_000, binds: 2, separate: true, ..LoadSettings::default() };
    let (report, _) = Load::start(load).unwrap().join(|| None);
    assert_eq!((report.tally.accepted, report.tally.reported), (1_000, 1_000));
    assert_eq!(smsc.stop().binds, 4);
}

#[test]
fn phones_write_at_their_rate_and_unbind_storms_are_survived() {
    let behaviour = Behaviour { inbound_per_s: 500.0, unbind_after_ms: 150, ..Behaviour::default() };
    let load = LoadSettings { messages: 1_000, rate_per_s: 2_000.0, binds: 3, reconnect_ms: 10, ..LoadSettings::default() };
    let outcome = face_to_face(behaviour, load);
    let tally = &outcome.report.tally;
    assert!(tally.inbound > 50 && outcome.carrier.binds > 3, "{tally:?} {:?}", outcome.carrier);
    assert_eq!((tally.accepted, tally.reported, outcome.missing), (1_000, 1_000, 0));
}
