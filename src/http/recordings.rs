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

/// `GET /v1/recordings`.
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
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    of: Option<String>,
    file: Option<String>,
    plain: bool,
}

fn bad(code: &'static str, field: &'static str, what: String, fix: &str) -> Problem {
    Fault::of(code, field, what, fix).into()
}

/// `GET /v1/recording`: one as pcap. What is told plainly is on record.
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
