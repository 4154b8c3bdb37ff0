//! The simulated carrier without sockets, on a hand-turned clock.

use hongyan::model::Now;
use hongyan::sim::behaviour::{Behaviour, ReceiptBind, Share};
use hongyan::sim::carrier::{Action, BindKey, Carrier, Submit};
use hongyan::sim::delivery::{What, Written};
use hongyan::smpp::{Addr, Sm, command, status};

const START: Now = Now { mono_us: 1_000_000, wall_ms: 1_790_000_000_000 };

fn at(ms: u64) -> Now {
    START.plus_us(ms * 1000)
}

fn submit(carrier: &mut Carrier, bind: BindKey, sequence: u32, now: Now) -> Option<Action> {
    let sm = Sm {
        source: Addr { ton: 0, npi: 1, addr: b"1069" },
        destination: Addr { ton: 1, npi: 1, addr: b"8613800000001" },
        registered_delivery: 1,
        short_message: b"text",
        ..Sm::default()
    };
    carrier.submit(bind, &Submit::of(command::SUBMIT_SM_RESP, sequence, &sm), now)
}

fn due(carrier: &mut Carrier, bind: BindKey, free: usize, now: Now) -> Vec<Action> {
    let mut actions = Vec::new();
    carrier.due(bind, free, now, &mut actions);
    actions
}

fn tokens(actions: &[Action]) -> Vec<u64> {
    actions.iter().filter_map(|action| if let Action::Deliver { token } = action { Some(*token) } else { None }).collect()
}

fn answered_with(action: Option<Action>) -> Option<u32> {
    if let Some(Action::Answer { status, .. }) = action { Some(status) } else { None }
}

#[test]
fn answers_and_receipts_come_after_their_delays_and_not_before() {
    let mut carrier = Carrier::new(Behaviour { answer_delay_ms: 30, receipt_delay_ms: 100, ..Behaviour::default() }, 1);
    let bind = carrier.bind_up(true, at(0));
    assert_eq!(submit(&mut carrier, bind, 7, at(0)), None);
    assert_eq!(carrier.next_due(bind), Some(at(30).mono_us));
    assert!(due(&mut carrier, bind, 10, at(29)).is_empty());
    let answer = due(&mut carrier, bind, 10, at(30));
    assert!(matches!(answer[..], [Action::Answer { sequence: 7, status: 0, id: 1_000_001, .. }]), "{answer:?}");
    assert!(due(&mut carrier, bind, 10, at(99)).is_empty());
    assert_eq!(tokens(&due(&mut carrier, bind, 10, at(100))).len(), 1);
}

#[test]
fn the_rate_is_kept_to_with_its_burst() {
    let mut carrier = Carrier::new(Behaviour { rate_per_s: 100, burst: 5, ..Behaviour::default() }, 1);
    let bind = carrier.bind_up(true, at(0));
    let taken = |carrier: &mut Carrier, now| (0..20).filter(|n| answered_with(submit(carrier, bind, *n, now)) == Some(0)).count();
    assert_eq!(taken(&mut carrier, at(0)), 5);
    assert_eq!(taken(&mut carrier, at(30)), 3);
    assert_eq!(taken(&mut carrier, at(10_000)), 5);
    assert_eq!(carrier.counts().throttled, 60 - 13);
}

