//! `POST /v1/messages`: answered once every message that it says yes to is durable. Handed in again under the same `Idempotency-Key`, what was taken is
//! answered with the same ids, and what was refused is tried again.

use super::Api;
use super::extract::{Caller, Json as JsonBody};
use super::request::{Prepared, Ready, Submission, alone, public, read};
use crate::config::Scope;
use crate::engine::dedupe::Remembered;
use crate::engine::port::{Draft, Taken};
use crate::engine::scope::Fault;
use crate::http::messages::unanswered;
use crate::http::problem::Problem;
use crate::http::refusal::fault_of;
use crate::link::accounts::AccountEntry;
use crate::model::refusal::Fault as Whose;
use crate::model::{Encoding, Refusal};
use crate::number::{RangeTable, unpack};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Bodies longer than this are read on another thread, a few at a time: thousands of texts are encoded.
const LONG_BODY: usize = 128 << 10;

/// The header of an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Why a message is not taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reason {
    /// A stable word.
    code: &'static str,
    /// The field that is to blame; empty if none is.
    field: &'static str,
    /// What is wrong.
    detail: String,
    /// What to do instead.
    fix: String,
    /// The same may pass later.
    retry: bool,
}

/// The answer to one message.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MessageAnswer {
    /// Its id; absent: it is not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The number as it came.
    to: String,
    /// The number in international form.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    /// The operator that the number's range belongs to, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<String>,
    /// gsm7, latin1 or ucs2.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
    /// Segments at the first carrier of its route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<u8>,
    /// It was handed in before, under a key of its own or as the same text, and has the first one's id.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
    /// Why it is not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Reason>,
}

/// The answer to a request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Receipt {
    /// Messages taken; of a request that is repeated under its `Idempotency-Key` also those that were taken then.
    accepted: usize,
    /// Messages that were handed in before, under keys of their own or as the same text.
    repeated: usize,
    /// Messages that were not taken.
    refused: usize,
    /// Each message's answer, in order.
    messages: Vec<MessageAnswer>,
}

/// What is told where no message of many was taken: a problem, with each message's reason.
#[derive(Debug, Serialize)]
struct AllRefused {
    #[serde(flatten)]
    problem: Problem,
    messages: Vec<MessageAnswer>,
}

/// Reads a request: here, or elsewhere if it is long.
pub(super) async fn prepared(api: &Api, account: &Arc<AccountEntry>, body: JsonBody) -> Result<Prepared, Problem> {
    let JsonBody(body, headers) = body;
    if body.len() <= LONG_BODY {
        return read(&body, &headers, account, &api.submissions);
    }
    let busy = || {
        let what = "too many long requests at once";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "", what, "again after the seconds of Retry-After").retry_after(1)
    };
    let place = api.submissions.place().ok_or_else(busy)?;
    let (account, submissions) = (Arc::clone(account), api.submissions.clone());
    let reading = tokio::task::spawn_blocking(move || {
        let _place = place;
        read(&body, &headers, &account, &submissions)
    });
    reading.await.map_err(|_| crate::http::look::odd())?
}

/// Hand in a message, or up to 10,000
///
/// Answered once everything that it says yes to is on stable storage. Under an `Idempotency-Key` the same request makes no second message for 72 hours:
/// what was taken is answered the same, with a header `Idempotent-Replayed: true`; what was refused is tried again.
#[utoipa::path(post, path = "/v1/messages", tag = "messages",
    request_body(content = Submission, examples(("one" = (summary = "To one number", value = json!({"to": "+8613800138000", "text": "Your code is 123456", "from": "SHOP", "class": "otp", "reference": "login-7"}))), ("many" = (summary = "To many, each with its own words", value = json!({"text": "Hello {name}, your parcel is here.", "from": "SHOP", "tags": ["parcels"], "recipients": [{"to": "+8613800138000", "variables": {"name": "Li"}, "reference": "parcel-1"}, {"to": "13900139000", "variables": {"name": "Wang"}, "reference": "parcel-2"}]}))))),
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 octets; the same key with another body is refused")),
    responses((status = 202, description = "At least one message is taken, durably", body = Receipt)),
    security(("key" = [])))]
