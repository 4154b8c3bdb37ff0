//! The simulated carrier on a socket: one thread with a small runtime of its own, so that it runs beside anything
//! (`hongyan smsc`, the demo, the benchmark, tests). What it does is decided in `carrier`.

pub mod args;

use super::behaviour::Behaviour;
use super::carrier::{Action, BindKey, Carrier, Counts, Submit};
use super::delivery::Written;
use crate::link::driver::{self, DriverLimits, Handler, Mailbox};
use crate::model::Now;
use crate::model::clock::SystemClock;
use crate::model::mark::{RunId, RunMarks};
use crate::smpp::pdu::{DataSm, QuerySm, QuerySmResp};
use crate::smpp::{self, Addr, BindKind, CloseCause, Event, Pdu, Session, Sm, command, status};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// Most sessions at one time; further connections are closed at once.
pub const SESSIONS_MAX: usize = 1_000;
/// Submits in progress on one session before it is told 0x58 by the protocol itself; far above what a client's window allows.
const SUBMITS_IN_PROGRESS_MAX: usize = 200_000;

/// How to run a simulated carrier.
#[derive(Debug, Clone)]
pub struct SmscSettings {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Its name in bind responses.
    pub name: String,
    /// The only system_id that may bind; `None`: any.
    pub system_id: Option<String>,
    /// The only password that is accepted; `None`: any.
    pub password: Option<String>,
    /// Deliveries unanswered on one session.
    pub window: usize,
    /// bind_transceiver is refused: the client must bind a transmitter and a receiver.
    pub no_transceiver: bool,
    /// The version it speaks.
    pub interface_version: u8,
    /// Its habits.
    pub behaviour: Behaviour,
    /// Seed of its dice.
    pub seed: u64,
    /// Its clock: whoever compares times with it shares it.
    pub clock: SystemClock,
}

impl Default for SmscSettings {
    fn default() -> Self {
        SmscSettings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            name: "hongyan-smsc".to_owned(),
            system_id: None,
            password: None,
            window: 500,
            no_transceiver: false,
            interface_version: 0x34,
            behaviour: Behaviour::default(),
            seed: 1,
            clock: SystemClock::start(),
        }
    }
}

/// The carrier and the mailboxes of its sessions.
struct Hub {
    carrier: Carrier,
    /// CPU of the thread, microseconds, as of its last look.
    cpu_us: u64,
    mailboxes: Vec<(BindKey, Mailbox<()>)>,
}

/// Shared by the sessions, which all run on one thread, and by whoever asks for counts: never held for long.
type SharedHub = Arc<Mutex<Hub>>;

fn lock(hub: &SharedHub) -> MutexGuard<'_, Hub> {
    hub.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running simulated carrier. Dropping it stops it without waiting.
