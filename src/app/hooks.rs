//! What the deliverer to addresses must know of the configuration, and its pseudo-sessions in the engine.

use crate::config::Config;
use crate::engine::port::Input;
use crate::http::events::EventLogs;
use crate::http::hooks::dead::DeadLetters;
use crate::http::hooks::{Guard, HookSettings, Hooks, Known, OwnHook, Parts, WINDOW};
use crate::link::registry::Registry;
use crate::model::AccountId;
use crate::model::id::SessionId;
use crate::telemetry::Telemetry;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// What the accounts of `config` (arranged: by their ids) want.
pub fn known(config: &Config) -> Known {
    let of = |(at, account): (usize, &crate::config::Account)| {
        let hook = account.hook.as_ref()?;
        // Checked when it was read.
        let written = hook.secret.as_ref()?.expose();
        let secret = STANDARD.decode(written.strip_prefix("whsec_").unwrap_or(written)).ok()?;
        Some((
            AccountId(at as u32),
            OwnHook { url: hook.url.as_str().into(), secret: secret.into(), written: written.into(), inbound: hook.inbound },
        ))
    };
    let events = |(at, account): (usize, &crate::config::Account)| Some((AccountId(at as u32), account.events.clone()?));
    Known {
        events: config.accounts.iter().enumerate().filter_map(events).collect(),
        hooks: config.accounts.iter().enumerate().filter_map(of).collect(),
        ages_ms: config.accounts.iter().map(|account| u64::from(account.receipts.max_age_h) * 3_600_000).collect(),
        carriers: config.carriers.iter().map(|carrier| carrier.name.as_str().into()).collect(),
        names: config.accounts.iter().map(|account| account.name.as_str().into()).collect(),
    }
}

/// What the deliverer is given besides the configuration.
pub struct Given {
    pub logs: Arc<EventLogs>,
    pub dead: Arc<DeadLetters>,
    pub replays: mpsc::UnboundedReceiver<Vec<u64>>,
    pub telemetry: Arc<Telemetry>,
}

/// Starts the deliverer: the engine's replies to pseudo-sessions go to it from now on.
///
/// # Errors
/// The TLS side can't be set up, in words.
pub async fn start(
    config: &Config,
    engine: &mpsc::Sender<Vec<Input>>,
    registry: &Registry,
    given: Given,
) -> Result<watch::Sender<Arc<Known>>, String> {
    let settings = HookSettings {
        timeout: Duration::from_millis(config.hooks.timeout_ms),
        at_once: config.hooks.at_once,
        batch: config.hooks.batch,
        guard: Guard { allow_private: config.hooks.allow_private },
    };
    let (sender, known) = watch::channel(Arc::new(Known::default()));
    let Given { logs, dead, replays, telemetry } = given;
    let parts = Parts { engine: engine.downgrade(), known, logs, dead, replays, telemetry };
    let hooks = Hooks::new(settings, parts).map_err(|error| format!("the client of hooks: {error}"))?;
    let (leave, deliveries) = mpsc::unbounded_channel();
    registry.set_hooks(leave);
    tokio::spawn(hooks.run(deliveries));
    tell(config, engine, &sender).await;
    Ok(sender)
}

/// The accounts are these from now on; new ones get their pseudo-session.
pub async fn tell(config: &Config, engine: &mpsc::Sender<Vec<Input>>, sender: &watch::Sender<Arc<Known>>) {
    let next = known(config);
    let (before, after) = (sender.borrow().names.len(), next.names.len());
    sender.send_replace(Arc::new(next));
    let up = |at: usize| {
        let account = AccountId(at as u32);
        Input::HookUp { session: SessionId::hook_of(account), account, window: WINDOW }
    };
    let inputs: Vec<Input> = (before..after).map(up).collect();
    // An engine that is gone delivers nothing.
    let _ = engine.send(inputs).await;
}
