//! Recordings of sessions: which there are, and one of them as pcap.

use super::admin::Backstage;
use super::extract::{Parameters, Who};
use super::look::odd;
use super::problem::Problem;
use crate::config::RecorderMode;
use crate::engine::control::Ask;
use crate::engine::scope::Fault;
use crate::link::tape::Recordings;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::IntoParams;

/// Recordings of sessions
///
/// What is in memory of binds and sessions (`tapes`), and the files that were written.
#[utoipa::path(get, path = "/v1/recordings", tag = "recordings", responses((status = 200, description = "mode, bytes_per_session, allow_plain; tapes: name, pdus, octets, gone; files: file, octets", body = Object)))]
pub(super) async fn all(State(backstage): State<Backstage>) -> Result<Json<Value>, Problem> {
    let recordings = &backstage.recordings;
    let settings = recordings.settings();
    let files = beside(recordings, |recordings| recordings.files()).await?;
    Ok(Json(json!({
        "mode": settings.mode, "bytes_per_session": settings.bytes_per_session, "allow_plain": settings.allow_plain,
        "tapes": recordings.tapes(), "files": files,
    })))
}

/// Reads files, or redacts a ring, beside the tasks of links and engine.
async fn beside<T: Send + 'static>(
    recordings: &Arc<Recordings>,
    ask: impl FnOnce(&Recordings) -> T + Send + 'static,
) -> Result<T, Problem> {
    let recordings = Arc::clone(recordings);
    tokio::task::spawn_blocking(move || ask(&recordings)).await.map_err(|_| odd())
}

/// Which one: what a bind's or session's ring holds now, or a file that was written.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// What is in memory of a bind (`north/0`) or of a session (`17`).
    of: Option<String>,
    /// In place of `of`: a file that was written, by its name.
    file: Option<String>,
    /// With texts and numbers, if recorder.allow_plain lets that be; put on record. Only with `of`.
    plain: bool,
}

fn bad(code: &'static str, field: &'static str, what: String, fix: &str) -> Problem {
    Fault::of(code, field, what, fix).into()
}

/// One recording as pcap
///
/// Exactly one of `of` and `file` says which.
#[utoipa::path(get, path = "/v1/recording", tag = "recordings", params(Wanted),
    responses((status = 200, description = "The recording", body = String, content_type = "application/vnd.tcpdump.pcap"),
        (status = 422, description = "What is wrong, with its field", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn one(
    State(backstage): State<Backstage>,
    Who(who): Who,
    Parameters(Wanted { of, file, plain }): Parameters<Wanted>,
) -> Result<impl IntoResponse, Problem> {
    let recordings = &backstage.recordings;
    let octets = match (of, file) {
        (Some(of), None) => {
            if recordings.settings().mode == RecorderMode::Off {
                return Err(bad(
                    "recorder_off",
                    "of",
                    "nothing is recorded".into(),
                    "set recorder.mode = \"sampled\" or \"full\" and restart",
                ));
            }
            if plain && !recordings.settings().allow_plain {
                let what = "texts and numbers are not told plainly here".into();
                return Err(bad("not_allowed", "plain", what, "leave it out, or set recorder.allow_plain = true and restart"));
            }
            if plain {
                backstage.operator.ask(&who, "", Ask::Note { what: format!("recording of {of} with texts and numbers") }).await?;
            }
            let which = of.clone();
            let dumped = beside(recordings, move |recordings| recordings.dump(&which, plain)).await?;
            dumped.ok_or_else(|| {
                bad(
                    "unknown_name",
                    "of",
                    format!("nothing is recorded of '{of}'"),
                    "a bind (north/0) or session (17) that `record list` shows",
                )
            })?
        }
        (None, Some(file)) => {
            let name = file.clone();
            let read = beside(recordings, move |recordings| recordings.file(&name)).await?;
            read.ok_or_else(|| bad("unknown_name", "file", format!("there is no recording '{file}'"), "one that `record list` shows"))?
        }
        _ => return Err(bad("bad_value", "of", "exactly one of `of` and `file` says which".into(), "of=north/0, or file=NAME")),
    };
    Ok(([(header::CONTENT_TYPE, "application/vnd.tcpdump.pcap")], octets))
}