pub struct Smsc {
    address: SocketAddr,
    hub: SharedHub,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Smsc {
    /// Listens and serves from a thread of its own.
    pub fn start(settings: SmscSettings) -> io::Result<Smsc> {
        let listener = std::net::TcpListener::bind(settings.listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let hub = Arc::new(Mutex::new(Hub {
            carrier: Carrier::new(settings.behaviour.clone(), settings.seed),
            cpu_us: 0,
            mailboxes: Vec::new(),
        }));
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let served = Arc::clone(&hub);
        let thread = std::thread::Builder::new()
            .name("smsc".to_owned())
            .spawn(move || runtime.block_on(serve(listener, settings, served, stopped)))?;
        Ok(Smsc { address, hub, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What happened so far.
    pub fn stats(&self) -> Counts {
        lock(&self.hub).carrier.counts()
    }

    /// CPU that its thread has used, microseconds; at most [`CPU_LOOK_MS`] old.
    pub fn cpu_us(&self) -> u64 {
        lock(&self.hub).cpu_us
    }

    /// What it took of one run of a load generator.
    pub fn marks(&self, run: RunId) -> Option<RunMarks> {
        lock(&self.hub).carrier.marks().run(run).cloned()
    }

    /// Keeps from now on when the first `count` texts of a run come, by its clock.
    pub fn time(&self, run: RunId, count: usize) {
        lock(&self.hub).carrier.marks_mut().time(run, count);
    }

    /// Every run with its distinct marks and repeats.
    pub fn runs(&self) -> Vec<(RunId, u64, u64)> {
        lock(&self.hub).carrier.marks().runs().collect()
    }

    /// Changes its habits while it runs.
    pub fn change(&self, change: impl FnOnce(&mut Behaviour)) {
        change(lock(&self.hub).carrier.behaviour_mut());
    }

    /// Closes every session gracefully, or at once; it goes on listening.
    pub fn close_sessions(&self, at_once: bool) {
        for (_, mailbox) in &lock(&self.hub).mailboxes {
            if at_once { mailbox.kill() } else { mailbox.close() }
        }
    }

    /// Unbinds all sessions, stops, and returns the final counts.
    pub fn stop(mut self) -> Counts {
        self.close_sessions(false);
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic of that thread has been printed; the counts are still worth having.
            let _ = thread.join();
        }
        self.stats()
    }
}

/// How long sessions may take to unbind when the carrier stops.
const STOP_MS: u64 = 3_000;
/// How often the thread looks at its CPU time.
pub const CPU_LOOK_MS: u64 = 50;

async fn serve(listener: std::net::TcpListener, settings: SmscSettings, hub: SharedHub, mut stopped: oneshot::Receiver<()>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let settings = Arc::new(settings);
    let clock = settings.clock;
    let mut sessions = tokio::task::JoinSet::new();
    let mut look = tokio::time::interval(std::time::Duration::from_millis(CPU_LOOK_MS));
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            _ = look.tick() => {
                let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
                lock(&hub).cpu_us = used.tv_sec as u64 * 1_000_000 + used.tv_nsec as u64 / 1000;
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    while sessions.try_join_next().is_some() {}
                    if sessions.len() < SESSIONS_MAX && driver::tune(&stream, None).is_ok() {
                        sessions.spawn(session(stream, Arc::clone(&settings), Arc::clone(&hub), clock));
                    }
                }
                // Out of descriptors, mostly: give the sessions time to end.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            },
        }
    }
    drop(listener);
    let all_gone = async { while sessions.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(std::time::Duration::from_millis(STOP_MS), all_gone).await;
}

async fn session(stream: tokio::net::TcpStream, settings: Arc<SmscSettings>, hub: SharedHub, clock: SystemClock) {
    let protocol = smpp::Settings {
        window: settings.window,
        inbound_window: SUBMITS_IN_PROGRESS_MAX,
        interface_version: settings.interface_version,
        ..smpp::Settings::server()
    };
    let mailbox = Mailbox::new();
    let handler =
        SmscSession { settings, hub, mailbox: mailbox.clone(), key: None, next_us: None, actions: Vec::new(), written: Written::default() };
    // This side has nothing to report: its channel stays empty.
    let (reports, _unused) = mpsc::channel(1);
    driver::drive(stream, handler, Session::new(protocol, clock.now()), mailbox, reports, clock, DriverLimits::default()).await;
}

/// One session of the simulated carrier.
struct SmscSession {
    settings: Arc<SmscSettings>,
    hub: SharedHub,
    mailbox: Mailbox<()>,
    key: Option<BindKey>,
    next_us: Option<u64>,
    actions: Vec<Action>,
    written: Written,
}

impl SmscSession {
    fn bind(&mut self, sequence: u32, kind: BindKind, bind: &smpp::Bind<'_>, session: &mut Session, now: Now) {
        let fits = |wanted: &Option<String>, given: &[u8]| wanted.as_ref().is_none_or(|wanted| wanted.as_bytes() == given);
        if !fits(&self.settings.system_id, bind.system_id) {
            return session.refuse_bind(sequence, kind, status::ESME_RINVSYSID);
        }
        if !fits(&self.settings.password, bind.password) {
            return session.refuse_bind(sequence, kind, status::ESME_RINVPASWD);
        }
        if self.settings.no_transceiver && kind == BindKind::Transceiver {
            return session.refuse_bind(sequence, kind, status::ESME_RBINDFAIL);
        }
        session.accept_bind(sequence, kind, bind.interface_version, self.settings.name.as_bytes(), now);
        let mut hub = lock(&self.hub);
        let key = hub.carrier.bind_up(kind.receives(), now);
        hub.mailboxes.push((key, self.mailbox.clone()));
        self.key = Some(key);
    }

    fn request(&mut self, sequence: u32, pdu: &Pdu<'_>, session: &mut Session, now: Now) {
        let Some(key) = self.key else { return };
        let submit = match pdu {
            Pdu::SubmitSm(sm) => Submit::of(command::SUBMIT_SM_RESP, sequence, sm),
            Pdu::DataSm(data) => Submit::of(command::DATA_SM_RESP, sequence, &data.as_sm()),
            Pdu::QuerySm(query) => return self.query(sequence, query, session, now),
            Pdu::CancelSm(_) => return session.respond(sequence, status::ESME_RCANCELFAIL, &Pdu::CancelSmResp),
            Pdu::ReplaceSm(_) => return session.respond(sequence, status::ESME_RREPLACEFAIL, &Pdu::ReplaceSmResp),
            Pdu::SubmitMulti(_) => return session.respond(sequence, status::ESME_RSUBMITFAIL, &Pdu::SubmitMultiResp(None)),
            _ => return session.respond(sequence, status::ESME_RINVCMDID, &Pdu::GenericNack),
        };
        let mut hub = lock(&self.hub);
        if let Some(action) = hub.carrier.submit(key, &submit, now) {
            act(action, &mut hub.carrier, session, &self.mailbox, &mut self.written, key, now);
        }
    }
}

impl SmscSession {
    fn query(&self, sequence: u32, query: &QuerySm<'_>, session: &mut Session, now: Now) {
        let Some((state, final_ms)) = lock(&self.hub).carrier.query(query.message_id, now) else {
            return session.respond(sequence, status::ESME_RQUERYFAIL, &Pdu::QuerySmResp(None));
        };
        let final_date = if final_ms > 0 { smpp::time::format_absolute(final_ms, 0) } else { None };
        let resp = QuerySmResp {
            message_id: query.message_id,
            final_date: final_date.as_ref().map_or(&[], |date| &date[..]),
            message_state: state as u8,
            ..QuerySmResp::default()
        };
        session.respond(sequence, status::ESME_ROK, &Pdu::QuerySmResp(Some(resp)));
    }
}

/// Does one action on its session; false if a delivery found no room.
fn act(
    action: Action,
    carrier: &mut Carrier,
    session: &mut Session,
    mailbox: &Mailbox<()>,
    written: &mut Written,
    key: BindKey,
    now: Now,
) -> bool {
    match action {
        Action::Answer { command_id, sequence, status, id } => {
            session.respond_message_id(command_id, sequence, status, &carrier.id_text(id))
        }
        Action::HangUp => mailbox.kill(),
        Action::Unbind => mailbox.close(),
        Action::Deliver { token } => {
            let Some(delivery) = carrier.write(token, written) else { return true };
            let (from, to) = (&delivery.source, &delivery.destination);
            let sm = Sm {
                source: Addr { ton: from.ton, npi: from.npi, addr: &from.digits },
                destination: Addr { ton: to.ton, npi: to.npi, addr: &to.digits },
                esm_class: written.esm_class,
                data_coding: written.data_coding,
                short_message: &written.text,
                tlvs: written.tlvs.as_tlvs(),
                ..Sm::default()
            };
            let data = DataSm {
                source: sm.source,
                destination: sm.destination,
                esm_class: sm.esm_class,
                data_coding: sm.data_coding,
                tlvs: sm.tlvs,
                ..DataSm::default()
            };
            let pdu = if written.data_sm { Pdu::DataSm(data) } else { Pdu::DeliverSm(sm) };
            if session.request(token, &pdu, now).is_err() {
                carrier.not_sent(key, token);
                return false;
            }
        }
    }
    true
}

impl Handler for SmscSession {
    type Command = ();
    type Report = ();

    fn opened(&mut self, _session: &mut Session, _now: Now) {}

    fn event(&mut self, event: Event<'_>, session: &mut Session, now: Now) {
        match event {
            Event::BindRequest { sequence, kind, bind } => self.bind(sequence, kind, &bind, session, now),
            Event::Request { sequence, pdu } => self.request(sequence, &pdu, session, now),
            Event::Response { token, status, .. } => {
                if let Some(key) = self.key {
                    lock(&self.hub).carrier.delivered(key, token, Some(status), now);
                }
            }
            Event::Timeout { token } => {
                if let Some(key) = self.key {
                    lock(&self.hub).carrier.delivered(key, token, None, now);
                }
            }
            _ => {}
        }
    }

    fn command(&mut self, (): (), _session: &mut Session, _now: Now) {}

    fn batch_end(&mut self, session: &mut Session, now: Now, _reports: &mut Vec<()>) {
        let Some(key) = self.key else { return };
        let mut hub = lock(&self.hub);
        let Hub { carrier, mailboxes, .. } = &mut *hub;
        carrier.due(key, session.free(), now, &mut self.actions);
        let mut room = true;
        for action in self.actions.drain(..) {
            match action {
                Action::Deliver { token } if !room => carrier.not_sent(key, token),
                action => room &= act(action, carrier, session, &self.mailbox, &mut self.written, key, now),
            }
        }
        self.next_us = carrier.next_due(key);
        for woken in carrier.woken() {
            if let Some((_, mailbox)) = mailboxes.iter().find(|(key, _)| *key == woken) {
                mailbox.push_one(());
            }
        }
    }

    fn deadline(&self) -> Option<u64> {
        self.next_us
    }

    fn tick(&mut self, _session: &mut Session, _now: Now) {}

    fn closed(&mut self, session: &mut Session, _cause: CloseCause, now: Now, _reports: &mut Vec<()>) {
        let Some(key) = self.key.take() else { return };
        let mut hub = lock(&self.hub);
        let Hub { carrier, mailboxes, .. } = &mut *hub;
        carrier.bind_down(key, &session.drain_in_flight(), now);
        mailboxes.retain(|(known, _)| *known != key);
        for woken in carrier.woken() {
            if let Some((_, mailbox)) = mailboxes.iter().find(|(key, _)| *key == woken) {
                mailbox.push_one(());
            }
        }
    }
}
