//! Kannel's door: `GET` and `POST /cgi-bin/sendsms`, as its manual describes them ("SMS Push", sendsms). What it says back has Kannel's words and statuses.
//! Reports go to `dlr-url` with its placeholders, as `dlr-mask` asks.

use super::Api;
use super::forms::{Denied, Fields, Form, Wish, by_password, hand_in};
use crate::link::translate::item::Shape;
use crate::model::Report;
use crate::model::notes::{Callback, CallbackForm};
use crate::text::choose::Wanted;
use crate::text::udh;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use encoding_rs::{Encoding, UTF_8, UTF_16BE};

/// Numbers in one request at most; Kannel bounds them by the length of the address.
const NUMBERS_MAX: usize = 1_000;
/// Bits of dlr-mask.
const DELIVERED: u8 = 1;
const FAILED: u8 = 2;
const BUFFERED: u8 = 4;
const REFUSED: u8 = 16;
/// Values of coding beside 0, the 7-bit alphabet.
const OCTETS: u64 = 1;
const UCS2: u64 = 2;

fn said(status: StatusCode, words: impl Into<String>) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], words.into()).into_response()
}

fn wrong(words: &str) -> Response {
    said(StatusCode::BAD_REQUEST, words)
}

/// A number between bounds; `None`: the field isn't there.
fn number(fields: &Fields, names: &[&str], most: u64, words: &str) -> Result<Option<u64>, Box<Response>> {
    let Some(text) = fields.text(names) else { return Ok(None) };
    match text.parse() {
        Ok(value) if value <= most => Ok(Some(value)),
        _ => Err(Box::new(wrong(words))),
    }
}

/// The text, by its charset; without one it is UTF-8, or UTF-16BE where coding says UCS-2.
fn text_of(fields: &Fields, ucs2: bool) -> Option<String> {
    let octets = fields.octets(&["text"]).unwrap_or_default();
    let charset = match fields.text(&["charset"]) {
        None if ucs2 => UTF_16BE,
        None => UTF_8,
        Some(name) if ["ucs-2", "ucs2", "utf-16", "iso-10646-ucs-2", "ucs-2be"].iter().any(|other| name.eq_ignore_ascii_case(other)) => {
            UTF_16BE
        }
        Some(name) => Encoding::for_label(name.as_bytes())?,
    };
    let (text, _, bad) = charset.decode(octets);
    (!bad).then(|| text.into_owned())
}

/// The data_coding that Kannel writes for these fields: a waiting indication, else a message class, else the plain 8-bit one.
fn data_coding(coding: u64, fields: &Fields, is_empty: bool) -> Result<u8, Box<Response>> {
    let class = number(fields, &["mclass"], 3, "MClass field misformed, rejected")?;
    let waiting = number(fields, &["mwi"], 7, "MWI field misformed, rejected")?;
    let other_group = number(fields, &["alt-dcs", "altdcs"], 1, "Alt-DCS field misformed, rejected")? == Some(1);
    let (bits, class_bits) = ((coding as u8) << 2, class.unwrap_or(0) as u8);
    let group = match coding {
        _ if is_empty => 0xC0,
        UCS2 => 0xE0,
        _ => 0xD0,
    };
    Ok(match (waiting.map(|waiting| waiting as u8), class) {
        // From 4 on the indication is taken back.
        (Some(waiting @ 4..), _) => 0xC0 | waiting & 3,
        (Some(waiting), _) => group | 0x08 | waiting,
        (None, _) if other_group && coding != UCS2 => 0xF0 | bits | class_bits,
        (None, Some(_)) => 0x10 | bits | class_bits,
        (None, None) if coding == OCTETS => 0x04,
        (None, None) => 0,
    })
}

/// What is wanted, besides sender and text.
fn wish<'a>(fields: &Fields, from: &'a str, text: &'a str, now_ms: u64) -> Result<Wish<'a>, Box<Response>> {
    const YEAR_M: u64 = 366 * 24 * 60;
    let validity_m = number(fields, &["validity"], YEAR_M, "Validity field misformed, rejected")?;
    let deferred_m = number(fields, &["deferred"], YEAR_M, "Deferred field misformed, rejected")?;
    let mask = number(fields, &["dlr-mask", "dlrmask"], 255, "DLR-mask field misformed, rejected")?.unwrap_or(0) as u8;
    let priority = number(fields, &["priority"], 3, "Priority field misformed, rejected")?.unwrap_or(0) as u8;
    let due_ms = deferred_m.filter(|&minutes| minutes > 0).map_or(0, |minutes| now_ms + minutes * 60_000);
    let mut wish = Wish { due_ms, priority, ..Wish::of(from, text) };
    wish.expires_ms = validity_m.map_or(0, |minutes| due_ms.max(now_ms) + minutes.max(1) * 60_000);
    if let Some(url) = fields.text(&["dlr-url", "dlrurl"]).filter(|_| mask != 0) {
        wish.report =
            Report { on_success: mask & DELIVERED != 0, on_failure: mask & (FAILED | REFUSED) != 0, intermediate: mask & BUFFERED != 0 };
        wish.callback = Some(Callback { form: CallbackForm::Kannel, mask, url: url.into() });
    }
    Ok(wish)
}

