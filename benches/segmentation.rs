//! What the text and number layers cost per message: cutting, receipts, ids, normalising, ranges. No allocation in any of
//! the ordinary cases but where the name says so.

use criterion::{Criterion, criterion_group, criterion_main};
use hongyan::model::state::ReceiptState;
use hongyan::model::{Body, Encoding};
use hongyan::number::{HomeRegion, PrefixTable, normalise, pack};
use hongyan::text::choose::{Options, choose};
use hongyan::text::id_form::{Id, IdForm};
use hongyan::text::receipt::{Dialect, ReceiptInput, ReceiptText, parse, write_receipt};
use hongyan::text::segment::{Concatenation, SegmentRule, count, for_each, split};
use std::hint::black_box;
use std::time::Duration;

fn body(encoding: Encoding, octets: &[u8]) -> Body {
    Body { encoding, raw_data_coding: 0, header_len: 0, octets: octets.into() }
}

fn segmentation(c: &mut Criterion) {
    let mut group = c.benchmark_group("segment");
    let rule = SegmentRule::new(Concatenation::Udh16);
    let short = body(Encoding::Gsm7, &[b'a'; 80]);
    let long = body(Encoding::Gsm7, &[b'a'; 450]);
    let chinese: Vec<u8> = "中文短信".repeat(50).encode_utf16().flat_map(u16::to_be_bytes).collect();
    let chinese = body(Encoding::Ucs2, &chinese);
    let mut scratch = Vec::with_capacity(256);
    group.bench_function("count one part", |b| b.iter(|| count(black_box(&short), &rule)));
    group.bench_function("count 450 septets", |b| b.iter(|| count(black_box(&long), &rule)));
    group.bench_function("count 200 Chinese characters", |b| b.iter(|| count(black_box(&chinese), &rule)));
    group.bench_function("lend one part", |b| {
        b.iter(|| {
            for_each(black_box(&short), &rule, 7, &mut scratch, |view| {
                black_box(view.octets);
            });
        })
    });
    group.bench_function("lend 450 septets", |b| {
        b.iter(|| {
            for_each(black_box(&long), &rule, 7, &mut scratch, |view| {
                black_box(view.octets);
            });
        })
    });
    group.bench_function("split 450 septets, allocating", |b| b.iter(|| split(black_box(&long), &rule, 7)));
    group.bench_function("split 200 Chinese characters, allocating", |b| b.iter(|| split(black_box(&chinese), &rule, 7)));
    let text = "Your code is 123456, valid for 5 minutes. Don't share it with anyone at all. Bye";
    group.bench_function("choose for 80 characters, allocating", |b| b.iter(|| choose(black_box(text), &Options::default())));
    group.finish();
}

fn receipts(c: &mut Criterion) {
    let mut group = c.benchmark_group("receipt");
    let text = b"id:1234567890 sub:001 dlvrd:001 submit date:2603010830 done date:2603010831 stat:DELIVRD err:000 text:Hello world, 20 chr";
    let input = ReceiptInput { esm_class: 4, body: text, ..ReceiptInput::default() };
    let with_tlvs = ReceiptInput { receipted_message_id: Some(b"1234567890\0"), message_state: Some(2), ..input };
    let wide: Vec<u8> = text.iter().flat_map(|&octet| [0, octet]).collect();
    let wide = ReceiptInput { body: &wide, data_coding: 8, ..input };
    let dialect = Dialect::default();
    group.bench_function("read", |b| b.iter(|| parse(black_box(&input), &dialect)));
    group.bench_function("read with TLVs", |b| b.iter(|| parse(black_box(&with_tlvs), &dialect)));
    group.bench_function("read UCS-2, allocating", |b| b.iter(|| parse(black_box(&wide), &dialect)));
    let receipt = ReceiptText {
        id: b"1234567890123456789",
        sub: 1,
        dlvrd: 1,
        submit_ms: 1_772_353_800_000,
        done_ms: 1_772_353_861_000,
        zone_offset_min: 480,
        with_seconds: false,
        state: ReceiptState::Delivered,
        error: b"000",
        text: b"Hello world, this is too long",
        text_encoding: Encoding::Gsm7,
    };
    let mut out = Vec::with_capacity(512);
    group.bench_function("write", |b| {
        b.iter(|| {
            out.clear();
            write_receipt(black_box(&receipt), &mut out);
        })
    });
    let mut id = Id::new();
    group.bench_function("id, canonical", |b| b.iter(|| IdForm::Identity.apply(black_box(b"1234567890"), &mut id)));
    group.bench_function("id, decimal to hex", |b| b.iter(|| IdForm::DecimalToHex.apply(black_box(b"1234567890"), &mut id)));
    group.finish();
}

fn numbers(c: &mut Criterion) {
    let mut group = c.benchmark_group("number");
    let china = HomeRegion::CHINA;
    group.bench_function("normalise international", |b| b.iter(|| normalise(black_box(b"8613800138000"), 1, china)));
    group.bench_function("normalise Chinese, 11 digits", |b| b.iter(|| normalise(black_box(b"13800138000"), 0, china)));
    group.bench_function("normalise Chinese, guessed", |b| b.iter(|| normalise(black_box(b"8613800138000"), 0, china)));
    let rows: Vec<(String, u32)> = (130..200).flat_map(|n| (0..10).map(move |m| (format!("86{n}{m}"), n * 10 + m))).collect();
    let table = PrefixTable::new(rows.iter().map(|(prefix, value)| (prefix.as_str(), *value))).expect("digits");
    let number = pack(b"8613800138000").expect("digits");
    group.bench_function("range of a number", |b| b.iter(|| table.get(black_box(number))));
    group.finish();
}

fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .sample_size(20)
        .without_plots()
}

criterion_group! { name = benches; config = short(); targets = segmentation, receipts, numbers }
criterion_main!(benches);
