//! The binds of one carrier: connects, binds, drives, and comes back after a loss with a delay that fits its cause. What a bind
//! does once it stands is for `carrier`; which message takes which bind is for the engine.

use super::carrier::{BindProgress, Bound, CarrierBind, CarrierContext};
use super::driver::{DriverLimits, Line, Mailbox, drive, tune};
use super::registry::Registry;
use super::standing::{Doing, Standing};
use super::tape::Recordings;
use crate::config::{BindMode, Reconnect};
use crate::engine::port::{BindId, Input};
use crate::model::CarrierId;
use crate::model::clock::SystemClock;
use crate::smpp::{BindKind, Role, Session, status};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// What all links of a gateway share.
#[derive(Clone)]
pub struct LinkShared {
    /// Who lives.
    pub registry: Arc<Registry>,
    /// The way to the engine.
    pub engine: mpsc::Sender<Vec<Input>>,
    /// The clock.
    pub clock: SystemClock,
    /// What is recorded of them.
    pub recordings: Arc<Recordings>,
}

/// The binds of one carrier. Dropping it leaves them running; [`Pool::stop`] ends them.
pub struct Pool {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Starts all binds of the carrier on the current runtime: one task each.
    pub fn start(carrier: CarrierId, context: &Arc<CarrierContext>, shared: &LinkShared) -> Pool {
        let (stop, stopped) = watch::channel(false);
        let kinds: &[BindKind] = match context.settings.bind {
            BindMode::Trx => &[BindKind::Transceiver],
            BindMode::TxRx => &[BindKind::Transmitter, BindKind::Receiver],
        };
        let mut tasks = Vec::new();
        for index in 0..context.settings.binds {
            for (offset, &kind) in kinds.iter().enumerate() {
                let id = BindId { carrier, index: index * kinds.len() as u16 + offset as u16, generation: 0 };
                let standing = Arc::new(Standing::new(kind, shared.clock.now().wall_ms));
                shared.registry.standings.insert((carrier, id.index), Arc::clone(&standing));
                let down = shared.registry.watch_down();
                let (context, shared, stopped) = (Arc::clone(context), shared.clone(), stopped.clone());
                let bind = BindLoop { id, kind, context, shared, stopped, down, standing };
                tasks.push(tokio::spawn(bind.run()));
            }
        }
        Pool { stop, tasks }
    }

    /// Unbinds all and waits until they are gone: each takes its unbind timer at most.
    pub async fn stop(self) {
        // Without receivers all tasks have ended already.
        let _ = self.stop.send(true);
        for task in self.tasks {
            // A panic of that task has been printed.
            let _ = task.await;
        }
    }
}

/// Why a try to hold a bind ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// No host could be reached, or none answered the bind.
    Unreachable,
    /// The bind was refused with this status.
    Refused(u32),
    /// It was bound and then lost.
    Lost,
}

/// How long to wait before the next try.
#[derive(Debug, Default)]
pub struct Backoff {
    last: Option<Ended>,
    tries: u32,
}

impl Backoff {
    /// The delay after a try that ended so, in milliseconds. Delays double while the cause stays the same; a bind that stood starts anew.
    /// `chance`: 0 to 1, for the jitter, which only shortens.
    pub fn delay_ms(&mut self, ended: Ended, rules: &Reconnect, chance: f64) -> u64 {
        if self.last == Some(ended) && ended != Ended::Lost {
            self.tries = self.tries.saturating_add(1);
        } else {
            self.tries = 0;
        }
        self.last = Some(ended);
        let (first, most) = match ended {
            Ended::Refused(status::ESME_RALYBND) => (rules.already_bound_ms, rules.already_bound_ms.max(rules.max_ms)),
            Ended::Refused(status::ESME_RBINDFAIL | status::ESME_RINVPASWD | status::ESME_RINVSYSID | status::ESME_RINVSYSTYP) => {
                (rules.credentials_ms, rules.credentials_max_ms)
            }
            Ended::Unreachable | Ended::Refused(_) | Ended::Lost => (rules.min_ms, rules.max_ms),
        };
        let whole = first.saturating_mul(1 << self.tries.min(20)).min(most);
        let cut = whole as f64 * f64::from(rules.jitter_percent.min(100)) / 100.0 * chance.clamp(0.0, 1.0);
        // "Already bound" and wrong credentials have a least delay that jitter must not undercut.
        let least = match ended {
            Ended::Refused(_) if first > rules.min_ms => first,
            _ => 0,
        };
        (whole - cut as u64).max(least)
    }
}

