//! The turns of both ends of every connection, as the driver of sockets takes them: octets in, events, mail, timers, octets out.

use super::course::{Due, Work, World};
use super::judge::{Judged, Wrong};
use super::wire::{Connection, End, Mail, Parcel, Role, Side};
use crate::link::driver::Handler;
use crate::smpp::{CloseCause, Event};

impl World {
    pub(super) fn connect(&mut self, gateway: End, peer: End) -> Result<usize, Wrong> {
        self.connections.push(Connection::new(gateway, peer));
        let at = self.connections.len() - 1;
        for side in [Side::Gateway, Side::Peer] {
            self.work(at, side, Work::Opened)?;
        }
        Ok(at)
    }

    pub(super) fn arrival(&mut self, at: usize, side: Side) -> Judged {
        let now_us = self.now_us;
        while let Some(parcel) = self.connections[at].towards[side as usize].take(now_us) {
            let work = match parcel {
                Parcel::Octets(octets) => Work::Octets(octets),
                Parcel::End => Work::Over(CloseCause::PeerClosed),
            };
            self.work(at, side, work)?;
        }
        Ok(())
    }

    /// One turn of one end, as the driver of sockets does it.
    pub(super) fn work(&mut self, at: usize, side: Side, work: Work) -> Judged {
        if self.connections[at].is_mute && side == Side::Peer && !matches!(work, Work::Over(_)) {
            return Ok(());
        }
        let Some(mut end) = self.connections[at].ends[side as usize].take() else { return Ok(()) };
        let now = self.now();
        let mut over = None;
        match work {
            Work::Opened => match &mut end.role {
                Role::Upstream(handler) => handler.opened(&mut end.session, now),
                Role::Bind(handler) => handler.opened(&mut end.session, now),
                Role::Client(client) => self.client_opened(*client, &mut end.session),
                Role::Operator(_) => {}
            },
            Work::Octets(octets) => {
                self.count(1, crate::store::checksum::checksum(at as u64, &octets));
                end.input.extend_from_slice(&octets);
            }
            Work::Over(cause) => over = Some(cause),
            Work::Tick => over = self.tick(at, &mut end)?,
            Work::Mail => self.mail(&mut end),
        }
        let told = self.read(at, &mut end)?;
        self.batch_end(at, &mut end)?;
        let over = over.or(told).or(match end.session.next(&[], now) {
            (_, Some(Event::Closed { cause })) => Some(cause),
            _ => None,
        });
        match over {
            None => {
                self.flush(at, side, &mut end);
                self.set_timer(at, side, &mut end);
                self.connections[at].ends[side as usize] = Some(end);
                Ok(())
            }
            Some(cause) => self.over(at, side, end, cause),
        }
    }

    fn read(&mut self, at: usize, end: &mut End) -> Result<Option<CloseCause>, Wrong> {
        let now = self.now();
        let input = std::mem::take(&mut end.input);
        let mut from = 0;
        let mut over = None;
        loop {
            let (used, event) = end.session.next(&input[from..], now);
            from += used;
            match event {
                Some(Event::Closed { cause }) => {
                    over = Some(cause);
                    break;
                }
                Some(event) => self.event(at, end, event)?,
                None => {}
            }
            if used == 0 {
                break;
            }
        }
        end.input = input[from..].to_vec();
        Ok(over)
    }

    fn event(&mut self, at: usize, end: &mut End, event: Event<'_>) -> Judged {
        let now = self.now();
        match &mut end.role {
            Role::Upstream(handler) => handler.event(event, &mut end.session, now),
            Role::Bind(handler) => handler.event(event, &mut end.session, now),
            Role::Client(client) => return self.client_event(at, *client, &mut end.session, event),
            Role::Operator(operator) => return self.operator_event(at, operator, &mut end.session, event),
        }
        Ok(())
    }

    fn tick(&mut self, at: usize, end: &mut End) -> Result<Option<CloseCause>, Wrong> {
        let now = self.now();
        let mut events = Vec::new();
        if end.session.deadline().is_some_and(|due| due <= now.mono_us) {
            end.session.tick(now, &mut events);
        }
        for event in events {
            if let Event::Closed { cause } = event {
                return Ok(Some(cause));
            }
            self.event(at, end, event)?;
        }
        match &mut end.role {
            Role::Upstream(handler) if handler.deadline().is_some_and(|due| due <= now.mono_us) => handler.tick(&mut end.session, now),
            Role::Bind(handler) if handler.deadline().is_some_and(|due| due <= now.mono_us) => handler.tick(&mut end.session, now),
            _ => {}
        }
        Ok(None)
    }

