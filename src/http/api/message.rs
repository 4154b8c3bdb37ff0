//! `GET` and `DELETE /v1/messages/{id}`: one message of the key's account, live or, where records are kept, finished. Anybody else's is told as one that
//! never was.

use super::Api;
use super::extract::Caller;
use crate::config::Scope;
use crate::engine::control::Ask;
use crate::engine::look::{Look, View};
use crate::engine::scope::Fault;
use crate::http::instant;
use crate::http::problem::Problem;
use crate::http::records::beside;
use crate::link::accounts::AccountEntry;
use crate::model::{Address, MessageId};
use crate::records::numbers::Numbers;
use crate::records::row::{Row, RowStep};
use crate::text::transcode::text_of;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use std::borrow::Cow;
use utoipa::ToSchema;

fn unknown() -> Fault {
    Fault::of("unknown_message", "id", "no message of yours has this id, or it is past what is kept", "an id that was answered")
}

fn parsed(id: &str) -> Result<MessageId, Fault> {
    // What is no id is the id of nothing.
    MessageId::parse(id.as_bytes()).ok_or_else(unknown)
}

/// What is known of a message of an account. Times are wall milliseconds, 0 for none.
pub(super) struct Fate {
    pub state: Cow<'static, str>,
    pub waits_on: Option<String>,
    pub class: Cow<'static, str>,
    pub campaign: String,
    pub from: String,
    /// In full; of a finished one masked where the records hold no more.
    pub to: String,
    /// While it lives, as long as no carrier has it.
    pub text: Option<String>,
    pub reference: String,
    pub tags: Vec<String>,
    pub segments: u8,
    pub accepted_ms: u64,
    pub send_at_ms: u64,
    pub expire_at_ms: u64,
    pub sent_ms: Option<u64>,
    pub final_ms: Option<u64>,
    pub error: Option<String>,
    /// Of one that is over.
    pub trail: Vec<RowStep>,
}

fn written(address: &Address) -> String {
    let digits = String::from_utf8_lossy(&address.digits);
    if address.ton == 1 { format!("+{digits}") } else { digits.into_owned() }
}

/// The message of this account and what became of it.
///
/// # Errors
/// There is none, or it is another's.
pub(super) async fn fate(api: &Api, account: &AccountEntry, id: MessageId) -> Result<Fate, Problem> {
    let name = &account.settings.name;
    match api.look(Look::Message(id)).await {
        Ok(View::Message(view)) if view.account == *name => {
            let notes = view.own.notes.as_deref();
            Ok(Fate {
                state: view.state.into(),
                waits_on: view.waits_on.map(|waits_on| waits_on.what),
                class: view.class.into(),
                campaign: view.campaign,
                from: written(&view.own.source),
                to: written(&view.own.destination),
                text: if view.state == "waiting" { text_of(&view.own.body) } else { None },
                reference: notes.map_or_else(String::new, |notes| notes.reference.to_string()),
                tags: notes.map_or_else(Vec::new, |notes| notes.tags.iter().map(ToString::to_string).collect()),
                segments: view.parts as u8,
                accepted_ms: view.accepted_ms,
                send_at_ms: view.due_ms,
                expire_at_ms: view.expires_ms,
                sent_ms: None,
                final_ms: None,
                error: None,
                trail: Vec::new(),
            })
        }
        Ok(View::Message(_)) => Err(unknown().into()),
        Ok(_) => Err(crate::http::look::odd()),
        Err(problem) if matches!(problem.status, 404 | 410) => finished(api, name, id).await,
        Err(problem) => Err(problem),
    }
}

async fn finished(api: &Api, account: &str, id: MessageId) -> Result<Fate, Problem> {
    let records = api.records.clone().ok_or_else(unknown)?;
    let numbers = records.clone();
    let row = beside(records, move |records| records.message(id)).await?.filter(|row| &*row.account == account).ok_or_else(unknown)?;
    Ok(of_row(row, numbers.files().numbers()))
}

/// The same from the records.
pub(super) fn of_row(row: Row, numbers: &Numbers) -> Fate {
    Fate {
        state: row.state,
        waits_on: None,
        class: row.class,
        campaign: row.campaign,
        from: row.source,
        to: numbers.tell(&row.number),
        text: row.text,
        reference: row.reference.unwrap_or_default(),
        tags: row.tags,
        segments: row.segments.unwrap_or(1),
        accepted_ms: row.accepted_ms.unwrap_or(0),
        send_at_ms: row.due_ms.unwrap_or(0),
        expire_at_ms: 0,
        sent_ms: row.sent_ms,
        final_ms: row.final_ms,
        error: row.carrier_error,
        trail: row.trail,
    }
}

