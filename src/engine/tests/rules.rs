//! Who may be written to: at intake, when a message leaves, while lists change, across crashes.

use super::*;
use crate::engine::event::{Event, read_group};
use crate::engine::rules::decide::Moment;
use crate::engine::rules::lists::{Level, ListKind, ListName, Numbers, Sender};
use crate::engine::rules::phrases::Phrases;
use crate::engine::rules::plan::{AccountRules, Allowed, CarrierRules, ReplyLevel, ReplyRules, RulesPlan};
use crate::engine::rules::routing::InboundRule;
use crate::engine::rules::velocity::VelocityRule;
use crate::engine::rules::words::Words;

/// The number of the bench's messages; each adds its token.
const PHONE: u64 = 13 << 60 | 8_613_800_138_000;

fn with(rules: RulesPlan, change: impl FnOnce(&mut Plan)) -> Bench {
    with_bounds(Bounds::default(), rules, change)
}

fn with_bounds(bounds: Bounds, rules: RulesPlan, change: impl FnOnce(&mut Plan)) -> Bench {
    let mut plan = Plan { rules, ..(*plan(bounds.clone())).clone() };
    change(&mut plan);
    let mut bench = Bench::with(bounds);
    bench.engine = Engine::new(Arc::new(plan), START);
    bench
}

fn platform() -> ListName {
    ListName::new(ListKind::Block, Level::Platform)
}

fn ask(bench: &mut Bench, request: RulesRequest) -> Result<RulesAnswer, RulesError> {
    let before = bench.ruled.len();
    bench.step(vec![Input::Rules { token: 7, request: Box::new(request) }]);
    assert_eq!(bench.ruled.len(), before + 1, "answered once");
    bench.ruled[before].1.clone()
}

fn block(bench: &mut Bench, list: &ListName, numbers: &[u64]) {
    let numbers = Numbers::new(numbers.to_vec());
    ask(bench, RulesRequest::Add { list: list.clone(), numbers }).unwrap();
}

fn count(bench: &mut Bench) -> Vec<(ListName, u64)> {
    match ask(bench, RulesRequest::Count) {
        Ok(RulesAnswer::Counts(counts)) => counts,
        other => panic!("{other:?}"),
    }
}

fn refused(bench: &mut Bench, token: u64, text: &str) -> Option<Refusal> {
    bench.submit(token, Class::Transactional, text);
    bench.answers.iter().rfind(|answer| answer.0 == token).unwrap().1.err()
}

fn errors(bench: &Bench) -> Vec<(ReceiptState, String)> {
    let reports = bench.deliveries.iter().filter_map(|(_, delivery)| match delivery.as_ref() {
        Delivery::Receipt(report) => Some((report.state, String::from_utf8_lossy(&report.error).into_owned())),
        Delivery::Inbound(_) => None,
    });
    reports.collect()
}

fn allowed_prefixes(prefixes: &[&str]) -> Allowed {
    Allowed { countries: vec!["DE".to_owned()], prefixes: PrefixTable::new(prefixes.iter().map(|prefix| (*prefix, ()))).unwrap() }
}

fn phrases(list: &[&str]) -> Option<Arc<Phrases>> {
    Some(Arc::new(Phrases::new(list.iter().map(|phrase| (*phrase).to_owned())).unwrap()))
}

#[test]
fn a_listed_number_is_refused_at_every_level_and_others_pass() {
    let mut bench = Bench::new().up();
    assert_eq!(refused(&mut bench, 1, "hello"), None);
    let lists = [
        (Level::Platform, ListKind::Block, Refusal::Blocked),
        (Level::Account(AccountId(0)), ListKind::OptOut, Refusal::OptedOut),
        (Level::Sender(Sender::new(b"shop").unwrap()), ListKind::Block, Refusal::Blocked),
    ];
    for (level, kind, refusal) in lists {
        let list = ListName::new(kind, level);
        block(&mut bench, &list, &[PHONE + 5]);
        assert_eq!(refused(&mut bench, 5, "hello"), Some(refusal), "{list:?}");
        assert_eq!(refused(&mut bench, 6, "hello"), None);
        let removed = ask(&mut bench, RulesRequest::Remove { list: list.clone(), numbers: Numbers::new(vec![PHONE + 5, PHONE + 6]) });
        assert_eq!(removed, Ok(RulesAnswer::Changed { changed: 1, total: 0 }));
        assert_eq!(refused(&mut bench, 5, "hello"), None);
    }
    let strange = ListName::new(ListKind::Block, Level::Account(AccountId(9)));
    assert_eq!(ask(&mut bench, RulesRequest::Clear { list: strange }), Err(RulesError::Account));
}