    fn mail(&mut self, end: &mut End) {
        let now = self.now();
        for mail in std::mem::take(&mut end.mail) {
            match (&mut end.role, mail) {
                (Role::Upstream(handler), Mail::Upstream(command)) => handler.command(command, &mut end.session, now),
                (Role::Bind(handler), Mail::Bind(commands)) => handler.command(commands, &mut end.session, now),
                _ => {}
            }
        }
    }

    fn batch_end(&mut self, at: usize, end: &mut End) -> Judged {
        let now = self.now();
        let mut reports = Vec::new();
        match &mut end.role {
            Role::Upstream(handler) => handler.batch_end(&mut end.session, now, &mut reports),
            Role::Bind(handler) => handler.batch_end(&mut end.session, now, &mut reports),
            Role::Client(_) => {}
            Role::Operator(operator) => self.operator_batch_end(at, operator, &mut end.session)?,
        }
        self.hand_in(reports);
        Ok(())
    }

    fn flush(&mut self, at: usize, side: Side, end: &mut End) {
        let output = end.session.output().split().to_vec();
        if output.is_empty() {
            return;
        }
        if let Role::Bind(handler) = &end.role {
            self.judge.paces.wire(handler.id().carrier.0, submits(&output), self.now_us);
        }
        // A socket gives its octets in pieces of any size.
        let mut from = 0;
        while from < output.len() {
            let left = output.len() - from;
            let piece = if self.dice.chance(0.1) { 1 + self.dice.up_to(left as u64 - 1) as usize } else { left };
            let latency_us = if self.dice.chance(0.125) { 20_000 } else { 500 };
            let (late_us, until_us) = self.connections[at].slow;
            let late_us = if side == Side::Peer && self.now_us < until_us { late_us } else { 0 };
            let arrives_us = self.now_us + 50 + late_us + self.dice.up_to(latency_us);
            let parcel = Parcel::Octets(output[from..from + piece].to_vec());
            self.send(at, side, arrives_us, parcel);
            from += piece;
        }
    }

    fn send(&mut self, at: usize, from: Side, arrives_us: u64, parcel: Parcel) {
        let side = from.other();
        if let Some(us) = self.connections[at].towards[side as usize].send(arrives_us, parcel) {
            self.at(us, Due::Arrival { at, side });
        }
    }

    fn set_timer(&mut self, at: usize, side: Side, end: &mut End) {
        let handler = match &end.role {
            Role::Upstream(handler) => handler.deadline(),
            Role::Bind(handler) => handler.deadline(),
            Role::Client(_) => None,
            Role::Operator(operator) => operator.next_us,
        };
        if let Some(us) = [end.session.deadline(), handler].into_iter().flatten().min() {
            // Timers are as coarse as a millisecond, and a deadline that has passed is looked at a moment later.
            let us = us.max(self.now_us + 1).next_multiple_of(1000);
            if end.timer_us != us {
                end.timer_us = us;
                self.at(us, Due::Timer { at, side, us });
            }
        }
    }

    /// The end of one end: its last words, then the other side learns of it.
    fn over(&mut self, at: usize, side: Side, mut end: Box<End>, cause: CloseCause) -> Judged {
        let now = self.now();
        self.count(2, at as u64);
        self.note(None, || format!("connection {at}: {side:?} closes, {}", cause.name()));
        if !matches!(cause, CloseCause::PeerClosed | CloseCause::Killed) {
            self.flush(at, side, &mut end);
        }
        self.mail(&mut end);
        let mut reports = Vec::new();
        match &mut end.role {
            Role::Upstream(handler) => {
                handler.closed(&mut end.session, cause, now, &mut reports);
                self.gateway.sessions.retain(|_, place| *place != at);
            }
            Role::Bind(handler) => {
                handler.closed(&mut end.session, cause, now, &mut reports);
                self.bind_closed(at);
            }
            Role::Client(client) => self.client_closed(*client),
            Role::Operator(operator) => self.operator_closed(operator, &mut end.session),
        }
        self.hand_in(reports);
        if side == Side::Gateway {
            self.no_longer_mute(at);
        }
        let arrives_us = self.now_us + 50 + self.dice.up_to(500);
        self.send(at, side, arrives_us, Parcel::End);
        Ok(())
    }
}

/// How many submit_sm there are among whole PDUs.
fn submits(mut octets: &[u8]) -> u32 {
    let mut count = 0;
    while let Some((header, _)) = octets.split_first_chunk::<8>() {
        let [length, command] = [0, 4].map(|at| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]));
        count += u32::from(command == crate::smpp::command::SUBMIT_SM);
        octets = octets.get(length.max(8) as usize..).unwrap_or_default();
    }
    count
}
