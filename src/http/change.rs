//! What an operator changes: everything goes to the engine as a request that is on record before it is answered; what only the links can do follows.

use super::admin::{Backstage, Reloaded};
use super::extract::{Body, Parameters, Who};
use super::instant::now_ms;
use super::look::odd;
use super::problem::Problem;
use crate::engine::control::{Answer, Ask, Which};
use crate::engine::look::Rebinding;
use crate::engine::overlay::{Action, Change};
use crate::engine::scope::{Fault, Scope};
use crate::engine::trial::Trial;
use crate::model::CarrierId;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;

/// Longest a change may be told to last, seconds.
const FOR_MAX_S: u64 = 366 * 86_400;

fn parse<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::json(&error))
}

/// A field of `body` that is not the action's.
fn taken<T: for<'de> Deserialize<'de>>(body: &mut Map<String, Value>, field: &str) -> Result<Option<T>, Problem> {
    let Some(value) = body.remove(field).filter(|value| !value.is_null()) else { return Ok(None) };
    serde_json::from_value(value).map(Some).map_err(|error| Problem { field: field.into(), ..Problem::json(&error) })
}

/// `POST /v1/changes`: an action with `reason` and `for_s` or `until_ms`.
pub(super) async fn begin(
    State(backstage): State<Backstage>,
    Who(who): Who,
    Body(body): Body,
) -> Result<(StatusCode, Json<Change>), Problem> {
    let mut body: Map<String, Value> = parse(&body)?;
    let reason: String = taken(&mut body, "reason")?.unwrap_or_default();
    let for_s: Option<u64> = taken(&mut body, "for_s")?;
    let until_ms: Option<u64> = taken(&mut body, "until_ms")?;
    let action: Action = serde_json::from_value(Value::Object(body)).map_err(|error| Problem::json(&error))?;
    let until_ms = match (for_s, until_ms) {
        (None, until_ms) => until_ms,
        (Some(for_s), None) if (1..=FOR_MAX_S).contains(&for_s) => Some(now_ms() + for_s * 1000),
        (Some(_), None) => return Err(bad("for_s", "is out of range", "1 second to a year")),
        (Some(_), Some(_)) => return Err(bad("for_s", "stands beside until_ms", "one of the two")),
    };
    if matches!(action, Action::Cancel { .. }) && until_ms.is_some() {
        return Err(bad("for_s", "a cancel has no end: what is cancelled is over", "no end"));
    }
    if let Some(Scope { carrier: Some(carrier), bind: Some(bind), .. }) = action.scope() {
        has_bind(&backstage, carrier_at(&backstage, carrier).await?, carrier, *bind)?;
    }
    match backstage.operator.ask(&who, &reason, Ask::Begin { action, until_ms }).await? {
        Answer::Began(change) => {
            tracing::info!(change = change.id, action = change.action.name(), %who, "changed while running");
            Ok((StatusCode::CREATED, Json(*change)))
        }
        _ => Err(odd()),
    }
}

pub(super) fn bad(field: &'static str, what: &str, fix: &str) -> Problem {
    Fault::of("bad_value", field, what, fix).into()
}

/// Why.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reason {
    pub(super) reason: String,
}

/// `DELETE /v1/changes/{id}`.
pub(super) async fn end(
    State(backstage): State<Backstage>,
    Who(who): Who,
    Path(id): Path<String>,
    Parameters(Reason { reason }): Parameters<Reason>,
) -> Result<Json<Vec<Change>>, Problem> {
    let id = id.parse().map_err(|_| bad("id", "is no number", "the number of a change, as `pauses` lists it"))?;
    lift(&backstage, &who, &reason, Which::Id(id)).await
}

async fn lift(backstage: &Backstage, who: &str, reason: &str, which: Which) -> Result<Json<Vec<Change>>, Problem> {
    match backstage.operator.ask(who, reason, Ask::End(which)).await? {
        Answer::Ended(changes) => {
            tracing::info!(changes = changes.len(), %who, "changes lifted");
            Ok(Json(changes))
        }
        _ => Err(odd()),
    }
}

/// What is resumed: pauses and drains of a scope, or the limit of an account or carrier.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resume {
    scope: Scope,
    limit: Option<LimitOf>,
    reason: String,
}

/// Whose limit.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitOf {
    account: Option<String>,
    carrier: Option<String>,
}

/// `POST /v1/resume`.
pub(super) async fn resume(State(backstage): State<Backstage>, Who(who): Who, Body(body): Body) -> Result<Json<Vec<Change>>, Problem> {
    let Resume { scope, limit, reason } = parse(&body)?;
    let which = match limit {
        Some(LimitOf { account, carrier }) => Which::Limit { account, carrier },
        None if scope.is_everything() => return Err(bad("scope", "nothing says what to resume", "a scope, or DELETE /v1/changes/NUMBER")),
        None => Which::Scope(scope),
    };
    lift(&backstage, &who, &reason, which).await
}

/// A carrier, or one bind of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BindOf {
    carrier: String,
    bind: Option<u16>,
    #[serde(default)]
    reason: String,
}

/// What a rebind did.
#[derive(Debug, Serialize)]
pub struct Rebound {
    /// Changes that kept it down, and do no more.
    lifted: Vec<Change>,
    /// What was done to binds that nothing kept down.
    #[serde(flatten)]
    binds: Rebinding,
}

