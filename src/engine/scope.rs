//! Which messages an operator means: conditions in the operator's words ([`Scope`], names as in the configuration), and the same in the engine's
//! ([`Matcher`], a few comparisons). Leaves what is done with them to [`super::overlay`].

use super::campaigns::Campaigns;
use super::lanes::LaneKey;
use super::plan::Plan;
use super::port::CarrierId;
use crate::model::{AccountId, CampaignId, Class, Message, MessageId};
use crate::number::packed::{VALUE_MASK, digit_count};
use crate::number::{normalise, unpack};
use serde::{Deserialize, Serialize};

/// What is meant: all conditions that are set must hold. None set means everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// One message, by our id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// An account's messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// A campaign's messages, by its name.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "name_or_number")]
    pub campaign: Option<String>,
    /// A class: otp, transactional or marketing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// What is about to go to this carrier; by itself, the carrier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// One of the carrier's binds, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind: Option<u16>,
    /// A range: numbers that begin with these digits, country code first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// One number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
}

/// Why an operator's request is refused: what a problem document needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A stable word.
    pub code: &'static str,
    /// The field that is to blame; empty if none is.
    pub field: &'static str,
    /// What is wrong.
    pub what: String,
    /// What to do instead.
    pub fix: String,
}

impl Fault {
    /// A fault of the field `field`.
    pub fn of(code: &'static str, field: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Fault {
        Fault { code, field, what: what.into(), fix: fix.into() }
    }

    fn unknown(field: &'static str, name: &str, names: impl Iterator<Item = impl AsRef<str>>) -> Fault {
        let names: Vec<String> = names.take(20).map(|name| name.as_ref().to_owned()).collect();
        Fault::of("unknown_name", field, format!("no {field} is called '{name}'"), format!("one of: {}", names.join(", ")))
    }
}

/// A campaign by name; changes that are on record from before may have its number.
fn name_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Name(String),
        Number(u32),
    }
    Ok(Option::<Either>::deserialize(deserializer)?.map(|either| match either {
        Either::Name(name) => name,
        Either::Number(number) => number.to_string(),
    }))
}

/// A scope in the engine's terms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Matcher {
    /// See [`Scope::message`].
    pub message: Option<MessageId>,
    /// See [`Scope::account`].
    pub account: Option<AccountId>,
    /// See [`Scope::carrier`].
    pub carrier: Option<CarrierId>,
    /// See [`Scope::bind`].
    pub bind: Option<u16>,
    campaign: Option<CampaignId>,
    class: Option<Class>,
    /// How many digits, and their value.
    prefix: Option<(u32, u64)>,
    number: Option<u64>,
}

/// The account's id by its name.
pub fn account_of(name: &str, plan: &Plan) -> Result<AccountId, Fault> {
    let at = plan.accounts.iter().position(|account| account.name == name);
    let names = || plan.accounts.iter().map(|account| &account.name);
    at.map(|at| AccountId(at as u32)).ok_or_else(|| Fault::unknown("account", name, names()))
}

/// The carrier's id by its name.
pub fn carrier_of(name: &str, plan: &Plan) -> Result<CarrierId, Fault> {
    let at = plan.carriers.iter().position(|carrier| carrier.name == name);
    let names = || plan.carriers.iter().map(|carrier| &carrier.name);
    at.map(|at| CarrierId(at as u16)).ok_or_else(|| Fault::unknown("carrier", name, names()))
}

/// The campaign's id by its name, or by its number.
fn campaign_of(name: &str, campaigns: &Campaigns) -> Result<CampaignId, Fault> {
    let by_number = || name.parse().ok().map(CampaignId).filter(|&id| !campaigns.name(id).is_empty());
    let unknown = || {
        let fix = "a campaign's name as its messages had it; names are known from the first message on";
        Fault::of("unknown_name", "campaign", format!("no campaign is called '{name}'"), fix)
    };
    campaigns.find(name).or_else(by_number).ok_or_else(unknown)
}

impl Scope {
    /// A carrier as a whole, or one bind of it.
    pub fn of_carrier(name: &str, bind: Option<u16>) -> Scope {
        Scope { carrier: Some(name.to_owned()), bind, ..Scope::default() }
    }

    /// Nothing is set: everything is meant.
    pub fn is_everything(&self) -> bool {
        *self == Scope::default()
    }

    /// The same with its number in E.164 digits and its message id in full, so that equal scopes are equal.
    pub fn canonical(&self, plan: &Plan, campaigns: &Campaigns) -> Result<Scope, Fault> {
        let matcher = self.matcher(plan, campaigns)?;
        let digits = |packed: u64| String::from_utf8_lossy(&unpack(packed)).into_owned();
        Ok(Scope { number: matcher.number.map(digits), message: matcher.message.map(|id| id.to_string()), ..self.clone() })
    }

