//! The commands that see and change a running gateway: `status`, `carriers`, `accounts`, `lanes`, `pauses`, `message`, `pause`, `resume`, `drain`, `reroute`, `unbind`,
//! `rebind`, `cancel`, `limit`, `test-message`, `kick`, `reload`, `audit`, `config export`. What hurts asks first.

use super::Output;
use super::admin::{Client, Where};
use super::tables;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::io::{BufRead, IsTerminal};
use std::time::{Duration, Instant};

/// Which messages, carrier or bind.
#[derive(Debug, Default, Args)]
pub(super) struct ScopeArgs {
    /// One message, by its id
    #[arg(long, value_name = "ID")]
    message: Option<String>,
    /// An account's
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// A campaign's, by its name
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    /// otp, transactional or marketing
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// A carrier, or what is about to go to it; NAME/BIND for one bind
    #[arg(long, value_name = "NAME")]
    carrier: Option<String>,
    /// Numbers that begin with these digits, country code first
    #[arg(long, value_name = "DIGITS")]
    prefix: Option<String>,
    /// One number
    #[arg(long, value_name = "NUMBER")]
    number: Option<String>,
}

/// Why, and for how long.
#[derive(Debug, Default, Args)]
pub(super) struct Terms {
    /// Why; stands in the audit and wherever something waits for it
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// How long: 90s, 30m, 2h, 1d
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    lasting: Option<u64>,
    /// Until when: 2026-03-01T08:00+08:00, or 18:30 (local, today or tomorrow)
    #[arg(long, value_name = "TIME", conflicts_with = "lasting", value_parser = instant)]
    until: Option<u64>,
}

/// A carrier or bind.
#[derive(Debug, Args)]
pub(super) struct LinkArgs {
    /// The carrier, or NAME/BIND for one of its binds
    #[arg(value_name = "CARRIER[/BIND]")]
    link: String,
}

