//! `/openapi.json`, made from the handlers, and `/docs`, the same for people: one page without anything from elsewhere.

use super::{bulk, dead, events, list, message, messages, preview};
use crate::http::problem::Problem;
use axum::Router;
use axum::http::header;
use axum::response::Html;
use axum::routing::get;
use serde_json::Value;
use std::fmt::Write;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi};

/// What any request may be answered with, as problems.
const ALWAYS: [(&str, &str); 5] = [
    ("401", "No key, or one that is not in force"),
    ("403", "The key may not do this, or not from this address"),
    ("404", "There is no such message of the key's account"),
    ("429", "The key's or the account's rate is used up: again after the seconds of Retry-After"),
    ("503", "Nothing can be promised for the moment: again after a while"),
];
/// What a request with a body may be answered with besides.
const OF_BODIES: [(&str, &str); 6] = [
    ("400", "The body is no JSON, or not all of it came"),
    ("408", "The body did not come in time"),
    ("409", "The idempotency key was used with another body"),
    ("413", "The body is too large"),
    ("415", "The body is said to be something else than JSON"),
    ("422", "What is wrong, with its field"),
];

#[derive(OpenApi)]
#[openapi(
    info(title = "Hongyan", description = "Short messages: hand in, look up, cancel. Errors are application/problem+json with a stable code, the field and the fix. \
        Clients of Kannel (/cgi-bin/sendsms), Jasmin (/send) and the Twilio message resource (/2010-04-01/Accounts/{Sid}/Messages.json) find their own doors here."),
    paths(messages::submit, list::list, preview::preview, message::look, message::cancel, bulk::submit, bulk::look, events::poll, events::stream, dead::list, dead::replay),
    components(schemas(Problem)),
    modifiers(&Keys, &Problems)
)]
struct Document;

/// Adds the problems to every operation: they are made in one place, and are the same everywhere.
struct Problems;

impl Modify for Problems {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for item in document.paths.paths.values_mut() {
            for operation in [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten() {
                let of_bodies = OF_BODIES.iter().filter(|_| operation.request_body.is_some());
                let told: Vec<_> = ALWAYS.iter().chain(of_bodies).collect();
                for &(status, what) in told {
                    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
                    let response = ResponseBuilder::new().description(what).content("application/problem+json", content).build();
                    operation.responses.responses.entry(status.to_owned()).or_insert(response.into());
                }
            }
        }
    }
}

struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A key of [[account.api_key]]")).build();
        document.components.get_or_insert_default().add_security_scheme("key", SecurityScheme::Http(scheme));
    }
}

/// The two pages, which nobody needs a key for.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let document = Document::openapi();
    let json: &'static str = Box::leak(document.to_json().unwrap_or_default().into_boxed_str());
    let page: &'static str = Box::leak(page(&serde_json::from_str(json).unwrap_or_default()).into_boxed_str());
    Router::new()
        .route("/openapi.json", get(move || async move { ([(header::CONTENT_TYPE, "application/json")], json) }))
        .route("/docs", get(move || async move { Html(page) }))
}

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'><title>Hongyan API</title><style>\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}code{font:14px monospace;background:#f3f3f3;padding:0 .2em}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;border-bottom:1px solid #ddd;padding:.3rem .6rem .3rem 0}\
h2{margin-top:2.5rem}.verb{color:#06c;text-transform:uppercase}</style><body>";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

/// The page of a document.
fn page(document: &Value) -> String {
    let mut out = String::from(HEAD);
    let info = &document["info"];
    let _ = write!(
        out,
        "<h1>{} {}</h1><p>{}</p><p>The same for machines: <a href=/openapi.json>/openapi.json</a></p>",
        escaped(text(info, "title")),
        escaped(text(info, "version")),
        escaped(text(info, "description"))
    );
    for (path, verbs) in document["paths"].as_object().into_iter().flatten() {
        for (verb, operation) in verbs.as_object().into_iter().flatten() {
            let _ = write!(
                out,
                "<h2><span class=verb>{verb}</span> <code>{}</code></h2><p>{}</p>",
                escaped(path),
                escaped(text(operation, "summary"))
            );
            let _ = write!(out, "<p>{}</p>", escaped(text(operation, "description")));
            if let Some(body) = operation["requestBody"]["content"]["application/json"].get("schema") {
                let _ = write!(out, "<p>Body: {}</p>", kind(body));
            }
            out += "<table><tr><th>Answer<th>What<th>Body</tr>";
            for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
                let body = answer["content"].as_object().and_then(|kinds| kinds.values().next()).map(|content| kind(&content["schema"]));
                let _ = write!(out, "<tr><td>{status}<td>{}<td>{}</tr>", escaped(text(answer, "description")), body.unwrap_or_default());
            }
            out += "</table>";
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let _ = write!(out, "<h2 id='{name}'><code>{name}</code></h2><p>{}</p>", escaped(text(schema, "description")));
        let own = schema["allOf"].as_array().map_or_else(|| vec![schema], |all| all.iter().collect());
        out += "<table><tr><th>Field<th>Type<th>Meaning</tr>";
        for (field, of) in own.iter().filter_map(|part| part["properties"].as_object()).flatten() {
            let _ = write!(out, "<tr><td><code>{field}</code><td>{}<td>{}</tr>", kind(of), escaped(text(of, "description")));
        }
        out += "</table>";
    }
    out
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
    if schema["items"].is_object() {
        return format!("list of {}", kind(&schema["items"]));
    }
    match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect::<Vec<_>>().join(" or "),
        other => other.as_str().unwrap_or("anything").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_made_from_the_handlers_and_the_page_shows_all_of_it_and_nothing_from_elsewhere() {
        let document: Value = serde_json::from_str(&Document::openapi().to_json().unwrap()).unwrap();
        assert!(text(&document, "openapi").starts_with("3.1"));
        let page = page(&document);
        for shown in ["/v1/messages/{id}", "/v1/messages/preview", "Submission", "idempotency_key", "send_at", "Problem"] {
            assert!(page.contains(shown), "{shown} is not on the page");
        }
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
        assert_eq!(document["components"]["securitySchemes"]["key"]["scheme"].as_str(), Some("bearer"));
    }
}
