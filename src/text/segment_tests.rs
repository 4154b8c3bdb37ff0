//! What splitting must keep; the octets of ordinary texts are checked by the vectors in `tests/suite`.

use super::*;

fn gsm7(octets: &[u8]) -> Body {
    Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: octets.into() }
}

fn ucs2(text: &str) -> Body {
    let octets = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    Body { encoding: Encoding::Ucs2, raw_data_coding: 8, header_len: 0, octets }
}

fn with_header(header: &[u8], body: Body) -> Body {
    let octets = [header, body.text()].concat().into();
    Body { header_len: header.len() as u8, octets, ..body }
}

fn lengths(body: &Body, kind: Concatenation) -> Vec<usize> {
    let rule = SegmentRule::new(kind);
    let segments = split(body, &rule, 0x12A5);
    assert_eq!(segments.len(), count(body, &rule));
    segments.iter().map(|s| s.octets.len() - if s.has_header { s.octets[0] as usize + 1 } else { 0 }).collect()
}

#[test]
fn capacities_are_those_of_the_table() {
    for (encoding, one, narrow, wide) in [
        (Encoding::Gsm7, 160, 153, 152),
        (Encoding::Ucs2, 140, 134, 132),
        (Encoding::Binary, 140, 134, 133),
        (Encoding::Latin1, 140, 134, 133),
    ] {
        assert_eq!([capacity(encoding, 0), capacity(encoding, 6), capacity(encoding, 7)], [one, narrow, wide]);
        let fits = Body { encoding, raw_data_coding: 4, header_len: 0, octets: vec![b'a'; one].into() };
        assert_eq!(lengths(&fits, Concatenation::Udh8), [one]);
        let long = Body { encoding, raw_data_coding: 4, header_len: 0, octets: vec![b'a'; one + 2].into() };
        assert_eq!(lengths(&long, Concatenation::Udh8), [narrow, one + 2 - narrow]);
        assert_eq!(lengths(&long, Concatenation::Udh16), [wide, one + 2 - wide]);
        assert_eq!(lengths(&long, Concatenation::Sar), [wide, one + 2 - wide]);
    }
    assert_eq!([4, 8, 10, 7, 12].map(|h| capacity(Encoding::Gsm7, h)), [155, 150, 148, 152, 146]);
}

#[test]
fn runs_of_escapes_are_cut_between_pairs() {
    for before in 148..156 {
        let mut text = vec![b'a'; before];
        text.extend([ESCAPE; 6]);
        text.extend([b'e'; 20]);
        for segment in split(&gsm7(&text), &SegmentRule::new(Concatenation::Udh8), 1) {
            assert_eq!(escapes_before(&segment.octets[6..]) % 2, 0);
        }
    }
}

#[test]
fn upstreams_own_part_stays_as_it_is() {
    let part = with_header(&[5, 0, 3, 1, 2, 1], gsm7(&[b'a'; 170]));
    let segments = split(&part, &SegmentRule::new(Concatenation::Udh16), 9);
    assert_eq!(segments, [Segment { octets: part.octets.to_vec(), has_header: true, sar: None, payload: false }]);
    assert_eq!(count(&part, &SegmentRule::default()), 1);
}

#[test]
fn other_elements_stand_in_every_part() {
    let ports = [6, 5, 4, 0x15, 0x8A, 0, 0];
    let body = with_header(&ports, Body { encoding: Encoding::Binary, raw_data_coding: 4, header_len: 0, octets: vec![1; 200].into() });
    let segments = split(&body, &SegmentRule::new(Concatenation::Udh8), 0xA5);
    assert_eq!(segments.len(), 2);
    assert_eq!(&segments[0].octets[..12], [11, 0, 3, 0xA5, 2, 1, 5, 4, 0x15, 0x8A, 0, 0]);
    assert_eq!(segments[0].octets.len(), 140);
    assert_eq!(&segments[1].octets[..12], [11, 0, 3, 0xA5, 2, 2, 5, 4, 0x15, 0x8A, 0, 0]);
    let sar = split(&body, &SegmentRule::new(Concatenation::Sar), 0x1234);
    assert_eq!(&sar[0].octets[..7], ports);
    assert_eq!(sar[1].sar, Some((0x1234, 2, 2)));
}

#[test]
fn a_long_text_goes_whole_into_the_payload_where_the_carrier_cuts() {
    let body = gsm7(&[b'a'; 400]);
    let rule = SegmentRule::new(Concatenation::Payload);
    let segments = split(&body, &rule, 1);
    assert!(segments.len() == 1 && segments[0].payload && !segments[0].has_header && segments[0].octets.len() == 400);
    assert!(!split(&gsm7(b"short"), &rule, 1)[0].payload);
    assert_eq!(count(&body, &SegmentRule { payload_max: 300, ..rule }), 3);
}

#[test]
fn a_text_with_too_many_parts_is_counted_truly_and_not_numbered_wrongly() {
    let body = gsm7(&vec![b'a'; 152 * 256]);
    assert_eq!(count(&body, &SegmentRule::default()), 256);
    let segments = split(&body, &SegmentRule::default(), 1);
    assert!(segments.len() == 1 && segments[0].payload);
}

