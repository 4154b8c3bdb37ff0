//! Control while running: what is paused waits in order, what is cancelled never leaves, changes survive crashes and end by themselves.

use super::*;
use crate::engine::control::{Answer, Ask, Request, Which};
use crate::engine::look::{Look, View};
use crate::engine::overlay::{Action, Limit};
use crate::engine::scope::{Fault, Scope};
use crate::engine::trial::Trial;

/// The other carrier's bind.
const OTHER: BindId = BindId { carrier: CarrierId(1), index: 0, generation: 2 };

impl Bench {
    fn ask(&mut self, ask: Ask) -> Result<Answer, Fault> {
        let token = self.controlled.len() as u64 + 1;
        let request = Box::new(Request { who: "local:ada".into(), reason: "because".into(), ask });
        self.step(vec![Input::Control { token, request }]);
        self.controlled.iter().find(|(of, _)| *of == token).map(|(_, answer)| answer.clone()).expect("answered")
    }

    fn begin(&mut self, action: Action) -> u64 {
        match self.ask(Ask::Begin { action, until_ms: None }) {
            Ok(Answer::Began(change)) => change.id,
            other => panic!("{other:?}"),
        }
    }

    fn end(&mut self, id: u64) {
        self.ask(Ask::End(Which::Id(id))).unwrap();
    }

    fn sent_to(&self, bind: BindId) -> Vec<MessageId> {
        self.sends.iter().filter(|(with, ..)| *with == bind).map(|&(_, id, ..)| id).collect()
    }
}

fn account() -> Scope {
    Scope { account: Some("shop".into()), ..Scope::default() }
}

fn a() -> Scope {
    Scope::of_carrier("a", None)
}

#[test]
fn what_is_paused_waits_and_leaves_in_order_when_the_pause_is_lifted() {
    for scope in [account(), a(), Scope { prefix: Some("86138".into()), ..Scope::default() }, Scope::of_carrier("a", Some(0))] {
        let mut bench = Bench::new().up();
        let pause = bench.begin(Action::Pause { scope: scope.clone() });
        let ids: Vec<MessageId> = (1..=5).map(|n| bench.submit(n, Class::Transactional, "x")).collect();
        bench.pass(20_000);
        assert_eq!((bench.sends.len(), bench.state(State::Waiting)), (0, 5), "{scope:?}");
        bench.end(pause);
        assert_eq!(bench.sent_to(BIND), ids, "{scope:?}");
    }
}

#[test]
fn a_pause_holds_only_what_it_means() {
    let mut bench = Bench::new().up();
    bench.begin(Action::Pause { scope: Scope { class: Some("marketing".into()), ..Scope::default() } });
    bench.begin(Action::Pause { scope: Scope { number: Some("+86 138 0013 8002".into()), ..Scope::default() } });
    let held = [bench.submit(1, Class::Marketing, "x"), bench.submit(2, Class::Transactional, "x")];
    let free = bench.submit(3, Class::Transactional, "x");
    assert_eq!(bench.sent_to(BIND), [free]);
    assert_eq!(bench.engine.held(None), held.len());
}

#[test]
fn a_pause_survives_a_crash_and_the_carrying_of_the_journal_and_ends_at_its_time() {
    let mut bench = Bench::with(Bounds { journal_octets: 2_000, ..Bounds::default() }).up();
    let until_ms = Some(bench.now.wall_ms + 60_000);
    bench.ask(Ask::Begin { action: Action::Pause { scope: account() }, until_ms }).unwrap();
    let ids: Vec<MessageId> = (1..=60).map(|n| bench.submit(n, Class::Transactional, "x")).collect();
    assert!(bench.ledger.blob(crate::engine::overlay::OVERLAY_BLOB).unwrap().is_some(), "the journal was carried");
    let mut bench = bench.crash();
    let mut bench = {
        bench.pass(30_000);
        assert!(bench.sends.is_empty());
        bench.crash()
    };
    bench.pass(31_000);
    assert_eq!(bench.sent_to(BIND), ids[..10], "as many as the window takes, in order");
    let Ok(Answer::View(view)) = bench.ask(Ask::Look(Look::Audit(10))) else { panic!("no audit") };
    let View::Audit(records) = *view else { panic!("no audit") };
    assert_eq!(records.len(), 2, "{records:?}");
    let bench = bench.crash();
    assert_eq!(bench.engine.overlay.changes().count(), 0, "its end is on record too");
}

