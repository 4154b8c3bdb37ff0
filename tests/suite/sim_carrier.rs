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
