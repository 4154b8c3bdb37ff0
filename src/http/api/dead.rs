//! An account's own dead letters: deliveries that its endpoints did not take, and having them tried again.

use super::Api;
use super::extract::{Caller, Json as JsonBody};
use crate::config::Scope;
use crate::http::dead::{Letters, Replayed, bound, page, page_of};
use crate::http::extract::Parameters;
use crate::http::hooks::dead::Choice;
use crate::http::problem::{Problem, from_body};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Where to go on.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Goes on behind the letters before, as their `next`.
    after: u64,
    /// Letters at most; 1 to 1,000, 100 if absent.
    limit: Option<usize>,
}

/// Which letters are tried again: those that fit all that is said; with nothing said, all.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Which {
    /// Those of these numbers.
    ids: Option<Vec<u64>>,
    /// Those that were to go there, as a letter's `endpoint` tells it.
    endpoint: Option<String>,
    /// Those that were given up then or later: ISO 8601 with a zone.
    from: Option<String>,
    /// Those that were given up before.
    to: Option<String>,
}

/// Deliveries that no endpoint took
///
/// Those of the account's callbacks and hook that failed for as long as deliveries are kept (72 hours by default), or whose endpoint said that it is gone; oldest
/// first, of the newest 2,000.
#[utoipa::path(get, path = "/v1/dead-letters", tag = "events", params(Wanted),
    responses((status = 200, description = "Some, or none", body = Letters),
        (status = 422, description = "What is wrong, with its field", body = Problem, content_type = "application/problem+json")),
    security(("key" = [])))]
pub(super) async fn list(State(api): State<Api>, caller: Caller, Parameters(wanted): Parameters<Wanted>) -> Result<Json<Letters>, Problem> {
    caller.key.needs(Scope::MessagesRead)?;
    let name = &caller.account.settings.name;
    let limit = page_of(wanted.limit)?;
    Ok(Json(page(api.dead.list(Some(caller.account.id), wanted.after, limit), limit, |_| name.clone())))
}

/// Have dead letters tried again, once each
///
/// At once: endpoints that rest are tried all the same, their rest is over with this. A letter that is not taken again stays in the list.
#[utoipa::path(post, path = "/v1/dead-letters/replay", tag = "events", request_body = Which,
    responses((status = 200, description = "They are being tried", body = Replayed)), security(("key" = [])))]
pub(super) async fn replay(State(api): State<Api>, caller: Caller, body: JsonBody) -> Result<Json<Replayed>, Problem> {
    caller.key.needs(Scope::MessagesWrite)?;
    let JsonBody(body, _) = body;
    let Which { ids, endpoint, from, to } = from_body(&body)?;
    let (from_ms, to_ms) = (bound(from.as_deref(), "from")?, bound(to.as_deref(), "to")?);
    let (account, numbers) = (Some(caller.account.id), ids.as_deref());
    let choice = Choice { account, numbers, endpoint: endpoint.as_deref(), from_ms, to_ms };
    Ok(Json(Replayed { replayed: api.dead.replay(&choice) }))
}
