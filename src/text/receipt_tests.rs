//! Dialects that the vectors don't show, and what is written for upstream.

use super::*;

fn parse_text(text: &[u8]) -> Option<ParsedReceipt<'_>> {
    parse(&ReceiptInput { esm_class: 4, body: text, ..Default::default() }, &Dialect::default())
}

#[test]
fn labels_may_be_joined_by_other_signs() {
    let receipt = parse_text(b"id=7;submit_date=2603010830;done_date=2603010831\nstatus = Failed|error=12&txt=a=b").unwrap();
    assert_eq!(&*receipt.id, b"7");
    assert_eq!(receipt.done_date.unwrap().text(), "2026-03-01T08:31:00");
    assert_eq!(receipt.state, ReceiptState::Undeliverable);
    assert_eq!(receipt.error.as_deref(), Some(&b"12"[..]));
    assert_eq!(receipt.text.as_deref(), Some(&b"a=b"[..]));
}

#[test]
fn septets_of_an_underscore_are_read_in_labels() {
    let receipt = parse_text(b"id:1 submit\x11date:2603010830 stat:DELIVRD").unwrap();
    assert!(receipt.submit_date.is_some());
}

#[test]
fn words_that_only_end_like_a_label_are_none() {
    let receipt = parse_text(b"msgid:5 id:6 substat:x stat:DELIVRD mid:7").unwrap();
    assert_eq!(&*receipt.id, b"6 substat:x");
    assert_eq!(receipt.stat.as_deref(), Some(&b"DELIVRD mid:7"[..]));
}

#[test]
fn a_word_right_behind_a_colon_is_a_value() {
    let receipt = parse_text(b"id:stat:5 sub:id stat:DELIVRD").unwrap();
    assert_eq!((&*receipt.id, receipt.state), (&b"stat:5"[..], ReceiptState::Delivered));
}

#[test]
fn the_first_occurrence_counts() {
    let receipt = parse_text(b"id:1 stat:DELIVRD id:2 stat:EXPIRED").unwrap();
    assert_eq!((&*receipt.id, receipt.state), (&b"1"[..], ReceiptState::Delivered));
}

#[test]
fn a_header_is_skipped_and_a_bad_one_is_not_trusted() {
    let dialect = Dialect::default();
    let body = [&[5, 0, 3, 1, 1, 1][..], b"id:1 stat:DELIVRD"].concat();
    let receipt = parse(&ReceiptInput { esm_class: 0x44, body: &body, ..Default::default() }, &dialect).unwrap();
    assert_eq!(&*receipt.id, b"1");
    assert!(parse(&ReceiptInput { esm_class: 0x44, body: &[200, 0], ..Default::default() }, &dialect).is_some());
}

#[test]
fn a_message_from_a_phone_is_no_receipt() {
    let dialect = Dialect::default();
    let phone = |esm_class, body| parse(&ReceiptInput { esm_class, body, ..Default::default() }, &dialect);
    assert!(phone(0, b"my id:5 please").is_none());
    assert!(phone(0, b"").is_none());
    assert!(phone(0x08, b"id:1 stat:DELIVRD").is_none(), "an acknowledgement of a phone");
    assert!(phone(0x04, b"").is_some(), "the receipt bit is enough");
}

#[test]
fn the_dialect_decides_what_wins_and_what_is_final() {
    let input = ReceiptInput {
        esm_class: 4,
        body: b"id:text stat:ACCEPTD",
        receipted_message_id: Some(b"tlv\0"),
        message_state: Some(7),
        network_error_code: Some(&[3, 0]),
        ..Default::default()
    };
    let usual = parse(&input, &Dialect::default()).unwrap();
    assert_eq!((&*usual.id, &*usual.other_id, usual.state), (&b"tlv"[..], &b"text"[..], ReceiptState::Unknown));
    assert!(!usual.is_final && usual.network_error.is_none());
    let other = Dialect { id_from: Source::Text, state_from: Source::Text, accepted_is_final: true, ..Dialect::default() };
    let read = parse(&input, &other).unwrap();
    assert_eq!((&*read.id, &*read.other_id, read.state, read.is_final), (&b"text"[..], &b"tlv"[..], ReceiptState::Accepted, true));
    assert!(parse(&input, &Dialect { unknown_is_final: true, ..Dialect::default() }).unwrap().is_final);
    assert!(
        !parse(&ReceiptInput { esm_class: 0x20, ..input }, &Dialect { unknown_is_final: true, ..Dialect::default() }).unwrap().is_final
    );
}