/// `POST /v1/rebind`: what an operator wanted down comes up; what is up is closed and binds anew; what waits for its next try makes it at once.
pub(super) async fn rebind(State(backstage): State<Backstage>, Who(who): Who, Body(body): Body) -> Result<Json<Rebound>, Problem> {
    let BindOf { carrier, bind, reason } = parse(&body)?;
    let at = carrier_at(&backstage, &carrier).await?;
    if let Some(bind) = bind {
        has_bind(&backstage, at, &carrier, bind)?;
    }
    let scope = Scope::of_carrier(&carrier, bind);
    match backstage.operator.ask(&who, &reason, Ask::End(Which::Unbinds(scope))).await {
        Ok(Answer::Ended(lifted)) => Ok(Json(Rebound { lifted, binds: Rebinding { closed: 0, hurried: 0 } })),
        Err(fault) if fault.code == "not_in_force" => {
            let name = bind.map_or(carrier.clone(), |bind| format!("{carrier}/{bind}"));
            backstage.operator.ask(&who, &reason, Ask::Note { what: format!("rebind {name}") }).await?;
            Ok(Json(Rebound { lifted: Vec::new(), binds: backstage.links.rebind(at, bind) }))
        }
        Err(fault) => Err(fault.into()),
        Ok(_) => Err(odd()),
    }
}

/// A typing mistake must not look like a success.
fn has_bind(backstage: &Backstage, at: CarrierId, carrier: &str, bind: u16) -> Result<(), Problem> {
    let binds: Vec<u16> = backstage.links.binds().into_iter().filter(|view| view.carrier == at).map(|view| view.bind).collect();
    if binds.contains(&bind) {
        return Ok(());
    }
    let names: Vec<String> = binds.iter().map(|bind| format!("{carrier}/{bind}")).collect();
    let fix = if names.is_empty() { "a carrier with binds".to_owned() } else { names.join(", ") };
    Err(Fault::of("unknown_name", "bind", format!("{carrier} has no bind {bind}"), fix).into())
}

/// The id of a carrier by its place among all carriers.
async fn carrier_at(backstage: &Backstage, name: &str) -> Result<CarrierId, Problem> {
    use crate::engine::look::{Look, View};
    let Answer::View(view) = backstage.operator.ask("", "", Ask::Look(Look::Carriers)).await? else { return Err(odd()) };
    let View::Carriers(carriers) = *view else { return Err(odd()) };
    let configured = backstage.configured.config().carriers.iter().any(|carrier| carrier.name == name);
    let at = carriers.iter().position(|carrier| carrier.carrier == name).filter(|_| configured);
    let unknown = || Fault::of("unknown_name", "carrier", format!("no carrier is called '{name}'"), "one that `carriers` shows");
    Ok(CarrierId(at.ok_or_else(unknown)? as u16))
}

/// Which upstream sessions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kick {
    session: Option<u64>,
    account: Option<String>,
    #[serde(default)]
    reason: String,
}

/// `POST /v1/kick`: upstream sessions are unbound; they may bind again.
pub(super) async fn kick(State(backstage): State<Backstage>, Who(who): Who, Body(body): Body) -> Result<Json<Value>, Problem> {
    let Kick { session, account, reason } = parse(&body)?;
    if session.is_none() == account.is_none() {
        return Err(bad("session", "exactly one of session and account says who", "the number of a session, or an account"));
    }
    let sessions = backstage.links.sessions().into_iter();
    let meant = |s: &crate::engine::look::SessionView| Some(s.session) == session || (account.is_some() && s.account == account);
    let meant: Vec<u64> = sessions.filter(meant).map(|s| s.session).collect();
    if meant.is_empty() {
        return Err(Problem::new(StatusCode::NOT_FOUND, "no_session", "session", "no such session", "one that `accounts` shows"));
    }
    let who_is_kicked = account.map_or_else(|| format!("session {}", meant[0]), |account| format!("{} sessions of {account}", meant.len()));
    backstage.operator.ask(&who, &reason, Ask::Note { what: format!("kick {who_is_kicked}") }).await?;
    let kicked = meant.into_iter().filter(|&session| backstage.links.kick(session)).count();
    Ok(Json(serde_json::json!({ "kicked": kicked })))
}

/// `POST /v1/test-messages`: a [`Trial`] with `reason`; the message is on its way when this is answered.
pub(super) async fn test_message(
    State(backstage): State<Backstage>,
    Who(who): Who,
    Body(body): Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let mut body: Map<String, Value> = parse(&body)?;
    let reason: String = taken(&mut body, "reason")?.unwrap_or_default();
    let trial: Trial = serde_json::from_value(Value::Object(body)).map_err(|error| Problem::json(&error))?;
    match backstage.operator.ask(&who, &reason, Ask::Test(trial)).await? {
        Answer::Testing(id) => Ok((StatusCode::ACCEPTED, Json(serde_json::json!({ "message": id.to_string() })))),
        _ => Err(odd()),
    }
}

/// How to reload.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reload {
    dry_run: bool,
    reason: String,
}

/// `POST /v1/reload`.
pub(super) async fn reload(State(backstage): State<Backstage>, Who(who): Who, Body(body): Body) -> Result<Json<Reloaded>, Problem> {
    let Reload { dry_run, reason } = parse(&body)?;
    // It goes on though whoever asked goes away: it is in force whole or not at all.
    let task = tokio::spawn(async move { backstage.configured.reload(dry_run, &who, &reason).await });
    let patience = Duration::from_secs(50);
    match tokio::time::timeout(patience, task).await {
        Ok(Ok(reloaded)) => reloaded.map(Json),
        Ok(Err(_)) => Err(odd()),
        Err(_) => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "",
            "the reload takes long; it goes on",
            "look at the audit in a while",
        )),
    }
}
