//! What handlers take out of a request, refused as problems where it is not what it should be.

use super::guard::USER_HEADER;
use super::problem::Problem;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use serde::Deserialize;

/// Who asks: how they proved it, and the name that they give themselves.
pub struct Who(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Who, Problem> {
        let proof = if parts.headers.contains_key(header::AUTHORIZATION) { "token" } else { "local" };
        let name = parts.headers.get(USER_HEADER).and_then(|name| name.to_str().ok()).unwrap_or("unknown");
        let plain: String = name.chars().filter(|c| c.is_ascii_graphic()).take(64).collect();
        Ok(Who(format!("{proof}:{plain}")))
    }
}

/// The parameters after the question mark.
pub struct Parameters<T>(pub T);

impl<S: Send + Sync, T: for<'de> Deserialize<'de>> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Parameters<T>, Problem> {
        let parsed = Query::<T>::try_from_uri(&parts.uri).map_err(|refused| refused.body_text());
        parsed.map(|Query(parameters)| Parameters(parameters)).map_err(|what| {
            let field = what.split('`').nth(1).unwrap_or("").to_owned();
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_value", &field, what, "the parameters that this path takes")
        })
    }
}

/// The whole body.
pub struct Body(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Body, Problem> {
        let read = Bytes::from_request(request, state).await;
        read.map(Body).map_err(|refused| {
            let status = refused.status();
            let code = if status == StatusCode::PAYLOAD_TOO_LARGE { "too_large" } else { "unreadable" };
            Problem::new(status, code, "", refused.body_text(), "a smaller body: 64 KiB, 16 MiB for a batch")
        })
    }
}
