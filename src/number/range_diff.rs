//! What a new range table would change: prefixes that appear, go or say something else, and how many numbers get another operator or region.

use super::packed;
use super::plan;
use super::ranges::{RangeId, RangeTable, order};
use hashbrown::HashMap;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A prefix whose row differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    /// The prefix, packed.
    pub prefix: u64,
    /// What the old table said; `None`: it appears.
    pub old: Option<RangeId>,
    /// What the new table says; `None`: it goes.
    pub new: Option<RangeId>,
}

/// The difference of two tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableDiff {
    /// Prefixes that differ, in the order of their digits.
    pub prefixes: Vec<Changed>,
    /// Ported numbers that appear, go, or say something else.
    pub ported: [u64; 3],
    /// Numbers that get another operator: (old, new) → how many. Counted by prefix in the longest form that the country's plan allows.
    pub operators: BTreeMap<(String, String), u64>,
    /// The same for regions.
    pub regions: BTreeMap<(String, String), u64>,
    /// Numbers that get another operator, another region or both.
    pub numbers: u64,
}

/// Compares two tables.
pub fn diff(old: &RangeTable, new: &RangeTable) -> TableDiff {
    let mut diff = TableDiff { prefixes: prefixes(old, new), ported: ported(old, new), ..TableDiff::default() };
    space(old, new, &mut diff);
    diff
}

/// True if the two say the same.
fn same(old: &RangeTable, a: RangeId, new: &RangeTable, b: RangeId) -> bool {
    let (x, y) = (old.get(a), new.get(b));
    let names = [(x.country, y.country), (x.operator, y.operator), (x.region, y.region), (x.zone, y.zone)];
    let tags = || x.tags.iter().map(|&tag| old.name(tag)).eq(y.tags.iter().map(|&tag| new.name(tag)));
    x.kind == y.kind && names.iter().all(|&(x, y)| old.name(x) == new.name(y)) && tags()
}

fn prefixes(old: &RangeTable, new: &RangeTable) -> Vec<Changed> {
    let (mut a, mut b) = (old.rows().iter().peekable(), new.rows().iter().peekable());
    let mut known: HashMap<(RangeId, RangeId), bool> = HashMap::new();
    let mut out = Vec::new();
    loop {
        let (x, y) = (a.peek().copied(), b.peek().copied());
        let which = match (x, y) {
            (None, None) => return out,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(x), Some(y)) => order(x.prefix).cmp(&order(y.prefix)),
        };
        let x = x.filter(|_| which.is_le());
        let y = y.filter(|_| which.is_ge());
        if x.is_some() {
            a.next();
        }
        if y.is_some() {
            b.next();
        }
        let equal = x.zip(y).is_some_and(|(x, y)| *known.entry((x.range, y.range)).or_insert_with(|| same(old, x.range, new, y.range)));
        if let Some(row) = x.or(y)
            && !equal
        {
            out.push(Changed { prefix: row.prefix, old: x.map(|row| row.range), new: y.map(|row| row.range) });
        }
    }
}

fn ported(old: &RangeTable, new: &RangeTable) -> [u64; 3] {
    let mut counts = [0; 3];
    for (number, range) in new.ported().iter() {
        match old.ported().get(number) {
            None => counts[0] += 1,
            Some(before) if !same(old, RangeId(before), new, RangeId(range)) => counts[2] += 1,
            Some(_) => {}
        }
    }
    counts[1] = old.ported().iter().filter(|&(number, _)| new.ported().get(number).is_none()).count() as u64;
    counts
}

/// Where the number space (as 15 digits) changes its range: start and range of each stretch.
fn stretches(table: &RangeTable) -> Vec<(u64, Option<RangeId>)> {
    fn begin(out: &mut Vec<(u64, Option<RangeId>)>, start: u64, range: Option<RangeId>) {
        match out.last_mut().filter(|last| last.0 == start) {
            Some(last) => last.1 = range,
            None => out.push((start, range)),
        }
    }
    let mut out = vec![(0, None)];
    let mut open: Vec<(u64, RangeId)> = Vec::new();
    let close = |open: &mut Vec<(u64, RangeId)>, out: &mut Vec<_>, before: u64| {
        while let Some(&(end, _)) = open.last().filter(|(end, _)| *end <= before) {
            open.pop();
            begin(out, end, open.last().map(|&(_, range)| range));
        }
    };
    for row in table.rows() {
        let (start, length) = order(row.prefix);
        close(&mut open, &mut out, start);
        begin(&mut out, start, Some(row.range));
        open.push((start + 10u64.pow((packed::DIGITS_MAX - length) as u32), row.range));
    }
    close(&mut open, &mut out, u64::MAX);
    out
}

