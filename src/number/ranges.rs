//! What is known of a number before anything is sent to it: country, operator, region, kind, time zone and tags, by its longest prefix, or by the number
//! itself where it was ported. One table is immutable and is swapped whole; its version is a hash of its content.
//!
//! Reading the table from files is `range_file`; what ships with the program is `shipped`. Attributes are interned: rules that ask for an operator look its
//! [`NameId`] up once ([`RangeTable::id_of`]) and compare ids from then on. Ids belong to one table; another table has others.

use super::digit_trie::{DigitTrie, Prefix, VALUE_MAX, aligned};
use super::packed;
use super::ported::Ported;
use super::range_problems::{Problems, TableError};
use crate::config::Zone;
use hashbrown::HashMap;
use std::sync::{Arc, OnceLock};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// A distinct set of attributes of a table. All prefixes with the same attributes share one, so it is a good key of buckets and lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RangeId(pub u32);

/// An interned text of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct NameId(u32);

impl NameId {
    /// Not known.
    pub const NONE: NameId = NameId(0);

    /// True if nothing is known.
    pub fn is_none(self) -> bool {
        self == NameId::NONE
    }
}

/// What a number is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Kind {
    /// Not known.
    #[default]
    Unknown,
    /// A mobile phone.
    Mobile,
    /// A fixed line.
    Fixed,
    /// Neither: things, satellites, services.
    Other,
}

impl Kind {
    /// All kinds that a file may name.
    pub const NAMED: [Kind; 3] = [Kind::Mobile, Kind::Fixed, Kind::Other];

    /// As files and people write it; empty for unknown.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Unknown => "",
            Kind::Mobile => "mobile",
            Kind::Fixed => "fixed",
            Kind::Other => "other",
        }
    }
}

/// The attributes of a range.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Range {
    /// ISO 3166 letters; `001` for numbers that belong to no country.
    pub country: NameId,
    /// Operator.
    pub operator: NameId,
    /// Region inside the country: a province, a state, a city.
    pub region: NameId,
    /// IANA time zone.
    pub zone: NameId,
    /// Mobile, fixed or other.
    pub kind: Kind,
    /// Any words, in the order of the file.
    pub tags: Box<[NameId]>,
}

impl Range {
    /// These attributes, and those of `base` where these say nothing.
    fn over(&self, base: &Range) -> Range {
        let either = |own: NameId, other: NameId| if own.is_none() { other } else { own };
        Range {
            country: either(self.country, base.country),
            operator: either(self.operator, base.operator),
            region: either(self.region, base.region),
            zone: either(self.zone, base.zone),
            kind: if self.kind == Kind::Unknown { base.kind } else { self.kind },
            tags: if self.tags.is_empty() { base.tags.clone() } else { self.tags.clone() },
        }
    }
}

/// Where a row was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'t> {
    /// It ships with the program.
    Shipped,
    /// A user's file.
    File {
        /// As it was named.
        name: &'t str,
        /// Line in it, from 1.
        line: u32,
    },
}

/// How a number got its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'t> {
    /// Its range.
    pub range: RangeId,
    /// The longest prefix, packed; 0 if only the list of ported numbers knows it.
    pub prefix: u64,
    /// Where the prefix was read; `None` if there is none.
    pub source: Option<Source<'t>>,
    /// It stands in the list of ported numbers, which overrides the prefix.
    pub ported: bool,
}

/// A prefix of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub prefix: u64,
    pub range: RangeId,
    file: u16,
    line: u32,
}

/// Texts, each once; 0 is the empty one.
#[derive(Debug, Clone)]
struct Names {
    texts: Vec<Box<str>>,
    by_text: HashMap<Box<str>, NameId>,
}

impl Default for Names {
    fn default() -> Self {
        Names { texts: vec!["".into()], by_text: HashMap::from_iter([("".into(), NameId::NONE)]) }
    }
}

impl Names {
    fn intern(&mut self, text: &str) -> NameId {
        if let Some(&id) = self.by_text.get(text) {
            return id;
        }
        let id = NameId(u32::try_from(self.texts.len()).expect("fewer than 2^32 names"));
        self.texts.push(text.into());
        self.by_text.insert(text.into(), id);
        id
    }
}

/// Sets of attributes, each once.
#[derive(Debug, Clone, Default)]
struct Sets {
    sets: Vec<Range>,
    by_set: HashMap<Range, u32>,
}

