//! `hongyan inspect number`: what a number is, as JSON. No arguments are parsed and nothing is printed here.

use crate::model::address::mask;
use crate::number::range_view::range_of;
use crate::number::{HomeRegion, NumberError, RangeTable, china, normalise, plan, unpack};
use serde_json::{Value, json};

/// What `written` is: its canonical form, country, kind and (for Chinese mobiles) original operator; or why it is no
/// number (`possible` false, `error`). `ton` as in an address, `home` the country of national forms, `table` the ranges.
pub fn inspect(written: &str, ton: u8, home: HomeRegion, ranges: &RangeTable) -> Value {
    let packed = match normalise(written.as_bytes(), ton, home) {
        Ok(packed) => packed,
        Err(error) => return json!({ "input": written, "possible": false, "error": refusal(error, written) }),
    };
    let digits = unpack(packed);
    let code = plan::country_code(&digits).map(|(code, _)| code);
    let described = plan::describe(&digits);
    let table = china::prefixes().expect("the prefixes that ship with the program are prefixes");
    let allocation = table.get(packed);
    json!({
        "input": written,
        "possible": true,
        "valid": described.is_some() || allocation.is_some(),
        "number": String::from_utf8_lossy(&digits),
        "masked": mask(&digits),
        "packed": format!("{packed:016x}"),
        "country_code": code,
        "country": described.map(|(region, _)| region).or_else(|| plan::regions(code?).split(',').next()),
        "kind": allocation.map(|found| found.kind).or(described.map(|(_, kind)| kind)),
        "operator": allocation.map(|found| found.operator),
        "note": allocation.map(|found| found.note).filter(|note| !note.is_empty()),
        "range": range_of(ranges, packed),
    })
}

/// Why `written` is no number. The normaliser stops reading where it gets too long, so that is told apart here.
fn refusal(error: NumberError, written: &str) -> String {
    /// Digits of the longest number with a longest prefix before it.
    const DIGITS_MAX: usize = 24;
    let digits = written.chars().filter(|c| c.is_ascii_digit()).count();
    match error {
        NumberError::BadCharacter if digits > DIGITS_MAX => format!("the number has {digits} digits; the longest have 15"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chinese_mobile_names_its_operator() {
        let found = inspect("13800138000", 0, HomeRegion::CHINA, &RangeTable::shipped());
        assert_eq!(found["number"], "8613800138000");
        assert_eq!(found["masked"], "138****8000");
        assert_eq!(found["country"], "CN");
        assert_eq!(found["operator"], "China Mobile");
        assert_eq!(found["kind"], "mobile");
        assert_eq!((&found["range"]["prefix"], &found["range"]["source"]), (&json!("86138"), &json!("shipped")));
    }

    #[test]
    fn a_number_from_elsewhere_has_a_kind_and_what_is_none_says_why() {
        let found = inspect("+447400123456", 0, HomeRegion::CHINA, &RangeTable::shipped());
        assert_eq!((&found["country"], &found["kind"], &found["operator"]), (&json!("GB"), &json!("mobile"), &Value::Null));
        assert_eq!(inspect("123x", 0, HomeRegion::CHINA, &RangeTable::shipped())["possible"], false);
        assert_eq!(
            inspect(&"1".repeat(30), 0, HomeRegion::CHINA, &RangeTable::shipped())["error"],
            "the number has 30 digits; the longest have 15"
        );
    }
}
