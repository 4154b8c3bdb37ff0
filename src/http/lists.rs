//! Lists of numbers that must not be written to: adding, removing, checking, reading. Changes are durable before they are answered, and on record.

use super::admin::Backstage;
use super::extract::{Body, Parameters, Who};
use super::look::odd;
use super::problem::{Problem, from_body};
use crate::engine::control::Ask;
use crate::engine::port::{RulesAnswer, RulesRequest};
use crate::engine::rules::change::PAGE_MAX;
use crate::engine::rules::lists::{Level, ListKind, ListName, Numbers, Sender};
use crate::engine::scope::Fault;
use crate::link::lists::ListsError;
use crate::model::{AccountId, Address};
use crate::number::{from_text, pack, unpack};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Longest body of a change, octets: half a million numbers and more.
pub(super) const BODY_MAX: usize = 16 << 20;
/// Numbers that are checked at once.
const CHECKED_MAX: usize = 1_000;

/// Names a list, in the operator's words.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = ListName)]
pub struct Named {
    /// block or opt_out; empty: block.
    kind: String,
    /// platform, account or sender; empty: platform.
    level: String,
    /// The account or the sender.
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
}

fn bad(field: &'static str, what: impl Into<String>, fix: &str) -> Fault {
    Fault::of("bad_value", field, what, fix)
}

impl Named {
    fn list(&self, backstage: &Backstage) -> Result<ListName, Fault> {
        let kind = match self.kind.as_str() {
            "" => ListKind::Block,
            kind => ListKind::ALL
                .into_iter()
                .find(|known| known.name() == kind)
                .ok_or_else(|| bad("kind", format!("'{kind}' is no kind of list"), "block or opt_out"))?,
        };
        let level = match self.level.as_str() {
            "" | "platform" if self.name.is_empty() => Level::Platform,
            "" | "platform" => return Err(bad("name", "the platform's list has no name", "no name, or level account or sender")),
            "account" => Level::Account(account(&self.name, backstage)?),
            "sender" => Level::Sender(
                Sender::new(self.name.as_bytes())
                    .ok_or_else(|| bad("name", format!("'{}' is no sender", self.name), "1 to 20 characters"))?,
            ),
            level => return Err(bad("level", format!("'{level}' is no level"), "platform, account or sender")),
        };
        Ok(ListName::new(kind, level))
    }

    /// A list in the operator's words.
    fn of(list: &ListName, backstage: &Backstage) -> Named {
        let name = match &list.level {
            Level::Platform => String::new(),
            Level::Account(id) => backstage.submissions.account_name(*id),
            Level::Sender(sender) => String::from_utf8_lossy(sender.as_bytes()).into_owned(),
        };
        Named { kind: list.kind.name().to_owned(), level: list.level.name().to_owned(), name }
    }

    fn words(&self) -> String {
        format!("{} list of {} {}", self.kind, self.level, self.name).trim_end().to_owned()
    }
}

/// The account of this name.
pub(super) fn account(name: &str, backstage: &Backstage) -> Result<AccountId, Fault> {
    let unknown = || Fault::of("unknown_name", "account", format!("no account is called '{name}'"), "one that `accounts` shows");
    backstage.submissions.account(name).map(|entry| entry.id).ok_or_else(unknown)
}

fn number(text: &str, at: usize, backstage: &Backstage) -> Result<u64, Fault> {
    from_text(text.as_bytes(), backstage.submissions.home())
        .map_err(|error| bad("numbers", format!("number {} of the request: {error}", at + 1), "phone numbers such as +8613800138000"))
}

fn problem(error: ListsError) -> Problem {
    let (status, code) = match error {
        ListsError::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        ListsError::Refused(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
    };
    Problem::new(status, code, "", error.to_string(), "the same again makes nothing double")
}

/// A change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ListChange)]
pub(super) struct Change {
    /// Which list.
    list: Named,
    /// Phone numbers, as people write them.
    numbers: Vec<String>,
    /// Why, for the audit.
    #[serde(default)]
    reason: String,
}

/// What a change did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Changed {
    /// Numbers that came or went.
    changed: u64,
    /// Numbers that stand in the list now.
    total: u64,
}