    /// In the engine's terms; names are looked up in `plan` and `campaigns`.
    pub fn matcher(&self, plan: &Plan, campaigns: &Campaigns) -> Result<Matcher, Fault> {
        let message = self.message.as_ref().map(|id| {
            MessageId::parse(id.as_bytes()).ok_or_else(|| {
                Fault::of("bad_value", "message", format!("'{id}' is no message id"), "up to 19 digits, as in submit_sm_resp")
            })
        });
        let class = self.class.as_ref().map(|name| {
            let class = Class::ALL.into_iter().find(|class| class.name() == name);
            class.ok_or_else(|| Fault::unknown("class", name, Class::ALL.iter().map(|class| class.name())))
        });
        let prefix = self.prefix.as_ref().map(|digits| {
            let fits = (1..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
            let value = digits.parse().ok().filter(|_| fits).map(|value| (digits.len() as u32, value));
            let bad = || Fault::of("bad_value", "prefix", format!("'{digits}' is no range"), "1 to 15 digits with the country code, no +");
            value.ok_or_else(bad)
        });
        let number = self.number.as_ref().map(|number| {
            normalise(number.as_bytes(), 0, plan.home)
                .map_err(|error| Fault::of("bad_value", "number", error.to_string(), "a phone number such as +8613800138000"))
        });
        if self.bind.is_some() && self.carrier.is_none() {
            return Err(Fault::of(
                "missing_value",
                "carrier",
                "a bind is named without its carrier",
                "the carrier that the bind belongs to",
            ));
        }
        Ok(Matcher {
            message: message.transpose()?,
            account: self.account.as_ref().map(|name| account_of(name, plan)).transpose()?,
            campaign: self.campaign.as_ref().map(|name| campaign_of(name, campaigns)).transpose()?,
            class: class.transpose()?,
            carrier: self.carrier.as_ref().map(|name| carrier_of(name, plan)).transpose()?,
            bind: self.bind,
            prefix: prefix.transpose()?,
            number: number.transpose()?,
        })
    }
}

impl Matcher {
    /// One message.
    pub fn of_message(id: MessageId) -> Matcher {
        Matcher { message: Some(id), ..Matcher::default() }
    }

    /// The same wherever it goes.
    pub fn anywhere(&self) -> Matcher {
        Matcher { carrier: None, ..*self }
    }

    /// The message is meant; `carrier`: where it is about to go, if that is known.
    pub fn matches(&self, message: &Message, carrier: Option<CarrierId>) -> bool {
        self.message.is_none_or(|id| id == message.id)
            && self.account.is_none_or(|account| account == message.account)
            && self.campaign.is_none_or(|campaign| campaign == message.campaign)
            && self.class.is_none_or(|class| class == message.class)
            && (self.carrier.is_none() || self.carrier == carrier)
            && self.number.is_none_or(|number| number == message.number)
            && self.prefix.is_none_or(|(digits, value)| begins_with(message.number, digits, value))
    }

    /// True if it means all messages of a lane in front of `carrier`: nothing but what a lane's key tells is asked.
    pub fn means_lane(&self, lane: &LaneKey, carrier: CarrierId) -> bool {
        self.message.is_none()
            && self.bind.is_none()
            && self.prefix.is_none()
            && self.number.is_none()
            && self.carrier.is_none_or(|of| of == carrier)
            && self.account.is_none_or(|of| of == lane.account)
            && self.campaign.is_none_or(|of| of == lane.campaign)
            && self.class.is_none_or(|of| of == lane.class)
    }

    /// Only the carrier (and maybe one of its binds) is named: nothing of a message is looked at.
    pub fn of_carrier_only(&self) -> Option<CarrierId> {
        let rest = Matcher { carrier: None, bind: None, ..*self };
        self.carrier.filter(|_| rest == Matcher::default())
    }
}

/// The packed number begins with these digits.
fn begins_with(packed: u64, digits: u32, value: u64) -> bool {
    let count = digit_count(packed) as u32;
    count >= digits && (packed & VALUE_MASK) / 10u64.pow(count - digits) == value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_the_first_digits_of_a_number() {
        let number = crate::number::pack(b"8613800138000").unwrap();
        for (prefix, begins) in [("86", true), ("861380013800", true), ("8613800138000", true), ("87", false), ("86138001380001", false)] {
            assert_eq!(begins_with(number, prefix.len() as u32, prefix.parse().unwrap()), begins, "{prefix}");
        }
    }
}
