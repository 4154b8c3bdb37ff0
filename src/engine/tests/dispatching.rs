//! Fair lanes, the tree of buckets, campaigns and the closed loop in the engine.

use super::super::plan::LimitPlan;
use super::*;
use crate::model::CampaignId;

/// One of many messages: whose, of which class and campaign, to which number.
#[derive(Clone, Copy)]
struct Of {
    account: u32,
    class: Class,
    campaign: &'static str,
    prefix: &'static str,
}

const NOTICE: Of = Of { account: 0, class: Class::Transactional, campaign: "", prefix: "86138" };

fn limit(name: &str, rate_per_s: u32, burst: u32) -> LimitPlan {
    LimitPlan { name: name.into(), rate_per_s, burst, ..LimitPlan::default() }
}

fn planned(change: impl FnOnce(&mut Plan)) -> Bench {
    planned_with(Bounds::default(), change)
}

fn planned_with(bounds: Bounds, change: impl FnOnce(&mut Plan)) -> Bench {
    let mut plan = Plan::clone(&plan(bounds));
    let second = AccountPlan { name: "bank".into(), ..plan.accounts[0].clone() };
    plan.accounts.push(second);
    plan.carriers.truncate(1);
    plan.routes = Arc::new(Routes::plain([("86", vec![CarrierId(0)])]).unwrap());
    change(&mut plan);
    Bench::planned(Arc::new(plan))
}

impl Bench {
    fn hand_in(&mut self, of: Of, count: u64) -> Vec<MessageId> {
        let session = SessionId(100 + u64::from(of.account));
        self.step(vec![Input::SessionUp { session, account: AccountId(of.account), window: 0 }]);
        let first = self.answers.len();
        let drafts = (0..count).map(|n| {
            let digits = format!("{}{:08}", of.prefix, first as u64 + n);
            let addresses = [Address::new(5, 0, b"SHOP").unwrap(), Address::new(1, 1, digits.as_bytes()).unwrap()];
            let number = crate::number::pack(digits.as_bytes()).unwrap();
            let body = Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: b"hello"[..].into() };
            let message = Message::new(AccountId(of.account), of.class, addresses, number, body);
            let campaign = Some(of.campaign).filter(|name| !name.is_empty()).map(Arc::from);
            Draft { token: first as u64 + n, message: Arc::new(message), campaign }
        });
        self.step(vec![Input::Submit { session, drafts: drafts.collect() }]);
        self.answers[first..].iter().map(|(_, answer)| answer.unwrap()).collect()
    }

    /// So much time in steps of `step_us`; whatever is sent is taken at once. What was sent when (mono_us).
    fn run(&mut self, ms: u64, step_us: u64) -> Vec<(u64, MessageId)> {
        let mut sent = Vec::new();
        let end = self.now.mono_us + ms * 1000;
        while self.now.mono_us < end {
            self.now = self.now.plus_us(step_us);
            self.step(Vec::new());
            while self.answered < self.sends.len() {
                let (bind, id, part, _) = self.sends[self.answered];
                sent.push((self.now.mono_us, id));
                self.answered += 1;
                let carrier_id = format!("c{id}").bytes().collect();
                let ticket = Ticket { message: id, part };
                self.step(vec![Input::Outcomes { bind, outcomes: vec![(ticket, Outcome::Sent { carrier_id })] }]);
            }
        }
        sent
    }

    fn bind_up(mut self, window: u32) -> Bench {
        self.step(vec![Input::BindUp { bind: BIND, window }]);
        self
    }
}

fn among(sent: &[(u64, MessageId)], ids: &[MessageId]) -> Vec<u64> {
    sent.iter().filter(|(_, id)| ids.contains(id)).map(|&(at, _)| at).collect()
}

/// Sent in any window w ≤ burst + rate × w.
fn holds(sent: &[u64], burst: u64, rate: u64) {
    for (i, from) in sent.iter().enumerate() {
        for window_us in [1_000, 100_000, 1_000_000] {
            let count = sent[i..].iter().take_while(|&&at| at < from + window_us).count() as u64;
            assert!(count <= burst + 1 + window_us * rate / 1_000_000, "{count} in {window_us} us at {rate}/s");
        }
    }
}

