//! `POST /v1/submissions`: messages in any number, a line each, read as the engine takes them; `GET /v1/submissions/{id}` tells how far it is.
//!
//! A body is CSV (as `hongyan send` reads files) or NDJSON (each line a recipient of `POST /v1/messages`); what holds for all lines stands in the query.
//! [`lines`] makes drafts of the lines on a thread of its own, [`run`] hands them in, a few batches at a time, and tells how it goes; [`book`] remembers
//! submissions by their ids. Octets are taken from the socket only as batches leave: memory is a few batches, whatever the size of the body.
//!
//! # Going on after a break
//!
//! A line's identity in the engine is a hash of the submission's id and of what is sent: number, sender, text, times, reference, tags, callback. So the same
//! body sent again under the same id, whoever was killed in between, hands in what is not yet on record and makes no second message of the rest, within the
//! bounds of `[account.dedupe]` (72 hours, 10 million messages). A body with lines mended, added or moved does what its sender means. Of lines that are the same in
//! everything only the first is sent. What holds for all lines is kept with the id, durably: the same id with another text or sender is refused whole.

pub mod book;
mod lines;
mod run;

use super::Api;
use super::extract::Caller;
use super::request::{Shared, Submission};
use super::stream::Streamed;
use crate::config::Scope;
use crate::engine::scope::Fault;
use crate::http::extract::Parameters;
use crate::http::messages::Campaigns;
use crate::http::problem::Problem;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use book::{Book, Progress};
use lines::{Kind, Plan};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, oneshot};
use utoipa::IntoParams;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Submissions that are read at once; each holds a thread and a few batches.
const AT_ONCE: usize = 8;
/// Of these, one account's.
const OF_ACCOUNT: usize = 4;
/// Longest id, octets.
const ID_MAX: usize = 255;
/// What keeps the identities of lines apart from those of requests.
const OF_JOB: u64 = 0x6a6f_6200_0000_0000;

/// What all submissions share.
pub struct Bulk {
    /// What is known of them.
    pub book: Book,
    places: Arc<Semaphore>,
}

impl Bulk {
    /// With what was known before.
    pub fn new(book: Book) -> Bulk {
        Bulk { book, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

/// What holds for all lines that don't say it themselves.
#[derive(Debug, Clone, Default, Deserialize, Serialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Defaults {
    /// The text; `{name}` stands for that column of the line (CSV) or that variable of it (NDJSON).
    text: Option<String>,
    /// The sender; absent: the account's own.
    from: Option<String>,
    /// otp, transactional or marketing; absent: the account's.
    class: Option<String>,
    /// auto (the default), gsm7, latin1 or ucs2.
    encoding: Option<String>,
    /// none, safe or lossy; absent: as the account has it.
    transliterate: Option<String>,
    /// Not before this time: ISO 8601 with a zone.
    send_at: Option<String>,
    /// Not after this time: ISO 8601 with a zone.
    expire_at: Option<String>,
    /// The sender's own name for it, where a line has none.
    reference: Option<String>,
    /// The campaign, by a name.
    campaign: Option<String>,
    /// Address that reports go to.
    callback: Option<String>,
    /// none, failure or final.
    report: Option<String>,
    /// CSV: the column of numbers, by its name or its place from 1; absent: found out.
    number_column: Option<String>,
}

/// What the head of a request says the body is.
fn kind(headers: &HeaderMap) -> Result<Kind, Problem> {
    let told = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    match told.split(';').next().unwrap_or_default().trim() {
        "text/csv" => Ok(Kind::Csv),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Kind::Json),
        _ => {
            let fix = "Content-Type: text/csv or application/x-ndjson";
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong_type", "content-type", "the body must be CSV or NDJSON", fix))
        }
    }
}

/// The id that the client chose, or one of chance.
fn id_of(headers: &HeaderMap) -> Result<String, Problem> {
    let Some(id) = headers.get("idempotency-key") else { return Ok(format!("{:016x}", rand::random::<u64>())) };
    let id = id.to_str().ok().map(str::trim).filter(|id| (1..=ID_MAX).contains(&id.len()));
    let bad = || Fault::of("length", "idempotency-key", "the key is empty, too long or not ASCII", "1 to 255 printable characters");
    Ok(id.ok_or_else(bad)?.to_owned())
}

fn plan(api: &Api, caller: &Caller, defaults: Defaults, id: &str) -> Result<Plan, Problem> {
    let Defaults { text, from, class, encoding, transliterate, send_at, expire_at, reference, campaign, callback, report, number_column } =
        defaults;
    let all = Submission {
        text,
        from,
        class,
        encoding,
        transliterate,
        send_at,
        expire_at,
        reference,
        campaign,
        callback,
        report,
        ..Submission::default()
    };
    let (account, submissions) = (Arc::clone(&caller.account), api.submissions.clone());
    let sender = submissions.sender(&account);
    let shared = Shared::of(&all, &sender, None)?;
    let campaign = Campaigns::default().named(all.campaign.as_deref().unwrap_or_default())?;
    Ok(Plan { job: xxh3_64_with_seed(id.as_bytes(), OF_JOB), all, shared, campaign, number_column, account, submissions })
}

fn busy(what: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "", what, "again after the seconds of Retry-After").retry_after(5)
}

