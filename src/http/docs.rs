//! How a port tells what it does: `/openapi.json`, made from its handlers, and `/docs`, the same for people: one page without anything from elsewhere.

use axum::Router;
use axum::http::header;
use axum::response::Html;
use axum::routing::get;
use serde_json::Value;
use std::fmt::Write;
use utoipa::Modify;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, ResponseBuilder};

/// What requests may be answered with everywhere on a port, as statuses and what they mean: made in one place, and the same for every operation.
pub(super) struct Problems {
    /// To any request.
    pub always: &'static [(&'static str, &'static str)],
    /// To one with a body besides.
    pub of_bodies: &'static [(&'static str, &'static str)],
}

impl Modify for Problems {
    fn modify(&self, document: &mut OpenApi) {
        for (path, item) in &mut document.paths.paths {
            for (verb, operation) in [("get", &mut item.get), ("post", &mut item.post), ("delete", &mut item.delete)] {
                let Some(operation) = operation else { continue };
                // Handlers of different files have the same names; ids are unique.
                operation.operation_id = Some(format!("{verb}{}", path.replace('/', "_").replace(['{', '}'], "")));
                self.add_to(operation);
            }
        }
    }
}

/// What a request shows as `Authorization: Bearer`: its name in the document, and what it is.
pub(super) struct Bearer {
    pub name: &'static str,
    pub what: &'static str,
}

impl Modify for Bearer {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(self.what)).build();
        document.components.get_or_insert_default().add_security_scheme(self.name, SecurityScheme::Http(scheme));
    }
}

impl Problems {
    fn add_to(&self, operation: &mut Operation) {
        // One that asks for nothing to be shown refuses nobody.
        let nothing = [SecurityRequirement::default()];
        let is_open = operation.security.as_deref() == Some(&nothing);
        let of_bodies = self.of_bodies.iter().filter(|_| operation.request_body.is_some());
        let told: Vec<_> = self.always.iter().chain(of_bodies).collect();
        for &(status, what) in told.into_iter().filter(|(status, _)| !is_open || !matches!(*status, "401" | "403")) {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            let response = ResponseBuilder::new().description(what).content("application/problem+json", content).build();
            operation.responses.responses.entry(status.to_owned()).or_insert(response.into());
        }
    }
}

