//! What `top` knows: looks at the gateway one after the other, and what they say together: rates, times, shares. Asks nobody; `poll` does.

use super::super::tables::{list, text};
use serde_json::Value;
use std::collections::VecDeque;

/// Rates are taken over so much time.
const RATE_S: f64 = 5.0;
/// Shares of answers are taken over so much time; older looks are forgotten.
pub const SHARE_S: f64 = 60.0;

/// What the admin port said at one moment.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// When, seconds on any steady clock.
    pub at_s: f64,
    /// `/v1/status`.
    pub status: Value,
    /// `/v1/carriers`.
    pub carriers: Value,
    /// `/v1/accounts`.
    pub accounts: Value,
    /// `/v1/lanes`.
    pub lanes: Value,
    /// `/v1/changes`.
    pub changes: Value,
    /// `/metrics`.
    pub metrics: String,
}

/// The looks of the last minute, newest last.
#[derive(Debug, Default)]
pub struct Looks(VecDeque<Look>);

/// A number at a path of keys.
pub fn number(value: &Value, path: &[&str]) -> f64 {
    path.iter().fold(value, |value, key| &value[*key]).as_f64().unwrap_or(0.0)
}

/// The one of `list` whose `key` is `name`.
pub fn named<'a>(of: &'a Value, key: &str, name: &str) -> Option<&'a Value> {
    list(of).iter().find(|value| value[key].as_str() == Some(name))
}

impl Looks {
    /// Takes the next look. A gateway that was started anew counts from 0, and so do we.
    pub fn push(&mut self, look: Look) {
        if self.0.back().is_some_and(|last| number(&look.status, &["uptime_s"]) < number(&last.status, &["uptime_s"])) {
            self.0.clear();
        }
        let since = look.at_s - SHARE_S;
        self.0.push_back(look);
        while self.0.len() > 2 && self.0[1].at_s <= since {
            self.0.pop_front();
        }
    }

    /// The newest one.
    pub fn last(&self) -> Option<&Look> {
        self.0.back()
    }

    /// The one that is at least so old, or the oldest.
    fn before(&self, age_s: f64) -> Option<&Look> {
        let now = self.last()?.at_s;
        self.0.iter().rev().find(|look| look.at_s <= now - age_s).or_else(|| self.0.front())
    }

    /// How much `count` has grown, and in how many seconds.
    fn grown(&self, age_s: f64, count: impl Fn(&Look) -> f64) -> (f64, f64) {
        let (Some(last), Some(before)) = (self.last(), self.before(age_s)) else { return (0.0, 0.0) };
        ((count(last) - count(before)).max(0.0), last.at_s - before.at_s)
    }

    /// How fast a count grows, a second.
    pub fn rate(&self, count: impl Fn(&Look) -> f64) -> f64 {
        let (grown, seconds) = self.grown(RATE_S, count);
        if seconds > 0.0 { grown / seconds } else { 0.0 }
    }

    /// How much a count has grown in the last minute, or since we look.
    pub fn minute(&self, count: impl Fn(&Look) -> f64) -> f64 {
        self.grown(SHARE_S, count).0
    }

    /// The median and the 99th percentile, seconds, of what a histogram took in of late; `None` if it took in nothing. `label` chooses among its series.
    pub fn quantiles(&self, name: &str, label: Option<(&str, &str)>) -> Option<(f64, f64)> {
        let (last, before) = (self.last()?, self.before(RATE_S)?);
        let mut buckets = buckets(&last.metrics, name, label);
        if !std::ptr::eq(last, before) {
            let old = self::buckets(&before.metrics, name, label);
            for (bound, count) in &mut buckets {
                // A page may leave out buckets that hold no more than the one below.
                let below = old.iter().take_while(|(old, _)| old <= bound).last();
                *count = (*count - below.map_or(0.0, |(_, count)| *count)).max(0.0);
            }
        }
        Some((quantile(&buckets, 0.5)?, quantile(&buckets, 0.99)?))
    }
}

