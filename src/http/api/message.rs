//! `GET` and `DELETE /v1/messages/{id}`: one message of the key's account, while it is alive. Anybody else's is told as one that never was.

use super::Api;
use super::extract::Caller;
use crate::config::Scope;
use crate::engine::control::Ask;
use crate::engine::look::{Look, MessageView, View};
use crate::engine::scope::Fault;
use crate::http::problem::Problem;
use crate::link::accounts::AccountEntry;
use crate::model::MessageId;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;

fn unknown(id: &str) -> Fault {
    Fault::of("unknown_message", "id", format!("no message {id} of yours is alive"), "an id that was answered")
}

fn parsed(id: &str) -> Result<MessageId, Fault> {
    // What is no id is the id of nothing.
    MessageId::parse(id.as_bytes()).ok_or_else(|| unknown("of this id"))
}

/// A message that is alive, as its account sees it. Times are ISO 8601.
#[derive(Debug, Serialize)]
pub(super) struct MessageTold {
    /// Its id.
    id: String,
    /// waiting or sent_waiting.
    state: &'static str,
    /// What it waits on.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_on: Option<String>,
    /// otp, transactional or marketing.
    class: &'static str,
    /// Its campaign; empty: none.
    campaign: String,
    /// Where it goes; masked.
    to: String,
    /// Parts, and how many a carrier took.
    parts: usize,
    /// See `parts`.
    parts_taken: usize,
    /// When it was accepted.
    accepted_at: String,
    /// Not before.
    #[serde(skip_serializing_if = "Option::is_none")]
    send_at: Option<String>,
    /// Not after.
    #[serde(skip_serializing_if = "Option::is_none")]
    expire_at: Option<String>,
}

fn iso(ms: u64) -> Option<String> {
    let at = i64::try_from(ms).ok().filter(|&ms| ms > 0)?;
    jiff::Timestamp::from_millisecond(at).ok().map(|at| at.to_string())
}

/// The message of this account that is alive.
pub(super) async fn found(api: &Api, account: &AccountEntry, id: MessageId) -> Result<MessageView, Problem> {
    let View::Message(view) = api.look(Look::Message(id)).await.map_err(|problem| not_alive(problem, id))? else {
        return Err(crate::http::look::odd());
    };
    if view.account != account.settings.name {
        return Err(unknown(&id.to_string()).into());
    }
    Ok(view)
}

/// That it has ended is told in the words of this port.
fn not_alive(problem: Problem, id: MessageId) -> Problem {
    match problem.status {
        404 | 410 => unknown(&id.to_string()).into(),
        _ => problem,
    }
}

pub(super) async fn look(State(api): State<Api>, caller: Caller, Path(id): Path<String>) -> Result<Json<MessageTold>, Problem> {
    caller.key.needs(Scope::MessagesRead)?;
    let view = found(&api, &caller.account, parsed(&id)?).await?;
    Ok(Json(MessageTold {
        id: view.message,
        state: view.state,
        waits_on: view.waits_on,
        class: view.class,
        campaign: view.campaign,
        to: view.destination,
        parts: view.parts,
        parts_taken: view.parts_taken,
        accepted_at: iso(view.accepted_ms).unwrap_or_default(),
        send_at: iso(view.due_ms),
        expire_at: iso(view.expires_ms),
    }))
}

pub(super) async fn cancel(State(api): State<Api>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    caller.key.needs(Scope::MessagesWrite)?;
    let message = parsed(&id)?;
    let ask = Ask::Cancel { account: caller.account.id, message };
    api.operator.ask("", "", ask).await.map_err(|fault| not_alive(fault.into(), message))?;
    Ok(StatusCode::NO_CONTENT)
}
