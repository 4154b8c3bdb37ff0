//! The engine by itself: a bench of inputs and outputs with a journal in memory and a hand-turned clock.

use super::plan::{AccountPlan, Bounds, CarrierPlan, ClassPlan, Plan};
use super::port::*;
use super::recover::recover;
use super::routes::Routes;
use super::*;
use crate::model::state::ReceiptState;
use crate::model::{Address, Body, Class, Encoding, Message, Refusal, Report as Wish, State};
use crate::number::prefix::PrefixTable;
use crate::store::memory::{MemoryJournal, MemoryLedger};
use crate::store::{Journal, Ledger};
use crate::text::segment::{Concatenation, SegmentRule};
use arrayvec::ArrayVec;

mod balance;
mod dedupe;
mod dispatching;
mod figures;
mod parts;
mod replacing;
mod rules;

fn class(resend: bool) -> ClassPlan {
    ClassPlan {
        share_percent: 0,
        hours: Vec::new(),
        spread_ms: 0,
        retry_by_status: Vec::new(),
        validity_ms: 3_600_000,
        retry_ms: vec![1000, 2000],
        max_attempts: 3,
        doubt_wait_ms: 10_000,
        resend_in_doubt: resend,
    }
}

fn plan(bounds: Bounds) -> Arc<Plan> {
    let carrier = |name: &str| CarrierPlan {
        name: name.into(),
        rate_per_s: None,
        burst: 0,
        bind_rate_per_s: None,
        floor_per_s: 1,
        slow_answer_ms: 0,
        marketing_reserve_percent: 10,
        segments: SegmentRule { concatenation: Concatenation::Udh16, ..SegmentRule::default() },
        one_receipt: false,
        always_ask_receipt: true,
        never_ask_receipt: false,
        no_receipt_after_ms: 72 * 3_600_000,
        id_form: None,
        inbound_account: None,
    };
    let account = AccountPlan {
        name: "shop".into(),
        rate_per_s: None,
        weight: 1,
        max_waiting: 1_000_000,
        max_outbox: 100_000,
        outbox_age_ms: 72 * 3_600_000,
        inbound_by_hook: false,
        correcting_receipt: false,
        service_numbers: vec![b"1069".to_vec()],
        dedupe: Default::default(),
        balance: None,
    };
    Arc::new(Plan {
        node: 1,
        home: crate::number::HomeRegion::CHINA,
        home_zone: crate::config::Zone::default(),
        ranges: crate::number::RangeTable::shipped(),
        accounts: vec![account],
        carriers: vec![carrier("a"), carrier("b")],
        routes: Arc::new(Routes::plain([("86", vec![CarrierId(0), CarrierId(1)])]).unwrap()),
        classes: [class(false), class(true), class(true)],
        limits: Vec::new(),
        bounds,
        rules: Default::default(),
    })
}

mod sent_cold;
mod trails;

struct Bench {
    engine: Engine,
    now: Now,
    journal: MemoryJournal,
    ledger: MemoryLedger,
    answers: Vec<(u64, Result<MessageId, Refusal>)>,
    deliveries: Vec<(DeliveryToken, Arc<Delivery>)>,
    sends: Vec<(BindId, MessageId, u8, u8)>,
    stored: Vec<u64>,
    controlled: Vec<(u64, control::Answered)>,
    handed_in: Vec<(u64, Result<Taken, Refusal>)>,
    down: Vec<(CarrierId, Option<u16>)>,
    recalls: Vec<(u64, MessageId)>,
    done: Vec<(u64, Result<(), Refusal>)>,
    queried: Vec<(u64, Result<State, Refusal>)>,
    ruled: Vec<(u64, Result<RulesAnswer, RulesError>)>,
    hold_commits: bool,
    due_in_ms: u64,
    held: Vec<(u64, Vec<u8>)>,
    /// How many of `sends` have been answered, where a test counts them.
    answered: usize,
    /// Chunks read.
    reads: usize,
}

/// A receipt of this id and state for the phone of message `number_offset`.
fn facts(id: &str, state: ReceiptState, number_offset: u64) -> ReceiptFacts {
    ReceiptFacts {
        id: id.bytes().collect(),
        other_id: ArrayVec::new(),
        state,
        stat: ArrayVec::new(),
        is_final: state.is_final(),
        error: ArrayVec::new(),
        network_error: None,
        done_ms: None,
        submit_ms: None,
        numbers: [crate::number::pack(b"8613800138000").unwrap() + number_offset, 0],
    }
}

const SESSION: SessionId = SessionId(1);
const BIND: BindId = BindId { carrier: CarrierId(0), index: 0, generation: 1 };
const START: Now = Now { mono_us: 1_000_000, wall_ms: 1_790_000_000_000 };

impl Bench {
    fn new() -> Bench {
        Bench::with(Bounds::default())
    }

    fn with(bounds: Bounds) -> Bench {
        Bench::planned(plan(bounds))
    }