/// See each.
#[derive(Debug, Subcommand)]
pub(super) enum Operate {
    /// The running gateway at a glance
    #[command(after_help = "Example:\n  hongyan status")]
    Status(Plain),
    /// Carriers with their binds, windows, rates, and what they wait for
    #[command(after_help = "Example:\n  hongyan carriers")]
    Carriers(Plain),
    /// Accounts with their sessions, limits and what waits
    #[command(after_help = "Example:\n  hongyan accounts")]
    Accounts(Plain),
    /// Lanes: what waits where, and for what
    #[command(after_help = "Example:\n  hongyan lanes")]
    Lanes(Plain),
    /// What is changed while running and in force: pauses, drains, reroutes, unbinds, cancels, limits
    #[command(after_help = "Example:\n  hongyan pauses")]
    Pauses(Plain),
    /// One message that is alive: where it stands and what it waits for
    #[command(after_help = "Example:\n  hongyan message 1950000000000000000")]
    Message {
        /// Its id
        id: String,
        #[command(flatten)]
        at: Where,
    },
    /// Let something wait: an account, campaign, class, carrier, bind, range or number
    #[command(
        after_help = "Examples:\n  hongyan pause --carrier north --reason maintenance --for 2h\n  hongyan pause --account shop --class marketing --until 08:00\n  hongyan pause --campaign spring --account shop\n  hongyan pause --prefix 86138"
    )]
    Pause(Begin),
    /// Lift what is in force: by its number, or pauses and drains of exactly this scope
    #[command(after_help = "Examples:\n  hongyan resume 12\n  hongyan resume --carrier north")]
    Resume {
        /// The number of a change, as `pauses` lists it
        id: Option<u64>,
        #[command(flatten)]
        scope: ScopeArgs,
        /// Why
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        #[command(flatten)]
        at: Where,
    },
    /// Let a carrier or bind take no more, and its window empty; what waits there goes to the next carrier
    #[command(after_help = "Examples:\n  hongyan drain north --then-unbind\n  hongyan drain north/1")]
    Drain {
        #[command(flatten)]
        link: LinkArgs,
        /// Unbind once nothing is in flight
        #[arg(long)]
        then_unbind: bool,
        #[command(flatten)]
        terms: Terms,
        #[command(flatten)]
        at: Where,
    },
    /// Send what waits at a carrier, or what is meant otherwise, to another carrier
    #[command(after_help = "Examples:\n  hongyan reroute --carrier north --to south\n  hongyan reroute --prefix 86138 --to south --for 1h")]
    Reroute {
        #[command(flatten)]
        scope: ScopeArgs,
        /// The other carrier
        #[arg(long, value_name = "NAME")]
        to: String,
        #[command(flatten)]
        terms: Terms,
        #[command(flatten)]
        sure: Sure,
        #[command(flatten)]
        at: Where,
    },
    /// Unbind a carrier or one bind; it stays down until `rebind`, or for the time that is told
    #[command(
        after_help = "Examples:\n  hongyan unbind north/0 --yes\n  hongyan unbind north --for 10m --reason 'their maintenance' --yes"
    )]
    Unbind {
        #[command(flatten)]
        link: LinkArgs,
        #[command(flatten)]
        terms: Terms,
        #[command(flatten)]
        sure: Sure,
        #[command(flatten)]
        at: Where,
    },
    /// Bind again what was unbound, or close and bind anew what is up
    #[command(after_help = "Example:\n  hongyan rebind north/0")]
    Rebind {
        #[command(flatten)]
        link: LinkArgs,
        /// Why
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        #[command(flatten)]
        at: Where,
    },
    /// End what waits, for good: nothing that is meant leaves any more
    #[command(
        after_help = "Examples:\n  hongyan cancel --account shop --class marketing --reason 'wrong price' --yes\n  hongyan cancel --campaign spring --account shop --yes\n  hongyan cancel --message 1950000000000000000 --yes\n  hongyan cancel --number +8613800138000 --yes"
    )]
    Cancel {
        #[command(flatten)]
        scope: ScopeArgs,
        /// Why
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        #[command(flatten)]
        sure: Sure,
        #[command(flatten)]
        at: Where,
    },
    /// Another limit than the configuration's, or the configured one again
    #[command(
        after_help = "Examples:\n  hongyan limit --carrier north --rate 500 --burst 50\n  hongyan limit --account shop --rate 0 --for 1h       0 pauses: submissions are refused\n  hongyan limit --carrier north --default"
    )]
    Limit(LimitArgs),
    /// What would become of a message to a number (nothing is sent): range, rules, price, route, buckets, what it would wait for. Or, by its id, what became
    /// of one, step by step
    #[command(
        after_help = "Examples:\n  hongyan explain 1950000000000000000\n  hongyan explain '+86 138 0013 8000' --account shop --class marketing --text 'Sale today'\n  hongyan explain 13800138000 --account shop --json"
    )]
    Explain {
        /// The number, or the id of a message
        to: String,
        /// Whose message; with a number
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// Its class: otp, transactional or marketing
        #[arg(long, value_name = "CLASS", default_value = "transactional")]
        class: String,
        /// The sender
        #[arg(long, value_name = "SENDER", default_value = "")]
        from: String,
        /// The campaign
        #[arg(long, value_name = "NAME", default_value = "")]
        campaign: String,
        /// The text
        #[arg(long, default_value = "")]
        text: String,
        #[command(flatten)]
        at: Where,
    },
    /// Send one test message through one named bind, past routes and pauses, and tell what the carrier says
    #[command(after_help = "Example:\n  hongyan test-message north/0 --account shop --from 10690001 --to +8613800138000 --text 'Hello'")]
    TestMessage {
        #[command(flatten)]
        link: LinkArgs,
        /// On whose behalf
        #[arg(long, value_name = "NAME")]
        account: String,
        /// The sender
        #[arg(long, value_name = "SENDER", default_value = "")]
        from: String,
        /// The number
        #[arg(long, value_name = "NUMBER")]
        to: String,
        /// The text
        #[arg(long, default_value = "Test")]
        text: String,
        /// Why
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        #[command(flatten)]
        at: Where,
    },
    /// Unbind an upstream session, or all of an account; they may bind again
    #[command(after_help = "Examples:\n  hongyan kick 17 --yes\n  hongyan kick --account shop --yes")]
    Kick {
        /// The number of a session, as `accounts` shows it
        session: Option<u64>,
        /// All sessions of this account
        #[arg(long, value_name = "NAME", conflicts_with = "session")]
        account: Option<String>,
        /// Why
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        #[command(flatten)]
        sure: Sure,
        #[command(flatten)]
        at: Where,
    },
    /// Read the configuration again: shows the difference first; a bad one changes nothing
    #[command(after_help = "Examples:\n  hongyan reload --dry-run\n  hongyan reload --yes")]
    Reload {
        /// Only show the difference
        #[arg(long)]
        dry_run: bool,
        /// Why
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        #[command(flatten)]
        sure: Sure,
        #[command(flatten)]
        at: Where,
    },
    /// Who changed what, when and why; newest first
    #[command(after_help = "Example:\n  hongyan audit --last 20")]
    Audit {
        /// How many
        #[arg(long, value_name = "N", default_value_t = 50)]
        last: usize,
        #[command(flatten)]
        at: Where,
    },
    /// The configuration in force
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// Only where.
#[derive(Debug, Args)]
pub(super) struct Plain {
    #[command(flatten)]
    at: Where,
}

