//! Which carrier takes a message, and where it goes after that: rules, weights, cost, health, and the kinds of failover.

use super::super::carry::Home;
use super::super::health::HealthRules;
use super::super::routes::{CarrierRouting, Choice, Conditions, ReceiptCauses, RouteRule};
use super::super::why::{Because, Why};
use super::*;
use crate::telemetry::HealthState;

const A: CarrierId = CarrierId(0);
const B: CarrierId = CarrierId(1);
const C: CarrierId = CarrierId(2);

fn bind(carrier: CarrierId) -> BindId {
    BindId { carrier, index: 0, generation: 1 }
}

/// Everything about routing that a test may want otherwise.
struct Setup {
    rules: Vec<RouteRule>,
    causes: ReceiptCauses,
    reroutes: [u8; 3],
    health: HealthRules,
    journal_octets: u64,
}

fn ordered(carriers: &[CarrierId]) -> Vec<Choice> {
    carriers.iter().zip(0..).map(|(&carrier, rank)| Choice::ranked(carrier, rank)).collect()
}

fn rule(choices: Vec<Choice>) -> RouteRule {
    RouteRule { prefixes: vec![String::new()], choices, ..RouteRule::default() }
}

impl Default for Setup {
    /// Three carriers in order; rejected and undeliverable are worth another try; health needs ten answers.
    fn default() -> Setup {
        Setup {
            rules: vec![rule(ordered(&[A, B, C]))],
            causes: ReceiptCauses { states: 1 << ReceiptState::Rejected as u8 | 1 << ReceiptState::Undeliverable as u8, codes: Vec::new() },
            reroutes: [0, 1, 2],
            health: HealthRules { min_sample: 10, ..HealthRules::default() },
            journal_octets: 256 << 20,
        }
    }
}

impl Setup {
    fn plan(self) -> Arc<Plan> {
        let bounds = Bounds { journal_octets: self.journal_octets, ..Bounds::default() };
        let mut plan = (*super::plan(bounds)).clone();
        plan.carriers.push(CarrierPlan { name: "c".into(), ..plan.carriers[0].clone() });
        let carrier = CarrierRouting { on_receipt: self.causes, segments: plan.carriers[0].segments };
        plan.routes = Arc::new(Routes::new(self.rules, 1, vec![carrier; 3], self.reroutes, self.health).unwrap());
        Arc::new(plan)
    }

    fn bench(self) -> Bench {
        let mut bench = Bench::new();
        bench.engine = Engine::new(self.plan(), START);
        bench.step(vec![Input::SessionUp { session: SESSION, account: AccountId(0), window: 10 }]);
        bench.binds_up(&[A, B, C]);
        bench
    }
}

impl Bench {
    fn binds_up(&mut self, carriers: &[CarrierId]) {
        self.step(carriers.iter().map(|&carrier| Input::BindUp { bind: bind(carrier), window: 100 }).collect());
    }

    fn answer(&mut self, message: MessageId, part: u8, carrier: CarrierId, outcome: Outcome) {
        self.step(vec![Input::Outcomes { bind: bind(carrier), outcomes: vec![(Ticket { message, part }, outcome)] }]);
    }

    fn takes(&mut self, message: MessageId, part: u8, carrier: CarrierId, id: &str) {
        self.answer(message, part, carrier, Outcome::Sent { carrier_id: id.bytes().collect() });
    }

    fn says(&mut self, carrier: CarrierId, id: &str, state: ReceiptState, error: &[u8], number_offset: u64) {
        let facts = ReceiptFacts {
            id: id.bytes().collect(),
            other_id: ArrayVec::new(),
            state,
            stat: ArrayVec::new(),
            is_final: state.is_final(),
            error: error.iter().copied().collect(),
            network_error: None,
            done_ms: None,
            submit_ms: None,
            numbers: [crate::number::pack(b"8613800138000").unwrap() + number_offset, 0],
        };
        let token = 1000 + self.stored.len() as u64;
        self.step(vec![Input::Received { bind: bind(carrier), deliveries: vec![(token, Received::Receipt(Box::new(facts)))] }]);
        assert_eq!(self.stored.last(), Some(&token), "every receipt is answered once it is safe");
    }

