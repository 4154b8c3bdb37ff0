//! Messages handed in twice.

use super::*;
use crate::engine::dedupe::Remembered;
use crate::engine::event::read_group;
use crate::engine::plan::DedupePlan;
use crate::engine::rules::lists::{Level, ListKind, ListName, Numbers};
use crate::model::DuplicateAction;
use crate::model::message::Part;

const WINDOW_MS: u64 = 60_000;

/// A bench whose account is as `change` makes it. Its journal is carried into the ledger again and again.
pub(super) fn bench_of(change: impl FnOnce(&mut AccountPlan)) -> Bench {
    let mut plan = (*plan(Bounds { journal_octets: 3_000, ..Bounds::default() })).clone();
    change(&mut plan.accounts[0]);
    let mut bench = Bench::new();
    bench.engine = Engine::new(Arc::new(plan), START);
    bench.up()
}

fn bench(action: DuplicateAction) -> Bench {
    bench_of(|account| account.dedupe = DedupePlan { window_ms: WINDOW_MS, action, max_entries: 4_000, ..DedupePlan::default() })
}

impl Bench {
    /// A message to phone `phone`; `change` makes it something else. Its token is the number of answers before.
    pub(super) fn submit_one(&mut self, phone: u64, text: &str, change: impl FnOnce(&mut Message)) -> Option<Result<MessageId, Refusal>> {
        let token = 1_000_000 + self.now.mono_us;
        self.now = self.now.plus_us(1_000);
        let mut message = Message {
            report: Wish { on_success: true, on_failure: true, intermediate: false },
            ..Message::new(
                AccountId(0),
                Class::Transactional,
                [Address::new(5, 0, b"SHOP").unwrap(), Address::new(1, 1, b"8613800138000").unwrap()],
                crate::number::pack(b"8613800138000").unwrap() + phone,
                Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: text.as_bytes().into() },
            )
        };
        change(&mut message);
        self.step(vec![Input::Submit { session: SESSION, drafts: vec![Draft { token, message: Arc::new(message), campaign: None }] }]);
        self.answers.iter().find(|answer| answer.0 == token).map(|answer| answer.1)
    }

    fn text(&mut self, phone: u64, text: &str) -> Result<MessageId, Refusal> {
        self.submit_one(phone, text, |_| {}).unwrap()
    }

    fn identity(&mut self, phone: u64, text: &str, identity: u64) -> Result<MessageId, Refusal> {
        self.submit_one(phone, text, |message| message.identity = identity).unwrap()
    }

    fn accepted(&self) -> u64 {
        self.engine.counts().accepted
    }

    fn repeats(&self) -> [u64; 4] {
        self.engine.snapshot().accounts[0].repeats.counts()
    }

    /// Messages enough that everything before them is carried into the ledger. A carrier takes them and reports on them.
    pub(super) fn fill(&mut self, from: u64) {
        for n in from..from + 40 {
            let id = self.submit_one(10_000 + n, "filling up the journal until it is carried", |_| {}).unwrap().unwrap();
            self.sent(id, 0, &format!("f{n}"));
            self.receipt(n, &format!("f{n}"), ReceiptState::Delivered, 10_000 + n);
        }
        self.pass(100);
        let kept: Vec<_> = self.deliveries.drain(..).map(|(token, _)| (token, DeliveryAnswer::Taken)).collect();
        self.step(vec![Input::Answered { session: SESSION, answers: kept }]);
    }
}

#[test]
fn the_same_text_to_the_same_number_within_the_window_is_sent_once_and_answered_with_the_first_ones_id() {
    let mut bench = bench(DuplicateAction::Drop);
    let first = bench.text(1, "hello").unwrap();
    assert_eq!(bench.text(1, "hello"), Ok(first));
    assert_ne!(bench.text(2, "hello"), Ok(first), "another number");
    assert_ne!(bench.text(1, "hello!"), Ok(first), "another text");
    bench.sent(first, 0, "A1");
    bench.receipt(1, "A1", ReceiptState::Delivered, 1);
    assert_eq!(bench.text(1, "hello"), Ok(first), "though it has ended");
    assert_eq!((bench.accepted(), bench.repeats()), (3, [0, 2, 0, 0]));
    bench.pass(WINDOW_MS);
    assert_ne!(bench.text(1, "hello"), Ok(first), "its time is over");
    assert_eq!(bench.accepted(), 4);
}

