//! Keys of the public port, for operators: which there are, making one for an account, revoking one. In force at once, durable, and on record.

use super::admin::Backstage;
use super::api::issued::Issued;
use super::change::{Reason, bad};
use super::extract::{Body, Parameters, Who};
use super::lists;
use super::problem::{Problem, from_body};
use crate::config::{ApiKey, Cidr, Scope, hash_of, hex, is_name, new_key};
use crate::engine::control::Ask;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A key, without what would let one use it.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyTold {
    /// Whose.
    account: String,
    /// Its name, of the account's.
    id: String,
    /// configuration, or issued: made while running.
    source: &'static str,
    /// What it may do: messages:write, messages:read.
    #[schema(value_type = Vec<String>)]
    scopes: Vec<Scope>,
    /// The first day (UTC) on which it is good for nothing; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    expires: Option<Date>,
    /// Requests a second; absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_per_s: Option<u32>,
    /// Networks that it may be used from; absent: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    allowed_addresses: Vec<Cidr>,
    /// It is good for nothing any more.
    revoked: bool,
}

impl KeyTold {
    fn of(account: &str, source: &'static str, settings: &ApiKey, revoked: bool) -> KeyTold {
        let ApiKey { id, scopes, expires, rate_per_s, allowed_addresses, .. } = settings.clone();
        KeyTold { account: account.to_owned(), id, source, scopes, expires, rate_per_s, allowed_addresses, revoked }
    }
}

/// A key that was made.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyMade {
    /// Shown this once; only its hash is kept.
    key: String,
    #[serde(flatten)]
    told: KeyTold,
}

/// A key as it is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewKey)]
pub(super) struct New {
    /// Whose.
    account: String,
    /// Its name: 1 to 40 of a-z, 0-9, - and _; one that the account has not had before.
    id: String,
    /// What it may do: messages:write, messages:read; absent: both.
    #[schema(value_type = Option<Vec<String>>)]
    scopes: Option<Vec<Scope>>,
    /// The first day (UTC) on which it is good for nothing, as 2030-12-31; absent: never.
    #[schema(value_type = Option<String>)]
    expires: Option<Date>,
    /// Requests a second, 1 to 1000000; absent: no limit.
    rate_per_s: Option<u32>,
    /// Networks that it may be used from, as 10.0.0.0/8; absent: any.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    allowed_addresses: Vec<Cidr>,
    /// Why, for the audit.
    #[serde(default)]
    reason: String,
}

/// Whose keys.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Only those of this account.
    account: Option<String>,
}

/// Every key, those of the configuration first.
fn all(backstage: &Backstage) -> Vec<KeyTold> {
    let issued = backstage.keys.issued();
    let mut told = Vec::new();
    for account in backstage.submissions.accounts().all() {
        for settings in &account.settings.api_keys {
            let revoked = issued.iter().any(|issued| issued.revoked && issued.settings.hash == settings.hash);
            told.push(KeyTold::of(&account.settings.name, "configuration", settings, revoked));
        }
    }
    let is_new = |issued: &&Issued| {
        let account = backstage.submissions.account(&issued.account);
        !account.is_some_and(|account| account.settings.api_keys.iter().any(|settings| settings.hash == issued.settings.hash))
    };
    told.extend(issued.iter().filter(is_new).map(|issued| KeyTold::of(&issued.account, "issued", &issued.settings, issued.revoked)));
    told
}

/// Keys of the public port, those of the configuration first
///
/// Without what would let one use them.
#[utoipa::path(get, path = "/v1/keys", tag = "keys", params(Wanted),
    responses((status = 200, description = "Each key", body = Vec<KeyTold>),
        (status = 422, description = "What is wrong, with its field", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(State(backstage): State<Backstage>, Parameters(wanted): Parameters<Wanted>) -> Json<Vec<KeyTold>> {
    let mut told = all(&backstage);
    told.retain(|key| wanted.account.as_ref().is_none_or(|account| *account == key.account));
    Json(told)
}

/// Makes a key of the public port
///
/// The key is in the answer, and nowhere else: only its hash is kept.
#[utoipa::path(post, path = "/v1/keys", tag = "keys",
    request_body(content = New, examples(
        ("plain" = (value = json!({"account": "shop", "id": "backend"}))),
        ("bounded" = (summary = "One that may do less", value = json!({"account": "shop", "id": "reader", "scopes": ["messages:read"], "expires": "2099-12-31", "rate_per_s": 100, "allowed_addresses": ["10.0.0.0/8"]}))))),
    responses((status = 201, description = "It is in force, durably", body = KeyMade)))]