/// Answers of a carrier of this name so far, under `outcome`; all of them if it is empty.
pub fn answers(look: &Look, carrier: &str, outcome: &str) -> f64 {
    let Some(carrier) = named(&look.carriers, "carrier", carrier) else { return 0.0 };
    match outcome {
        "" => carrier["answers"].as_object().into_iter().flatten().filter_map(|(_, count)| count.as_f64()).sum(),
        outcome => number(carrier, &["answers", outcome]),
    }
}

/// Messages of an account so far.
pub fn accepted(look: &Look, account: &str) -> f64 {
    let states = named(&look.accounts, "account", account).and_then(|account| account["states"].as_object());
    states.into_iter().flatten().filter_map(|(_, count)| count.as_f64()).sum()
}

/// Upper bounds and counts (each with all below it) of a histogram's buckets, summed over the series that bear the label.
fn buckets(page: &str, name: &str, label: Option<(&str, &str)>) -> Vec<(f64, f64)> {
    let mut found: Vec<(f64, f64)> = Vec::new();
    let wanted = label.map(|(key, value)| format!("{key}=\"{value}\""));
    for line in page.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with("_bucket{"))) {
        let Some((labels, count)) = line.rsplit_once(' ') else { continue };
        if wanted.as_ref().is_some_and(|wanted| !labels.contains(wanted.as_str())) {
            continue;
        }
        let bound = labels.split("le=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap_or(f64::NAN) };
        let count = count.parse().unwrap_or(0.0);
        match found.iter_mut().find(|(known, _)| *known == bound) {
            Some((_, sum)) => *sum += count,
            None => found.push((bound, count)),
        }
    }
    found.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    found
}

/// The bound below which this share of the values lies, evenly spread within its bucket.
fn quantile(buckets: &[(f64, f64)], share: f64) -> Option<f64> {
    let all = buckets.last()?.1;
    if all <= 0.0 {
        return None;
    }
    let (mut low, mut below) = (0.0, 0.0);
    for &(bound, count) in buckets {
        if count >= share * all {
            // Nobody knows how far the last bucket goes.
            let high = if bound.is_finite() { bound } else { return Some(low) };
            return Some(low + (high - low) * (share * all - below) / (count - below).max(1.0));
        }
        (low, below) = (bound, count);
    }
    Some(low)
}

