//! Why a request is refused, as `application/problem+json` (RFC 9457) with a stable code, the field and the fix. The one place where the engine's
//! [`Fault`]s become HTTP statuses.

use crate::engine::scope::Fault;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// In a few words.
    #[schema(value_type = String)]
    pub title: Box<str>,
    /// A stable word.
    #[schema(value_type = String)]
    pub code: Box<str>,
    /// What is wrong.
    #[schema(value_type = String)]
    pub detail: Box<str>,
    /// The field that is to blame; empty if none is.
    #[serde(default, skip_serializing_if = "is_empty")]
    #[schema(value_type = String, required = false)]
    pub field: Box<str>,
    /// What to do instead.
    #[serde(default, skip_serializing_if = "is_empty")]
    #[schema(value_type = String, required = false)]
    pub fix: Box<str>,
    /// Seconds after which the same may pass; told in a header.
    #[serde(skip)]
    pub retry_after_s: Option<u32>,
}

fn is_empty(text: &str) -> bool {
    text.is_empty()
}

impl Problem {
    /// A refusal of this status.
    pub fn new(status: StatusCode, code: &str, field: &str, detail: impl Into<Box<str>>, fix: impl Into<Box<str>>) -> Problem {
        Problem {
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or("Refused").into(),
            code: code.into(),
            detail: detail.into(),
            field: field.into(),
            fix: fix.into(),
            retry_after_s: None,
        }
    }

    /// The same may pass after so many seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Problem {
        Problem { retry_after_s: Some(seconds), ..self }
    }

    /// A body that is no JSON, or not of the right shape.
    pub fn json(error: &serde_json::Error) -> Problem {
        let told = error.to_string();
        // serde names the field between backticks.
        let field = told.split('`').nth(1).unwrap_or("").to_owned();
        let (status, code) = match error.classify() {
            serde_json::error::Category::Data => (StatusCode::UNPROCESSABLE_ENTITY, "bad_value"),
            _ => (StatusCode::BAD_REQUEST, "malformed_json"),
        };
        let field = if code == "bad_value" { field } else { String::new() };
        Problem::new(status, code, &field, told, "what this path takes: see /docs, or `hongyan COMMAND --help`")
    }
}

/// What is wrong with a body, with the way to the field: `recipients[3].variables.name`.
fn bad_body<'b, T: Deserialize<'b>>(body: &'b [u8], error: &serde_json::Error) -> Problem {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let found = serde_path_to_error::deserialize::<_, T>(&mut deserializer).err();
    let path = found.map(|found| found.path().to_string()).filter(|path| path != ".").unwrap_or_default();
    let mut problem = Problem::json(error);
    if &*problem.code == "bad_value" {
        let named = std::mem::take(&mut problem.field);
        let is_name = ["unknown field", "duplicate field", "missing field"].iter().any(|what| problem.detail.starts_with(what));
        problem.field = match (is_name, path.is_empty()) {
            (true, true) => named,
            (true, false) if !path.ends_with(&*named) => format!("{path}.{named}").into(),
            _ => path.into(),
        };
    }
    problem.fix = match &*problem.code {
        "bad_value" => "see /docs for what may stand here".into(),
        _ => "a body that is JSON, all of it".into(),
    };
    problem.detail = without_names(&problem.detail).into();
    problem
}

/// Names of our code say nothing to whoever asks.
fn without_names(told: &str) -> String {
    let told = told.replace("data did not match any variant of untagged enum Variable", "a variable is a text or a number");
    let mut words = told.split("struct ");
    let mut plain = words.next().unwrap_or_default().to_owned();
    for piece in words {
        let name = piece.find(|c: char| !c.is_alphanumeric()).unwrap_or(piece.len());
        plain = plain + "an object" + &piece[name..];
    }
    plain
}

/// A body as what it is to be.
///
/// # Errors
/// It is no JSON, or not of the right shape: with the way to the field.
pub fn from_body<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| bad_body::<T>(body, &error))
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Problem {
        let status = match fault.code {
            "unknown_message" | "not_in_force" => StatusCode::NOT_FOUND,
            "ended" => StatusCode::GONE,
            "bind_down" | "cancel_failed" | "key_reused" => StatusCode::CONFLICT,
            "too_many_changes" | "busy" | "stopping" | "store_failed" | "no_answer" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Problem::new(status, fault.code, fault.field, fault.what, fault.fix)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(&self).expect("plain data can be written");
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Bearer"));
        }
        response
    }
}
