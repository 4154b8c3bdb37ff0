//! What the admin port answers, as tables for people.

use super::counts::counted;
use serde_json::Value;

/// Columns, the first of them to the left; the last one is as long as it likes.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).chain([head[at].chars().count()]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rows = rows.iter().map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(line(head.to_vec())).chain(rows).collect()
}

pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Counts that are not 0: `otp 3, marketing 12`.
fn counts(value: &Value) -> String {
    let counts = value.as_object().into_iter().flatten().filter(|(_, count)| count.as_u64() != Some(0));
    counts.map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}

fn rate(value: &Value) -> String {
    match value.as_u64() {
        None => "no limit".to_owned(),
        Some(0) => "0: paused".to_owned(),
        Some(rate) => format!("{rate}/s"),
    }
}

/// A wall time, local.
pub(super) fn time(value: &Value) -> String {
    let at = value.as_i64().filter(|&ms| ms > 0).and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or(String::new(), |at| at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// A scope in one line: `carrier north, class marketing`.
pub(super) fn scope(value: &Value) -> String {
    let conditions = value.as_object().into_iter().flatten();
    let told: Vec<String> = conditions.map(|(name, value)| format!("{name} {}", text(value))).collect();
    if told.is_empty() { "everything".to_owned() } else { told.join(", ") }
}

/// What a change is about.
fn about(change: &Value) -> String {
    let to = change["to"].as_str().map_or(String::new(), |to| format!(" to {to}"));
    let unbind = if change["then_unbind"] == Value::Bool(true) { ", then unbind" } else { "" };
    match change.get("limit") {
        Some(limit) => scope(limit),
        None => format!("{}{to}{unbind}", scope(&change["scope"])),
    }
}

/// A change in one line.
pub(super) fn change(change: &Value) -> String {
    let until = time(&change["until_ms"]);
    let until = if until.is_empty() { String::new() } else { format!(", until {until}") };
    let reason = text(&change["reason"]);
    let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    format!("{} {}: {}{until}{reason}", text(&change["action"]), text(&change["id"]), about(change))
}

/// How a carrier stands: while it is up, with how many of its binds.
pub(super) fn carrier_standing(carrier: &Value) -> String {
    let binds = list(&carrier["binds"]);
    match carrier["standing"].as_str() {
        Some("up") => format!("{}/{} up", binds.iter().filter(|bind| bind["state"] == "up").count(), binds.len()),
        standing => standing.unwrap_or_default().to_owned(),
    }
}

/// A carrier that isn't up, or not whole, in one line: `north: down since ... (127.0.0.1:2776: Connection refused); 12 messages wait there`.
fn not_up(carrier: &Value) -> String {
    let standing = match carrier["standing"].as_str() {
        Some("up") => format!("{} of {} binds up", carrier["binds_up"], carrier["binds"]),
        standing => standing.unwrap_or_default().to_owned(),
    };
    let since = time(&carrier["since_ms"]);
    let since = if since.is_empty() { since } else { format!(" since {since}") };
    let cause = carrier["cause"].as_str().map_or(String::new(), |cause| format!(" ({cause})"));
    let waiting = match carrier["waiting"].as_u64() {
        Some(0) | None => "nothing waits there".to_owned(),
        Some(waiting) => counted(waiting, "message waits there", "messages wait there"),
    };
    format!("{}: {standing}{since}{cause}; {waiting}", text(&carrier["carrier"]))
}

pub(super) fn status(value: &Value) -> Vec<String> {
    let stopping = if value["stopping"] == Value::Bool(true) { ", stopping" } else { "" };
    let row = |name: &str, what: String| format!("{name:<10} {what}");
    let troubled = list(&value["carriers_not_up"]);
    let (carriers, well) = (value["carriers"].as_u64().unwrap_or(0), value["carriers"].as_u64().unwrap_or(0) - troubled.len() as u64);
    let all = match well == carriers {
        true => format!("all {carriers} up"),
        false => format!("{well} of {carriers} up"),
    };
    let mut lines =
        vec![row("gateway", format!("node {}, version {}, up {} s{stopping}", value["node"], text(&value["version"]), value["uptime_s"]))];
    lines.push(row("carriers", all));
    lines.extend(troubled.iter().map(|carrier| row("", not_up(carrier))));
    lines.extend([
        row("accepted", value["accepted"].to_string()),
        row("states", counts(&value["states"])),
        row("lost", value["lost"].to_string()),
        row("on disk", format!("{} out of memory", messages(&value["on_disk"]))),
        row(
            "held",
            format!("{} by {} in force", messages(&value["held"]), counted(value["changes"].as_u64().unwrap_or(0), "change", "changes")),
        ),
        row("journal", format!("{} octets, disk {}", value["journal_bytes"], text(&value["disk"]))),
        row("receipts", format!("{} parked", value["parked_receipts"])),
    ]);
    lines
}

fn messages(value: &Value) -> String {
    counted(value.as_u64().unwrap_or(0), "message", "messages")
}

pub(super) fn carriers(value: &Value) -> Vec<String> {
    let mut rows = Vec::new();
    for carrier in list(value) {
        let window = format!("{}/{}", carrier["in_flight"], carrier["window"]);
        rows.push(vec![
            text(&carrier["carrier"]),
            carrier_standing(carrier),
            String::new(),
            window,
            rate(&carrier["rate_per_s"]),
            carrier["allowed_per_s"].as_f64().map_or(String::new(), |rate| format!("{rate:.0}/s")),
            text(&carrier["health"]),
            counts(&carrier["answers"]),
            counts(&carrier["waiting"]),
            text(&carrier["waits_on"]),
        ]);
        for bind in list(&carrier["binds"]) {
            rows.push(vec![
                format!("  {}/{} {}", text(&carrier["carrier"]), bind["bind"], text(&bind["kind"])),
                text(&bind["standing"]),
                time(&bind["since_ms"]),
                format!("{}/{}", bind["in_flight"], bind["window"]),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
                text(&bind["failure"]),
            ]);
        }
    }
    table(&["CARRIER", "STATE", "SINCE", "WINDOW", "RATE", "ALLOWED", "HEALTH", "ANSWERS", "WAITING", "WAITS ON"], &rows)
}

pub(super) fn accounts(value: &Value) -> Vec<String> {
    let mut rows = Vec::new();
    for account in list(value) {
        rows.push(vec![
            text(&account["account"]),
            counted(account["sessions"].as_u64().unwrap_or(0), "bind", "binds"),
            String::new(),
            rate(&account["rate_per_s"]),
            format!("{}/{}", account["waiting"], account["max_waiting"]),
            text(&account["outbox"]),
        ]);
        for session in list(&account["binds"]) {
            rows.push(vec![
                format!("  {} {}", session["session"], text(&session["kind"])),
                text(&session["peer"]),
                time(&session["since_ms"]),
                format!("window {}", session["window"]),
                String::new(),
                String::new(),
            ]);
        }
    }
    table(&["ACCOUNT", "SESSIONS", "SINCE", "RATE", "WAITING", "OUTBOX"], &rows)
}

pub(super) fn lanes(value: &Value) -> Vec<String> {
    let row = |lane: &Value| {
        let drains = lane["drains_in_s"].as_f64().map_or("-".to_owned(), |s| format!("{s:.0} s"));
        vec![
            text(&lane["carrier"]),
            text(&lane["class"]),
            text(&lane["account"]),
            text(&lane["campaign"]),
            text(&lane["in_memory"]),
            text(&lane["on_disk"]),
            time(&lane["oldest_ms"]),
            format!("{:.1}", lane["per_s"].as_f64().unwrap_or(0.0)),
            drains,
            text(&lane["waits_on"]),
        ]
    };
    if list(value).is_empty() {
        return vec!["nothing waits in any lane".to_owned()];
    }
    let head = ["CARRIER", "CLASS", "ACCOUNT", "CAMPAIGN", "IN MEMORY", "ON DISK", "OLDEST", "PER S", "DRAINS IN", "WAITS ON"];
    table(&head, &list(value).iter().map(row).collect::<Vec<_>>())
}

pub(super) fn changes(value: &Value) -> Vec<String> {
    let progress = |change: &Value| {
        let told = [("held", "kept back"), ("ended", "ended"), ("left", "to look at")];
        let mut told: Vec<String> = told.iter().filter_map(|(key, word)| change.get(*key).map(|count| format!("{count} {word}"))).collect();
        if let Some(empty) = change.get("empty") {
            told.push(if *empty == Value::Bool(true) { "empty" } else { "in flight" }.to_owned());
        }
        told.join(", ")
    };
    let row = |change: &Value| {
        vec![
            text(&change["id"]),
            text(&change["action"]),
            about(change),
            time(&change["at_ms"]),
            time(&change["until_ms"]),
            text(&change["who"]),
            progress(change),
            text(&change["reason"]),
        ]
    };
    if list(value).is_empty() {
        return vec!["nothing is changed: the configuration is in force as it stands".to_owned()];
    }
    table(&["ID", "ACTION", "WHAT", "SINCE", "UNTIL", "WHO", "SO FAR", "REASON"], &list(value).iter().map(row).collect::<Vec<_>>())
}

pub(super) fn message(value: &Value) -> Vec<String> {
    let row = |name: &str, what: String| (!what.is_empty()).then(|| format!("{name:<12} {what}"));
    let taken = match value["parts"].is_null() {
        true => String::new(),
        false => format!("{} of {} taken by a carrier", value["parts_taken"], value["parts"]),
    };
    let rows = [
        row("message", text(&value["message"])),
        row("state", text(&value["state"])),
        row("waits on", text(&value["waits_on"])),
        row("account", format!("{}, {}", text(&value["account"]), text(&value["class"]))),
        row("campaign", text(&value["campaign"])),
        row("destination", text(&value["destination"])),
        row("carrier", text(&value["carrier"])),
        row("parts", taken),
        row("attempts", value["attempts"].to_string()),
        row(
            "last status",
            value["last_status"].as_u64().filter(|&status| status > 0).map_or(String::new(), |status| format!("{status:#x}")),
        ),
        row("accepted", time(&value["accepted_ms"])),
        row("due", time(&value["due_ms"])),
        row("expires", time(&value["expires_ms"])),
        row("test", text(&value["test"])),
    ];
    rows.into_iter().flatten().collect()
}

pub(super) fn explained(value: &Value) -> Vec<String> {
    let row = |name: &str, what: String| (!what.is_empty()).then(|| format!("{name:<12} {what}"));
    let list = |name: &str| value[name].as_array().map_or(Vec::new(), |items| items.iter().map(text).collect());
    let bucket = |of: &Value| match of["per_s"].as_f64() {
        Some(per_s) => format!("{}: {per_s:.1}/s, {:.1} there now", text(&of["bucket"]), of["level"].as_f64().unwrap_or(0.0)),
        None => format!("{}: no limit", text(&of["bucket"])),
    };
    let range: Vec<String> = list("range").into_iter().filter(|part: &String| !part.is_empty()).collect();
    let price = value["price"].as_array().map_or(String::new(), |price| format!("{} of {} thousandths of a credit", price[0], price[1]));
    let mut lines: Vec<String> = [
        row("number", text(&value["number"])),
        row("range", range.join(", ")),
        row("text", format!("{}, {}", text(&value["encoding"]), counted(value["segments"].as_u64().unwrap_or(0), "segment", "segments"))),
        row("repeats", text(&value["repeats"])),
        row("price", price),
    ]
    .into_iter()
    .flatten()
    .collect();
    lines.extend(list("rules").into_iter().filter_map(|rule| row("rule", rule)));
    lines.extend(list("route").into_iter().filter_map(|why| row("route", why)));
    lines.extend(row("carrier", text(&value["carrier"])));
    lines.extend(value["buckets"].as_array().into_iter().flatten().filter_map(|of| row("bucket", bucket(of))));
    lines.extend(row("before it", value["before_it"].to_string()));
    lines.extend(row("waits on", value["waits_on"].as_str().unwrap_or("nothing: it would leave at once").to_owned()));
    lines.extend(row("opens", time(&value["opens_ms"])));
    lines
}

/// What a record of the audit says was done.
pub(super) fn audit_record(record: &Value) -> String {
    match record["event"].as_str() {
        Some("began") => format!("{} {}: {}", text(&record["action"]), record["id"], about(record)),
        Some("ended") => {
            let ids = list(&record["ids"]).iter().map(text).collect::<Vec<_>>().join(", ");
            format!("lifted {ids}")
        }
        Some("topped_up") => {
            let change = super::balance::credits(record["change"].as_i64().unwrap_or(0));
            format!("top-up of {} by {change} ({})", text(&record["account"]), text(&record["reference"]))
        }
        _ => text(&record["what"]),
    }
}

pub(super) fn audit(value: &Value) -> Vec<String> {
    let row = |record: &Value| vec![time(&record["at_ms"]), text(&record["who"]), audit_record(record), text(&record["reason"])];
    table(&["WHEN", "WHO", "WHAT", "REASON"], &list(value).iter().map(row).collect::<Vec<_>>())
}

/// What a reload changes.
pub(super) fn difference(value: &Value) -> Vec<String> {
    let side = |value: Option<&Value>| value.map_or("(absent)".to_owned(), text);
    let lines = |list: &[Value]| -> Vec<String> {
        list.iter().map(|d| format!("  {}: {} -> {}", text(&d["key"]), side(d.get("before")), side(d.get("after")))).collect()
    };
    let (changes, restart) = (list(&value["changes"]), list(&value["needs_restart"]));
    let mut told = Vec::new();
    match changes.is_empty() {
        true => told.push("nothing to put in force differs".to_owned()),
        false => told.push("what differs:".to_owned()),
    }
    told.extend(lines(changes));
    let rebuilt = list(&value["rebuilt"]).iter().map(text).collect::<Vec<_>>().join(", ");
    if !rebuilt.is_empty() {
        told.push(format!("binds that are closed and bind anew: {rebuilt}"));
    }
    if !restart.is_empty() {
        told.push("what needs a restart:".to_owned());
        told.extend(lines(restart));
    }
    told.extend(list(&value["warnings"]).iter().map(|warning| format!("warning: {}", text(warning))));
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_change_is_told_in_one_line() {
        let drain = json!({ "id": 3, "action": "drain", "scope": { "carrier": "north", "bind": 1 }, "then_unbind": true, "reason": "why" });
        assert_eq!(change(&drain), "drain 3: carrier north, bind 1, then unbind (why)");
        let limit = json!({ "id": 4, "action": "limit", "limit": { "account": "shop", "rate_per_s": 0 }, "reason": "" });
        assert_eq!(change(&limit), "limit 4: account shop, rate_per_s 0");
    }

    #[test]
    fn the_status_tells_of_carriers_that_are_not_up_and_what_waits_for_that() {
        let mut value = json!({ "carriers": 2, "carriers_not_up": [], "held": 1, "changes": 2, "on_disk": 0 });
        assert!(status(&value).contains(&"carriers   all 2 up".to_owned()));
        value["carriers_not_up"] =
            json!([{ "carrier": "north", "standing": "down", "binds": 2, "binds_up": 0, "cause": "refused", "waiting": 1 }]);
        let told = status(&value);
        assert_eq!((told[1].as_str(), told[2].trim_start()), ("carriers   1 of 2 up", "north: down (refused); 1 message waits there"));
        assert!(told.contains(&"held       1 message by 2 changes in force".to_owned()), "{told:?}");
        value["carriers_not_up"][0]["standing"] = "up".into();
        value["carriers_not_up"][0]["waiting"] = 0.into();
        assert_eq!(status(&value)[2].trim_start(), "north: 0 of 2 binds up (refused); nothing waits there");
    }

    #[test]
    fn columns_stand_below_each_other() {
        let rows = vec![vec!["a".to_owned(), "long one".to_owned()], vec!["bbb".to_owned(), "x".to_owned()]];
        assert_eq!(table(&["X", "Y"], &rows), ["X    Y", "a    long one", "bbb  x"]);
    }
}