#[test]
fn nothing_of_what_is_cancelled_leaves_once_the_cancel_is_answered() {
    let mut bench = Bench::new().up();
    let sent: Vec<MessageId> = (1..=10).map(|n| bench.submit(n, Class::Transactional, "x")).collect();
    let waiting: Vec<MessageId> = (11..=40).map(|n| bench.submit(n, Class::Transactional, "x")).collect();
    bench.due_in_ms = 5_000;
    bench.submit(41, Class::Transactional, "x");
    bench.due_in_ms = 0;
    bench.begin(Action::Cancel { scope: account(), upto: 0 });
    let later = bench.submit(42, Class::Transactional, "x");
    sent.iter().for_each(|&id| bench.sent(id, 0, &id.to_string()));
    bench.pass(10_000);
    assert_eq!(bench.sent_to(BIND), [sent, vec![later]].concat());
    assert_eq!(bench.state(State::Cancelled), waiting.len() as u64 + 1);
    let outbox: u64 = bench.engine.outbox_figures().map(|(waiting, _)| waiting).sum();
    assert_eq!(outbox, bench.state(State::Cancelled), "their sender is told");
    assert_eq!(bench.engine.overlay.changes().count(), 0, "nothing that it means is alive: it is out of force");
}

#[test]
fn a_cancel_of_many_is_in_force_at_once_and_clears_its_lanes_a_part_at_a_time() {
    let mut bench = Bench::new().up();
    let ids: Vec<MessageId> = (1..=3_000).map(|n| bench.submit(n, Class::Transactional, "x")).collect();
    let left = bench.sends.len();
    let marketing = bench.submit(3_001, Class::Marketing, "x");
    bench.begin(Action::Cancel { scope: Scope { class: Some("transactional".into()), ..account() }, upto: 0 });
    ids[..left].iter().for_each(|&id| bench.sent(id, 0, &id.to_string()));
    let ended = bench.state(State::Cancelled);
    assert!((1..1_000).contains(&ended), "{ended} ended before anything else could be done");
    assert_eq!(bench.sent_to(BIND), [&ids[..left], &[marketing]].concat(), "what isn't meant doesn't wait for that");
    bench.pass(2_000);
    assert_eq!((bench.state(State::Cancelled), bench.sends.len()), ((3_000 - left) as u64, left + 1));
}

#[test]
fn a_cancel_that_was_answered_holds_after_a_crash_before_anything_was_swept() {
    let mut bench = Bench::new();
    bench.step(vec![Input::SessionUp { session: SESSION, account: AccountId(0), window: 10 }]);
    for n in 1..=20 {
        bench.submit(n, Class::Marketing, "x");
    }
    bench.hold_commits = true;
    let request = Box::new(Request {
        who: "ada".into(),
        reason: String::new(),
        ask: Ask::Begin { action: Action::Cancel { scope: account(), upto: 0 }, until_ms: None },
    });
    bench.step(vec![Input::Control { token: 1, request }]);
    assert!(bench.controlled.is_empty(), "not before it is durable");
    let (_, events) = bench.held.remove(0);
    bench.journal.append(&events).unwrap();
    bench.hold_commits = false;
    let mut bench = bench.crash();
    bench.pass(5_000);
    assert_eq!((bench.sends.len(), bench.state(State::Cancelled)), (0, 20));
}

