//! What accounts have and owe.

use super::dedupe::bench_of;
use super::*;
use crate::engine::balance::{BalanceView, TopUp};
use crate::engine::control::{Answer, Ask};
use crate::engine::plan::BalancePlan;

/// 10 thousandths a segment, 25 to one phone; 100 thousandths may be owed.
fn bench() -> Bench {
    let mut prices = vec![("", 10)];
    prices.push(("8613800138007", 25));
    bench_of(|account| account.balance = Some(BalancePlan { limit: 100, prices: PrefixTable::new(prices).unwrap(), by_range: Vec::new() }))
}

impl Bench {
    fn balance(&self) -> [i64; 4] {
        let balance = self.engine.balances()[0];
        assert_eq!(balance.imbalance(), 0, "{balance:?}");
        let in_memory = self.engine.walk_reserved()[0];
        assert!(if self.engine.cold().0 == 0 { in_memory == balance.reserved } else { in_memory < balance.reserved }, "{balance:?}");
        balance.terms()
    }

    fn ask_to_pay_in(&mut self, change: i64, reference: &str) {
        let ask = Ask::TopUp(TopUp { account: self.engine.plan().accounts[0].name.clone(), change, reference: reference.into() });
        let request = Box::new(control::Request { who: "ada".into(), reason: "a transfer".into(), ask });
        self.step(vec![Input::Control { token: 3, request }]);
    }

    fn pay_in_as(&mut self, change: i64, reference: &str) -> Result<BalanceView, &'static str> {
        self.ask_to_pay_in(change, reference);
        match self.controlled.pop().unwrap().1 {
            Ok(Answer::Balance(view)) => Ok(*view),
            Ok(other) => panic!("{other:?}"),
            Err(fault) => Err(fault.code),
        }
    }

    fn pay_in(&mut self, change: i64) -> Result<Balance, &'static str> {
        let reference = format!("transfer {}", self.now.mono_us);
        self.now = self.now.plus_us(1_000);
        self.pay_in_as(change, &reference).map(|view| view.balance)
    }

    fn take(&mut self, phone: u64, text: &str) -> Result<MessageId, Refusal> {
        self.submit_one(phone, text, |_| {}).unwrap()
    }
}

#[test]
fn what_a_message_costs_is_reserved_then_spent_and_given_back_where_it_was_not_sent() {
    let mut bench = bench();
    assert_eq!(bench.pay_in(1_000).unwrap().available, 1_000);
    let long = "x".repeat(400);
    let ids = [bench.take(1, "short").unwrap(), bench.take(2, &long).unwrap(), bench.take(7, "short").unwrap()];
    assert_eq!(bench.balance(), [1_000, 935, 65, 0]);
    bench.sent(ids[0], 0, "A0");
    assert_eq!(bench.balance(), [1_000, 935, 55, 10]);
    // One part of three: all of it is spent, and stays so when another part is refused.
    bench.sent(ids[1], 1, "A1");
    assert_eq!(bench.balance(), [1_000, 935, 25, 40]);
    bench.outcome(ids[1], 0, Outcome::Never { status: 0x0b });
    bench.outcome(ids[1], 2, Outcome::NotSent);
    assert_eq!((bench.balance(), bench.state(State::Undelivered)), ([1_000, 935, 25, 40], 1));
    bench.outcome(ids[2], 0, Outcome::Never { status: 0x0b });
    assert_eq!((bench.balance(), bench.state(State::Rejected)), ([1_000, 960, 0, 40], 1));
    bench.receipt(1, "A0", ReceiptState::Undeliverable, 1);
    assert_eq!(bench.balance(), [1_000, 960, 0, 40], "what a carrier took is paid, delivered or not");
}

