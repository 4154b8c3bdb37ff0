//! An account's receipts and messages from phones, read by itself: `GET /v1/events` page by page, `GET /v1/events/stream` as server-sent events. Both read the
//! account's log ([`crate::http::events`]); a cursor of one is an id of the other. A reader waits for nobody but the disk, and nobody waits for it.

use super::extract::Caller;
use super::keys::Key;
use super::stream::Streamed;
use super::{Api, cursor};
use crate::config::Scope;
use crate::engine::scope::Fault;
use crate::http::events::{EventLog, Page, Place};
use crate::http::extract::Parameters;
use crate::http::hooks::event::Event;
use crate::http::problem::Problem;
use crate::http::records::limit_of;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};

/// The kind of these cursors.
const CURSOR: u8 = 2;
/// Events of a stream that are read at once.
const AT_ONCE: usize = 100;
/// Without an event for so long, a stream has a comment: both sides learn of a broken connection.
const QUIET: Duration = Duration::from_secs(15);

/// A reader that takes nothing for so long loses its place; it goes on where it was with another stream.
const STALLED: Duration = Duration::from_secs(60);

/// What may be asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Goes on behind the page that gave it as `next_cursor`, or behind the event of a stream that had it as its id; absent: from the oldest on.
    cursor: Option<String>,
    /// Events at most; 1 to 1,000, 50 if absent.
    limit: Option<usize>,
}

/// Some events.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Events {
    /// Oldest first. Each has an `id`, under which the same one may come again, and a `type`: message.delivered, message.inbound ...
    #[schema(value_type = Vec<Event>)]
    events: Vec<serde_json::Value>,
    /// Asks for what comes after these; absent: nothing was ever told.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// There are more already.
    more: bool,
    /// Some went by age or size before they were read: these are the oldest that are left.
    missed: bool,
}

fn written(place: Place) -> String {
    cursor::written(CURSOR, [place.segment, place.offset])
}

fn read(text: &str, field: &'static str) -> Result<Place, Fault> {
    cursor::read(CURSOR, text, field).map(|[segment, offset]| Place { segment, offset })
}

/// The account's log, if it wants one.
async fn log(api: &Api, caller: &Caller) -> Result<Arc<EventLog>, Problem> {
    caller.key.needs(Scope::MessagesRead)?;
    let settings = &caller.account.settings;
    if settings.events.is_none() {
        let fix = "[account.events] in the configuration";
        return Err(Problem::new(StatusCode::NOT_FOUND, "events_off", "", "no events are kept of this account", fix));
    }
    let (logs, name) = (Arc::clone(&api.events), settings.name.clone());
    beside(move || logs.of(&name), "").await
}

/// Asks the disk beside the tasks. `field`: what is to blame if there is no such place.
async fn beside<T: Send + 'static>(read: impl FnOnce() -> io::Result<T> + Send + 'static, field: &'static str) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(read).await.map_err(|_| crate::http::look::odd())?;
    done.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => Fault::of("bad_value", field, "there is no such place", "the next_cursor of a page").into(),
        _ => {
            tracing::error!(%error, "events can't be read");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "events_failed", "", "the events can't be read now", "again in a moment")
        }
    })
}

/// Receipts and messages from phones, oldest first
///
/// Of messages handed in by HTTP, where the account has `[account.events]`. Each event comes at least once: keep the cursor, and pass over ids that came before.
#[utoipa::path(get, path = "/v1/events", tag = "events", params(Wanted),
    responses((status = 200, description = "Some, or none yet", body = Events),
        (status = 404, description = "No events are kept of this account", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What is wrong, with its field", body = Problem, content_type = "application/problem+json")),
    security(("key" = [])))]