#[test]
fn what_is_accepted_after_a_cancel_isnt_meant_though_a_crash_forgot_the_latest_ids_and_the_clock_was_set_back() {
    let mut bench = Bench::new().up();
    bench.submit(1, Class::Transactional, "x");
    // As a trial does: an id that is given and stands on no record.
    bench.engine.ids.next(bench.now.wall_ms + 60_000);
    bench.begin(Action::Cancel { scope: account(), upto: 0 });
    let mut bench = bench.crash();
    bench.now.wall_ms -= 60_000;
    let mut bench = bench.up();
    let before = bench.sends.len();
    let later = bench.submit(2, Class::Transactional, "x");
    assert!(bench.sends[before..].iter().any(|&(_, id, ..)| id == later), "{:?}", bench.sends);
}

#[test]
fn what_is_in_flight_when_it_is_cancelled_isnt_tried_again() {
    let mut bench = Bench::new().up();
    let [later, doubt, taken] = [1, 2, 3].map(|n| bench.submit(n, Class::Marketing, "x"));
    bench.begin(Action::Cancel { scope: account(), upto: 0 });
    bench.outcome(later, 0, Outcome::Later { status: 8 });
    bench.outcome(doubt, 0, Outcome::InDoubt);
    bench.sent(taken, 0, "77");
    bench.pass(40_000);
    assert_eq!(bench.sends.len(), 3, "nothing leaves again");
    assert_eq!((bench.state(State::Cancelled), bench.state(State::InDoubt), bench.state(State::SentWaiting)), (1, 1, 1));
    assert_eq!(bench.engine.overlay.changes().count(), 0);
}

#[test]
fn what_is_out_of_memory_is_cancelled_too() {
    let mut bench = Bench::with(Bounds { cold_after_ms: 500, max_in_memory: 20, journal_octets: 2_000, ..Bounds::default() }).up();
    bench.due_in_ms = 3_600_000 / 2;
    let ids: Vec<MessageId> = (1..=60).map(|n| bench.submit(n, Class::Marketing, "x")).collect();
    bench.pass(20_000);
    assert!(bench.engine.cold().0 > 30, "most of it is out of memory: {:?}", bench.engine.cold());
    let Ok(Answer::View(view)) = bench.ask(Ask::Look(Look::Message(ids[0]))) else { panic!("not found") };
    let View::Message(view) = *view else { panic!("{view:?}") };
    assert_eq!(view.waits_on, Some("its time".into()));
    bench.begin(Action::Cancel { scope: Scope { message: Some(ids[3].to_string()), ..Scope::default() }, upto: 0 });
    bench.pass(5_000);
    assert_eq!(bench.state(State::Cancelled), 1);
    bench.begin(Action::Cancel { scope: account(), upto: 0 });
    bench.pass(10_000);
    assert_eq!((bench.state(State::Cancelled), bench.engine.alive()), (60, 0));
    let bench = bench.crash();
    assert_eq!((bench.engine.alive(), bench.state(State::Cancelled)), (0, 60));
}

#[test]
fn a_reroute_moves_what_waits_and_what_comes_and_is_lifted() {
    for whole in [true, false] {
        let mut bench = Bench::new().up();
        let filling: Vec<MessageId> = (1..=10).map(|n| bench.submit(n, Class::Transactional, "x")).collect();
        let waiting: Vec<MessageId> = (11..=14).map(|n| bench.submit(n, Class::Transactional, "x")).collect();
        let scope = if whole { a() } else { account() };
        let id = bench.begin(Action::Reroute { scope, to: "b".into() });
        bench.pass(1_000);
        assert_eq!(bench.sent_to(OTHER), [], "it can't send: nothing goes there");
        bench.step(vec![Input::BindUp { bind: OTHER, window: 10 }]);
        let coming = bench.submit(15, Class::Transactional, "x");
        filling.iter().for_each(|&id| bench.sent(id, 0, &id.to_string()));
        assert_eq!(bench.sent_to(OTHER).len(), 5, "{whole}");
        assert!(waiting.iter().chain([&coming]).all(|id| bench.sent_to(OTHER).contains(id)));
        bench.end(id);
        let back = bench.submit(16, Class::Transactional, "x");
        assert_eq!(bench.sent_to(BIND).last(), Some(&back));
    }
}

