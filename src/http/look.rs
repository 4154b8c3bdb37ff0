//! What an operator is told: the engine's views, with what the links know beside them.

use super::admin::Backstage;
use super::desk::Operator;
use super::extract::{Body, Parameters, Who};
use super::problem::{Problem, from_body};
use super::standing::{Carrier, NotUp};
use crate::engine::control::{Answer, Ask};
use crate::engine::explain::Explained;
use crate::engine::explain::Question;
use crate::engine::look::{AccountView, ChangeView, LaneView, Look, SessionView, StatusView, View};
use crate::engine::overlay::{Action, Record};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The gateway, with what the process and the links know.
#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    /// Of the gateway.
    version: &'static str,
    /// Seconds since it was started.
    uptime_s: u64,
    #[serde(flatten)]
    status: StatusView,
    /// How many there are.
    carriers: usize,
    /// Those that are down, out, or not whole.
    carriers_not_up: Vec<NotUp>,
}

/// An account with its sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct Account {
    #[serde(flatten)]
    account: AccountView,
    /// Its sessions.
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

/// The gateway at a glance
///
/// Counts of messages by state, the disk, and which carriers are not up and why.
#[utoipa::path(get, path = "/v1/status", tag = "gateway", responses((status = 200, description = "How it stands", body = Status)))]
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

/// Carriers with their binds
///
/// How each stands, what waits in front of it and for what, its answers, its rate.
#[utoipa::path(get, path = "/v1/carriers", tag = "carriers", responses((status = 200, description = "Each carrier", body = Vec<Carrier>)))]
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
    let told = |c: &Carrier| config.carrier_by_name(&c.view.carrier).is_some() || c.waiting() > 0;
    Ok(with_binds.filter(told).collect())
}

/// Accounts with their sessions
#[utoipa::path(get, path = "/v1/accounts", tag = "accounts", responses((status = 200, description = "Each account", body = Vec<Account>)))]
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

/// Lanes: what waits in front of each carrier, by account, class and campaign
///
/// What each waits for, and when it will be empty.
#[utoipa::path(get, path = "/v1/lanes", tag = "carriers", responses((status = 200, description = "Each lane in which something waits", body = Vec<LaneView>)))]
pub(super) async fn lanes(State(backstage): State<Backstage>) -> Result<Json<View>, Problem> {
    ask(&backstage, Look::Lanes).await.map(Json)
}

/// Changes in force, and how far they are
#[utoipa::path(get, path = "/v1/changes", tag = "changes", responses((status = 200, description = "Each change", body = Vec<ChangeView>)))]
pub(super) async fn changes(State(backstage): State<Backstage>) -> Result<Json<View>, Problem> {
    ask(&backstage, Look::Changes).await.map(Json)
}

/// The metrics page
///
/// For those who may ask here and can not reach its own port.
#[utoipa::path(get, path = "/metrics", tag = "gateway", responses((status = 200, description = "As a scrape would get it", body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(backstage): State<Backstage>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], backstage.telemetry.render())
}

/// What would become of a message, and why
///
/// Rules, route, price, buckets and what it would wait for. Nothing is sent.
#[utoipa::path(post, path = "/v1/explain", tag = "messages",
    request_body(content = Question, examples(("plain" = (value = json!({"to": "13800138000", "account": "shop", "from": "SHOP", "text": "Hello"}))))),
    responses((status = 200, description = "What would become of it", body = Explained)))]
pub(super) async fn explain(State(backstage): State<Backstage>, Body(body): Body) -> Result<Json<View>, Problem> {
    let question: Question = from_body(&body)?;
    ask(&backstage, Look::Explain(Box::new(question))).await.map(Json)
}

/// How many records.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Last {
    /// How many, newest first; absent: 50.
    last: Option<usize>,
}

/// What was changed, by whom and why
///
/// The last 1,000 records are kept.
#[utoipa::path(get, path = "/v1/audit", tag = "gateway", params(Last),
    responses((status = 200, description = "Records, newest first", body = Vec<Record>),
        (status = 422, description = "What is wrong, with its field", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn audit(State(backstage): State<Backstage>, Parameters(Last { last }): Parameters<Last>) -> Result<Json<View>, Problem> {
    ask(&backstage, Look::Audit(last.unwrap_or(50))).await.map(Json)
}

/// With secrets or without.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Secrets {
    /// With passwords and the like; that is put on record.
    #[serde(default)]
    secrets: bool,
}

/// The configuration in force as TOML
///
/// Limits that were changed while running are in it; what else is in force stands above it in comments.
#[utoipa::path(get, path = "/v1/config", tag = "gateway", params(Secrets),
    responses((status = 200, description = "The configuration", body = String, content_type = "application/toml"),
        (status = 422, description = "What is wrong, with its field", body = Problem, content_type = "application/problem+json")))]
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
