//! What the operating commands do once their words are read.

use super::super::Output;
use super::super::admin::{Client, Where};
use super::super::counts::counted;
use super::super::tables;
use super::words::{LimitArgs, ScopeArgs, Sure, put};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// What is told at `path`: a table on a terminal, else JSON.
pub(in crate::cli) fn show(at: &Where, path: &str, table: fn(&Value) -> Vec<String>, output: &mut Output) -> Result<(), String> {
    let client = at.client()?;
    let value = client.get(path)?;
    match client.json {
        true => output.json(&value, false),
        false => table(&value).iter().for_each(|line| output.line(line)),
    }
    Ok(())
}

pub(super) fn told(client: &Client, path: &str, body: &Value, say: impl Fn(&Value) -> String, output: &mut Output) -> Result<(), String> {
    let value = client.post(path, body)?;
    match client.json {
        true => output.json(&value, false),
        false => output.line(&say(&value)),
    }
    Ok(())
}

pub(super) fn begin(client: &Client, body: Value, output: &mut Output) -> Result<(), String> {
    told(client, "/v1/changes", &body, |change| format!("in force: {}", tables::change(change)), output)
}

pub(super) fn resume(id: Option<u64>, scope: &ScopeArgs, reason: &str, client: &Client, output: &mut Output) -> Result<(), String> {
    let scope = scope.value()?;
    let none = scope.as_object().is_some_and(Map::is_empty);
    let value = match id {
        Some(_) if !none => return Err("id: stands beside a scope; one of the two".to_owned()),
        Some(id) => client.delete(&format!("/v1/changes/{id}?reason={}", escaped(reason)))?,
        None => client.post("/v1/resume", &json!({ "scope": scope, "reason": reason }))?,
    };
    match client.json {
        true => output.json(&value, false),
        false => value.as_array().into_iter().flatten().for_each(|change| output.line(&format!("lifted: {}", tables::change(change)))),
    }
    Ok(())
}

/// For a parameter of a URL.
pub(in crate::cli) fn escaped(text: &str) -> String {
    text.bytes().map(|octet| if octet.is_ascii_alphanumeric() { char::from(octet).to_string() } else { format!("%{octet:02X}") }).collect()
}

/// What a rebind came to.
pub(super) fn rebound(value: &Value) -> String {
    let lifted = value["lifted"].as_array().map_or(0, Vec::len) as u64;
    let [closed, hurried] = ["closed", "hurried"].map(|field| value[field].as_u64().unwrap_or(0));
    let told = [
        (lifted, counted(lifted, "change lifted", "changes lifted")),
        (closed, counted(closed, "bind closed to bind anew", "binds closed to bind anew")),
        (hurried, counted(hurried, "bind that waited tries at once", "binds that waited try at once")),
    ];
    let told: Vec<String> = told.into_iter().filter(|(of, _)| *of > 0).map(|(_, told)| told).collect();
    if told.is_empty() { "nothing to do: it is connecting already".to_owned() } else { told.join(", ") }
}

pub(super) fn limit(args: &LimitArgs, output: &mut Output) -> Result<(), String> {
    let mut whose = Map::new();
    put(&mut whose, "account", args.account.clone());
    put(&mut whose, "carrier", args.carrier.clone());
    if args.default {
        let body = json!({ "limit": whose, "reason": args.terms.reason });
        return told(&args.at.client()?, "/v1/resume", &body, |_| "the configured limit is in force again".to_owned(), output);
    }
    put(&mut whose, "rate_per_s", args.rate);
    put(&mut whose, "unlimited", args.unlimited.then_some(true));
    put(&mut whose, "burst", args.burst);
    put(&mut whose, "max_waiting", args.max_waiting);
    begin(&args.at.client()?, args.terms.on(json!({ "action": "limit", "limit": whose })), output)
}

/// Sends it, then looks until the carrier has said something, or for some seconds.
pub(super) fn test_message(client: &Client, body: &Value, output: &mut Output) -> Result<(), String> {
    let id = client.post("/v1/test-messages", body)?["message"].as_str().unwrap_or_default().to_owned();
    let until = Instant::now() + Duration::from_secs(10);
    let outcome = loop {
        // A message that has ended is told of as such, with its outcome.
        let (outcome, ended) = match client.get(&format!("/v1/messages/{id}")) {
            Ok(message) => (message["test"].as_str().unwrap_or_default().to_owned(), false),
            Err(told) => (told, true),
        };
        if ended || Instant::now() > until || (outcome != "no answer yet" && !outcome.starts_with("waits")) {
            break outcome;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    match client.json {
        true => output.json(&json!({ "message": id, "outcome": outcome }), false),
        false => output.line(&format!("message {id}: {outcome}")),
    }
    Ok(())
}

pub(super) fn reload(dry_run: bool, reason: &str, sure: &Sure, client: &Client, output: &mut Output) -> Result<(), String> {
    let difference = client.post("/v1/reload", &json!({ "dry_run": true }))?;
    let nothing = difference["changes"].as_array().is_none_or(Vec::is_empty);
    if dry_run || nothing {
        match client.json {
            true => output.json(&difference, false),
            false => tables::difference(&difference).iter().for_each(|line| output.line(line)),
        }
        return Ok(());
    }
    if !client.json || !sure.yes {
        tables::difference(&difference).iter().for_each(|line| eprintln!("{line}"));
    }
    sure.ask("this comes into force")?;
    let say = |_: &Value| "reloaded".to_owned();
    told(client, "/v1/reload", &json!({ "reason": reason }), say, output)
}