/// A message, as its account sees it. Times are ISO 8601.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MessageTold {
    /// Its id.
    id: String,
    /// waiting, sent_waiting (a carrier has it), or how it ended: delivered, undelivered, expired, rejected, cancelled,
    /// sent_final (a carrier took it, and nobody asked for a receipt), no_receipt (none came in time), in_doubt (nobody can say whether it left).
    state: Cow<'static, str>,
    /// What it waits on.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_on: Option<String>,
    /// otp, transactional or marketing.
    class: Cow<'static, str>,
    /// Its campaign; empty: none.
    campaign: String,
    /// Its sender.
    from: String,
    /// Where it goes; of a finished message masked where the records hold no more.
    to: String,
    /// Its sender's own name for it.
    reference: String,
    /// Its sender's words for what it belongs to.
    tags: Vec<String>,
    /// Segments.
    segments: u8,
    /// When it was accepted.
    accepted_at: Option<String>,
    /// Not before.
    #[serde(skip_serializing_if = "Option::is_none")]
    send_at: Option<String>,
    /// Not after.
    #[serde(skip_serializing_if = "Option::is_none")]
    expire_at: Option<String>,
    /// When a carrier took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    done_at: Option<String>,
    /// The carrier's error as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What became of it, step by step; not in lists, nor where no records are kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trail: Vec<StepTold>,
}

/// A step of what became of a message.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StepTold {
    /// When.
    at: Option<String>,
    /// accepted, flagged (the same text as another), replaced, attempt, sent (a carrier took it), receipt, moved and rerouted (to another carrier),
    /// late_receipt, verdict (of ours), told, not_told (its sender).
    step: Cow<'static, str>,
    /// The part, from 0; 255: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<u8>,
    /// The state that was said, by the carrier or by us.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Cow<'static, str>>,
    /// How the message ended with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    means: Option<Cow<'static, str>>,
    /// The carrier's error as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The network's: kind and number.
    #[serde(skip_serializing_if = "Option::is_none")]
    network_error: Option<String>,
    /// The command_status of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u32>,
    /// The carrier's done date.
    #[serde(skip_serializing_if = "Option::is_none")]
    done_at: Option<String>,
}

impl From<RowStep> for StepTold {
    /// Which carrier it was is the house's own.
    fn from(step: RowStep) -> StepTold {
        let RowStep { at_ms, step, carrier: _, part, id: _, state, means, error, network_error, status, done_ms, report: _ } = step;
        StepTold { at: iso(at_ms), step, part, state, means, error, network_error, status, done_at: done_ms.and_then(iso) }
    }
}

impl MessageTold {
    /// What is known of it, in this port's words.
    pub(super) fn of(id: MessageId, fate: Fate) -> MessageTold {
        MessageTold {
            id: id.to_string(),
            state: fate.state,
            waits_on: fate.waits_on,
            class: fate.class,
            campaign: fate.campaign,
            from: fate.from,
            to: fate.to,
            reference: fate.reference,
            tags: fate.tags,
            segments: fate.segments,
            accepted_at: iso(fate.accepted_ms),
            send_at: iso(fate.send_at_ms),
            expire_at: iso(fate.expire_at_ms),
            sent_at: fate.sent_ms.and_then(iso),
            done_at: fate.final_ms.and_then(iso),
            error: fate.error,
            trail: Vec::new(),
        }
    }
}

pub(super) fn iso(ms: u64) -> Option<String> {
    Some(instant::iso(ms)).filter(|text| ms > 0 && !text.is_empty())
}

/// What became of a message, and how
#[utoipa::path(get, path = "/v1/messages/{id}", tag = "messages", params(("id" = String, Path, description = "An id that was answered")),
    responses((status = 200, description = "It is, or was, a message of the account", body = MessageTold)), security(("key" = [])))]
pub(super) async fn look(State(api): State<Api>, caller: Caller, Path(id): Path<String>) -> Result<Json<MessageTold>, Problem> {
    caller.key.needs(Scope::MessagesRead)?;
    let id = parsed(&id)?;
    let mut fate = fate(&api, &caller.account, id).await?;
    let mut trail = std::mem::take(&mut fate.trail);
    if trail.is_empty()
        && let Some(records) = api.records.clone()
    {
        // It lives; the records follow it.
        let row = beside(records, move |records| records.message(id)).await?;
        trail = row.map(|row| row.trail).unwrap_or_default();
    }
    Ok(Json(MessageTold { trail: trail.into_iter().map(StepTold::from).collect(), ..MessageTold::of(id, fate) }))
}

/// Cancel a message that still waits
#[utoipa::path(delete, path = "/v1/messages/{id}", tag = "messages", params(("id" = String, Path, description = "An id that was answered")),
    responses((status = 204, description = "It will not be sent"),
        (status = 409, description = "It has left, or is over", body = Problem, content_type = "application/problem+json")), security(("key" = [])))]
pub(super) async fn cancel(State(api): State<Api>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    caller.key.needs(Scope::MessagesWrite)?;
    let message = parsed(&id)?;
    match api.operator.ask("", "", Ask::Cancel { account: caller.account.id, message }).await {
        Ok(_) => Ok(StatusCode::NO_CONTENT),
        // Gone from what is alive: the records may know how it ended.
        Err(fault) if fault.code == "unknown_message" => {
            let fate = fate(&api, &caller.account, message).await?;
            let what = format!("it is over: {}", fate.state);
            Err(Problem::new(StatusCode::CONFLICT, "too_late", "id", what, "only what waits can be cancelled"))
        }
        Err(fault) => Err(Problem { field: "id".into(), ..fault.into() }),
    }
}