    fn planned(plan: Arc<Plan>) -> Bench {
        Bench {
            engine: Engine::new(plan, START),
            now: START,
            journal: MemoryJournal::new(),
            ledger: MemoryLedger::new(),
            answers: Vec::new(),
            deliveries: Vec::new(),
            sends: Vec::new(),
            stored: Vec::new(),
            controlled: Vec::new(),
            handed_in: Vec::new(),
            down: Vec::new(),
            recalls: Vec::new(),
            done: Vec::new(),
            queried: Vec::new(),
            ruled: Vec::new(),
            hold_commits: false,
            due_in_ms: 0,
            held: Vec::new(),
            answered: 0,
            reads: 0,
        }
    }

    fn up(mut self) -> Bench {
        self.step(vec![Input::SessionUp { session: SESSION, account: AccountId(0), window: 10 }, Input::BindUp { bind: BIND, window: 10 }]);
        self
    }

    /// Steps until nothing follows any more.
    fn step(&mut self, inputs: Vec<Input>) {
        let mut inputs = inputs;
        loop {
            let mut outputs = Vec::new();
            self.engine.step(self.now, &mut inputs, &mut outputs);
            for output in outputs {
                match output {
                    Output::Append { batch, events, .. } if self.hold_commits => self.held.push((batch, events)),
                    Output::Append { batch, events, .. } => {
                        let position = self.journal.append(&events).unwrap();
                        inputs.push(Input::Committed { batch, position });
                    }
                    Output::Ledger(update) => {
                        self.ledger.apply(&update).unwrap();
                        self.journal.drop_before(update.absorbed + 1).unwrap();
                        inputs.push(Input::LedgerApplied);
                    }
                    Output::Rules { token, answer } => self.ruled.push((token, answer)),
                    Output::ReadChunk(id) => {
                        self.reads += 1;
                        let found = self.ledger.chunk(id).unwrap().map(|(chunk, dead)| (chunk.octets, dead));
                        inputs.push(Input::Chunk { id, found });
                    }
                    Output::ReadPage { kind, id } => {
                        let found = self.ledger.page(kind, id).unwrap();
                        inputs.push(Input::Page { kind, id, found });
                    }
                    Output::Controlled { token, answer } => self.controlled.push((token, *answer)),
                    Output::StayDown(down) => self.down = down,
                    Output::HandedIn { answers } => self.handed_in.extend(answers),
                    Output::Recall { number, message } => self.recalls.push((number, message)),
                    Output::Upstream { replies, .. } => replies.into_iter().for_each(|reply| match reply {
                        UpstreamReply::Answer { token, result } => self.answers.push((token, result)),
                        UpstreamReply::Deliver { token, item, .. } => self.deliveries.push((token, item)),
                        UpstreamReply::Done { token, result } => self.done.push((token, result)),
                        UpstreamReply::Queried { token, result } => self.queried.push((token, result.map(|answer| answer.state))),
                    }),
                    Output::Bind { bind, commands } => commands.into_iter().for_each(|command| match command {
                        BindCommand::Send { message, first_part, end_part, .. } => {
                            self.sends.push((bind, message.id, first_part, end_part))
                        }
                        BindCommand::Answer { token, stored: true } => self.stored.push(token),
                        BindCommand::Answer { .. } => {}
                    }),
                }
            }
            if inputs.is_empty() {
                break;
            }
        }
        let counts = self.engine.counts();
        assert_eq!(counts.imbalance(), 0, "{counts:?}");
        assert_eq!(self.engine.walk(), [counts.by_state[0], counts.by_state[1]], "{counts:?}");
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(50) {
            self.now = self.now.plus_us(50_000.min(ms * 1000));
            self.step(Vec::new());
        }
        self.step(Vec::new());
    }

    fn submit(&mut self, token: u64, class: Class, text: &str) -> MessageId {
        self.submit_noted(token, class, text, None)
    }