#[test]
fn a_limit_that_is_used_up_holds_back_what_it_means_and_nothing_else() {
    let mut bench = planned(|plan| plan.limits = vec![LimitPlan { prefix: Some("86139".into()), ..limit("slow", 10, 1) }]).bind_up(10);
    let slow = bench.hand_in(Of { prefix: "86139", ..NOTICE }, 100);
    let fast = bench.hand_in(NOTICE, 500);
    let sent = bench.run(2_000, 10_000);
    assert_eq!(among(&sent, &fast).len(), 500, "nothing stands before them");
    let slow = among(&sent, &slow);
    assert!((18..=21).contains(&slow.len()), "{} at 10/s in 2 s", slow.len());
    holds(&slow, 1, 10);
    let reports = bench.engine.lane_reports();
    let held: Vec<_> = reports.iter().map(|lane| (lane.cause.name(), lane.limits.join(","))).collect();
    assert_eq!(held, [("limit", "slow".to_owned())]);
    assert!(reports[0].drains_in_s.is_some_and(|s| (4.0..16.0).contains(&s)), "{:?}", reports[0]);
}

#[test]
fn limits_hold_for_what_waits_across_a_reload() {
    let mut bench = planned(|plan| {
        plan.home_zone = "Asia/Shanghai".parse().unwrap();
        plan.limits = vec![LimitPlan { account: Some(AccountId(0)), ..limit("slow", 10, 1) }];
    })
    .bind_up(50);
    let slow = bench.hand_in(NOTICE, 100);
    let before = bench.run(1_000, 10_000);
    let plan = Arc::clone(&bench.engine.base);
    bench.step(vec![Input::Plan(plan)]);
    let after = bench.run(1_000, 10_000);
    let sent: Vec<u64> = before.iter().chain(&after).map(|&(at, _)| at).collect();
    assert!(among(&after, &slow).len() >= 9, "{}", after.len());
    holds(&sent, 1, 10);
}

#[test]
fn a_lane_that_waits_while_all_windows_are_full_asks_for_no_step() {
    let mut bench = planned(|plan| plan.limits = vec![LimitPlan { prefix: Some("86139".into()), ..limit("slow", 10, 1) }]).bind_up(1);
    bench.hand_in(Of { prefix: "86139", ..NOTICE }, 2);
    bench.hand_in(NOTICE, 2);
    // Nobody answers: the hold of the slow lane is over long before its window has room.
    bench.pass(500);
    let now_us = bench.now.mono_us;
    bench.step(Vec::new());
    assert!(bench.engine.deadline().is_none_or(|at| at > now_us), "it would spin");
}

#[test]
fn a_limit_by_operator_means_the_numbers_of_its_ranges() {
    let mut bench =
        planned(|plan| plan.limits = vec![LimitPlan { operator: Some("China Unicom".into()), ..limit("unicom", 10, 1) }]).bind_up(10);
    let unicom = bench.hand_in(Of { prefix: "86130", ..NOTICE }, 50);
    let mobile = bench.hand_in(NOTICE, 50);
    let sent = bench.run(1_000, 10_000);
    assert_eq!(among(&sent, &mobile).len(), 50);
    assert!((8..=11).contains(&among(&sent, &unicom).len()), "{}", among(&sent, &unicom).len());
}

#[test]
fn every_bucket_of_the_tree_holds_at_once() {
    let mut bench = planned(|plan| {
        plan.carriers[0].rate_per_s = Some(200);
        plan.carriers[0].burst = 5;
        plan.carriers[0].bind_rate_per_s = Some(150);
        plan.limits = vec![
            LimitPlan { account: Some(AccountId(0)), ..limit("shop", 100, 4) },
            LimitPlan { campaign: Some("spring".into()), ..limit("spring", 30, 2) },
            LimitPlan { sender: Some((b"SH".to_vec(), true)), carrier: Some(CarrierId(0)), ..limit("sender", 120, 3) },
        ];
    })
    .bind_up(50);
    let spring = bench.hand_in(Of { campaign: "spring", ..NOTICE }, 1000);
    let shop = bench.hand_in(NOTICE, 1000);
    let bank = bench.hand_in(Of { account: 1, ..NOTICE }, 1000);
    let sent = bench.run(3_000, 2_000);
    let all: Vec<u64> = sent.iter().map(|&(at, _)| at).collect();
    holds(&all, 3, 120);
    let (spring, shop, bank) = (among(&sent, &spring), among(&sent, &shop), among(&sent, &bank));
    holds(&spring, 2, 30);
    let mut own = [spring.clone(), shop.clone()].concat();
    own.sort_unstable();
    holds(&own, 4, 100);
    assert!((345..=365).contains(&all.len()), "the narrowest that means all, 120/s, is used up: {}", all.len());
    assert!(own.len().abs_diff(bank.len()) <= 2, "two accounts share what narrows them both: {} {}", own.len(), bank.len());
    assert!(spring.len().abs_diff(shop.len()) <= 4, "and so do what one has: {} {}", spring.len(), shop.len());
}

