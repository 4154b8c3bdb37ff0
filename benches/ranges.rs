//! What a look-up costs in a table of a million prefixes and a million ported numbers, and what reading a number as people write it costs by the tables
//! and by the phone library. Numbers are drawn at random over the whole table, so the caches are as cold as traffic leaves them.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hongyan::number::dedupe::NumberSet;
use hongyan::number::ranges::{Fields, Kind, RangeTable, TableBuilder};
use hongyan::number::written::{by_library, by_tables};
use hongyan::number::{HomeRegion, from_text, pack};
use std::collections::BTreeSet;
use std::hint::black_box;

const SAMPLES: usize = 1 << 16;
const REGIONS: [&str; 8] = ["Beijing", "Shanghai", "Guangdong", "Sichuan", "Hubei", "Fujian", "Yunnan", "Gansu"];
const OPERATORS: [&str; 4] = ["China Mobile", "China Unicom", "China Telecom", "China Broadnet"];

struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

fn packed(digits: &str) -> u64 {
    pack(digits.as_bytes()).expect("digits")
}

/// 600,000 Chinese prefixes of nine digits side by side, 400,000 of six to ten digits scattered over the world, and `ported` Chinese numbers.
fn table(ported: u64) -> RangeTable {
    let mut dice = Dice(7);
    let mut builder = TableBuilder::shipped();
    builder.file("bench");
    let fields = |dice: &mut Dice| Fields {
        operator: OPERATORS[dice.roll(4) as usize],
        region: REGIONS[dice.roll(8) as usize],
        kind: Kind::Mobile,
        ..Fields::default()
    };
    for prefix in 861_300_000..861_900_000u64 {
        builder.prefix(packed(&prefix.to_string()), &fields(&mut dice), 1);
    }
    let scattered: BTreeSet<u64> = (0..400_000)
        .map(|_| {
            let length = 6 + dice.roll(5) as u32;
            let value = 10u64.pow(length - 1) + (dice.roll(1 << 31) << 20 | dice.roll(1 << 20)) % (7 * 10u64.pow(length - 1));
            packed(&value.to_string())
        })
        .collect();
    scattered.into_iter().for_each(|prefix| builder.prefix(prefix, &fields(&mut dice), 2));
    for n in 0..ported {
        builder.ported(packed(&format!("86138{:08}", n * 61 % 100_000_000)), &fields(&mut dice), 3);
    }
    builder.build().expect("a sound table")
}

fn lookups(criterion: &mut Criterion) {
    let mut dice = Dice(11);
    let plain = table(0);
    let ported = table(1_000_000);
    let (prefixes, _, _) = plain.counts();
    println!("{prefixes} prefixes in {} KiB; with 1,000,000 ported numbers {} KiB", plain.octets().0 >> 10, ported.octets().0 >> 10);
    let mut sample = |make: &mut dyn FnMut(&mut Dice) -> String| (0..SAMPLES).map(|_| packed(&make(&mut dice))).collect::<Vec<u64>>();
    let chinese = sample(&mut |dice| format!("861{}{:08}", 3 + dice.roll(6), dice.roll(1_000_000_000) % 1_000_000_000));
    let world = sample(&mut |dice| format!("{}{:010}", 1 + dice.roll(7), dice.roll(10_000_000_000)));
    let nobody = sample(&mut |dice| format!("999{:09}", dice.roll(1_000_000_000)));
    let moved = sample(&mut |dice| format!("86138{:08}", dice.roll(1_000_000) * 61 % 100_000_000));
    let mut group = criterion.benchmark_group("ranges");
    group.throughput(Throughput::Elements(1));
    for (name, table, numbers) in [
        ("hit: a million Chinese prefixes", &plain, &chinese),
        ("hit: scattered prefixes", &plain, &world),
        ("miss: no country", &plain, &nobody),
        ("ported", &ported, &moved),
        ("not ported, beside a million that are", &ported, &chinese),
        ("hit: the same number again", &plain, &vec![chinese[0]; SAMPLES]),
    ] {
        let mut at = 0;
        group.bench_function(name, |bench| {
            bench.iter(|| {
                at = (at + 1) % SAMPLES;
                black_box(table.find(black_box(numbers[at])))
            });
        });
    }
    group.finish();
}

fn normalising(criterion: &mut Criterion) {
    let china = HomeRegion::CHINA;
    let mut group = criterion.benchmark_group("written numbers");
    group.throughput(Throughput::Elements(1));
    for written in ["13800138000", "+86 138-0013-8000", "+447911123456"] {
        group.bench_function(format!("tables: {written}"), |bench| bench.iter(|| by_tables(black_box(written.as_bytes()), china)));
        group.bench_function(format!("as used: {written}"), |bench| bench.iter(|| from_text(black_box(written.as_bytes()), china)));
        group.bench_function(format!("library: {written}"), |bench| bench.iter(|| by_library(black_box(written.as_bytes()), china)));
    }
    group.finish();
}

fn dedupe(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dedupe");
    group.throughput(Throughput::Elements(1_000_000));
    group.sample_size(10);
    group.bench_function("a million numbers, each new", |bench| {
        bench.iter(|| {
            let mut set = NumberSet::new();
            let first = packed("8613800000000");
            (0..1_000_000u64).filter(|n| set.insert(first + n * 61 % 100_000_000)).count()
        });
    });
    group.finish();
}

criterion_group!(benches, lookups, normalising, dedupe);
criterion_main!(benches);