pub(super) async fn make(
    State(backstage): State<Backstage>,
    Who(who): Who,
    Body(body): Body,
) -> Result<(StatusCode, Json<KeyMade>), Problem> {
    let new: New = from_body(&body)?;
    lists::account(&new.account, &backstage)?;
    if !is_name(&new.id) {
        return Err(bad("id", "is no name", "1 to 40 of a-z, 0-9, - and _"));
    }
    if all(&backstage).iter().any(|key| key.account == new.account && key.id == new.id) {
        return Err(bad("id", "another key of the account has it, or had it", "another name"));
    }
    let scopes = new.scopes.unwrap_or_else(|| ApiKey::default().scopes);
    if scopes.is_empty() {
        return Err(bad("scopes", "is empty: the key could do nothing", "messages:write, messages:read"));
    }
    if new.rate_per_s.is_some_and(|rate| !(1..=1_000_000).contains(&rate)) {
        return Err(bad("rate_per_s", "is out of range", "1 to 1000000"));
    }
    if new.expires.is_some_and(|day| day <= jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()) {
        return Err(bad(
            "expires",
            "is no day to come: the key would be good for nothing",
            "the first day (UTC) on which it is not good, as 2099-12-31",
        ));
    }
    let key = new_key();
    let hash = hash_of(key.as_bytes());
    let settings = ApiKey {
        id: new.id,
        sha256: Some(hex(&hash)),
        scopes,
        expires: new.expires,
        rate_per_s: new.rate_per_s,
        allowed_addresses: new.allowed_addresses,
        hash,
        ..ApiKey::default()
    };
    let what = format!("make key {} of {}", settings.id, new.account);
    backstage.operator.ask(&who, &new.reason, Ask::Note { what }).await?;
    let told = KeyTold::of(&new.account, "issued", &settings, false);
    backstage.keys.put(Issued { account: new.account, settings, revoked: false }).await?;
    Ok((StatusCode::CREATED, Json(KeyMade { key, told })))
}

/// Revokes a key
///
/// It is good for nothing from the answer on, also after a restart and where the configuration still has it.
#[utoipa::path(delete, path = "/v1/keys/{account}/{id}", tag = "keys", params(("account" = String, Path, description = "Whose"), ("id" = String, Path, description = "Its name"), Reason),
    responses((status = 204, description = "It is revoked"),
        (status = 404, description = "The account has no such key", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What is wrong, with its field", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn revoke(
    State(backstage): State<Backstage>,
    Who(who): Who,
    Path((account, id)): Path<(String, String)>,
    Parameters(Reason { reason }): Parameters<Reason>,
) -> Result<StatusCode, Problem> {
    let configured = backstage.submissions.account(&account).map(|account| account.settings.api_keys.clone()).unwrap_or_default();
    let issued = backstage.keys.issued().into_iter().filter(|issued| issued.account == account && !issued.revoked);
    let mut found = configured.into_iter().chain(issued.map(|issued| issued.settings)).filter(|settings| settings.id == id);
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "unknown_key", "id", "the account has no such key", "one that GET /v1/keys shows");
    let settings = found.next().ok_or_else(unknown)?;
    backstage.operator.ask(&who, &reason, Ask::Note { what: format!("revoke key {id} of {account}") }).await?;
    let settings = ApiKey { sha256: Some(hex(&settings.hash)), key_env: None, key_file: None, ..settings };
    backstage.keys.put(Issued { account, settings, revoked: true }).await?;
    Ok(StatusCode::NO_CONTENT)
}
