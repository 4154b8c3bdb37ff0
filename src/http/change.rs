//! What an operator changes: everything goes to the engine as a request that is on record before it is answered; what only the links can do follows.

use super::admin::{Backstage, Reloaded};
use super::extract::{Body, Parameters, Who};
use super::instant::now_ms;
use super::look::odd;
use super::problem::{Problem, from_body};
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
use utoipa::{IntoParams, ToSchema};

/// Longest a change may be told to last, seconds.
const FOR_MAX_S: u64 = 366 * 86_400;

fn parse<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Problem> {
    from_body(body)
}

/// A field of `body` that is not the action's.
fn taken<T: for<'de> Deserialize<'de>>(body: &mut Map<String, Value>, field: &str) -> Result<Option<T>, Problem> {
    let Some(value) = body.remove(field).filter(|value| !value.is_null()) else { return Ok(None) };
    serde_json::from_value(value).map(Some).map_err(|error| Problem { field: field.into(), ..Problem::json(&error) })
}

/// A change as it is asked for: the fields of an action, and these.
// Only described: it is read in two parts, so that a field that neither knows is refused by its name.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the document's")]
pub(super) struct Begin {
    #[serde(flatten)]
    action: Action,
    /// Why: for the audit and whoever wonders; up to 500 octets.
    #[schema(required = false)]
    reason: String,
    /// Ends by itself after so many seconds, 1 to a year's; absent, and without `until_ms`: when it is lifted. A cancel has no end.
    for_s: Option<u64>,
    /// Ends by itself at this wall time, milliseconds; in place of `for_s`.
    until_ms: Option<u64>,
}

/// Changes something while running: pause, drain, reroute, unbind, cancel or limit
///
/// The action says what is done, its scope to what: all conditions of a scope must hold, and one must be set. A pause takes any scope; a bind only with
/// its carrier and nothing else. A drain and an unbind take a carrier, or a carrier and a bind. A reroute and a cancel take anything but a bind. A limit has no
/// scope, but an account or a carrier. A change survives restarts, and lies over the configuration until it ends or is lifted.
/// A cancel ends what was accepted up to now, and can not be brought back.
#[utoipa::path(post, path = "/v1/changes", tag = "changes",
    request_body(content = Begin, examples(
        ("cancel" = (summary = "Cancel what an account has waiting in a class", value = json!({"action": "cancel", "scope": {"account": "shop", "class": "marketing"}, "reason": "wrong text"}))),
        ("drain" = (summary = "Empty a carrier, then unbind it", value = json!({"action": "drain", "scope": {"carrier": "south"}, "then_unbind": true}))),
        ("limit of a carrier" = (summary = "Another rate of a carrier", value = json!({"action": "limit", "limit": {"carrier": "north", "rate_per_s": 200, "burst": 20}}))),
        ("limit of an account" = (summary = "Another rate of an account, and more places to wait", value = json!({"action": "limit", "limit": {"account": "shop", "rate_per_s": 50, "max_waiting": 100000}}))),
        ("pause of a carrier" = (summary = "Pause a carrier for two hours", value = json!({"action": "pause", "scope": {"carrier": "north"}, "reason": "maintenance", "for_s": 7200}))),
        ("pause of messages" = (summary = "Pause an account's messages of a class to numbers that begin so", value = json!({"action": "pause", "scope": {"account": "shop", "class": "marketing", "prefix": "86138"}}))),
        ("reroute" = (summary = "Send by another carrier what would go to this one", value = json!({"action": "reroute", "scope": {"carrier": "north"}, "to": "south"}))),
        ("unbind" = (summary = "Keep one bind down", value = json!({"action": "unbind", "scope": {"carrier": "south", "bind": 0}}))))),
    responses((status = 201, description = "It is in force, durably", body = Change)))]
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
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Reason {
    /// Why, for the audit.
    pub(super) reason: String,
}

/// Lifts a change
#[utoipa::path(delete, path = "/v1/changes/{id}", tag = "changes", params(("id" = u64, Path, description = "Its number, as `GET /v1/changes` tells it"), Reason),
    responses((status = 200, description = "It is lifted", body = Vec<Change>),
        (status = 404, description = "It is not in force, or a cancel", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What is wrong, with its field", body = Problem, content_type = "application/problem+json")))]
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
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Resume {
    /// Pauses and drains of exactly this scope are lifted.
    #[schema(required = false)]
    scope: Scope,
    /// In place of a scope: the configured limit is in force again.
    limit: Option<LimitOf>,
    /// Why, for the audit.
    #[schema(required = false)]
    reason: String,
}

/// Whose limit.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitOf {
    /// Of this account.
    account: Option<String>,
    /// Of this carrier.
    carrier: Option<String>,
}

/// Lifts pauses and drains of a scope, or the limit of an account or carrier
#[utoipa::path(post, path = "/v1/resume", tag = "changes",
    request_body(content = Resume, examples(
        ("scope" = (summary = "What was paused or drained by exactly this scope", value = json!({"scope": {"carrier": "north"}, "reason": "maintenance is over"}))),
        ("limit" = (summary = "The limit of an account", value = json!({"limit": {"account": "shop"}}))))),
    responses((status = 200, description = "What was lifted", body = Vec<Change>),
        (status = 404, description = "Nothing of it is in force", body = Problem, content_type = "application/problem+json")))]
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
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BindOf {
    /// Its name.
    carrier: String,
    /// Which, from 0; absent: all of them.
    bind: Option<u16>,
    /// Why, for the audit.
    #[serde(default)]
    reason: String,
}

