//! Sets up `tracing`: text or JSON lines on standard error.

use crate::config::{Log, LogFormat};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Environment variable that overrides the configured level; takes tracing's filter syntax (`hongyan::link=debug,info`).
pub const LEVEL_VARIABLE: &str = "HONGYAN_LOG";

/// Starts logging for the whole process. Called once, by the commands that run something; a second call changes nothing.
///
/// # Errors
/// If `HONGYAN_LOG` is set to something that is no filter.
pub fn start(log: &Log) -> Result<(), String> {
    let wanted = std::env::var(LEVEL_VARIABLE).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| log.level.clone());
    let filter = EnvFilter::try_new(&wanted).map_err(|error| {
        format!(
            "{LEVEL_VARIABLE}: '{wanted}' is no log filter ({error}); allowed: off, error, warn, info, debug, trace, or module=level, ..."
        )
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _already_started = match log.format {
        LogFormat::Text => {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            builder.with_ansi(colour).with_target(false).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}