/// Hand in messages in any number, a line each
///
/// The body is read as fast as its messages become durable, and answered meanwhile by a line of JSON a second (where the client reads them) and a last one
/// when all is done. Bad lines are told by number and passed over. Broken off, the same request under the same `Idempotency-Key` goes on and sends nobody
/// twice, for 72 hours. So it is too with one that brings less than a kilobyte in `http.timeout_ms`: it is cut off, for it holds a place.
#[utoipa::path(post, path = "/v1/submissions", tag = "submissions",
    params(("Idempotency-Key" = Option<String>, Header, description = "The submission's id, 1 to 255 characters; absent: one of chance, told in the answer"), Defaults),
    request_body(description = "NDJSON: a recipient of /v1/messages in each line. CSV: a number and what the text names in each line, with a header or without",
        content((String = "application/x-ndjson"), (String = "text/csv"))),
    responses((status = 200, description = "Lines of JSON; in the last one the state is not running", body = Progress, content_type = "application/x-ndjson")),
    security(("key" = [])))]
pub(super) async fn submit(
    State(api): State<Api>,
    caller: Caller,
    Parameters(defaults): Parameters<Defaults>,
    request: Request,
) -> Result<Response, Problem> {
    caller.key.needs(Scope::MessagesWrite)?;
    let (kind, id) = (kind(request.headers())?, id_of(request.headers())?);
    let params = xxh3_64(&serde_json::to_vec(&defaults).expect("plain data can be written"));
    let plan = Arc::new(plan(&api, &caller, defaults, &id)?);
    let place = Arc::clone(&api.bulk.places).try_acquire_owned().map_err(|_| busy("too many submissions at once"))?;
    let (tell, told) = mpsc::channel(run::LINES);
    let (opened, ready) = oneshot::channel();
    let (named, body) = (id.clone(), request.into_body());
    // In a task of its own, for the client may hang up meanwhile: what has begun comes to an end.
    let beginning = tokio::spawn(async move {
        let entry = api.bulk.book.begin(caller.account.id, &named, params, api.submissions.now().wall_ms, OF_ACCOUNT).await?;
        let parts = run::Parts { plan, kind, entry, tell, opened, timeout: api.timeout };
        tokio::spawn(run::run(Arc::clone(&api.bulk), parts, body, place));
        Ok::<(), Problem>(())
    });
    beginning.await.map_err(|_| crate::http::look::odd())??;
    // What is wrong with the first line may be wrong with all: then there is another status to tell it by.
    ready.await.map_err(|_| crate::http::look::odd())??;
    let head = [(header::CONTENT_TYPE, "application/x-ndjson".to_owned()), (header::LOCATION, format!("/v1/submissions/{}", encoded(&id)))];
    Ok((head, Body::new(Streamed(told))).into_response())
}

fn encoded(id: &str) -> String {
    percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// How far a submission is
///
/// Of its last try; known for 72 hours, also after a restart.
#[utoipa::path(get, path = "/v1/submissions/{id}", tag = "submissions", params(("id" = String, Path, description = "Its Idempotency-Key")),
    responses((status = 200, description = "It is known", body = Progress),
        (status = 404, description = "There is no such submission of the key's account", body = Problem, content_type = "application/problem+json")),
    security(("key" = [])))]
pub(super) async fn look(State(api): State<Api>, caller: Caller, Path(id): Path<String>) -> Result<Json<Progress>, Problem> {
    caller.key.needs(Scope::MessagesRead)?;
    let unknown = || {
        let what = "no submission of yours has this id, or it is past what is kept";
        Problem::new(StatusCode::NOT_FOUND, "unknown_submission", "id", what, "the Idempotency-Key that it was sent with")
    };
    api.bulk.book.look(caller.account.id, &id).map(Json).ok_or_else(unknown)
}
