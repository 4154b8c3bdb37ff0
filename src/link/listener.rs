//! The SMPP port for upstreams: takes connections up to a bound, gives each a session of its own and one task, and checks
//! passwords off the threads of sockets. What a session does is for `upstream`.

use super::accounts::{Accounts, AuthenticateJob, Verifier};
use super::driver::{DriverLimits, Line, Mailbox, drive, tune};
use super::failures::LineGate;
use super::pool::LinkShared;
use super::registry::Registry;
use super::standing::SessionStanding;
use super::upstream::{Upstream, UpstreamCommand, UpstreamContext};
use crate::config::{Account, Listen};
use crate::engine::port::SessionId;
use crate::smpp::{Role, Session, Settings};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// Pause after the system refused to give us a connection (mostly: out of descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Unsent octets at which a peer is closed at once, as a multiple of those at which reading pauses.
const UNSENT_CLOSE_FACTOR: usize = 16;
/// argon2id checks that run at once: each takes tens of milliseconds of a core.
const CHECKS_AT_ONCE: usize = 2;
/// Credentials beyond the specification: system_id and password, octets without terminator.
const LONG_SYSTEM_ID: usize = 63;
const LONG_PASSWORD: usize = 64;

/// The listener and its sessions.
pub struct Listener {
    address: SocketAddr,
    accounts: Arc<Accounts>,
    registry: Arc<Registry>,
    connections: Arc<Semaphore>,
    max_connections: usize,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Listens on the current runtime.
    pub async fn start(settings: &Listen, accounts: &[Account], shared: LinkShared) -> io::Result<Listener> {
        let socket = TcpListener::bind(settings.address).await?;
        let address = socket.local_addr()?;
        let accounts = Arc::new(Accounts::new(accounts, settings.failed_bind_delay_ms));
        shared.registry.add_accounts(Arc::clone(&accounts));
        let verifier = BlockingVerifier { registry: Arc::clone(&shared.registry), turns: Arc::new(Semaphore::new(CHECKS_AT_ONCE)) };
        let context = UpstreamContext {
            accounts: Arc::clone(&accounts),
            verifier: Arc::new(verifier),
            system_id: settings.system_id.as_bytes().into(),
        };
        let max_connections = settings.max_connections as usize;
        let connections = Arc::new(Semaphore::new(max_connections));
        let (stop, stopped) = watch::channel(false);
        let registry = Arc::clone(&shared.registry);
        let port = Port {
            session_settings: session_settings(settings),
            limits: limits(settings),
            context: Arc::new(context),
            connections: Arc::clone(&connections),
            shared,
            lines: Mutex::default(),
        };
        let task = tokio::spawn(port.accept(socket, stopped));
        Ok(Listener { address, accounts, registry, connections, max_connections, stop, task })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Who is bound, for the metrics.
    pub fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    /// Takes no new connection any more; the sessions go on.
    pub fn stop_accepting(&self) {
        // Without a receiver the task has ended already.
        let _ = self.stop.send(true);
    }

    /// Unbinds all sessions and waits for their end, at most so long; then the rest is closed at once.
    pub async fn stop(self, deadline: Duration) {
        self.stop_accepting();
        // A panic of that task has been printed.
        let _ = self.task.await;
        self.registry.close_sessions(false);
        let all = u32::try_from(self.max_connections).unwrap_or(u32::MAX);
        if tokio::time::timeout(deadline, self.connections.acquire_many(all)).await.is_err() {
            self.registry.close_sessions(true);
            let _ = tokio::time::timeout(ACCEPT_PAUSE * 20, self.connections.acquire_many(all)).await;
        }
    }
}

/// What the accepting task needs.
struct Port {
    session_settings: Settings,
    limits: DriverLimits,
    context: Arc<UpstreamContext>,
    connections: Arc<Semaphore>,
    shared: LinkShared,
    /// Of connections that are not taken.
    lines: Mutex<LineGate>,
}

impl Port {
    async fn accept(self, socket: TcpListener, mut stopped: watch::Receiver<bool>) {
        let mut last = 0;
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                _ = stopped.changed() => return,
            };
            match accepted {
                Ok((stream, peer)) => {
                    last += 1;
                    self.serve(stream, peer, SessionId(last));
                }
                Err(error) => {
                    let none = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
                    let passes = self.lines.lock().unwrap_or_else(PoisonError::into_inner).pass(none, self.shared.clock.now().mono_ms());
                    if let Some(untold) = passes {
                        tracing::warn!(%error, untold, "can't take a connection");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// For a new connection; how long credentials may be depends on the accounts of the moment.
    fn session_settings(&self) -> Settings {
        let mut settings = self.session_settings;
        if self.context.accounts.any_long_credentials() {
            settings.limits.system_id = LONG_SYSTEM_ID;
            settings.limits.password = LONG_PASSWORD;
        }
        settings
    }

    /// Gives a connection its task; beyond the bound it is closed at once.
    fn serve(&self, stream: TcpStream, peer: SocketAddr, id: SessionId) {
        let Ok(place) = Arc::clone(&self.connections).try_acquire_owned() else {
            let passes = self.lines.lock().unwrap_or_else(PoisonError::into_inner).pass(peer.ip(), self.shared.clock.now().mono_ms());
            if let Some(untold) = passes {
                tracing::warn!(%peer, untold, "too many connections: closed");
            }
            return;
        };
        if let Err(error) = tune(&stream, None) {
            tracing::debug!(%error, "connection was gone at once");
            return;
        }
        let LinkShared { registry, engine, clock, recordings } = self.shared.clone();
        let session = Session::new(self.session_settings(), clock.now());
        let standing = Arc::new(SessionStanding::new(peer, clock.now().wall_ms));
        let handler = Upstream::new(id, peer.ip(), Arc::clone(&self.context)).standing_as(Arc::clone(&standing));
        let mailbox: Mailbox<UpstreamCommand> = Mailbox::new();
        registry.add_session(id, mailbox.clone(), standing);
        let limits = self.limits;
        let line = Line::new(stream, recordings.tap(&id.0.to_string(), Role::Server, clock.now()));
        tokio::spawn(async move {
            // The handler has told its end.
            drive(line, handler, session, mailbox, engine, clock, limits).await;
            recordings.forget(&id.0.to_string());
            registry.remove_session(id);
            drop(place);
        });
    }
}

fn session_settings(listen: &Listen) -> Settings {
    Settings {
        enquire_link_ms: listen.enquire_link_ms,
        enquire_link_timeout_ms: listen.enquire_link_timeout_ms,
        inactivity_ms: listen.inactivity_ms,
        session_init_ms: listen.session_init_ms,
        pdu_completion_ms: listen.pdu_completion_ms,
        response_timeout_ms: listen.response_timeout_ms,
        unbind_timeout_ms: listen.unbind_timeout_ms,
        max_pdu: listen.max_pdu_bytes as usize,
        interface_version: listen.interface_version,
        ..Settings::server()
    }
}

fn limits(listen: &Listen) -> DriverLimits {
    let unsent_pause = listen.max_unsent_bytes as usize;
    DriverLimits {
        unsent_pause,
        unsent_close: unsent_pause * UNSENT_CLOSE_FACTOR,
        slow_reader_ms: listen.write_stall_ms,
        ..DriverLimits::default()
    }
}

/// Checks passwords on the runtime's blocking threads, a few at a time.
struct BlockingVerifier {
    registry: Arc<Registry>,
    turns: Arc<Semaphore>,
}

impl Verifier for BlockingVerifier {
    fn verify(&self, job: AuthenticateJob) {
        let (registry, turns) = (Arc::clone(&self.registry), Arc::clone(&self.turns));
        tokio::spawn(async move {
            // The semaphore is never closed, and a check that panicked has been printed: the bind then ends by its timer.
            let Ok(_turn) = turns.acquire_owned().await else { return };
            let session = job.session;
            if let Ok(done) = tokio::task::spawn_blocking(move || job.run()).await {
                registry.tell_session(session, UpstreamCommand::Authenticated(done));
            }
        });
    }
}
