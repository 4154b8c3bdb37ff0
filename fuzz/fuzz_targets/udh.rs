//! Headers and segments: no octets make the readers panic; a body that is cut and joined again is the same; no part is
//! longer than what fits; the count is the number of parts.
#![no_main]

use hongyan::model::{Body, Encoding};
use hongyan::text::data_coding::DefaultAlphabet;
use hongyan::text::reassembly::join;
use hongyan::text::segment::{Concatenation, MAX_PARTS, PART_OCTETS, SegmentRule, capacity, count, split};
use hongyan::text::transcode::{from_wire, text_of, transcode};
use hongyan::text::udh;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [choice, data_coding, octets @ ..] = data else { return };
    if let Ok(header) = udh::parse(octets) {
        assert!(header.octets() <= octets.len());
        assert_eq!(header.elements().map(|element| element.data.len() + 2).sum::<usize>() + 1, header.octets());
        let mut copy = octets.to_vec();
        if udh::rewrite_reference(&mut copy, 0x0042) {
            assert_eq!(udh::parse(&copy).expect("only the reference changed").concatenation().expect("it is still there").reference, 0x42);
        }
    }
    let default = DefaultAlphabet::ALL[usize::from(choice >> 5) % 5];
    let Ok(body) = from_wire(octets, *data_coding, choice & 16 != 0, default) else { return };
    let _ = text_of(&body);
    for to in [Encoding::Gsm7, Encoding::Latin1, Encoding::Ucs2] {
        if let Some(other) = transcode(&body, to) {
            assert_eq!(other.encoding, to);
        }
    }
    let kind = [Concatenation::Udh8, Concatenation::Udh16, Concatenation::Sar, Concatenation::Payload][usize::from(choice & 3)];
    cut_and_join(&body, &SegmentRule { payload_max: 200 + usize::from(*data_coding), ..SegmentRule::new(kind) });
});

fn cut_and_join(body: &Body, rule: &SegmentRule) {
    let segments = split(body, rule, 0xABCD);
    let counted = count(body, rule);
    if counted > MAX_PARTS {
        return assert_eq!(segments.len(), 1);
    }
    assert_eq!(segments.len(), counted);
    if segments.len() == 1 {
        return assert_eq!(segments[0].octets, &*body.octets);
    }
    let parts: Vec<Body> = segments
        .into_iter()
        .map(|segment| {
            let header_len = if segment.has_header { segment.octets[0] + 1 } else { 0 };
            let text = segment.octets.len() - usize::from(header_len);
            assert!(text <= capacity(body.encoding, usize::from(header_len)) && usize::from(header_len) < PART_OCTETS);
            Body { header_len, octets: segment.octets.into(), ..*body }
        })
        .collect();
    let joined = join(&parts).expect("there are parts");
    assert_eq!(joined.text(), body.text());
    assert_eq!(udh::shifts_of(joined.header()), udh::shifts_of(body.header()));
}
