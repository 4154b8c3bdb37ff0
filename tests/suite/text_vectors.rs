//! Every text vector gets its encoding, its segments and their octets, and reads back as it was sent.

use hongyan::cli::inspect_text;
use hongyan::model::Body;
use hongyan::text::choose::{Options, Tables, Wanted, choose};
use hongyan::text::reassembly::join;
use hongyan::text::segment::{self, Concatenation, SegmentRule};
use hongyan::text::shift::{Language, Shifts};
use hongyan::text::transcode::{from_wire, text_of, transcode};
use hongyan::text::transliterate::Transliteration;
use hongyan::text::{data_coding::DefaultAlphabet, udh};
use serde_json::Value;

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("../data/texts.json")).unwrap()
}

fn options(vector: &Value) -> (Options, u16) {
    let option = |name: &str| vector["options"][name].as_str().unwrap();
    let (concatenation, reference) = match vector["options"]["ref_bits"].as_u64() {
        Some(16) => (Concatenation::Udh16, 0x12A5),
        _ => (Concatenation::Udh8, 0xA5),
    };
    let options = Options {
        wanted: Wanted::from_name(option("encoding")).unwrap(),
        transliteration: Transliteration::from_name(option("transliterate")).unwrap(),
        tables: Tables::Exactly(Shifts {
            single: Language::from_name(option("single_shift")),
            locking: Language::from_name(option("locking_shift")),
        }),
        rule: SegmentRule::new(concatenation),
    };
    (options, reference)
}

#[test]
fn every_text_gets_its_encoding_and_its_octets() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 76);
    for vector in vectors {
        let (options, reference) = options(&vector);
        let found = inspect_text::inspect(vector["input"].as_str().unwrap(), &options, reference).unwrap();
        assert_eq!(found, vector["expect"], "{}", vector["name"]);
    }
}

#[test]
fn every_text_reads_back_from_its_parts() {
    for vector in vectors() {
        let (options, reference) = options(&vector);
        let input = vector["input"].as_str().unwrap();
        let chosen = choose(input, &options).unwrap();
        let data_coding = chosen.body.raw_data_coding;
        for rule in [options.rule, SegmentRule { packed: true, ..options.rule }] {
            let default = if rule.packed { DefaultAlphabet::PackedGsm7 } else { DefaultAlphabet::Gsm7 };
            let parts: Vec<Body> = segment::split(&chosen.body, &rule, reference)
                .iter()
                .map(|part| from_wire(&part.octets, data_coding, part.has_header, default).unwrap())
                .collect();
            let joined = join(&parts).unwrap();
            let sent = chosen.text_sent.as_deref().unwrap_or(input);
            assert_eq!(text_of(&joined).as_deref(), Some(sent), "{} packed {}", vector["name"], rule.packed);
        }
    }
}

#[test]
fn every_text_survives_a_change_of_encoding() {
    for vector in vectors() {
        let (options, _) = options(&vector);
        let body = choose(vector["input"].as_str().unwrap(), &options).unwrap().body;
        let wide = transcode(&body, hongyan::model::Encoding::Ucs2).unwrap();
        assert_eq!(text_of(&wide), text_of(&body), "{}", vector["name"]);
        assert!(udh::shifts_of(wide.header()).is_default());
        if let Some(back) = transcode(&wide, body.encoding) {
            assert_eq!(text_of(&back), text_of(&body), "{}", vector["name"]);
        }
    }
}

#[test]
fn the_parts_of_every_vector_are_counted_without_cutting_them() {
    for vector in vectors() {
        let (options, _) = options(&vector);
        let body = choose(vector["input"].as_str().unwrap(), &options).unwrap().body;
        assert_eq!(segment::count(&body, &options.rule) as u64, vector["expect"]["segments"].as_u64().unwrap(), "{}", vector["name"]);
    }
}
