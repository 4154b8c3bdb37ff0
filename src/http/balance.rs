//! What accounts have: looked at, and topped up under a reference that pays in once.

use super::admin::Backstage;
use super::extract::{Body, Who};
use super::look::{ask, odd};
use super::problem::{Problem, from_body};
use crate::engine::balance::{BalanceView, TopUp};
use crate::engine::control::{Answer, Ask};
use crate::engine::look::{Look, View};
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;

/// What an account has, in thousandths of a credit
#[utoipa::path(get, path = "/v1/accounts/{name}/balance", tag = "accounts", params(("name" = String, Path, description = "The account")),
    responses((status = 200, description = "Its balance", body = BalanceView),
        (status = 422, description = "What is wrong, with its field", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn balance(State(backstage): State<Backstage>, Path(name): Path<String>) -> Result<Json<View>, Problem> {
    ask(&backstage, Look::Balance(name)).await.map(Json)
}

/// A top-up.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PaidIn {
    /// Thousandths of a credit; below 0 it is taken out.
    change: i64,
    /// What it is for; the same one changes nothing again.
    #[serde(default)]
    reference: String,
    /// Why, for the audit.
    #[serde(default)]
    reason: String,
}

/// Pays in, or takes out
///
/// Under a reference it pays in once: the same reference within 72 hours changes nothing again.
#[utoipa::path(post, path = "/v1/accounts/{name}/top-ups", tag = "accounts", params(("name" = String, Path, description = "The account")),
    request_body(content = PaidIn, examples(("top-up" = (value = json!({"change": 5000000, "reference": "invoice-7", "reason": "paid"}))))),
    responses((status = 200, description = "What the account has then", body = BalanceView)))]
pub(super) async fn top_up(
    State(backstage): State<Backstage>,
    Who(who): Who,
    Path(account): Path<String>,
    Body(body): Body,
) -> Result<Json<BalanceView>, Problem> {
    let PaidIn { change, reference, reason } = from_body(&body)?;
    match backstage.operator.ask(&who, &reason, Ask::TopUp(TopUp { account, change, reference })).await? {
        Answer::Balance(view) => Ok(Json(*view)),
        _ => Err(odd()),
    }
}
