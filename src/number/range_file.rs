//! Range tables as users write them: CSV with a header.
//!
//! Ranges: `prefix` (country code first; `861380`, or a span `861340-861348`) or `national` (without the country code, which `country` then gives), and any
//! of `country`, `operator`, `region`, `kind`, `zone`, `tags`. Ported numbers: `number`, and any of `operator`, `region`, `kind`, `zone`, `tags`. What a row
//! leaves empty is what the next shorter prefix says. Operators must be known: a name that is written in two ways would be two operators.

use super::packed::{self, pack};
use super::plan::{self, HomeRegion};
use super::ranges::{Fields, Kind, TableBuilder};
use super::records::{Record, Records};
use super::shipped::OPERATORS;
use super::written::from_text;
use crate::config::Zone;
use crate::model::address::mask;
use hashbrown::{HashMap, HashSet};
use std::io::Read;

/// Most prefixes that a span stands for.
const SPAN_MAX: u32 = 10_000;
/// Longest name, octets.
const NAME_MAX: usize = 100;
/// Most words of `tags`.
const TAGS_MAX: usize = 16;

/// Columns of a range file, and of a file of ported numbers.
const RANGE_COLUMNS: [&str; 8] = ["prefix", "national", "country", "operator", "region", "kind", "zone", "tags"];
const PORTED_COLUMNS: [&str; 6] = ["number", "operator", "region", "kind", "zone", "tags"];

/// The operators that files may name, and the country of numbers without a country code.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    /// Folded → as it is kept.
    operators: HashMap<String, String>,
    /// Kept names in the order in which they were declared, for error texts.
    names: Vec<String>,
    home: HomeRegion,
}

impl Vocabulary {
    /// The operators of the shipped table.
    pub fn new(home: HomeRegion) -> Vocabulary {
        let mut vocabulary = Vocabulary { operators: HashMap::new(), names: Vec::new(), home };
        for names in OPERATORS {
            vocabulary.declare(names[0], &names[1..]);
        }
        vocabulary
    }

    /// Declares an operator and other ways to write it. False if one of them means another operator already.
    pub fn declare(&mut self, name: &str, others: &[&str]) -> bool {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
        let mut fits = true;
        for written in std::iter::once(&name).chain(others) {
            fits &= self.operators.entry(fold(written)).or_insert_with(|| name.to_owned()) == name;
        }
        fits
    }

    /// The kept name of an operator.
    pub fn operator(&self, written: &str) -> Option<&str> {
        self.operators.get(&fold(written)).map(String::as_str)
    }
}