impl Sets {
    fn intern(&mut self, set: Range) -> u32 {
        if let Some(&id) = self.by_set.get(&set) {
            return id;
        }
        let id = u32::try_from(self.sets.len()).expect("fewer than 2^32 sets");
        self.by_set.insert(set.clone(), id);
        self.sets.push(set);
        id
    }
}

/// The table.
#[derive(Clone, Default)]
pub struct RangeTable {
    trie: DigitTrie,
    ported: Ported,
    ranges: Vec<Range>,
    names: Names,
    /// By [`NameId`]; only zones have one.
    zones: Vec<Option<Zone>>,
    /// In the order of their digits, a prefix before what it begins.
    rows: Vec<Row>,
    files: Vec<String>,
    version: u64,
}

impl std::fmt::Debug for RangeTable {
    /// Not its rows: a table of millions stands in plans that are printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RangeTable({:016x}, {} prefixes, {} ported)", self.version, self.rows.len(), self.ported.len())
    }
}

impl RangeTable {
    /// What ships with the program: Chinese mobile prefixes, and the country of every number.
    pub fn shipped() -> Arc<RangeTable> {
        // Always the same, and asked for by every plan without files: built once.
        static SHIPPED: OnceLock<Arc<RangeTable>> = OnceLock::new();
        let build = || Arc::new(TableBuilder::shipped().build().expect("what ships with the program is checked by a test"));
        Arc::clone(SHIPPED.get_or_init(build))
    }

    /// The range of a packed number: its own if it was ported, else that of its longest prefix.
    #[inline]
    pub fn find(&self, number: u64) -> Option<RangeId> {
        if let Some(range) = self.ported.get(number) {
            return Some(RangeId(range));
        }
        self.trie.find(number).checked_sub(1).map(RangeId)
    }

    /// The attributes of a range of this table.
    #[inline]
    pub fn get(&self, range: RangeId) -> &Range {
        &self.ranges[range.0 as usize]
    }

    /// The text of an id of this table; empty for [`NameId::NONE`].
    #[inline]
    pub fn name(&self, id: NameId) -> &str {
        &self.names.texts[id.0 as usize]
    }

    /// The id of a text, if any range of this table uses it.
    pub fn id_of(&self, text: &str) -> Option<NameId> {
        self.names.by_text.get(text).copied()
    }

    /// The time zone of [`Range::zone`]; `None` if it isn't known.
    pub fn zone(&self, id: NameId) -> Option<&Zone> {
        self.zones.get(id.0 as usize)?.as_ref()
    }

    /// A hash of the content: equal for tables that say the same of every number, wherever their rows were read.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// As [`RangeTable::find`], with the reason; slower.
    pub fn explain(&self, number: u64) -> Option<Found<'_>> {
        let row = (1..=packed::digit_count(number)).rev().find_map(|length| self.row(head(number, length)));
        let ported = self.ported.get(number).map(RangeId);
        let range = ported.or(row.map(|row| row.range))?;
        let source = row.map(|row| match row.file.checked_sub(1) {
            None => Source::Shipped,
            Some(file) => Source::File { name: &self.files[usize::from(file)], line: row.line },
        });
        Some(Found { range, prefix: row.map_or(0, |row| row.prefix), source, ported: ported.is_some() })
    }

    fn row(&self, prefix: u64) -> Option<&Row> {
        self.rows.binary_search_by_key(&order(prefix), |row| order(row.prefix)).ok().map(|at| &self.rows[at])
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(super) fn ported(&self) -> &Ported {
        &self.ported
    }

    /// All prefixes (packed) with their ranges, in the order of their digits.
    pub fn prefixes(&self) -> impl Iterator<Item = (u64, RangeId)> {
        self.rows.iter().map(|row| (row.prefix, row.range))
    }

    /// How many prefixes, ported numbers and distinct sets of attributes it has.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.rows.len(), self.ported.len(), self.ranges.len())
    }

    /// Octets that look-ups touch, and octets in all (without texts).
    pub fn octets(&self) -> (usize, usize) {
        let hot = self.trie.octets() + self.ported.octets();
        (hot, hot + self.rows.len() * size_of::<Row>() + self.ranges.len() * size_of::<Range>())
    }
}

