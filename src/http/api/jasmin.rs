//! Jasmin's door: `GET` and `POST /send`, as its HTTP API describes it: `Success "ID"` or `Error "why"`. Reports go to `dlr-url` by `dlr-method`, for
//! `dlr-level` 2 and 3; level 1, which tells that a carrier took the message, is not told.

use super::Api;
use super::forms::{Denied, Fields, Form, Wish, by_password, hand_in};
use crate::http::hooks::{JASMIN_BY_GET, JASMIN_FINAL};
use crate::model::Report;
use crate::model::notes::{Callback, CallbackForm};
use crate::smpp::time;
use crate::text::choose::Wanted;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

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

/// The text, from `content` in UTF-8 or from `hex-content` in its coding.
fn text_of(fields: &Fields, coding: u8) -> Result<String, Bad> {
    let Some(hex) = fields.text(&["hex-content"]) else {
        return String::from_utf8(fields.octets(&["content"]).unwrap_or_default().to_vec()).map_err(|_| Bad("content"));
    };
    let bad = || Bad("hex-content");
    if hex.len() % 2 != 0 || !hex.is_ascii() {
        return Err(bad());
    }
    let octet = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).map_err(|_| bad());
    let octets = (0..hex.len()).step_by(2).map(octet).collect::<Result<Vec<u8>, Bad>>()?;
    match coding {
        8 if octets.len() % 2 == 0 => Ok(crate::text::utf16::decode(&octets)),
        3 => Ok(octets.iter().map(|&octet| octet as char).collect()),
        0 | 1 => Ok(crate::text::gsm7::decode(&octets, crate::text::shift::Shifts::NONE)),
        _ => Err(bad()),
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
    if let (Some(1), Some(url)) = (asked, fields.text(&["dlr-url"])) {
        let told = level & JASMIN_FINAL != 0;
        wish.report = Report { on_success: told, on_failure: told, intermediate: false };
        let mask = level | if method == Some(1) { JASMIN_BY_GET } else { 0 };
        wish.callback = Some(Callback { form: CallbackForm::Jasmin, mask, url: url.into() });
    }
    Ok(wish)
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
    if fields.octets(&["content", "hex-content"]).is_none() {
        return error(StatusCode::BAD_REQUEST, "content or hex-content not present.");
    }
    let [user, password] = ["username", "password"].map(|name| fields.octets(&[name]).unwrap_or_default());
    let account = match by_password(&api, "jasmin", user, password, peer).await {
        Ok(account) => account,
        Err(Denied::Busy) => return error(StatusCode::SERVICE_UNAVAILABLE, "Too many authentications at once, try again"),
        Err(Denied::Wrong) => {
            let name = String::from_utf8_lossy(user);
            return error(StatusCode::FORBIDDEN, &format!("Authentication failure for username:{name}"));
        }
    };
    let (from, to) = (fields.text(&["from"]).unwrap_or_default(), fields.text(&["to"]).unwrap_or_default());
    let read = || -> Result<(u8, String), Bad> {
        if fields.octets(&["custom_tlvs"]).is_some() {
            return Err(Bad("custom_tlvs"));
        }
        let coding = value(&fields, "coding", |text| text.parse().ok().filter(|coding| matches!(coding, 0 | 1 | 3 | 8)))?.unwrap_or(0);
        Ok((coding, text_of(&fields, coding)?))
    };
    let bad = |Bad(name): Bad| {
        let value = if name.ends_with("content") { "..".into() } else { fields.text(&[name]).unwrap_or_default() };
        error(StatusCode::BAD_REQUEST, &format!("Argument [{name}] has an invalid value: [{value}]."))
    };
    let (coding, text) = match read() {
        Ok(read) => read,
        Err(what) => return bad(what),
    };
    let wish = match wish(&fields, &from, &text, coding, api.submissions.now().wall_ms) {
        Ok(wish) => wish,
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
            _ => error(StatusCode::BAD_REQUEST, &format!("Argument [{}] has an invalid value: {}.", fault.field, fault.what)),
        },
        _ => error(StatusCode::SERVICE_UNAVAILABLE, "Cannot send submit_sm, try again"),
    }
}