/// The document and its page.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(document: OpenApi) -> Router<S> {
    let json: &'static str = Box::leak(document.to_json().unwrap_or_default().into_boxed_str());
    let page: &'static str = Box::leak(page(&serde_json::from_str(json).unwrap_or_default()).into_boxed_str());
    Router::new()
        .route("/openapi.json", get(move || async move { ([(header::CONTENT_TYPE, "application/json")], json) }))
        .route("/docs", get(move || async move { Html(page) }))
}

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'><style>\
body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222}code,pre{font:14px monospace;background:#f3f3f3}\
code{padding:0 .2em}pre{padding:.5rem .7rem;margin:.2rem 0 .8rem;white-space:pre-wrap;overflow-wrap:anywhere}a{color:#06c;text-decoration:none}\
table{border-collapse:collapse;width:100%;margin:.5rem 0 1rem}td,th{text-align:left;vertical-align:top;border-bottom:1px solid #ddd;padding:.3rem .6rem .3rem 0}\
td:first-child{white-space:nowrap}h2{margin-top:3rem;border-bottom:2px solid #222}h3{margin-top:2.2rem}h4,.of{margin:.8rem 0 0}a code,h3 code{background:none}h3 code{font-size:1em}\
.verb{color:#06c;text-transform:uppercase}</style><body>";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Words as comments of the code write them: what stands between backticks is code.
fn words(value: &Value, name: &str) -> String {
    let pieces = text(value, name).split('`').map(escaped).enumerate();
    pieces.map(|(at, piece)| if at % 2 == 1 { format!("<code>{piece}</code>") } else { piece.replace("\n\n", "<br><br>") }).collect()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The page of a document.
pub(super) fn page(document: &Value) -> String {
    let mut out = String::from(HEAD);
    let info = &document["info"];
    let _ = write!(
        out,
        "<title>{0}</title><h1>{0} {1}</h1><p>{2}</p><p>The same for machines: <a href=/openapi.json>/openapi.json</a></p>",
        words(info, "title"),
        words(info, "version"),
        words(info, "description")
    );
    let mut operations: Vec<(&str, &str, &str, &Value)> = Vec::new();
    for (path, verbs) in entries(&document["paths"]) {
        operations.extend(entries(verbs).map(|(verb, of)| (of["tags"][0].as_str().unwrap_or_default(), path.as_str(), verb.as_str(), of)));
    }
    operations.sort_by_key(|&(tag, ..)| tag);
    out += "<table>";
    for (tag, path, verb, operation) in &operations {
        let what = words(operation, "summary");
        let _ = write!(
            out,
            "<tr><td>{}<td><span class=verb>{verb}</span> <a href='#{verb}{path}'><code>{}</code></a><td>{what}</tr>",
            escaped(tag),
            escaped(path)
        );
    }
    out += "</table>";
    let all: Vec<&Value> = operations.iter().map(|&(.., operation)| operation).collect();
    let bodied: Vec<&Value> = all.iter().copied().filter(|operation| operation["requestBody"].is_object()).collect();
    let of_all = problems_of(&all);
    out += "<h2>Problems</h2><p>Any request may be answered with</p>";
    answers(&mut out, of_all.iter().copied());
    let of_bodied = problems_of(&bodied);
    out += "<p>and one with a body also with</p>";
    answers(&mut out, of_bodied.iter().copied().filter(|problem| !of_all.contains(problem)));
    let mut last = "";
    for (tag, path, verb, of) in operations {
        if tag != last {
            let _ = write!(out, "<h2>{}</h2>", escaped(tag));
            last = tag;
        }
        let _ = write!(out, "<h3 id='{verb}{path}'><span class=verb>{verb}</span> <code>{}</code></h3>", escaped(path));
        let told = if of["requestBody"].is_object() { &of_bodied } else { &of_all };
        operation(&mut out, of, told);
    }
    for (at, (name, verbs)) in entries(&document["webhooks"]).enumerate() {
        if at == 0 {
            out += "<h2>Webhooks</h2><p>Requests that the gateway makes.</p>";
        }
        for (verb, of) in entries(verbs) {
            let _ = write!(out, "<h3 id='webhook-{name}'><span class=verb>{verb}</span> {}</h3>", escaped(name));
            operation(&mut out, of, &[]);
        }
    }
    for tag in list(&document["tags"]).filter(|tag| tag["description"].is_string()) {
        let _ = write!(out, "<h2>{}</h2><p>{}</p>", words(tag, "name"), words(tag, "description"));
    }
    out += "<h2>Bodies</h2>";
    for (name, schema) in entries(&document["components"]["schemas"]) {
        let _ = write!(out, "<h3 id='{name}'><code>{name}</code></h3><p>{}</p>", words(schema, "description"));
        shape(&mut out, schema);
    }
    out
}

/// A status and what is told of it.
type Answer<'v> = (&'v String, &'v Value);

/// Problems that all of these operations are answered with, word for word: they are told once.
fn problems_of<'v>(operations: &[&'v Value]) -> Vec<Answer<'v>> {
    let Some((first, rest)) = operations.split_first() else { return Vec::new() };
    let of_all = |(status, answer): &Answer<'_>| rest.iter().all(|other| other["responses"][status.as_str()] == **answer);
    entries(&first["responses"]).filter(|(status, _)| status.starts_with(['4', '5'])).filter(of_all).collect()
}

fn answers<'v>(out: &mut String, answers: impl Iterator<Item = Answer<'v>>) {
    *out += "<table><tr><th>Answer<th>What<th>Body</tr>";
    for (status, answer) in answers {
        let body = entries(&answer["content"]).next().map(|(_, content)| kind(&content["schema"]));
        let _ = write!(out, "<tr><td>{status}<td>{}<td>{}</tr>", words(answer, "description"), body.unwrap_or_default());
    }
    *out += "</table>";
}