pub(super) async fn submit(State(api): State<Api>, caller: Caller, body: JsonBody) -> Result<Response, Problem> {
    caller.key.needs(Scope::MessagesWrite)?;
    let Prepared { single, mut items } = prepared(&api, &caller.account, body).await?;
    let drafts: Vec<Draft> = items.iter_mut().filter_map(|item| item.draft.as_mut().ok().and_then(Option::take)).collect();
    let mut answers = api.submissions.submit(drafts).await.map_err(unanswered)?.into_iter();
    let ranges = api.keys.ranges();
    let mut replayed = false;
    let (mut receipt, mut reused) = (Receipt { accepted: 0, repeated: 0, refused: 0, messages: Vec::with_capacity(items.len()) }, 0);
    for item in items {
        let answer = match &item.draft {
            Ok(_) => answers.next().unwrap_or(Err(Refusal::Stopping)).map_err(|refusal| {
                caller.account.refused(refusal);
                reused += usize::from(refusal == Refusal::KeyReused && !item.has_own_key);
                (item.named(public(fault_of(refusal))), refusal.fault() == Whose::Gateway)
            }),
            Err(fault) => Err((fault.clone(), false)),
        };
        // The same request again is answered the same.
        let answer = answer.map(|taken| {
            let is_replay = taken.repeats == Some(Remembered::Identity) && !item.has_own_key;
            replayed |= is_replay;
            Taken { repeats: taken.repeats.filter(|_| !is_replay), ..taken }
        });
        if single && let Err((fault, retry)) = answer {
            return Err(alone(fault, retry));
        }
        match &answer {
            Ok(Taken { repeats: Some(_), .. }) => receipt.repeated += 1,
            Ok(_) => receipt.accepted += 1,
            Err(_) => receipt.refused += 1,
        }
        receipt.messages.push(told(&item, answer, ranges.as_deref()));
    }
    if receipt.accepted + receipt.repeated > 0 {
        let mark = replayed.then_some([(REPLAYED, HeaderValue::from_static("true"))]);
        return Ok((StatusCode::ACCEPTED, mark, Json(receipt)).into_response());
    }
    if reused == receipt.messages.len() {
        return Err(public(fault_of(Refusal::KeyReused)).into());
    }
    Ok(none_taken(receipt.messages))
}

fn none_taken(messages: Vec<MessageAnswer>) -> Response {
    let retry = messages.iter().all(|message| message.error.as_ref().is_some_and(|error| error.retry));
    let status = if retry { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::UNPROCESSABLE_ENTITY };
    let problem = Problem::new(status, "none_taken", "recipients", "no message was taken", "what each of them says");
    let kind = HeaderMap::from_iter([(axum::http::header::CONTENT_TYPE, axum::http::HeaderValue::from_static("application/problem+json"))]);
    (status, kind, Json(AllRefused { problem, messages })).into_response()
}

/// What is told of a message whatever becomes of it.
pub(super) fn known(item: &Ready, ranges: Option<&RangeTable>) -> MessageAnswer {
    let operator = ranges.and_then(|ranges| Some(ranges.name(ranges.get(ranges.find(item.number)?).operator).to_owned()));
    MessageAnswer {
        id: None,
        to: item.to.clone(),
        number: (item.number != 0).then(|| format!("+{}", String::from_utf8_lossy(&unpack(item.number)))),
        operator: operator.filter(|name| !name.is_empty()),
        encoding: item.encoding.map(Encoding::name),
        segments: None,
        repeated: false,
        error: None,
    }
}

impl From<(Fault, bool)> for Reason {
    fn from((Fault { code, field, what, fix }, retry): (Fault, bool)) -> Reason {
        Reason { code, field, detail: what, fix, retry }
    }
}

fn told(item: &Ready, answer: Result<Taken, (Fault, bool)>, ranges: Option<&RangeTable>) -> MessageAnswer {
    let known = known(item, ranges);
    match answer {
        Ok(Taken { message, segments, repeats }) => MessageAnswer {
            id: Some(message.to_string()),
            repeated: repeats.is_some(),
            segments: (segments > 0).then_some(segments),
            ..known
        },
        Err(error) => MessageAnswer { error: Some(error.into()), ..known },
    }
}
