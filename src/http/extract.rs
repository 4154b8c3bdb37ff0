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
        let parsed = Query::<T>::try_from_uri(&parts.uri);
        parsed.map(|Query(parameters)| Parameters(parameters)).map_err(|refused| refused_parameter(&refused.body_text()))
    }
}

/// What is wrong with a parameter, out of what the library says: `...: limit: invalid digit found in string`.
fn refused_parameter(told: &str) -> Problem {
    let told = told.strip_prefix("Failed to deserialize query string: ").unwrap_or(told);
    // A parameter's name has no blank; what is said of the whole has.
    let (place, what) = told.split_once(": ").filter(|(place, _)| !place.contains(' ')).unwrap_or(("", told));
    let named = |what: &str| what.split('`').nth(1).unwrap_or("").to_owned();
    let (field, what, fix) = match what {
        what if what.starts_with("unknown field") => {
            let takes = what.split_once("expected ").map_or("no parameters", |(_, takes)| takes.trim_start_matches("one of "));
            (named(what), "there is no such parameter".to_owned(), takes.replace('`', ""))
        }
        what if what.starts_with("missing field") => (named(what), "is missing".to_owned(), "a value".to_owned()),
        what if what.starts_with("duplicate field") => (named(what), "stands there twice".to_owned(), "one of them".to_owned()),
        what if what.contains("integer") || what.contains("digit") || what.contains("number too") => {
            (place.to_owned(), "is no whole number of that size".to_owned(), "a whole number from 0".to_owned())
        }
        what if what.contains("`true` or `false`") => (place.to_owned(), "is no yes or no".to_owned(), "true or false".to_owned()),
        what => (place.to_owned(), what.to_owned(), "what this path takes: see /docs, or `hongyan COMMAND --help`".to_owned()),
    };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_value", &field, what, fix)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        #[serde(default)]
        limit: usize,
        #[serde(default)]
        plain: bool,
        of: String,
    }

    fn refused(query: &str) -> (String, String) {
        let uri = format!("/v1/x?{query}").parse().unwrap();
        let refused = Query::<Wanted>::try_from_uri(&uri).map(|Query(w)| (w.limit, w.plain, w.of)).unwrap_err();
        let problem = refused_parameter(&refused.body_text());
        (problem.field.into(), problem.fix.into())
    }

    #[test]
    fn a_wrong_parameter_is_named_with_what_it_may_be() {
        let of = |field: &str, fix: &str| (field.to_owned(), fix.to_owned());
        assert_eq!(refused("of=a&limit=many"), of("limit", "a whole number from 0"));
        assert_eq!(refused("of=a&limit=-1"), of("limit", "a whole number from 0"));
        assert_eq!(refused("of=a&limit="), of("limit", "a whole number from 0"));
        assert_eq!(refused("of=a&plain=maybe"), of("plain", "true or false"));
        assert_eq!(refused("limit=1"), of("of", "a value"));
        assert_eq!(refused("of=a&of=b"), of("of", "one of them"));
        assert_eq!(refused("of=a&off=b"), of("off", "limit, plain, of"));
    }
}