#[test]
fn a_message_state_beyond_the_list_gives_way_to_the_text() {
    let input = ReceiptInput { esm_class: 4, body: b"id:1 stat:EXPIRED", message_state: Some(77), ..Default::default() };
    let receipt = parse(&input, &Dialect::default()).unwrap();
    assert_eq!((receipt.state, receipt.state_source), (ReceiptState::Expired, Some(Source::Text)));
}

#[test]
fn packed_and_mislabelled_texts_are_read() {
    let mut packed = Vec::new();
    gsm7::pack(b"id:1 stat:DELIVRD", 0, true, &mut packed);
    let input = ReceiptInput { esm_class: 4, body: &packed, ..Default::default() };
    let receipt = parse(&input, &Dialect { packed: true, ..Dialect::default() }).unwrap();
    assert_eq!(receipt.state, ReceiptState::Delivered);
    let input = ReceiptInput { esm_class: 4, data_coding: 8, body: b"id:1 stat:DELIVRD", ..Default::default() };
    assert_eq!(parse(&input, &Dialect::default()).unwrap().state, ReceiptState::Delivered);
}

#[test]
fn ordinary_receipts_are_borrowed() {
    let receipt = parse_text(b"id:1 sub:001 dlvrd:001 submit date:2603010830 done date:2603010831 stat:DELIVRD err:000 text:hi").unwrap();
    assert!(matches!(receipt.id, Cow::Borrowed(_)) && matches!(receipt.text, Some(Cow::Borrowed(_))));
}

fn sample() -> ReceiptText<'static> {
    ReceiptText {
        id: b"1234567890",
        sub: 1,
        dlvrd: 1,
        submit_ms: 1_772_353_800_000,
        done_ms: 1_772_353_861_000,
        zone_offset_min: 0,
        with_seconds: false,
        state: ReceiptState::Delivered,
        error: b"0",
        text: b"Hello world, this is too long",
        text_encoding: Encoding::Gsm7,
    }
}

fn written(receipt: &ReceiptText<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_receipt(receipt, &mut out);
    out
}

#[test]
fn what_is_written_is_appendix_b() {
    assert_eq!(
        String::from_utf8(written(&sample())).unwrap(),
        "id:1234567890 sub:001 dlvrd:001 submit date:2603010830 done date:2603010831 stat:DELIVRD err:000 text:Hello world, this is"
    );
    let zoned = ReceiptText { zone_offset_min: 480, with_seconds: true, error: b"00A3", text: b"", ..sample() };
    assert_eq!(
        String::from_utf8(written(&zoned)).unwrap(),
        "id:1234567890 sub:001 dlvrd:001 submit date:260301163000 done date:260301163101 stat:DELIVRD err:0A3 text:"
    );
}

#[test]
fn an_excerpt_cuts_no_character() {
    let euros = [gsm7::ESCAPE, 0x65].repeat(25);
    assert!(written(&ReceiptText { text: &euros, ..sample() }).ends_with(&euros[..40]));
    assert!(!written(&ReceiptText { text: &euros, ..sample() }).ends_with(&euros[..42]));
    let odd = [b"text"[0], gsm7::ESCAPE];
    assert!(written(&ReceiptText { text: &odd, ..sample() }).ends_with(b"\x1b"));
    let chinese = [0x4F, 0x60, 0x00, 0x61, 0x20, 0xAC];
    assert!(written(&ReceiptText { text: &chinese, text_encoding: Encoding::Ucs2, ..sample() }).ends_with(b"text:?a\x1b\x65"));
    assert!(written(&ReceiptText { text: &[0xE9, 0xE7], text_encoding: Encoding::Latin1, ..sample() }).ends_with(b"text:\x05?"));
}

#[test]
fn every_receipt_that_we_write_reads_back() {
    for state in ReceiptState::ALL {
        let octets = written(&ReceiptText { state, ..sample() });
        let receipt = parse_text(&octets).unwrap();
        assert_eq!(receipt.state, state);
        assert_eq!(receipt.submit_date.unwrap().wall_ms(0), Some(1_772_353_800_000));
    }
}
