//! Twilio's door: its message resource, create, fetch and cancel, in its own words. The account SID is [`account_sid`] of the account's name, or the name
//! itself; the auth token is one of the account's API keys. Status callbacks are signed with the secret of the account's hook, as text.

use super::Api;
use super::extract::{Body, peer};
use super::forms::{Fields, Wish, hand_in};
use super::keys::Key;
use super::message::{Fate, fate};
use super::request::time;
use crate::config::Scope;
use crate::engine::control::Ask;
use crate::engine::scope::Fault;
use crate::http::hooks::{account_sid, message_sid};
use crate::http::problem::Problem;
use crate::link::accounts::AccountEntry;
use crate::model::notes::{Callback, CallbackForm};
use crate::model::{MessageId, Report};
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, RequestExt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::Arc;

/// Longest Body, characters.
const BODY_MAX: usize = 1_600;
/// Longest ValidityPeriod, seconds.
const VALIDITY_MAX_S: u64 = 36_000;

/// A refusal in Twilio's words.
pub(super) struct Refused {
    status: StatusCode,
    code: u32,
    message: String,
}

impl Refused {
    fn new(status: StatusCode, code: u32, message: impl Into<String>) -> Refused {
        Refused { status, code, message: message.into() }
    }

    fn bad(code: u32, message: impl Into<String>) -> Refused {
        Refused::new(StatusCode::BAD_REQUEST, code, message)
    }

    fn unauthenticated() -> Refused {
        Refused::new(StatusCode::UNAUTHORIZED, 20003, "Authenticate")
    }

    fn unknown() -> Refused {
        Refused::new(StatusCode::NOT_FOUND, 20404, "The requested resource was not found")
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Refused { status, code, message } = self;
        let more_info = format!("https://www.twilio.com/docs/errors/{code}");
        let body = Json(json!({ "code": code, "message": message, "more_info": more_info, "status": status.as_u16() }));
        let mut response = (status, body).into_response();
        match status {
            StatusCode::UNAUTHORIZED => {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Basic"));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                response.headers_mut().insert(header::RETRY_AFTER, 1.into());
            }
            _ => {}
        }
        response
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Refused {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let code = match problem.status {
            401 => return Refused::unauthenticated(),
            403 => 20403,
            404 => 20404,
            429 => 20429,
            503 => 20503,
            _ => 20001,
        };
        Refused::new(status, code, problem.detail)
    }
}

/// Why a message was not taken, by the codes that Twilio documents.
fn of_fault((fault, retry): (Fault, bool), to: &str, from: &str) -> Refused {
    match fault.code {
        "destination" => Refused::bad(21211, format!("Invalid 'To' Phone Number: {to}")),
        "source" => Refused::bad(21212, format!("Invalid From Number (caller ID): {from}")),
        "opted_out" => Refused::bad(21610, "Attempt to send to unsubscribed recipient"),
        "country" | "no_route" | "blocked" => {
            Refused::bad(21408, "Permission to send an SMS has not been enabled for the region indicated by the 'To' number")
        }
        "length" => Refused::bad(21617, fault.what),
        "callback" => Refused::bad(21609, "The 'StatusCallback' URL is not a valid URL"),
        "schedule" => Refused::bad(35111, format!("SendAt {}", fault.what)),
        "throttled" | "velocity" => Refused::new(StatusCode::TOO_MANY_REQUESTS, 20429, fault.what),
        _ if retry => Refused::new(StatusCode::SERVICE_UNAVAILABLE, 20503, fault.what),
        _ => Refused::bad(20001, fault.what),
    }
}

/// Whose key is shown, for the account that the path names.
async fn caller(api: &Api, sid: &str, headers: &HeaderMap, parts: &Parts) -> Result<(Arc<Key>, Arc<AccountEntry>), Refused> {
    let unknown = Refused::unauthenticated;
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let plain = shown.and_then(|shown| STANDARD.decode(shown.trim()).ok()).ok_or_else(unknown)?;
    let at = plain.iter().position(|&octet| octet == b':').ok_or_else(unknown)?;
    let (now, peer) = (api.submissions.now(), peer(parts));
    let refused = |cause: &str| api.submissions.accounts().login_refused("twilio", &plain[..at], cause, peer, now);
    let key = api.keys.admit(&plain[at + 1..], peer, now.wall_ms);
    // A right key that asks too often is no wrong login.
    let key = key.inspect_err(|problem| {
        if problem.status != 429 {
            refused(&problem.code)
        }
    })?;
    let user = std::str::from_utf8(&plain[..at]).map_err(|_| unknown())?;
    // As with Twilio, the user is the account, or a key of it.
    let is_its = api.keys.by_sid(user) == Some(key.account) || user == key.id();
    if !is_its || api.keys.by_sid(sid) != Some(key.account) {
        refused("other_account");
        return Err(unknown());
    }
    let caller = api.caller(key)?;
    Ok((caller.key, caller.account))
}

/// A request of an account of the path.
pub(super) struct Asked {
    key: Arc<Key>,
    account: Arc<AccountEntry>,
    fields: Fields,
    /// The message of the path; `None`: it names none.
    message: Option<MessageId>,
}

impl FromRequest<Api> for Asked {
    type Rejection = Refused;

