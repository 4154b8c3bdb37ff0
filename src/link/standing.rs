//! What an operator may see of binds and sessions, and do to them: small shared state beside each, and [`Links`] for whoever answers operators.

use super::carrier::Bound;
use super::registry::Registry;
use crate::engine::look::{BindView, Links, Rebinding, SessionView};
use crate::engine::port::SessionId;
use crate::model::{AccountId, CarrierId};
use crate::smpp::BindKind;
use crate::telemetry::{BIND_STATES, BindCounts};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::Notify;

/// What a bind that isn't bound is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Doing {
    /// It connects or binds.
    Connecting = 0,
    /// It waits before the next try.
    Waiting = 1,
    /// An operator wants it down.
    Down = 2,
}

/// One configured bind, whether it is up or not.
#[derive(Debug)]
pub struct Standing {
    kind: BindKind,
    doing: AtomicU8,
    since_ms: AtomicU64,
    /// Why it isn't up.
    failure: Mutex<Option<String>>,
    /// An operator doesn't want to wait for the next try.
    pub(super) at_once: Notify,
    /// What its connections have counted, one after the other.
    pub(super) counts: Arc<Mutex<BindCounts>>,
}

impl Standing {
    /// One that is about to connect.
    pub fn new(kind: BindKind, now_ms: u64) -> Standing {
        let (doing, since_ms) = (AtomicU8::new(0), AtomicU64::new(now_ms));
        Standing { kind, doing, since_ms, failure: Mutex::default(), at_once: Notify::new(), counts: Arc::default() }
    }

    /// It does something else from now on. One that tries again and again is down since it was lost.
    pub(super) fn set(&self, doing: Doing, now_ms: u64) {
        let before = self.doing.swap(doing as u8, Ordering::Relaxed);
        if (before == Doing::Down as u8) != (doing == Doing::Down) {
            self.since_ms.store(now_ms, Ordering::Relaxed);
            self.failed(None);
        }
    }

    /// It was up, and is no more.
    pub(super) fn lost(&self, now_ms: u64) {
        self.since_ms.store(now_ms, Ordering::Relaxed);
    }

    /// What went wrong last.
    pub(super) fn failed(&self, failure: Option<String>) {
        // Nothing that can panic runs under this lock, so a poisoned one is still whole.
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }
}

/// One upstream session.
#[derive(Debug)]
pub struct SessionStanding {
    peer: SocketAddr,
    since_ms: AtomicU64,
    window: AtomicU32,
    in_progress: AtomicU32,
    bound: OnceLock<(AccountId, String, BindKind)>,
}

impl SessionStanding {
    /// A connection that isn't bound yet.
    pub fn new(peer: SocketAddr, now_ms: u64) -> SessionStanding {
        SessionStanding {
            peer,
            since_ms: AtomicU64::new(now_ms),
            window: AtomicU32::new(0),
            in_progress: AtomicU32::new(0),
            bound: OnceLock::new(),
        }
    }

    /// Where it connects from.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// It is bound as this account.
    pub(super) fn bound(&self, account: AccountId, name: &str, kind: BindKind, window: u32, now_ms: u64) {
        self.since_ms.store(now_ms, Ordering::Relaxed);
        self.set_window(window);
        // A session binds once.
        let _ = self.bound.set((account, name.to_owned(), kind));
    }

    /// It may have so many requests in progress.
    pub(super) fn set_window(&self, window: u32) {
        self.window.store(window, Ordering::Relaxed);
    }

    /// So many requests are in progress.
    pub(super) fn set_in_progress(&self, requests: u32) {
        self.in_progress.store(requests, Ordering::Relaxed);
    }

    /// Its account, once it is bound; requests that it may have in progress, and has.
    pub(super) fn windows(&self) -> Option<(AccountId, u32, u32)> {
        let &(account, ..) = self.bound.get()?;
        Some((account, self.window.load(Ordering::Relaxed), self.in_progress.load(Ordering::Relaxed)))
    }

    fn view(&self, session: SessionId) -> SessionView {
        let bound = self.bound.get();
        SessionView {
            session: session.0,
            account: bound.map(|(_, name, _)| name.clone()),
            peer: self.peer.to_string(),
            kind: bound.map_or("unbound", |(_, _, kind)| short(*kind)),
            since_ms: self.since_ms.load(Ordering::Relaxed),
            window: self.window.load(Ordering::Relaxed),
        }
    }
}

fn short(kind: BindKind) -> &'static str {
    match kind {
        BindKind::Transceiver => "trx",
        BindKind::Transmitter => "tx",
        BindKind::Receiver => "rx",
    }
}

impl Links for Registry {
    fn binds(&self) -> Vec<BindView> {
        let mut views: Vec<BindView> = self
            .standings
            .iter()
            .map(|standing| {
                let &(carrier, bind) = standing.key();
                let state = BIND_STATES[1 + usize::from(standing.doing.load(Ordering::Relaxed)).min(2)];
                let since_ms = standing.since_ms.load(Ordering::Relaxed);
                let failure = standing.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
                BindView { carrier, bind, state, kind: short(standing.kind), since_ms, window: 0, in_flight: 0, failure }
            })
            .collect();
        for live in self.binds.iter().filter(|live| live.progress.bound() == Bound::Yes) {
            let id = live.key();
            if let Some(view) = views.iter_mut().find(|view| view.carrier == id.carrier && view.bind == id.index) {
                view.state = BIND_STATES[0];
                (view.since_ms, view.failure) = (live.progress.since_ms(), None);
                (view.window, view.in_flight) = (live.progress.window(), live.progress.in_flight());
            }
        }
        views.sort_by_key(|view| (view.carrier, view.bind));
        views
    }

    fn sessions(&self) -> Vec<SessionView> {
        let mut views: Vec<SessionView> = self.sessions.iter().map(|live| live.standing.view(*live.key())).collect();
        views.sort_by_key(|view| view.session);
        views
    }

    fn kick(&self, session: u64) -> bool {
        let live = self.sessions.get(&SessionId(session));
        live.is_some_and(|live| {
            live.mailbox.close();
            true
        })
    }

    fn rebind(&self, carrier: CarrierId, bind: Option<u16>) -> Rebinding {
        let meant = |of: CarrierId, index: u16| of == carrier && bind.is_none_or(|bind| bind == index);
        let mut hurried = 0;
        for standing in self.standings.iter().filter(|s| meant(s.key().0, s.key().1)) {
            hurried += usize::from(standing.doing.load(Ordering::Relaxed) == Doing::Waiting as u8);
            // One that is closed now finds it too, and doesn't wait.
            standing.at_once.notify_one();
        }
        let live = self.binds.iter().filter(|live| meant(live.key().carrier, live.key().index));
        Rebinding { closed: live.map(|live| live.mailbox.close()).count(), hurried }
    }
}