pub(super) async fn sendsms(State(api): State<Api>, form: Form) -> Response {
    let Form { fields, peer } = form;
    let [user, password] = [["username", "user"], ["password", "pass"]].map(|names| fields.octets(&names).unwrap_or_default());
    let account = match by_password(&api, "kannel", user, password, peer).await {
        Ok(account) => account,
        Err(Denied::Busy) => return said(StatusCode::SERVICE_UNAVAILABLE, "Temporal failure, try again later."),
        Err(Denied::Wrong) => return said(StatusCode::FORBIDDEN, "Authorization failed for sendsms"),
    };
    let header = fields.octets(&["udh"]).unwrap_or_default();
    // Octets, not text: what was said of them in hexadecimal is decoded, and nothing is cut off.
    if !header.is_empty() && udh::parse(header).map_or(true, |read| read.octets() != header.len()) {
        return wrong("UDH field misformed, rejected");
    }
    let coding = match number(&fields, &["coding"], 2, "Coding field misformed, rejected") {
        // As Kannel has it: what stands behind a header is octets unless something else is said.
        Ok(coding) => coding.unwrap_or(if header.is_empty() { 0 } else { OCTETS }),
        Err(response) => return *response,
    };
    let octets = fields.octets(&["text"]).unwrap_or_default();
    let Some(text) = (if coding == OCTETS { Some(String::new()) } else { text_of(&fields, coding == UCS2) }) else {
        return wrong("Charset or text misformed, rejected");
    };
    let shape = match (data_coding(coding, &fields, octets.is_empty()), number(&fields, &["pid"], 255, "PID field misformed, rejected")) {
        (Ok(data_coding), Ok(pid)) => {
            let octets = (coding == OCTETS).then_some(octets);
            Shape { header, octets, data_coding, protocol_id: pid.unwrap_or(0) as u8 }
        }
        (Err(response), _) | (_, Err(response)) => return *response,
    };
    if octets.is_empty() && !shape.is_whole() {
        return wrong("Empty text not allowed, rejected");
    }
    let to = fields.text(&["to"]).unwrap_or_default();
    let numbers: Vec<&str> = to.split([' ', ',']).filter(|number| !number.is_empty()).collect();
    if numbers.is_empty() {
        return wrong("Missing receiver number, rejected");
    }
    if numbers.len() > NUMBERS_MAX {
        return wrong("Too many receiver numbers, rejected");
    }
    let from = fields.text(&["from"]).unwrap_or_default();
    let wish = match wish(&fields, &from, &text, api.submissions.now().wall_ms) {
        Ok(wish) => Wish { shape, encoding: if coding == UCS2 { Wanted::Ucs2 } else { Wanted::Auto }, ..wish },
        Err(response) => return *response,
    };
    let Ok(handed) = hand_in(&api, &account, &numbers, &wish).await else {
        return said(StatusCode::SERVICE_UNAVAILABLE, "Temporal failure, try again later.");
    };
    let denied: Vec<&str> = numbers.iter().zip(&handed).filter(|(_, handed)| handed.is_err()).map(|(number, _)| *number).collect();
    if let (true, Some(Err((fault, retry)))) = (denied.len() == numbers.len(), handed.first()) {
        return match retry {
            true => said(StatusCode::SERVICE_UNAVAILABLE, "Temporal failure, try again later."),
            false => wrong(&format!("{}: {}, rejected", if fault.field == "callback" { "dlr-url" } else { fault.field }, fault.what)),
        };
    }
    let taken = if wish.due_ms > 0 { "3: Queued for later delivery" } else { "0: Accepted for delivery" };
    let denied = if denied.is_empty() { String::new() } else { format!(" (Denied: {})", denied.join(" ")) };
    said(StatusCode::ACCEPTED, format!("{taken}{denied}"))
}
