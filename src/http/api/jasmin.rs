//! Jasmin's door: `GET` and `POST /send`, as its HTTP API describes it: `Success "ID"` or `Error "why"`; and `/rate`, `/balance` and `/ping`. Reports go to `dlr-url` by `dlr-method`, for
//! `dlr-level`: 1 tells what the carrier said when it was handed the message, 2 what it reported later, 3 both.

use super::Api;
use super::forms::{Denied, Fields, Form, Wish, by_password, drafts, hand_in};
use crate::engine::look::{Look, View};
use crate::http::foretell::foretell;
use crate::http::hooks::{JASMIN_BY_GET, JASMIN_FINAL};
use crate::link::accounts::AccountEntry;
use crate::link::translate::item::Shape;
use crate::model::Report;
use crate::model::notes::{Callback, CallbackForm};
use crate::smpp::time;
use crate::text::choose::Wanted;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;

/// What Jasmin knows; anything else is refused, as there.
const KNOWN: [&str; 17] = [
    "username",
    "password",
    "to",
    "from",
    "content",
    "hex-content",
    "coding",
    "priority",
    "sdt",
    "schedule_delivery_time",
    "validity-period",
    "dlr",
    "dlr-url",
    "dlr-level",
    "dlr-method",
    "tags",
    "custom_tlvs",
];

fn said(status: StatusCode, words: String) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], words).into_response()
}

fn error(status: StatusCode, words: &str) -> Response {
    said(status, format!("Error \"{}\"", words.replace('"', "'")))
}

/// What is wrong with one argument.
struct Bad(&'static str);

/// A value that `read` takes; `None`: it isn't there.
fn value<T>(fields: &Fields, name: &'static str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Bad> {
    fields.text(&[name]).map(|text| read(&text).ok_or(Bad(name))).transpose()
}

/// What is to be sent: a text, or octets in the coding.
enum Content {
    Text(String),
    Octets(Vec<u8>),
}

/// As Jasmin has it, `hex-content` and what is not in coding 0 are octets in their coding. `content` that is UTF-8 nevertheless, and no UTF-16, is taken
/// for the text that it is.
fn content_of(fields: &Fields, coding: u8) -> Result<Content, Bad> {
    if let Some(hex) = fields.text(&["hex-content"]) {
        let bad = || Bad("hex-content");
        if hex.len() % 2 != 0 || !hex.is_ascii() {
            return Err(bad());
        }
        let octet = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).map_err(|_| bad());
        return (0..hex.len()).step_by(2).map(octet).collect::<Result<Vec<u8>, Bad>>().map(Content::Octets);
    }
    let octets = fields.octets(&["content"]).unwrap_or_default();
    let is_plain = |text: &&str| coding != 8 || !text.bytes().any(|octet| octet < b' ' && !matches!(octet, b'\t' | b'\n' | b'\r'));
    match std::str::from_utf8(octets).ok().filter(is_plain) {
        Some(text) if matches!(coding, 0 | 1 | 3 | 8) => Ok(Content::Text(text.to_owned())),
        _ if coding == 0 => Err(Bad("content")),
        _ => Ok(Content::Octets(octets.to_vec())),
    }
}

