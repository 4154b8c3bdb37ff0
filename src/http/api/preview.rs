//! `POST /v1/messages/preview`: what would become of the same body at `POST /v1/messages`. Nothing is sent.

use super::Api;
use super::extract::{Caller, Json as JsonBody};
use super::messages::prepared;
use super::request::{Submission, public};
use crate::config::Scope;
use crate::http::foretell::{Foretold, foretell};
use crate::http::problem::Problem;
use axum::Json;
use axum::extract::State;

/// What would become of the same body at `/v1/messages`; nothing is sent
#[utoipa::path(post, path = "/v1/messages/preview", tag = "messages", request_body = Submission,
    responses((status = 200, description = "Sums: messages taken and refused, segments, price, encodings, operators, carriers, rates", body = Object)),
    security(("key" = [])))]
pub(super) async fn preview(State(api): State<Api>, caller: Caller, body: JsonBody) -> Result<Json<Foretold>, Problem> {
    caller.key.needs(Scope::MessagesRead)?;
    let prepared = prepared(&api, &caller.account, body).await?;
    let items = prepared.items.into_iter().map(|item| item.draft);
    foretell(&api.operator, caller.account.id, items, "recipients", public).await.map(Json)
}
