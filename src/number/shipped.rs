//! The range table that ships with the program: which country a number belongs to (`countries.tsv`, made from libphonenumber's patterns and the tz
//! database's list of zones; a country has a zone only where all of it keeps the same time), and the Chinese mobile prefixes.

use super::china;
use super::packed::pack;
use super::ranges::{Fields, Kind, TableBuilder};
use std::collections::BTreeMap;

const COUNTRIES: &str = include_str!("countries.tsv");
/// China keeps one official time.
const CHINA_ZONE: &str = "Asia/Shanghai";

impl TableBuilder {
    /// With the shipped rows in it.
    pub fn shipped() -> TableBuilder {
        TableBuilder::shipped_with(&BTreeMap::new())
    }

    /// With the shipped rows in it; countries without a zone of their own get that of `zones`, by ISO 3166 letters.
    pub fn shipped_with(zones: &BTreeMap<String, String>) -> TableBuilder {
        let mut builder = TableBuilder::new();
        for line in COUNTRIES.lines().skip(1) {
            let mut columns = line.split('\t');
            let mut next = || columns.next().unwrap_or_default();
            let (prefix, country, zone) = (next(), next(), next());
            let zone = zones.get(country).map_or(zone, String::as_str);
            let prefix = pack(prefix.as_bytes()).expect("a shipped prefix has 1 to 15 digits");
            builder.prefix(prefix, &Fields { country, zone, ..Fields::default() }, 0);
        }
        for (prefix, allocation) in china::rows() {
            let (kind, tags) = kind(allocation.kind);
            let zone = zones.get("CN").map_or(CHINA_ZONE, String::as_str);
            let fields = Fields { country: "CN", operator: allocation.operator, region: "", zone, kind, tags };
            builder.prefix(pack(format!("86{prefix}").as_bytes()).expect("a shipped prefix has 1 to 15 digits"), &fields, 0);
        }
        builder
    }
}

/// Kind and tags of a Chinese allocation.
fn kind(of: &'static str) -> (Kind, &'static str) {
    match of {
        "mobile" => (Kind::Mobile, ""),
        "mobile-iot" => (Kind::Mobile, "iot"),
        "mvno" => (Kind::Mobile, "mvno"),
        "iot-13-digit" => (Kind::Other, "iot"),
        other => (Kind::Other, other),
    }
}

/// Operators of the shipped table, each with other ways to write it.
pub const OPERATORS: [&[&str]; 6] = [
    &["China Mobile", "CMCC", "中国移动", "移动"],
    &["China Unicom", "CUCC", "中国联通", "联通"],
    &["China Telecom", "CTCC", "中国电信", "电信"],
    &["China Broadnet", "CBN", "中国广电", "广电"],
    &["China SatNet", "中国星网", "星网"],
    &["other"],
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::ranges::RangeTable;
    use phonenumber::metadata::DATABASE;

    #[test]
    fn every_example_of_the_phone_library_is_in_its_country() {
        let table = RangeTable::shipped();
        let mut examples = 0;
        let mut wrong = Vec::new();
        for plan in DATABASE.iter() {
            let kinds = plan.descriptors();
            for example in [kinds.fixed_line(), kinds.mobile()].into_iter().flatten().filter_map(|kind| kind.example()) {
                let digits = format!("{}{example}", plan.country_code());
                let found = table.find(pack(digits.as_bytes()).unwrap()).map(|range| table.name(table.get(range).country));
                examples += 1;
                if found != Some(plan.id()) {
                    wrong.push(format!("{digits} {}", plan.id()));
                }
            }
        }
        assert!(examples > 400, "{examples}");
        // Numbers that small regions share with the main one of their code are the main one's.
        wrong.sort();
        let shared = ["AX", "BL", "CC", "CX", "EH", "MF", "SJ", "VA"];
        wrong.retain(|example| !shared.contains(&&example[example.len() - 2..]));
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn operators_of_the_shipped_table_are_known_ones_and_its_zones_are_zones() {
        let known: Vec<&str> = OPERATORS.iter().map(|names| names[0]).collect();
        assert!(china::rows().all(|(_, allocation)| known.contains(&allocation.operator)));
        let zones = COUNTRIES.lines().skip(1).filter_map(|line| line.split('\t').nth(2)).filter(|zone| !zone.is_empty());
        assert!(zones.clone().count() > 200 && zones.clone().all(|zone| zone.parse::<crate::config::Zone>().is_ok()));
    }
}