/// One bind that is to be held for ever.
struct BindLoop {
    id: BindId,
    kind: BindKind,
    context: Arc<CarrierContext>,
    shared: LinkShared,
    stopped: watch::Receiver<bool>,
    /// What an operator wants to stay down.
    down: watch::Receiver<Vec<(CarrierId, Option<u16>)>>,
    standing: Arc<Standing>,
}

/// The bind is one of those that stay down.
fn is_down(id: BindId, down: &[(CarrierId, Option<u16>)]) -> bool {
    down.iter().any(|&(carrier, index)| carrier == id.carrier && index.is_none_or(|index| index == id.index))
}

/// Waits until what is to stay down is so.
async fn until(down: &mut watch::Receiver<Vec<(CarrierId, Option<u16>)>>, is: impl Fn(&[(CarrierId, Option<u16>)]) -> bool) {
    // The registry, whose sender it is, outlives the binds.
    let _ = down.wait_for(|down| is(down)).await;
}

impl BindLoop {
    async fn run(mut self) {
        let mut backoff = Backoff::default();
        while !*self.stopped.borrow() {
            if self.stays_down().await {
                continue;
            }
            self.set(Doing::Connecting);
            let (ended, error) = self.hold().await;
            if ended == Ended::Lost {
                self.standing.lost(self.shared.clock.now().wall_ms);
            }
            self.standing.failed(Some(error.clone()));
            let carrier = &self.context.settings.name;
            let is_stopped = *self.stopped.borrow() || self.shared.engine.is_closed();
            // One line for each try that ended.
            if is_stopped || is_down(self.id, &self.down.borrow()) {
                tracing::info!(%carrier, bind = self.id.index, cause = ?ended, %error, "bind ended");
                match is_stopped {
                    true => break,
                    false => continue,
                }
            }
            let delay_ms = backoff.delay_ms(ended, &self.context.settings.reconnect, rand::random::<f64>());
            tracing::warn!(%carrier, bind = self.id.index, cause = ?ended, %error, delay_ms, "bind is down");
            self.set(Doing::Waiting);
            let id = self.id;
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(delay_ms)) => {}
                _ = self.stopped.changed() => {}
                () = self.standing.at_once.notified() => {}
                () = until(&mut self.down, |down| is_down(id, down)) => {}
            }
        }
        // Unless another pool of this carrier has taken its place already.
        self.shared.registry.standings.remove_if(&(self.id.carrier, self.id.index), |_, of| Arc::ptr_eq(of, &self.standing));
    }

    /// True after having waited for an operator (or the end of the pool).
    async fn stays_down(&mut self) -> bool {
        let id = self.id;
        if !is_down(id, &self.down.borrow_and_update()) {
            return false;
        }
        self.set(Doing::Down);
        tracing::info!(carrier = %self.context.settings.name, bind = id.index, "bind stays down: an operator wants it so");
        tokio::select! {
            _ = self.stopped.changed() => {}
            () = until(&mut self.down, |down| !is_down(id, down)) => {}
        }
        true
    }

    fn set(&self, doing: Doing) {
        self.standing.set(doing, self.shared.clock.now().wall_ms);
    }

    /// One round over the hosts, in order, until one takes the bind; returns when it is over, with what went wrong in words.
    async fn hold(&mut self) -> (Ended, String) {
        let context = Arc::clone(&self.context);
        let mut failures = Vec::new();
        for host in &context.settings.hosts {
            let stream = tokio::select! {
                stream = connect(host, &context) => stream,
                _ = self.stopped.changed() => return (Ended::Unreachable, "it was stopped".to_owned()),
            };
            match stream {
                Ok(stream) => match self.drive(stream).await {
                    (Bound::Yes, cause) => return (Ended::Lost, format!("the connection was lost: {cause}")),
                    (Bound::Refused(code), _) => {
                        let what = crate::smpp::status::name(code).unwrap_or("a status of its own");
                        return (Ended::Refused(code), format!("the carrier refuses the bind: {what} ({code:#x})"));
                    }
                    (Bound::No, cause) => failures.push(format!("{host} takes the connection and no bind: {cause}")),
                },
                Err(error) => failures.push(format!("{host}: {error}")),
            }
            if *self.stopped.borrow() {
                break;
            }
        }
        (Ended::Unreachable, failures.join("; "))
    }

    /// Drives one connection to its end: how far the bind came, and why it ended.
    async fn drive(&mut self, stream: TcpStream) -> (Bound, &'static str) {
        self.id.generation = self.shared.registry.next_generation();
        let id = self.id;
        let progress = Arc::new(BindProgress::counting(Arc::clone(&self.standing.counts)));
        let mailbox = Mailbox::new();
        let LinkShared { registry, engine, clock, recordings } = self.shared.clone();
        let session = Session::new(self.context.session_settings(), clock.now());
        let handler = CarrierBind::new(id, self.kind, Arc::clone(&self.context), Arc::clone(&progress));
        registry.add_bind(id, mailbox.clone(), Arc::clone(&progress));
        let tap = recordings.tap(&format!("{}/{}", self.context.settings.name, id.index), Role::Client, clock.now());
        let line = Line::new(stream, tap);
        let mut driving = Box::pin(drive(line, handler, session, mailbox.clone(), engine.clone(), clock, DriverLimits::default()));
        let cause = tokio::select! {
            cause = &mut driving => cause,
            _ = self.stopped.changed() => {
                mailbox.close();
                driving.await
            }
            () = until(&mut self.down, |down| is_down(id, down)) => {
                mailbox.close();
                driving.await
            }
        };
        if let Some(left) = registry.remove_bind(id) {
            // A closed channel means that the engine is gone, and what it knew with it.
            let _ = engine.send(vec![left]).await;
        }
        (progress.bound(), cause.name())
    }
}