fn wish<'a>(fields: &Fields, from: &'a str, text: &'a str, coding: u8, now_ms: u64) -> Result<Wish<'a>, Bad> {
    let upto = |most: u64| move |text: &str| text.parse().ok().filter(|value: &u64| *value <= most);
    let schedule = |text: &str| time::parse(text.as_bytes()).ok()?.and_then(|at| at.at(now_ms));
    let sdt = value(fields, "sdt", schedule)?.or(value(fields, "schedule_delivery_time", schedule)?);
    let due_ms = sdt.filter(|&at| at > now_ms).unwrap_or(0);
    let validity_m = value(fields, "validity-period", upto(366 * 24 * 60))?;
    let mut wish = Wish { due_ms, priority: value(fields, "priority", upto(3))?.unwrap_or(0) as u8, ..Wish::of(from, text) };
    wish.expires_ms = validity_m.map_or(0, |minutes| due_ms.max(now_ms) + minutes.max(1) * 60_000);
    wish.encoding = match coding {
        8 => Wanted::Ucs2,
        3 => Wanted::Latin1,
        _ => Wanted::Auto,
    };
    if let Some(tags) = fields.text(&["tags"]) {
        wish.tags = tags.split(',').map(|tag| tag.trim().into()).collect();
    }
    let asked = value(fields, "dlr", |text| ["no", "yes"].iter().position(|word| text.eq_ignore_ascii_case(word)))?;
    let level = value(fields, "dlr-level", |text| text.parse().ok().filter(|level| (1..=3).contains(level)))?.unwrap_or(1u8);
    let method = value(fields, "dlr-method", |text| ["POST", "GET"].iter().position(|word| text.eq_ignore_ascii_case(word)))?;
    // As Jasmin has it, dlr=yes is what an address or a level says too, whatever dlr says.
    let is_asked = asked == Some(1) || fields.octets(&["dlr-url", "dlr-level"]).is_some();
    if let (true, Some(url)) = (is_asked, fields.text(&["dlr-url"])) {
        // That the carrier refused it is a failure at level 1 too.
        wish.report = Report { on_success: level & JASMIN_FINAL != 0, on_failure: true, intermediate: false };
        let mask = level | if method == Some(1) { JASMIN_BY_GET } else { 0 };
        wish.callback = Some(Callback { form: CallbackForm::Jasmin, mask, url: url.into() });
    }
    Ok(wish)
}

/// Whose request it is, or status and words.
async fn caller(api: &Api, fields: &Fields, peer: IpAddr) -> Result<Arc<AccountEntry>, (StatusCode, String)> {
    let [user, password] = ["username", "password"].map(|name| fields.octets(&[name]).unwrap_or_default());
    by_password(api, "jasmin", user, password, peer).await.map_err(|denied| match denied {
        Denied::Busy => (StatusCode::SERVICE_UNAVAILABLE, "Too many authentications at once, try again".to_owned()),
        Denied::Wrong => (StatusCode::FORBIDDEN, format!("Authentication failure for username:{}", String::from_utf8_lossy(user))),
    })
}

/// An answer of `/rate` and `/balance`; what is wrong is told as a JSON text.
fn told(answer: Result<Value, (StatusCode, String)>) -> Response {
    match answer {
        Ok(told) => Json(told).into_response(),
        Err((status, words)) => (status, Json(Value::from(words))).into_response(),
    }
}

/// Thousandths as the decimal that Jasmin counts in.
fn credits(thousandths: i64) -> f64 {
    thousandths as f64 / 1000.0
}

/// `GET /ping`.
pub(super) async fn ping() -> &'static str {
    "Jasmin/PONG"
}

/// `GET /balance`: `ND` where nothing is counted.
pub(super) async fn balance(State(api): State<Api>, Form { fields, peer }: Form) -> Response {
    let look = async || {
        let account = caller(&api, &fields, peer).await?;
        let view = api.look(Look::Balance(account.settings.name.clone())).await;
        let View::Balance(view) = view.map_err(|problem| (StatusCode::SERVICE_UNAVAILABLE, problem.detail.into_string()))? else {
            return Err((StatusCode::INTERNAL_SERVER_ERROR, "Unknown error".to_owned()));
        };
        let balance = view.limit.map_or(json!("ND"), |_| json!(credits(view.balance.available)));
        Ok(json!({ "balance": balance, "sms_count": "ND" }))
    };
    told(look().await)
}

/// `GET /rate`: what such a message would cost; without a text one segment is meant.
pub(super) async fn rate(State(api): State<Api>, Form { fields, peer }: Form) -> Response {
    let look = async || {
        let wrong = |words: String| (StatusCode::BAD_REQUEST, words);
        let account = caller(&api, &fields, peer).await?;
        let to = fields.text(&["to"]).ok_or_else(|| wrong("Mandatory argument [to] is not found.".to_owned()))?;
        let (from, text) = (fields.text(&["from"]).unwrap_or_default(), fields.text(&["content"]));
        let made = drafts(&api, &account, &[&to], &Wish::of(&from, text.as_deref().unwrap_or("x")));
        let made = made.into_iter().map(|draft| draft.map(Some));
        let (sums, each) = foretell(&api.operator, account.id, made).await.map_err(|problem| wrong(problem.detail.into_string()))?;
        if let Some(Err((fault, _))) = each.into_iter().next() {
            return Err(match fault.code {
                "no_route" => (StatusCode::PRECONDITION_FAILED, "No route found".to_owned()),
                _ => wrong(format!("Argument [{}] has an invalid value: {}.", fault.field, fault.what)),
            });
        }
        let segments = sums.segments.max(1);
        let unit = sums.charge.map_or(0.0, |charge| credits(charge as i64) / segments as f64);
        Ok(json!({ "unit_rate": unit, "submit_sm_count": segments }))
    };
    told(look().await)
}