    /// Carriers that the message went to, in order.
    fn went(&self, message: MessageId) -> Vec<CarrierId> {
        self.sends.iter().filter(|send| send.1 == message).map(|send| send.0.carrier).collect()
    }

    fn restarted(self) -> Bench {
        let mut next = Bench::new();
        let (mut journal, mut ledger) = (self.journal, self.ledger);
        let (engine, _) = recover(self.engine.plan.clone(), &mut journal, &mut ledger, self.now).unwrap();
        (next.engine, next.journal, next.ledger, next.now) = (engine, journal, ledger, self.now.plus_us(1000));
        next.step(vec![Input::SessionUp { session: SESSION, account: AccountId(0), window: 10 }]);
        next.binds_up(&[A, B, C]);
        next
    }

    fn health(&self, carrier: CarrierId) -> HealthState {
        self.engine.snapshot().carriers[carrier.0 as usize].health.state
    }
}

// ---- rules and choice ----

#[test]
fn an_exception_goes_before_the_longest_prefix_and_no_route_at_all_is_refused() {
    let exception = RouteRule {
        conditions: Some(Conditions { classes: 1 << Class::Otp as u8, ..Conditions::default() }),
        choices: ordered(&[C]),
        ..RouteRule::default()
    };
    let plain = RouteRule { prefixes: vec!["86".into()], choices: ordered(&[A]), ..RouteRule::default() };
    let longer = RouteRule { prefixes: vec!["86138001380".into()], choices: ordered(&[B]), ..RouteRule::default() };
    let mut bench = Setup { rules: vec![plain, longer, exception], ..Setup::default() }.bench();
    let [code, notice] = [Class::Otp, Class::Transactional].map(|class| bench.submit(class as u64, class, "hi"));
    assert_eq!((bench.went(code), bench.went(notice)), (vec![C], vec![B]));
    let elsewhere = RouteRule { prefixes: vec!["49".into()], choices: ordered(&[A]), ..RouteRule::default() };
    let mut bench = Setup { rules: vec![elsewhere], ..Setup::default() }.bench();
    bench.submit(1, Class::Transactional, "hi");
    assert_eq!(bench.answers, [(1, Err(Refusal::NoRoute))]);
}

#[test]
fn weights_split_evenly_and_a_carrier_that_is_down_leaves_its_share_to_the_others() {
    let weighted = |carrier, weight| Choice { weight: Some(weight), ..Choice::ranked(carrier, 0) };
    let mut bench = Setup { rules: vec![rule(vec![weighted(A, 3), weighted(B, 1), weighted(C, 0)])], ..Setup::default() }.bench();
    let went = |bench: &Bench, carrier| bench.sends.iter().filter(|send| send.0.carrier == carrier).count();
    (1..=40).for_each(|token| {
        bench.submit(token, Class::Transactional, "hi");
    });
    assert_eq!([A, B, C].map(|carrier| went(&bench, carrier)), [30, 10, 0]);
    bench.step(vec![Input::BindDown { bind: bind(A), unsent: Vec::new(), in_doubt: Vec::new() }]);
    (41..=60).for_each(|token| {
        bench.submit(token, Class::Transactional, "hi");
    });
    assert_eq!([A, B, C].map(|carrier| went(&bench, carrier)), [30, 30, 0]);
    bench.step(vec![Input::BindDown { bind: bind(B), unsent: Vec::new(), in_doubt: Vec::new() }]);
    bench.submit(61, Class::Transactional, "hi");
    assert_eq!(went(&bench, C), 1, "weight 0 takes what nobody else can");
}

#[test]
fn a_sticky_number_keeps_its_carrier_and_others_dont_move_when_one_goes() {
    let weighted = |carrier, weight| Choice { weight: Some(weight), ..Choice::ranked(carrier, 0) };
    let sticky = RouteRule { sticky: true, ..rule(vec![weighted(A, 2), weighted(B, 1), weighted(C, 1)]) };
    let mut bench = Setup { rules: vec![sticky], ..Setup::default() }.bench();
    let carriers = |bench: &mut Bench| -> Vec<CarrierId> {
        bench.answers.clear();
        let mut went = Vec::new();
        for token in 0..200 {
            let id = bench.submit(token, Class::Transactional, "hi");
            let carrier = bench.went(id)[0];
            bench.takes(id, 0, carrier, "");
            went.push(carrier);
        }
        went
    };
    let first = carriers(&mut bench);
    assert_eq!(first, carriers(&mut bench), "the same numbers go the same way");
    let share = |carrier| first.iter().filter(|&&c| c == carrier).count();
    assert!((70..130).contains(&share(A)) && (30..70).contains(&share(B)) && (30..70).contains(&share(C)), "{first:?}");
    bench.step(vec![Input::BindDown { bind: bind(C), unsent: Vec::new(), in_doubt: Vec::new() }]);
    let without = carriers(&mut bench);
    assert!(first.iter().zip(&without).all(|(before, now)| before == now || *before == C), "only C's numbers move");
    assert!(!without.contains(&C));
}

