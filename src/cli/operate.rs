//! The commands that see and change a running gateway: `status`, `carriers`, `accounts`, `lanes`, `pauses`, `message`, `pause`, `resume`, `drain`, `reroute`, `unbind`,
//! `rebind`, `cancel`, `limit`, `test-message`, `kick`, `reload`, `audit`, `config export`. What hurts asks first, and says what it will hit.

mod acts;
mod words;

use super::Output;
use super::admin::Where;
use super::counts::counted;
use super::tables;
use acts::{begin, limit, rebound, reload, resume, test_message, told};
pub(super) use acts::{escaped, show};
use clap::Subcommand;
use serde_json::{Map, Value, json};
use words::{Begin, LimitArgs, LinkArgs, Plain, ScopeArgs, Sure, Terms, link_of, put};
pub(super) use words::{instant, seconds};

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
    /// Lanes: what waits where, and for what; when each will be empty at its speed of late, or `-` while nothing leaves
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
        after_help = "Examples:\n  hongyan pause --carrier north --reason maintenance --for 2h --yes\n  hongyan pause --account shop --class marketing --until 08:00 --yes\n  hongyan pause --campaign spring --account shop --yes\n  hongyan pause --prefix 86138 --yes"
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
    #[command(after_help = "Examples:\n  hongyan drain north --then-unbind --yes\n  hongyan drain north/1 --yes")]
    Drain {
        #[command(flatten)]
        link: LinkArgs,
        /// Unbind once nothing is in flight
        #[arg(long)]
        then_unbind: bool,
        #[command(flatten)]
        terms: Terms,
        #[command(flatten)]
        sure: Sure,
        #[command(flatten)]
        at: Where,
    },
    /// Send what waits at a carrier, or what is meant otherwise, to another carrier
    #[command(
        after_help = "Examples:\n  hongyan reroute --carrier north --to south --yes\n  hongyan reroute --prefix 86138 --to south --for 1h --yes"
    )]
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
    /// Bind again what was unbound, close and bind anew what is up, and let what waits for its next try make it at once
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
        Operate::Pause(Begin { scope, terms, sure, at }) => {
            let (scope, client) = (scope.value()?, at.client()?);
            sure.ask_of(&format!("all of {} is held back", tables::scope(&scope)), &scope, &client)?;
            begin(&client, terms.on(json!({ "action": "pause", "scope": scope })), output)
        }
        Operate::Resume { id, scope, reason, at } => resume(*id, scope, reason, &at.client()?, output),
        Operate::Drain { link, then_unbind, terms, sure, at } => {
            let (scope, client) = (link.value()?, at.client()?);
            let unbound = if *then_unbind { " and is unbound once nothing is in flight" } else { "" };
            sure.ask_of(&format!("{} takes no more messages{unbound}", link.link), &scope, &client)?;
            begin(&client, terms.on(json!({ "action": "drain", "scope": scope, "then_unbind": then_unbind })), output)
        }
        Operate::Reroute { scope, to, terms, sure, at } => {
            let (scope, client) = (scope.value()?, at.client()?);
            sure.ask_of(&format!("everything of {} goes to {to}", tables::scope(&scope)), &scope, &client)?;
            begin(&client, terms.on(json!({ "action": "reroute", "scope": scope, "to": to })), output)
        }
        Operate::Unbind { link, terms, sure, at } => {
            let (scope, client) = (link.value()?, at.client()?);
            sure.ask_of(&format!("{} is unbound and stays down", link.link), &scope, &client)?;
            begin(&client, terms.on(json!({ "action": "unbind", "scope": scope })), output)
        }
        Operate::Rebind { link, reason, at } => {
            let (carrier, bind) = link_of(&link.link)?;
            let mut body = Map::new();
            put(&mut body, "carrier", Some(carrier));
            put(&mut body, "bind", bind);
            put(&mut body, "reason", Some(reason.clone()));
            told(&at.client()?, "/v1/rebind", &Value::Object(body), rebound, output)
        }
        Operate::Cancel { scope, reason, sure, at } => {
            let (scope, client) = (scope.value()?, at.client()?);
            sure.ask_of(&format!("all that waits of {} is cancelled for good", tables::scope(&scope)), &scope, &client)?;
            begin(&client, json!({ "action": "cancel", "scope": scope, "reason": reason }), output)
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
            let say = |value: &Value| counted(value["kicked"].as_u64().unwrap_or(0), "session unbound", "sessions unbound");
            told(&at.client()?, "/v1/kick", &Value::Object(body), say, output)
        }
        Operate::Reload { dry_run, reason, sure, at } => reload(*dry_run, reason, sure, &at.client()?, output),
        Operate::Config(ConfigCommand::Export { secrets, at }) => {
            let text = at.client()?.text(&format!("/v1/config?secrets={secrets}"))?;
            output.raw(text.as_bytes());
            Ok(())
        }
    }
}
