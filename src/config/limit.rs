//! `[[limit]]`: a token bucket for the messages that fit all of its conditions.

use super::check::Checks;
use super::{Account, Carrier, SourcePattern};
use crate::model::Class;
use serde::{Deserialize, Deserializer};

/// A limit on part of the traffic, in segments a second. A message pays at every limit that it fits, and at its carrier's own rate, or at none.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, serde::Serialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limit {
    /// Its name in answers, metrics and on disk; unique. 1 to 40 of a-z, 0-9, `-`, `_`.
    pub name: String,
    /// Only in front of this carrier; absent: of every one, all together.
    pub carrier: Option<String>,
    /// Only messages of this class.
    #[serde(deserialize_with = "some_class", serialize_with = "some_class_name")]
    #[schema(value_type = Option<String>, default = json!(null))]
    pub class: Option<Class>,
    /// Only messages of this account.
    pub account: Option<String>,
    /// Only messages of this campaign.
    pub campaign: Option<String>,
    /// Only messages from this sender; `1069*`: from every sender that starts so.
    pub sender: Option<String>,
    /// Only to numbers that start with these digits, in international form.
    pub prefix: Option<String>,
    /// Only to numbers of this country, operator or region, as the range table writes them.
    pub country: Option<String>,
    /// See `country`.
    pub operator: Option<String>,
    /// See `country`.
    pub region: Option<String>,
    /// Segments a second; 0 holds them back. 0 to 1,000,000. No default.
    pub rate_per_s: u32,
    /// Segments at once; 0: 100 ms of the rate and at least one. Default 0.
    pub burst: u32,
}

fn some_class_name<S: serde::Serializer>(class: &Option<Class>, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&class.map(Class::name), serializer)
}

fn some_class<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Class>, D::Error> {
    super::account::class(deserializer).map(Some)
}

impl Limit {
    pub(super) fn check(&self, at: &str, accounts: &[Account], carriers: &[Carrier], c: &mut Checks) {
        c.name(at, "name", &self.name);
        c.range(at, "rate_per_s", self.rate_per_s, 0..=1_000_000);
        c.range(at, "burst", self.burst, 0..=1_000_000);
        if self.rate_per_s == 0 {
            c.warn(at, "rate_per_s", "0 holds back whatever fits this limit");
        }
        if let Some(name) = &self.carrier {
            let names = carriers.iter().map(|carrier| carrier.name.as_str()).collect::<Vec<_>>();
            c.require(at, "carrier", names.contains(&name.as_str()), &format!("no carrier is called '{name}'"), &names.join(", "));
        }
        if let Some(name) = &self.account {
            let names = accounts.iter().map(|account| account.name.as_str()).collect::<Vec<_>>();
            c.require(at, "account", names.contains(&name.as_str()), &format!("no account is called '{name}'"), &names.join(", "));
        }
        if let Some(name) = &self.campaign {
            c.require(at, "campaign", (1..=64).contains(&name.len()), "is no campaign's name", "1 to 64 characters");
        }
        if let Some(sender) = &self.sender {
            let sound = sender.parse::<SourcePattern>().is_ok();
            c.require(
                at,
                "sender",
                sound,
                &format!("'{sender}' is no sender"),
                "up to 20 characters, * at the end for every sender that starts so",
            );
        }
        if let Some(prefix) = &self.prefix {
            let digits = (1..=15).contains(&prefix.len()) && prefix.bytes().all(|digit| digit.is_ascii_digit());
            c.require(at, "prefix", digits, &format!("'{prefix}' is no number prefix"), "1 to 15 digits without +");
        }
        let conditions =
            [&self.carrier, &self.account, &self.campaign, &self.sender, &self.prefix, &self.country, &self.operator, &self.region];
        let any = self.class.is_some() || conditions.iter().any(|condition| condition.is_some());
        let allowed = "at least one of carrier, class, account, campaign, sender, prefix, country, operator, region";
        c.require(at, "name", any, "has no condition", allowed);
    }
}