#[test]
fn a_code_finds_a_permit_that_campaign_messages_left_to_it() {
    let mut bench = planned(|plan| (plan.carriers[0].rate_per_s, plan.carriers[0].burst) = (Some(100), 20)).bind_up(1_000);
    bench.hand_in(Of { class: Class::Marketing, ..NOTICE }, 1_000);
    let sent = bench.run(5_000, 1_000).len();
    assert!((490..=520).contains(&sent), "the reserve costs no throughput: {sent}");
    // At any instant, however shortly after a campaign message: two codes leave at once.
    for _ in 0..20 {
        bench.run(37, 1_000);
        let before = bench.sends.len();
        let codes = bench.hand_in(Of { class: Class::Otp, ..NOTICE }, 2);
        assert!(codes.iter().all(|code| bench.sends[before..].iter().any(|(_, id, ..)| id == code)), "{:?}", &bench.sends[before..]);
        bench.run(100, 1_000);
    }
}

#[test]
fn accounts_get_their_weight_and_the_urgent_go_first_with_a_share_for_the_rest() {
    let mut bench = planned(|plan| {
        plan.carriers[0].rate_per_s = Some(100);
        plan.accounts[1].weight = 4;
        plan.classes[Class::Marketing as usize].share_percent = 10;
    })
    .bind_up(10);
    let shop = bench.hand_in(NOTICE, 500);
    let bank = bench.hand_in(Of { account: 1, ..NOTICE }, 500);
    let sale = bench.hand_in(Of { class: Class::Marketing, ..NOTICE }, 500);
    let sent = bench.run(3_000, 2_000);
    let [shop, bank, sale] = [shop, bank, sale].map(|ids| among(&sent, &ids).len());
    assert!(sale.abs_diff((shop + bank + sale) / 10) <= 2, "a tenth for marketing: {sale} beside {shop} and {bank}");
    assert!((shop * 4).abs_diff(bank) <= 6, "{shop} to {bank} is not one to four");
    let otp = bench.hand_in(Of { class: Class::Otp, ..NOTICE }, 1);
    let sent = bench.run(60, 1_000);
    assert!(sent.iter().position(|(_, id)| *id == otp[0]).is_some_and(|at| at <= 2), "the code goes first: {sent:?}");
}

#[test]
fn a_lane_is_as_old_as_its_first_message_though_that_is_on_disk() {
    let mut bench = planned_with(Bounds { journal_octets: 2_000, max_in_memory: 16, ..Bounds::default() }, |_| {});
    let mut ids = Vec::new();
    for _ in 0..200 {
        bench.pass(50);
        ids.extend(bench.hand_in(NOTICE, 1));
    }
    // What was in memory goes to a bind; the chunk behind it is asked for, and isn't read yet.
    let mut inputs = vec![Input::BindUp { bind: BIND, window: 50 }];
    bench.engine.step(bench.now, &mut inputs, &mut Vec::new());
    let reports = bench.engine.lane_reports();
    let [lane] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!((lane.on_disk > 100, lane.cause.name()), (true, "on_disk"), "{lane:?}");
    let first = ids[ids.len() - (lane.on_disk + lane.in_memory) as usize];
    assert_eq!(lane.oldest_ms, first.made_at_ms());
    let age_ms = bench.engine.snapshot().carriers[0].waits[Class::Transactional as usize].oldest_ms;
    assert_eq!(age_ms, bench.now.wall_ms - first.made_at_ms());
}

#[test]
fn lanes_of_campaigns_keep_their_places_and_shares_out_of_memory_and_across_crashes() {
    for crash_every in [0, 9, 1] {
        let bounds = Bounds { journal_octets: 2_000, max_in_memory: 16, ..Bounds::default() };
        let mut bench =
            planned_with(bounds, |plan| plan.limits = vec![LimitPlan { prefix: Some("86139".into()), ..limit("slow", 1_000, 1_000) }]);
        let a = bench.hand_in(Of { campaign: "a", ..NOTICE }, 100);
        let b = bench.hand_in(Of { campaign: "b", prefix: "86139", ..NOTICE }, 100);
        bench.pass(100);
        assert!(bench.engine.cold().0 > 100, "{:?} out of memory", bench.engine.cold());
        if crash_every > 0 {
            bench = bench.crash_to(1);
        } else {
            bench = bench.bind_up(1);
        }
        let mut order = Vec::new();
        for n in 0..200 {
            bench.pass(50);
            let Some(id) = bench.sends.last().map(|s| s.1) else { panic!("nothing leaves after {n}") };
            order.push(id);
            bench.sent(id, 0, &format!("id{n}"));
            if crash_every != 0 && n % crash_every == 0 {
                bench = bench.crash_to(1);
            }
        }
        let of = |ids: &[MessageId]| order.iter().copied().filter(|id| ids.contains(id)).collect::<Vec<_>>();
        assert_eq!((of(&a), of(&b)), (a.clone(), b.clone()), "each campaign in its order; a crash every {crash_every}");
        let half = order[..100].iter().filter(|id| a.contains(id)).count();
        assert!((crash_every == 1) || (40..=60).contains(&half), "{half} of the first hundred are of campaign a");
        assert_eq!(bench.engine.campaigns().name(CampaignId(2)), "b");
    }
}