    fn submit_noted(&mut self, token: u64, class: Class, text: &str, notes: Option<Arc<crate::model::notes::Notes>>) -> MessageId {
        let message = Message {
            report: Wish { on_success: true, on_failure: true, intermediate: false },
            due_ms: if self.due_in_ms == 0 { 0 } else { self.now.wall_ms + self.due_in_ms },
            notes,
            ..Message::new(
                AccountId(0),
                class,
                [Address::new(5, 0, b"SHOP").unwrap(), Address::new(1, 1, b"8613800138000").unwrap()],
                crate::number::pack(b"8613800138000").unwrap() + token,
                Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: text.as_bytes().into() },
            )
        };
        self.step(vec![Input::Submit { session: SESSION, drafts: vec![Draft { token, message: Arc::new(message), campaign: None }] }]);
        self.answers.iter().find(|a| a.0 == token).and_then(|a| a.1.ok()).unwrap_or_default()
    }

    fn outcome(&mut self, message: MessageId, part: u8, outcome: Outcome) {
        self.step(vec![Input::Outcomes { bind: BIND, outcomes: vec![(Ticket { message, part }, outcome)] }]);
    }

    fn sent(&mut self, message: MessageId, part: u8, id: &str) {
        self.outcome(message, part, Outcome::Sent { carrier_id: id.bytes().collect() });
    }

    fn receipt(&mut self, token: u64, id: &str, state: ReceiptState, number_offset: u64) {
        let facts = facts(id, state, number_offset);
        self.step(vec![Input::Received { bind: BIND, deliveries: vec![(token, Received::Receipt(Box::new(facts)))] }]);
    }

    /// The client takes its reports.
    fn take_reports(&mut self) {
        while !self.deliveries.is_empty() {
            let answers = self.deliveries.drain(..).map(|(token, _)| (token, DeliveryAnswer::Taken)).collect();
            self.step(vec![Input::Answered { session: SESSION, answers }]);
        }
    }

    fn reported(&self) -> Vec<(MessageId, ReceiptState)> {
        self.deliveries
            .iter()
            .filter_map(|(_, d)| match d.as_ref() {
                Delivery::Receipt(r) => Some((r.message, r.state)),
                Delivery::Inbound(_) => None,
            })
            .collect()
    }

    /// The process is gone; what was appended is there.
    fn crash(self) -> Bench {
        self.crash_to(10)
    }

    /// The same; the bind comes back with this window.
    fn crash_to(self, window: u32) -> Bench {
        let mut next = Bench::with(self.engine.plan.bounds.clone());
        let (mut journal, mut ledger) = (self.journal, self.ledger);
        let (engine, _) = recover(self.engine.base.clone(), &mut journal, &mut ledger, self.now).unwrap();
        next.now = self.now.plus_us(1000);
        next.engine = engine;
        next.journal = journal;
        next.ledger = ledger;
        next.step(vec![Input::SessionUp { session: SESSION, account: AccountId(0), window: 10 }, Input::BindUp { bind: BIND, window }]);
        next
    }

    fn state(&self, state: State) -> u64 {
        self.engine.counts().by_state[state as usize]
    }
}

mod hooks;
mod while_running;

#[test]
fn a_message_goes_out_and_its_receipt_comes_back() {
    let mut bench = Bench::new().up();
    let id = bench.submit(1, Class::Transactional, "hello");
    assert_eq!(bench.sends, [(BIND, id, 0, 1)]);
    bench.sent(id, 0, "77AB");
    bench.receipt(5, "77ab", ReceiptState::Delivered, 1);
    assert_eq!(bench.stored, [5]);
    assert_eq!(bench.reported(), [(id, ReceiptState::Delivered)]);
    let token = bench.deliveries[0].0;
    bench.step(vec![Input::Answered { session: SESSION, answers: vec![(token, DeliveryAnswer::Taken)] }]);
    assert_eq!(
        (bench.state(State::Delivered), bench.engine.alive(), bench.engine.outbox_figures().collect::<Vec<_>>()),
        (1, 0, vec![(0, 0)])
    );
}

#[test]
fn nothing_is_answered_or_sent_before_its_batch_is_durable() {
    let mut bench = Bench::new().up();
    bench.hold_commits = true;
    bench.submit(1, Class::Transactional, "hello");
    assert!(bench.answers.is_empty() && bench.sends.is_empty());
    let (batch, events) = bench.held.remove(0);
    let position = bench.journal.append(&events).unwrap();
    bench.step(vec![Input::Committed { batch, position }]);
    assert_eq!((bench.answers.len(), bench.sends.len()), (1, 1));
}

#[test]
fn an_otp_is_written_only_after_its_attempt_is_durable_and_not_sent_again_after_a_crash() {
    let mut bench = Bench::new().up();
    let id = bench.submit(1, Class::Otp, "code 1234");
    assert_eq!(bench.sends.len(), 1);
    let mut bench = bench.crash();
    assert!(bench.sends.is_empty(), "it may be out: never twice");
    assert_eq!(bench.state(State::Waiting), 1);
    // Another phone with the same last eight digits.
    bench.receipt(8, "unknown-id", ReceiptState::Delivered, 1 + 100_000_000);
    assert_eq!(bench.reported(), [], "a receipt for another phone settles nothing");
    bench.receipt(9, "unknown-id", ReceiptState::Delivered, 1);
    assert_eq!(bench.reported(), [(id, ReceiptState::Delivered)], "a receipt that fits settles the doubt");
}

#[test]
fn an_otp_in_doubt_ends_in_doubt_and_a_late_receipt_still_counts() {
    let mut bench = Bench::new().up();
    let id = bench.submit(1, Class::Otp, "code 1234");
    bench.outcome(id, 0, Outcome::InDoubt);
    bench.pass(11_000);
    assert_eq!((bench.state(State::InDoubt), bench.sends.len()), (1, 1));
    assert_eq!(bench.reported(), [(id, ReceiptState::Unknown)]);
    let mut bench = bench.crash();
    assert_eq!(bench.state(State::InDoubt), 1);
    bench.receipt(3, "late", ReceiptState::Delivered, 1);
    assert_eq!((bench.state(State::InDoubt), bench.state(State::Delivered)), (0, 1));
}

#[test]
fn others_in_doubt_are_sent_once_again_and_a_late_answer_settles() {
    let mut bench = Bench::new().up();
    let id = bench.submit(1, Class::Marketing, "sale");
    bench.outcome(id, 0, Outcome::InDoubt);
    bench.pass(9_000);
    assert_eq!(bench.sends.len(), 1);
    bench.pass(2_000);
    assert_eq!(bench.sends.len(), 2, "once again");
    bench.outcome(id, 0, Outcome::InDoubt);
    bench.sent(id, 0, "late");
    bench.pass(20_000);
    assert_eq!((bench.sends.len(), bench.state(State::SentWaiting)), (2, 1));
}