#[test]
fn parts_that_upstream_cut_itself_are_no_duplicates_of_each_other_and_are_of_themselves() {
    let mut bench = bench(DuplicateAction::Refuse);
    let part = |number: u8| {
        move |message: &mut Message| {
            let header = [5, 0, 3, 7, 3, number];
            message.body.header_len = 6;
            message.body.octets = header.iter().chain(b"ha ha ha").copied().collect();
        }
    };
    let by_tlv = |number: u8| move |message: &mut Message| message.part = Some(Part { reference: 7, total: 3, number });
    for number in 1..=3 {
        bench.submit_one(1, "", part(number)).unwrap().unwrap();
        bench.submit_one(1, "ha ha ha", by_tlv(number)).unwrap().unwrap();
    }
    bench.text(1, "ha ha ha").unwrap();
    for number in 1..=3 {
        assert_eq!(bench.submit_one(1, "", part(number)), Some(Err(Refusal::Duplicate)));
        assert_eq!(bench.submit_one(1, "ha ha ha", by_tlv(number)), Some(Err(Refusal::Duplicate)));
    }
    let ucs2 = |message: &mut Message| message.body.encoding = Encoding::Ucs2;
    assert!(bench.submit_one(1, "ha ha ha", ucs2).unwrap().is_ok(), "the same octets are another text");
    assert_eq!((bench.accepted(), bench.repeats()), (8, [0, 0, 6, 0]));
}

#[test]
fn a_flagged_duplicate_is_sent_and_marked_on_record_with_the_one_before_it() {
    let mut bench = bench(DuplicateAction::Flag);
    let ids: Vec<MessageId> = (0..3).map(|_| bench.text(1, "hello").unwrap()).collect();
    let mut marks = Vec::new();
    bench
        .journal
        .replay(0, &mut |_, group| {
            let each = &mut |_, event| {
                if let Event::Flagged { message, original } = event {
                    marks.push((message, original));
                }
            };
            read_group(group, each).unwrap();
            Ok(())
        })
        .unwrap();
    assert_eq!(marks, [(ids[1], ids[0]), (ids[2], ids[1])]);
    assert_eq!((bench.accepted(), bench.sends.len(), bench.repeats()), (3, 3, [0, 0, 0, 2]));
    let mut bench = bench.crash();
    bench.text(1, "hello").unwrap();
    assert_eq!((bench.accepted(), bench.repeats()), (4, [0, 0, 0, 1]));
}

#[test]
fn where_nothing_is_set_nothing_is_remembered_but_identities() {
    let mut bench = Bench::new().up();
    let ids: Vec<_> = (0..3).map(|_| bench.text(1, "hello").unwrap()).collect();
    assert_eq!((ids.len(), bench.accepted(), bench.engine.snapshot().accounts[0].remembered), (3, 3, 0));
    let first = bench.identity(1, "hello", 77).unwrap();
    assert_eq!(bench.identity(2, "whatever", 77), Ok(first));
    assert_eq!((bench.accepted(), bench.engine.snapshot().accounts[0].remembered, bench.repeats()), (4, 1, [1, 0, 0, 0]));
}

#[test]
fn what_is_handed_in_again_before_the_first_is_durable_is_answered_when_it_is() {
    let mut bench = bench(DuplicateAction::Drop);
    bench.hold_commits = true;
    assert_eq!(bench.submit_one(1, "hello", |message| message.identity = 7), None);
    assert_eq!(bench.submit_one(1, "hello", |message| message.identity = 7), None, "not yet");
    assert_eq!(bench.submit_one(1, "hello", |_| {}), None);
    assert!(bench.answers.is_empty());
    let held = std::mem::take(&mut bench.held);
    assert_eq!(held.len(), 1, "repetitions write nothing");
    for (batch, events) in held {
        let position = bench.journal.append(&events).unwrap();
        bench.step(vec![Input::Committed { batch, position }]);
    }
    let ids: Vec<_> = bench.answers.iter().map(|answer| answer.1.unwrap()).collect();
    assert_eq!((ids.len(), ids[1], ids[2], bench.accepted()), (3, ids[0], ids[0], 1));
    assert_eq!(bench.sends.len(), 1);
}

