//! The rows of the three panels, as text by column, from the looks. Which columns stand where is for `draw`.

use super::super::tables::{carrier_standing, list, text};
use super::look::{Look, Looks, accepted, age_s, answers, number, seconds, short};
use serde_json::{Map, Value, json};

/// The panels that a row may stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Panel {
    /// Carriers with their binds.
    #[default]
    Carriers,
    /// Lanes.
    Lanes,
    /// Accounts with their sessions' count.
    Accounts,
}

/// How a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Well,
    /// Somebody wanted it so, or it is beside the point.
    Dim,
    /// Not as it should.
    Bad,
}

/// One row.
#[derive(Debug, Clone)]
pub struct Row {
    /// The same from look to look.
    pub key: String,
    /// One for each of the panel's columns.
    pub cells: Vec<String>,
    /// How it stands.
    pub mood: Mood,
    /// What a pause or a drain of it means, as the admin port names it.
    pub scope: Value,
    /// All that is known of it.
    pub value: Value,
}

/// A column: its head, its width, and the width of the screen from which on it is shown.
pub type Column = (&'static str, u16, u16);

/// Columns of each panel.
pub fn columns(panel: Panel) -> &'static [Column] {
    match panel {
        Panel::Carriers => &[
            ("CARRIER", 16, 0),
            ("STATE", 11, 0),
            ("WINDOW", 9, 0),
            ("SENT/S", 6, 0),
            ("LIMIT/S", 8, 0),
            ("THROT", 6, 0),
            ("ANSWER", 7, 0),
            ("WAITING", 7, 0),
            ("P99", 7, 110),
            ("RECEIPT", 7, 110),
            ("REFUSED/S", 9, 110),
            ("DOUBT/S", 7, 110),
            ("SINCE", 7, 110),
            ("WAITS ON", 40, 140),
        ],
        Panel::Lanes => &[
            ("CARRIER", 12, 0),
            ("CLASS", 13, 0),
            ("ACCOUNT", 12, 0),
            ("WAITING", 7, 0),
            ("OLDEST", 7, 0),
            ("PER S", 6, 0),
            ("DRAINS", 7, 0),
            ("CAMPAIGN", 12, 110),
            ("WAITS ON", 24, 95),
        ],
        Panel::Accounts => &[
            ("ACCOUNT", 24, 0),
            ("BINDS", 5, 0),
            ("IN/S", 6, 0),
            ("LIMIT/S", 8, 0),
            ("WAITING", 13, 0),
            ("DELIVERED", 9, 0),
            ("OUTBOX", 6, 0),
            ("WINDOWS", 12, 90),
        ],
    }
}

/// Metrics that tell how long a carrier's answers and receipts take.
const ANSWER_TIMES: &str = "hongyan_bind_response_seconds";
const RECEIPT_TIMES: &str = "hongyan_receipt_seconds";

/// The rows of a panel.
pub fn rows(panel: Panel, looks: &Looks) -> Vec<Row> {
    let Some(look) = looks.last() else { return Vec::new() };
    match panel {
        Panel::Carriers => list(&look.carriers).iter().flat_map(|carrier| carrier_rows(looks, look, carrier)).collect(),
        Panel::Lanes => {
            let mut rows: Vec<Row> = list(&look.lanes).iter().map(|lane| lane_row(look, lane)).collect();
            rows.sort_by(|a, b| a.key.cmp(&b.key));
            rows
        }
        Panel::Accounts => list(&look.accounts).iter().map(|account| account_row(looks, account)).collect(),
    }
}

/// A pause in force of exactly this.
fn is_paused(look: &Look, scope: &Value) -> bool {
    list(&look.changes).iter().any(|change| change["action"] == "pause" && change["scope"] == *scope)
}

/// An operator wanted it so.
fn is_wanted(standing: &str) -> bool {
    matches!(standing, "paused" | "drained" | "unbound")
}

fn limit(value: &Value) -> String {
    value.as_f64().map_or("-".to_owned(), short)
}

fn carrier_rows(looks: &Looks, look: &Look, carrier: &Value) -> Vec<Row> {
    let name = text(&carrier["carrier"]);
    let scope = json!({ "carrier": name });
    let binds = list(&carrier["binds"]);
    let standing = text(&carrier["standing"]);
    let all = looks.minute(|look| answers(look, &name, ""));
    let throttled = looks.minute(|look| answers(look, &name, "throttled"));
    let rate = |outcome: &'static str| looks.rate(|look| answers(look, &name, outcome));
    let configured = carrier["rate_per_s"].as_f64();
    let allowed = [configured, carrier["allowed_per_s"].as_f64()].into_iter().flatten().reduce(f64::min);
    let times = looks.quantiles(ANSWER_TIMES, Some(("carrier", &name)));
    let receipts = looks.quantiles(RECEIPT_TIMES, Some(("carrier", &name)));
    let waiting: f64 = carrier["waiting"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_f64()).sum();
    // Without a histogram: what is in flight over what is answered a second (Little's law), at the moment.
    let estimate = || {
        let (in_flight, per_s) = (number(carrier, &["in_flight"]), rate(""));
        if per_s > 0.0 && in_flight > 0.0 { format!("~{}", seconds(in_flight / per_s).replace(' ', "")) } else { String::new() }
    };
    let is_whole = standing == "up" && binds.iter().all(|bind| bind["state"] == "up");
    let mut rows = vec![Row {
        key: name.clone(),
        cells: vec![
            name.clone(),
            carrier_standing(carrier),
            format!("{}/{}", carrier["in_flight"], carrier["window"]),
            short(rate("sent")),
            allowed.map_or("-".to_owned(), short),
            if all > 0.0 { format!("{:.1}%", throttled / all * 100.0) } else { String::new() },
            times.map_or_else(estimate, |(median, _)| seconds(median)),
            short(waiting),
            times.map_or(String::new(), |(_, most)| seconds(most)),
            receipts.map_or(String::new(), |(median, _)| seconds(median)),
            short(rate("later") + rate("elsewhere") + rate("never")),
            short(rate("in_doubt")),
            String::new(),
            text(&carrier["waits_on"]),
        ],
        mood: match standing.as_str() {
            wanted if is_wanted(wanted) => Mood::Dim,
            _ if is_whole => Mood::Well,
            _ => Mood::Bad,
        },
        scope,
        value: carrier.clone(),
    }];
    rows.extend(binds.iter().map(|bind| bind_row(look, &name, bind)));
    rows
}

