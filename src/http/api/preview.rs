//! `POST /v1/messages/preview`: what would become of the same body at `POST /v1/messages`. Nothing is sent.

use super::Api;
use super::extract::{Caller, Json as JsonBody};
use super::messages::{MessageAnswer, known, prepared};
use super::request::{Submission, public};
use crate::config::Scope;
use crate::engine::estimate::Estimate;
use crate::engine::explain::Explained;
use crate::engine::look::{Look, View};
use crate::http::foretell::foretell;
use crate::http::look::{look, odd};
use crate::http::problem::Problem;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

/// What would become of a request: sums, and each message. Each is judged as if it were the first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Preview {
    #[serde(flatten)]
    sums: Estimate,
    /// Messages that would be refused.
    refused: usize,
    /// Each message, in order, as it would be answered but for its id.
    messages: Vec<MessageAnswer>,
    /// Of one message alone (`to`): rules, price, route, carrier, buckets, and what it would wait for. Absent where its form is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    explained: Option<Box<Explained>>,
}

/// What would become of the same body at `/v1/messages`; nothing is sent
///
/// Answered with 200 also where nothing would be taken: then each message says why.
#[utoipa::path(post, path = "/v1/messages/preview", tag = "messages", request_body = Submission,
    responses((status = 200, description = "What would become of it", body = Preview)),
    security(("key" = [])))]
pub(super) async fn preview(State(api): State<Api>, caller: Caller, body: JsonBody) -> Result<Json<Preview>, Problem> {
    caller.key.needs(Scope::MessagesRead)?;
    let mut prepared = prepared(&api, &caller.account, body).await?;
    let alone = prepared.items.first().filter(|_| prepared.single).and_then(|item| item.draft.clone().ok().flatten());
    let drafts = prepared.items.iter_mut().map(|item| item.draft.as_mut().map(Option::take).map_err(|fault| fault.clone()));
    let (sums, each) = foretell(&api.operator, caller.account.id, drafts).await?;
    let explained = match alone {
        Some(draft) => match look(&api.operator, Look::ExplainDraft(Box::new(draft))).await? {
            View::Explained(mut explained) => {
                // What operators tell each other is not for customers.
                explained.waits_on = explained.waits_on.map(|waits_on| waits_on.what.into());
                Some(explained)
            }
            _ => return Err(odd()),
        },
        None => None,
    };
    let (ranges, refused) = (api.keys.ranges(), each.iter().filter(|each| each.is_err()).count());
    let told = prepared.items.iter().zip(each).map(|(item, each)| {
        let mut told = known(item, ranges.as_deref());
        match each {
            Ok(segments) => (told.segments, told.repeated) = (segments, segments.is_none()),
            Err((fault, retry)) => told.error = Some((item.named(public(fault)), retry).into()),
        }
        told
    });
    Ok(Json(Preview { refused, messages: told.collect(), explained, sums }))
}
