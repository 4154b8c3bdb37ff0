//! What a range table says: the same on the command line and over HTTP.

use super::ranges::{Found, Range, RangeTable, Source};
use super::unpack;
use serde::Serialize;
use std::collections::BTreeMap;

/// How many prefixes each operator has, by its name; empty: those that say none.
pub fn by_operator(table: &RangeTable) -> BTreeMap<String, usize> {
    let mut by_id = BTreeMap::new();
    table.prefixes().for_each(|(_, range)| *by_id.entry(table.get(range).operator).or_insert(0) += 1);
    by_id.into_iter().map(|(operator, count)| (table.name(operator).to_owned(), count)).collect()
}

/// What is said of all numbers of a range; null: nothing.
#[derive(Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Attributes {
    /// ISO 3166.
    country: Option<String>,
    /// As the table names it.
    operator: Option<String>,
    /// See `operator`.
    region: Option<String>,
    /// mobile, fixed ...
    kind: Option<String>,
    /// Time zone, as Asia/Shanghai.
    zone: Option<String>,
    /// The table's own words.
    tags: Vec<String>,
}

/// What is known of a number.
#[derive(Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct RangeView {
    #[serde(flatten)]
    attributes: Attributes,
    /// The longest prefix that fits.
    prefix: Option<String>,
    /// shipped, or a file and its line.
    source: String,
    /// It is known as ported, whatever its prefix says.
    ported: bool,
}

/// The attributes of a range.
pub fn attributes(table: &RangeTable, range: &Range) -> Attributes {
    let text = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    Attributes {
        country: text(table.name(range.country)),
        operator: text(table.name(range.operator)),
        region: text(table.name(range.region)),
        kind: text(range.kind.name()),
        zone: text(table.name(range.zone)),
        tags: range.tags.iter().map(|&tag| table.name(tag).to_owned()).collect(),
    }
}

/// What the table says of a number; `None` if it knows nothing.
pub fn range_of(table: &RangeTable, number: u64) -> Option<RangeView> {
    let found = table.explain(number)?;
    Some(RangeView {
        attributes: attributes(table, table.get(found.range)),
        prefix: (found.prefix != 0).then(|| String::from_utf8_lossy(&unpack(found.prefix)).into_owned()),
        source: source(&found),
        ported: found.ported,
    })
}

/// Where what is known comes from: the shipped table, or a file and its line.
pub fn source(found: &Found<'_>) -> String {
    let prefix = match found.source {
        None => "no prefix".to_owned(),
        Some(Source::Shipped) => "shipped".to_owned(),
        Some(Source::File { name, line }) => format!("{name}:{line}"),
    };
    if found.ported { format!("ported, over {prefix}") } else { prefix }
}

/// The table's version as people compare it: 16 hexadecimal digits of a hash of all that it says.
pub fn version(table: &RangeTable) -> String {
    format!("{:016x}", table.version())
}
