//! Dead letters, for operators: which there are, and having them tried again.

use super::admin::Backstage;
use super::extract::{Body, Parameters, Who};
use super::hooks::dead::{Letter, Reason, message_of};
use super::instant::iso;
use super::problem::Problem;
use crate::engine::control::Ask;
use crate::engine::port::Delivery;
use crate::model::AccountId;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Letters of a page.
pub(super) const PAGE: usize = 100;

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
    /// Letters that are tried now, once each. Those that are taken go from the list.
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
}

/// Which letters are tried again: those that fit all that is said.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Replay {
    /// Those of this account.
    account: Option<String>,
    /// Those of these numbers.
    ids: Option<Vec<u64>>,
    /// Why, for the audit.
    #[schema(required = false)]
    reason: String,
}

fn account(backstage: &Backstage, name: Option<&str>) -> Result<Option<AccountId>, Problem> {
    Ok(name.map(|name| super::lists::account(name, backstage)).transpose()?)
}

/// A page of letters. `name`: of an account.
pub fn page(found: Vec<Letter>, name: impl Fn(AccountId) -> String) -> Letters {
    let next = found.last().filter(|_| found.len() == PAGE).map(|last| last.number);
    Letters { letters: found.iter().map(|letter| LetterTold::of(letter, name(letter.account))).collect(), next }
}

/// Deliveries that no endpoint took
///
/// Oldest first, 100 at once, of the newest 2,000 of each account.
#[utoipa::path(get, path = "/v1/dead-letters", tag = "dead letters", params(Wanted),
    responses((status = 200, description = "Some, or none", body = Letters),
        (status = 422, description = "What is wrong, with its field", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn all(State(backstage): State<Backstage>, Parameters(wanted): Parameters<Wanted>) -> Result<Json<Letters>, Problem> {
    let account = account(&backstage, wanted.account.as_deref())?;
    let found = backstage.dead.list(account, wanted.after, PAGE);
    Ok(Json(page(found, |id| backstage.submissions.account_name(id))))
}

/// Tries dead letters again
///
/// Those that fit all that is said; with nothing said, all. On record before anything is tried.
#[utoipa::path(post, path = "/v1/dead-letters/replay", tag = "dead letters",
    request_body(content = Replay, examples(("account" = (summary = "All of an account", value = json!({"account": "shop", "reason": "its endpoint is up again"}))), ("some" = (summary = "Some", value = json!({"ids": [7, 8]}))))),
    responses((status = 200, description = "They are being tried", body = Replayed)))]
pub(super) async fn replay(State(backstage): State<Backstage>, Who(who): Who, Body(body): Body) -> Result<Json<Replayed>, Problem> {
    let Replay { account: name, ids, reason } = serde_json::from_slice(&body).map_err(|error| Problem::json(&error))?;
    let of = account(&backstage, name.as_deref())?;
    let which = ids.as_ref().map_or_else(|| "all".to_owned(), |ids| ids.len().to_string());
    let what = format!("replay {which} dead letters of {}", name.as_deref().unwrap_or("all accounts"));
    backstage.operator.ask(&who, &reason, Ask::Note { what }).await?;
    Ok(Json(Replayed { replayed: backstage.dead.replay(of, ids.as_deref()) }))
}