fn fold(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Reads a file of operators: one a line, further columns are other ways to write it.
pub fn read_operators(builder: &mut TableBuilder, name: &str, input: impl Read, vocabulary: &mut Vocabulary) {
    each_record(builder, name, input, |builder, record, line| {
        let texts: Vec<_> = (0..record.len()).map(|at| record.text(at)).filter(|text| !text.is_empty()).collect();
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        match texts.as_slice() {
            [] => {}
            [first, ..] if line == 1 && first.eq_ignore_ascii_case("operator") => {}
            names if names.iter().any(|name| name.len() > NAME_MAX) => builder.problems.add(name, line, too_long("operator")),
            [first, others @ ..] => {
                let before: Vec<String> = texts.iter().filter_map(|text| vocabulary.operator(text)).map(str::to_owned).collect();
                if !vocabulary.declare(first, others) {
                    let other = before.iter().find(|other| other != first).map_or("another operator", String::as_str);
                    builder.problems.add(name, line, format!("a name in this line means '{other}' already; each name means one operator"));
                }
            }
        }
    });
}

/// Reads a file of ranges into `builder`, problems included.
pub fn read_ranges(builder: &mut TableBuilder, name: &str, input: impl Read, vocabulary: &Vocabulary) {
    read_table(builder, name, input, &RANGE_COLUMNS, 2, vocabulary, |rows, builder, row| {
        let country = rows.country(&row)?;
        let (low, high) = rows.span(&row, &country)?;
        if low.len() != high.len() {
            return Err(format!("span {low}-{high}: both ends must have the same number of digits"));
        }
        let bounds = low.parse::<u64>().ok().zip(high.parse::<u64>().ok());
        let (first, last) =
            bounds.filter(|(first, last)| first <= last).ok_or(format!("span {low}-{high}: the first is above the last"))?;
        if last - first >= u64::from(SPAN_MAX) {
            return Err(format!("span {low}-{high} stands for {} prefixes; allowed: up to {SPAN_MAX}; write it shorter", last - first + 1));
        }
        let attributes = rows.attributes(&row)?;
        let fields = Fields { country: &country, ..attributes.fields() };
        for prefix in first..=last {
            let digits = format!("{prefix:0length$}", length = low.len());
            let packed =
                pack(digits.as_bytes()).ok_or_else(|| format!("prefix '{digits}' has {} digits; allowed: 1 to 15", digits.len()))?;
            rows.check_country(&digits, &country)?;
            builder.prefix(packed, &fields, row.line);
        }
        Ok(())
    });
}

/// Reads a file of ported numbers into `builder`, problems included.
pub fn read_ported(builder: &mut TableBuilder, name: &str, input: impl Read, vocabulary: &Vocabulary) {
    read_table(builder, name, input, &PORTED_COLUMNS, 1, vocabulary, |rows, builder, row| {
        let written = rows.text(&row, "number");
        let number = from_text(written.as_bytes(), rows.vocabulary.home)
            .map_err(|error| format!("number '{}': {error}", mask(written.as_bytes())))?;
        let attributes = rows.attributes(&row)?;
        builder.ported(number, &attributes.fields(), row.line);
        Ok(())
    });
}

/// A record with its line in 32 bits.
struct Line<'r> {
    record: Record<'r>,
    line: u32,
}

/// What is known of a file while its rows are read.
struct Rows<'v> {
    /// Where each known column stands.
    columns: Vec<(&'static str, usize)>,
    vocabulary: &'v Vocabulary,
    /// Zones and countries that were looked up, so that each is once: most rows say what the row before has said.
    zones: HashMap<String, bool>,
    countries: HashMap<String, Option<HomeRegion>>,
    /// Pairs of country code and country that fit.
    fitting: HashSet<(u16, String)>,
}

/// What a row says besides its prefix.
struct Attributes {
    operator: String,
    region: String,
    zone: String,
    kind: Kind,
    tags: String,
}

impl Attributes {
    fn fields(&self) -> Fields<'_> {
        Fields { country: "", operator: &self.operator, region: &self.region, zone: &self.zone, kind: self.kind, tags: &self.tags }
    }
}

impl<'v> Rows<'v> {
    fn new(columns: Vec<(&'static str, usize)>, vocabulary: &'v Vocabulary) -> Rows<'v> {
        Rows { columns, vocabulary, zones: HashMap::new(), countries: HashMap::new(), fitting: HashSet::new() }
    }