#[test]
fn after_a_crash_accepted_messages_go_out_and_sent_ones_wait_for_their_receipt() {
    let mut bench = Bench::new().up();
    let sent = bench.submit(1, Class::Transactional, "sent");
    bench.sent(sent, 0, "0001");
    let unsent = bench.submit(2, Class::Transactional, "unsent");
    let mut bench = bench.crash();
    assert_eq!(bench.sends, [(BIND, unsent, 0, 1)]);
    bench.receipt(1, "1", ReceiptState::Delivered, 1);
    assert_eq!(bench.reported(), [(sent, ReceiptState::Delivered)]);
    // The delivery was not answered: it is there again after another crash, and only once.
    let bench = bench.crash();
    assert_eq!(bench.reported(), [(sent, ReceiptState::Delivered)]);
    assert_eq!(bench.engine.counts().accepted, 2);
}

#[test]
fn a_receipt_that_outruns_its_answer_is_parked_and_matched_also_across_a_crash() {
    let mut bench = Bench::new().up();
    let id = bench.submit(1, Class::Transactional, "fast");
    bench.receipt(1, "499602D2", ReceiptState::Delivered, 1);
    assert_eq!(bench.stored, [1], "answered once it is on record");
    assert!(bench.reported().is_empty());
    bench.sent(id, 0, "1234567890");
    assert_eq!(bench.reported(), [(id, ReceiptState::Delivered)]);
    let bench = bench.crash();
    assert_eq!(bench.reported(), [(id, ReceiptState::Delivered)]);
    assert_eq!(bench.engine.parked.len(), 0);
}

#[test]
fn a_long_message_gets_one_receipt_and_is_delivered_only_if_all_parts_are() {
    let mut bench = Bench::new().up();
    let long = "x".repeat(400);
    let whole = bench.submit(1, Class::Transactional, &long);
    assert_eq!(bench.sends, [(BIND, whole, 0, 3)]);
    (0..3).for_each(|part| bench.sent(whole, part, &format!("p{part}")));
    bench.receipt(1, "p2", ReceiptState::Delivered, 1);
    bench.receipt(2, "p0", ReceiptState::Delivered, 1);
    assert!(bench.reported().is_empty());
    bench.receipt(3, "p1", ReceiptState::Delivered, 1);
    assert_eq!(bench.reported(), [(whole, ReceiptState::Delivered)]);
    let broken = bench.submit(2, Class::Transactional, &long);
    (0..3).for_each(|part| bench.sent(broken, part, &format!("q{part}")));
    bench.receipt(4, "q1", ReceiptState::Undeliverable, 2);
    assert_eq!(bench.reported()[1], (broken, ReceiptState::Undeliverable));
    bench.receipt(5, "q0", ReceiptState::Delivered, 2);
    assert_eq!((bench.reported().len(), bench.stored.len()), (2, 5));
}

#[test]
fn a_throttled_part_resumes_where_it_stopped_and_pauses_the_whole_carrier() {
    let mut bench = Bench::new().up();
    let id = bench.submit(1, Class::Transactional, &"x".repeat(400));
    bench.sent(id, 0, "p0");
    bench.outcome(id, 1, Outcome::Throttled { status: 0x58 });
    bench.outcome(id, 2, Outcome::NotSent);
    let other = bench.submit(2, Class::Transactional, "waits too");
    assert_eq!(bench.sends.len(), 1, "the carrier is paused");
    bench.pass(2_100);
    assert_eq!(bench.sends[1..], [(BIND, id, 1, 3), (BIND, other, 0, 1)]);
}

#[test]
fn refusals_are_tried_later_then_elsewhere_then_rejected() {
    let mut bench = Bench::new().up();
    let b = BindId { carrier: CarrierId(1), index: 0, generation: 1 };
    bench.step(vec![Input::BindUp { bind: b, window: 5 }]);
    let id = bench.submit(1, Class::Transactional, "x");
    for _ in 0..3 {
        bench.outcome(id, 0, Outcome::Later { status: 8 });
        bench.pass(2_500);
    }
    assert_eq!(bench.sends.iter().map(|s| s.0).collect::<Vec<_>>(), [BIND, BIND, BIND, b]);
    bench.step(vec![Input::Outcomes { bind: b, outcomes: vec![(Ticket { message: id, part: 0 }, Outcome::Never { status: 0x0b })] }]);
    assert_eq!((bench.reported(), bench.state(State::Rejected)), (vec![(id, ReceiptState::Rejected)], 1));
}

#[test]
fn a_bind_that_goes_down_gives_back_what_was_not_sent_and_the_next_carrier_takes_over() {
    let mut bench = Bench::new().up();
    let id = bench.submit(1, Class::Transactional, "x");
    let ticket = Ticket { message: id, part: 0 };
    bench.step(vec![Input::BindDown { bind: BIND, unsent: vec![ticket], in_doubt: vec![] }]);
    let b = BindId { carrier: CarrierId(1), index: 0, generation: 1 };
    bench.step(vec![Input::BindUp { bind: b, window: 5 }]);
    bench.pass(6_000);
    assert_eq!(bench.sends.last(), Some(&(b, id, 0, 1)));
}

