//! The words that the operating commands share: scopes, terms, times, the confirmation; and what they are to the admin port.

use super::super::admin::{Client, Where};
use super::super::counts::counted;
use super::super::tables::list;
use clap::Args;
use serde_json::{Map, Value, json};
use std::io::{BufRead, IsTerminal};

/// Which messages, carrier or bind.
#[derive(Debug, Default, Args)]
pub(in crate::cli) struct ScopeArgs {
    /// One message, by its id
    #[arg(long, value_name = "ID")]
    pub(super) message: Option<String>,
    /// An account's
    #[arg(long, value_name = "NAME")]
    pub(super) account: Option<String>,
    /// A campaign's, by its name
    #[arg(long, value_name = "NAME")]
    pub(super) campaign: Option<String>,
    /// otp, transactional or marketing
    #[arg(long, value_name = "CLASS")]
    pub(super) class: Option<String>,
    /// A carrier, or what is about to go to it; NAME/BIND for one bind
    #[arg(long, value_name = "NAME")]
    pub(super) carrier: Option<String>,
    /// Numbers that begin with these digits, country code first
    #[arg(long, value_name = "DIGITS")]
    pub(super) prefix: Option<String>,
    /// One number
    #[arg(long, value_name = "NUMBER")]
    pub(super) number: Option<String>,
}

/// Why, and for how long.
#[derive(Debug, Default, Args)]
pub(in crate::cli) struct Terms {
    /// Why; stands in the audit and wherever something waits for it
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(super) reason: String,
    /// How long: 90s, 30m, 2h, 1d
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    pub(super) lasting: Option<u64>,
    /// Until when: 2026-03-01T08:00+08:00, or 18:30 (local, today or tomorrow)
    #[arg(long, value_name = "TIME", conflicts_with = "lasting", value_parser = instant)]
    pub(super) until: Option<u64>,
}

/// A carrier or bind.
#[derive(Debug, Args)]
pub(in crate::cli) struct LinkArgs {
    /// The carrier, or NAME/BIND for one of its binds
    #[arg(value_name = "CARRIER[/BIND]")]
    pub(super) link: String,
}

/// Only where.
#[derive(Debug, Args)]
pub(in crate::cli) struct Plain {
    #[command(flatten)]
    pub(super) at: Where,
}

/// A change by scope.
#[derive(Debug, Args)]
pub(in crate::cli) struct Begin {
    #[command(flatten)]
    pub(super) scope: ScopeArgs,
    #[command(flatten)]
    pub(super) terms: Terms,
    #[command(flatten)]
    pub(super) sure: Sure,
    #[command(flatten)]
    pub(super) at: Where,
}

/// The confirmation.
#[derive(Debug, Args)]
pub(in crate::cli) struct Sure {
    /// Don't ask whether that is meant
    #[arg(short, long)]
    pub(super) yes: bool,
}

/// Another limit.
#[derive(Debug, Args)]
pub(in crate::cli) struct LimitArgs {
    /// Whose
    #[arg(long, value_name = "NAME", required_unless_present = "carrier")]
    pub(super) account: Option<String>,
    /// Whose
    #[arg(long, value_name = "NAME", conflicts_with = "account")]
    pub(super) carrier: Option<String>,
    /// Segments a second; 0 pauses
    #[arg(long, value_name = "N", conflicts_with = "unlimited", value_parser = whole_number, allow_hyphen_values = true)]
    pub(super) rate: Option<u32>,
    /// No limit of the rate
    #[arg(long)]
    pub(super) unlimited: bool,
    /// Segments at once, of a carrier
    #[arg(long, value_name = "N", value_parser = whole_number, allow_hyphen_values = true)]
    pub(super) burst: Option<u32>,
    /// Messages that may wait, of an account
    #[arg(long, value_name = "N", value_parser = whole_number, allow_hyphen_values = true)]
    pub(super) max_waiting: Option<u32>,
    /// What the configuration says again
    #[arg(long, conflicts_with_all = ["rate", "unlimited", "burst", "max_waiting"])]
    pub(super) default: bool,
    #[command(flatten)]
    pub(super) terms: Terms,
    #[command(flatten)]
    pub(super) at: Where,
}

/// Bounds are the gateway's to tell.
fn whole_number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "a whole number from 0, such as 500".to_owned())
}

/// `90s`, `30m`, `2h`, `1d`, `90` (seconds).
pub(in crate::cli) fn seconds(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err("a number with s, m, h or d behind it".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "a number with s, m, h or d behind it".to_owned())?;
    number.checked_mul(factor).filter(|&s| s > 0).ok_or_else(|| "more than 0".to_owned())
}

/// A time to come, wall milliseconds.
pub(in crate::cli) fn instant(text: &str) -> Result<u64, String> {
    let fix = "such as 2026-03-01T08:00+08:00, or 18:30";
    let now = jiff::Zoned::now();
    let at = if let Some(time) = text.parse::<jiff::civil::Time>().ok().filter(|_| !text.contains('-')) {
        let today = now.with().time(time).build().map_err(|error| error.to_string())?;
        if today > now { today } else { today.checked_add(jiff::Span::new().days(1)).map_err(|error| error.to_string())? }.timestamp()
    } else if let Ok(at) = text.parse::<jiff::Timestamp>() {
        at
    } else {
        let civil: jiff::civil::DateTime = text.parse().map_err(|_| format!("a time {fix}"))?;
        civil.to_zoned(now.time_zone().clone()).map_err(|error| error.to_string())?.timestamp()
    };
    u64::try_from(at.as_millisecond()).map_err(|_| format!("a time to come, {fix}"))
}