#[test]
fn what_waits_when_its_number_is_blocked_never_leaves_and_its_sender_is_told_why() {
    let mut bench = Bench::new();
    bench.step(vec![Input::SessionUp { session: SESSION, account: AccountId(0), window: 10 }]);
    let blocked = bench.submit(1, Class::Marketing, "sale");
    let free = bench.submit(2, Class::Marketing, "sale");
    bench.due_in_ms = 5_000;
    bench.submit(3, Class::Otp, "1234");
    block(&mut bench, &platform(), &[PHONE + 1]);
    block(&mut bench, &ListName::new(ListKind::OptOut, Level::Account(AccountId(0))), &[PHONE + 3]);
    bench.step(vec![Input::BindUp { bind: BIND, window: 10 }]);
    assert_eq!(bench.sends, [(BIND, free, 0, 1)]);
    assert_eq!(errors(&bench), [(ReceiptState::Rejected, "901".to_owned())]);
    assert_eq!(bench.reported(), [(blocked, ReceiptState::Rejected)]);
    bench.pass(6_000);
    assert_eq!((bench.sends.len(), bench.state(State::Rejected)), (1, 2), "nor does what was deferred");
    assert_eq!(errors(&bench)[1].1, "902");
    let figures = bench.engine.snapshot().rules;
    assert_eq!((figures.stopped, figures.listed), ([1, 1, 0, 0], [[1, 0, 0], [0, 1, 0]]));
    assert_eq!(bench.crash().state(State::Rejected), 2);
}

#[test]
fn a_message_that_may_be_out_in_part_ends_as_what_is_true_of_it() {
    let mut bench = Bench::new().up();
    let long = bench.submit(1, Class::Marketing, &"long ".repeat(60));
    bench.sent(long, 0, "AA");
    bench.outcome(long, 1, Outcome::Later { status: 8 });
    let doubtful = bench.submit(2, Class::Marketing, "sale");
    bench.outcome(doubtful, 0, Outcome::InDoubt);
    block(&mut bench, &platform(), &[PHONE + 1, PHONE + 2]);
    let sent = bench.sends.len();
    bench.pass(12_000);
    assert_eq!(bench.sends.len(), sent, "neither the rest nor another copy");
    assert_eq!((bench.state(State::Undelivered), bench.state(State::InDoubt)), (1, 1));
    bench.receipt(9, "unknown", ReceiptState::Delivered, 2);
    assert_eq!((bench.state(State::InDoubt), bench.state(State::Delivered)), (0, 1), "the first copy had arrived");
}

#[test]
fn a_change_is_in_force_at_once_and_answered_once_it_is_durable() {
    let mut bench = Bench::new().up();
    bench.hold_commits = true;
    let numbers = Numbers::new(vec![PHONE + 1]);
    bench.step(vec![Input::Rules { token: 4, request: Box::new(RulesRequest::Add { list: platform(), numbers }) }]);
    assert!(bench.ruled.is_empty());
    assert_eq!(refused(&mut bench, 1, "hello"), Some(Refusal::Blocked));
    let (batch, events) = bench.held.remove(0);
    let position = bench.journal.append(&events).unwrap();
    bench.step(vec![Input::Committed { batch, position }]);
    assert_eq!(bench.ruled, [(4, Ok(RulesAnswer::Changed { changed: 1, total: 1 }))]);
    bench.step(vec![Input::Disk(DiskState::Failed)]);
    assert_eq!(ask(&mut bench, RulesRequest::Add { list: platform(), numbers: Numbers::new(vec![1]) }), Err(RulesError::Disk));
}