/// The first `length` digits of a packed number.
fn head(number: u64, length: usize) -> u64 {
    let cut = packed::digit_count(number) - length;
    ((length as u64) << 60) | ((number & packed::VALUE_MASK) / 10u64.pow(cut as u32))
}

/// Sorts prefixes by their digits, a prefix before what it begins.
pub(super) fn order(prefix: u64) -> (u64, usize) {
    (aligned(prefix), packed::digit_count(prefix))
}

#[derive(Debug, Clone, Copy)]
struct WrittenRow {
    prefix: u64,
    fields: u32,
    /// 0: shipped; else the number of the file, from 1.
    file: u16,
    line: u32,
}

/// What a row says, as text; empty: what the next shorter prefix says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fields<'f> {
    /// See [`Range`].
    pub country: &'f str,
    /// See [`Range`].
    pub operator: &'f str,
    /// See [`Range`].
    pub region: &'f str,
    /// See [`Range`].
    pub zone: &'f str,
    /// See [`Range`].
    pub kind: Kind,
    /// Words with blanks between them.
    pub tags: &'f str,
}

/// Gathers rows, and everything that is wrong with them, until the table is built.
#[derive(Debug, Default)]
pub struct TableBuilder {
    names: Names,
    fields: Sets,
    rows: Vec<WrittenRow>,
    ported: Vec<WrittenRow>,
    files: Vec<String>,
    /// What is wrong; a table with problems is not built.
    pub problems: Problems,
}

impl TableBuilder {
    /// With nothing in it.
    pub fn new() -> TableBuilder {
        TableBuilder::default()
    }

    /// Further rows come from this file.
    pub fn file(&mut self, name: &str) {
        assert!(self.files.len() < usize::from(u16::MAX), "fewer than 65535 files, as the configuration is checked");
        self.files.push(name.to_owned());
    }

    /// Adds a prefix (packed). `line` 0: it ships with the program.
    pub fn prefix(&mut self, prefix: u64, fields: &Fields<'_>, line: u32) {
        let row = self.written(prefix, fields, line);
        self.rows.push(row);
    }

    /// Adds a ported number (packed).
    pub fn ported(&mut self, number: u64, fields: &Fields<'_>, line: u32) {
        let row = self.written(number, fields, line);
        self.ported.push(row);
    }

    fn written(&mut self, prefix: u64, fields: &Fields<'_>, line: u32) -> WrittenRow {
        let names = &mut self.names;
        let set = Range {
            country: names.intern(fields.country),
            operator: names.intern(fields.operator),
            region: names.intern(fields.region),
            zone: names.intern(fields.zone),
            kind: fields.kind,
            tags: fields.tags.split_whitespace().map(|tag| names.intern(tag)).collect(),
        };
        let file = if line == 0 { 0 } else { self.files.len() as u16 };
        WrittenRow { prefix, fields: self.fields.intern(set), file, line }
    }

    /// The table, or everything that is wrong.
    pub fn build(mut self) -> Result<RangeTable, TableError> {
        self.rows.sort_unstable_by_key(|row| (order(row.prefix), row.file, row.line));
        self.ported.sort_unstable_by_key(|row| (row.prefix, row.file, row.line));
        self.refuse_doubles(false);
        self.refuse_doubles(true);
        let TableBuilder { names, fields, rows, ported, files, problems } = self;
        problems.into_result()?;
        let mut table = RangeTable { zones: zones_of(&names, &fields.sets), names, files, ..RangeTable::default() };
        let mut sets = Sets::default();
        table.rows = effective(&rows, &fields.sets, &mut sets);
        drop(rows);
        assert!((sets.sets.len() as u32) < VALUE_MAX, "fewer sets of attributes than prefixes of 15 digits");
        let prefixes: Vec<Prefix> = table.rows.iter().map(|row| Prefix::new(row.prefix, row.range.0 + 1)).collect();
        table.trie = DigitTrie::build(&prefixes);
        drop(prefixes);
        let mut known: HashMap<(u32, u32), u32> = HashMap::new();
        let mut overriding = |row: &WrittenRow| {
            let base = table.trie.find(row.prefix);
            *known.entry((base, row.fields)).or_insert_with(|| {
                let none = Range::default();
                let base = base.checked_sub(1).map_or(&none, |base| &sets.sets[base as usize]);
                let merged = fields.sets[row.fields as usize].over(base);
                sets.intern(merged)
            })
        };
        let entries: Vec<(u64, u32)> = ported.iter().map(|row| (row.prefix, overriding(row))).collect();
        drop(ported);
        table.ported = Ported::build(&entries);
        table.ranges = sets.sets;
        table.version = version(&table);
        Ok(table)
    }