fn bind_row(look: &Look, carrier: &str, bind: &Value) -> Row {
    let scope = json!({ "carrier": carrier, "bind": bind["bind"] });
    let standing = text(&bind["standing"]);
    let mood = match standing.as_str() {
        "up" => Mood::Well,
        wanted if is_wanted(wanted) => Mood::Dim,
        _ => Mood::Bad,
    };
    let mut cells = vec![String::new(); columns(Panel::Carriers).len()];
    cells[0] = format!(" {carrier}/{} {}", bind["bind"], text(&bind["kind"]));
    cells[1] = standing;
    cells[2] = format!("{}/{}", bind["in_flight"], bind["window"]);
    cells[12] = age_s(look, &bind["since_ms"]).map_or(String::new(), seconds);
    Row { key: format!("{carrier}/{}", bind["bind"]), cells, mood, scope, value: bind.clone() }
}

fn lane_row(look: &Look, lane: &Value) -> Row {
    let mut scope = Map::new();
    for key in ["carrier", "class", "account", "campaign"] {
        if lane[key].as_str().is_some_and(|name| !name.is_empty()) {
            scope.insert(key.to_owned(), lane[key].clone());
        }
    }
    let (on_disk, waits_on) = (number(lane, &["on_disk"]), text(&lane["waits_on"]));
    let waiting = number(lane, &["in_memory"]) + on_disk;
    let oldest = age_s(look, &lane["oldest_ms"]);
    let class = text(&lane["class"]);
    let slow = class != "marketing" && oldest.is_some_and(|age| age > 60.0);
    Row {
        key: ["carrier", "class", "account", "campaign"].map(|key| text(&lane[key])).join(" "),
        cells: vec![
            text(&lane["carrier"]),
            class,
            text(&lane["account"]),
            short(waiting),
            oldest.map_or(String::new(), seconds),
            short(number(lane, &["per_s"])),
            lane["drains_in_s"].as_f64().map_or("-".to_owned(), seconds),
            text(&lane["campaign"]),
            waits_on,
        ],
        mood: if slow { Mood::Bad } else { Mood::Well },
        scope: Value::Object(scope),
        value: lane.clone(),
    }
}

fn account_row(looks: &Looks, account: &Value) -> Row {
    let name = text(&account["account"]);
    let scope = json!({ "account": name });
    let windows: Vec<String> = list(&account["binds"]).iter().map(|bind| text(&bind["window"])).collect();
    let paused = looks.last().is_some_and(|look| is_paused(look, &scope));
    Row {
        key: name.clone(),
        cells: vec![
            if paused { format!("{name} (paused)") } else { name.clone() },
            text(&account["sessions"]),
            short(looks.rate(|look| accepted(look, &name))),
            limit(&account["rate_per_s"]),
            format!("{}/{}", short(number(account, &["waiting"])), short(number(account, &["max_waiting"]))),
            short(number(account, &["states", "delivered"])),
            text(&account["outbox"]),
            windows.join(" "),
        ],
        mood: if paused { Mood::Dim } else { Mood::Well },
        scope,
        value: account.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_how_a_carrier_or_bind_stands_and_what_an_operator_wanted_is_dim() {
        let look = Look {
            carriers: json!([{ "carrier": "north", "standing": "up", "usable": true, "waiting": {}, "health": "well", "in_flight": 0, "window": 20, "answers": {},
                "binds": [{ "bind": 0, "kind": "trx", "standing": "up", "state": "up", "in_flight": 0, "window": 10 },
                          { "bind": 1, "kind": "trx", "standing": "drained", "state": "up", "in_flight": 0, "window": 10 }] }]),
            ..Look::default()
        };
        let mut looks = Looks::default();
        looks.push(look);
        let rows = rows(Panel::Carriers, &looks);
        let states: Vec<(&str, &str)> = rows.iter().map(|row| (row.key.as_str(), row.cells[1].as_str())).collect();
        assert_eq!(states, [("north", "2/2 up"), ("north/0", "up"), ("north/1", "drained")]);
        assert!(rows.iter().all(|row| row.cells.len() == columns(Panel::Carriers).len()));
        assert_eq!((&rows[2].scope, rows[2].mood), (&json!({ "carrier": "north", "bind": 1 }), Mood::Dim));
    }

    #[test]
    fn a_lane_is_paused_by_all_that_names_it() {
        let lane = json!({ "carrier": "north", "class": "otp", "account": "shop", "campaign": "", "in_memory": 2, "on_disk": 0 });
        let row = lane_row(&Look::default(), &lane);
        assert_eq!((row.scope, row.cells.len()), (json!({ "carrier": "north", "class": "otp", "account": "shop" }), 9));
        assert_eq!(row.cells[6], "-", "nobody can say when it will be empty");
    }
}