/// Everything in the lists, from the engine's doors.
fn listed(bench: &mut Bench, list: &ListName) -> Vec<u64> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        match ask(bench, RulesRequest::Page { list: list.clone(), after, most: 999 }) {
            Ok(RulesAnswer::Page(page)) if page.is_empty() => return all,
            Ok(RulesAnswer::Page(page)) => {
                after = *page.last().unwrap();
                all.extend(page);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Fills the journal so that a walk carries what is old into the ledger.
fn walk(bench: &mut Bench) {
    let before = bench.ledger.absorbed().unwrap();
    for token in 1_000.. {
        bench.submit(token, Class::Marketing, "filler");
        if bench.ledger.absorbed().unwrap() > before {
            return;
        }
        assert!(token < 3_000, "no walk");
    }
}

#[test]
fn lists_survive_crashes_before_and_after_walks_and_a_walk_writes_only_parts_that_changed() {
    let mut bench = with_bounds(Bounds { journal_octets: 4_000, ..Bounds::default() }, RulesPlan::default(), |_| {}).up();
    let sender = ListName::new(ListKind::OptOut, Level::Sender(Sender::new(b"1069").unwrap()));
    let many: Vec<u64> = (0..45_000).map(|n| PHONE + 10_000 + n * 700).collect();
    block(&mut bench, &platform(), &many);
    block(&mut bench, &sender, &[PHONE + 8, PHONE + 9]);
    let mut bench = bench.crash();
    assert_eq!(listed(&mut bench, &platform()), many, "from the journal");
    walk(&mut bench);
    let mut bench = bench.crash();
    assert_eq!(listed(&mut bench, &platform()), many, "from the ledger");
    assert_eq!(count(&mut bench), [(platform(), 45_000), (sender.clone(), 2)]);
    // One more and one less: after both, and the crash, they are as they should be.
    block(&mut bench, &platform(), &[PHONE + 10_001]);
    ask(&mut bench, RulesRequest::Remove { list: platform(), numbers: Numbers::new(vec![many[44_999]]) }).unwrap();
    let mut update = crate::store::LedgerUpdate::default();
    assert!(bench.engine.keep_lists(&mut update));
    assert_eq!(update.blobs.len(), 2, "{:?}", update.blobs.iter().map(|blob| &blob.0).collect::<Vec<_>>());
    bench.ledger.apply(&update).unwrap();
    walk(&mut bench);
    let mut bench = bench.crash();
    let now = listed(&mut bench, &platform());
    assert_eq!((now.len(), now[1], now.last()), (45_000, PHONE + 10_001, many.get(44_998)));
    // Cleared, walked, crashed: nothing comes back, and the list can be filled anew.
    assert_eq!(ask(&mut bench, RulesRequest::Clear { list: platform() }), Ok(RulesAnswer::Changed { changed: 45_000, total: 0 }));
    block(&mut bench, &platform(), &[PHONE + 4]);
    walk(&mut bench);
    let mut bench = bench.crash();
    assert_eq!(count(&mut bench), [(platform(), 1), (sender, 2)]);
    assert_eq!(refused(&mut bench, 4, "hello"), Some(Refusal::Blocked));
    assert_eq!(bench.crash().engine.snapshot().rules.listed, [[1, 0, 0], [0, 0, 2]]);
}

#[test]
fn a_large_change_is_cut_into_slices_and_small_ones_pass_it() {
    let mut bench = Bench::new().up();
    bench.hold_commits = true;
    let many: Vec<u64> = (0..50_000).map(|n| PHONE + n * 3).collect();
    let request = |list, numbers| Box::new(RulesRequest::Add { list, numbers });
    bench.step(vec![
        Input::Rules { token: 1, request: request(platform(), Numbers::new(many.clone())) },
        Input::Rules { token: 2, request: request(platform(), Numbers::new(vec![PHONE + 1])) },
    ]);
    assert_eq!(refused(&mut bench, 1, "x"), Some(Refusal::Blocked), "the small one is in force");
    assert_eq!(refused(&mut bench, 3, "x"), Some(Refusal::Blocked), "and so is the first slice");
    let mut steps = 0;
    while !bench.held.is_empty() {
        for (batch, events) in std::mem::take(&mut bench.held) {
            let mut most = 0;
            read_group(&events, &mut |_, event| {
                if let Event::Listed { numbers, .. } = event {
                    most = most.max(numbers.len());
                }
            })
            .unwrap();
            assert!(most <= 20_000 && events.len() < 100_000, "{most} numbers, {} octets", events.len());
            let position = bench.journal.append(&events).unwrap();
            bench.step(vec![Input::Committed { batch, position }]);
        }
        steps += 1;
    }
    assert!(steps >= 3, "each slice waits for the one before");
    let answers: Vec<u64> = bench.ruled.iter().map(|answer| answer.0).collect();
    assert_eq!(answers, [2, 1], "the small one did not wait");
    assert_eq!(bench.ruled[1].1, Ok(RulesAnswer::Changed { changed: 50_000, total: 50_001 }));
    bench.hold_commits = false;
    assert_eq!(listed(&mut bench.crash(), &platform()).len(), 50_001);
}

#[test]
fn an_account_writes_only_to_its_prefixes_also_when_they_change_while_messages_wait() {
    let allowed = |prefixes: &[&str]| {
        let allowed = Some(allowed_prefixes(prefixes));
        RulesPlan::new(vec![AccountRules { allowed, ..AccountRules::default() }], Vec::new())
    };
    let mut bench = with(allowed(&["852", "86138001380"]), |_| {}).up();
    assert_eq!(refused(&mut bench, 1, "x"), None);
    assert_eq!(refused(&mut bench, 200, "x"), Some(Refusal::Country));
    bench.due_in_ms = 2_000;
    let waits = bench.submit(2, Class::Transactional, "x");
    let plan = Plan { rules: allowed(&["1"]), ..(*bench.engine.plan).clone() };
    bench.engine.plan = Arc::new(plan);
    bench.pass(3_000);
    assert_eq!((bench.reported(), errors(&bench)[0].1.as_str()), (vec![(waits, ReceiptState::Rejected)], "903"));
}

#[test]
fn velocity_holds_across_crashes_and_walks() {
    let rule = VelocityRule { prefix: 0, digits: 11, most: 5, window_ms: 60_000 };
    let rules = || RulesPlan::new(vec![AccountRules { velocity: vec![rule], ..AccountRules::default() }], Vec::new());
    let mut bench = with_bounds(Bounds { journal_octets: 2_000, ..Bounds::default() }, rules(), |_| {}).up();
    for token in 1..=3 {
        assert_eq!(refused(&mut bench, token, "x"), None);
    }
    let mut bench = bench.crash();
    assert_eq!((refused(&mut bench, 4, "x"), refused(&mut bench, 300, "x")), (None, None), "another range has its own counter");
    walk(&mut bench);
    let mut bench = bench.crash();
    assert_eq!((refused(&mut bench, 5, "x"), refused(&mut bench, 6, "x")), (None, Some(Refusal::Velocity)));
    let mut bench = bench.crash();
    assert_eq!(refused(&mut bench, 7, "x"), Some(Refusal::Velocity), "what was refused did not count, what was accepted does");
    bench.pass(70_000);
    assert_eq!(refused(&mut bench, 7, "x"), None);
}

#[test]
fn an_accounts_phrases_are_refused_at_the_door_and_in_a_replacement() {
    let account = AccountRules { phrases: phrases(&["free money"]), ..AccountRules::default() };
    let mut bench = with(RulesPlan::new(vec![account], Vec::new()), |_| {}).up();
    assert_eq!((refused(&mut bench, 1, "FREE MONEY here"), refused(&mut bench, 2, "hello")), (Some(Refusal::Phrase), None));
    bench.due_in_ms = 60_000;
    let id = bench.submit(3, Class::Transactional, "hello");
    let with = |text: &str| {
        Box::new(Replacement {
            octets: text.as_bytes().into(),
            due_ms: 0,
            expires_ms: 0,
            report: Wish { on_success: true, on_failure: true, intermediate: false },
        })
    };
    let source = Address::new(5, 0, b"SHOP").unwrap();
    bench.step(vec![
        Input::Replace { session: SESSION, token: 1, message: id, source: source.clone(), with: with("get Free Money") },
        Input::Replace { session: SESSION, token: 2, message: id, source, with: with("get nothing") },
    ]);
    bench.done.sort_by_key(|done| done.0);
    assert_eq!(bench.done, [(1, Err(Refusal::Phrase)), (2, Ok(()))]);
    let hits: Vec<_> = bench.engine.snapshot().rules.phrases.into_iter().map(|hit| (hit.of, hit.phrase, hit.hits)).collect();
    assert_eq!(hits, [("account shop".to_owned(), "free money".to_owned(), 2)]);
}

#[test]
fn a_carriers_phrases_send_a_message_elsewhere_or_end_it() {
    for (elsewhere, other, sends, rejected) in [(true, false, 1, 0), (true, true, 0, 1), (false, false, 0, 1)] {
        let carrier = |denies: bool| CarrierRules { phrases: denies.then(|| phrases(&["loan"])).flatten(), elsewhere };
        let mut bench = with(RulesPlan::new(Vec::new(), vec![carrier(true), carrier(other)]), |_| {}).up();
        let second = BindId { carrier: CarrierId(1), index: 0, generation: 1 };
        bench.step(vec![Input::BindUp { bind: second, window: 10 }]);
        let id = bench.submit(1, Class::Marketing, "get a LOAN");
        bench.submit(2, Class::Marketing, "hello");
        bench.step(Vec::new());
        let of_first: Vec<_> = bench.sends.iter().filter(|send| send.1 == id).collect();
        assert_eq!(of_first.len(), sends, "elsewhere {elsewhere}, other {other}");
        assert!(of_first.iter().all(|send| send.0 == second));
        assert_eq!(bench.state(State::Rejected), rejected);
        assert!(errors(&bench).iter().all(|(_, error)| error == "905"), "{:?}", errors(&bench));
    }
}

fn reply(bench: &mut Bench, token: u64, text: &str) {
    let octets: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let part = InboundPart {
        source: Address::new(1, 1, b"8613800138001").unwrap(),
        destination: Address::new(0, 0, b"106988").unwrap(),
        body: Body { encoding: Encoding::Ucs2, raw_data_coding: 8, header_len: 0, octets: octets.into() },
        part: None,
        service_type: ArrayVec::new(),
        protocol_id: 0,
    };
    bench.step(vec![Input::Received { bind: BIND, deliveries: vec![(token, Received::Inbound(Box::new(part)))] }]);
}

fn replies(level: ReplyLevel, deliver: bool) -> ReplyRules {
    ReplyRules { out: Words::new(["TD", "T", "退订"]), own: false, back: Words::new(["START", "恢复"]), level, deliver }
}

fn submit_from(bench: &mut Bench, token: u64, source: &[u8]) -> Option<Refusal> {
    let destination = Address::new(1, 1, b"8613800138001").unwrap();
    let message = Message { source: Address::new(0, 0, source).unwrap(), destination, number: PHONE + 1, ..message("hello") };
    bench.step(vec![Input::Submit { session: SESSION, drafts: vec![Draft { token, message: Arc::new(message), campaign: None }] }]);
    bench.answers.iter().rfind(|answer| answer.0 == token).unwrap().1.err()
}

#[test]
fn a_reply_opts_out_at_once_durably_and_in_again() {
    let opted = [
        (ReplyLevel::Sender, [Some(Refusal::OptedOut), None]),
        (ReplyLevel::Account, [Some(Refusal::OptedOut); 2]),
        (ReplyLevel::Platform, [Some(Refusal::OptedOut); 2]),
    ];
    for (level, [same_sender, other_sender]) in opted {
        let rules = RulesPlan { replies: replies(level, true), ..RulesPlan::default() };
        let mut bench = with(rules, |_| {}).up();
        assert_eq!(submit_from(&mut bench, 1, b"106988"), None);
        bench.hold_commits = true;
        reply(&mut bench, 1, "回TD退订");
        assert!(bench.stored.is_empty(), "the carrier's answer waits for the disk");
        let (batch, events) = bench.held.remove(0);
        bench.hold_commits = false;
        let position = bench.journal.append(&events).unwrap();
        bench.step(vec![Input::Committed { batch, position }]);
        assert_eq!((bench.stored.len(), bench.deliveries.len()), (1, 1), "stored, and delivered to the account");
        for round in 0..2 {
            // The service number is 1069: all its extensions are meant.
            assert_eq!(submit_from(&mut bench, 2, b"1069"), same_sender, "{level:?}");
            assert_eq!(submit_from(&mut bench, 3, b"SHOP"), other_sender, "{level:?}");
            if round == 0 {
                bench = bench.crash();
            }
        }
        reply(&mut bench, 2, "TD");
        assert_eq!(bench.engine.snapshot().rules.replies, [1, 0], "since the start");
        reply(&mut bench, 3, " ｓｔａｒｔ。");
        let mut bench = bench.crash();
        assert_eq!((submit_from(&mut bench, 4, b"106988"), submit_from(&mut bench, 5, b"SHOP")), (None, None), "{level:?}");
    }
}

#[test]
fn opting_in_lifts_no_block_and_a_reply_can_be_kept_from_the_account() {
    let rules = RulesPlan { replies: replies(ReplyLevel::Sender, false), ..RulesPlan::default() };
    let mut bench = with(rules, |_| {}).up();
    block(&mut bench, &platform(), &[PHONE + 1]);
    reply(&mut bench, 1, "T");
    reply(&mut bench, 2, "恢复");
    assert_eq!((bench.deliveries.len(), bench.stored.len()), (0, 2));
    assert_eq!(refused(&mut bench, 1, "hello"), Some(Refusal::Blocked));
    reply(&mut bench, 3, "T恤多少钱");
    assert_eq!(bench.deliveries.len(), 1, "all else is delivered");
    assert_eq!(bench.crash().engine.snapshot().rules.listed, [[1, 0, 0], [0, 0, 0]]);
}

#[test]
fn words_may_be_a_countrys_or_an_accounts_own() {
    let by_prefix = PrefixTable::new([("86138", (Words::new(["ENDE"]), Words::default()))]).ok();
    let mut bench = with(
        RulesPlan { replies: replies(ReplyLevel::Sender, true), replies_by_prefix: by_prefix.clone(), ..RulesPlan::default() },
        |_| {},
    )
    .up();
    reply(&mut bench, 1, "TD");
    assert_eq!(bench.engine.snapshot().rules.replies, [0, 0]);
    reply(&mut bench, 2, "Ende");
    assert_eq!(bench.engine.snapshot().rules.replies, [1, 0]);
    let own = ReplyRules { out: Words::new(["BASTA"]), own: true, ..replies(ReplyLevel::Account, true) };
    let account = AccountRules { replies: Some(own), ..AccountRules::default() };
    let rules = RulesPlan { replies_by_prefix: by_prefix, ..RulesPlan::new(vec![account], Vec::new()) };
    let mut bench = with(rules, |_| {}).up();
    reply(&mut bench, 1, "Ende");
    reply(&mut bench, 2, "basta!");
    assert_eq!(count(&mut bench), [(ListName::new(ListKind::OptOut, Level::Account(AccountId(0))), 1)]);
}

#[test]
fn inbound_goes_by_number_then_keyword_then_the_carriers_default() {
    let account = |n| AccountId(n);
    let rule = |service: &[u8], keyword, carrier: Option<u16>, to| InboundRule::new(service, keyword, carrier.map(CarrierId), account(to));
    let inbound =
        vec![rule(b"106988", "VOTE", None, 1), rule(b"", "help", None, 2), rule(b"106988", "", Some(1), 3), rule(b"1069", "vote", None, 4)];
    let bench = with(RulesPlan { inbound, ..RulesPlan::default() }, |plan| {
        let shop = plan.accounts[0].clone();
        plan.accounts.resize(6, AccountPlan { service_numbers: Vec::new(), ..shop });
        plan.carriers[0].inbound_account = Some(account(5));
    });
    let owner = |carrier, destination: &[u8], text: &str| {
        let body = Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: text.as_bytes().into() };
        let owner = bench.engine.owner(CarrierId(carrier), destination, &body);
        (owner.account.map(|account| account.0), owner.service)
    };
    assert_eq!(owner(0, b"10698899", "vote 3"), (Some(1), 6), "an extension, and the keyword in any case");
    assert_eq!(owner(1, b"106988", "hello"), (Some(3), 6), "the longest number");
    assert_eq!(owner(1, b"106988", "VOTE"), (Some(1), 6), "a keyword before none");
    assert_eq!(owner(0, b"106988", "hello"), (Some(0), 4), "the account's own service number");
    assert_eq!(owner(0, b"106977", "vote"), (Some(4), 4));
    assert_eq!(owner(0, b"95555", "help me"), (Some(2), 0));
    assert_eq!(owner(0, b"95555", "hello"), (Some(5), 0), "the carrier's default");
    assert_eq!(owner(1, b"95555", "hello"), (None, 0));
}

#[test]
fn explaining_tells_each_rules_word_even_after_the_first_refusal() {
    let account = AccountRules {
        allowed: Some(allowed_prefixes(&["1"])),
        velocity: vec![VelocityRule { prefix: 0, digits: 7, most: 3, window_ms: 60_000 }],
        phrases: phrases(&["loan"]),
        replies: None,
    };
    let carrier = CarrierRules { phrases: phrases(&["offer"]), elsewhere: true };
    let mut bench = with(RulesPlan::new(vec![account], vec![carrier]), |_| {}).up();
    block(&mut bench, &platform(), &[PHONE + 1]);
    assert_eq!(refused(&mut bench, 1, "a loan offer"), Some(Refusal::Blocked));
    let mut message = Message { number: PHONE + 1, ..message("a loan offer") };
    message.source = Address::new(5, 0, b"SHOP").unwrap();
    let rulings = bench.engine.explain_rules(&message);
    let told: Vec<_> = rulings.iter().map(|r| (r.rule, r.moment == Moment::Intake, r.refusal, r.why.as_str())).collect();
    assert_eq!(
        told[..4],
        [
            ("lists", true, Some(Refusal::Blocked), "in the block list of the platform"),
            ("countries", true, Some(Refusal::Country), "the account may write to some countries and prefixes"),
            ("phrases", true, Some(Refusal::Phrase), "has 'loan'"),
            ("velocity", true, None, "at most 3 messages to a range in 60 s"),
        ]
    );
    assert!(told[4..].contains(&("carrier phrases", false, Some(Refusal::Phrase), "has 'offer'")), "{told:?}");
    assert!(bench.engine.snapshot().rules.phrases.iter().all(|hit| hit.hits == 0), "to explain counts nothing");
}

fn message(text: &str) -> Message {
    let body = Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: text.as_bytes().into() };
    Message::new(AccountId(0), Class::Transactional, [Address::default(), Address::default()], PHONE, body)
}

