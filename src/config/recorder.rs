//! `[recorder]`: the latest PDUs of every session, kept in memory and written down when something goes wrong.

use super::check::Checks;
use serde::{Deserialize, Serialize};

/// Which PDUs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecorderMode {
    /// None.
    Off,
    /// All that keep the session, all errors, and one in sixteen of the rest with its answer.
    #[default]
    Sampled,
    /// All.
    Full,
}

/// `[recorder]`: a ring of the latest PDUs of each session.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recorder {
    /// Which PDUs are kept. Default sampled.
    pub mode: RecorderMode,
    /// Octets of memory of a session's ring, at most. Default 256 KiB; 16 KiB to 64 MiB.
    pub bytes_per_session: u32,
    /// Error answers within ten seconds from which on a recording is written. Default 50; 0: never.
    pub error_burst: u32,
    /// Recordings that are kept in `data_dir/recordings`; the oldest go first. Default 100; 0 writes none by itself.
    pub keep_files: u32,
    /// Least time between two recordings of one bind or account that are written by themselves, seconds. Default 60; up to 86,400.
    pub pause_s: u32,
    /// Texts and numbers may be told plainly to who asks for it (`hongyan record dump --plain`). Default false.
    pub allow_plain: bool,
}

impl Default for Recorder {
    fn default() -> Recorder {
        Recorder {
            mode: RecorderMode::default(),
            bytes_per_session: 256 << 10,
            error_burst: 50,
            keep_files: 100,
            pause_s: 60,
            allow_plain: false,
        }
    }
}

impl Recorder {
    pub(super) fn check(&self, at: &str, c: &mut Checks) {
        c.range(at, "bytes_per_session", self.bytes_per_session, 16 << 10..=64 << 20);
        c.range(at, "error_burst", self.error_burst, 0..=1_000_000);
        c.range(at, "keep_files", self.keep_files, 0..=10_000);
        c.range(at, "pause_s", self.pause_s, 0..=86_400);
    }
}