#[test]
fn cancelled_and_expired_messages_are_given_back_and_a_doubt_is_spent() {
    let mut bench = bench();
    bench.pay_in(1_000).unwrap();
    bench.due_in_ms = 5_000;
    let due_ms = bench.now.wall_ms + 600_000;
    let cancelled = bench.submit_one(1, "later", |m| m.due_ms = due_ms).unwrap().unwrap();
    bench.submit_one(2, "later", |m| (m.due_ms, m.expires_ms) = (due_ms, due_ms - 598_000)).unwrap().unwrap();
    let code = bench.submit_one(3, "code", |m| m.class = Class::Otp).unwrap().unwrap();
    assert_eq!(bench.balance(), [1_000, 970, 30, 0]);
    let source = Address::new(5, 0, b"SHOP").unwrap();
    bench.step(vec![Input::Cancel { session: SESSION, token: 1, what: CancelWhat::One { message: cancelled, source } }]);
    assert_eq!(bench.balance(), [1_000, 980, 20, 0]);
    bench.pass(5_000);
    assert_eq!((bench.balance(), bench.state(State::Expired)), ([1_000, 990, 10, 0], 1));
    bench.outcome(code, 0, Outcome::InDoubt);
    bench.pass(11_000);
    assert_eq!((bench.balance(), bench.state(State::InDoubt)), ([1_000, 990, 0, 10], 1));
    let mut bench = bench.crash();
    assert_eq!(bench.balance(), [1_000, 990, 0, 10]);
    bench.receipt(3, "late", ReceiptState::Delivered, 3);
    assert_eq!((bench.balance(), bench.state(State::Delivered)), ([1_000, 990, 0, 10], 1), "and not paid twice");
}

#[test]
fn nothing_is_taken_below_the_limit() {
    let mut bench = bench();
    for phone in 100..110 {
        bench.take(phone, "x").unwrap();
    }
    assert_eq!(bench.take(110, "x"), Err(Refusal::NoCredit));
    assert_eq!(bench.balance(), [0, -100, 100, 0]);
    assert_eq!(bench.pay_in(24).unwrap().available, -76);
    assert_eq!(bench.take(7, "x"), Err(Refusal::NoCredit), "25 to this one");
    bench.take(110, "x").unwrap();
    bench.take(111, "x").unwrap();
    assert_eq!(bench.take(112, "x"), Err(Refusal::NoCredit));
    assert_eq!(bench.pay_in(-5), Err("no_credit"));
    assert_eq!(bench.pay_in(-4).unwrap().terms(), [20, -100, 120, 0]);
    assert_eq!(bench.pay_in(i64::MAX), Err("bad_value"));
    assert_eq!(bench.pay_in(i64::MIN), Err("bad_value"));
    assert_eq!(bench.balance()[1], -100);
    assert_eq!(bench.balance(), [20, -100, 120, 0]);
}

#[test]
fn a_top_up_is_told_only_when_it_is_durable() {
    let mut bench = bench();
    bench.hold_commits = true;
    bench.ask_to_pay_in(500, "invoice 7");
    assert!(bench.controlled.is_empty());
    let (batch, events) = bench.held.remove(0);
    let position = bench.journal.append(&events).unwrap();
    bench.step(vec![Input::Committed { batch, position }]);
    assert!(matches!(bench.controlled.pop(), Some((3, Ok(Answer::Balance(view)))) if view.balance.available == 500));
    assert_eq!(bench.crash().balance(), [500, 500, 0, 0]);
}

#[test]
fn a_replaced_message_reserves_anew_and_is_refused_where_that_is_too_much() {
    let mut bench = bench();
    bench.pay_in(1_000).unwrap();
    let due_ms = bench.now.wall_ms + 600_000;
    let id = bench.submit_one(1, "later", |m| m.due_ms = due_ms).unwrap().unwrap();
    let replace = |bench: &mut Bench, length: usize| {
        let source = Address::new(5, 0, b"SHOP").unwrap();
        let with = Replacement { octets: vec![b'x'; length].into(), due_ms: 0, expires_ms: 0, report: Wish::default() };
        bench.step(vec![Input::Replace { session: SESSION, token: 1, message: id, source, with: Box::new(with) }]);
        bench.done.pop().unwrap().1
    };
    assert_eq!(replace(&mut bench, 400), Ok(()));
    assert_eq!(bench.balance(), [1_000, 970, 30, 0]);
    let mut bench = bench.crash();
    assert_eq!(bench.balance(), [1_000, 970, 30, 0]);
    bench.pay_in(-1_060).unwrap();
    assert_eq!(replace(&mut bench, 152 * 5), Err(Refusal::NoCredit));
    assert_eq!(replace(&mut bench, 152 * 4), Ok(()));
    assert_eq!(bench.balance(), [-60, -100, 40, 0]);
    assert_eq!(replace(&mut bench, 1), Ok(()));
    assert_eq!(bench.balance(), [-60, -70, 10, 0]);
}