#[test]
fn messages_of_one_class_to_one_phone_leave_by_one_bind_in_order_and_others_use_every_bind() {
    let mut bench = Bench::new();
    let second = BindId { index: 1, ..BIND };
    bench.step(vec![
        Input::SessionUp { session: SESSION, account: AccountId(0), window: 10 },
        Input::BindUp { bind: BIND, window: 2 },
        Input::BindUp { bind: second, window: 2 },
    ]);
    (0..3).for_each(|_| {
        bench.submit(7, Class::Transactional, "to one phone");
    });
    let same: Vec<_> = bench.answers.iter().map(|answer| answer.1.unwrap()).collect();
    assert_eq!(bench.sends, [(BIND, same[0], 0, 1), (BIND, same[1], 0, 1)], "the third waits although the other bind is free");
    let other = bench.submit(8, Class::Transactional, "to another");
    assert_eq!(bench.sends[2], (second, other, 0, 1));
    bench.sent(same[0], 0, "first");
    assert_eq!(bench.sends[3], (BIND, same[2], 0, 1));
}

#[test]
fn validity_that_ends_while_waiting_expires_the_message() {
    let mut bench = Bench::new();
    bench.step(vec![Input::SessionUp { session: SESSION, account: AccountId(0), window: 10 }]);
    let id = bench.submit(1, Class::Transactional, "x");
    bench.pass(3_600_001);
    bench.pass(2_000);
    assert_eq!((bench.reported(), bench.engine.alive()), (vec![(id, ReceiptState::Expired)], 0));
}

#[test]
fn what_lives_in_old_groups_is_carried_into_the_ledger_and_survives_a_crash_at_any_step() {
    let bounds = Bounds { journal_octets: 4_000, ..Bounds::default() };
    let mut bench = Bench::with(bounds).up();
    let mut open = std::collections::BTreeSet::new();
    let mut delivered = 0;
    for round in 0..600u64 {
        let id = bench.submit(round, Class::Transactional, "carried or not, it comes back");
        assert_ne!(id, MessageId(0));
        if round % 3 == 0 {
            open.insert(round);
        }
        if bench.sends.last().is_some_and(|s| s.1 == id) {
            bench.sent(id, 0, &format!("c{round}"));
            if round % 3 != 0 {
                bench.receipt(round, &format!("c{round}"), ReceiptState::Delivered, round);
                delivered += 1;
            }
        }
        for (token, _) in std::mem::take(&mut bench.deliveries) {
            bench.step(vec![Input::Answered { session: SESSION, answers: vec![(token, DeliveryAnswer::Taken)] }]);
        }
        bench.pass(10);
        if round % 97 == 96 {
            bench = bench.crash();
            assert_eq!(bench.state(State::SentWaiting), open.len() as u64, "after round {round}");
            assert!(bench.deliveries.is_empty(), "nothing that was taken comes back");
        }
    }
    assert_eq!(bench.state(State::Delivered), delivered);
    assert!(bench.journal.octets() < 40_000, "the journal is kept short: {}", bench.journal.octets());
    // Receipts of old messages still find them, after yet another crash.
    let mut bench = bench.crash();
    for &round in &open {
        bench.receipt(round, &format!("c{round}"), ReceiptState::Delivered, round);
        for (token, _) in std::mem::take(&mut bench.deliveries) {
            bench.step(vec![Input::Answered { session: SESSION, answers: vec![(token, DeliveryAnswer::Taken)] }]);
        }
    }
    assert_eq!((bench.state(State::Delivered), bench.engine.alive()), (600, 0));
}

fn inbound_part(number: u8, text: &str) -> Received {
    Received::Inbound(Box::new(InboundPart {
        source: Address::new(1, 1, b"8613800138000").unwrap(),
        destination: Address::new(3, 0, b"10690001").unwrap(),
        body: Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: text.as_bytes().into() },
        part: Some(crate::model::message::Part { reference: 9, total: 3, number }),
        service_type: ArrayVec::new(),
        protocol_id: 0,
    }))
}

fn inbound_texts(bench: &Bench) -> Vec<(String, bool)> {
    let deliveries = bench.deliveries.iter().filter_map(|(_, delivery)| match delivery.as_ref() {
        Delivery::Inbound(inbound) => Some((String::from_utf8(inbound.body.text().to_vec()).unwrap(), inbound.incomplete)),
        Delivery::Receipt(_) => None,
    });
    deliveries.collect()
}

#[test]
fn parts_from_a_phone_come_in_any_order_twice_and_across_a_crash_and_make_one_message() {
    let mut bench = Bench::new().up();
    for (token, part) in [(1, inbound_part(3, "c")), (2, inbound_part(1, "a")), (3, inbound_part(3, "c"))] {
        bench.step(vec![Input::Received { bind: BIND, deliveries: vec![(token, part)] }]);
    }
    assert_eq!((bench.stored.clone(), inbound_texts(&bench)), (vec![1, 2, 3], vec![]), "each part is answered once it is on record");
    let mut bench = bench.crash();
    bench.step(vec![Input::Received { bind: BIND, deliveries: vec![(4, inbound_part(2, "b"))] }]);
    assert_eq!(inbound_texts(&bench), [("abc".to_owned(), false)]);
    let bench = bench.crash();
    assert_eq!(inbound_texts(&bench), [("abc".to_owned(), false)], "not taken yet: there again, and whole");
    assert!(bench.engine.inbound.is_empty());
}

