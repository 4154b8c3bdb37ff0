//! `[account.dedupe]` and `[account.balance]`: what is remembered of an account's messages, and what they cost.

use super::check::Checks;
use crate::model::DuplicateAction;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// `[account.dedupe]`: the same message handed in twice.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountDedupe {
    /// The same text to the same number within so many seconds is a duplicate; 0: never. Default 0; 0 to 2,592,000.
    pub window_s: u32,
    /// What becomes of a duplicate: `drop` (answered with the first one's id, not sent), `refuse`, `flag` (sent, marked on record). Default `drop`.
    #[serde(deserialize_with = "action", serialize_with = "action_name")]
    pub action: DuplicateAction,
    /// Texts remembered, at 20 to 32 octets each; the oldest go first. Default 1,000,000; 1,000 to 100,000,000.
    pub max_entries: u32,
    /// An identity computed by the sender is remembered for so many hours. Default 72; 1 to 720.
    pub identity_h: u32,
    /// Identities remembered, at 20 to 32 octets each; the oldest go first. Default 10,000,000; 1,000 to 100,000,000.
    pub max_identities: u32,
}

impl Default for AccountDedupe {
    fn default() -> AccountDedupe {
        AccountDedupe { window_s: 0, action: DuplicateAction::Drop, max_entries: 1_000_000, identity_h: 72, max_identities: 10_000_000 }
    }
}

impl AccountDedupe {
    pub(super) fn check(&self, at: &str, c: &mut Checks) {
        c.range(at, "window_s", self.window_s, 0..=2_592_000);
        c.range(at, "max_entries", self.max_entries, 1_000..=100_000_000);
        c.range(at, "identity_h", self.identity_h, 1..=720);
        c.range(at, "max_identities", self.max_identities, 1_000..=100_000_000);
    }
}

/// `[account.balance]`: credits. Where the section is absent nothing is counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountBalance {
    /// How far below 0 the balance may go, in thousandths of a credit. Default 0; 0 to 1,000,000,000,000.
    pub limit: i64,
    /// Thousandths of a credit per segment, by prefix of the number; the longest prefix counts, `""` is for all others and must be there. Each 0 to 10,000,000.
    pub prices: BTreeMap<String, u32>,
    /// Prices by what the range table says of the number; the first row that fits counts, before `prices`. Default empty.
    pub range_prices: Vec<RangePrice>,
}

/// A price for numbers whose range has all of these attributes, as the range table writes them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RangePrice {
    /// Country: `CN`. Default absent: any.
    pub country: Option<String>,
    /// Operator. Default absent: any.
    pub operator: Option<String>,
    /// Region inside the country. Default absent: any.
    pub region: Option<String>,
    /// Thousandths of a credit per segment. 0 to 10,000,000.
    pub price: u32,
}

impl AccountBalance {
    /// Highest price of a segment: 255 of them are a charge that fits into 32 bits.
    pub const PRICE_MAX: u32 = 10_000_000;

    pub(super) fn check(&self, at: &str, c: &mut Checks) {
        c.range(at, "limit", self.limit, 0..=1_000_000_000_000);
        c.require(
            at,
            "prices",
            self.prices.contains_key(""),
            "has no price for \"\" (all other numbers)",
            "prices = { \"\" = 1000 } and more",
        );
        for (prefix, &price) in &self.prices {
            let digits = prefix.len() <= 15 && prefix.bytes().all(|digit| digit.is_ascii_digit());
            c.require(at, "prices", digits, &format!("'{prefix}' is no number prefix"), "up to 15 digits, country code first, without +");
            if price > Self::PRICE_MAX {
                c.problem(at, "prices", format!("{price} for \"{prefix}\" is out of range; allowed: 0 to {}", Self::PRICE_MAX));
            }
        }
        for row in &self.range_prices {
            let any = [&row.country, &row.operator, &row.region].iter().any(|attribute| attribute.is_some());
            c.require(at, "range_prices", any, "has a row without condition", "at least one of country, operator, region");
            c.range(at, "range_prices", row.price, 0..=Self::PRICE_MAX);
        }
    }
}

fn action_name<S: serde::Serializer>(action: &DuplicateAction, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match action {
        DuplicateAction::Drop => "drop",
        DuplicateAction::Refuse => "refuse",
        DuplicateAction::Flag => "flag",
    })
}

/// An action by its name in the configuration.
fn action<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DuplicateAction, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Name {
        Drop,
        Refuse,
        Flag,
    }
    Ok(match Name::deserialize(deserializer)? {
        Name::Drop => DuplicateAction::Drop,
        Name::Refuse => DuplicateAction::Refuse,
        Name::Flag => DuplicateAction::Flag,
    })
}