#[test]
fn of_equals_without_weights_the_cheapest_goes_first() {
    let priced = |carrier, cost| Choice { cost, ..Choice::ranked(carrier, 0) };
    let mut bench = Setup { rules: vec![rule(vec![priced(A, 50), priced(B, 30), priced(C, 30)])], ..Setup::default() }.bench();
    let id = bench.submit(1, Class::Transactional, "hi");
    bench.answer(id, 0, B, Outcome::Elsewhere { status: 0x15 });
    bench.answer(id, 0, C, Outcome::Elsewhere { status: 0x15 });
    assert_eq!(bench.went(id), [B, C, A]);
}

#[test]
fn the_choice_is_explained_by_the_decision_itself_and_explaining_changes_nothing() {
    let weighted = |carrier, weight| Choice { weight: Some(weight), ..Choice::ranked(carrier, 0) };
    let marketing = RouteRule {
        name: "campaigns".into(),
        conditions: Some(Conditions { classes: 1 << Class::Marketing as u8, ..Conditions::default() }),
        choices: ordered(&[C]),
        ..RouteRule::default()
    };
    let mut bench = Setup { rules: vec![marketing, rule(vec![weighted(A, 1), weighted(B, 1)])], ..Setup::default() }.bench();
    bench.step(vec![Input::BindDown { bind: bind(A), unsent: Vec::new(), in_doubt: Vec::new() }]);
    let id = bench.submit(1, Class::Transactional, "hi");
    let message = Arc::clone(&bench.engine.messages[&id].message);
    let explained = bench.engine.explain_route(&message);
    assert_eq!((explained.route, explained.carrier), (Some(1), Some(B)));
    assert_eq!(explained.why.last(), Some(&Why::Chosen { carrier: B, because: Because::Order }));
    assert_eq!(
        explained.lines(bench.engine.plan()),
        [
            "campaigns: does not fit, another class",
            "every number: the longest prefix, taken",
            "a: no bind that can send, or paused",
            "b: can take it, rank 0, weight 1",
            "b: takes it, the first in order that can",
        ]
    );
    bench.binds_up(&[A]);
    let next = bench.engine.explain_route(&message).carrier;
    assert_eq!(bench.engine.explain_route(&message).carrier, next, "a look doesn't take a turn");
    let id = bench.submit(2, Class::Transactional, "hi");
    assert_eq!(bench.went(id), Vec::from_iter(next));
}

// ---- refused ----

#[test]
fn a_carrier_that_refused_a_message_is_not_tried_again_with_it_not_even_after_a_restart() {
    let mut bench = Setup::default().bench();
    let id = bench.submit(1, Class::Transactional, "hi");
    bench.answer(id, 0, A, Outcome::Elsewhere { status: 0x15 });
    assert_eq!(bench.went(id), [A, B]);
    let mut bench = bench.restarted();
    assert_eq!(bench.went(id), [B], "its answer is not on record: it goes there once more, and not to A");
    bench.answer(id, 0, B, Outcome::Elsewhere { status: 0x15 });
    bench.answer(id, 0, C, Outcome::Elsewhere { status: 0x101 });
    assert_eq!(bench.went(id), [B, C]);
    assert_eq!((bench.reported(), bench.state(State::Rejected)), (vec![(id, ReceiptState::Rejected)], 1));
}