#[test]
fn parts_whose_siblings_never_come_are_handed_on_marked_incomplete() {
    let mut bench = Bench::new().up();
    bench.step(vec![Input::Received { bind: BIND, deliveries: vec![(1, inbound_part(2, "b"))] }]);
    bench.pass(301_000);
    bench.pass(2_000);
    assert_eq!(inbound_texts(&bench), [("b".to_owned(), true)]);
}

fn bind(generation: u32) -> BindId {
    BindId { generation, ..BIND }
}

/// A message of three parts, sent, with nothing answered yet.
fn three_parts(bench: &mut Bench, token: u64, class: Class) -> MessageId {
    bench.submit(token, class, &"x".repeat(400))
}

#[test]
fn a_part_that_was_taken_is_not_sent_again_when_an_earlier_one_is() {
    let mut bench = Bench::new().up();
    let id = three_parts(&mut bench, 1, Class::Transactional);
    bench.outcome(id, 0, Outcome::Throttled { status: 0x58 });
    bench.sent(id, 1, "p1");
    bench.outcome(id, 2, Outcome::Throttled { status: 0x58 });
    bench.pass(2_100);
    assert_eq!(bench.sends[1..], [(BIND, id, 0, 1), (BIND, id, 2, 3)]);
}

#[test]
fn a_failed_part_ends_its_message_at_once_and_the_slots_of_the_others_come_free_with_their_answers() {
    let mut bench = Bench::new();
    bench.step(vec![Input::SessionUp { session: SESSION, account: AccountId(0), window: 10 }, Input::BindUp { bind: BIND, window: 3 }]);
    let broken = three_parts(&mut bench, 1, Class::Transactional);
    bench.sent(broken, 0, "p0");
    bench.receipt(1, "p0", ReceiptState::Undeliverable, 1);
    assert_eq!((bench.reported(), bench.engine.alive()), (vec![(broken, ReceiptState::Undeliverable)], 0));
    let next = three_parts(&mut bench, 2, Class::Transactional);
    assert_eq!(bench.sends.len(), 1, "two of three slots are still taken");
    bench.sent(broken, 1, "p1");
    bench.sent(broken, 2, "p2");
    assert_eq!(bench.sends[1..], [(BIND, next, 0, 3)]);
}

#[test]
fn a_late_answer_of_another_bind_leaves_the_slot_of_the_copy_in_flight_alone() {
    let mut bench = Bench::new();
    bench.step(vec![
        Input::SessionUp { session: SESSION, account: AccountId(0), window: 10 },
        Input::BindUp { bind: BIND, window: 1 },
        Input::BindUp { bind: bind(2), window: 2 },
    ]);
    let id = bench.submit(2, Class::Marketing, "x");
    let first = bench.sends[0].0;
    let ticket = Ticket { message: id, part: 0 };
    bench.step(vec![Input::Outcomes { bind: first, outcomes: vec![(ticket, Outcome::InDoubt)] }]);
    bench.step(vec![Input::BindDown { bind: first, unsent: vec![], in_doubt: vec![] }]);
    bench.step(vec![Input::BindUp { bind: bind(3), window: 1 }]);
    bench.pass(10_100);
    let second = bench.sends[1].0;
    assert_ne!(first, second, "once again, with another bind");
    let taken = |id: &str| Outcome::Sent { carrier_id: id.bytes().collect() };
    bench.step(vec![Input::Outcomes { bind: first, outcomes: vec![(ticket, taken("late"))] }]);
    bench.step(vec![Input::Outcomes { bind: second, outcomes: vec![(ticket, taken("copy"))] }]);
    for token in 10..13 {
        let id = bench.submit(token, Class::Transactional, "y");
        let (with, ..) = *bench.sends.last().unwrap();
        bench.step(vec![Input::Outcomes { bind: with, outcomes: vec![(Ticket { message: id, part: 0 }, taken("y"))] }]);
    }
    assert_eq!(bench.sends.len(), 5, "every slot came free again");
}

#[test]
fn a_repeated_receipt_is_answered_only_once_the_first_is_durable() {
    let mut bench = Bench::new().up();
    let id = bench.submit(1, Class::Transactional, "x");
    bench.sent(id, 0, "7");
    bench.hold_commits = true;
    bench.receipt(1, "7", ReceiptState::Delivered, 1);
    bench.receipt(2, "7", ReceiptState::Delivered, 1);
    assert!(bench.stored.is_empty());
    for (batch, events) in std::mem::take(&mut bench.held) {
        let position = bench.journal.append(&events).unwrap();
        bench.step(vec![Input::Committed { batch, position }]);
    }
    assert_eq!(bench.stored, [1, 2]);
}