#[test]
fn an_identity_is_answered_even_when_nothing_new_is_taken() {
    let mut bench = bench(DuplicateAction::Drop);
    let first = bench.identity(1, "hello", 7).unwrap();
    for state in [DiskState::Slow, DiskState::Reserve] {
        bench.step(vec![Input::Disk(state)]);
        assert_eq!(bench.identity(1, "hello", 7), Ok(first));
    }
    bench.step(vec![Input::Disk(DiskState::Ok), Input::Drain]);
    assert_eq!(bench.identity(1, "hello", 7), Ok(first));
    assert_eq!(bench.identity(1, "hello", 8), Err(Refusal::Stopping));
}

#[test]
fn what_was_acknowledged_is_known_after_crash_upon_crash_from_journal_and_ledger() {
    let mut bench = bench(DuplicateAction::Drop);
    let mut known = Vec::new();
    for round in 0..6u64 {
        let identity = 100 + round;
        known.push((bench.identity(round, "an identity", identity).unwrap(), bench.text(round, "a text").unwrap()));
        if round % 2 == 0 {
            bench.fill(round * 100);
            assert!(!bench.ledger.chunk_ids().unwrap().is_empty(), "something was carried");
        }
        bench = bench.crash();
        for (round, &(by_identity, by_text)) in known.iter().enumerate() {
            let round = round as u64;
            assert_eq!(bench.identity(round, "an identity", 100 + round), Ok(by_identity), "round {round}");
            assert_eq!(bench.text(round, "a text"), Ok(by_text), "round {round}");
        }
    }
    // Far less than one chunk for each walk.
    let chunks = bench.ledger.chunk_ids().unwrap().into_iter().filter(|&id| id > crate::engine::dedupe::FIRST_CHUNK).count();
    assert!((2..=4).contains(&chunks), "{chunks}");
}

#[test]
fn what_was_not_durable_at_the_crash_is_taken_as_new() {
    let mut bench = bench(DuplicateAction::Drop);
    bench.hold_commits = true;
    bench.submit_one(1, "hello", |message| message.identity = 7);
    let mut bench = bench.crash();
    let first = bench.identity(1, "hello", 7).unwrap();
    assert_eq!((bench.identity(1, "hello", 7), bench.accepted()), (Ok(first), 1));
}

#[test]
fn what_is_past_its_time_leaves_the_ledger_too() {
    let mut bench = bench(DuplicateAction::Drop);
    bench.fill(0);
    let chunks = |bench: &mut Bench| {
        let ids = bench.ledger.chunk_ids().unwrap().into_iter();
        ids.filter(|&id| id > crate::engine::dedupe::FIRST_CHUNK).collect::<Vec<_>>()
    };
    let before = chunks(&mut bench);
    assert!(!before.is_empty());
    bench.pass(2 * WINDOW_MS);
    bench.fill(100);
    bench.fill(200);
    let after = chunks(&mut bench);
    assert!(!after.is_empty() && after.iter().all(|id| !before.contains(id)), "{before:?} {after:?}");
    // Switched off, everything goes.
    let mut plan = (**bench.engine.plan()).clone();
    plan.accounts[0].dedupe.window_ms = 0;
    let (mut journal, mut ledger) = (bench.journal, bench.ledger);
    let (engine, _) = recover(Arc::new(plan), &mut journal, &mut ledger, bench.now).unwrap();
    let mut bench = Bench { engine, journal, ledger, ..Bench { now: bench.now, ..Bench::new() } }.up();
    bench.fill(300);
    bench.fill(400);
    assert!(chunks(&mut bench).is_empty());
}

