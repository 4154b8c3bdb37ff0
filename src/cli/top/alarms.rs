//! What is wrong, worst first, each with what to do; computed from what the admin port says, so that they stand even where no Prometheus is.

use super::super::counts::counted;
use super::super::tables::{list, text};
use super::look::{Look, Looks, age_s, answers, number, seconds};
use serde_json::Value;

/// Share of a carrier's answers in a minute above which it is told of.
const THROTTLED_SHARE: f64 = 0.01;
const DOUBT_SHARE: f64 = 0.01;
/// Answers in a minute without which a share says nothing.
const ANSWERS_MIN: f64 = 100.0;
/// What the oldest message of a lane may be of age, seconds, by class.
const OLDEST_S: [(&str, f64); 3] = [("otp", 5.0), ("transactional", 60.0), ("marketing", 3_600.0)];
/// Receipts that match nothing, from which on they are told of.
const PARKED: f64 = 100.0;
/// Share of an account's waiting room.
const ROOM_SHARE: f64 = 0.9;

/// How bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Messages are late or lost, or will be soon.
    Critical,
    /// Somebody should look.
    Warning,
    /// Somebody wanted it so.
    Note,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// How bad.
    pub severity: Severity,
    /// What, with its figures.
    pub what: String,
    /// What to look at or do.
    pub hint: &'static str,
}

/// All that is wrong, worst first.
pub fn alarms(looks: &Looks) -> Vec<Alarm> {
    let Some(look) = looks.last() else { return Vec::new() };
    let mut found = Vec::new();
    gateway(look, &mut found);
    list(&look.carriers).iter().for_each(|carrier| of_carrier(looks, look, carrier, &mut found));
    list(&look.lanes).iter().for_each(|lane| of_lane(look, lane, &mut found));
    list(&look.accounts).iter().for_each(|account| of_account(account, &mut found));
    found.sort_by_key(|alarm| alarm.severity);
    found
}

fn push(found: &mut Vec<Alarm>, severity: Severity, what: String, hint: &'static str) {
    found.push(Alarm { severity, what, hint });
}

fn gateway(look: &Look, found: &mut Vec<Alarm>) {
    let status = &look.status;
    let lost = number(status, &["lost"]);
    if lost != 0.0 {
        let what = match lost > 0.0 {
            true => counted(lost as u64, "message is lost", "messages are lost"),
            false => counted(-lost as u64, "message is doubled", "messages are doubled"),
        };
        push(found, Severity::Critical, format!("conservation: {what}"), "keep the data directory; hongyan store verify");
    }
    let disk = text(&status["disk"]);
    match disk.as_str() {
        "ok" | "" => {}
        "slow" => push(found, Severity::Warning, "the disk is slow".to_owned(), "who else writes there? what waits is not refused yet"),
        _ => push(found, Severity::Critical, format!("disk: {disk}"), "free some space: new messages are refused"),
    }
    if status["stopping"] == Value::Bool(true) {
        push(found, Severity::Critical, "the gateway is stopping".to_owned(), "it takes no messages any more");
    }
    let parked = number(status, &["parked_receipts"]);
    if parked >= PARKED {
        push(found, Severity::Warning, format!("{parked} receipts match no message"), "does the profile fit the carrier's ids?");
    }
    let (held, changes) = (number(status, &["held"]), number(status, &["changes"]));
    if changes > 0.0 {
        push(
            found,
            Severity::Note,
            format!("{} in force, {} held", counted(changes as u64, "change", "changes"), counted(held as u64, "message", "messages")),
            "hongyan pauses",
        );
    }
}

fn of_carrier(looks: &Looks, look: &Look, carrier: &Value, found: &mut Vec<Alarm>) {
    let name = text(&carrier["carrier"]);
    let binds = list(&carrier["binds"]);
    let down: Vec<&Value> = binds.iter().filter(|bind| bind["state"] != "up").collect();
    let waiting: f64 = carrier["waiting"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_f64()).sum();
    let wanted = down.iter().all(|bind| bind["state"] == "down");
    if !down.is_empty() {
        let longest = down.iter().filter_map(|bind| age_s(look, &bind["since_ms"])).fold(0.0, f64::max);
        let which = if down.len() == binds.len() { "all".to_owned() } else { down.len().to_string() };
        let failure = down.iter().find_map(|bind| bind["failure"].as_str()).map_or(String::new(), |failure| format!(", {failure}"));
        let of = counted(binds.len() as u64, "bind", "binds");
        let what = format!("{name}: {which} of {of} down for {}{failure}", seconds(longest));
        let (severity, hint) = match (wanted, down.len() == binds.len()) {
            (true, _) => (Severity::Note, "an operator wants it so; hongyan rebind"),
            (false, true) => (Severity::Critical, "network, password, the carrier's side: see the log"),
            (false, false) => (Severity::Warning, "network, the carrier's limit of binds: see the log"),
        };
        push(found, severity, what, hint);
    } else if waiting > 0.0 && carrier["usable"] == Value::Bool(false) {
        push(found, Severity::Warning, format!("{name}: {waiting} wait and it takes nothing"), "paused, drained or rate 0? i shows it");
    }
    let all = looks.minute(|look| answers(look, &name, ""));
    if all >= ANSWERS_MIN {
        for (outcome, most, hint) in [
            ("throttled", THROTTLED_SHARE, "the rate is above what it allows: hongyan limit"),
            ("in_doubt", DOUBT_SHARE, "it answers late or not: its side, the network"),
        ] {
            let share = looks.minute(|look| answers(look, &name, outcome)) / all;
            if share > most {
                let what = format!("{name}: {:.1} % of its answers {}", share * 100.0, outcome.replace('_', " "));
                push(found, Severity::Warning, what, hint);
            }
        }
    }
    let health = text(&carrier["health"]);
    if health == "out" || health == "probing" {
        let what = format!("{name}: taken out of routing ({}), {health}", text(&carrier["health_cause"]));
        push(found, Severity::Warning, what, "it comes back by itself; messages with another carrier avoid it");
    }
}

