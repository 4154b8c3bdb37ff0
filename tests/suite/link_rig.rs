//! A handler of the links and a plain session back to back: octets go from one to the other without a socket, on a hand-turned clock.

use hongyan::engine::port::Input;
use hongyan::link::driver::Handler;
use hongyan::model::Now;
use hongyan::smpp::decode::DecodeLimits;
use hongyan::smpp::{CloseCause, Event, Header, Pdu, Session, Settings, decode};

/// 2026-03-01T00:00:00Z.
pub const START_MS: u64 = 1_772_323_200_000;

/// One whole PDU as it went over the wire.
#[derive(Debug, Clone)]
pub struct Frame(pub Vec<u8>);

impl Frame {
    pub fn read(&self) -> (Header, Pdu<'_>) {
        decode(&self.0, &DecodeLimits::default()).expect("what we send decodes")
    }
}

/// What the peer's session told: enough to judge by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Bound,
    Refused(u32),
    BindRequest,
    Response { token: u64, status: u32, late: bool },
    Request { sequence: u32 },
    Timeout(u64),
    PeerUnbind,
    Closed(CloseCause),
}

/// A handler with its session, and the peer's session.
pub struct Rig<H: Handler<Report = Input>> {
    pub handler: H,
    pub session: Session,
    pub peer: Session,
    pub now: Now,
    /// What the handler reported.
    pub inputs: Vec<Input>,
    /// What the handler's side sent, since the last look.
    pub frames: Vec<Frame>,
    /// What the peer's session told, since the last look.
    pub seen: Vec<Seen>,
    /// Server peers accept binds by themselves.
    pub accepts_binds: bool,
    pub closed: Option<CloseCause>,
}

impl<H: Handler<Report = Input>> Rig<H> {
    pub fn new(handler: H, ours: Settings, theirs: Settings) -> Rig<H> {
        let now = Now { mono_us: 1_000_000, wall_ms: START_MS };
        let (session, peer) = (Session::new(ours, now), Session::new(theirs, now));
        let mut rig = Rig {
            handler,
            session,
            peer,
            now,
            inputs: Vec::new(),
            frames: Vec::new(),
            seen: Vec::new(),
            accepts_binds: true,
            closed: None,
        };
        rig.handler.opened(&mut rig.session, now);
        rig.pump();
        rig
    }

    /// Carries octets both ways until nothing moves.
    pub fn pump(&mut self) {
        loop {
            let theirs = self.peer.output().split();
            self.hear(&theirs);
            self.handler.batch_end(&mut self.session, self.now, &mut self.inputs);
            let ours = self.session.output().split();
            self.peer_hears(&ours);
            if ours.is_empty() && self.peer.output().is_empty() {
                return;
            }
        }
    }

    fn hear(&mut self, octets: &[u8]) {
        let mut at = 0;
        loop {
            let (used, event) = self.session.next(&octets[at..], self.now);
            at += used;
            match event {
                Some(Event::Closed { cause }) => return self.close(cause),
                Some(event) => self.handler.event(event, &mut self.session, self.now),
                None if used == 0 || at == octets.len() => return,
                None => {}
            }
        }
    }

    fn peer_hears(&mut self, octets: &[u8]) {
        let mut at = 0;
        loop {
            let (used, event) = self.peer.next(&octets[at..], self.now);
            if used > 0 && at < octets.len() {
                self.frames.push(Frame(octets[at..at + used].to_vec()));
            }
            at += used;
            let Some(event) = event else {
                if used == 0 || at == octets.len() {
                    return;
                }
                continue;
            };
            self.seen.push(match event {
                Event::BindRequest { sequence, kind, bind } => {
                    if self.accepts_binds {
                        self.peer.accept_bind(sequence, kind, bind.interface_version, b"peer", self.now);
                    }
                    Seen::BindRequest
                }
                Event::Bound { .. } => Seen::Bound,
                Event::BindRefused { status } => Seen::Refused(status),
                Event::Request { sequence, .. } => Seen::Request { sequence },
                Event::Response { token, status, late, .. } => Seen::Response { token, status, late },
                Event::Timeout { token } => Seen::Timeout(token),
                Event::PeerUnbind => Seen::PeerUnbind,
                Event::Closed { cause } => Seen::Closed(cause),
                Event::Outbind(_) => panic!("nobody outbinds here"),
            });
        }
    }

    /// The end of the connection, as the driver tells it.
    pub fn close(&mut self, cause: CloseCause) {
        if self.closed.is_none() {
            self.closed = Some(cause);
            self.handler.closed(&mut self.session, cause, self.now, &mut self.inputs);
        }
    }

    /// Says something to the handler from outside.
    pub fn command(&mut self, command: H::Command) {
        self.handler.command(command, &mut self.session, self.now);
        self.pump();
    }

    /// Lets time pass and timers fire.
    pub fn pass_ms(&mut self, ms: u64) {
        self.now = self.now.plus_us(ms * 1000);
        let mut events = Vec::new();
        self.session.tick(self.now, &mut events);
        for event in events {
            match event {
                Event::Closed { cause } => return self.close(cause),
                event => self.handler.event(event, &mut self.session, self.now),
            }
        }
        if self.handler.deadline().is_some_and(|at| at <= self.now.mono_us) {
            self.handler.tick(&mut self.session, self.now);
        }
        self.pump();
    }

    pub fn take_inputs(&mut self) -> Vec<Input> {
        std::mem::take(&mut self.inputs)
    }

    pub fn take_frames(&mut self) -> Vec<Frame> {
        std::mem::take(&mut self.frames)
    }

    pub fn take_seen(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }
}
