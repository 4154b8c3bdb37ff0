//! What the engine costs per message, without sockets and without a disk: submitted, accepted after its group is in a journal in memory, sent,
//! answered by the carrier, reported, the report handed over. The engine has one thread, so time is CPU.
//!
//! The journal in memory copies each group; encoding events is in the figure, writing them to a disk is not (see the bench `journal`).

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hongyan::engine::Engine;
use hongyan::engine::plan::{AccountPlan, Bounds, CarrierPlan, ClassPlan, Plan};
use hongyan::engine::port::{
    BindCommand, BindId, CarrierId, DeliveryAnswer, Draft, Input, Outcome, Output, ReceiptFacts, Received, SessionId, Ticket, UpstreamReply,
};
use hongyan::engine::routes::Routes;
use hongyan::model::message::Report;
use hongyan::model::state::ReceiptState;
use hongyan::model::{AccountId, Address, Body, Class, Encoding, Message, Now, State};
use hongyan::store::memory::{MemoryJournal, MemoryLedger};
use hongyan::store::{Journal, Ledger};
use hongyan::text::segment::SegmentRule;
use std::sync::Arc;

const TEXT: &[u8; 80] = b"Your code is 482913. It is valid for five minutes. Do not share it with anybody.";
const SESSION: SessionId = SessionId(1);
const BIND: BindId = BindId { carrier: CarrierId(0), index: 0, generation: 1 };

fn plan() -> Arc<Plan> {
    let carrier = CarrierPlan {
        name: "north".into(),
        rate_per_s: None,
        burst: 0,
        bind_rate_per_s: None,
        floor_per_s: 1,
        slow_answer_ms: 0,
        marketing_reserve_percent: 10,
        segments: SegmentRule::default(),
        one_receipt: false,
        always_ask_receipt: false,
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
        max_outbox: 1_000_000,
        outbox_age_ms: 72 * 3_600_000,
        inbound_by_hook: false,
        correcting_receipt: false,
        service_numbers: Vec::new(),
        dedupe: Default::default(),
        balance: None,
    };
    let class = ClassPlan {
        share_percent: 0,
        hours: Vec::new(),
        spread_ms: 0,
        retry_by_status: Vec::new(),
        validity_ms: 3_600_000,
        retry_ms: vec![1_000],
        max_attempts: 3,
        doubt_wait_ms: 10_000,
        resend_in_doubt: true,
    };
    Arc::new(Plan {
        node: 1,
        home: hongyan::number::HomeRegion::CHINA,
        home_zone: hongyan::config::Zone::default(),
        ranges: hongyan::number::RangeTable::shipped(),
        accounts: vec![account],
        carriers: vec![carrier],
        routes: Arc::new(Routes::plain([("", vec![CarrierId(0)])]).expect("a route")),
        classes: [class.clone(), class.clone(), class],
        limits: Vec::new(),
        bounds: Bounds::default(),
        rules: Default::default(),
    })
}

/// The engine and all that surrounds it, reduced to what answers at once.
struct World {
    engine: Engine,
    now: Now,
    journal: MemoryJournal,
    ledger: MemoryLedger,
    outputs: Vec<Output>,
    number: u64,
    carrier_id: u64,
    handed_over: u64,
}

impl World {
    fn new(window: u32) -> World {
        let now = Now { mono_us: 1_000_000, wall_ms: 1_790_000_000_000 };
        let mut world = World {
            engine: Engine::new(plan(), now),
            now,
            journal: MemoryJournal::new(),
            ledger: MemoryLedger::new(),
            outputs: Vec::new(),
            number: 0,
            carrier_id: 0,
            handed_over: 0,
        };
        let account = AccountId(0);
        world.run(vec![Input::SessionUp { session: SESSION, account, window }, Input::BindUp { bind: BIND, window }]);
        world
    }

