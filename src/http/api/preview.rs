//! `POST /v1/messages/preview`: what would become of the same body at `POST /v1/messages`. Nothing is sent.

use super::Api;
use super::extract::{Caller, Json as JsonBody};
use super::messages::prepared;
use super::request::{Submission, public};
use crate::config::Scope;
use crate::engine::estimate::{ESTIMATE_MAX, Estimate, Refused};
use crate::engine::look::{Look, View};
use crate::engine::scope::Fault;
use crate::http::messages::{Told, refused};
use crate::http::problem::Problem;
use crate::http::refusal::fault_of;
use crate::model::refusal::Fault as Whose;
use axum::Json;
use axum::extract::State;
use serde::Serialize;

/// A refusal with the place of its recipient.
#[derive(Debug, Serialize)]
struct At {
    at: usize,
    #[serde(flatten)]
    refused: Told,
}

/// What would become of a request.
#[derive(Debug, Serialize)]
pub(super) struct Foretold {
    #[serde(flatten)]
    estimate: Estimate,
    /// Messages that would be refused, with their places from 0.
    refused: Vec<At>,
}

/// What would become of the same body at `/v1/messages`; nothing is sent
#[utoipa::path(post, path = "/v1/messages/preview", tag = "messages", request_body = Submission,
    responses((status = 200, description = "Sums: messages taken and refused, segments, price, encodings, operators, carriers, rates", body = Object)),
    security(("key" = [])))]
pub(super) async fn preview(State(api): State<Api>, caller: Caller, body: JsonBody) -> Result<Json<Foretold>, Problem> {
    caller.key.needs(Scope::MessagesRead)?;
    let prepared = prepared(&api, &caller.account, body).await?;
    if prepared.items.len() > ESTIMATE_MAX {
        let what = format!("{} recipients are too many to foretell at once", prepared.items.len());
        return Err(Fault::of("too_many", "recipients", what, format!("at most {ESTIMATE_MAX}")).into());
    }
    let (mut drafts, mut places, mut at_fault) = (Vec::new(), Vec::new(), Vec::new());
    for (at, item) in prepared.items.into_iter().enumerate() {
        match item.draft {
            Ok(draft) => {
                places.push(at);
                drafts.extend(draft);
            }
            Err(fault) => at_fault.push(At { at, refused: refused(fault, false) }),
        }
    }
    let View::Estimated(mut estimate) = api.look(Look::Estimate(caller.account.id, drafts)).await? else {
        return Err(crate::http::look::odd());
    };
    let by_engine = std::mem::take(&mut estimate.refused);
    at_fault.extend(by_engine.into_iter().map(|Refused { at, refusal }| At {
        at: places[at],
        refused: refused(public(fault_of(refusal)), refusal.fault() == Whose::Gateway),
    }));
    Ok(Json(Foretold { estimate: *estimate, refused: at_fault }))
}
