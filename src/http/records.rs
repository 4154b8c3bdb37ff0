//! What became of messages: one by its id, live or finished, with its trail; lists by number, account, campaign, state and time; and how the records stand.
//! Numbers are told masked.

use super::admin::Backstage;
use super::extract::Parameters;
use super::look::ask;
use super::problem::Problem;
use crate::engine::look::{Look, MessageView, View};
use crate::engine::scope::Fault;
use crate::model::{MessageId, State as MessageState};
use crate::number::HomeRegion;
use crate::records::find::Query;
use crate::records::keeper::KeeperFigures;
use crate::records::row::Row;
use crate::records::{ROWS_MAX, Records};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

/// Runs a look-up, which waits for disks, beside the tasks, when it is its turn.
pub(super) async fn beside<T: Send + 'static>(
    records: Records,
    look: impl FnOnce(&Records) -> Result<T, String> + Send + 'static,
) -> Result<T, Problem> {
    let failed = |what: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "records_failed", "", what, "look at the log; ask again");
    let turn = records.turns.clone().acquire_owned().await;
    let looking = move || {
        // It lasts as long as the look-up, also if nobody waits for the answer any more.
        let _turn = turn;
        look(&records)
    };
    let looked = tokio::task::spawn_blocking(looking).await;
    looked.map_err(|error| failed(error.to_string()))?.map_err(failed)
}

pub(super) fn off() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "records_off", "", "no records are kept", "set records.enabled = true and restart")
}

fn shown(records: &Records, row: &Row) -> Value {
    let mut value = json!(row);
    value["number"] = records.files().numbers().show(&row.number).into();
    // A source may be a phone too.
    if row.source.len() >= 11 && row.source.bytes().all(|octet| octet.is_ascii_digit()) {
        value["source"] = crate::model::address::mask(row.source.as_bytes()).into();
    }
    value
}

/// A message that is known: shaped as one that is alive, or as one that is over.
#[derive(ToSchema)]
#[schema(as = KnownMessage)]
#[serde(untagged)]
#[expect(dead_code)] // for the document
pub(super) enum Known {
    /// It is alive; with `trail` where records are kept.
    Alive(Box<MessageView>),
    /// It is over.
    Over(Box<Row>),
}

/// One message, alive or over, with its trail
///
/// What the engine knows of it while it lives, then what the records keep; numbers are masked.
#[utoipa::path(get, path = "/v1/messages/{id}", tag = "messages", params(("id" = String, Path, description = "Its id, as submit_sm_resp or the answer to its request told it")),
    responses((status = 200, description = "One that is alive, or one that is over as its record", body = Known),
        (status = 404, description = "There is no such message, or it is past records.keep_days", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What is wrong, with its field", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn message(State(backstage): State<Backstage>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let bad = || Fault::of("bad_value", "message", format!("'{id}' is no message id"), "up to 19 digits, as in submit_sm_resp");
    let id = MessageId::parse(id.as_bytes()).ok_or_else(bad)?;
    let live = match ask(&backstage, Look::Message(id)).await {
        Ok(View::Message(view)) => Ok(json!(view)),
        Ok(_) => return Err(super::look::odd()),
        Err(problem) if &*problem.code == "unknown_message" => Err(problem),
        Err(problem) => return Err(problem),
    };
    let Some(records) = backstage.records.clone() else { return live.map(Json) };
    let row = beside(records.clone(), move |records| records.message(id)).await?;
    match (live, row) {
        (Ok(mut live), Some(row)) => {
            live["trail"] = json!(row.trail);
            Ok(Json(live))
        }
        (Ok(live), None) => Ok(Json(live)),
        (Err(_), Some(row)) => Ok(Json(shown(&records, &row))),
        (Err(problem), None) => Err(Problem { detail: format!("{}, or is past records.keep_days", problem.detail).into(), ..problem }),
    }
}

/// What may be asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// The number, as people write numbers; not where the records mask them.
    number: Option<String>,
    /// The account.
    account: Option<String>,
    /// The campaign.
    campaign: Option<String>,
    /// waiting, sent_waiting, delivered, undelivered, expired, rejected, cancelled, sent_final, no_receipt or in_doubt.
    state: Option<String>,
    /// The sender's own name for it.
    reference: Option<String>,
    /// The hash of the identity under which it was handed in, as its record has it: 16 hexadecimal digits.
    identity: Option<String>,
    /// Accepted at this wall time or later, milliseconds.
    from_ms: Option<u64>,
    /// Accepted before this wall time, milliseconds.
    to_ms: Option<u64>,
    /// Goes on behind the page before: its `next`.
    before: Option<String>,
    /// 1 to 1000; absent: 50.
    limit: Option<usize>,
}

