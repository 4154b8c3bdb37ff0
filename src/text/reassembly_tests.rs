//! Parts in every order, and every bound.

use super::*;
use crate::text::segment::{Concatenation, SegmentRule, split};

fn key(source: &'static str, reference: u16, total: u8) -> PartKey<&'static str> {
    PartKey { source, reference, wide: false, total }
}

fn at(ms: u64) -> Now {
    Now { mono_us: ms * 1000, wall_ms: ms }
}

fn small() -> Reassembly<&'static str, u8> {
    Reassembly::new(ReassemblyLimits { parts_per_source: 4, parts: 6, age_ms: 1000 })
}

#[test]
fn parts_join_in_order_however_they_come() {
    let mut parts = small();
    let mut given_up = Vec::new();
    assert_eq!(parts.add(key("a", 1, 3), 3, 33, at(0), &mut given_up), Added::Waiting);
    assert_eq!(parts.add(key("a", 1, 3), 1, 11, at(1), &mut given_up), Added::Waiting);
    assert_eq!(parts.add(key("a", 1, 3), 1, 99, at(2), &mut given_up), Added::Duplicate(99));
    assert_eq!(parts.add(key("a", 1, 3), 2, 22, at(3), &mut given_up), Added::Complete(vec![11, 22, 33]));
    assert!(parts.is_empty() && given_up.is_empty() && parts.deadline().is_none());
}

#[test]
fn references_of_other_sources_widths_and_totals_are_other_messages() {
    let mut parts = small();
    let mut given_up = Vec::new();
    for key in [key("a", 1, 2), key("b", 1, 2), key("a", 1, 3), PartKey { wide: true, ..key("a", 1, 2) }] {
        assert_eq!(parts.add(key, 1, 1, at(0), &mut given_up), Added::Waiting);
    }
    assert_eq!(parts.len(), 4);
}

#[test]
fn impossible_numbers_are_no_parts_and_a_single_one_is_whole() {
    let mut parts = small();
    let mut given_up = Vec::new();
    assert_eq!(parts.add(key("a", 1, 2), 0, 5, at(0), &mut given_up), Added::NotAPart(5));
    assert_eq!(parts.add(key("a", 1, 2), 3, 5, at(0), &mut given_up), Added::NotAPart(5));
    assert_eq!(parts.add(key("a", 1, 1), 1, 5, at(0), &mut given_up), Added::Complete(vec![5]));
}

#[test]
fn what_is_overdue_is_handed_over_incomplete_in_order_of_age() {
    let mut parts = small();
    let mut given_up = Vec::new();
    parts.add(key("b", 2, 3), 2, 2, at(0), &mut given_up);
    parts.add(key("a", 1, 2), 2, 1, at(500), &mut given_up);
    parts.add(key("b", 2, 3), 3, 3, at(900), &mut given_up);
    parts.expire(at(999), &mut given_up);
    assert!(given_up.is_empty());
    assert_eq!(parts.deadline(), Some(1_000_000));
    parts.expire(at(1000), &mut given_up);
    assert_eq!(given_up, [Incomplete { key: key("b", 2, 3), parts: vec![(2, 2), (3, 3)] }]);
    assert_eq!((parts.len(), parts.deadline()), (1, Some(1_500_000)));
}

#[test]
fn one_source_pushes_out_only_its_own_oldest() {
    let mut parts = small();
    let mut given_up = Vec::new();
    parts.add(key("quiet", 0, 2), 1, 0, at(0), &mut given_up);
    for reference in 1..=5 {
        parts.add(key("loud", reference, 2), 1, reference as u8, at(1), &mut given_up);
    }
    assert_eq!(given_up, [Incomplete { key: key("loud", 1, 2), parts: vec![(1, 1)] }]);
    assert_eq!(parts.len(), 5);
}

#[test]
fn the_oldest_of_all_goes_when_the_whole_is_full() {
    let mut parts = small();
    let mut given_up = Vec::new();
    for (reference, source) in ["a", "b", "c", "d", "e", "f", "g"].into_iter().enumerate() {
        parts.add(key(source, reference as u16, 2), 1, 1, at(reference as u64), &mut given_up);
    }
    assert_eq!(given_up.iter().map(|gone| gone.key.source).collect::<Vec<_>>(), ["a"]);
    assert_eq!(parts.len(), 6);
}

#[test]
fn a_message_with_more_parts_than_a_source_may_have_gives_way_too() {
    let mut parts = small();
    let mut given_up = Vec::new();
    for number in 1..=5 {
        parts.add(key("a", 1, 9), number, number, at(0), &mut given_up);
    }
    assert_eq!(given_up.len(), 1);
    assert_eq!(given_up[0].parts.len(), 5);
    assert!(parts.is_empty());
}

#[test]
fn split_and_join_give_the_body_back() {
    let text: String = "中文😀 text ".repeat(40);
    let octets: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let body = Body { encoding: Encoding::Ucs2, raw_data_coding: 8, header_len: 0, octets: octets.into() };
    let parts: Vec<Body> = split(&body, &SegmentRule::new(Concatenation::Udh16), 77)
        .into_iter()
        .map(|segment| Body { header_len: segment.octets[0] + 1, octets: segment.octets.into(), ..body })
        .collect();
    assert_eq!(part_of(&parts[1]), Some((Part { reference: 77, total: parts.len() as u8, number: 2 }, true)));
    assert_eq!(join(&parts), Some(body));
}

#[test]
fn a_pair_that_straddles_a_border_comes_whole() {
    let part = |octets: &[u8]| Body { encoding: Encoding::Ucs2, raw_data_coding: 8, header_len: 0, octets: octets.into() };
    let joined = join(&[part(&[0xD8, 0x3D]), part(&[0xDE, 0x00])]).unwrap();
    assert_eq!(text_of(&joined).as_deref(), Some("😀"));
}

#[test]
fn parts_of_different_encodings_are_decoded_alone() {
    let gsm7 = Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: [0, b'a'].into() };
    let ucs2 = Body { encoding: Encoding::Ucs2, raw_data_coding: 8, header_len: 0, octets: [0x4E, 0x2D].into() };
    let joined = join(&[gsm7.clone(), ucs2]).unwrap();
    assert_eq!((text_of(&joined).as_deref(), joined.raw_data_coding), (Some("@a中"), 8));
    let binary = Body { encoding: Encoding::Binary, raw_data_coding: 4, header_len: 0, octets: [9].into() };
    assert_eq!(&*join(&[gsm7, binary]).unwrap().octets, [0, b'a', 9]);
    assert_eq!(join(&[]), None);
}

#[test]
fn other_header_elements_survive_the_joining() {
    let part = |number| {
        let octets = [8, 0, 3, 7, 2, number, 0x24, 1, 1, 0x1B, 0x73];
        Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 9, octets: octets.into() }
    };
    let joined = join(&[part(1), part(2)]).unwrap();
    assert_eq!((joined.header(), text_of(&joined).as_deref()), (&[3, 0x24, 1, 1][..], Some("şş")));
}