#[test]
fn what_a_carrier_allows_is_remembered_across_a_crash_and_a_walk() {
    let mut bench = planned_with(Bounds { journal_octets: 4_000, ..Bounds::default() }, |_| {}).bind_up(10);
    bench.hand_in(NOTICE, 40);
    let mut answered = 0;
    while answered < bench.sends.len() && answered < 30 {
        let (_, id, part, _) = bench.sends[answered];
        answered += 1;
        bench.outcome(id, part, Outcome::Throttled { status: 0x58 });
        bench.now = bench.now.plus_us(20_000);
    }
    let allowed = bench.engine.dispatchers[0].allowed_per_s().expect("it said no");
    bench.pass(3_000);
    let told = bench.engine.dispatchers[0].allowed_per_s().expect("it said no");
    bench.hand_in(NOTICE, 100);
    let bench = bench.crash();
    let after = bench.engine.dispatchers[0].allowed_per_s().expect("remembered");
    assert!(after >= allowed * 0.5 && (after - told).abs() <= told * 0.1, "{allowed} {told} {after}");
}

#[test]
fn closed_hours_hold_a_class_back_open_spread_and_expire_what_would_be_too_late() {
    // START is 2026-09-21T14:13:20Z: a Monday, 22:13 in Shanghai.
    let open_ms = "2026-09-22T01:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond() as u64;
    let mut bench = planned(|plan| {
        plan.classes[Class::Marketing as usize].hours = vec!["09:00-20:00".parse().unwrap()];
        plan.classes[Class::Marketing as usize].spread_ms = 100_000;
        plan.classes[Class::Marketing as usize].validity_ms = 86_400_000;
    })
    .bind_up(10);
    let marketing = Of { class: Class::Marketing, ..NOTICE };
    let sale = bench.hand_in(marketing, 100);
    let notice = bench.hand_in(NOTICE, 5);
    let sent = bench.run(1_000, 100_000);
    assert_eq!((among(&sent, &sale).len(), among(&sent, &notice).len()), (0, 5), "other classes go on");
    assert_eq!(bench.engine.lane_reports()[0].cause.name(), "hours");
    // The wall clock steps to shortly before the opening; the monotonic one doesn't.
    bench.now.wall_ms = open_ms - 2_000;
    let before = bench.run(1_000, 100_000);
    let first = bench.run(51_000, 100_000);
    let rest = bench.run(60_000, 100_000);
    assert_eq!(before.len(), 0, "not before the opening");
    assert!((45..=55).contains(&first.len()), "spread over 100 s: {} in the first half", first.len());
    assert_eq!(first.len() + rest.len(), 100);
    assert_eq!(first.iter().chain(&rest).map(|&(_, id)| id).collect::<Vec<_>>(), sale, "in order");
    // 20:01 in Shanghai; validity ends before the next opening.
    bench.now.wall_ms = open_ms + 11 * 3_600_000 + 60_000;
    let mut plan = Plan::clone(bench.engine.plan());
    plan.classes[Class::Marketing as usize].validity_ms = 3_600_000;
    bench.engine.plan = Arc::new(plan);
    bench.hand_in(marketing, 3);
    assert_eq!((bench.state(State::Expired), bench.engine.tally().expired_early), (3, 3));
}

#[test]
fn a_refusal_with_a_schedule_of_its_own_is_tried_by_that() {
    let mut bench = planned(|plan| plan.classes[Class::Transactional as usize].retry_by_status = vec![(0x08, vec![20_000])]).bind_up(10);
    let ids = bench.hand_in(NOTICE, 2);
    bench.outcome(ids[0], 0, Outcome::Later { status: 0x08 });
    bench.outcome(ids[1], 0, Outcome::Later { status: 0x64 });
    bench.pass(1_100);
    assert_eq!(bench.sends[2..].iter().map(|s| s.1).collect::<Vec<_>>(), [ids[1]]);
    assert!(matches!(bench.engine.waits_for(ids[0]), Some(waits::Wait::Time { attempts: 1, .. })));
    bench.pass(19_500);
    assert_eq!(bench.sends[3..].iter().map(|s| s.1).collect::<Vec<_>>(), [ids[0]]);
}