/// Puts numbers on a list
///
/// They are not written to from the answer on, not even by what waits already.
#[utoipa::path(post, path = "/v1/lists/add", tag = "lists",
    request_body(content = Change, examples(("platform" = (summary = "The block list of the whole platform", value = json!({"list": {}, "numbers": ["+8613800138001"], "reason": "asked by phone"}))), ("account" = (summary = "Those who opted out of an account's messages", value = json!({"list": {"kind": "opt_out", "level": "account", "name": "shop"}, "numbers": ["13800138002"]}))))),
    responses((status = 200, description = "It holds, durably", body = Changed)))]
pub(super) async fn add(state: State<Backstage>, who: Who, body: Body) -> Result<Json<Changed>, Problem> {
    change(state, who, body, true).await
}

/// Takes numbers off a list
#[utoipa::path(post, path = "/v1/lists/remove", tag = "lists",
    request_body(content = Change, examples(("platform" = (summary = "The block list of the whole platform", value = json!({"list": {}, "numbers": ["+8613800138001"], "reason": "asked by phone"}))), ("account" = (summary = "Those who opted out of an account's messages", value = json!({"list": {"kind": "opt_out", "level": "account", "name": "shop"}, "numbers": ["13800138002"]}))))),
    responses((status = 200, description = "It holds, durably", body = Changed)))]
pub(super) async fn remove(state: State<Backstage>, who: Who, body: Body) -> Result<Json<Changed>, Problem> {
    change(state, who, body, false).await
}

async fn change(State(backstage): State<Backstage>, Who(who): Who, Body(body): Body, adds: bool) -> Result<Json<Changed>, Problem> {
    let reading = backstage.clone();
    // Half a million numbers are read and sorted: not where sockets are driven.
    let read = tokio::task::spawn_blocking(move || -> Result<(String, ListName, Numbers, String), Problem> {
        let change: Change = from_body(&body)?;
        let list = change.list.list(&reading)?;
        let numbers = change.numbers.iter().enumerate().map(|(at, text)| number(text, at, &reading));
        let numbers = Numbers::new(numbers.collect::<Result<_, _>>()?);
        let words = Named::of(&list, &reading).words();
        Ok((words, list, numbers, change.reason))
    });
    let (words, list, numbers, reason) = read.await.map_err(|_| odd())??;
    let count = numbers.as_slice().len();
    let what = format!("{} numbers {} the {words}", count, if adds { "into" } else { "out of" });
    backstage.operator.ask(&who, &reason, Ask::Note { what }).await?;
    let request = if adds { RulesRequest::Add { list, numbers } } else { RulesRequest::Remove { list, numbers } };
    match backstage.lists.ask(request).await.map_err(problem)? {
        RulesAnswer::Changed { changed, total } => Ok(Json(Changed { changed, total })),
        _ => Err(odd()),
    }
}

/// A list and how many numbers stand in it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Counted {
    #[serde(flatten)]
    list: Named,
    /// How many stand in it.
    numbers: u64,
}

/// Lists that anybody stands in
#[utoipa::path(get, path = "/v1/lists", tag = "lists", responses((status = 200, description = "Each list, with how many stand in it", body = Vec<Counted>)))]
pub(super) async fn all(State(backstage): State<Backstage>) -> Result<Json<Vec<Counted>>, Problem> {
    let RulesAnswer::Counts(counts) = backstage.lists.ask(RulesRequest::Count).await.map_err(problem)? else { return Err(odd()) };
    Ok(Json(counts.iter().map(|(list, numbers)| Counted { list: Named::of(list, &backstage), numbers: *numbers }).collect()))
}