#[test]
fn a_receipt_waits_for_a_free_place_and_comes_again_until_it_is_taken() {
    let mut carrier = Carrier::new(Behaviour { redeliver_ms: 500, ..Behaviour::default() }, 1);
    let bind = carrier.bind_up(true, at(0));
    submit(&mut carrier, bind, 1, at(0));
    submit(&mut carrier, bind, 2, at(0));
    let first = tokens(&due(&mut carrier, bind, 1, at(1)));
    assert_eq!(first.len(), 1, "one place, one receipt");
    let second = tokens(&due(&mut carrier, bind, 1, at(1)));
    carrier.delivered(bind, first[0], Some(status::ESME_ROK), at(2));
    carrier.delivered(bind, second[0], Some(status::ESME_RX_T_APPN), at(2));
    assert!(due(&mut carrier, bind, 5, at(501)).is_empty());
    assert_eq!(tokens(&due(&mut carrier, bind, 5, at(502))), second);
    carrier.delivered(bind, second[0], None, at(600));
    assert_eq!(tokens(&due(&mut carrier, bind, 5, at(1_100))), second);
    carrier.delivered(bind, second[0], Some(status::ESME_RX_P_APPN), at(1_200));
    let counts = carrier.counts();
    assert_eq!((counts.delivered, counts.delivery_retries, counts.delivery_failures, counts.waiting), (1, 2, 1, 0));
}

#[test]
fn receipts_without_a_receiver_wait_and_move_with_the_binds() {
    let mut carrier = Carrier::new(Behaviour { receipt_delay_ms: 50, ..Behaviour::default() }, 1);
    let transmitter = carrier.bind_up(false, at(0));
    submit(&mut carrier, transmitter, 1, at(0));
    assert!(tokens(&due(&mut carrier, transmitter, 10, at(60))).is_empty());
    let receiver = carrier.bind_up(true, at(70));
    let handed = tokens(&due(&mut carrier, receiver, 10, at(70)));
    assert_eq!(handed.len(), 1);
    // Handed out and not answered when the session ends: the next receiver gets it.
    carrier.bind_down(receiver, &handed, at(80));
    let next = carrier.bind_up(true, at(90));
    assert_eq!(tokens(&due(&mut carrier, next, 10, at(90))), handed);
    let mut written = Written::default();
    let delivery = carrier.write(handed[0], &mut written).unwrap();
    assert!(matches!(delivery.what, What::Receipt { id: 1_000_001, .. }));
    assert_eq!((delivery.source.digits.as_slice(), delivery.destination.digits.as_slice()), (&b"8613800000001"[..], &b"1069"[..]));
}

#[test]
fn a_receipt_on_another_bind_wakes_it() {
    let mut carrier = Carrier::new(Behaviour { receipt_bind: ReceiptBind::Other, ..Behaviour::default() }, 1);
    let (first, second) = (carrier.bind_up(true, at(0)), carrier.bind_up(true, at(0)));
    submit(&mut carrier, first, 1, at(0));
    assert_eq!(carrier.woken().collect::<Vec<_>>(), [second]);
    assert!(tokens(&due(&mut carrier, first, 10, at(1))).is_empty());
    assert_eq!(tokens(&due(&mut carrier, second, 10, at(1))).len(), 1);
}

#[test]
fn the_same_seed_takes_the_same_course() {
    let course = |seed| {
        let errors = vec![Share { what: 8, share: 0.3 }];
        let mut carrier = Carrier::new(Behaviour { errors, lost_answers: 0.2, answer_jitter_ms: 5, ..Behaviour::default() }, seed);
        let bind = carrier.bind_up(true, at(0));
        let mut seen = Vec::new();
        for sequence in 0..200 {
            seen.extend(submit(&mut carrier, bind, sequence, at(u64::from(sequence))));
            seen.extend(due(&mut carrier, bind, 3, at(u64::from(sequence))));
        }
        seen
    };
    assert_eq!(course(5), course(5));
    assert_ne!(course(5), course(6));
}

fn part(text: &[u8]) -> Sm<'_> {
    Sm {
        source: Addr { ton: 0, npi: 1, addr: b"1069" },
        destination: Addr { ton: 1, npi: 1, addr: b"8613800000001" },
        registered_delivery: 1,
        esm_class: 0x40,
        short_message: text,
        ..Sm::default()
    }
}