#[test]
fn no_part_of_an_attempted_otp_is_sent_after_a_crash_even_if_another_part_was_answered() {
    let mut bench = Bench::new().up();
    let id = three_parts(&mut bench, 1, Class::Otp);
    bench.sent(id, 0, "p0");
    let mut bench = bench.crash().crash();
    assert!(bench.sends.is_empty());
    bench.pass(11_000);
    assert_eq!((bench.sends.len(), bench.reported()), (0, vec![(id, ReceiptState::Unknown)]));
}

#[test]
fn an_otp_for_a_bind_that_goes_down_as_its_attempt_becomes_durable_is_sent_elsewhere() {
    let mut bench = Bench::new().up();
    bench.hold_commits = true;
    bench.submit(1, Class::Otp, "code");
    let (batch, events) = bench.held.remove(0);
    let position = bench.journal.append(&events).unwrap();
    bench.step(vec![Input::Committed { batch, position }]);
    let (batch, events) = bench.held.remove(0);
    let position = bench.journal.append(&events).unwrap();
    bench.hold_commits = false;
    let down = Input::BindDown { bind: BIND, unsent: vec![], in_doubt: vec![] };
    bench.step(vec![Input::Committed { batch, position }, down, Input::BindUp { bind: bind(2), window: 1 }]);
    assert_eq!(bench.sends.iter().map(|s| s.0).collect::<Vec<_>>(), [bind(2)]);
}

#[test]
fn a_receipt_that_came_while_its_answer_was_awaited_settles_the_doubt_when_its_time_is_over() {
    let mut bench = Bench::new().up();
    let id = bench.submit(1, Class::Otp, "code");
    bench.receipt(1, "early", ReceiptState::Delivered, 1);
    bench.outcome(id, 0, Outcome::InDoubt);
    bench.pass(11_000);
    assert_eq!((bench.reported(), bench.engine.alive()), (vec![(id, ReceiptState::Delivered)], 0));
}

#[test]
fn a_message_goes_on_when_its_last_doubt_is_settled_while_other_parts_are_open() {
    let mut bench = Bench::new().up();
    let id = three_parts(&mut bench, 1, Class::Otp);
    bench.sent(id, 0, "p0");
    bench.outcome(id, 1, Outcome::InDoubt);
    bench.outcome(id, 2, Outcome::Throttled { status: 0x58 });
    bench.sent(id, 1, "late");
    bench.pass(2_100);
    assert_eq!(bench.sends[1..], [(BIND, id, 2, 3)]);
}

#[test]
fn what_happens_in_the_step_in_which_a_walk_ends_is_not_lost() {
    let mut bench = Bench::with(Bounds { journal_octets: 600, ..Bounds::default() });
    bench.step(vec![Input::SessionUp { session: SESSION, account: AccountId(0), window: 0 }]);
    for round in 0..40 {
        bench.submit(round, Class::Transactional, "waits until its time is over, or a little longer");
    }
    // Every step from here on expires a message at the dispatcher while walks begin and end.
    bench.now = bench.now.plus_us(3_600_000_000 - 500_000);
    for round in 40..80u64 {
        bench.submit(round, Class::Transactional, "short");
        bench.pass(30);
    }
    bench.step(vec![Input::BindUp { bind: BIND, window: 100 }]);
    let before = bench.engine.counts();
    let bench = bench.crash();
    let after = bench.engine.counts();
    assert_eq!((after.accepted, &after.by_state[2..]), (before.accepted, &before.by_state[2..]));
}

fn tiny() -> Bounds {
    Bounds { journal_octets: 2_000, max_in_memory: 8, ..Bounds::default() }
}

#[test]
fn messages_due_much_later_leave_memory_and_go_out_when_they_are_due_also_across_crashes() {
    let mut bench = Bench::with(tiny()).up();
    bench.due_in_ms = 3_600_000;
    let ids: Vec<_> = (0..300).map(|n| bench.submit(n, Class::Transactional, "later")).collect();
    bench.due_in_ms = 0;
    let busy = |bench: &mut Bench, from: u64| {
        for n in from..from + 40 {
            let id = bench.submit(n, Class::Transactional, "now");
            bench.sent(id, 0, &format!("now{n}"));
            bench.receipt(n, &format!("now{n}"), ReceiptState::Delivered, n);
        }
    };
    busy(&mut bench, 1000);
    let (out, chunks) = bench.engine.cold();
    assert!(out >= 250 && chunks > 0, "{out} out of memory in {chunks} chunks");
    assert_eq!(bench.engine.alive(), 300);
    for round in 1..4 {
        bench = bench.crash();
        assert_eq!((bench.state(State::Waiting), bench.engine.alive()), (300, 300));
        busy(&mut bench, 1000 + round * 100);
    }
    bench.sends.clear();
    bench.pass(3_310_000);
    (0..5).for_each(|_| bench.pass(1_000));
    assert_eq!((bench.engine.cold(), bench.engine.alive(), bench.sends.len()), ((0, 0), 300, 0), "back, and not early");
    let mut bench = bench.crash();
    bench.pass(400_000);
    for &id in &ids {
        bench.sent(id, 0, &format!("id{id}"));
    }
    bench.pass(1_000);
    assert_eq!(bench.sends.iter().map(|s| s.1).collect::<std::collections::BTreeSet<_>>(), ids.iter().copied().collect());
    assert_eq!((bench.state(State::SentWaiting), bench.sends.len()), (300, 300));
}