#[test]
fn events_of_lists_are_read_as_they_were_written_and_in_one_form_only() {
    use crate::engine::event::{open, put_numbers, read_numbers, seal, write};
    let numbers = vec![1, 127, 128, 300, PHONE, PHONE + 1, u64::MAX];
    let sender = Level::Sender(Sender::new(b"shop").unwrap());
    let events = vec![
        Event::Listed { list: platform(), add: true, numbers: numbers.clone() },
        Event::Listed { list: ListName::new(ListKind::OptOut, Level::Account(AccountId(3))), add: false, numbers: vec![5] },
        Event::Unlisted { list: ListName::new(ListKind::Block, sender) },
        Event::Replied { message: MessageId(9), account: None, list: platform(), number: PHONE, back: true, at_ms: 7 },
        Event::Replied { message: MessageId(9), account: Some(AccountId(0)), list: platform(), number: PHONE, back: false, at_ms: 7 },
    ];
    let mut batch = Vec::new();
    open(&mut batch, 1);
    events.iter().for_each(|event| write(event, &mut batch));
    seal(&mut batch);
    let mut again = Vec::new();
    read_group(&batch, &mut |_, event| again.push(event)).unwrap();
    assert_eq!(again, events);
    let mut octets = Vec::new();
    put_numbers(&numbers, &mut octets);
    assert_eq!(read_numbers(&octets).unwrap(), numbers);
    let close: Vec<u64> = (0..1000).map(|n| PHONE + n * 450).collect();
    octets.clear();
    put_numbers(&close, &mut octets);
    assert!(octets.len() < 2_100, "two octets a number: {}", octets.len());
    for bad in [
        &[2, 0, 0, 0, 5, 0][..],                                                   // twice the same
        &[1, 0, 0, 0, 0x85, 0],                                                    // a longer form of 5
        &[1, 0, 0, 0, 0],                                                          // none
        &[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],    // beyond 64 bits
        &[2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1], // the second beyond 64 bits
        &[1, 0, 0, 0, 5, 5],                                                       // more than it says
        &[9, 0, 0, 0x80, 5],                                                       // less than it says
    ] {
        assert!(read_numbers(bad).is_err(), "{bad:?}");
    }
}
