//! Tells systemd (or whoever set `NOTIFY_SOCKET`) how the service stands; without one all of it does nothing.

use sd_notify::NotifyState;
use std::time::Duration;

/// Clients may come.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is read again; [`ready`] follows.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "systemd isn't told of the reload"),
    }
}

/// It drains, unbinds, flushes and ends.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// It lives still.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often at least [`alive`] must be said, if it must.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager can't be told");
    }
}
