//! `hongyan serve`: the gateway in the foreground until SIGINT or SIGTERM.

use super::{Output, notify};
use crate::app::Gateway;
use crate::config::{Config, LogFormat};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hongyan serve --config config/hongyan.toml\n  hongyan serve --config /etc/hongyan/hongyan.toml --data-dir /var/lib/hongyan\n\n\
        SIGTERM and Ctrl-C stop gracefully: no new messages, windows drain, sessions unbind, the journal is flushed.\n\
        SIGHUP reads the configuration again, as `hongyan reload` does."
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
        match config.gateway.log.format {
            LogFormat::Text => output.warning(warning),
            LogFormat::Json => tracing::warn!(warning, "configuration"),
        }
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
    let format = config.gateway.log.format;
    let gateway = Gateway::start(config).await.map_err(|error| error.to_string())?;
    let recovered = gateway.recovered();
    tracing::info!(groups = recovered.groups, messages = recovered.messages, deliveries = recovered.deliveries, "recovered");
    // Caught before it is said that we listen: whoever reads that may signal at once, and an uncaught SIGHUP ends the process.
    let (stopping, reloading) = (stop_signal(), reload_on_hangup(&gateway));
    announce(&gateway, format, output);
    notify::ready();
    let ended = tokio::select! {
        () = stopping => Ok(()),
        () = reloading => Ok(()),
        () = tell_that_it_lives(&gateway) => Ok(()),
        why = gateway.failed() => Err(format!("the store failed: {why}; fix the disk, then start again: nothing acknowledged is lost")),
    };
    tracing::info!("stopping");
    notify::stopping();
    gateway.stop().await;
    ended
}

/// Where the service manager waits for it: says each second that the engine works still, by its own figures. An engine that hangs is silent, and the manager
/// starts the gateway anew: nothing acknowledged is lost. Never returns.
async fn tell_that_it_lives(gateway: &Gateway) {
    if notify::watchdog().is_some() {
        while gateway.next_figures().await {
            notify::alive();
        }
    }
    std::future::pending().await
}

/// Each SIGHUP reads the configuration again; what is wrong with it is told in the log and changes nothing. Never returns.
fn reload_on_hangup(gateway: &Gateway) -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let hangups = signal(SignalKind::hangup());
    if let Err(error) = &hangups {
        tracing::warn!(%error, "SIGHUP can't be caught");
    }
    async move {
        if let Ok(mut hangups) = hangups {
            while hangups.recv().await.is_some() {
                notify::reloading();
                match gateway.reload("local:SIGHUP", "").await {
                    Ok(reloaded) if reloaded.applied || reloaded.needs_restart.is_empty() => {}
                    Ok(reloaded) => tracing::warn!(keys = reloaded.needs_restart.len(), "what differs needs a restart"),
                    Err(problem) => tracing::error!(problem = %problem.detail, "the configuration is refused; the old one stays in force"),
                }
                notify::ready();
            }
        }
        std::future::pending().await
    }
}

/// Says where the gateway listens: in lines for people, or as log events where logs are for machines, who may read both streams as one.
fn announce(gateway: &Gateway, format: LogFormat, output: &mut Output) {
    let smpp = gateway.smpp_address();
    let metrics = gateway.metrics_address().map(|address| format!("http://{address}/metrics"));
    let (admin, http) = (gateway.admin_address(), gateway.http_address());
    match format {
        LogFormat::Text => {
            output.line(&format!("listening for SMPP on {smpp}"));
            if let Some(page) = metrics {
                output.line(&format!("metrics on {page}"));
            }
            if let Some(address) = http {
                output.line(&format!("HTTP API on {address}"));
            }
            if let Some(address) = admin {
                output.line(&format!("admin on {address}"));
            }
        }
        LogFormat::Json => {
            tracing::info!(address = %smpp, "listening for SMPP");
            if let Some(page) = metrics {
                tracing::info!(page, "metrics");
            }
            if let Some(address) = http {
                tracing::info!(%address, "HTTP API");
            }
            if let Some(address) = admin {
                tracing::info!(%address, "admin");
            }
        }
    }
}

/// Ctrl-C, or SIGTERM. Both are caught from this call on, not only once the future is awaited: whoever starts us may stop us as soon as we listen.
pub(super) fn stop_signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let caught = |kind: SignalKind, name: &'static str| {
        let listening = signal(kind);
        async move {
            match listening {
                Ok(mut listening) => {
                    listening.recv().await;
                }
                Err(error) => {
                    tracing::warn!(%error, "{name} can't be caught");
                    std::future::pending::<()>().await;
                }
            }
        }
    };
    let (terminated, interrupted) = (caught(SignalKind::terminate(), "SIGTERM"), caught(SignalKind::interrupt(), "SIGINT"));
    async move {
        tokio::select! {
            () = interrupted => {}
            () = terminated => {}
        }
    }
}