/// Connects to `host` (`name:port`), asking for its addresses anew each time and trying them in order.
async fn connect(host: &str, context: &CarrierContext) -> io::Result<TcpStream> {
    let settings = &context.settings;
    let timeout = Duration::from_millis(settings.timers.connect_timeout_ms);
    let connecting = async {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in lookup_host(host).await? {
            match connect_to(address, settings.local_address.map(|local| SocketAddr::new(local, 0))).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    };
    let stream = tokio::time::timeout(timeout, connecting).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    tune(&stream, (settings.keepalive_ms > 0).then(|| Duration::from_millis(settings.keepalive_ms)))?;
    stream.set_nodelay(settings.nodelay)?;
    Ok(stream)
}

async fn connect_to(address: SocketAddr, local: Option<SocketAddr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(local) = local {
        socket.bind(local)?;
    }
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_their_bound_and_start_anew_after_a_bind_that_stood() {
        let rules = Reconnect::default();
        let mut backoff = Backoff::default();
        let delays: Vec<u64> = (0..8).map(|_| backoff.delay_ms(Ended::Unreachable, &rules, 0.0)).collect();
        assert_eq!(delays, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
        assert_eq!(backoff.delay_ms(Ended::Lost, &rules, 0.0), 1_000);
        assert_eq!(backoff.delay_ms(Ended::Lost, &rules, 0.0), 1_000);
        assert_eq!(backoff.delay_ms(Ended::Unreachable, &rules, 0.0), 1_000);
    }

    #[test]
    fn already_bound_waits_half_a_minute_and_wrong_credentials_a_minute_and_more() {
        let rules = Reconnect::default();
        let mut backoff = Backoff::default();
        assert_eq!(backoff.delay_ms(Ended::Refused(0x05), &rules, 1.0), 30_000, "jitter never undercuts it");
        for credentials in [0x0D, 0x0E, 0x0F, 0x53] {
            let mut backoff = Backoff::default();
            assert_eq!(backoff.delay_ms(Ended::Refused(credentials), &rules, 0.0), 60_000);
            assert_eq!(backoff.delay_ms(Ended::Refused(credentials), &rules, 0.0), 120_000);
            let last = (0..10).map(|_| backoff.delay_ms(Ended::Refused(credentials), &rules, 0.0)).last();
            assert_eq!(last, Some(1_800_000));
        }
        assert_eq!(backoff.delay_ms(Ended::Refused(0x08), &rules, 0.0), 1_000, "a system error is like a lost connection");
    }

    #[test]
    fn jitter_shortens_by_its_share_at_most() {
        let rules = Reconnect::default();
        let mut backoff = Backoff::default();
        assert_eq!(backoff.delay_ms(Ended::Lost, &rules, 1.0), 800);
        assert_eq!(backoff.delay_ms(Ended::Lost, &rules, 0.5), 900);
    }
}
