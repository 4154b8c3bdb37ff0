//! Recordings of sessions: which there are, and one of them as pcap.

use super::admin::Backstage;
use super::extract::{Parameters, Who};
use super::problem::Problem;
use crate::config::RecorderMode;
use crate::engine::control::Ask;
use crate::engine::scope::Fault;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};

/// `GET /v1/recordings`.
pub(super) async fn all(State(backstage): State<Backstage>) -> Json<Value> {
    let recordings = &backstage.recordings;
    let settings = recordings.settings();
    Json(json!({
        "mode": settings.mode, "bytes_per_session": settings.bytes_per_session, "allow_plain": settings.allow_plain,
        "tapes": recordings.tapes(), "files": recordings.files(),
    }))
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
            let dumped = recordings.dump(&of, plain);
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
            let read = recordings.file(&file);
            read.ok_or_else(|| bad("unknown_name", "file", format!("there is no recording '{file}'"), "one that `record list` shows"))?
        }
        _ => return Err(bad("bad_value", "of", "exactly one of `of` and `file` says which".into(), "of=north/0, or file=NAME")),
    };
    Ok(([(header::CONTENT_TYPE, "application/vnd.tcpdump.pcap")], octets))
}
