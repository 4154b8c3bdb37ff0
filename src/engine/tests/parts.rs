//! Parts that upstream cut itself: one set, one reference, whatever else goes from that sender to that phone.

use super::*;
use crate::model::message::Part;
use crate::text::udh;

impl Bench {
    /// Submits one part, with its header; every one goes to the same phone.
    fn submit_part(&mut self, token: u64, reference: u16, number: u8, wide: bool) -> MessageId {
        let part = Part { reference, total: 2, number };
        let mut octets = Vec::new();
        udh::write(Some(part), wide, &[], &mut octets);
        let header_len = octets.len() as u8;
        octets.extend_from_slice(format!("text {token}").as_bytes());
        let body = Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len, octets: octets.into() };
        self.submit_body(token, body, Some(part))
    }

    fn submit_body(&mut self, token: u64, body: Body, part: Option<Part>) -> MessageId {
        let id = self.submit(token, Class::Transactional, "");
        let draft = self.engine.messages.get(&id).expect("it was taken").message.clone();
        let number = crate::number::pack(b"8613800138000").unwrap();
        let message = Message { id: MessageId(0), body, part, number, ..(*draft).clone() };
        self.answers.clear();
        self.step(vec![Input::Submit { session: SESSION, drafts: vec![Draft { token, message: Arc::new(message), campaign: None }] }]);
        self.answers[0].1.unwrap()
    }

    /// The reference with which a message leaves; its header and its part agree.
    fn leaves_with(&self, id: MessageId) -> u16 {
        let message = &self.engine.messages.get(&id).expect("it is alive").message;
        let part = message.part.unwrap();
        if message.body.header_len > 0 {
            assert_eq!(udh::parse(message.body.header()).unwrap().concatenation(), Some(part));
        }
        part.reference
    }
}

#[test]
fn a_second_set_under_the_same_reference_leaves_with_another_one() {
    for (wide, reference) in [(false, 7), (true, 0x1207)] {
        let mut bench = Bench::new().up();
        let first = [bench.submit_part(1, reference, 1, wide), bench.submit_part(2, reference, 2, wide)];
        let second = [bench.submit_part(3, reference, 1, wide), bench.submit_part(4, reference, 2, wide)];
        assert_eq!(first.map(|id| bench.leaves_with(id)), [reference; 2]);
        let other = bench.leaves_with(second[0]);
        assert_eq!(bench.leaves_with(second[1]), other);
        assert!(other != reference && (other > 0xff) == wide);
    }
}

#[test]
fn parts_named_by_tlvs_get_another_reference_too() {
    let mut bench = Bench::new().up();
    let body = |text: &str| Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: text.as_bytes().into() };
    let part = Part { reference: 300, total: 2, number: 1 };
    let first = bench.submit_body(1, body("a"), Some(part));
    let second = bench.submit_body(2, body("b"), Some(part));
    assert_eq!(bench.leaves_with(first), 300);
    assert!(bench.leaves_with(second) > 0xff && bench.leaves_with(second) != 300);
}

#[test]
fn a_set_begun_before_a_crash_goes_on_with_its_reference_after_it() {
    for carries in [false, true] {
        let bounds = Bounds { journal_octets: if carries { 500 } else { 1 << 20 }, ..Bounds::default() };
        let mut bench = Bench::with(bounds).up();
        bench.submit_part(1, 7, 1, false);
        let second = bench.submit_part(2, 7, 1, false);
        let other = bench.leaves_with(second);
        bench.sent(second, 0, "77");
        bench.receipt(5, "77", ReceiptState::Delivered, 0);
        for token in 0..20 {
            let id = bench.submit(100 + token, Class::Transactional, "filling");
            bench.sent(id, 0, &format!("{token}"));
            bench.receipt(100 + token, &format!("{token}"), ReceiptState::Delivered, 100 + token);
        }
        bench.pass(200);
        let mut bench = bench.crash();
        let last = bench.submit_part(3, 7, 2, false);
        assert_eq!(bench.leaves_with(last), other, "journal carried: {carries}");
        let third = bench.submit_part(4, 7, 1, false);
        assert!(![7, other].contains(&bench.leaves_with(third)), "journal carried: {carries}");
    }
}

#[test]
fn a_long_text_of_ours_avoids_the_references_of_passed_sets() {
    let mut bench = Bench::new().up();
    let long = "x".repeat(200);
    let body = || Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: long.as_bytes().into() };
    let own = bench.submit_body(1, body(), None);
    let taken = bench.engine.messages.get(&own).unwrap().reference;
    let passed = bench.submit_part(2, taken, 1, true);
    assert_ne!(bench.leaves_with(passed), taken);
    let next = bench.submit_body(3, body(), None);
    let next = bench.engine.messages.get(&next).unwrap().reference;
    assert!(next != taken && next != bench.leaves_with(passed));
}