#[test]
fn a_repetition_can_be_foretold_without_changing_anything() {
    let mut bench = bench(DuplicateAction::Flag);
    let first = bench.identity(1, "hello", 7).unwrap();
    let entry = &bench.engine.messages[&first].message;
    let told = Remembered::ALL.map(|of| bench.engine.repeat_of(entry, of).map(|repeat| (repeat.original, repeat.action)));
    assert_eq!(told, [Some((first, DuplicateAction::Flag)), Some((first, DuplicateAction::Drop))]);
    assert_eq!(bench.repeats(), [0; 4]);
}

#[test]
fn its_events_are_read_back_as_they_were_written_and_cut_short_they_are_refused() {
    let account = AccountId(3);
    let events = [
        Event::Reserved { message: MessageId(1), charge: 5 },
        Event::ToppedUp { account, change: -7, at_ms: 9, reason: "雁".into() },
        Event::Flagged { message: MessageId(2), original: MessageId(1) },
        Event::Remembered { account, of: Remembered::Identity, generation: 4, entries: vec![(7, MessageId(8)), (u64::MAX, MessageId(9))] },
    ];
    let (mut group, mut read) = (Vec::new(), Vec::new());
    event::open(&mut group, 6);
    events.iter().for_each(|event| event::write(event, &mut group));
    event::seal(&mut group);
    read_group(&group, &mut |batch, event| read.push((batch, event))).unwrap();
    assert_eq!(read, events.map(|event| (6, event)));
    for cut in 1..17 {
        let mut group = group[..group.len() - cut].to_vec();
        event::seal(&mut group);
        assert_eq!(read_group(&group, &mut |_, _| {}), Err(event::EventError::Short));
    }
}

#[test]
fn messages_that_came_by_no_session_are_answered_when_durable_with_their_segments_and_repeats_with_the_first_ones_id() {
    let mut bench = bench(DuplicateAction::Drop);
    let draft = |token: u64, phone: u64, octets: usize, identity: u64| {
        let destination = Address::new(1, 1, b"8613800138000").unwrap();
        let body = Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: vec![b'a'; octets].into() };
        let number = crate::number::pack(b"8613800138000").unwrap() + phone;
        let source = Address::new(5, 0, b"SHOP").unwrap();
        let message = Message { identity, ..Message::new(AccountId(0), Class::Transactional, [source, destination], number, body) };
        Draft { token, message: Arc::new(message), campaign: None }
    };
    bench.hold_commits = true;
    bench.step(vec![Input::HandIn { drafts: vec![draft(1, 1, 10, 7), draft(2, 2, 200, 8), draft(3, 1, 10, 7), draft(4, 3, 100_000, 9)] }]);
    assert_eq!(bench.handed_in, [(4, Err(Refusal::Length))], "a refusal needs no disk; nothing else is told before it is durable");
    bench.hold_commits = false;
    let held = std::mem::take(&mut bench.held);
    let commits = held.into_iter().map(|(batch, events)| Input::Committed { batch, position: bench.journal.append(&events).unwrap() });
    let commits = commits.collect();
    bench.step(commits);
    let told = |token: u64| bench.handed_in.iter().find(|answer| answer.0 == token).unwrap().1.unwrap();
    let (first, second, third) = (told(1), told(2), told(3));
    assert_eq!((first.segments, first.repeats, second.segments, second.repeats), (1, None, 2, None));
    assert_eq!((third.message, third.repeats), (first.message, Some(Remembered::Identity)));
    assert!(bench.answers.is_empty() && bench.handed_in.len() == 4);
    assert_eq!(bench.accepted(), 2);
    bench.sent(first.message, 0, "A1");
}

