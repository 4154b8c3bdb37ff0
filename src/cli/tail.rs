//! `hongyan tail`: what happens at a running gateway, line by line: binds and sessions that come and go, throttling, carriers taken out of routing, what
//! operators change, the disk; and messages, masked, if they are asked for. It looks at the admin port again and again and tells what differs, so what comes
//! and goes between two looks is told only as far as it left something behind (a bind that is up again is told by its new time).

use super::Output;
use super::admin::{Client, Where};
use super::operate::escaped;
use super::tables::{list, text, time};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

/// While a carrier throttles it is told of so often, milliseconds; so long without, and it is over.
const THROTTLE_MS: u64 = 10_000;
/// Records of the audit that are looked at, and messages.
const AUDIT_LAST: usize = 200;
const MESSAGES_LAST: usize = 1_000;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hongyan tail\n  hongyan tail --messages --account shop\n  hongyan tail --number +8613800138000 --json | jq .\n\n\
        Messages need records (records.enabled); each look sees the newest 1000 that fit, so a busy gateway wants a filter."
)]
pub(super) struct Args {
    /// Messages too: each at its first look and whenever its state is another
    #[arg(long)]
    messages: bool,
    /// Only messages of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only messages of this campaign
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    /// Only messages to this number
    #[arg(long, value_name = "NUMBER")]
    number: Option<String>,
    /// Only messages in this state: waiting, delivered, undelivered ...
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Leave after so many lines
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// Seconds between looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = super::top::interval)]
    interval: f64,
    #[command(flatten)]
    at: Where,
}

/// One look.
#[derive(Debug, Default)]
struct Seen {
    status: Value,
    carriers: Value,
    accounts: Value,
    audit: Value,
    /// Newest first.
    messages: Vec<Value>,
}

/// What is remembered beside the last look.
#[derive(Debug, Default)]
struct Memory {
    /// By carrier: when it last throttled, and when that was last told, milliseconds.
    throttled: HashMap<String, (u64, u64)>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), String> {
    let client = args.at.client()?;
    let messages = messages_path(args);
    let mut before = look(&client, messages.as_deref())?;
    let (mut memory, mut told, mut lost) = (Memory::default(), 0, false);
    loop {
        std::thread::sleep(Duration::from_secs_f64(args.interval));
        let events = match look(&client, messages.as_deref()) {
            Ok(after) => {
                let mut events = Vec::new();
                if std::mem::take(&mut lost) {
                    events.push(json!({ "at_ms": after.status["now_ms"], "event": "gateway_back", "what": client.base() }));
                }
                events.extend(differences(&before, &after, &mut memory));
                before = after;
                events
            }
            Err(_) if lost => Vec::new(),
            Err(why) => {
                lost = true;
                let now_ms = jiff::Timestamp::now().as_millisecond();
                vec![json!({ "at_ms": now_ms, "event": "gateway_lost", "what": why })]
            }
        };
        for event in events {
            match client.json {
                true => output.json(&event, false),
                false => output.line(&line(&event)),
            }
            told += 1;
            if args.count.is_some_and(|count| told >= count) {
                return Ok(());
            }
        }
    }
}

/// Where messages are asked for, if they are wanted.
fn messages_path(args: &Args) -> Option<String> {
    let filters = [("account", &args.account), ("campaign", &args.campaign), ("number", &args.number), ("state", &args.state)];
    let told: Vec<String> =
        filters.iter().filter_map(|(key, value)| value.as_ref().map(|value| format!("&{key}={}", escaped(value)))).collect();
    (args.messages || !told.is_empty()).then(|| format!("/v1/messages?limit={MESSAGES_LAST}{}", told.concat()))
}

fn look(client: &Client, messages: Option<&str>) -> Result<Seen, String> {
    let messages = messages.map(|path| client.get(path)).transpose()?;
    Ok(Seen {
        status: client.get("/v1/status")?,
        carriers: client.get("/v1/carriers")?,
        accounts: client.get("/v1/accounts")?,
        audit: client.get(&format!("/v1/audit?last={AUDIT_LAST}"))?,
        messages: messages.map_or(Vec::new(), |page| list(&page["messages"]).to_vec()),
    })
}