#[test]
fn parts_of_one_text_get_one_receipt_where_the_carrier_reports_once() {
    for (one_receipt, receipts) in [(false, [1, 1, 1]), (true, [0, 0, 1])] {
        let mut carrier = Carrier::new(Behaviour { one_receipt, ..Behaviour::default() }, 1);
        let bind = carrier.bind_up(true, at(0));
        let mut ids = Vec::new();
        // The second part comes first, and again.
        for (sequence, number) in [2u8, 2, 1].into_iter().enumerate() {
            let text = [5, 0, 3, 77, 2, number, b'x'];
            let sm = part(&text);
            carrier.submit(bind, &Submit::of(command::SUBMIT_SM_RESP, sequence as u32, &sm), at(0));
            ids.push(tokens(&due(&mut carrier, bind, 10, at(0))).len());
        }
        assert_eq!(ids, receipts);
        let text = [5, 0, 3, 77, 1, 1, b'x'];
        carrier.submit(bind, &Submit::of(command::SUBMIT_SM_RESP, 9, &part(&text)), at(0));
        assert_eq!(tokens(&due(&mut carrier, bind, 10, at(0))).len(), 1, "one part is whole by itself");
    }
}

#[test]
fn what_a_carrier_wants_in_every_submit_is_asked_for() {
    let behaviour = Behaviour { service_type: Some("A2P".to_owned()), required_tlvs: vec![0x1401], ..Behaviour::default() };
    let mut carrier = Carrier::new(behaviour, 1);
    let bind = carrier.bind_up(true, at(0));
    let mut tlvs = hongyan::smpp::TlvBuf::new();
    tlvs.octets(0x1401, b"x");
    let plain = Sm { short_message: b"text", ..Sm::default() };
    let mut status = |sm: Sm<'_>| answered_with(carrier.submit(bind, &Submit::of(command::SUBMIT_SM_RESP, 1, &sm), at(0)));
    assert_eq!(status(plain), Some(status::ESME_RINVSERTYP));
    assert_eq!(status(Sm { service_type: b"A2P", ..plain }), Some(status::ESME_RMISSINGOPTPARAM));
    assert_eq!(status(Sm { service_type: b"A2P", tlvs: tlvs.as_tlvs(), ..plain }), Some(0));
}

#[test]
fn a_packed_text_is_read_and_quoted_and_receipts_are_packed_too() {
    let mut carrier = Carrier::new(Behaviour { packed_text: true, ..Behaviour::default() }, 1);
    let bind = carrier.bind_up(true, at(0));
    let mut packed = Vec::new();
    hongyan::text::gsm7::pack(b"packed text", 0, true, &mut packed);
    let sm = Sm { registered_delivery: 1, short_message: &packed, ..Sm::default() };
    carrier.submit(bind, &Submit::of(command::SUBMIT_SM_RESP, 1, &sm), at(0));
    let token = tokens(&due(&mut carrier, bind, 10, at(0)))[0];
    let mut written = Written::default();
    carrier.write(token, &mut written).unwrap();
    let mut text = Vec::new();
    hongyan::text::gsm7::unpack_all(&written.text, 0, &mut text);
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with("id:1000001 ") && text.ends_with(" text:packed text"), "{text}");
}

#[test]
fn query_sm_is_answered_with_what_the_receipt_will_say() {
    let mut carrier = Carrier::new(Behaviour { query_sm: true, receipt_delay_ms: 100, ..Behaviour::default() }, 1);
    let bind = carrier.bind_up(true, at(0));
    submit(&mut carrier, bind, 1, at(0));
    use hongyan::model::state::ReceiptState;
    assert_eq!(carrier.query(b"1000001", at(50)), Some((ReceiptState::Enroute, 0)));
    assert_eq!(carrier.query(b"1000001", at(200)), Some((ReceiptState::Delivered, at(100).wall_ms)));
    assert_eq!(carrier.query(b"7", at(200)), None);
    carrier.behaviour_mut().query_sm = false;
    assert_eq!(carrier.query(b"1000001", at(200)), None);
}
