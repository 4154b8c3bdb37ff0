//! Reports that go to addresses: they never come to the account's sessions, wait as long as they are told, and survive a crash with their notes.

use super::*;
use crate::model::notes::{Callback, CallbackForm, Notes};

const HOOK: SessionId = SessionId(1 << 40);

fn notes() -> Arc<Notes> {
    let callback = Callback { form: CallbackForm::Kannel, mask: 31, url: "http://customer.example/dlr?id=7&s=%d".into() };
    let keyed = Some(crate::model::notes::Keyed { key: u64::MAX, content: 7 });
    Arc::new(Notes { reference: "order 7".into(), tags: ["spring".into(), "vip".into()].into(), callback: Some(callback), keyed })
}

impl Bench {
    fn submit_with_callback(&mut self, token: u64) -> MessageId {
        self.submit_noted(token, Class::Transactional, "hello", Some(notes()))
    }

    fn hook_up(&mut self) {
        self.step(vec![Input::HookUp { session: HOOK, account: AccountId(0), window: 10 }]);
    }

    fn hook_says(&mut self, answer: DeliveryAnswer) {
        let answers = self.deliveries.drain(..).map(|(token, _)| (token, answer)).collect();
        self.step(vec![Input::Answered { session: HOOK, answers }]);
    }
}

#[test]
fn a_report_for_a_callback_goes_to_the_hook_only_waits_as_told_and_survives_a_crash_with_its_notes() {
    let mut bench = Bench::new().up();
    let [plain, called] = [bench.submit(1, Class::Transactional, "x"), bench.submit_with_callback(2)];
    bench.sent(plain, 0, "1");
    bench.sent(called, 0, "2");
    bench.receipt(1, "1", ReceiptState::Delivered, 1);
    bench.receipt(2, "2", ReceiptState::Delivered, 2);
    assert_eq!(bench.reported(), [(plain, ReceiptState::Delivered)], "the session gets its own");
    bench.take_reports();
    bench.hook_up();
    // Its callback asks for all that there is: that a carrier took it, and its end.
    let both = [(called, ReceiptState::Accepted), (called, ReceiptState::Delivered)];
    assert_eq!(bench.reported(), both);
    bench.hook_says(DeliveryAnswer::After(60_000));
    bench.pass(59_000);
    assert!(bench.deliveries.is_empty(), "not before its time");
    bench.pass(1_100);
    assert_eq!(bench.reported(), both);
    let mut bench = bench.crash();
    assert!(bench.deliveries.is_empty());
    bench.hook_up();
    assert_eq!(bench.reported(), both, "neither is lost, and neither is told anew");
    let Delivery::Receipt(report) = &*bench.deliveries[0].1 else { panic!("a report") };
    assert_eq!((report.message, report.notes.as_ref()), (called, Some(&notes())));
    bench.hook_says(DeliveryAnswer::Taken);
    assert_eq!(bench.engine.outbox_figures().next(), Some((0, 0)));
    assert_eq!(bench.crash().engine.outbox_figures().next(), Some((0, 0)), "once it is taken it is over");
}

#[test]
fn a_message_keeps_its_notes_when_it_is_carried_and_when_it_leaves_memory() {
    let mut bench = Bench::with(super::sent_cold::few()).up();
    let ids: Vec<MessageId> = (0..50)
        .map(|n| {
            let id = bench.submit_noted(n, Class::Transactional, "a text that is longer than what a report shows of it", Some(notes()));
            bench.sent(id, 0, &n.to_string());
            id
        })
        .collect();
    bench.pass(15_000);
    assert_eq!((bench.engine.cold().0, bench.engine.messages.len()), (50, 0), "all of them are out of memory");
    let mut bench = bench.crash();
    bench.receipt(1, "7", ReceiptState::Delivered, 7);
    bench.hook_up();
    // That a carrier took it is told of each, a window at a time.
    let (mut taken, mut ends) = (0, Vec::new());
    while !bench.deliveries.is_empty() {
        for (_, delivery) in &bench.deliveries {
            let Delivery::Receipt(report) = &**delivery else { panic!("a report") };
            if report.taken && report.intermediate { taken += 1 } else { ends.push(report.clone()) }
        }
        bench.hook_says(DeliveryAnswer::Taken);
    }
    let [report] = &ends[..] else { panic!("{ends:?}") };
    assert_eq!(taken, 50);
    assert_eq!((report.message, report.notes.as_deref()), (ids[7], Some(&*notes())));
}