#[test]
fn an_otp_that_was_refused_is_no_doubt_after_a_restart() {
    let mut bench = Setup::default().bench();
    let id = bench.submit(1, Class::Otp, "123456");
    assert_eq!(bench.went(id), [A]);
    bench.step(vec![
        Input::BindDown { bind: bind(B), unsent: Vec::new(), in_doubt: Vec::new() },
        Input::BindDown { bind: bind(C), unsent: Vec::new(), in_doubt: Vec::new() },
    ]);
    bench.answer(id, 0, A, Outcome::Elsewhere { status: 0x15 });
    let bench = bench.restarted();
    assert_eq!(bench.went(id), [B], "A's refusal is on record");
}

// ---- health ----

#[test]
fn a_carrier_that_fails_is_passed_over_probed_after_a_pause_and_comes_back_step_by_step() {
    let mut bench = Setup::default().bench();
    let ids: Vec<_> = (0..20).map(|token| bench.submit(token, Class::Transactional, "hi")).collect();
    assert!(ids.iter().all(|&id| bench.went(id) == [A]));
    for &id in &ids[..10] {
        bench.answer(id, 0, A, Outcome::Elsewhere { status: 0x15 });
    }
    assert_eq!(bench.health(A), HealthState::Out);
    assert_eq!(bench.engine.snapshot().carriers[0].health.cause, "answers");
    let next = bench.submit(50, Class::Transactional, "hi");
    assert_eq!(bench.went(next), [B]);
    bench.pass(10_000);
    let probes: Vec<_> = (60..66).map(|token| bench.submit(token, Class::Transactional, "hi")).collect();
    let tried = |bench: &Bench, ids: &[MessageId]| ids.iter().filter(|&&id| bench.went(id) == [A]).count();
    assert_eq!((tried(&bench, &probes), bench.health(A)), (5, HealthState::Probing));
    for &id in &ids[10..] {
        bench.answer(id, 0, A, Outcome::Later { status: 8 });
    }
    assert_eq!(bench.health(A), HealthState::Probing, "what was sent before says nothing of it now");
    for &id in &probes[..5] {
        bench.takes(id, 0, A, "");
    }
    assert_eq!(bench.health(A), HealthState::Recovering);
    let ids: Vec<_> = (100..200).map(|token| bench.submit(token, Class::Transactional, "hi")).collect();
    assert!((9..=12).contains(&tried(&bench, &ids)), "a tenth: {}", tried(&bench, &ids));
    bench.pass(30_000);
    let id = bench.submit(300, Class::Transactional, "hi");
    assert_eq!((bench.went(id), bench.health(A)), (vec![A], HealthState::Well));
}

#[test]
fn what_waits_at_a_carrier_that_goes_out_moves_and_what_has_no_other_carrier_stays() {
    let only = RouteRule { prefixes: vec!["8613800138000".into()], choices: ordered(&[A]), ..RouteRule::default() };
    let mut bench = Setup { rules: vec![only, rule(ordered(&[A, B]))], ..Setup::default() }.bench();
    bench.step(vec![
        Input::BindDown { bind: bind(A), unsent: Vec::new(), in_doubt: Vec::new() },
        Input::BindUp { bind: BindId { generation: 2, ..bind(A) }, window: 10 },
    ]);
    let flying: Vec<_> = (1..=10).map(|token| bench.submit(token, Class::Otp, "hi")).collect();
    let alone = bench.submit(0, Class::Otp, "hi");
    let waiting = bench.submit(20, Class::Otp, "hi");
    assert!(bench.went(alone).is_empty() && bench.went(waiting).is_empty());
    let outcomes = flying.iter().map(|&message| (Ticket { message, part: 0 }, Outcome::Elsewhere { status: 0x15 })).collect();
    bench.step(vec![Input::Outcomes { bind: BindId { generation: 2, ..bind(A) }, outcomes }]);
    assert_eq!(bench.health(A), HealthState::Out);
    assert_eq!((bench.went(waiting), bench.went(alone)), (vec![B], vec![A]), "an ill carrier is better than none");
}

// ---- failover after a receipt ----