#[test]
fn clusters_stay_whole_unless_that_costs_a_part() {
    // The flag that lies over the border moves.
    let flags = ucs2(&("a".repeat(66) + "🇨🇳🇨🇳" + &"b".repeat(20)));
    assert_eq!(lengths(&flags, Concatenation::Udh8), [132, 56]);
    // Exactly two full parts: keeping the pair together would need a third.
    let full = ucs2(&("a".repeat(66) + "e\u{301}" + &"b".repeat(66)));
    assert_eq!(lengths(&full, Concatenation::Udh8), [134, 134]);
    // A cluster longer than a part is cut where the part is full.
    let heap = ucs2(&("a".to_string() + &"\u{301}".repeat(100)));
    assert_eq!(lengths(&heap, Concatenation::Udh8), [134, 68]);
}

#[test]
fn marks_of_a_locking_table_stay_with_their_letter() {
    let shifts = Shifts { single: None, locking: Some(crate::text::shift::Language::Hindi) };
    let text = gsm7::encode(&("न".repeat(147) + "ि" + "न" + "ि" + &"न".repeat(20)), shifts).unwrap();
    let body = with_header(&[3, 0x25, 1, 6], gsm7(&text));
    assert_eq!(lengths(&body, Concatenation::Udh8), [148, 22]);
}

#[test]
fn odd_octets_and_lone_surrogates_pass_through_unharmed() {
    let mut octets = vec![0xD8; 201];
    octets[0] = 0xDC;
    let body = Body { encoding: Encoding::Ucs2, raw_data_coding: 8, header_len: 0, octets: octets.clone().into() };
    let segments = split(&body, &SegmentRule::new(Concatenation::Udh8), 1);
    let joined: Vec<u8> = segments.iter().flat_map(|s| s.octets[6..].to_vec()).collect();
    assert_eq!(joined, octets);
}

#[test]
fn a_packed_part_starts_its_text_on_a_septet_border() {
    let rule = SegmentRule { packed: true, ..SegmentRule::new(Concatenation::Udh8) };
    let segments = split(&gsm7(&[b'a'; 161]), &rule, 0xA5);
    assert_eq!(segments[0].octets.len(), 140);
    let mut back = Vec::new();
    gsm7::unpack(&segments[0].octets[6..], 1, 153, &mut back);
    assert_eq!(back, [b'a'; 153]);
}

#[test]
fn a_header_that_fills_the_part_is_not_repeated() {
    let mut header = vec![0x70, 133];
    header.extend([0; 133]);
    header.insert(0, header.len() as u8);
    let body = with_header(&header, gsm7(&[b'a'; 100]));
    assert_eq!(count(&body, &SegmentRule::default()), 1);
    assert_eq!(split(&body, &SegmentRule::default(), 1).len(), 1);
}

/// A text of units that are hard to cut, from a seed.
fn odd_text(seed: &mut u64, pieces: &[&str]) -> String {
    let mut random = |below: u64| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) % below
    };
    (0..random(300)).map(|_| pieces[random(pieces.len() as u64) as usize]).collect()
}

#[test]
fn odd_texts_are_cut_within_bounds_and_lose_nothing() {
    use crate::text::reassembly::join;
    let mut seed = 20_261_122;
    let wide = ["a", "中", "😀", "e\u{301}", "🇨🇳", "👨‍👩‍👧", "❤\u{fe0f}", "\u{301}", "🇨", "👍🏽", "\u{200d}"];
    let narrow = ["a", "€", "{", "\n", "~", "abc"];
    let shifted = ["न", "ि", "a", "ते", "\u{94d}"];
    let hindi = Shifts { single: Some(crate::text::shift::Language::Hindi), locking: Some(crate::text::shift::Language::Hindi) };
    for round in 0..600 {
        let kind = [Concatenation::Udh8, Concatenation::Udh16][round % 2];
        let body = match round % 3 {
            0 => ucs2(&odd_text(&mut seed, &wide)),
            1 => gsm7(&gsm7::encode(&odd_text(&mut seed, &narrow), Shifts::NONE).unwrap()),
            _ => {
                let text = gsm7::encode(&odd_text(&mut seed, &shifted), hindi).unwrap();
                with_header(&[6, 0x24, 1, 6, 0x25, 1, 6], gsm7(&text))
            }
        };
        let rule = SegmentRule::new(kind);
        let segments = split(&body, &rule, 7);
        assert_eq!(segments.len(), count(&body, &rule));
        let parts: Vec<Body> = segments
            .into_iter()
            .map(|segment| {
                let header_len = if segment.has_header { segment.octets[0] + 1 } else { 0 };
                let part = Body { header_len, octets: segment.octets.into(), ..body };
                assert!(part.text().len() <= capacity(body.encoding, header_len.into()));
                match body.encoding {
                    Encoding::Ucs2 => assert!(!crate::text::utf16::decode(part.text()).contains('\u{FFFD}')),
                    _ => assert_eq!(escapes_before(part.text()) % 2, 0),
                }
                part
            })
            .collect();
        assert_eq!(join(&parts).unwrap(), body);
    }
}