/// What is another than it was, as events with `at_ms`, `event`, `what` and what belongs to it.
fn differences(before: &Seen, after: &Seen, memory: &mut Memory) -> Vec<Value> {
    let now_ms = after.status["now_ms"].as_u64().unwrap_or(0);
    let mut events = Vec::new();
    let mut tell = |at_ms: &Value, event: &str, what: String, more: Value| {
        let at_ms = at_ms.as_u64().filter(|&ms| ms > 0).unwrap_or(now_ms);
        let mut told = json!({ "at_ms": at_ms, "event": event, "what": what });
        if let (Some(told), Value::Object(more)) = (told.as_object_mut(), more) {
            told.extend(more);
        }
        events.push(told);
    };
    for key in ["disk", "lost", "stopping"] {
        if before.status[key] != after.status[key] {
            tell(&Value::Null, key, format!("{} (was {})", text(&after.status[key]), text(&before.status[key])), Value::Null);
        }
    }
    for carrier in list(&after.carriers) {
        let name = text(&carrier["carrier"]);
        let old = list(&before.carriers).iter().find(|old| old["carrier"] == carrier["carrier"]).unwrap_or(&Value::Null);
        for bind in list(&carrier["binds"]) {
            let old = list(&old["binds"]).iter().find(|old| old["bind"] == bind["bind"]).unwrap_or(&Value::Null);
            if (&old["state"], &old["since_ms"]) != (&bind["state"], &bind["since_ms"]) {
                let event = if bind["state"] == "up" { "bind_up" } else { "bind_down" };
                let what = format!("{name}/{} {} is {}", bind["bind"], text(&bind["kind"]), text(&bind["state"]));
                tell(&bind["since_ms"], event, what, json!({ "carrier": name, "bind": bind["bind"], "state": bind["state"] }));
            }
        }
        if !old.is_null() && old["health"] != carrier["health"] {
            let cause = text(&carrier["health_cause"]);
            tell(&Value::Null, "health", format!("{name} is {} ({cause})", text(&carrier["health"])), json!({ "carrier": name }));
        }
        throttling(&name, old, carrier, now_ms, memory, &mut tell);
    }
    sessions(before, after, &mut tell);
    let newest = list(&before.audit).first();
    for record in list(&after.audit).iter().take_while(|record| Some(*record) != newest).collect::<Vec<_>>().into_iter().rev() {
        let what = super::tables::audit_record(record);
        tell(&record["at_ms"], "control", format!("{what}, by {}", text(&record["who"])), json!({ "record": record }));
    }
    let known: HashMap<&str, &Value> = before.messages.iter().filter_map(|old| Some((old["message"].as_str()?, &old["state"]))).collect();
    for message in after.messages.iter().rev() {
        let id = text(&message["message"]);
        if known.get(id.as_str()) != Some(&&message["state"]) {
            let fields = ["account", "class", "campaign", "number", "carrier", "carrier_state", "carrier_error"];
            let told: Vec<String> = fields.iter().map(|key| text(&message[*key])).filter(|word| !word.is_empty()).collect();
            let what = format!("{id} {} {}", text(&message["state"]), told.join(" "));
            tell(&Value::Null, "message", what, json!({ "message": message }));
        }
    }
    events
}

fn throttling(
    name: &str,
    old: &Value,
    carrier: &Value,
    now_ms: u64,
    memory: &mut Memory,
    tell: &mut dyn FnMut(&Value, &str, String, Value),
) {
    let count = |of: &Value| of["answers"]["throttled"].as_u64().unwrap_or(0);
    let grown = count(carrier).saturating_sub(count(old));
    if !old.is_null() && grown > 0 {
        let (last, told) = memory.throttled.entry(name.to_owned()).or_default();
        *last = now_ms;
        if now_ms >= *told + THROTTLE_MS {
            *told = now_ms;
            let allowed = carrier["allowed_per_s"].as_f64().map_or(String::new(), |rate| format!(", its answers allow {rate:.0}/s"));
            let what = format!("{name} answers slow down ({grown} times){allowed}");
            tell(&Value::Null, "throttled", what, json!({ "carrier": name, "answers": grown, "allowed_per_s": carrier["allowed_per_s"] }));
        }
    } else if memory.throttled.get(name).is_some_and(|(last, _)| now_ms >= *last + THROTTLE_MS) {
        memory.throttled.remove(name);
        tell(&Value::Null, "throttled_over", format!("{name} takes what it gets again"), json!({ "carrier": name }));
    }
}