/// `north/1` is carrier `north`, bind 1.
pub(super) fn link_of(link: &str) -> Result<(String, Option<u16>), String> {
    match link.split_once('/') {
        None => Ok((link.to_owned(), None)),
        Some((carrier, bind)) => {
            let bind = bind.parse().map_err(|_| format!("'{link}': a bind is a number from 0, as `carriers` shows it"))?;
            Ok((carrier.to_owned(), Some(bind)))
        }
    }
}

pub(super) fn put(map: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value.into());
    }
}

impl ScopeArgs {
    pub(super) fn value(&self) -> Result<Value, String> {
        let mut scope = Map::new();
        put(&mut scope, "message", self.message.clone());
        put(&mut scope, "account", self.account.clone());
        put(&mut scope, "campaign", self.campaign.clone());
        put(&mut scope, "class", self.class.clone());
        if let Some(link) = &self.carrier {
            let (carrier, bind) = link_of(link)?;
            put(&mut scope, "carrier", Some(carrier));
            put(&mut scope, "bind", bind);
        }
        put(&mut scope, "prefix", self.prefix.clone());
        put(&mut scope, "number", self.number.clone());
        Ok(Value::Object(scope))
    }
}

impl LinkArgs {
    pub(super) fn value(&self) -> Result<Value, String> {
        ScopeArgs { carrier: Some(self.link.clone()), ..ScopeArgs::default() }.value()
    }
}

impl Terms {
    pub(super) fn on(&self, mut body: Value) -> Value {
        body["reason"] = json!(self.reason);
        if let Some(for_s) = self.lasting {
            body["for_s"] = json!(for_s);
        }
        if let Some(until_ms) = self.until {
            body["until_ms"] = json!(until_ms);
        }
        body
    }
}

impl Sure {
    /// As [`Sure::ask`], with how many messages of that scope wait, as far as it can be told.
    pub(super) fn ask_of(&self, what: &str, scope: &Value, client: &Client) -> Result<(), String> {
        if self.yes {
            return Ok(());
        }
        let waiting = match waiting(scope, client)? {
            Some(waiting) => format!("; {} now", counted(waiting, "message waits", "messages wait")),
            None => String::new(),
        };
        self.ask(&format!("{what}{waiting}"))
    }

    /// Asks on a terminal; elsewhere `--yes` must say it.
    pub(super) fn ask(&self, what: &str) -> Result<(), String> {
        if self.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            return Err(format!("{what}: say --yes if that is meant"));
        }
        eprint!("{what}. Is that meant? [y/N] ");
        let mut answer = String::new();
        let read = std::io::stdin().lock().read_line(&mut answer);
        match read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
            true => Ok(()),
            false => Err("nothing was changed".to_owned()),
        }
    }
}

/// Messages of a scope that wait; `None` where neither accounts nor lanes tell them apart: one message, a number, a range, a bind, a name that is unknown.
fn waiting(scope: &Value, client: &Client) -> Result<Option<u64>, String> {
    let Some(conditions) = scope.as_object().filter(|conditions| !conditions.is_empty()) else { return Ok(None) };
    if let (Some(account), 1) = (conditions.get("account"), conditions.len()) {
        let accounts = client.get("/v1/accounts")?;
        return Ok(list(&accounts).iter().find(|of| of["account"] == *account).and_then(|of| of["waiting"].as_u64()));
    }
    if !conditions.keys().all(|key| matches!(key.as_str(), "account" | "campaign" | "class" | "carrier")) {
        return Ok(None);
    }
    let lanes = client.get("/v1/lanes")?;
    let meant = list(&lanes).iter().filter(|lane| conditions.iter().all(|(key, value)| lane[key] == *value));
    let messages = |lane: &Value| ["in_memory", "on_disk"].iter().filter_map(|place| lane[place].as_u64()).sum::<u64>();
    // What lies elsewhere (scheduled, held by a pause) no lane tells of.
    Ok(Some(meant.map(messages).sum()).filter(|&waiting| waiting > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!((seconds("90s"), seconds("2h"), seconds("1d"), seconds("5")), (Ok(90), Ok(7_200), Ok(86_400), Ok(5)));
        assert!(["", "0", "2w", "h", "-1s"].iter().all(|text| seconds(text).is_err()));
        assert_eq!(instant("2026-03-01T08:00+08:00"), Ok(1_772_323_200_000));
        let soon = instant("18:30").unwrap() as i64 - jiff::Timestamp::now().as_millisecond();
        assert!((0..=90_000_000).contains(&soon), "{soon}");
        assert!(instant("soon").is_err());
    }

    #[test]
    fn a_bind_stands_behind_its_carrier() {
        assert_eq!(link_of("north/1"), Ok(("north".to_owned(), Some(1))));
        assert_eq!(link_of("north"), Ok(("north".to_owned(), None)));
        assert!(link_of("north/x").is_err());
    }
}