    fn text<'r>(&self, row: &Line<'r>, column: &str) -> std::borrow::Cow<'r, str> {
        match self.columns.iter().find(|(name, _)| *name == column) {
            Some(&(_, at)) => row.record.text(at),
            None => "".into(),
        }
    }

    fn country(&mut self, row: &Line<'_>) -> Result<String, String> {
        let country = self.text(row, "country");
        if country.is_empty() || country == "001" {
            return Ok(country.into_owned());
        }
        if self.countries.entry_ref(country.as_ref()).or_insert_with(|| HomeRegion::from_iso(&country)).is_some() {
            return Ok(country.into_owned());
        }
        Err(format!("country '{country}' is none; allowed: the two letters of ISO 3166 (CN, US ...) of a country with numbers"))
    }

    /// First and last prefix of a row, country code first, as digits.
    fn span(&self, row: &Line<'_>, country: &str) -> Result<(String, String), String> {
        let (prefix, national) = (self.text(row, "prefix"), self.text(row, "national"));
        let (written, code) = match (prefix.is_empty(), national.is_empty()) {
            (false, true) => (prefix.strip_prefix('+').unwrap_or(&prefix), String::new()),
            (true, false) => {
                let home = self
                    .countries
                    .get(country)
                    .copied()
                    .flatten()
                    .ok_or("national: the country is missing, which gives the country code")?;
                (&*national, home.code.to_string())
            }
            (true, true) => return Err("the prefix is missing".to_owned()),
            (false, false) => return Err("prefix and national are both given; allowed: one of them".to_owned()),
        };
        let (low, high) = written.split_once('-').unwrap_or((written, written));
        let (low, high) = (low.trim(), high.trim());
        let plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
        if !plain(low) || !plain(high) || code.len() + low.len() > packed::DIGITS_MAX || code.len() + high.len() > packed::DIGITS_MAX {
            return Err(format!("prefix '{written}' is none; allowed: 1 to 15 digits, country code included, or a span 861340-861348"));
        }
        Ok((format!("{code}{low}"), format!("{code}{high}")))
    }

    fn attributes(&mut self, row: &Line<'_>) -> Result<Attributes, String> {
        let operator = self.text(row, "operator");
        let known = if operator.is_empty() { Some("") } else { self.vocabulary.operator(&operator) };
        let Some(known) = known else {
            let names = self.vocabulary.names.iter().take(12).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if self.vocabulary.names.len() > 12 { ", ..." } else { "" };
            return Err(format!("unknown operator '{operator}'; known: {names}{more}; declare it in a file of `ranges.operators`"));
        };
        let kind = self.text(row, "kind").to_ascii_lowercase();
        let kind = match kind.as_str() {
            "" => Kind::Unknown,
            name => Kind::NAMED
                .into_iter()
                .find(|kind| kind.name() == name)
                .ok_or(format!("kind '{name}' is none; allowed: mobile, fixed, other"))?,
        };
        let zone = self.text(row, "zone").into_owned();
        if !zone.is_empty() && !*self.zones.entry_ref(zone.as_str()).or_insert_with(|| zone.parse::<Zone>().is_ok()) {
            return Err(format!("zone '{zone}' is none; allowed: an IANA name (Asia/Shanghai), UTC, or an offset (+08:00)"));
        }
        let tags = self.text(row, "tags").replace([';', '|'], " ");
        if tags.split_whitespace().count() > TAGS_MAX {
            return Err(format!("more than {TAGS_MAX} tags"));
        }
        let region = self.text(row, "region").into_owned();
        for (column, text) in [("region", &region), ("tags", &tags)] {
            if text.len() > NAME_MAX {
                return Err(too_long(column));
            }
        }
        Ok(Attributes { operator: known.to_owned(), region, zone, kind, tags })
    }

    /// The prefix must begin with a country code, and with that of the country which the row names.
    fn check_country(&mut self, digits: &str, country: &str) -> Result<(), String> {
        let Some((code, _)) = plan::country_code(digits.as_bytes()) else {
            return Err(format!("prefix {digits} begins with no country code; write it with the country code first (861380, not 1380)"));
        };
        if country.is_empty() || self.fitting.contains(&(code, country.to_owned())) {
            return Ok(());
        }
        let regions = plan::regions(code);
        if regions.split(',').any(|region| region == country) {
            self.fitting.insert((code, country.to_owned()));
            return Ok(());
        }
        let of = HomeRegion::from_iso(country).map_or(String::new(), |home| format!("; numbers of {country} begin with {}", home.code));
        Err(format!("prefix {digits} belongs to {}, not to {country}{of}", regions.split(',').next().unwrap_or("nobody")))
    }
}

fn too_long(column: &str) -> String {
    format!("{column} has more than {NAME_MAX} octets")
}