#[test]
fn the_ends_of_long_lanes_leave_memory_and_nothing_is_overtaken_also_across_crashes() {
    for crash_every in [0, 7, 1] {
        let mut bench = Bench::with(tiny()).up();
        bench.step(vec![Input::BindDown { bind: BIND, unsent: vec![], in_doubt: vec![] }]);
        let ids: Vec<_> = (0..200).map(|n| bench.submit(n, Class::Transactional, "one of many")).collect();
        let (out, chunks) = bench.engine.cold();
        assert!(out > 100 && chunks > 0, "{out} out of memory in {chunks} chunks");
        bench.step(vec![Input::BindUp { bind: BIND, window: 1 }]);
        let mut order = Vec::new();
        for n in 0..200 {
            let Some(id) = bench.sends.last().map(|s| s.1) else { panic!("nothing leaves after {n}") };
            order.push(id);
            bench.sent(id, 0, &format!("id{n}"));
            if crash_every != 0 && n % crash_every == 0 {
                bench = bench.crash_to(1);
            }
        }
        assert_eq!(order, ids, "in order, each once; a crash every {crash_every}");
        assert_eq!((bench.state(State::SentWaiting), bench.engine.cold()), (200, (0, 0)));
    }
}

#[test]
fn messages_out_of_memory_are_found_cancelled_and_replaced_also_across_crashes() {
    let mut bench = Bench::with(tiny()).up();
    bench.due_in_ms = 3_600_000;
    let ids: Vec<_> = (0..400).map(|n| bench.submit(n, Class::Transactional, "later")).collect();
    bench.due_in_ms = 0;
    for n in 1000..1040 {
        let id = bench.submit(n, Class::Transactional, "now");
        bench.sent(id, 0, &format!("now{n}"));
        bench.receipt(n, &format!("now{n}"), ReceiptState::Delivered, n);
    }
    let mut bench = bench.crash();
    let out = bench.engine.cold().0;
    assert!(out > 300, "{out} out of memory");
    let source = Address::new(5, 0, b"SHOP").unwrap();
    bench.step(vec![Input::Query { session: SESSION, token: 1, message: ids[3], source: source.clone() }]);
    bench.step(vec![Input::Query { session: SESSION, token: 2, message: MessageId(ids[399].0 + 10_000), source: source.clone() }]);
    assert_eq!(bench.queried, [(1, Ok(State::Waiting)), (2, Err(Refusal::UnknownMessage))]);
    assert!(bench.engine.cold().0 < out, "it came back");
    let what = CancelWhat::One { message: ids[200], source: source.clone() };
    bench.step(vec![Input::Cancel { session: SESSION, token: 3, what }]);
    let with = Replacement { octets: (*b"new").into(), due_ms: 0, expires_ms: 0, report: Wish::default() };
    bench.step(vec![Input::Replace { session: SESSION, token: 4, message: ids[100], source: source.clone(), with: Box::new(with) }]);
    assert_eq!(bench.done, [(3, Ok(())), (4, Ok(()))]);
    let mut bench = bench.crash();
    assert_eq!((bench.state(State::Cancelled), bench.engine.alive()), (1, 399));
    assert_eq!(bench.engine.messages.get(&ids[100]).map(|e| e.message.body.octets.to_vec()), Some(b"new".to_vec()));
    bench.step(vec![Input::Query { session: SESSION, token: 9, message: ids[200], source: source.clone() }]);
    assert_eq!(bench.queried, [(9, Err(Refusal::UnknownMessage))]);
    let destination = Address::new(1, 1, b"8613800138000").unwrap();
    let what = CancelWhat::All { source, destination, service_type: ArrayVec::new() };
    bench.step(vec![Input::Cancel { session: SESSION, token: 5, what }]);
    assert_eq!(bench.done, [(5, Ok(()))]);
    let counts = bench.engine.counts();
    assert_eq!((counts.by_state[State::Cancelled as usize], bench.engine.alive()), (400, 0));
}

#[test]
fn messages_out_of_memory_expire_and_leave_by_another_carrier() {
    let mut bench = Bench::with(tiny());
    bench.step(vec![Input::SessionUp { session: SESSION, account: AccountId(0), window: 10 }]);
    (0..100).for_each(|n| {
        bench.submit(n, Class::Transactional, "one of many");
    });
    assert!(bench.engine.cold().0 > 50, "{:?}", bench.engine.cold());
    let b = BindId { carrier: CarrierId(1), index: 0, generation: 1 };
    bench.step(vec![Input::BindUp { bind: b, window: 30 }]);
    (0..5).for_each(|_| bench.pass(6_000));
    assert_eq!(bench.sends.iter().filter(|s| s.0 == b).count(), 30);
    bench.pass(3_600_001);
    (0..5).for_each(|_| bench.pass(2_000));
    assert_eq!((bench.state(State::Expired), bench.engine.cold()), (70, (0, 0)));
}

mod routes;