    /// Two rows of users' files for one prefix (or number) contradict each other.
    fn refuse_doubles(&mut self, ported: bool) {
        let TableBuilder { rows, ported: numbers, files, problems, .. } = self;
        let (rows, what) = if ported { (&*numbers, "number") } else { (&*rows, "prefix") };
        let mut told = (0, 0);
        for pair in rows.windows(2).filter(|pair| pair[0].prefix == pair[1].prefix && pair[0].file > 0) {
            let name = |file: u16| files[usize::from(file) - 1].as_str();
            // A span may overlap another one in thousands of prefixes: told once.
            if std::mem::replace(&mut told, (pair[1].file, pair[1].line)) == told {
                continue;
            }
            let digits = packed::unpack(pair[1].prefix);
            let shown = if ported { crate::model::address::mask(&digits) } else { String::from_utf8_lossy(&digits).into_owned() };
            let first = format!("{}:{}", name(pair[0].file), pair[0].line);
            problems.add(name(pair[1].file), pair[1].line, format!("{what} {shown} stands in {first} already; one line for each {what}"));
        }
    }
}

/// Rows with all their attributes: what they say, and else what shorter prefixes say. Of two rows for one prefix, the later one is laid over the first.
fn effective(rows: &[WrittenRow], fields: &[Range], sets: &mut Sets) -> Vec<Row> {
    let mut out: Vec<Row> = Vec::with_capacity(rows.len());
    // Prefixes of the current row, each a prefix of the next.
    let mut above: Vec<(u64, RangeId)> = Vec::new();
    let mut merged: HashMap<(Option<RangeId>, u32), RangeId> = HashMap::new();
    for row in rows {
        let length = packed::digit_count(row.prefix);
        while above
            .last()
            .is_some_and(|&(prefix, _)| packed::digit_count(prefix) > length || head(row.prefix, packed::digit_count(prefix)) != prefix)
        {
            above.pop();
        }
        let base = above.last().map(|&(_, range)| range);
        let range = *merged.entry((base, row.fields)).or_insert_with(|| {
            let none = Range::default();
            let set = fields[row.fields as usize].over(base.map_or(&none, |base| &sets.sets[base.0 as usize]));
            RangeId(sets.intern(set))
        });
        above.push((row.prefix, range));
        let row = Row { prefix: row.prefix, range, file: row.file, line: row.line };
        match out.last_mut().filter(|last| last.prefix == row.prefix) {
            Some(last) => *last = row,
            None => out.push(row),
        }
    }
    out.shrink_to_fit();
    out
}

/// The zones that rows name. Names were checked where they were read; a machine without zone files knows none.
fn zones_of(names: &Names, sets: &[Range]) -> Vec<Option<Zone>> {
    let mut zones = vec![None; names.texts.len()];
    for set in sets {
        let at = set.zone.0 as usize;
        if at > 0 && zones[at].is_none() {
            zones[at] = names.texts[at].parse().ok();
        }
    }
    zones
}

fn version(table: &RangeTable) -> u64 {
    let of_set = |set: &Range| {
        let mut hash = Xxh3::new();
        let mut add = |text: &str| {
            hash.update(text.as_bytes());
            hash.update(&[0]);
        };
        [set.country, set.operator, set.region, set.zone].into_iter().for_each(|id| add(table.name(id)));
        add(set.kind.name());
        set.tags.iter().for_each(|&tag| add(table.name(tag)));
        hash.digest()
    };
    let sets: Vec<u64> = table.ranges.iter().map(of_set).collect();
    let of_entry = |number: u64, range: RangeId, what: u8| {
        let mut octets = [0; 17];
        octets[..8].copy_from_slice(&number.to_le_bytes());
        octets[8..16].copy_from_slice(&sets[range.0 as usize].to_le_bytes());
        octets[16] = what;
        xxh3_64(&octets)
    };
    // A sum, so that the order of rows doesn't matter.
    let rows = table.rows.iter().map(|row| of_entry(row.prefix, row.range, 0));
    let ported = table.ported.iter().map(|(number, range)| of_entry(number, RangeId(range), 1));
    rows.chain(ported).fold(0, u64::wrapping_add)
}