pub(super) async fn send(State(api): State<Api>, form: Form) -> Response {
    let Form { fields, peer } = form;
    if let Some(name) = fields.names().find(|name| !KNOWN.contains(name)) {
        return error(StatusCode::BAD_REQUEST, &format!("Argument [{name}] is unknown."));
    }
    for name in ["username", "password", "to"] {
        if fields.octets(&[name]).is_none() {
            return error(StatusCode::BAD_REQUEST, &format!("Mandatory argument [{name}] is not found."));
        }
    }
    match ["content", "hex-content"].map(|name| fields.octets(&[name]).is_some()) {
        [false, false] => return error(StatusCode::BAD_REQUEST, "content or hex-content not present."),
        [true, true] => return error(StatusCode::BAD_REQUEST, "content and hex-content cannot be used both in same request."),
        _ => {}
    }
    let account = match caller(&api, &fields, peer).await {
        Ok(account) => account,
        Err((status, words)) => return error(status, &words),
    };
    let (from, to) = (fields.text(&["from"]).unwrap_or_default(), fields.text(&["to"]).unwrap_or_default());
    let read = || -> Result<(u8, Content), Bad> {
        if fields.octets(&["custom_tlvs"]).is_some() {
            return Err(Bad("custom_tlvs"));
        }
        let coding = value(&fields, "coding", |text| text.parse().ok().filter(|coding| matches!(coding, 0..=10 | 13 | 14)))?.unwrap_or(0);
        Ok((coding, content_of(&fields, coding)?))
    };
    let bad = |Bad(name): Bad| {
        let value = if name.ends_with("content") { "..".into() } else { fields.text(&[name]).unwrap_or_default() };
        error(StatusCode::BAD_REQUEST, &format!("Argument [{name}] has an invalid value: [{value}]."))
    };
    let (coding, content) = match read() {
        Ok(read) => read,
        Err(what) => return bad(what),
    };
    let (text, shape) = match &content {
        Content::Text(text) => (text.as_str(), Shape::default()),
        Content::Octets(octets) => ("", Shape { octets: Some(octets), data_coding: coding, ..Shape::default() }),
    };
    let wish = match wish(&fields, &from, text, coding, api.submissions.now().wall_ms) {
        Ok(wish) => Wish { shape, ..wish },
        Err(what) => return bad(what),
    };
    match hand_in(&api, &account, &[&to], &wish).await.map(|mut handed| handed.pop()) {
        Ok(Some(Ok(taken))) => said(StatusCode::OK, format!("Success \"{}\"", taken.message)),
        Ok(Some(Err((fault, retry)))) => match fault.code {
            "no_route" => error(StatusCode::PRECONDITION_FAILED, "No route found"),
            "no_credit" => error(StatusCode::FORBIDDEN, "Cannot charge submit_sm, check username balance"),
            "throttled" => error(StatusCode::FORBIDDEN, "User throughput exceeded"),
            _ if retry => error(StatusCode::SERVICE_UNAVAILABLE, &fault.what),
            "callback" => bad(Bad("dlr-url")),
            _ => {
                let has_hex = fields.octets(&["hex-content"]).is_some();
                let field = match fault.field {
                    "text" if has_hex => "hex-content",
                    "text" => "content",
                    field => field,
                };
                error(StatusCode::BAD_REQUEST, &format!("Argument [{field}] has an invalid value: {}.", fault.what))
            }
        },
        _ => error(StatusCode::SERVICE_UNAVAILABLE, "Cannot send submit_sm, try again"),
    }
}