#[test]
fn after_a_negative_receipt_the_next_carrier_gets_the_whole_text_and_upstream_one_report() {
    let mut bench = Setup::default().bench();
    let text = "a text that is longer than what a receipt quotes of it";
    let id = bench.submit(1, Class::Transactional, text);
    bench.takes(id, 0, A, "77");
    bench.says(A, "77", ReceiptState::Undeliverable, b"045", 1);
    assert_eq!((bench.went(id), bench.reported()), (vec![A, B], vec![]));
    assert_eq!(&*bench.engine.messages[&id].message.body.octets, text.as_bytes());
    bench.takes(id, 0, B, "88");
    bench.says(A, "77", ReceiptState::Undeliverable, b"045", 1);
    bench.says(B, "88", ReceiptState::Delivered, b"000", 1);
    assert_eq!(bench.reported(), [(id, ReceiptState::Delivered)]);
    bench.says(A, "77", ReceiptState::Delivered, b"000", 1);
    bench.says(B, "88", ReceiptState::Undeliverable, b"000", 1);
    assert_eq!((bench.reported().len(), bench.state(State::Delivered), bench.engine.alive()), (1, 1, 0));
    assert_eq!((bench.engine.tally().rerouted, bench.engine.tally().receipts_late), (1, 1));
}

#[test]
fn the_first_delivered_wins_wherever_the_message_is_by_then() {
    for stage in 0..3 {
        for restart in [false, true] {
            let mut bench = Setup::default().bench();
            let id = bench.submit(1, Class::Transactional, "hi");
            bench.takes(id, 0, A, "77");
            bench.says(A, "77", ReceiptState::Rejected, b"001", 1);
            if stage == 0 {
                // In B's lane again, and not to leave it soon.
                bench.answer(id, 0, B, Outcome::Throttled { status: 0x58 });
            }
            if stage == 2 {
                bench.takes(id, 0, B, "88");
            }
            if restart {
                bench = bench.restarted();
            }
            bench.says(A, "77", ReceiptState::Delivered, b"000", 1);
            assert_eq!(bench.reported(), [(id, ReceiptState::Delivered)], "stage {stage}, restart {restart}");
            if stage == 1 && !restart {
                bench.takes(id, 0, B, "88");
            }
            bench.says(B, "88", ReceiptState::Undeliverable, b"000", 1);
            assert_eq!((bench.reported().len(), bench.engine.alive()), (1, 0), "stage {stage}, restart {restart}");
            let bench = bench.restarted();
            assert_eq!((bench.state(State::Delivered), bench.engine.alive()), (1, 0), "stage {stage}, restart {restart}");
        }
    }
}

#[test]
fn a_window_slot_of_the_second_carrier_comes_back_once() {
    let mut bench = Setup::default().bench();
    bench.step(vec![
        Input::BindDown { bind: bind(B), unsent: Vec::new(), in_doubt: Vec::new() },
        Input::BindUp { bind: BindId { generation: 2, ..bind(B) }, window: 1 },
    ]);
    let second = BindId { generation: 2, ..bind(B) };
    let id = bench.submit(1, Class::Transactional, "hi");
    bench.takes(id, 0, A, "77");
    bench.says(A, "77", ReceiptState::Rejected, b"001", 1);
    bench.says(A, "77", ReceiptState::Delivered, b"000", 1);
    bench.step(vec![
        Input::BindDown { bind: bind(A), unsent: Vec::new(), in_doubt: Vec::new() },
        Input::BindDown { bind: bind(C), unsent: Vec::new(), in_doubt: Vec::new() },
    ]);
    let next = [2, 3].map(|token| bench.submit(token, Class::Transactional, "hi"));
    assert!(next.iter().all(|&id| bench.went(id).is_empty()), "the first one still holds the slot");
    let taken = Outcome::Sent { carrier_id: ArrayVec::new() };
    bench.step(vec![Input::Outcomes { bind: second, outcomes: vec![(Ticket { message: id, part: 0 }, taken)] }]);
    assert_eq!(next.map(|id| bench.went(id).len()), [1, 0]);
}

