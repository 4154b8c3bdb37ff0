//! A script of octets, timers and calls against one session: no panic, windows are bounds, a token is told once, the end is the end,
//! all that is written is whole PDUs, and how the stream was cut makes no difference.
#![no_main]

use hongyan::model::Now;
use hongyan::smpp::{
    Addr, Bind, BindKind, Event, Pdu, Session, SessionState, Settings, Sm, command, frame,
};
use libfuzzer_sys::fuzz_target;
use std::collections::HashMap;

const START: Now = Now { mono_us: 1_000_000, wall_ms: 1_772_323_200_000 };

/// How often each token was told, in time or as timed out.
#[derive(Default, PartialEq, Debug)]
struct Told {
    ends: HashMap<u64, u32>,
    closed: u32,
    log: Vec<String>,
}

struct Run {
    session: Session,
    settings: Settings,
    now: Now,
    input: Vec<u8>,
    output: Vec<u8>,
    token: u64,
    open: Vec<(u32, u32)>,
    told: Told,
}

impl Run {
    fn new(settings: Settings) -> Run {
        let session = Session::new(settings, START);
        let (input, output) = (Vec::new(), Vec::new());
        Run { session, settings, now: START, input, output, token: 0, open: Vec::new(), told: Told::default() }
    }

    fn take(&mut self, event: Event<'_>) {
        assert_eq!(self.told.closed, 0, "nothing is told after the end");
        self.told.log.push(format!("{event:?}"));
        match event {
            Event::BindRequest { sequence, kind, bind } if bind.password.is_empty() => self.session.refuse_bind(sequence, kind, 0x0E),
            Event::BindRequest { sequence, kind, bind } => {
                self.session.accept_bind(sequence, kind, bind.interface_version, b"hongyan", self.now);
            }
            Event::Request { sequence, pdu } if command::response_of(pdu.command_id()).is_some() => {
                self.open.push((pdu.command_id(), sequence));
            }
            Event::Response { token, late: false, status: _, pdu: _ } | Event::Timeout { token } => {
                *self.told.ends.entry(token).or_default() += 1;
            }
            Event::Closed { .. } => self.told.closed += 1,
            _ => {}
        }
    }

    fn feed(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
        let input = std::mem::take(&mut self.input);
        let mut at = 0;
        loop {
            let (used, event) = self.session.next(&input[at..], self.now);
            at += used;
            let idle = used == 0 && event.is_none();
            if let Some(event) = event {
                self.take(event);
            }
            self.check();
            if idle || self.session.state() == SessionState::Closed {
                break;
            }
        }
        self.input = input[at..].to_vec();
    }

    fn tick(&mut self, ms: u64) {
        self.now = self.now.plus_us(ms * 1000);
        let mut events = Vec::new();
        self.session.tick(self.now, &mut events);
        for event in events {
            self.take(event);
        }
        self.check();
        assert!(self.session.deadline().is_none_or(|due| due > self.now.mono_us), "a due timer has run");
    }

    fn request(&mut self, deliver: bool) {
        let sm = Sm { destination: Addr { ton: 1, npi: 1, addr: b"1" }, short_message: b"x", ..Sm::default() };
        let pdu = if deliver { Pdu::DeliverSm(sm) } else { Pdu::SubmitSm(sm) };
        if self.session.request(self.token, &pdu, self.now).is_ok() {
            self.token += 1;
        }
    }

    fn respond(&mut self, status: u32) {
        if let Some((command_id, sequence)) = self.open.pop() {
            self.session.respond_message_id(command_id, sequence, status, b"42");
        }
    }

    fn check(&mut self) {
        assert!(self.session.in_flight() <= self.settings.window);
        assert!(self.session.inbound() <= self.settings.inbound_window + self.settings.inbound_slack);
        self.output.extend_from_slice(&self.session.output().split());
        while let Some(pdu) = frame::next(&self.output, 1 << 20).expect("we write whole PDUs") {
            let length = pdu.len();
            self.output.drain(..length);
        }
        assert!(self.output.is_empty());
    }

    fn end(mut self) {
        self.session.close(hongyan::smpp::CloseCause::Killed);
        self.tick(0);
        assert_eq!(self.told.closed, 1);
        for token in self.session.drain_in_flight() {
            *self.told.ends.entry(token).or_default() += 1;
        }
        assert_eq!(self.told.ends.len() as u64, self.token, "no token is lost");
        assert!(self.told.ends.values().all(|&times| times == 1), "no token is told twice");
    }
}

fn settings(first: u8) -> Settings {
    let base = if first & 1 == 0 { Settings::server() } else { Settings { accept_outbind: first & 2 != 0, ..Settings::client() } };
    Settings { window: 3, inbound_window: 2, inbound_slack: 1, max_pdu: 4096, ..base }
}

/// The script: one octet says what, the next how much.
fn script(mut data: &[u8], run: &mut Run) {
    while let Some((&[what, size], rest)) = data.split_first_chunk::<2>() {
        data = rest;
        match what % 8 {
            0..=2 => {
                let (chunk, rest) = data.split_at(usize::from(size).min(data.len()));
                data = rest;
                run.feed(chunk);
            }
            3 => run.tick(u64::from(size) * 100),
            4 => run.tick(u64::from(size) * 1_000),
            5 => run.request(size & 1 == 1),
            6 => run.respond(u32::from(size)),
            _ if size == 0 => run.session.unbind(run.now),
            _ => {
                let kind = [BindKind::Receiver, BindKind::Transmitter, BindKind::Transceiver][usize::from(size) % 3];
                run.session.bind(kind, &Bind { interface_version: 0x34, ..Bind::default() }, run.now);
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, data)) = data.split_first() else { return };
    if first & 4 == 0 {
        let mut run = Run::new(settings(first));
        script(data, &mut run);
        return run.end();
    }
    let (mut whole, mut cut) = (Run::new(settings(first)), Run::new(settings(first)));
    whole.feed(data);
    for octet in data {
        cut.feed(&[*octet]);
    }
    assert_eq!(whole.told, cut.told);
    assert_eq!(whole.open, cut.open);
    assert_eq!(whole.session.state(), cut.session.state());
});