#[test]
fn reroutes_in_a_circle_lead_nowhere_and_the_latest_of_two_decides() {
    let mut bench = Bench::new().up();
    bench.step(vec![Input::BindUp { bind: OTHER, window: 10 }]);
    bench.begin(Action::Reroute { scope: a(), to: "b".into() });
    let there = bench.submit(1, Class::Transactional, "x");
    assert_eq!(bench.sent_to(OTHER), [there]);
    let back = bench.begin(Action::Reroute { scope: Scope::of_carrier("b", None), to: "a".into() });
    let here = bench.submit(2, Class::Transactional, "x");
    assert_eq!(bench.sent_to(BIND), [here], "where it would have gone without them");
    bench.end(back);
    bench.begin(Action::Reroute { scope: account(), to: "a".into() });
    let latest = bench.submit(3, Class::Transactional, "x");
    assert_eq!(bench.sent_to(BIND), [here, latest]);
}

#[test]
fn a_reroute_never_leads_back_to_a_carrier_that_is_done_with_the_message() {
    let mut bench = Bench::new().up();
    bench.step(vec![Input::BindUp { bind: OTHER, window: 10 }]);
    bench.begin(Action::Reroute { scope: Scope::of_carrier("b", None), to: "a".into() });
    let id = bench.submit(1, Class::Transactional, "x");
    bench.outcome(id, 0, Outcome::Elsewhere { status: 0x15 });
    bench.pass(1_000);
    assert_eq!((bench.sent_to(BIND), bench.sent_to(OTHER)), (vec![id], vec![id]));
}

#[test]
fn a_drained_carrier_takes_no_more_lets_its_window_empty_and_is_unbound_if_asked() {
    let mut bench = Bench::new().up();
    bench.step(vec![Input::BindUp { bind: OTHER, window: 10 }]);
    let flying = bench.submit(1, Class::Transactional, "x");
    bench.begin(Action::Drain { scope: a(), then_unbind: true });
    let next = bench.submit(2, Class::Transactional, "x");
    assert_eq!((bench.sent_to(BIND), bench.sent_to(OTHER)), (vec![flying], vec![next]));
    assert_eq!(bench.down, [], "something is in flight");
    bench.sent(flying, 0, "1");
    assert_eq!(bench.down, [(CarrierId(0), None)]);
    let mut bench = bench.crash();
    assert_eq!(bench.down, [(CarrierId(0), None)], "still so after a crash");
    bench.ask(Ask::End(Which::Unbinds(a()))).unwrap();
    assert_eq!(bench.down, []);
    let free = bench.submit(3, Class::Transactional, "x");
    assert_eq!(bench.sent_to(BIND).last(), Some(&free));
}

#[test]
fn what_waits_at_a_drained_carrier_goes_to_the_next_one_and_at_a_paused_one_it_stays() {
    for drained in [true, false] {
        let mut bench = Bench::new().up();
        for n in 1..=15 {
            bench.submit(n, Class::Transactional, "x");
        }
        bench.step(vec![Input::BindUp { bind: OTHER, window: 10 }]);
        bench.begin(if drained { Action::Drain { scope: a(), then_unbind: false } } else { Action::Pause { scope: a() } });
        bench.pass(10_000);
        assert_eq!(bench.sent_to(OTHER).len(), if drained { 5 } else { 0 });
    }
}