pub(super) async fn poll(State(api): State<Api>, caller: Caller, Parameters(wanted): Parameters<Wanted>) -> Result<Json<Events>, Problem> {
    let log = log(&api, &caller).await?;
    let from = wanted.cursor.as_deref().map(|text| read(text, "cursor")).transpose()?;
    let limit = limit_of(wanted.limit)?;
    let Page { events, next, more, missed } = beside(move || log.read(from, limit), "cursor").await?;
    let events = events.iter().filter_map(|(event, _)| serde_json::from_slice(event).ok()).collect();
    Ok(Json(Events { events, next_cursor: next.map(written), more, missed }))
}

/// What a stream begins with.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct From {
    /// As at /v1/events. `Last-Event-ID` goes before it.
    cursor: Option<String>,
}

/// The same as server-sent events, as they come
///
/// Ids are cursors: with `Last-Event-ID` a stream goes on where one broke off. Without either it begins with the oldest event that is kept.
#[utoipa::path(get, path = "/v1/events/stream", tag = "events",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was read"), From),
    responses((status = 200, description = "Events without an end", body = String, content_type = "text/event-stream"),
        (status = 404, description = "No events are kept of this account", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What is wrong, with its field", body = Problem, content_type = "application/problem+json")),
    security(("key" = [])))]
pub(super) async fn stream(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Parameters(from): Parameters<From>,
) -> Result<Response, Problem> {
    let log = log(&api, &caller).await?;
    let last = headers.get("last-event-id").map(|id| id.to_str().unwrap_or("?")).filter(|id| !id.is_empty());
    let from = match last {
        Some(id) => Some(read(id, "last-event-id")?),
        None => from.cursor.as_deref().map(|text| read(text, "cursor")).transpose()?,
    };
    let busy = || {
        let what = "too many streams of the account at once";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "", what, "one of them, or polling").retry_after(5)
    };
    let reader = log.reader().ok_or_else(busy)?;
    // Before the first look, so that nothing that comes meanwhile is waited for.
    let grown = log.grown();
    // The first page is read here, so that a wrong place can be told.
    let field = if last.is_some() { "last-event-id" } else { "cursor" };
    let first = {
        let log = Arc::clone(&log);
        beside(move || log.read(from, AT_ONCE), field).await?
    };
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(follow(api, caller.key, Reading { log, grown, page: first, _place: reader }, sender));
    let head = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((head, Body::new(Streamed(receiver))).into_response())
}

/// A stream that has begun.
struct Reading {
    log: Arc<EventLog>,
    grown: watch::Receiver<u64>,
    page: Page,
    _place: OwnedSemaphorePermit,
}

/// Sends events until the reader is gone, its key is no more, or the disk fails.
async fn follow(api: Api, key: Arc<Key>, reading: Reading, sender: mpsc::Sender<Bytes>) {
    let Reading { log, mut grown, mut page, _place } = reading;
    if sender.send(Bytes::from_static(b"retry: 3000\n\n")).await.is_err() {
        return;
    }
    loop {
        let mut octets = Vec::new();
        if page.missed {
            octets.extend_from_slice(b": some events went by age or size before they were read\n\n");
        }
        for (event, place) in &page.events {
            octets.extend_from_slice(format!("id: {}\ndata: ", written(*place)).as_bytes());
            octets.extend_from_slice(event);
            octets.extend_from_slice(b"\n\n");
        }
        let quiet = octets.is_empty();
        if !quiet && !matches!(timeout(STALLED, sender.send(octets.into())).await, Ok(Ok(()))) {
            return;
        }
        if !page.more {
            let more = tokio::select! {
                more = timeout(QUIET, grown.changed()) => more,
                () = sender.closed() => return,
            };
            match more {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => match timeout(STALLED, sender.send(Bytes::from_static(b":\n\n"))).await {
                    Ok(Ok(())) => {}
                    _ => return,
                },
            }
        }
        if !api.keys.holds(&key, api.submissions.now().wall_ms) {
            return;
        }
        let (from, reading) = (page.next, Arc::clone(&log));
        match beside(move || reading.read(from, AT_ONCE), "").await {
            Ok(next) => page = next,
            Err(_) => return,
        }
    }
}