/// What an operation takes and what it answers, but for what is told once.
fn operation(out: &mut String, operation: &Value, told: &[Answer<'_>]) {
    let _ = write!(out, "<p><b>{}</b></p><p>{}</p>", words(operation, "summary"), words(operation, "description"));
    if operation["parameters"].is_array() {
        *out += "<table><tr><th>Parameter<th>Where<th>Type<th>Meaning</tr>";
        for parameter in list(&operation["parameters"]) {
            let (name, place, kind) = (text(parameter, "name"), text(parameter, "in"), kind(&parameter["schema"]));
            let must = must(parameter["required"] == true);
            let _ = write!(out, "<tr><td><code>{name}</code>{must}<td>{place}<td>{kind}<td>{}</tr>", words(parameter, "description"));
        }
        *out += "</table>";
    }
    let body = &operation["requestBody"];
    if body["description"].is_string() {
        let _ = write!(out, "<p>{}</p>", words(body, "description"));
    }
    for (media, content) in entries(&body["content"]) {
        let _ = write!(out, "<p>Body: {} ({media})</p>", kind(&content["schema"]));
        for (_, example) in entries(&content["examples"]) {
            let _ = write!(out, "<p class=of>{}</p><pre>{}</pre>", words(example, "summary"), escaped(&example["value"].to_string()));
        }
    }
    answers(out, entries(&operation["responses"]).filter(|answer| !told.contains(answer)));
}

fn must(required: bool) -> &'static str {
    if required { " *" } else { "" }
}

/// The fields of a schema; where it is one of several, those of each.
fn shape(out: &mut String, schema: &Value) {
    if let Some(choices) = schema["oneOf"].as_array() {
        for choice in choices {
            let _ = write!(out, "<h4>{}</h4>", words(choice, "description"));
            shape(out, choice);
        }
        return;
    }
    let whole = std::slice::from_ref(schema);
    let parts = schema["allOf"].as_array().map_or(whole, Vec::as_slice);
    if parts.iter().all(|part| !part["properties"].is_object() && part["$ref"].is_null()) {
        let _ = write!(out, "<p>{}</p>", kind(schema));
        return;
    }
    *out += "<table><tr><th>Field<th>Type<th>Meaning</tr>";
    for part in parts {
        if part["$ref"].is_string() {
            let _ = write!(out, "<tr><td>those of<td>{}<td></tr>", kind(part));
        }
        for (field, of) in entries(&part["properties"]) {
            let must = must(list(&part["required"]).any(|required| required == field));
            // What is said of a field that may be absent stands with what it is else.
            let told = std::iter::once(of).chain(list(&of["oneOf"])).map(|of| words(of, "description")).find(|told| !told.is_empty());
            let _ = write!(out, "<tr><td><code>{field}</code>{must}<td>{}<td>{}</tr>", kind(of), told.unwrap_or_default());
        }
    }
    *out += "</table>";
}

/// What a schema is, in a word or a link.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return format!("<a href='#{name}'><code>{name}</code></a>");
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        if let Some(all) = schema[choice].as_array() {
            return all.iter().map(kind).filter(|kind| kind != "null").collect::<Vec<_>>().join(" or ");
        }
    }
    if schema["enum"].is_array() {
        return list(&schema["enum"]).map(|one| format!("<code>{}</code>", escaped(&one.to_string()))).collect::<Vec<_>>().join(" or ");
    }
    if schema["items"].is_object() {
        return format!("list of {}", kind(&schema["items"]));
    }
    if schema["additionalProperties"].is_object() {
        return format!("names with {}", kind(&schema["additionalProperties"]));
    }
    match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect::<Vec<_>>().join(" or "),
        other => other.as_str().unwrap_or("anything").to_owned(),
    }
}