/// A change by scope.
#[derive(Debug, Args)]
pub(super) struct Begin {
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    at: Where,
}

/// The confirmation.
#[derive(Debug, Args)]
pub(super) struct Sure {
    /// Don't ask whether that is meant
    #[arg(short, long)]
    yes: bool,
}

/// Another limit.
#[derive(Debug, Args)]
pub(super) struct LimitArgs {
    /// Whose
    #[arg(long, value_name = "NAME", required_unless_present = "carrier")]
    account: Option<String>,
    /// Whose
    #[arg(long, value_name = "NAME", conflicts_with = "account")]
    carrier: Option<String>,
    /// Segments a second; 0 pauses
    #[arg(long, value_name = "N", conflicts_with = "unlimited")]
    rate: Option<u32>,
    /// No limit of the rate
    #[arg(long)]
    unlimited: bool,
    /// Segments at once, of a carrier
    #[arg(long, value_name = "N")]
    burst: Option<u32>,
    /// Messages that may wait, of an account
    #[arg(long, value_name = "N")]
    max_waiting: Option<u64>,
    /// What the configuration says again
    #[arg(long, conflicts_with_all = ["rate", "unlimited", "burst", "max_waiting"])]
    default: bool,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    at: Where,
}

/// `config ...`.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Write the configuration in force as TOML, with the limits that were changed while running
    #[command(after_help = "Example:\n  hongyan config export > in-force.toml")]
    Export {
        /// Passwords too, instead of ***
        #[arg(long)]
        secrets: bool,
        #[command(flatten)]
        at: Where,
    },
}

/// `90s`, `30m`, `2h`, `1d`, `90` (seconds).
pub(super) fn seconds(text: &str) -> Result<u64, String> {
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
pub(super) fn instant(text: &str) -> Result<u64, String> {
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
fn link_of(link: &str) -> Result<(String, Option<u16>), String> {
    match link.split_once('/') {
        None => Ok((link.to_owned(), None)),
        Some((carrier, bind)) => {
            let bind = bind.parse().map_err(|_| format!("'{link}': a bind is a number from 0, as `carriers` shows it"))?;
            Ok((carrier.to_owned(), Some(bind)))
        }
    }
}

fn put(map: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value.into());
    }
}