fn of_lane(look: &Look, lane: &Value, found: &mut Vec<Alarm>) {
    let class = text(&lane["class"]);
    let most = OLDEST_S.iter().find(|(name, _)| *name == class).map_or(f64::INFINITY, |(_, s)| *s);
    if let Some(age) = age_s(look, &lane["oldest_ms"]).filter(|&age| age > most) {
        let severity = if class == "otp" { Severity::Critical } else { Severity::Warning };
        let (carrier, account) = (text(&lane["carrier"]), text(&lane["account"]));
        let what = format!("{carrier}: {class} of {account} waits for {} ({})", seconds(age), text(&lane["waits_on"]));
        push(found, severity, what, "see what it waits on; reroute or raise the limit");
    }
}

fn of_account(account: &Value, found: &mut Vec<Alarm>) {
    let name = text(&account["account"]);
    let (waiting, room) = (number(account, &["waiting"]), number(account, &["max_waiting"]));
    if room > 0.0 && waiting >= room * ROOM_SHARE {
        push(found, Severity::Warning, format!("{name}: {waiting} of {room} may wait"), "beyond it its messages are refused");
    }
    let receivers = list(&account["binds"]).iter().filter(|bind| bind["kind"] != "tx").count();
    let outbox = number(account, &["outbox"]);
    if outbox > 0.0 && receivers == 0 {
        push(
            found,
            Severity::Note,
            format!("{name}: {}, nobody is bound to take them", counted(outbox as u64, "receipt waits", "receipts wait")),
            "its client must bind as rx or trx",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn looks(of: &[(u64, Value, Value)]) -> Looks {
        let mut looks = Looks::default();
        for (s, status, carriers) in of {
            let mut status = status.clone();
            status["now_ms"] = json!(1_790_000_000_000u64 + s * 1000);
            status["uptime_s"] = json!(s);
            looks.push(Look { at_s: *s as f64, status, carriers: carriers.clone(), ..Look::default() });
        }
        looks
    }

    fn carrier(state: &str, sent: u64, throttled: u64) -> Value {
        json!([{ "carrier": "north", "usable": true, "waiting": {}, "health": "well", "answers": { "sent": sent, "throttled": throttled },
            "binds": [{ "bind": 0, "state": "up", "since_ms": 1_790_000_000_000u64 }, { "bind": 1, "state": state, "since_ms": 1_790_000_000_000u64 }] }])
    }

    fn told(looks: &Looks) -> Vec<(Severity, String)> {
        alarms(looks).into_iter().map(|alarm| (alarm.severity, alarm.what)).collect()
    }

    #[test]
    fn a_gateway_that_is_well_has_no_alarms() {
        assert_eq!(told(&looks(&[(1, json!({ "lost": 0, "disk": "ok" }), carrier("up", 0, 0))])), []);
        assert_eq!(told(&Looks::default()), []);
    }

    #[test]
    fn lost_messages_come_first_and_a_bind_that_an_operator_took_down_is_only_noted() {
        let status = json!({ "lost": 2, "disk": "ok", "changes": 1, "held": 7 });
        let told = told(&looks(&[(5, status, carrier("down", 0, 0))]));
        assert_eq!(told[0], (Severity::Critical, "conservation: 2 messages are lost".to_owned()));
        assert!(told[1..].iter().all(|(severity, _)| *severity == Severity::Note), "{told:?}");
        assert!(told.iter().any(|(_, what)| what == "north: 1 of 2 binds down for 5.0 s"), "{told:?}");
    }

    #[test]
    fn throttling_counts_above_a_hundredth_of_a_minutes_answers_and_only_if_there_are_enough() {
        let status = json!({ "lost": 0, "disk": "ok" });
        let of = |sent, throttled| looks(&[(1, status.clone(), carrier("up", 0, 0)), (9, status.clone(), carrier("up", sent, throttled))]);
        assert_eq!(told(&of(980, 20)), [(Severity::Warning, "north: 2.0 % of its answers throttled".to_owned())]);
        assert_eq!((told(&of(995, 5)), told(&of(50, 20))), (vec![], vec![]));
        let silent = looks(&[(1, status.clone(), carrier("up", 0, 0)), (9, status, carrier("connecting", 0, 0))]);
        assert!(told(&silent)[0].1.starts_with("north: 1 of 2 binds down"), "{:?}", told(&silent));
    }

    #[test]
    fn an_old_lane_a_full_account_and_receipts_without_a_receiver_are_told() {
        let mut looks = Looks::default();
        let lanes = json!([
            { "carrier": "north", "class": "otp", "account": "shop", "oldest_ms": 1_790_000_000_000u64, "waits_on": "permits" },
            { "carrier": "north", "class": "marketing", "account": "shop", "oldest_ms": 1_790_000_000_000u64, "waits_on": "permits" },
        ]);
        let accounts = json!([{ "account": "shop", "waiting": 95, "max_waiting": 100, "outbox": 3, "binds": [{ "kind": "tx" }] }]);
        let status = json!({ "now_ms": 1_790_000_020_000u64, "disk": "ok" });
        looks.push(Look { status, lanes, accounts, ..Look::default() });
        let told: Vec<String> = alarms(&looks).into_iter().map(|alarm| alarm.what).collect();
        let expected = [
            "north: otp of shop waits for 20 s (permits)",
            "shop: 95 of 100 may wait",
            "shop: 3 receipts wait, nobody is bound to take them",
        ];
        assert_eq!(told, expected, "marketing may be twenty seconds old");
    }
}