/// Reads the header, then hands each row to `take`, whose problems are told with the row's line. One of the first `keys` columns must be there.
fn read_table(
    builder: &mut TableBuilder,
    name: &str,
    input: impl Read,
    allowed: &'static [&'static str],
    keys: usize,
    vocabulary: &Vocabulary,
    mut take: impl FnMut(&mut Rows<'_>, &mut TableBuilder, Line<'_>) -> Result<(), String>,
) {
    builder.file(name);
    let mut rows = None;
    let mut refused = false;
    each_record(builder, name, input, |builder, record, line| {
        let Some(rows) = &mut rows else {
            if !refused {
                match header(record, allowed, keys) {
                    Ok(columns) => rows = Some(Rows::new(columns, vocabulary)),
                    Err(what) => {
                        refused = true;
                        builder.problems.add(name, line, what);
                    }
                }
            }
            return;
        };
        if record.len() > rows.columns.len() && (rows.columns.len()..record.len()).any(|at| !record.text(at).is_empty()) {
            let what =
                format!("{} columns where the header has {}; a comma in a field needs quotes around it", record.len(), rows.columns.len());
            builder.problems.add(name, line, what);
        } else if let Err(what) = take(rows, builder, Line { record: *record, line }) {
            builder.problems.add(name, line, what);
        }
    });
    if rows.is_none() && !refused {
        builder.problems.add(name, 0, format!("is empty; the first line names the columns: {}", allowed.join(", ")));
    }
}

