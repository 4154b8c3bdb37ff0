//! What an operator is told: the engine's views, with what the links know beside them.

use super::admin::Backstage;
use super::desk::Operator;
use super::extract::{Body, Parameters, Who};
use super::problem::Problem;
use super::standing::{Carrier, NotUp};
use crate::engine::control::{Answer, Ask};
use crate::engine::explain::Question;
use crate::engine::look::{AccountView, Look, SessionView, StatusView, View};
use crate::engine::overlay::Action;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};

/// The gateway, with what the process and the links know.
#[derive(Debug, Serialize)]
pub struct Status {
    version: &'static str,
    uptime_s: u64,
    #[serde(flatten)]
    status: StatusView,
    carriers: usize,
    /// Those that are down, out, or not whole.
    carriers_not_up: Vec<NotUp>,
}

/// An account with its sessions.
#[derive(Debug, Serialize)]
pub struct Account {
    #[serde(flatten)]
    account: AccountView,
    binds: Vec<SessionView>,
}

/// Asks the engine for a view.
pub(super) async fn ask(backstage: &Backstage, what: Look) -> Result<View, Problem> {
    look(&backstage.operator, what).await
}

/// A look into the engine, which changes nothing and is on no record.
pub(super) async fn look(operator: &Operator, what: Look) -> Result<View, Problem> {
    match operator.ask("", "", Ask::Look(what)).await? {
        Answer::View(view) => Ok(*view),
        _ => Err(odd()),
    }
}

/// The engine answers a look by what was asked for; anything else would be a mistake of ours.
pub(super) fn odd() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "odd_answer", "", "the engine answered something else", "report it, please")
}

pub(super) async fn status(State(backstage): State<Backstage>) -> Result<Json<Status>, Problem> {
    let View::Status(status) = ask(&backstage, Look::Status).await? else { return Err(odd()) };
    let carriers = standing(&backstage).await?;
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: backstage.started.elapsed().as_secs(),
        status,
        carriers: carriers.len(),
        carriers_not_up: carriers.iter().filter_map(Carrier::not_up).collect(),
    }))
}

pub(super) async fn carriers(State(backstage): State<Backstage>) -> Result<Json<Vec<Carrier>>, Problem> {
    standing(&backstage).await.map(Json)
}

/// The carriers with their binds and how they stand.
async fn standing(backstage: &Backstage) -> Result<Vec<Carrier>, Problem> {
    let View::Carriers(carriers) = ask(backstage, Look::Carriers).await? else { return Err(odd()) };
    let View::Changes(changes) = ask(backstage, Look::Changes).await? else { return Err(odd()) };
    let binds = backstage.links.binds();
    let with_binds = carriers.into_iter().enumerate().map(|(at, carrier)| {
        let binds = binds.iter().filter(|bind| usize::from(bind.carrier.0) == at).cloned().collect();
        Carrier::new(carrier, binds, &changes)
    });
    let config = backstage.configured.config();
    // One that is configured no more is told of as long as something waits there.
    let told = |c: &Carrier| config.carriers.iter().any(|known| known.name == c.view.carrier) || c.waiting() > 0;
    Ok(with_binds.filter(told).collect())
}

pub(super) async fn accounts(State(backstage): State<Backstage>) -> Result<Json<Vec<Account>>, Problem> {
    let View::Accounts(accounts) = ask(&backstage, Look::Accounts).await? else { return Err(odd()) };
    let sessions = backstage.links.sessions();
    let with_sessions = accounts.into_iter().map(|account| {
        let binds = sessions.iter().filter(|session| session.account.as_ref() == Some(&account.account)).cloned().collect();
        Account { account, binds }
    });
    let config = backstage.configured.config();
    let told =
        |a: &Account| config.accounts.iter().any(|known| known.name == a.account.account) || a.account.waiting + a.account.outbox > 0;
    Ok(Json(with_sessions.filter(told).collect()))
}

pub(super) async fn lanes(State(backstage): State<Backstage>) -> Result<Json<View>, Problem> {
    ask(&backstage, Look::Lanes).await.map(Json)
}

pub(super) async fn changes(State(backstage): State<Backstage>) -> Result<Json<View>, Problem> {
    ask(&backstage, Look::Changes).await.map(Json)
}

/// The metrics page, for those who may ask here and can't reach its own port.
pub(super) async fn metrics(State(backstage): State<Backstage>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], backstage.telemetry.render())
}

pub(super) async fn explain(State(backstage): State<Backstage>, Body(body): Body) -> Result<Json<View>, Problem> {
    let question: Question = serde_json::from_slice(&body).map_err(|error| Problem::json(&error))?;
    ask(&backstage, Look::Explain(Box::new(question))).await.map(Json)
}

/// How many records.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Last {
    last: Option<usize>,
}

pub(super) async fn audit(State(backstage): State<Backstage>, Parameters(Last { last }): Parameters<Last>) -> Result<Json<View>, Problem> {
    ask(&backstage, Look::Audit(last.unwrap_or(50))).await.map(Json)
}

/// With secrets or without.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    #[serde(default)]
    secrets: bool,
}

/// The merged truth as TOML: the configuration with the limits in force; what else is in force stands above it.
pub(super) async fn config(
    State(backstage): State<Backstage>,
    Who(who): Who,
    Parameters(Secrets { secrets }): Parameters<Secrets>,
) -> Result<impl IntoResponse, Problem> {
    let View::Changes(changes) = ask(&backstage, Look::Changes).await? else { return Err(odd()) };
    if secrets {
        backstage.operator.ask(&who, "", Ask::Note { what: "config export with secrets".to_owned() }).await?;
    }
    let mut text = String::from("# The configuration in force, limits changed while running included.\n");
    let mut limits = Vec::new();
    for view in changes {
        let change = view.change;
        match change.action {
            Action::Limit { limit } => limits.push(limit),
            ref action => {
                let what = serde_json::to_string(action).unwrap_or_default();
                let until = change.until_ms.map_or(String::new(), |until| format!(", until {until}"));
                text += &format!(
                    "# In force beside it: {} by {} ({}){until}: {what}\n",
                    change.id,
                    change.who,
                    change.reason.replace('\n', " ")
                );
            }
        }
    }
    text += "\n";
    text += &backstage.configured.to_toml(&limits, secrets);
    Ok(([(header::CONTENT_TYPE, "application/toml; charset=utf-8")], text))
}