#[test]
fn a_restart_in_the_middle_loses_neither_the_text_nor_what_was_tried() {
    for carried in [false, true] {
        let mut bench = Setup { journal_octets: if carried { 200 } else { 256 << 20 }, ..Setup::default() }.bench();
        let text = "a text that is longer than what a receipt quotes of it";
        let id = bench.submit(1, Class::Marketing, text);
        bench.takes(id, 0, A, "77");
        let fill = |bench: &mut Bench, from: u64| {
            for token in from..from + 5 {
                let id = bench.submit(token, Class::Transactional, "fill");
                let carrier = bench.went(id)[0];
                bench.takes(id, 0, carrier, "");
                bench.answers.clear();
            }
        };
        fill(&mut bench, 100);
        let mut bench = bench.restarted();
        assert!(bench.went(id).is_empty(), "it is with A");
        bench.says(A, "77", ReceiptState::Undeliverable, b"045", 1);
        assert_eq!(bench.went(id), [B]);
        assert_eq!(&*bench.engine.messages[&id].message.body.octets, text.as_bytes(), "carried {carried}");
        bench.takes(id, 0, B, "88");
        fill(&mut bench, 200);
        assert_eq!(matches!(bench.engine.messages[&id].home, Home::Chunk(_)), carried);
        let mut bench = bench.restarted();
        assert!(bench.went(id).is_empty(), "it is with B");
        bench.says(A, "77", ReceiptState::Undeliverable, b"045", 1);
        assert!(bench.reported().is_empty(), "A has said so before");
        bench.says(B, "88", ReceiptState::Rejected, b"001", 1);
        assert_eq!(bench.went(id), [C], "marketing has two reroutes; A and B are done with it");
        fill(&mut bench, 300);
        let mut bench = bench.restarted();
        assert_eq!(bench.went(id), [C]);
        bench.takes(id, 0, C, "99");
        bench.says(C, "99", ReceiptState::Rejected, b"002", 1);
        assert_eq!(bench.reported(), [(id, ReceiptState::Rejected)]);
    }
}

#[test]
fn what_may_not_go_elsewhere_is_reported_at_once() {
    type Spoil = fn(&mut Setup);
    let otp: Spoil = |_| {};
    let told: Spoil = |setup| setup.reroutes[0] = 1;
    let spent: Spoil = |setup| setup.reroutes[1] = 0;
    let other: Spoil = |setup| setup.causes = ReceiptCauses { states: 1 << ReceiptState::Expired as u8, codes: vec![*b"099"] };
    let code: Spoil = |setup| setup.causes = ReceiptCauses { states: 0, codes: vec![*b"045"] };
    let route: Spoil = |setup| setup.rules[0].on_receipt = Some(ReceiptCauses::default());
    let alone: Spoil = |setup| setup.rules[0].choices.truncate(1);
    for (what, class, spoil, goes) in [
        ("an otp", Class::Otp, otp, false),
        ("an otp that is told to", Class::Otp, told, true),
        ("no budget", Class::Transactional, spent, false),
        ("another receipt", Class::Transactional, other, false),
        ("the error code", Class::Transactional, code, true),
        ("a route that says none", Class::Transactional, route, false),
        ("no other carrier", Class::Transactional, alone, false),
    ] {
        let mut setup = Setup::default();
        spoil(&mut setup);
        let mut bench = setup.bench();
        let id = bench.submit(1, class, "hi");
        bench.takes(id, 0, A, "77");
        bench.says(A, "77", ReceiptState::Undeliverable, b"045", 1);
        assert_eq!((bench.went(id).len() == 2, bench.reported().is_empty()), (goes, goes), "{what}");
    }
    // Other carriers that are down, or a part that was delivered.
    let mut bench = Setup::default().bench();
    bench.step([B, C].map(|carrier| Input::BindDown { bind: bind(carrier), unsent: Vec::new(), in_doubt: Vec::new() }).into());
    let id = bench.submit(1, Class::Transactional, "hi");
    bench.takes(id, 0, A, "77");
    bench.says(A, "77", ReceiptState::Undeliverable, b"045", 1);
    assert_eq!(bench.reported(), [(id, ReceiptState::Undeliverable)]);
    let mut bench = Setup::default().bench();
    let id = bench.submit(1, Class::Transactional, &"long ".repeat(60));
    bench.takes(id, 0, A, "77");
    bench.takes(id, 1, A, "78");
    bench.says(A, "77", ReceiptState::Delivered, b"000", 1);
    bench.says(A, "78", ReceiptState::Undeliverable, b"045", 1);
    assert_eq!((bench.went(id).len(), bench.reported()), (1, vec![(id, ReceiptState::Undeliverable)]));
}