/// Where each column stands.
fn header(record: &Record<'_>, allowed: &'static [&'static str], keys: usize) -> Result<Vec<(&'static str, usize)>, String> {
    let mut columns: Vec<(&'static str, usize)> = Vec::new();
    for at in 0..record.len() {
        let written = record.text(at).to_lowercase();
        let Some(&column) = allowed.iter().find(|column| **column == written) else {
            return Err(format!("unknown column '{written}'; allowed in the first line: {}", allowed.join(", ")));
        };
        if columns.iter().any(|(known, _)| *known == column) {
            return Err(format!("column '{column}' stands twice"));
        }
        columns.push((column, at));
    }
    if !columns.iter().any(|(column, _)| allowed[..keys].contains(column)) {
        return Err(format!("the column '{}' is missing; allowed: {}", allowed[..keys].join("' or '"), allowed.join(", ")));
    }
    Ok(columns)
}

/// Hands each record that isn't a comment to `take`; what can't be read is a problem.
fn each_record(builder: &mut TableBuilder, name: &str, input: impl Read, mut take: impl FnMut(&mut TableBuilder, &Record<'_>, u32)) {
    let mut records = match Records::open(input) {
        Ok(records) => records.or_comma(),
        Err(error) => return builder.problems.add(name, 0, error.to_string()),
    };
    loop {
        match records.read() {
            Ok(None) => return,
            Ok(Some(record)) => {
                // A file of 4 billion lines is no table; the lines of one fit.
                let line = u32::try_from(record.line).unwrap_or(u32::MAX);
                match record.fault {
                    Some(fault) => builder.problems.add(name, line, fault.to_string()),
                    None if record.raw.first() == Some(&b'#') => {}
                    None => take(builder, &record, line),
                }
            }
            Err(error) => return builder.problems.add(name, 0, format!("can't be read to its end: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::ranges::{RangeTable, Source};

    /// The shipped table with these files over it.
    fn table(ranges: &[&str], ported: &str) -> Result<RangeTable, String> {
        let mut builder = TableBuilder::shipped();
        let mut vocabulary = Vocabulary::new(HomeRegion::CHINA);
        read_operators(&mut builder, "operators.csv", &b"operator\nVodafone,VF\nKyivstar\n"[..], &mut vocabulary);
        for (at, text) in ranges.iter().enumerate() {
            read_ranges(&mut builder, &format!("{}.csv", at + 1), text.as_bytes(), &vocabulary);
        }
        if !ported.is_empty() {
            read_ported(&mut builder, "ported.csv", ported.as_bytes(), &vocabulary);
        }
        builder.build().map_err(|error| error.to_string())
    }

    /// country/operator/region/kind/zone/tags of a number.
    fn of(table: &RangeTable, digits: &str) -> String {
        let Some(range) = table.find(pack(digits.as_bytes()).unwrap()) else { return "none".to_owned() };
        let range = table.get(range);
        let tags: Vec<&str> = range.tags.iter().map(|&tag| table.name(tag)).collect();
        let [country, operator, region, zone] = [range.country, range.operator, range.region, range.zone].map(|id| table.name(id));
        format!("{country}/{operator}/{region}/{}/{zone}/{}", range.kind.name(), tags.join(" "))
    }

    #[test]
    fn what_a_row_leaves_empty_is_what_the_shorter_prefix_says() {
        let table = table(
            &[
                "prefix,operator,region,zone,tags\n# a comment\n861380,,Guangdong,,\n+8613801-8613802,联通,\"Shenzhen, Futian\",,hot;vip\n",
                "national,country,operator,kind\n1703,CN,,other\n7911,GB,vf,mobile\n7912,GB,vodafone,mobile\n",
            ],
            "",
        )
        .unwrap();
        assert_eq!(of(&table, "8613800138000"), "CN/China Mobile/Guangdong/mobile/Asia/Shanghai/");
        assert_eq!(of(&table, "8613801138000"), "CN/China Unicom/Shenzhen, Futian/mobile/Asia/Shanghai/hot vip");
        assert_eq!(of(&table, "8613812345678"), "CN/China Mobile//mobile/Asia/Shanghai/");
        assert_eq!(of(&table, "8617031234567"), "CN/China Mobile//other/Asia/Shanghai/mvno");
        assert_eq!(of(&table, "447912123456"), "GB/Vodafone//mobile/Europe/London/");
        assert_eq!(of(&table, "18765551234"), "JM////America/Jamaica/");
        assert_eq!(of(&table, "12125551234"), "US/////");
        assert_eq!(of(&table, "999"), "none");
    }

    #[test]
    fn a_ported_number_overrides_its_prefix_and_keeps_the_rest() {
        let table =
            table(&["prefix,region\n861380,Guangdong\n"], "number,operator,region\n138 0013 8000,CUCC,\n+8613800138001,电信,Beijing\n")
                .unwrap();
        assert_eq!(of(&table, "8613800138000"), "CN/China Unicom/Guangdong/mobile/Asia/Shanghai/");
        assert_eq!(of(&table, "8613800138001"), "CN/China Telecom/Beijing/mobile/Asia/Shanghai/");
        assert_eq!(of(&table, "8613800138002"), "CN/China Mobile/Guangdong/mobile/Asia/Shanghai/");
        let found = table.explain(pack(b"8613800138000").unwrap()).unwrap();
        assert!(found.ported && found.prefix == pack(b"861380").unwrap());
        assert_eq!(found.source, Some(Source::File { name: "1.csv", line: 2 }));
        let found = table.explain(pack(b"8613900138000").unwrap()).unwrap();
        assert_eq!((found.ported, found.prefix, found.source), (false, pack(b"86139").unwrap(), Some(Source::Shipped)));
    }

    #[test]
    fn every_bad_line_is_told_with_its_reason() {
        let text = "prefix,country,operator,kind,zone\n\
            13800,CN,,,\n86138x,,,,\n,,,,\n8613,,Chna Mobile,,\n8613,,,pager,\n8613,,,,Mars/Base\n8613,XX,,,\n999,,,,\n\
            861349-861340,,,,\n8613-861349,,,,\n860000-869999999,,,,\n8612,,a,b,c,d\n\"8613,,,,\n1234567890123456,,,,\n";
        let error = table(&[text], "").unwrap_err();
        for (line, piece) in [
            (2, "prefix 13800 belongs to US, not to CN; numbers of CN begin with 86"),
            (3, "prefix '86138x' is none"),
            (4, "the prefix is missing"),
            (5, "unknown operator 'Chna Mobile'; known: China Mobile, China Unicom"),
            (6, "kind 'pager' is none; allowed: mobile, fixed, other"),
            (7, "zone 'Mars/Base' is none"),
            (8, "country 'XX' is none"),
            (9, "prefix 999 begins with no country code"),
            (10, "the first is above the last"),
            (11, "same number of digits"),
            (12, "same number of digits"),
            (13, "6 columns where the header has 5"),
            (14, "a quote is opened and never closed"),
            (15, "prefix '1234567890123456' is none"),
        ] {
            let place = format!("1.csv:{line}: ");
            assert!(error.lines().any(|told| told.starts_with(&place) && told.contains(piece)), "{line} {piece}\n{error}");
        }
        assert_eq!(error.lines().count(), 14, "{error}");
    }

    #[test]
    fn two_lines_for_one_prefix_are_refused_also_across_files_and_spans() {
        let error = table(&["prefix,region\n861380,a\n861390-861399,b\n861395-861402,c\n", "prefix,region\n861380,a\n"], "").unwrap_err();
        assert_eq!(
            error,
            "1.csv:4: prefix 861395 stands in 1.csv:3 already; one line for each prefix\n\
             2.csv:2: prefix 861380 stands in 1.csv:2 already; one line for each prefix"
        );
        let error = table(&[], "number,operator\n13800138000,CMCC\n+86 138 0013 8000,CMCC\n").unwrap_err();
        assert_eq!(error, "ported.csv:3: number 138****8000 stands in ported.csv:2 already; one line for each number");
    }

    #[test]
    fn headers_are_checked_and_empty_files_told() {
        for (text, piece) in [
            ("", "1.csv: is empty; the first line names the columns: prefix"),
            ("\n\n", "1.csv: is empty"),
            ("prefix,carrier\n86,x\n", "1.csv:1: unknown column 'carrier'; allowed in the first line: prefix, national, country"),
            ("operator\nCMCC\n", "1.csv:1: the column 'prefix' or 'national' is missing"),
            ("prefix,prefix\n", "1.csv:1: column 'prefix' stands twice"),
            ("861380,CMCC\n", "1.csv:1: unknown column '861380'"),
        ] {
            let error = table(&[text], "").unwrap_err();
            assert!(error.contains(piece) && error.lines().count() == 1, "{text:?}: {error}");
        }
        assert!(table(&["prefix\n"], "").is_ok(), "a header without rows is an empty table");
    }

    #[test]
    fn problems_are_bounded() {
        let text = format!("prefix\n{}", "x\n".repeat(1500));
        let error = table(&[&text], "").unwrap_err();
        assert_eq!((error.lines().count(), error.lines().last()), (1001, Some("and 500 more")));
    }

    #[test]
    fn the_version_is_that_of_the_content() {
        let one = table(&["prefix,region\r\n861380,a\r\n861390,b\r\n"], "number,operator\n13800138000,移动\n").unwrap();
        let same = table(&["prefix,region\n861390,b\n", "region,prefix\na,861380\n"], "number,operator\n+8613800138000,CMCC\n").unwrap();
        let other = table(&["prefix,region\n861390,b\n861380,c\n"], "").unwrap();
        assert_eq!(one.version(), same.version());
        assert_ne!(one.version(), other.version());
        assert_eq!(RangeTable::shipped().version(), table(&[], "").unwrap().version());
    }

    #[test]
    fn a_name_of_two_operators_is_refused() {
        let mut builder = TableBuilder::new();
        let mut vocabulary = Vocabulary::new(HomeRegion::CHINA);
        read_operators(&mut builder, "o.txt", &b"Vodafone\n\nOther One,CMCC\n"[..], &mut vocabulary);
        let error = builder.build().unwrap_err().to_string();
        assert_eq!(error, "o.txt:3: a name in this line means 'China Mobile' already; each name means one operator");
    }
}