#[test]
fn limits_lie_over_the_plan_and_over_the_next_plan_too() {
    let mut bench = Bench::new().up();
    let limit = |rate| Action::Limit { limit: Limit { carrier: Some("a".into()), rate_per_s: Some(rate), ..Limit::default() } };
    bench.begin(limit(0));
    bench.submit(1, Class::Transactional, "x");
    let Ok(Answer::View(view)) = bench.ask(Ask::Look(Look::Carriers)) else { panic!("no carriers") };
    let View::Carriers(carriers) = *view else { panic!("no carriers") };
    assert_eq!(carriers[0].waits_on.as_deref(), Some("rate 0: paused"));
    let plan = (*plan(Bounds::default())).clone();
    bench.step(vec![Input::Plan(Arc::new(plan))]);
    bench.pass(5_000);
    assert!(bench.sends.is_empty());
    bench.begin(limit(5));
    assert_eq!(bench.engine.overlay.changes().count(), 1, "the later limit takes the place of the earlier");
    for n in 2..=40 {
        bench.submit(n, Class::Transactional, "x");
    }
    bench.pass(1_000);
    assert!((4..=6).contains(&bench.sends.len()), "{}", bench.sends.len());
    bench.begin(Action::Limit { limit: Limit { account: Some("shop".into()), max_waiting: Some(3), ..Limit::default() } });
    bench.submit(41, Class::Transactional, "x");
    assert_eq!(bench.answers.last(), Some(&(41, Err(Refusal::QueueFull))));
    let mut bench = bench.crash();
    assert_eq!(bench.engine.plan.carriers[0].rate_per_s, Some(5));
    bench.ask(Ask::End(Which::Limit { account: None, carrier: Some("a".into()) })).unwrap();
    assert_eq!(bench.engine.plan.carriers[0].rate_per_s, None);
}

#[test]
fn another_plan_adds_accounts_and_carriers_and_loses_nothing() {
    let mut bench = Bench::new().up();
    let mut next = (*plan(Bounds::default())).clone();
    next.accounts.push(AccountPlan { name: "new".into(), ..next.accounts[0].clone() });
    next.carriers.push(CarrierPlan { name: "c".into(), ..next.carriers[0].clone() });
    next.routes = Arc::new(Routes::plain([("86", vec![CarrierId(2)])]).unwrap());
    let before = bench.submit(1, Class::Transactional, "x");
    bench.step(vec![Input::Plan(Arc::new(next))]);
    let third = BindId { carrier: CarrierId(2), index: 0, generation: 3 };
    bench.step(vec![
        Input::BindUp { bind: third, window: 10 },
        Input::SessionUp { session: SessionId(2), account: AccountId(1), window: 10 },
    ]);
    let after = bench.submit(2, Class::Transactional, "x");
    assert_eq!((bench.sent_to(BIND), bench.sent_to(third)), (vec![before], vec![after]));
    let bench = bench.crash();
    assert_eq!(bench.engine.counts().accepted, 2);
}

#[test]
fn a_test_message_leaves_by_the_bind_that_is_named_though_it_is_paused() {
    let mut bench = Bench::new().up();
    bench.step(vec![Input::BindUp { bind: OTHER, window: 10 }]);
    bench.begin(Action::Pause { scope: Scope::of_carrier("b", None) });
    let trial = |bind| Trial {
        carrier: "b".into(),
        bind,
        account: "shop".into(),
        from: "TEST".into(),
        to: "+8613800138000".into(),
        text: "Hello".into(),
    };
    let fault = bench.ask(Ask::Test(trial(3))).unwrap_err();
    assert_eq!((fault.code, fault.field), ("bind_down", "bind"));
    let Ok(Answer::Testing(id)) = bench.ask(Ask::Test(trial(0))) else { panic!("refused") };
    assert_eq!(bench.sent_to(OTHER), [id]);
    bench.step(vec![Input::Outcomes { bind: OTHER, outcomes: vec![(Ticket { message: id, part: 0 }, Outcome::Never { status: 0x0b })] }]);
    let fault = bench.ask(Ask::Look(Look::Message(id))).unwrap_err();
    assert!(fault.code == "ended" && fault.what.contains("status 0xb"), "{fault:?}");
}