/// What a rebind did.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rebound {
    /// Changes that kept it down, and do no more.
    lifted: Vec<Change>,
    /// What was done to binds that nothing kept down.
    #[serde(flatten)]
    binds: Rebinding,
}

/// Binds anew
///
/// What an operator wanted down comes up; what is up is closed and binds anew; what waits for its next try makes it at once.
#[utoipa::path(post, path = "/v1/rebind", tag = "carriers",
    request_body(content = BindOf, examples(("all" = (value = json!({"carrier": "north"}))), ("one" = (value = json!({"carrier": "north", "bind": 0, "reason": "stuck"}))))),
    responses((status = 200, description = "What was done", body = Rebound)))]
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
    let configured = backstage.configured.config().carrier_by_name(name).is_some();
    let at = carriers.iter().position(|carrier| carrier.carrier == name).filter(|_| configured);
    let unknown = || Fault::of("unknown_name", "carrier", format!("no carrier is called '{name}'"), "one that `carriers` shows");
    Ok(CarrierId(at.ok_or_else(unknown)? as u16))
}

/// Which upstream sessions.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Kick {
    /// This one, by its number.
    session: Option<u64>,
    /// In place of a session: all of this account's.
    account: Option<String>,
    /// Why, for the audit.
    #[serde(default)]
    reason: String,
}

/// How many sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct Kicked {
    /// Those that are unbound now.
    kicked: usize,
}

/// Unbinds upstream sessions
///
/// They may bind again.
#[utoipa::path(post, path = "/v1/kick", tag = "accounts",
    request_body(content = Kick, examples(("account" = (value = json!({"account": "shop", "reason": "asked by phone"}))))),
    responses((status = 200, description = "They are unbound", body = Kicked),
        (status = 404, description = "There is no such session", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn kick(State(backstage): State<Backstage>, Who(who): Who, Body(body): Body) -> Result<Json<Kicked>, Problem> {
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
    Ok(Json(Kicked { kicked }))
}

/// A test message as it is asked for.
// Only described, as `Begin` is.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the document's")]
pub(super) struct Try {
    #[serde(flatten)]
    trial: Trial,
    /// Why, for the audit.
    #[schema(required = false)]
    reason: String,
}

/// A test message that is on its way.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tried {
    /// Its id: how it fares is told by `GET /v1/messages/{id}`.
    message: String,
}

/// Sends a test message through one bind, past routes and pauses
///
/// It is an accepted message like any other and pays its permits; it costs the account nothing.
#[utoipa::path(post, path = "/v1/test-messages", tag = "messages",
    request_body(content = Try, examples(("test" = (value = json!({"carrier": "north", "bind": 0, "account": "shop", "to": "+8613800138000", "text": "test"}))))),
    responses((status = 202, description = "It is on its way", body = Tried),
        (status = 409, description = "The bind is not up, or is a receiver", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn test_message(
    State(backstage): State<Backstage>,
    Who(who): Who,
    Body(body): Body,
) -> Result<(StatusCode, Json<Tried>), Problem> {
    let mut body: Map<String, Value> = parse(&body)?;
    let reason: String = taken(&mut body, "reason")?.unwrap_or_default();
    let trial: Trial = serde_json::from_value(Value::Object(body)).map_err(|error| Problem::json(&error))?;
    match backstage.operator.ask(&who, &reason, Ask::Test(trial)).await? {
        Answer::Testing(id) => Ok((StatusCode::ACCEPTED, Json(Tried { message: id.to_string() }))),
        _ => Err(odd()),
    }
}

/// How to reload.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reload {
    /// Only tells what differs.
    #[schema(required = false)]
    dry_run: bool,
    /// Why, for the audit.
    #[schema(required = false)]
    reason: String,
}

/// Reads the configuration again, and puts it in force whole
///
/// What needs a restart is told, and not in force.
#[utoipa::path(post, path = "/v1/reload", tag = "gateway",
    request_body(content = Reload, examples(("look" = (summary = "What differs", value = json!({"dry_run": true}))), ("put in force" = (value = json!({"reason": "new route"}))))),
    responses((status = 200, description = "What it came to", body = Reloaded)))]
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