/// Walks both number spaces side by side and counts what changes hands.
fn space(old: &RangeTable, new: &RangeTable, diff: &mut TableDiff) {
    let (a, b) = (stretches(old), stretches(new));
    let (mut x, mut y) = (0, 0);
    let mut start = 0;
    let whole = 10u64.pow(packed::DIGITS_MAX as u32);
    while start < whole {
        let next = |list: &[(u64, Option<RangeId>)], at: usize| list.get(at + 1).map_or(whole, |&(start, _)| start);
        let end = next(&a, x).min(next(&b, y));
        let before = a[x].1.map(|range| old.get(range));
        let after = b[y].1.map(|range| new.get(range));
        let operators = (before.map_or("", |r| old.name(r.operator)), after.map_or("", |r| new.name(r.operator)));
        let regions = (before.map_or("", |r| old.name(r.region)), after.map_or("", |r| new.name(r.region)));
        if operators.0 != operators.1 || regions.0 != regions.1 {
            let count = numbers_between(start, end);
            diff.numbers += count;
            for (pair, counts) in [(operators, &mut diff.operators), (regions, &mut diff.regions)] {
                if pair.0 != pair.1 {
                    *counts.entry((pair.0.to_owned(), pair.1.to_owned())).or_default() += count;
                }
            }
        }
        x += usize::from(next(&a, x) == end && x + 1 < a.len());
        y += usize::from(next(&b, y) == end && y + 1 < b.len());
        start = end;
    }
}

/// Numbers from `start` up to and without `end`, both as 15 digits, in the longest form of their country.
fn numbers_between(start: u64, end: u64) -> u64 {
    let digits = format!("{start:015}");
    let unit = 10u64.pow((packed::DIGITS_MAX - plan::longest(digits.as_bytes())) as u32);
    ((end - start) / unit).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::HomeRegion;
    use crate::number::range_file::{Vocabulary, read_ported, read_ranges};
    use crate::number::ranges::TableBuilder;

    fn table(ranges: &str, ported: &str) -> RangeTable {
        let mut builder = TableBuilder::shipped();
        let vocabulary = Vocabulary::new(HomeRegion::CHINA);
        if !ranges.is_empty() {
            read_ranges(&mut builder, "r", ranges.as_bytes(), &vocabulary);
        }
        if !ported.is_empty() {
            read_ported(&mut builder, "p", ported.as_bytes(), &vocabulary);
        }
        builder.build().unwrap()
    }

    fn list(diff: &TableDiff) -> Vec<(String, bool, bool)> {
        let digits = |prefix| String::from_utf8(packed::unpack(prefix).to_vec()).unwrap();
        diff.prefixes.iter().map(|changed| (digits(changed.prefix), changed.old.is_some(), changed.new.is_some())).collect()
    }

    #[test]
    fn prefixes_appear_go_and_change_and_numbers_are_counted_once() {
        let old = table("prefix,operator,region\n861380,CMCC,a\n861381,CMCC,a\n86138123,CMCC,b\n8617,,x\n", "");
        let new = table("prefix,operator,region\n861380,CMCC,a\n861381,CUCC,a\n86138200,CUCC,\n8617,,x\n", "");
        let diff = diff(&old, &new);
        let expected = [("861381", true, true), ("86138123", true, false), ("86138200", false, true)];
        assert_eq!(list(&diff), expected.map(|(prefix, old, new)| (prefix.to_owned(), old, new)));
        // 861381: 10^7 numbers, of them 10^5 with another region too; 86138200: 10^5.
        assert_eq!(diff.numbers, 10_000_000 + 100_000);
        let to_unicom = ("China Mobile".to_owned(), "China Unicom".to_owned());
        assert_eq!(diff.operators, BTreeMap::from([(to_unicom, 10_100_000)]));
        assert_eq!(diff.regions, BTreeMap::from([(("b".to_owned(), "a".to_owned()), 100_000)]));
    }

    #[test]
    fn equal_tables_have_no_difference_whatever_their_ids() {
        let text = "prefix,region\n861380,a\n861390,b\n";
        let other = "prefix,region\n861390,b\n861380,a\n";
        assert_eq!(diff(&table(text, ""), &table(other, "")), TableDiff::default());
    }

    #[test]
    fn ported_numbers_are_counted() {
        let old = table("", "number,operator\n13800138000,CUCC\n13800138001,CUCC\n13800138002,CUCC\n");
        let new = table("", "number,operator\n13800138001,CTCC\n13800138002,CUCC\n13800138003,CUCC\n13800138004,CUCC\n");
        assert_eq!(diff(&old, &new).ported, [2, 1, 1]);
    }
}