#[test]
fn what_cannot_be_meant_is_refused_with_field_and_fix() {
    let mut bench = Bench::new().up();
    let named = |carrier: &str| Scope { carrier: Some(carrier.into()), ..Scope::default() };
    let cases = [
        (Action::Pause { scope: Scope::default() }, "missing_value", "scope"),
        (Action::Pause { scope: named("nobody") }, "unknown_name", "carrier"),
        (Action::Pause { scope: Scope { prefix: Some("+86".into()), ..Scope::default() } }, "bad_value", "prefix"),
        (Action::Pause { scope: Scope { bind: Some(0), ..Scope::default() } }, "missing_value", "carrier"),
        (Action::Pause { scope: Scope { class: Some("sms".into()), ..Scope::default() } }, "unknown_name", "class"),
        (Action::Pause { scope: Scope { number: Some("12x".into()), ..Scope::default() } }, "bad_value", "number"),
        (Action::Cancel { scope: Scope::default(), upto: 0 }, "missing_value", "scope"),
        (Action::Cancel { scope: Scope { message: Some("x".into()), ..Scope::default() }, upto: 0 }, "bad_value", "message"),
        (Action::Drain { scope: account(), then_unbind: false }, "bad_value", "scope"),
        (Action::Unbind { scope: account() }, "bad_value", "scope"),
        (Action::Reroute { scope: a(), to: "a".into() }, "bad_value", "to"),
        (Action::Reroute { scope: a(), to: "z".into() }, "unknown_name", "carrier"),
        (Action::Limit { limit: Limit::default() }, "missing_value", "account"),
        (Action::Limit { limit: Limit { account: Some("shop".into()), ..Limit::default() } }, "bad_value", "rate_per_s"),
        (Action::Limit { limit: Limit { account: Some("shop".into()), burst: Some(3), ..Limit::default() } }, "bad_value", "burst"),
    ];
    for (action, code, field) in cases {
        let fault = bench.ask(Ask::Begin { action: action.clone(), until_ms: None }).unwrap_err();
        assert_eq!((fault.code, fault.field), (code, field), "{action:?}: {fault:?}");
        assert!(!fault.fix.is_empty());
    }
    let fault = bench.ask(Ask::Begin { action: Action::Pause { scope: a() }, until_ms: Some(5) }).unwrap_err();
    assert_eq!((fault.code, fault.field), ("bad_value", "until"));
    assert_eq!(bench.ask(Ask::End(Which::Id(7))).unwrap_err().code, "not_in_force");
    assert_eq!(bench.engine.overlay.audit().count(), 0, "nothing was changed");
}

#[test]
fn a_query_of_what_is_over_asks_the_records_and_tells_only_the_account_and_source_of_the_message() {
    use crate::engine::recall::Finished;
    let mut bench = Bench::new().up();
    let source = Address::new(5, 0, b"SHOP").unwrap();
    let query = |token, message| Input::Query { session: SESSION, token, message, source: Address::new(5, 0, b"SHOP").unwrap() };
    bench.step(vec![query(1, MessageId(7))]);
    assert_eq!(bench.queried, [(1, Err(Refusal::UnknownMessage))], "there are no records");
    bench.engine.may_recall();
    bench.step((2..100).map(|token| query(token, MessageId(token))).collect());
    assert_eq!((bench.recalls.len(), bench.queried.len()), (64, 1 + 34), "more than so many don't wait");
    assert!(bench.queried[1..].iter().all(|(_, answer)| *answer == Err(Refusal::Throttled)));
    let known =
        |account: &str, from: &[u8]| Some(Finished { account: account.into(), source: from.to_vec(), state: State::Expired, final_ms: 5 });
    let numbers: Vec<u64> = bench.recalls.iter().map(|(number, _)| *number).collect();
    bench.queried.clear();
    let found = [known("shop", &source.digits), known("codes", &source.digits), known("shop", b"OTHER"), None];
    bench.step(numbers.iter().zip(found).map(|(&number, found)| Input::Recalled { number, found }).collect());
    let no = Err(Refusal::UnknownMessage);
    assert_eq!(bench.queried, [(2, Ok(State::Expired)), (3, no), (4, no), (5, no)]);
}