/// What is checked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Check {
    /// Up to 1000 phone numbers.
    numbers: Vec<String>,
    /// Only lists that bind this account.
    #[serde(default)]
    account: Option<String>,
    /// And this sender of its.
    #[serde(default)]
    from: String,
}

/// A number and the lists that hold it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Checked {
    /// In international form.
    number: String,
    /// Those that hold it.
    lists: Vec<Named>,
}

/// Which lists hold a number
///
/// With an account (and a sender of its): which of them bind it.
#[utoipa::path(post, path = "/v1/lists/check", tag = "lists",
    request_body(content = Check, examples(
        ("all" = (summary = "On any list", value = json!({"numbers": ["+8613800138001", "13800138002"]}))),
        ("binding" = (summary = "On one that binds an account and a sender", value = json!({"numbers": ["13800138002"], "account": "shop", "from": "SHOP"}))))),
    responses((status = 200, description = "Each number, in order", body = Vec<Checked>)))]
pub(super) async fn check(State(backstage): State<Backstage>, Body(body): Body) -> Result<Json<Vec<Checked>>, Problem> {
    let check: Check = from_body(&body)?;
    if check.numbers.len() > CHECKED_MAX {
        return Err(bad("numbers", "too many numbers at once", "at most 1000").into());
    }
    let whose = check.account.as_deref().map(|name| account(name, &backstage)).transpose()?;
    if whose.is_none() && !check.from.is_empty() {
        return Err(bad("from", "a sender stands without its account", "the account too").into());
    }
    let source = Address::new(0, 0, check.from.as_bytes()).ok_or_else(|| bad("from", "the sender is too long", "at most 20 characters"))?;
    let mut checked = Vec::with_capacity(check.numbers.len());
    for (at, text) in check.numbers.iter().enumerate() {
        let number = number(text, at, &backstage)?;
        let request = match whose {
            Some(account) => RulesRequest::Check { number, account, source: source.clone() },
            None => RulesRequest::Find { number },
        };
        let RulesAnswer::Lists(lists) = backstage.lists.ask(request).await.map_err(problem)? else { return Err(odd()) };
        let lists = lists.iter().map(|list| Named::of(list, &backstage)).collect();
        checked.push(Checked { number: written(number), lists });
    }
    Ok(Json(checked))
}

fn written(number: u64) -> String {
    format!("+{}", String::from_utf8_lossy(&unpack(number)))
}

/// Which numbers of which list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// block or opt_out; absent: block.
    #[serde(default)]
    kind: String,
    /// platform, account or sender; absent: platform.
    #[serde(default)]
    level: String,
    /// The account or the sender.
    #[serde(default)]
    name: String,
    /// Numbers behind this one.
    #[serde(default)]
    after: String,
    /// How many; absent: as many as one answer has at most.
    most: Option<usize>,
}

/// The numbers of a list, in order
///
/// Up to `most` behind `after`; fewer mean that there are no more.
#[utoipa::path(get, path = "/v1/lists/numbers", tag = "lists", params(Which),
    responses((status = 200, description = "Numbers", body = Vec<String>),
        (status = 422, description = "What is wrong, with its field", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn numbers(
    State(backstage): State<Backstage>,
    Parameters(which): Parameters<Which>,
) -> Result<Json<Vec<String>>, Problem> {
    let Which { kind, level, name, after, most } = which;
    let list = Named { kind, level, name }.list(&backstage)?;
    let after = match after.trim_start_matches('+') {
        "" => 0,
        digits => pack(digits.as_bytes()).ok_or_else(|| bad("after", "is no number", "a number as this answer has them"))?,
    };
    let request = RulesRequest::Page { list, after, most: most.unwrap_or(PAGE_MAX) };
    let RulesAnswer::Page(numbers) = backstage.lists.ask(request).await.map_err(problem)? else { return Err(odd()) };
    Ok(Json(numbers.into_iter().map(written).collect()))
}
