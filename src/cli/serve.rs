//! `hongyan serve`: the gateway in the foreground until SIGINT or SIGTERM.

use super::Output;
use crate::app::Gateway;
use crate::config::Config;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hongyan serve --config config/hongyan.toml\n  hongyan serve --config /etc/hongyan/hongyan.toml --data-dir /var/lib/hongyan\n\n\
        SIGTERM and Ctrl-C stop gracefully: no new messages, windows drain, sessions unbind, the journal is flushed."
)]
pub(super) struct Args {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", default_value = "config/hongyan.toml")]
    config: PathBuf,
    /// Data directory, instead of gateway.data_dir of the configuration
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), String> {
    let mut config = Config::load(&args.config).map_err(|error| error.to_string())?;
    if let Some(directory) = &args.data_dir {
        config.gateway.data_dir.clone_from(directory);
    }
    super::start_logs(&config.gateway.log)?;
    for warning in &config.warnings {
        output.warning(warning);
    }
    runtime(&config)?.block_on(serve(config, output))
}

/// The runtime whose threads carry all sockets and the engine.
pub(super) fn runtime(config: &Config) -> Result<tokio::runtime::Runtime, String> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.gateway.io_threads_on(cores))
        .thread_name("io")
        .enable_all()
        .build()
        .map_err(|error| format!("starting threads: {error}"))
}

async fn serve(config: Config, output: &mut Output) -> Result<(), String> {
    let gateway = Gateway::start(config).await.map_err(|error| error.to_string())?;
    let recovered = gateway.recovered();
    tracing::info!(groups = recovered.groups, messages = recovered.messages, deliveries = recovered.deliveries, "recovered");
    output.line(&format!("listening for SMPP on {}", gateway.smpp_address()));
    if let Some(address) = gateway.metrics_address() {
        output.line(&format!("metrics on http://{address}/metrics"));
    }
    let ended = tokio::select! {
        () = stop_signal() => Ok(()),
        why = gateway.failed() => Err(format!("the store failed: {why}; fix the disk, then start again: nothing acknowledged is lost")),
    };
    tracing::info!("stopping");
    gateway.stop().await;
    ended
}

/// Ctrl-C, or SIGTERM.
pub(super) async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                terminate.recv().await;
            }
            Err(error) => {
                tracing::warn!(%error, "SIGTERM can't be caught");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