impl ScopeArgs {
    fn value(&self) -> Result<Value, String> {
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
    fn value(&self) -> Result<Value, String> {
        ScopeArgs { carrier: Some(self.link.clone()), ..ScopeArgs::default() }.value()
    }
}

impl Terms {
    fn on(&self, mut body: Value) -> Value {
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
    /// Asks on a terminal; elsewhere `--yes` must say it.
    fn ask(&self, what: &str) -> Result<(), String> {
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

pub(super) fn run(operate: &Operate, output: &mut Output) -> Result<(), String> {
    match operate {
        Operate::Status(plain) => show(&plain.at, "/v1/status", tables::status, output),
        Operate::Carriers(plain) => show(&plain.at, "/v1/carriers", tables::carriers, output),
        Operate::Accounts(plain) => show(&plain.at, "/v1/accounts", tables::accounts, output),
        Operate::Lanes(plain) => show(&plain.at, "/v1/lanes", tables::lanes, output),
        Operate::Pauses(plain) => show(&plain.at, "/v1/changes", tables::changes, output),
        Operate::Message { id, at } => {
            if id.is_empty() || !id.bytes().all(|octet| octet.is_ascii_digit()) {
                return Err(format!("message: '{id}' is no message id; up to 19 digits, as in submit_sm_resp"));
            }
            show(at, &format!("/v1/messages/{id}"), tables::message, output)
        }
        Operate::Audit { last, at } => show(at, &format!("/v1/audit?last={last}"), tables::audit, output),
        Operate::Pause(Begin { scope, terms, at }) => begin(at, terms.on(json!({ "action": "pause", "scope": scope.value()? })), output),
        Operate::Resume { id, scope, reason, at } => resume(*id, scope, reason, &at.client()?, output),
        Operate::Drain { link, then_unbind, terms, at } => {
            begin(at, terms.on(json!({ "action": "drain", "scope": link.value()?, "then_unbind": then_unbind })), output)
        }
        Operate::Reroute { scope, to, terms, sure, at } => {
            let scope = scope.value()?;
            sure.ask(&format!("everything of {} goes to {to}", tables::scope(&scope)))?;
            begin(at, terms.on(json!({ "action": "reroute", "scope": scope, "to": to })), output)
        }
        Operate::Unbind { link, terms, sure, at } => {
            sure.ask(&format!("{} is unbound and stays down", link.link))?;
            begin(at, terms.on(json!({ "action": "unbind", "scope": link.value()? })), output)
        }
        Operate::Rebind { link, reason, at } => {
            let (carrier, bind) = link_of(&link.link)?;
            let mut body = Map::new();
            put(&mut body, "carrier", Some(carrier));
            put(&mut body, "bind", bind);
            put(&mut body, "reason", Some(reason.clone()));
            told(
                &at.client()?,
                "/v1/rebind",
                &Value::Object(body),
                |value| {
                    let (lifted, closed) = (value["lifted"].as_array().map_or(0, Vec::len), value["closed"].as_u64().unwrap_or(0));
                    format!("{lifted} changes lifted, {closed} binds closed to bind anew")
                },
                output,
            )
        }
        Operate::Cancel { scope, reason, sure, at } => {
            let scope = scope.value()?;
            sure.ask(&format!("all that waits of {} is cancelled for good", tables::scope(&scope)))?;
            begin(at, json!({ "action": "cancel", "scope": scope, "reason": reason }), output)
        }
        Operate::Limit(args) => limit(args, output),
        Operate::Explain { to, account: None, at, .. } => {
            let is_id = (16..=19).contains(&to.len()) && to.bytes().all(|octet| octet.is_ascii_digit());
            match is_id {
                true => show(at, &format!("/v1/messages/{to}"), super::trail::explained, output),
                false => {
                    Err("account: say whose message to that number it would be: --account NAME; or name a message by its id".to_owned())
                }
            }
        }
        Operate::Explain { to, account: Some(account), class, from, campaign, text, at } => {
            let body = json!({ "to": to, "account": account, "class": class, "from": from, "campaign": campaign, "text": text });
            let client = at.client()?;
            let explained = client.post("/v1/explain", &body)?;
            match client.json {
                true => output.json(&explained, false),
                false => tables::explained(&explained).iter().for_each(|line| output.line(line)),
            }
            Ok(())
        }
        Operate::TestMessage { link, account, from, to, text, reason, at } => {
            let (carrier, bind) = link_of(&link.link)?;
            let body = json!({ "carrier": carrier, "bind": bind.unwrap_or(0), "account": account, "from": from, "to": to, "text": text, "reason": reason });
            test_message(&at.client()?, &body, output)
        }
        Operate::Kick { session, account, reason, sure, at } => {
            let whom = match (session, account) {
                (Some(session), _) => format!("session {session}"),
                (None, Some(account)) => format!("every session of {account}"),
                (None, None) => return Err("session: say which: its number, or --account NAME".to_owned()),
            };
            sure.ask(&format!("{whom} is unbound"))?;
            let mut body = Map::new();
            put(&mut body, "session", *session);
            put(&mut body, "account", account.clone());
            put(&mut body, "reason", Some(reason.clone()));
            told(&at.client()?, "/v1/kick", &Value::Object(body), |value| format!("{} sessions unbound", value["kicked"]), output)
        }
        Operate::Reload { dry_run, reason, sure, at } => reload(*dry_run, reason, sure, &at.client()?, output),
        Operate::Config(ConfigCommand::Export { secrets, at }) => {
            let text = at.client()?.text(&format!("/v1/config?secrets={secrets}"))?;
            output.raw(text.as_bytes());
            Ok(())
        }
    }
}

fn show(at: &Where, path: &str, table: fn(&Value) -> Vec<String>, output: &mut Output) -> Result<(), String> {
    let client = at.client()?;
    let value = client.get(path)?;
    match client.json {
        true => output.json(&value, false),
        false => table(&value).iter().for_each(|line| output.line(line)),
    }
    Ok(())
}

fn told(client: &Client, path: &str, body: &Value, say: impl Fn(&Value) -> String, output: &mut Output) -> Result<(), String> {
    let value = client.post(path, body)?;
    match client.json {
        true => output.json(&value, false),
        false => output.line(&say(&value)),
    }
    Ok(())
}

fn begin(at: &Where, body: Value, output: &mut Output) -> Result<(), String> {
    told(&at.client()?, "/v1/changes", &body, |change| format!("in force: {}", tables::change(change)), output)
}

fn resume(id: Option<u64>, scope: &ScopeArgs, reason: &str, client: &Client, output: &mut Output) -> Result<(), String> {
    let scope = scope.value()?;
    let none = scope.as_object().is_some_and(Map::is_empty);
    let value = match id {
        Some(_) if !none => return Err("id: stands beside a scope; one of the two".to_owned()),
        Some(id) => client.delete(&format!("/v1/changes/{id}?reason={}", escaped(reason)))?,
        None => client.post("/v1/resume", &json!({ "scope": scope, "reason": reason }))?,
    };
    match client.json {
        true => output.json(&value, false),
        false => value.as_array().into_iter().flatten().for_each(|change| output.line(&format!("lifted: {}", tables::change(change)))),
    }
    Ok(())
}

/// For a parameter of a URL.
pub(super) fn escaped(text: &str) -> String {
    text.bytes().map(|octet| if octet.is_ascii_alphanumeric() { char::from(octet).to_string() } else { format!("%{octet:02X}") }).collect()
}

fn limit(args: &LimitArgs, output: &mut Output) -> Result<(), String> {
    let mut whose = Map::new();
    put(&mut whose, "account", args.account.clone());
    put(&mut whose, "carrier", args.carrier.clone());
    if args.default {
        let body = json!({ "limit": whose, "reason": args.terms.reason });
        return told(&args.at.client()?, "/v1/resume", &body, |_| "the configured limit is in force again".to_owned(), output);
    }
    put(&mut whose, "rate_per_s", args.rate);
    put(&mut whose, "unlimited", args.unlimited.then_some(true));
    put(&mut whose, "burst", args.burst);
    put(&mut whose, "max_waiting", args.max_waiting);
    begin(&args.at, args.terms.on(json!({ "action": "limit", "limit": whose })), output)
}

/// Sends it, then looks until the carrier has said something, or for some seconds.
fn test_message(client: &Client, body: &Value, output: &mut Output) -> Result<(), String> {
    let id = client.post("/v1/test-messages", body)?["message"].as_str().unwrap_or_default().to_owned();
    let until = Instant::now() + Duration::from_secs(10);
    let outcome = loop {
        // A message that has ended is told of as such, with its outcome.
        let (outcome, ended) = match client.get(&format!("/v1/messages/{id}")) {
            Ok(message) => (message["test"].as_str().unwrap_or_default().to_owned(), false),
            Err(told) => (told, true),
        };
        if ended || Instant::now() > until || (outcome != "no answer yet" && !outcome.starts_with("waits")) {
            break outcome;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    match client.json {
        true => output.json(&json!({ "message": id, "outcome": outcome }), false),
        false => output.line(&format!("message {id}: {outcome}")),
    }
    Ok(())
}

fn reload(dry_run: bool, reason: &str, sure: &Sure, client: &Client, output: &mut Output) -> Result<(), String> {
    let difference = client.post("/v1/reload", &json!({ "dry_run": true }))?;
    let nothing = difference["changes"].as_array().is_none_or(Vec::is_empty);
    if dry_run || nothing {
        match client.json {
            true => output.json(&difference, false),
            false => tables::difference(&difference).iter().for_each(|line| output.line(line)),
        }
        return Ok(());
    }
    if !client.json || !sure.yes {
        tables::difference(&difference).iter().for_each(|line| eprintln!("{line}"));
    }
    sure.ask("this comes into force")?;
    let say = |_: &Value| "reloaded".to_owned();
    told(client, "/v1/reload", &json!({ "reason": reason }), say, output)
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