/// Upstream sessions, by their numbers.
fn sessions(before: &Seen, after: &Seen, tell: &mut dyn FnMut(&Value, &str, String, Value)) {
    let of = |seen: &Seen| -> Vec<(String, Value)> {
        let accounts = list(&seen.accounts).iter();
        accounts.flat_map(|a| list(&a["binds"]).iter().map(|bind| (text(&a["account"]), bind.clone())).collect::<Vec<_>>()).collect()
    };
    let (old, new) = (of(before), of(after));
    let has = |all: &[(String, Value)], session: &Value| all.iter().any(|(_, bind)| bind["session"] == *session);
    for (account, bind) in new.iter().filter(|(_, bind)| !has(&old, &bind["session"])) {
        let what = format!("{account}: session {} {} from {}", bind["session"], text(&bind["kind"]), text(&bind["peer"]));
        tell(&bind["since_ms"], "session_up", what, json!({ "account": account, "session": bind["session"] }));
    }
    for (account, bind) in old.iter().filter(|(_, bind)| !has(&new, &bind["session"])) {
        let what = format!("{account}: session {} from {} has ended", bind["session"], text(&bind["peer"]));
        tell(&Value::Null, "session_down", what, json!({ "account": account, "session": bind["session"] }));
    }
}

fn line(event: &Value) -> String {
    format!("{}  {:<14} {}", time(&event["at_ms"]), text(&event["event"]).replace('_', " "), text(&event["what"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(now_ms: u64, bind: &str, throttled: u64) -> Seen {
        Seen {
            status: json!({ "now_ms": now_ms, "disk": "ok", "lost": 0, "stopping": false }),
            carriers: json!([{ "carrier": "north", "health": "well", "answers": { "throttled": throttled }, "allowed_per_s": 40.0,
                "binds": [{ "bind": 0, "kind": "trx", "state": bind, "since_ms": now_ms }] }]),
            accounts: json!([{ "account": "shop", "binds": [{ "session": now_ms, "kind": "rx", "peer": "127.0.0.1:9", "since_ms": 1 }] }]),
            audit: json!([]),
            messages: Vec::new(),
        }
    }

    fn told(before: &Seen, after: &Seen, memory: &mut Memory) -> Vec<String> {
        differences(before, after, memory).iter().map(|event| text(&event["event"])).collect()
    }

    #[test]
    fn what_comes_and_goes_is_told_and_what_stays_is_not() {
        let (before, after) = (seen(1_000, "up", 0), seen(2_000, "connecting", 0));
        let memory = &mut Memory::default();
        assert_eq!(told(&before, &before, memory), Vec::<String>::new());
        assert_eq!(told(&before, &after, memory), ["bind_down", "session_up", "session_down"]);
    }

    #[test]
    fn throttling_is_told_once_in_ten_seconds_and_its_end_after_ten_more() {
        let mut memory = Memory::default();
        let same = |now_ms, throttled| Seen {
            accounts: json!([]),
            carriers: json!([{ "carrier": "north", "answers": { "throttled": throttled } }]),
            ..seen(now_ms, "up", 0)
        };
        let counts = [0, 3, 5, 5, 5];
        let times = [1_000_000, 1_001_000, 1_002_000, 1_003_000, 1_013_000];
        let looks: Vec<Seen> = times.iter().zip(counts).map(|(&at, throttled)| same(at, throttled)).collect();
        let all: Vec<Vec<String>> = looks.windows(2).map(|two| told(&two[0], &two[1], &mut memory)).collect();
        assert_eq!(all, [vec!["throttled".to_owned()], vec![], vec![], vec!["throttled_over".to_owned()]]);
    }

    #[test]
    fn a_message_is_told_at_first_and_when_its_state_is_another() {
        let message = |id: &str, state: &str| json!({ "message": id, "state": state, "account": "shop", "number": "138****8000" });
        let with = |messages| Seen { messages, accounts: json!([]), carriers: json!([]), ..seen(5, "up", 0) };
        let before = with(vec![message("2", "waiting"), message("1", "sent_waiting")]);
        let after = with(vec![message("3", "waiting"), message("2", "waiting"), message("1", "delivered")]);
        let events = differences(&before, &after, &mut Memory::default());
        let told: Vec<&str> = events.iter().map(|event| event["what"].as_str().unwrap()).collect();
        assert_eq!(told, ["1 delivered shop 138****8000", "3 waiting shop 138****8000"], "oldest first");
    }

    #[test]
    fn only_new_records_of_the_audit_are_told_oldest_first() {
        let record = |at_ms: u64, what: &str| json!({ "at_ms": at_ms, "who": "local:ada", "event": "noted", "what": what, "reason": "" });
        let with = |audit| Seen { audit, accounts: json!([]), carriers: json!([]), ..seen(5, "up", 0) };
        let before = with(json!([record(1, "a")]));
        let after = with(json!([record(3, "c"), record(2, "b"), record(1, "a")]));
        let events = differences(&before, &after, &mut Memory::default());
        assert_eq!(events.iter().map(|event| text(&event["what"])).collect::<Vec<_>>(), ["b, by local:ada", "c, by local:ada"]);
    }
}