pub(super) fn bad(field: &'static str, what: String, fix: &str) -> Problem {
    Problem::from(Fault::of("bad_value", field, what, fix))
}

/// A number as the records write it, or why messages can't be found by it. `field`: what the one who asks calls it.
pub(super) fn number_of(text: &str, home: HomeRegion, field: &'static str, records: &Records) -> Result<String, Problem> {
    if !records.files().numbers().can_be_found() {
        return Err(bad(field, "numbers are masked in the records".into(), "records.numbers = \"plain\" or \"encrypted\""));
    }
    let packed = crate::number::from_text(text.as_bytes(), home);
    let packed = packed.map_err(|error| bad(field, error.to_string(), "a phone number such as +8613800138000"))?;
    Ok(String::from_utf8_lossy(&crate::number::unpack(packed)).into_owned())
}

/// The name of a state.
pub(super) fn state_of(name: &str) -> Result<(), Problem> {
    if MessageState::ALL.iter().any(|known| known.name() == name) {
        return Ok(());
    }
    let all: Vec<&str> = MessageState::ALL.iter().map(|state| state.name()).collect();
    Err(bad("state", format!("'{name}' is no state"), &all.join(", ")))
}

/// Rows of a page.
pub(super) fn limit_of(limit: Option<usize>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(50);
    if !(1..=ROWS_MAX).contains(&limit) {
        return Err(bad("limit", format!("{limit} is out of bounds"), "1 to 1000"));
    }
    Ok(limit)
}

fn query_of(wanted: Wanted, records: &Records) -> Result<Query, Problem> {
    let number = wanted.number.as_deref().map(|text| number_of(text, HomeRegion::default(), "number", records)).transpose()?;
    wanted.state.as_deref().map(state_of).transpose()?;
    let before = match &wanted.before {
        Some(id) => {
            let id = MessageId::parse(id.as_bytes());
            Some(id.ok_or_else(|| bad("before", "no message id".into(), "the `next` of the page before"))?.0)
        }
        None => None,
    };
    let limit = limit_of(wanted.limit)?;
    let Wanted { account, campaign, state, reference, identity, from_ms, to_ms, .. } = wanted;
    Ok(Query { id: None, number, account, campaign, state, reference, identity, from_ms, to_ms, before, limit })
}

/// Messages that fit, newest first, live ones too
///
/// All that is given must hold. `next` goes on with the page after it; `partial`: not all was looked at; `behind_groups`: how far the records are behind.
#[utoipa::path(get, path = "/v1/messages", tag = "messages", params(Wanted),
    responses((status = 200, description = "messages: their records; next, partial, behind_groups, not_looked_at", body = Object),
        (status = 404, description = "No records are kept (records.enabled)", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What is wrong, with its field", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn messages(State(backstage): State<Backstage>, Parameters(wanted): Parameters<Wanted>) -> Result<Json<Value>, Problem> {
    let records = backstage.records.clone().ok_or_else(off)?;
    let query = query_of(wanted, &records)?;
    let limit = query.limit;
    let looked = beside(records.clone(), move |records| records.find(&query)).await?;
    let next = looked.rows.last().filter(|_| looked.rows.len() == limit).map(|row| MessageId(row.message).to_string());
    let rows: Vec<Value> = looked.rows.iter().map(|row| shown(&records, row)).collect();
    let figures = records.figures();
    Ok(Json(
        json!({ "messages": rows, "next": next, "partial": looked.partial, "behind_groups": figures.behind_groups, "not_looked_at": looked.not_looked_at }),
    ))
}

/// How the records stand
#[utoipa::path(get, path = "/v1/records", tag = "records", responses((status = 200, description = "And files, files_rows, files_octets", body = KeeperFigures),
        (status = 404, description = "No records are kept (records.enabled)", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn figures(State(backstage): State<Backstage>) -> Result<Json<Value>, Problem> {
    let records = backstage.records.clone().ok_or_else(off)?;
    let files = records.files().list();
    let mut value = json!(records.figures());
    value["files"] = files.len().into();
    value["files_rows"] = files.iter().map(|(_, rows, _)| rows).sum::<u64>().into();
    value["files_octets"] = files.iter().map(|(_, _, octets)| octets).sum::<u64>().into();
    Ok(Json(value))
}

/// Writes everything that is over into files now
///
/// The body is not looked at.
#[utoipa::path(post, path = "/v1/records/flush", tag = "records", responses((status = 200, description = "As `GET /v1/records`", body = KeeperFigures),
        (status = 404, description = "No records are kept (records.enabled)", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Without a token: Content-Type is not application/json", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn flush(State(backstage): State<Backstage>) -> Result<Json<Value>, Problem> {
    let records = backstage.records.clone().ok_or_else(off)?;
    beside(records.clone(), Records::flush).await?;
    figures(State(backstage)).await
}
