//! Who may ask on the admin port, and what every request must keep to: the token where one is set, no requests that a web page in an operator's browser
//! could make, a bound on requests under way and on the time that one takes.

use super::problem::Problem;
use crate::config::Secret;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Requests under way at once.
const REQUESTS_MAX: usize = 64;
/// From the head of a request to its answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// The header in which the command line says whose hands it is in.
pub const USER_HEADER: &str = "x-hongyan-user";

/// What guards the port.
#[derive(Debug)]
pub struct Guard {
    token: Option<Secret>,
    places: Semaphore,
}

impl Guard {
    /// With this token, if any.
    pub fn new(token: Option<Secret>) -> Guard {
        Guard { token, places: Semaphore::new(REQUESTS_MAX) }
    }

    fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
        if let Some(token) = &self.token {
            let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer ")).unwrap_or_default();
            if !same(token.expose().as_bytes(), shown) {
                let fix = "Authorization: Bearer TOKEN, the one of [admin] in the configuration";
                return Err(Problem::new(StatusCode::UNAUTHORIZED, "no_token", "authorization", "the token is missing or wrong", fix));
            }
            return Ok(());
        }
        // Without a token whoever reaches loopback may ask. A web page that an operator looks at can reach it too: by a name of its own that means
        // 127.0.0.1, or by a form. Neither can set these headers.
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        if !matches!(name, "127.0.0.1" | "localhost" | "[::1]") && !name.starts_with("127.") {
            let fix = "http://127.0.0.1:PORT";
            return Err(Problem::new(StatusCode::FORBIDDEN, "wrong_host", "host", format!("'{name}' is not this host"), fix));
        }
        let json = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        if *method == Method::POST && !json {
            let fix = "Content-Type: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong_type", "content-type", "the body must be JSON", fix));
        }
        Ok(())
    }
}

/// Compares in time that depends on the length only.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

/// The middleware.
pub async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    if let Err(problem) = guard.check(request.method(), request.headers()) {
        return problem.into_response();
    }
    let busy = |what: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "", what, "try again in a moment").into_response();
    let Ok(_place) = guard.places.try_acquire() else { return busy("too many requests at once") };
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => busy("the request took too long"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn code(guard: &Guard, method: Method, pairs: &[(&'static str, &'static str)]) -> String {
        guard.check(&method, &headers(pairs)).err().map(|problem| problem.code.into_string()).unwrap_or_default()
    }

    #[test]
    fn without_a_token_only_this_host_and_no_web_page_may_ask() {
        let open = Guard::new(None);
        assert_eq!(code(&open, Method::GET, &[("host", "127.0.0.1:9465")]), "");
        assert_eq!(code(&open, Method::GET, &[("host", "localhost:9465")]), "");
        assert_eq!(code(&open, Method::GET, &[("host", "[::1]:9465")]), "");
        assert_eq!(code(&open, Method::GET, &[("host", "evil.example:9465")]), "wrong_host");
        assert_eq!(code(&open, Method::GET, &[]), "wrong_host");
        assert_eq!(code(&open, Method::POST, &[("host", "127.0.0.1"), ("content-type", "text/plain")]), "wrong_type");
        assert_eq!(code(&open, Method::POST, &[("host", "127.0.0.1"), ("content-type", "application/json")]), "");
    }

    #[test]
    fn with_a_token_it_must_be_shown() {
        let closed = Guard::new(Some(Secret::new("0123456789abcdef")));
        assert_eq!(code(&closed, Method::GET, &[("host", "127.0.0.1")]), "no_token");
        assert_eq!(code(&closed, Method::GET, &[("authorization", "Bearer 0123456789abcdeX")]), "no_token");
        assert_eq!(code(&closed, Method::GET, &[("authorization", "Bearer 0123456789abcdef")]), "");
    }
}