#[test]
fn all_parts_of_a_long_message_go_elsewhere_and_all_of_the_first_copy_must_be_delivered_to_count() {
    let mut bench = Setup::default().bench();
    let id = bench.submit(1, Class::Transactional, &"long ".repeat(60));
    bench.takes(id, 0, A, "77");
    bench.takes(id, 1, A, "78");
    bench.says(A, "78", ReceiptState::Undeliverable, b"045", 1);
    assert_eq!(bench.sends, [(bind(A), id, 0, 2), (bind(B), id, 0, 2)]);
    bench.says(A, "77", ReceiptState::Delivered, b"000", 1);
    assert!(bench.reported().is_empty(), "half of it is nothing");
    bench.says(A, "78", ReceiptState::Delivered, b"000", 1);
    assert_eq!(bench.reported(), [(id, ReceiptState::Delivered)]);
    let (_, delivery) = &bench.deliveries[0];
    assert!(matches!(&**delivery, Delivery::Receipt(report) if (report.parts, report.parts_delivered) == (2, 2)));
}

#[test]
fn a_message_that_no_second_carrier_takes_ends_as_the_first_one_said() {
    for restart in [false, true] {
        let mut bench = Setup::default().bench();
        let id = bench.submit(1, Class::Transactional, "hi");
        bench.takes(id, 0, A, "77");
        bench.says(A, "77", ReceiptState::Undeliverable, b"045", 1);
        bench.answer(id, 0, B, Outcome::Later { status: 8 });
        if restart {
            bench = bench.restarted();
        }
        bench.step(
            [A, B, C]
                .map(|carrier| Input::BindDown { bind: bind(carrier), unsent: vec![Ticket { message: id, part: 0 }], in_doubt: Vec::new() })
                .into(),
        );
        bench.pass(3_700_000);
        assert_eq!(bench.reported(), [(id, ReceiptState::Undeliverable)], "restart {restart}");
        let (_, delivery) = &bench.deliveries[0];
        assert!(matches!(&**delivery, Delivery::Receipt(report) if &report.error[..] == b"045"));
        assert_eq!((bench.state(State::Undelivered), bench.restarted().engine.alive()), (1, 0));
    }
}

#[test]
fn a_late_answer_of_the_carrier_that_it_left_is_one_more_copy_there_and_doesnt_bring_it_back() {
    let mut bench = Setup::default().bench();
    let id = bench.submit(1, Class::Transactional, "hi");
    bench.answer(id, 0, A, Outcome::InDoubt);
    bench.pass(10_100);
    assert_eq!(bench.went(id), [A, A], "sent once again for the doubt");
    bench.takes(id, 0, A, "78");
    bench.says(A, "78", ReceiptState::Undeliverable, b"045", 1);
    assert_eq!(bench.went(id), [A, A, B]);
    bench.takes(id, 0, A, "77");
    assert_eq!(bench.engine.messages[&id].phase, Phase::InFlight(B));
    bench.says(A, "77", ReceiptState::Undeliverable, b"045", 1);
    assert!(bench.reported().is_empty());
    bench.takes(id, 0, B, "88");
    bench.says(B, "88", ReceiptState::Delivered, b"000", 1);
    assert_eq!((bench.reported(), bench.engine.alive()), (vec![(id, ReceiptState::Delivered)], 0));
}

#[test]
fn a_message_that_a_carrier_has_had_is_not_cancelled_any_more() {
    let mut bench = Setup::default().bench();
    let id = bench.submit(1, Class::Transactional, "hi");
    bench.takes(id, 0, A, "77");
    bench.says(A, "77", ReceiptState::Undeliverable, b"045", 1);
    bench.answer(id, 0, B, Outcome::Later { status: 8 });
    let what = CancelWhat::One { message: id, source: Address::new(5, 0, b"SHOP").unwrap() };
    bench.step(vec![Input::Cancel { session: SESSION, token: 9, what }]);
    assert_eq!(bench.done, [(9, Err(Refusal::CancelFailed))]);
}

#[test]
fn an_otp_that_was_in_doubt_is_not_sent_once_more_for_a_receipt() {
    let mut bench = Setup { reroutes: [1, 1, 1], ..Setup::default() }.bench();
    let id = bench.submit(1, Class::Otp, "123456");
    bench.answer(id, 0, A, Outcome::InDoubt);
    bench.says(A, "77", ReceiptState::Undeliverable, b"045", 1);
    assert_eq!((bench.went(id), bench.reported()), (vec![A], vec![(id, ReceiptState::Undeliverable)]));
}
