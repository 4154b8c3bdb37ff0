//! What a range table says, as JSON: the same on the command line and over HTTP.

use super::ranges::{Found, Range, RangeTable, Source};
use super::unpack;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How many prefixes each operator has, by its name; empty: those that say none.
pub fn by_operator(table: &RangeTable) -> BTreeMap<String, usize> {
    let mut by_id = BTreeMap::new();
    table.prefixes().for_each(|(_, range)| *by_id.entry(table.get(range).operator).or_insert(0) += 1);
    by_id.into_iter().map(|(operator, count)| (table.name(operator).to_owned(), count)).collect()
}

/// The attributes of a range as JSON.
pub fn attributes(table: &RangeTable, range: &Range) -> Value {
    let text = |name: &str| if name.is_empty() { Value::Null } else { name.into() };
    json!({
        "country": text(table.name(range.country)), "operator": text(table.name(range.operator)), "region": text(table.name(range.region)),
        "kind": text(range.kind.name()), "zone": text(table.name(range.zone)),
        "tags": range.tags.iter().map(|&tag| table.name(tag)).collect::<Vec<_>>(),
    })
}

/// What the table says of a number, as JSON: attributes, matched prefix, and where they come from; null if it knows nothing.
pub fn range_of(table: &RangeTable, number: u64) -> Value {
    let Some(found) = table.explain(number) else { return Value::Null };
    let mut value = attributes(table, table.get(found.range));
    value["prefix"] = if found.prefix == 0 { Value::Null } else { String::from_utf8_lossy(&unpack(found.prefix)).into() };
    value["source"] = source(&found).into();
    value["ported"] = found.ported.into();
    value
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
