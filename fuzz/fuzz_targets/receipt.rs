//! Receipts from carriers: no octets make the reader panic, what it reads lies inside what came, and what we write
//! reads back as it was.
#![no_main]

use hongyan::model::Encoding;
use hongyan::model::state::ReceiptState;
use hongyan::text::id_form::{Id, IdForm};
use hongyan::text::receipt::{Dialect, ReceiptInput, ReceiptText, Source, parse, write_receipt};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [esm_class, data_coding, flags, body @ ..] = data else { return };
    let dialect = Dialect {
        id_from: if flags & 1 == 0 { Source::Tlv } else { Source::Text },
        packed: flags & 2 != 0,
        unknown_is_final: flags & 4 != 0,
        ..Dialect::default()
    };
    let input = ReceiptInput { esm_class: *esm_class, data_coding: *data_coding, body, ..ReceiptInput::default() };
    if let Some(receipt) = parse(&input, &dialect) {
        assert!(!(receipt.intermediate && receipt.is_final));
        let mut id = Id::new();
        for form in IdForm::ALL {
            form.apply(&receipt.id, &mut id);
        }
        if let Some(date) = receipt.done_date {
            assert_eq!(date.text().len(), 19);
        }
    }
    writes_and_reads(flags, body);
});

/// Any id and text that our own receipts could carry come back from them.
fn writes_and_reads(flags: &u8, octets: &[u8]) {
    let id: Vec<u8> = octets.iter().copied().filter(u8::is_ascii_alphanumeric).take(64).collect();
    let state = ReceiptState::ALL[usize::from(flags % 10)];
    let submit_ms = 1_500_000_000_000 + octets.len() as u64 * 60_000;
    let mut out = Vec::new();
    let written = ReceiptText {
        id: &id,
        sub: 1,
        dlvrd: u16::from(*flags),
        submit_ms,
        done_ms: submit_ms,
        zone_offset_min: i32::from(*flags) * 5 - 600,
        with_seconds: flags & 8 != 0,
        state,
        error: b"",
        text: octets,
        text_encoding: [Encoding::Gsm7, Encoding::Latin1, Encoding::Ucs2, Encoding::Binary][usize::from(flags % 4)],
    };
    write_receipt(&written, &mut out);
    let read = parse(&ReceiptInput { esm_class: 4, body: &out, ..ReceiptInput::default() }, &Dialect::default()).expect("the receipt bit is set");
    assert_eq!(&*read.id, &*id);
    assert_eq!(read.state, state);
    assert_eq!(read.dlvrd, Some(u16::from(*flags)));
    let date = read.submit_date.and_then(|date| date.wall_ms(written.zone_offset_min));
    let unit = if written.with_seconds { 1000 } else { 60_000 };
    assert_eq!(date, Some(submit_ms / unit * unit));
}
