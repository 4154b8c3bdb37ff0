//! `GET /v1/messages`: an account's own messages, newest first, from the records and what they have in memory of messages under way.
//!
//! A cursor names the message that the page before ended with: ids sort by the time of acceptance, so what is accepted while somebody reads pages comes
//! before the first of them and shifts none.

use super::extract::Caller;
use super::message::{MessageTold, of_row};
use super::request::time;
use super::{Api, cursor};
use crate::config::Scope;
use crate::http::extract::Parameters;
use crate::http::problem::Problem;
use crate::http::records::{beside, limit_of, number_of, off, state_of};
use crate::model::MessageId;
use crate::records::find::Query;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What may be asked for; all that is given must hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// The number, as people write numbers.
    to: Option<String>,
    /// The sender's own name for it.
    reference: Option<String>,
    /// The campaign.
    campaign: Option<String>,
    /// waiting, sent_waiting, delivered, undelivered, expired, rejected, cancelled, sent_final, no_receipt or in_doubt.
    state: Option<String>,
    /// Accepted at this time or later: ISO 8601 with a zone.
    from_time: Option<String>,
    /// Accepted before this time: ISO 8601 with a zone.
    to_time: Option<String>,
    /// Messages at most; 1 to 1,000, 50 if absent.
    limit: Option<usize>,
    /// Goes on behind the page that gave it as `next_cursor`.
    cursor: Option<String>,
}

/// A page.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Listed {
    /// Newest first.
    messages: Vec<MessageTold>,
    /// Asks for the page behind this one; absent: this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// Time was over before everything was looked at: a narrower question finds more.
    partial: bool,
    /// How far the list is behind: groups of the journal that are not yet in it, mostly 0.
    behind_groups: u64,
    /// So many messages wait (of a long queue, or for a time to come) that the list leaves out some of the oldest until they have ended: a narrower question, or
    /// `GET /v1/messages/{id}`, finds them.
    leaves_out_waiting: bool,
}

/// The kind of these cursors.
const CURSOR: u8 = 1;

/// The account's messages, newest first
///
/// From the records and what they know of messages under way; `behind_groups` says how far they are behind.
#[utoipa::path(get, path = "/v1/messages", tag = "messages", params(Wanted),
    responses((status = 200, description = "A page", body = Listed),
        (status = 404, description = "No records are kept", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What is wrong, with its field", body = Problem, content_type = "application/problem+json")),
    security(("key" = [])))]
pub(super) async fn list(State(api): State<Api>, caller: Caller, Parameters(wanted): Parameters<Wanted>) -> Result<Json<Listed>, Problem> {
    caller.key.needs(Scope::MessagesRead)?;
    let records = api.records.clone().ok_or_else(off)?;
    let number = wanted.to.as_deref().map(|text| number_of(text, api.submissions.home(), "to", &records)).transpose()?;
    wanted.state.as_deref().map(state_of).transpose()?;
    let query = Query {
        id: None,
        number,
        account: Some(caller.account.settings.name.clone()),
        from_ms: wanted.from_time.as_deref().map(|text| time(text, "from_time")).transpose()?,
        to_ms: wanted.to_time.as_deref().map(|text| time(text, "to_time")).transpose()?,
        before: wanted.cursor.as_deref().map(|text| cursor::read(CURSOR, text, "cursor")).transpose()?.map(|[last]| last),
        limit: limit_of(wanted.limit)?,
        campaign: wanted.campaign,
        state: wanted.state,
        reference: wanted.reference,
        identity: None,
    };
    let limit = query.limit;
    let looked = beside(records.clone(), move |records| records.find(&query)).await?;
    let next_cursor = looked.rows.last().filter(|_| looked.rows.len() == limit).map(|row| cursor::written(CURSOR, [row.message]));
    let numbers = records.files().numbers();
    let leaves_out_waiting = looked.not_looked_at > 0;
    let messages = looked.rows.into_iter().map(|row| MessageTold::of(MessageId(row.message), of_row(row, numbers))).collect();
    let figures = records.figures();
    Ok(Json(Listed { messages, next_cursor, partial: looked.partial, behind_groups: figures.behind_groups, leaves_out_waiting }))
}