#[test]
fn a_key_that_was_used_with_something_else_is_refused_also_after_a_crash() {
    let mut bench = bench(DuplicateAction::Drop);
    let hand_in = |bench: &mut Bench, place: u64, content: u64| {
        let addresses = [Address::new(5, 0, b"SHOP").unwrap(), Address::new(1, 1, b"8613800138000").unwrap()];
        let body = Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: (*b"hi").into() };
        let number = crate::number::pack(b"8613800138000").unwrap() + place;
        let keyed = Some(crate::model::notes::Keyed { key: 77, content });
        let notes = Some(Arc::new(crate::model::notes::Notes { keyed, ..Default::default() }));
        let made = Message::new(AccountId(0), Class::Transactional, addresses, number, body);
        let draft = Draft { token: 1, message: Arc::new(Message { identity: 100 + place, notes, ..made }), campaign: None };
        bench.handed_in.clear();
        bench.step(vec![Input::HandIn { drafts: vec![draft] }]);
        bench.handed_in.pop().unwrap().1.map(|taken| taken.repeats.is_some())
    };
    assert_eq!([hand_in(&mut bench, 0, 5), hand_in(&mut bench, 1, 5)], [Ok(false), Ok(false)]);
    for _ in 0..2 {
        assert_eq!(hand_in(&mut bench, 0, 5), Ok(true), "the same again");
        assert_eq!(hand_in(&mut bench, 0, 6), Err(Refusal::KeyReused));
        assert_eq!(hand_in(&mut bench, 2, 6), Err(Refusal::KeyReused), "also in a place where nothing was");
        bench = bench.crash();
    }
}

#[test]
fn an_estimate_says_of_each_message_what_intake_says_and_changes_nothing() {
    let mut bench = bench_of(|account| {
        account.dedupe = DedupePlan { window_ms: WINDOW_MS, action: DuplicateAction::Refuse, ..DedupePlan::default() };
        let prices = PrefixTable::new(vec![("", 10), ("8613800138005", 1_000_000)]).unwrap();
        account.balance = Some(crate::engine::plan::BalancePlan { limit: 1_000, prices, by_range: Vec::new() });
    });
    let list = ListName::new(ListKind::Block, Level::Platform);
    let numbers = Numbers::new(vec![crate::number::pack(b"8613800138004").unwrap()]);
    bench.step(vec![Input::Rules { token: 1, request: Box::new(RulesRequest::Add { list, numbers }) }]);
    bench.identity(1, "hello", 7).unwrap();
    let now_ms = bench.now.wall_ms;
    // Phone, octets of text, identity, end of validity; and what is expected of it.
    let cases: [([u64; 4], Result<bool, Refusal>); 7] = [
        ([2, 10, 8, 0], Ok(false)),
        ([1, 10, 7, 0], Ok(true)),
        ([2, 10, 9, 0], Err(Refusal::Duplicate)),
        ([4, 10, 0, 0], Err(Refusal::Blocked)),
        ([5, 10, 0, 0], Err(Refusal::NoCredit)),
        ([3, 100_000, 0, 0], Err(Refusal::Length)),
        ([3, 10, 0, now_ms - 1], Err(Refusal::Validity)),
    ];
    for ([phone, octets, identity, expires_ms], expected) in cases {
        let addresses = [Address::new(5, 0, b"SHOP").unwrap(), Address::new(1, 1, b"8613800138000").unwrap()];
        let body = Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: vec![b'a'; octets as usize].into() };
        let number = crate::number::pack(b"8613800138000").unwrap() + phone;
        let message = Message { identity, expires_ms, ..Message::new(AccountId(0), Class::Transactional, addresses, number, body) };
        let draft = Draft { token: 77, message: Arc::new(message), campaign: None };
        let before = (bench.accepted(), bench.repeats(), bench.engine.balances()[0]);
        let estimate = bench.engine.estimate(AccountId(0), std::slice::from_ref(&draft));
        assert_eq!((bench.accepted(), bench.repeats(), bench.engine.balances()[0]), before);
        let told = estimate.each[0].map(|segments| segments.is_none());
        assert_eq!(told.is_ok_and(|repeated| repeated), estimate.repeated == 1);
        bench.handed_in.clear();
        bench.step(vec![Input::HandIn { drafts: vec![draft] }]);
        let taken = bench.handed_in.pop().unwrap().1;
        assert_eq!((told, taken.map(|taken| taken.repeats.is_some())), (expected, expected));
        if let (Ok(taken), 0) = (taken, estimate.repeated) {
            assert_eq!((u64::from(taken.segments), estimate.charge), (estimate.segments, Some(10)));
        }
    }
}