#[test]
fn sums_are_exact_after_crash_upon_crash_from_journal_and_ledger() {
    let mut bench = bench();
    bench.pay_in(100_000).unwrap();
    let due_ms = bench.now.wall_ms + 3_000_000;
    for round in 0..5 {
        // One of each: waiting for its time, waiting for its answer, sent and waiting, in doubt for good.
        bench.submit_one(round, "later", |m| (m.due_ms, m.expires_ms) = (due_ms, due_ms + 1_000)).unwrap().unwrap();
        let sent = bench.take(100 + round, "sent").unwrap();
        bench.sent(sent, 0, &format!("S{round}"));
        let code = bench.submit_one(200 + round, "code", |m| m.class = Class::Otp).unwrap().unwrap();
        bench.outcome(code, 0, Outcome::InDoubt);
        bench.pass(11_000);
        let before = bench.balance();
        bench = bench.crash();
        assert_eq!(bench.balance(), before, "round {round}");
        bench.fill(round * 1_000);
        let before = bench.balance();
        assert_eq!(before[2..], [10 * (round as i64 + 1), (20 + 400) * (round as i64 + 1)], "round {round}");
        bench = bench.crash();
        assert_eq!(bench.balance(), before, "round {round}");
    }
    assert!(bench.engine.journal_octets() < 10_000);
}

#[test]
fn without_a_balance_nothing_is_counted_and_charges_of_before_are_settled() {
    let mut bench = bench();
    let id = bench.take(1, "x").unwrap();
    let mut plan = (**bench.engine.plan()).clone();
    plan.accounts[0].balance = None;
    let (mut journal, mut ledger) = (bench.journal, bench.ledger);
    let (engine, _) = recover(Arc::new(plan), &mut journal, &mut ledger, bench.now).unwrap();
    let mut bench = Bench { engine, journal, ledger, ..Bench { now: bench.now, ..Bench::new() } }.up();
    bench.take(2, "x").unwrap();
    bench.sent(id, 0, "A1");
    assert_eq!(bench.balance(), [0, -10, 0, 10]);
}

#[test]
fn a_price_can_be_foretold_without_changing_anything() {
    let bench = bench();
    let number = crate::number::pack(b"8613800138007").unwrap();
    let quote = bench.engine.quote(AccountId(0), number, 5).unwrap();
    assert_eq!((quote.price, quote.charge, quote.within_reach, quote.accept()), (Some(25), 125, 100, Err(Refusal::NoCredit)));
    assert_eq!(bench.engine.quote(AccountId(0), number, 4).unwrap().accept(), Ok(100));
}

#[test]
fn a_top_ups_reference_pays_in_once_also_after_crashes_and_for_no_longer_than_72_hours() {
    let mut bench = bench();
    assert_eq!(bench.pay_in_as(500, "invoice 7").map(|view| (view.balance.available, view.repeated)), Ok((500, false)));
    assert_eq!(bench.pay_in_as(500, "invoice 7").map(|view| (view.balance.available, view.repeated)), Ok((500, true)));
    assert_eq!(bench.pay_in_as(600, "invoice 7"), Err("reference_used"));
    assert_eq!((bench.pay_in_as(5, ""), bench.pay_in_as(0, "nothing")), (Err("missing_value"), Err("bad_value")));
    let mut bench = bench.crash();
    assert_eq!(bench.pay_in_as(500, "invoice 7").map(|view| (view.balance.available, view.repeated)), Ok((500, true)), "from the journal");
    bench.pay_in_as(500, "invoice 8").unwrap();
    bench.fill(0);
    bench.fill(100);
    let left = bench.balance()[0];
    let mut bench = bench.crash();
    assert_eq!(bench.pay_in_as(500, "invoice 8").map(|view| (view.balance.topped_up, view.repeated)), Ok((left, true)), "from the ledger");
    let told = |record: &overlay::Record| matches!(record, overlay::Record::ToppedUp { reference, who, .. } if reference == "invoice 7" && who == "ada");
    assert_eq!(bench.engine.overlay.audit().filter(|record| told(record)).count(), 1, "on record once");
    bench.now = bench.now.plus_us(overlay::PAID_AGE_MS * 1000);
    assert_eq!(bench.pay_in_as(500, "invoice 7").map(|view| (view.balance.topped_up, view.repeated)), Ok((left + 500, false)));
}