/// Seconds for people, in at most 6 characters.
pub fn seconds(s: f64) -> String {
    match s {
        0.0 => "0 s".to_owned(),
        s if s < 0.001 => format!("{:.0} us", s * 1e6),
        s if s < 0.01 => format!("{:.1} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 6_000.0 => format!("{:.0} min", s / 60.0),
        s if s < 360_000.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

/// A count or rate in at most 6 characters.
pub fn short(n: f64) -> String {
    match n {
        n if n < 10.0 && n.fract() > 0.0 => format!("{n:.1}"),
        n if n < 99_999.5 => format!("{n:.0}"),
        n if n < 9.995e6 => format!("{:.0}k", n / 1e3),
        n if n < 9.995e9 => format!("{:.0}M", n / 1e6),
        n => format!("{:.0}G", n / 1e9),
    }
}

/// Age of a wall time against the gateway's own clock; `None` if it isn't known.
pub fn age_s(look: &Look, at: &Value) -> Option<f64> {
    let at_ms = at.as_u64().filter(|&ms| ms > 0)?;
    Some((number(&look.status, &["now_ms"]) - at_ms as f64).max(0.0) / 1000.0)
}

/// All that a value says, one line a field, for the inspector: `answers.sent  12`.
pub fn spelt_out(value: &Value) -> Vec<String> {
    let mut fields = Vec::new();
    spell("", value, &mut fields);
    let width = fields.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
    fields.into_iter().map(|(key, value)| format!("{key:<width$}  {value}")).collect()
}

fn spell(key: &str, value: &Value, fields: &mut Vec<(String, String)>) {
    let below = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| spell(&below(name), value, fields)),
        Value::Array(list) if list.iter().any(Value::is_object) => {
            list.iter().enumerate().for_each(|(at, value)| spell(&below(&at.to_string()), value, fields));
        }
        Value::Array(list) => fields.push((key.to_owned(), list.iter().map(text).collect::<Vec<_>>().join(", "))),
        value if key.ends_with("_ms") && number(value, &[]) > 1e12 => {
            fields.push((key.trim_end_matches("_ms").to_owned(), super::super::tables::time(value)));
        }
        value => fields.push((key.to_owned(), text(value))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn look(at_s: f64, uptime_s: u64, accepted: u64, page: &str) -> Look {
        let status = json!({ "uptime_s": uptime_s, "accepted": accepted, "now_ms": 1_790_000_010_000u64 });
        Look { at_s, status, metrics: page.to_owned(), ..Look::default() }
    }

    #[test]
    fn rates_are_taken_over_five_seconds_and_begin_anew_with_the_gateway() {
        let mut looks = Looks::default();
        let accepted = |look: &Look| number(&look.status, &["accepted"]);
        assert_eq!(looks.rate(accepted), 0.0);
        (0..=70u32).for_each(|s| looks.push(look(f64::from(s), u64::from(s) + 9, if s < 60 { 0 } else { u64::from(s - 60) * 100 }, "")));
        assert_eq!((looks.rate(accepted), looks.minute(accepted)), (100.0, 1_000.0));
        assert!(looks.0.len() <= 62, "older looks are forgotten");
        looks.push(look(71.0, 1, 3, ""));
        assert_eq!((looks.rate(accepted), looks.0.len()), (0.0, 1));
    }

    #[test]
    fn quantiles_are_of_what_came_of_late_and_of_the_series_that_is_meant() {
        let page = |fast: u32, slow: u32| {
            format!(
                "# TYPE hongyan_x_seconds histogram\nhongyan_x_seconds_bucket{{carrier=\"a\",le=\"0.1\"}} {fast}\n\
                 hongyan_x_seconds_bucket{{carrier=\"a\",le=\"1\"}} {}\nhongyan_x_seconds_bucket{{carrier=\"a\",le=\"+Inf\"}} {}\n\
                 hongyan_x_seconds_bucket{{carrier=\"b\",le=\"0.1\"}} 900\nhongyan_x_seconds_bucket{{carrier=\"b\",le=\"+Inf\"}} 900\n",
                fast + slow,
                fast + slow
            )
        };
        let mut looks = Looks::default();
        looks.push(look(0.0, 1, 0, &page(1_000, 0)));
        looks.push(look(6.0, 7, 0, &page(1_000, 100)));
        let (median, most) = looks.quantiles("hongyan_x_seconds", Some(("carrier", "a"))).unwrap();
        assert!((median - 0.55).abs() < 1e-9 && most > 0.98, "only the slow ones are new: {median} {most}");
        assert_eq!(looks.quantiles("hongyan_x_seconds", Some(("carrier", "b"))), None, "nothing came");
        assert_eq!(looks.quantiles("hongyan_none", None), None);
    }

    #[test]
    fn figures_are_short() {
        let times = [0.000_25, 0.004, 0.25, 4.0, 65.0, 600.0, 7_200.0, 864_000.0].map(seconds);
        assert_eq!(times, ["250 us", "4.0 ms", "250 ms", "4.0 s", "65 s", "10 min", "2 h", "10 d"]);
        assert_eq!([0.0, 2.5, 99_999.0, 150_000.0, 2e7, 2e10].map(short), ["0", "2.5", "99999", "150k", "20M", "20G"]);
    }

    #[test]
    fn the_inspector_spells_out_every_field() {
        let value = json!({ "a": 1, "since_ms": 1_790_000_000_000u64, "list": ["x", "y"], "rows": [{ "b": null }] });
        let lines = spelt_out(&value);
        assert!(lines[0].ends_with("  1") && lines[1].starts_with("since") && lines[1].contains("2026-"), "{lines:?}");
        assert!(lines[2].ends_with("x, y") && lines[3].starts_with("rows.0.b"), "{lines:?}");
    }
}
