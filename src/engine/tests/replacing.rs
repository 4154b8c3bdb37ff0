//! Submissions that replace what still waits.

use super::*;

impl Bench {
    fn draft(&self, token: u64, text: &str) -> Draft {
        let message = Message {
            report: Wish { on_success: true, on_failure: true, intermediate: false },
            due_ms: if self.due_in_ms == 0 { 0 } else { self.now.wall_ms + self.due_in_ms },
            ..Message::new(
                AccountId(0),
                Class::Transactional,
                [Address::new(5, 0, b"SHOP").unwrap(), Address::new(1, 1, b"8613800138000").unwrap()],
                0,
                Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: text.as_bytes().into() },
            )
        };
        Draft { token, message: Arc::new(message), campaign: None }
    }

    fn replace_by(&mut self, draft: Draft) -> Result<MessageId, Refusal> {
        let token = draft.token;
        self.answers.clear();
        self.step(vec![Input::SubmitReplacing { session: SESSION, drafts: vec![draft] }]);
        assert_eq!(self.answers[0].0, token);
        self.answers[0].1
    }
}

#[test]
fn the_waiting_message_of_the_same_addresses_is_replaced() {
    let mut bench = Bench::new();
    bench.step(vec![Input::SessionUp { session: SESSION, account: AccountId(0), window: 10 }]);
    let first = bench.draft(1, "old");
    bench.step(vec![Input::Submit { session: SESSION, drafts: vec![first] }]);
    let old = bench.answers[0].1.unwrap();
    let mut other = (*bench.draft(2, "to another phone").message).clone();
    other.destination = Address::new(1, 1, b"8613800138001").unwrap();
    bench.step(vec![Input::Submit { session: SESSION, drafts: vec![Draft { token: 2, message: Arc::new(other), campaign: None }] }]);
    let elsewhere = bench.answers[1].1.unwrap();
    let draft = bench.draft(3, "new");
    let new = bench.replace_by(draft).unwrap();
    assert_eq!((bench.state(State::Cancelled), bench.state(State::Waiting)), (1, 2));
    assert_eq!(bench.reported(), [(old, ReceiptState::Deleted)]);
    let draft = bench.draft(4, "newest");
    let newest = bench.replace_by(draft).unwrap();
    bench.step(vec![Input::BindUp { bind: BIND, window: 10 }]);
    let sent: Vec<MessageId> = bench.sends.iter().map(|send| send.1).collect();
    assert_eq!(sent, [elsewhere, newest]);
    assert!(!sent.contains(&new));
    let draft = bench.draft(5, "after it has left");
    let after = bench.replace_by(draft).unwrap();
    assert_eq!(bench.state(State::Cancelled), 2, "what is with a carrier stays");
    assert!(bench.sends.iter().any(|send| send.1 == after));
}

#[test]
fn another_service_type_or_sender_is_another_message() {
    let mut bench = Bench::new();
    bench.step(vec![Input::SessionUp { session: SESSION, account: AccountId(0), window: 10 }]);
    let plain = bench.draft(1, "a");
    let with = |draft: Draft, change: fn(&mut Message)| {
        let mut message = (*draft.message).clone();
        change(&mut message);
        Draft { message: Arc::new(message), ..draft }
    };
    let wap = with(bench.draft(2, "b"), |m| m.service_type = b"WAP".iter().copied().collect());
    let bank = with(bench.draft(3, "c"), |m| m.source = Address::new(5, 0, b"BANK").unwrap());
    for draft in [plain, wap, bank] {
        bench.replace_by(draft).unwrap();
    }
    assert_eq!((bench.state(State::Cancelled), bench.state(State::Waiting)), (0, 3));
    let again = with(bench.draft(4, "d"), |m| m.service_type = b"WAP".iter().copied().collect());
    bench.replace_by(again).unwrap();
    assert_eq!((bench.state(State::Cancelled), bench.state(State::Waiting)), (1, 3));
}

#[test]
fn a_refused_submission_replaces_nothing() {
    let mut bench = Bench::new();
    bench.step(vec![Input::SessionUp { session: SESSION, account: AccountId(0), window: 10 }]);
    let draft = bench.draft(1, "a");
    bench.replace_by(draft).unwrap();
    bench.step(vec![Input::Disk(DiskState::Reserve)]);
    let draft = bench.draft(2, "b");
    assert_eq!(bench.replace_by(draft), Err(Refusal::DiskFull));
    assert_eq!((bench.state(State::Cancelled), bench.state(State::Waiting)), (0, 1));
}

#[test]
fn what_waits_on_disk_or_waited_before_a_crash_is_replaced_too() {
    let mut bench = Bench::with(Bounds { journal_octets: 500, cold_after_ms: 1_000, ..Bounds::default() }).up();
    bench.due_in_ms = 3_600_000;
    let draft = bench.draft(1, "old");
    bench.replace_by(draft).unwrap();
    for token in 10..40 {
        bench.submit(token, Class::Marketing, "others");
    }
    bench.pass(5_000);
    assert!(bench.engine.cold().0 > 0, "{:?}", bench.engine.cold());
    let draft = bench.draft(2, "newer");
    bench.replace_by(draft).unwrap();
    assert_eq!(bench.state(State::Cancelled), 1);
    bench.pass(5_000);
    let mut bench = bench.crash();
    bench.due_in_ms = 3_600_000;
    let draft = bench.draft(3, "newest");
    bench.replace_by(draft).unwrap();
    assert_eq!((bench.state(State::Cancelled), bench.state(State::Waiting)), (2, 31));
}
