//! What accounts have: looked at, and topped up under a reference that pays in once.

use super::admin::Backstage;
use super::extract::{Body, Who};
use super::look::{ask, odd};
use super::problem::Problem;
use crate::engine::balance::{BalanceView, TopUp};
use crate::engine::control::{Answer, Ask};
use crate::engine::look::{Look, View};
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;

/// `GET /v1/accounts/{name}/balance`: thousandths of a credit.
pub(super) async fn balance(State(backstage): State<Backstage>, Path(name): Path<String>) -> Result<Json<View>, Problem> {
    ask(&backstage, Look::Balance(name)).await.map(Json)
}

/// A top-up.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PaidIn {
    /// Thousandths of a credit; below 0 it is taken out.
    change: i64,
    /// What it is for; the same one changes nothing again.
    #[serde(default)]
    reference: String,
    #[serde(default)]
    reason: String,
}

/// `POST /v1/accounts/{name}/top-ups`: what the account has then.
pub(super) async fn top_up(
    State(backstage): State<Backstage>,
    Who(who): Who,
    Path(account): Path<String>,
    Body(body): Body,
) -> Result<Json<BalanceView>, Problem> {
    let PaidIn { change, reference, reason } = serde_json::from_slice(&body).map_err(|error| Problem::json(&error))?;
    match backstage.operator.ask(&who, &reason, Ask::TopUp(TopUp { account, change, reference })).await? {
        Answer::Balance(view) => Ok(Json(*view)),
        _ => Err(odd()),
    }
}