#[test]
fn what_cannot_leave_before_its_validity_ends_is_expired_at_once_and_nothing_else() {
    let mut bench = planned(|plan| {
        plan.carriers[0].rate_per_s = Some(10);
        plan.carriers[0].burst = 1;
        plan.classes[Class::Transactional as usize].validity_ms = 10_000;
    })
    .bind_up(10);
    bench.hand_in(NOTICE, 150);
    let early = bench.engine.tally().expired_early;
    assert!((45..=50).contains(&early), "about a hundred can leave in ten seconds: {early} were expired");
    let sent = bench.run(10_500, 20_000).len() as u64;
    assert!(sent >= 98 && sent + bench.state(State::Expired) == 150, "{sent}");
}

#[test]
fn what_was_cancelled_and_has_only_a_place_left_expires_nobody() {
    let mut bench = planned(|plan| {
        plan.carriers[0].rate_per_s = Some(10);
        plan.carriers[0].burst = 1;
    });
    // With validity enough for all of them.
    let ids = bench.hand_in(NOTICE, 150);
    for (token, &message) in ids.iter().enumerate() {
        let what = CancelWhat::One { message, source: Address::new(5, 0, b"SHOP").unwrap() };
        bench.step(vec![Input::Cancel { session: SessionId(100), token: token as u64, what }]);
    }
    assert_eq!(bench.state(State::Cancelled), 150);
    // In another lane as many do wait, so that the class has more than can leave in ten seconds.
    bench.hand_in(Of { account: 1, ..NOTICE }, 150);
    let mut plan = Plan::clone(bench.engine.plan());
    plan.classes[Class::Transactional as usize].validity_ms = 10_000;
    bench.engine.plan = Arc::new(plan);
    let late = bench.hand_in(NOTICE, 5);
    assert_eq!(bench.engine.tally().expired_early, 0, "150 places stand before them, and nobody in them");
    let mut bench = bench.bind_up(10);
    assert_eq!(among(&bench.run(3_000, 20_000), &late).len(), 5);
}

#[test]
fn what_would_become_of_a_message_is_told_by_what_decides_and_nothing_happens() {
    use crate::engine::explain::Question;
    let mut bench = planned(|plan| {
        plan.limits = vec![LimitPlan { prefix: Some("86130".into()), ..limit("unicom", 10, 1) }];
        plan.classes[Class::Marketing as usize].hours = vec!["09:00-20:00".parse().unwrap()];
    })
    .bind_up(10);
    let ask = |to: &str, class: &str| Question {
        to: to.into(),
        account: "shop".into(),
        class: Some(class.into()),
        from: "SHOP".into(),
        text: "你好".into(),
        campaign: String::new(),
    };
    let told = bench.engine.explain(&ask("+86 130-0013-8000", "transactional")).unwrap();
    assert_eq!((told.number.as_str(), told.encoding, told.segments), ("+8613000138000", "ucs2", 1));
    assert_eq!((told.range[1].as_str(), told.carrier.as_deref()), ("China Unicom", Some("a")));
    assert_eq!(told.buckets.last().map(|bucket| (bucket.bucket.as_str(), bucket.per_s)), Some(("limit unicom", Some(10.0))));
    assert!(!told.route.is_empty() && !told.rules.is_empty() && told.waits_on.is_none(), "{told:?}");
    let told = bench.engine.explain(&ask("13800138000", "marketing")).unwrap();
    assert_eq!(told.waits_on, Some("the hours of its class".into()));
    assert!(told.opens_ms.is_some_and(|at| at > bench.now.wall_ms));
    bench.step(vec![Input::BindDown { bind: BIND, unsent: vec![], in_doubt: vec![] }]);
    let told = bench.engine.explain(&ask("13800138000", "otp")).unwrap();
    assert_eq!(told.waits_on, Some("no bind is up".into()));
    for (to, class, field) in [("12", "otp", "to"), ("13800138000", "urgent", "class")] {
        assert_eq!(bench.engine.explain(&ask(to, class)).unwrap_err().field, field);
    }
    assert_eq!((bench.engine.alive(), bench.engine.counts().accepted, bench.sends.len()), (0, 0, 0), "it was only asked");
}
