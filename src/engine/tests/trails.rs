//! Trails read again after a restart come to what they had come to before it.

use super::super::event::PartReceipt;
use super::super::trail::table::{Trails, Written};
use super::*;

const AT_MS: u64 = 1_790_000_000_000;

fn group(batch: u64, event: &Event) -> Vec<u8> {
    let mut octets = Vec::new();
    event::open(&mut octets, batch);
    event::write(event, &mut octets);
    event::seal(&mut octets);
    octets
}

/// A message whose doubt is settled, and that is delivered after all.
fn groups() -> Vec<Vec<u8>> {
    let to = Address::new(1, 1, b"8613800138000").unwrap();
    let body = Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: b"hello"[..].into() };
    let number = crate::number::pack(b"8613800138000").unwrap();
    let report = Wish { on_success: true, on_failure: true, intermediate: false };
    let message = Message::new(AccountId(0), Class::Transactional, [Address::new(5, 0, b"SHOP").unwrap(), to], number, body);
    let id = MessageId(7);
    let message = Message { id, accepted_ms: AT_MS, expires_ms: AT_MS + 60_000, report, ..message };
    let facts = PartReceipt { state: ReceiptState::Delivered, is_final: true, error: *b"000", network_error: None, done_ms: AT_MS };
    [
        Event::Accepted(Box::new(message)),
        Event::Attempt { message: id, carrier: CarrierId(0) },
        Event::Verdict { message: id, state: State::InDoubt, carrier: CarrierId(0), at_ms: AT_MS + 5, error: 0 },
        Event::Receipt { message: id, part: 0, at_ms: AT_MS + 9, facts },
    ]
    .iter()
    .zip(1..)
    .map(|(event, batch)| group(batch, event))
    .collect()
}

fn read(trails: &mut Trails, groups: &[Vec<u8>], from: u64) {
    groups.iter().zip(from..).for_each(|(group, position)| trails.take(position, None, group, &mut |_| {}).unwrap());
}

#[test]
fn an_end_that_corrects_one_that_was_written_has_the_next_number_also_if_both_are_read_again() {
    let groups = groups();
    let revisions = |trails: &Trails, upto| trails.ended(upto).iter().map(|ended| (ended.message.0, ended.revision)).collect::<Vec<_>>();
    let mut trails = Trails::new(false, Written::default(), Default::default());
    read(&mut trails, &groups[..3], 1);
    assert_eq!(revisions(&trails, 3), [(7, 0)], "in doubt, for now");
    trails.forget(&[MessageId(7)]);
    read(&mut trails, &groups[3..], 4);
    assert_eq!(revisions(&trails, 4), [(7, 1)]);
    // The first end was written, the second was not.
    let mut again = Trails::new(false, Written { over: 3, ended: 3 }, Default::default());
    read(&mut again, &groups, 1);
    again.caught_up();
    assert_eq!(revisions(&again, 4), [(7, 1)]);
}