    /// As the link makes them of PDUs; to numbers that don't repeat soon.
    fn drafts(&mut self, count: u64) -> Vec<Draft> {
        let draft = |token: u64| {
            let digits = format!("86138{:08}", (self.number + token) * 7_919 % 100_000_000);
            let message = Message {
                report: Report { on_success: true, on_failure: true, intermediate: false },
                ..Message::new(
                    AccountId(0),
                    Class::Transactional,
                    [Address::new(5, 0, b"SHOP").expect("short enough"), Address::new(1, 1, digits.as_bytes()).expect("short enough")],
                    hongyan::number::pack(digits.as_bytes()).expect("digits"),
                    Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: TEXT.as_slice().into() },
                )
            };
            Draft { token, message: Arc::new(message), campaign: None }
        };
        let drafts = (0..count).map(draft).collect();
        self.number += count;
        drafts
    }

    /// Steps until nothing follows any more: every message goes all the way and its report comes home.
    fn run(&mut self, mut inputs: Vec<Input>) {
        while !inputs.is_empty() {
            self.now = self.now.plus_us(50);
            let mut outputs = std::mem::take(&mut self.outputs);
            self.engine.step(self.now, &mut inputs, &mut outputs);
            outputs.drain(..).for_each(|output| self.answer(output, &mut inputs));
            self.outputs = outputs;
        }
    }

    fn answer(&mut self, output: Output, inputs: &mut Vec<Input>) {
        match output {
            Output::Controlled { .. } | Output::StayDown(_) | Output::HandedIn { .. } | Output::Recall { .. } => {}
            Output::Append { batch, events, .. } => {
                let position = self.journal.append(&events).expect("memory");
                inputs.push(Input::Committed { batch, position });
            }
            Output::Ledger(update) => {
                self.ledger.apply(&update).expect("memory");
                self.journal.drop_before(update.absorbed + 1).expect("memory");
                inputs.push(Input::LedgerApplied);
            }
            Output::ReadChunk(id) => {
                let found = self.ledger.chunk(id).expect("memory").map(|(chunk, dead)| (chunk.octets, dead));
                inputs.push(Input::Chunk { id, found });
            }
            Output::Rules { .. } => {}
            Output::ReadPage { kind, id } => {
                let found = self.ledger.page(kind, id).expect("memory");
                inputs.push(Input::Page { kind, id, found });
            }
            Output::Bind { commands, .. } => self.carrier(commands, inputs),
            Output::Upstream { replies, .. } => {
                let answers: Vec<_> = replies
                    .into_iter()
                    .filter_map(|reply| match reply {
                        UpstreamReply::Deliver { token, .. } => Some((token, DeliveryAnswer::Taken)),
                        _ => None,
                    })
                    .collect();
                self.handed_over += answers.len() as u64;
                if !answers.is_empty() {
                    inputs.push(Input::Answered { session: SESSION, answers });
                }
            }
        }
    }

    /// Takes every message and reports it as delivered.
    fn carrier(&mut self, commands: Vec<BindCommand>, inputs: &mut Vec<Input>) {
        let (mut outcomes, mut deliveries) = (Vec::new(), Vec::new());
        for command in commands {
            let BindCommand::Send { message, .. } = command else { continue };
            self.carrier_id += 1;
            let id: arrayvec::ArrayVec<u8, 64> = self.carrier_id.to_string().bytes().collect();
            outcomes.push((Ticket { message: message.id, part: 0 }, Outcome::Sent { carrier_id: id.clone() }));
            let facts = ReceiptFacts {
                id,
                other_id: Default::default(),
                state: ReceiptState::Delivered,
                stat: Default::default(),
                is_final: true,
                error: Default::default(),
                network_error: None,
                done_ms: Some(self.now.wall_ms),
                submit_ms: Some(self.now.wall_ms),
                numbers: [message.number, 0],
            };
            deliveries.push((self.carrier_id, Received::Receipt(Box::new(facts))));
        }
        if !outcomes.is_empty() {
            inputs.push(Input::Outcomes { bind: BIND, outcomes });
            inputs.push(Input::Received { bind: BIND, deliveries });
        }
    }
}

/// Ten million random Chinese mobiles in a list: what a look costs, half of them hits, and what a number takes.
fn lists(criterion: &mut Criterion) {
    let mut dice = 7u64;
    let mut number = || {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        13 << 60 | (8_613_000_000_000 + (dice >> 16) % 6_999_999_999)
    };
    let mut listed: Vec<u64> = (0..10_000_000).map(|_| number()).collect();
    let asked: Vec<u64> = (0..500_000).flat_map(|n| [listed[n * 17], number()]).collect();
    listed.sort_unstable();
    listed.dedup();
    let mut set = hongyan::number::SortedNumbers::default();
    listed.chunks(20_000).for_each(|slice| _ = set.insert_all(slice));
    println!("{:.2} octets a number", set.octets() as f64 / set.len() as f64);
    let mut next = asked.iter().cycle();
    criterion.bench_function("a look into a list of 10 M numbers", |bencher| {
        bencher.iter(|| next.next().is_some_and(|&number| set.contains(number)));
    });
}

fn engine(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine, submit to report");
    for batch in [1u64, 20, 200, 1000] {
        // One world for all rounds of a batch: tables are as full as they get, and the ledger does its share.
        let world = std::cell::RefCell::new(World::new(batch as u32));
        group.throughput(Throughput::Elements(batch));
        group.bench_function(format!("{batch} at a time"), |bencher| {
            bencher.iter_batched(
                || world.borrow_mut().drafts(batch),
                |drafts| world.borrow_mut().run(vec![Input::Submit { session: SESSION, drafts }]),
                BatchSize::SmallInput,
            );
        });
        let world = world.into_inner();
        let counts = world.engine.counts();
        let delivered = counts.by_state[State::Delivered as usize];
        assert_eq!((delivered, world.handed_over, counts.imbalance()), (world.number, world.number, 0), "every message went all the way");
    }
    group.finish();
}

criterion_group!(benches, engine, lists);
criterion_main!(benches);
