//! Every receipt vector is read to exactly its fields, from the octets of its deliver_sm, and ids match as it says.

use hongyan::cli::inspect_receipt;
use hongyan::text::id_form::{Id, IdForm};
use hongyan::text::receipt::{Dialect, ReceiptInput};
use serde_json::Value;

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("../data/receipts.json")).unwrap()
}

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Walks a deliver_sm by hand, so that these vectors rest on no decoder of ours.
fn input(pdu: &[u8]) -> ReceiptInput<'_> {
    let skip_string = |at: usize| at + pdu[at..].iter().position(|&octet| octet == 0).unwrap() + 1;
    let after_source = skip_string(skip_string(16) + 2);
    let esm_class_at = skip_string(after_source + 2);
    let registered_at = skip_string(skip_string(esm_class_at + 3));
    let length = pdu[registered_at + 4] as usize;
    let body_at = registered_at + 5;
    let mut input = ReceiptInput {
        esm_class: pdu[esm_class_at],
        data_coding: pdu[registered_at + 2],
        body: &pdu[body_at..body_at + length],
        ..ReceiptInput::default()
    };
    let mut rest = &pdu[body_at + length..];
    while let [tag_high, tag_low, length_high, length_low, after @ ..] = rest {
        let (value, after) = after.split_at(usize::from(u16::from_be_bytes([*length_high, *length_low])));
        match u16::from_be_bytes([*tag_high, *tag_low]) {
            0x001E => input.receipted_message_id = Some(value),
            0x0427 => input.message_state = Some(value[0]),
            0x0423 => input.network_error_code = Some(value),
            0x0424 => input.body = value,
            _ => {}
        }
        rest = after;
    }
    input
}

#[test]
fn every_receipt_is_read_to_its_fields() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 50);
    for vector in vectors {
        let pdu = octets(vector["pdu_hex"].as_str().unwrap());
        let input = input(&pdu);
        assert_eq!(Value::from(input.esm_class), vector["esm_class"], "{}", vector["name"]);
        assert_eq!(inspect_receipt::inspect(&input, &Dialect::default()), vector["expect"], "{}", vector["name"]);
    }
}

/// The forms that the ids of answer and receipt take under a rule.
fn matches(rule: &str, answer: &[u8], receipt: &[u8]) -> bool {
    let (of_answer, of_receipt) = match rule {
        "exact" | "ignore-case" => (IdForm::Identity, IdForm::Identity),
        "strip-leading-zeros" | "hex-ignore-case-and-0x" => (IdForm::StripZeros, IdForm::StripZeros),
        "resp-hex-receipt-decimal" => (IdForm::StripZeros, IdForm::DecimalToHex),
        "resp-decimal-receipt-hex" => (IdForm::StripZeros, IdForm::HexToDecimal),
        other => panic!("unknown rule {other}"),
    };
    let (mut left, mut right) = (Id::new(), Id::new());
    of_answer.apply(answer, &mut left) && of_receipt.apply(receipt, &mut right) && left == right
}

#[test]
fn ids_of_answer_and_receipt_match_under_their_rule() {
    let mut checked = 0;
    for vector in vectors().iter().filter(|vector| !vector["match_rule"].is_null()) {
        let (name, rule) = (vector["name"].as_str().unwrap(), vector["match_rule"].as_str().unwrap());
        let answer = vector["submit_resp_id"].as_str().unwrap().as_bytes();
        let receipt = vector["expect"]["id"].as_str().unwrap().as_bytes();
        // This vector says that 0911897980 is 0x365A5DFC, but that is 911891964: as numbers they differ, and no rule may
        // match what differs.
        assert_eq!(matches(rule, answer, receipt), name != "decimal_vs_hex_resp", "{name}");
        checked += 1;
    }
    assert_eq!(checked, 6);
    assert!(matches("resp-hex-receipt-decimal", b"365A757C", b"0911897980"), "the pair that the vector means");
    assert!(matches("hex-ignore-case-and-0x", b"0x00AbC", b"abc"));
    assert!(!matches("exact", b"123", b"0123"));
}
