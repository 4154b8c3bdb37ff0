//! Dead letters, for operators: which there are, and having them tried again.

use super::admin::Backstage;
use super::extract::{Body, Parameters, Who};
use super::hooks::dead::{Choice, Letter, Reason, message_of};
use super::instant::{self, iso};
use super::problem::{Problem, from_body};
use super::records::limit_of;
use crate::engine::control::Ask;
use crate::engine::port::Delivery;
use crate::engine::scope::Fault;
use crate::model::AccountId;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Letters of a page, if nothing else is asked.
const PAGE: usize = 100;

/// A delivery that no endpoint took.
#[derive(Debug, Serialize, ToSchema)]
pub struct LetterTold {
    /// Its number, by which it is tried again.
    id: u64,
    /// Whose.
    account: String,
    /// The message that it is about.
    message: String,
    /// receipt or inbound.
    kind: &'static str,
    /// expired (tried for as long as deliveries are kept) or never (the endpoint is gone, or may not be written to).
    #[schema(value_type = String)]
    reason: Reason,
    /// Where it was to go: origin and path of the callback or hook; empty: nowhere, or not known.
    endpoint: String,
    /// Why it was not taken the last time: `status 503`, `no connection` ...; empty: not known.
    last: String,
    /// Since when it waited.
    since: String,
    /// When it was given up.
    died_at: String,
    /// Times that it was tried again since the gateway's start.
    replays: u32,
}

impl LetterTold {
    /// A letter of the account of this name.
    pub fn of(letter: &Letter, account: String) -> LetterTold {
        LetterTold {
            id: letter.number,
            account,
            message: message_of(&letter.delivery).to_string(),
            kind: if matches!(*letter.delivery, Delivery::Receipt(_)) { "receipt" } else { "inbound" },
            reason: letter.reason,
            endpoint: letter.endpoint.clone(),
            last: letter.last.clone(),
            since: iso(letter.since_ms),
            died_at: iso(letter.died_ms),
            replays: letter.replays,
        }
    }
}

/// Some letters.
#[derive(Debug, Serialize, ToSchema)]
pub struct Letters {
    /// Oldest first.
    pub letters: Vec<LetterTold>,
    /// Goes on behind these, as `after`; absent: these were the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// What was asked to be tried again.
#[derive(Debug, Serialize, ToSchema)]
pub struct Replayed {
    /// Letters that are tried now, once each, at endpoints that rest too. Those that are taken go from the list; `replays` and `last` of the others tell that they were tried.
    pub replayed: usize,
}

/// Which letters.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Only those of this account.
    account: Option<String>,
    /// Goes on behind the letters before, as their `next`.
    after: u64,
    /// Letters at most; 1 to 1,000, 100 if absent.
    limit: Option<usize>,
}

/// Which letters are tried again: those that fit all that is said.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Replay {
    /// Those of this account.
    account: Option<String>,
    /// Those of these numbers.
    ids: Option<Vec<u64>>,
    /// Those that were to go there, as a letter's `endpoint` tells it.
    endpoint: Option<String>,
    /// Those that were given up then or later: ISO 8601 with a zone.
    from: Option<String>,
    /// Those that were given up before.
    to: Option<String>,
    /// Why, for the audit.
    #[schema(required = false)]
    reason: String,
}

fn account(backstage: &Backstage, name: Option<&str>) -> Result<Option<AccountId>, Problem> {
    Ok(name.map(|name| super::lists::account(name, backstage)).transpose()?)
}

/// Letters of a page.
pub(super) fn page_of(limit: Option<usize>) -> Result<usize, Problem> {
    limit_of(Some(limit.unwrap_or(PAGE)))
}

/// A bound in time of a choice.
pub(super) fn bound(text: Option<&str>, field: &'static str) -> Result<Option<u64>, Problem> {
    let bad = || Fault::of("bad_value", field, "it is no time, or has no zone", "ISO 8601 with a zone, as 2026-11-27T01:00:00Z");
    Ok(text.map(|text| instant::read(text).ok_or_else(bad)).transpose()?)
}

/// A page of at most `limit` letters. `name`: of an account.
pub fn page(found: Vec<Letter>, limit: usize, name: impl Fn(AccountId) -> String) -> Letters {
    let next = found.last().filter(|_| found.len() == limit).map(|last| last.number);
    Letters { letters: found.iter().map(|letter| LetterTold::of(letter, name(letter.account))).collect(), next }
}

/// Deliveries that no endpoint took
///
/// Oldest first, of the newest 2,000 of each account.
#[utoipa::path(get, path = "/v1/dead-letters", tag = "dead letters", params(Wanted),
    responses((status = 200, description = "Some, or none", body = Letters),
        (status = 422, description = "What is wrong, with its field", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn all(State(backstage): State<Backstage>, Parameters(wanted): Parameters<Wanted>) -> Result<Json<Letters>, Problem> {
    let account = account(&backstage, wanted.account.as_deref())?;
    let limit = page_of(wanted.limit)?;
    let found = backstage.dead.list(account, wanted.after, limit);
    Ok(Json(page(found, limit, |id| backstage.submissions.account_name(id))))
}

/// Tries dead letters again
///
/// Those that fit all that is said; with nothing said, all. On record before anything is tried. Endpoints that rest are tried
/// all the same: their rest is over with this.
#[utoipa::path(post, path = "/v1/dead-letters/replay", tag = "dead letters",
    request_body(content = Replay, examples(("account" = (summary = "All of an account", value = json!({"account": "shop", "reason": "its endpoint is up again"}))), ("some" = (summary = "Some", value = json!({"ids": [7, 8]}))))),
    responses((status = 200, description = "They are being tried", body = Replayed)))]
pub(super) async fn replay(State(backstage): State<Backstage>, Who(who): Who, Body(body): Body) -> Result<Json<Replayed>, Problem> {
    let Replay { account: name, ids, endpoint, from, to, reason } = from_body(&body)?;
    let of = account(&backstage, name.as_deref())?;
    let (from_ms, to_ms) = (bound(from.as_deref(), "from")?, bound(to.as_deref(), "to")?);
    let which = ids.as_ref().map_or_else(|| "all".to_owned(), |ids| ids.len().to_string());
    let what = format!("replay {which} dead letters of {}", name.as_deref().unwrap_or("all accounts"));
    let bounds = [("to", &endpoint), ("dead from", &from), ("dead before", &to)];
    let told = bounds.into_iter().filter_map(|(word, bound)| bound.as_ref().map(|bound| format!(" {word} {bound}")));
    let what = told.fold(what, |what, more| what + &more);
    backstage.operator.ask(&who, &reason, Ask::Note { what }).await?;
    let choice = Choice { account: of, numbers: ids.as_deref(), endpoint: endpoint.as_deref(), from_ms, to_ms };
    Ok(Json(Replayed { replayed: backstage.dead.replay(&choice) }))
}