    async fn from_request(mut request: Request, api: &Api) -> Result<Asked, Refused> {
        let Path(names) = request.extract_parts_with_state::<Path<Vec<String>>, Api>(api).await.map_err(|_| Refused::unknown())?;
        let (parts, body) = request.into_parts();
        let sid = names.first().map_or("", String::as_str);
        let (key, account) = caller(api, sid, &parts.headers, &parts).await?;
        let Body(body) = Body::from_request(Request::from_parts(parts, body), api).await?;
        let mut fields = Fields::default();
        fields.read(&body);
        let message = names.get(1).map(|name| message_of(name).ok_or_else(Refused::unknown)).transpose()?;
        Ok(Asked { key, account, fields, message })
    }
}

/// The message of a SID, with `.json` behind it or not.
fn message_of(sid: &str) -> Option<MessageId> {
    let hex = sid.strip_suffix(".json").unwrap_or(sid).strip_prefix("SM").filter(|hex| hex.len() == 32)?;
    u64::from_str_radix(hex, 16).ok().map(MessageId)
}

/// What lies below Twilio's address is answered in its words, even where there is nothing.
pub(super) fn nothing_here(path: &str, status: StatusCode) -> Option<Response> {
    let is_its = path.starts_with("/2010-04-01/");
    is_its.then(|| match status {
        StatusCode::METHOD_NOT_ALLOWED => Refused::new(status, 20004, "Method not allowed").into_response(),
        _ => Refused::unknown().into_response(),
    })
}

/// `POST /2010-04-01/Accounts/{sid}/Messages.json`.
pub(super) async fn create(State(api): State<Api>, asked: Asked) -> Result<Response, Refused> {
    let Asked { key, account, fields, .. } = asked;
    key.needs(Scope::MessagesWrite)?;
    let to = fields.text(&["To"]).ok_or_else(|| Refused::bad(21604, "A 'To' phone number is required."))?;
    let from = fields.text(&["From"]).unwrap_or_default();
    if from.is_empty() && fields.text(&["MessagingServiceSid"]).is_some() {
        return Err(Refused::bad(21705, "The Messaging Service Sid is invalid: there are none here; send a From"));
    }
    if from.is_empty() && account.settings.default_source.is_empty() {
        return Err(Refused::bad(21603, "A 'From' phone number is required."));
    }
    if fields.text(&["MediaUrl", "ContentSid"]).is_some() {
        return Err(Refused::bad(21620, "Media and content templates are not served; send a Body"));
    }
    let text = String::from_utf8_lossy(fields.octets(&["Body"]).unwrap_or_default());
    if text.is_empty() {
        return Err(Refused::bad(21602, "Message body is required."));
    }
    if text.chars().count() > BODY_MAX {
        return Err(Refused::bad(21617, "The concatenated message body exceeds the 1600 character limit"));
    }
    let now_ms = api.submissions.now().wall_ms;
    let mut wish = Wish::of(&from, &text);
    if let Some(at) = fields.text(&["SendAt"]) {
        wish.due_ms = time(&at, "SendAt").map_err(|fault| Refused::bad(35111, format!("SendAt {}", fault.what)))?;
    }
    if let Some(period) = fields.text(&["ValidityPeriod"]) {
        let seconds = period.parse().ok().filter(|seconds| (1..=VALIDITY_MAX_S).contains(seconds));
        let seconds: u64 = seconds.ok_or_else(|| Refused::bad(21621, "ValidityPeriod must be between 1 and 36000"))?;
        wish.expires_ms = wish.due_ms.max(now_ms) + seconds * 1000;
    }
    if let Some(url) = fields.text(&["StatusCallback"]) {
        wish.report = Report { on_success: true, on_failure: true, intermediate: false };
        wish.callback = Some(Callback { form: CallbackForm::Twilio, mask: 0, url: url.into() });
    }
    let handed = hand_in(&api, &account, &[&to], &wish).await?.pop();
    let taken = handed.ok_or_else(|| Refused::new(StatusCode::SERVICE_UNAVAILABLE, 20503, "the gateway is stopping"))?;
    let taken = taken.map_err(|why| of_fault(why, &to, &from))?;
    let told = Told {
        status: if wish.due_ms > now_ms { "scheduled" } else { "queued" },
        from: from.into_owned(),
        to: to.into_owned(),
        text: text.into_owned(),
        segments: taken.segments,
        created_ms: now_ms,
        sent_ms: None,
        updated_ms: now_ms,
        failed: false,
    };
    Ok((StatusCode::CREATED, Json(resource(taken.message, &account.settings.name, told))).into_response())
}

/// `GET /2010-04-01/Accounts/{sid}/Messages/{sid}.json`.
pub(super) async fn fetch(State(api): State<Api>, asked: Asked) -> Result<Json<Value>, Refused> {
    asked.key.needs(Scope::MessagesRead)?;
    shown(&api, &asked).await
}

/// `POST` to the same: `Status=canceled` cancels it.
pub(super) async fn update(State(api): State<Api>, asked: Asked) -> Result<Json<Value>, Refused> {
    asked.key.needs(Scope::MessagesWrite)?;
    let id = asked.message.ok_or_else(Refused::unknown)?;
    if asked.fields.text(&["Status"]).as_deref() != Some("canceled") {
        return Err(Refused::bad(20001, "Status: canceled is all that can be written"));
    }
    let before = shown(&api, &asked).await?;
    let ask = Ask::Cancel { account: asked.account.id, message: id };
    let cancelled = api.operator.ask("", "", ask).await.map_err(|_| Refused::bad(30409, "Message cannot be canceled"));
    cancelled?;
    let Json(mut told) = before;
    told["status"] = "canceled".into();
    Ok(Json(told))
}

async fn shown(api: &Api, asked: &Asked) -> Result<Json<Value>, Refused> {
    let id = asked.message.ok_or_else(Refused::unknown)?;
    let fate = fate(api, &asked.account, id).await?;
    Ok(Json(resource(id, &asked.account.settings.name, told(&fate, api.submissions.now().wall_ms))))
}

/// What the resource shows of a message.
struct Told {
    status: &'static str,
    from: String,
    to: String,
    text: String,
    segments: u8,
    created_ms: u64,
    sent_ms: Option<u64>,
    updated_ms: u64,
    failed: bool,
}

fn told(fate: &Fate, now_ms: u64) -> Told {
    let status = match &*fate.state {
        "waiting" if fate.send_at_ms > now_ms => "scheduled",
        "waiting" => "queued",
        "delivered" => "delivered",
        "undelivered" | "expired" => "undelivered",
        "rejected" => "failed",
        "cancelled" => "canceled",
        _ => "sent",
    };
    Told {
        status,
        from: fate.from.clone(),
        to: fate.to.clone(),
        text: fate.text.clone().unwrap_or_default(),
        segments: fate.segments,
        created_ms: fate.accepted_ms,
        sent_ms: fate.sent_ms,
        updated_ms: fate.final_ms.or(fate.sent_ms).unwrap_or(fate.accepted_ms),
        failed: matches!(status, "failed" | "undelivered"),
    }
}

/// RFC 2822, in UTC.
fn date(ms: u64) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(i64::try_from(ms).ok().filter(|&ms| ms > 0)?).ok()?;
    Some(at.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string())
}

fn resource(message: MessageId, account: &str, told: Told) -> Value {
    let (sid, account) = (message_sid(message), account_sid(account));
    let uri = format!("/2010-04-01/Accounts/{account}/Messages/{sid}");
    json!({
        "sid": sid,
        "account_sid": account,
        "api_version": "2010-04-01",
        "body": told.text,
        "date_created": date(told.created_ms),
        "date_sent": told.sent_ms.and_then(date),
        "date_updated": date(told.updated_ms),
        "direction": "outbound-api",
        "error_code": told.failed.then_some(30008),
        "error_message": told.failed.then_some("Unknown error"),
        "from": told.from,
        "messaging_service_sid": null,
        "num_media": "0",
        "num_segments": told.segments.to_string(),
        "price": null,
        "price_unit": "USD",
        "status": told.status,
        "subresource_uris": { "media": format!("{uri}/Media.json") },
        "tags": null,
        "to": told.to,
        "uri": format!("{uri}.json"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_dates_are_written_and_read_as_twilio_does() {
        let id = MessageId(2_100_000_000_000_000_007);
        let sid = message_sid(id);
        assert_eq!((sid.len(), message_of(&sid), message_of(&format!("{sid}.json"))), (34, Some(id), Some(id)));
        assert_eq!((message_of("SM1"), message_of("MM00000000000000000000000000000001")), (None, None));
        assert_eq!(date(1_790_000_000_000).as_deref(), Some("Mon, 21 Sep 2026 14:13:20 +0000"));
    }
}
