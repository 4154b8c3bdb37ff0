//! The timers of a session (v3.4 §7.2): what is due when, and what happens then.

use super::*;

/// A timer that is off.
const NEVER: u64 = u64::MAX;

/// Instants are monotonic microseconds.
#[derive(Debug)]
pub(super) struct Timers {
    /// The latest instant that was told.
    last_us: u64,
    /// Last octet received.
    received_us: u64,
    /// Last whole PDU received.
    pdu_us: u64,
    /// First octets of a PDU that is not whole yet.
    partial_since_us: Option<u64>,
    /// End of the present phase: session_init, bind response, a step of unbinding.
    phase_us: u64,
    /// When enquire_link, sent already, ends the session.
    enquire_us: u64,
    /// No request times out before; a lower bound, made exact whenever it is reached.
    response_us: u64,
    /// Octets of the next PDU that were counted as life already.
    seen: usize,
}

fn after(us: u64, ms: u64) -> u64 {
    us.saturating_add(ms.saturating_mul(1000))
}

impl Timers {
    pub(super) fn new(settings: &Settings, now: Now) -> Self {
        let waits = settings.role == Role::Server || settings.accept_outbind;
        Timers {
            last_us: now.mono_us,
            received_us: now.mono_us,
            pdu_us: now.mono_us,
            partial_since_us: None,
            phase_us: if waits { after(now.mono_us, settings.session_init_ms) } else { NEVER },
            enquire_us: NEVER,
            response_us: NEVER,
            seen: 0,
        }
    }

    pub(super) fn last_us(&self) -> u64 {
        self.last_us
    }

    pub(super) fn see(&mut self, now: Now) {
        self.last_us = self.last_us.max(now.mono_us);
    }

    pub(super) fn phase(&mut self, now: Now, ms: u64) {
        self.see(now);
        self.phase_us = after(now.mono_us, ms);
    }

    pub(super) fn phase_from_last(&mut self, ms: u64) {
        self.phase_us = after(self.last_us, ms);
    }

    pub(super) fn phase_off(&mut self) {
        self.phase_us = NEVER;
    }

    pub(super) fn bound(&mut self, now: Now) {
        self.see(now);
        self.phase_us = NEVER;
        self.received_us = now.mono_us;
        self.pdu_us = now.mono_us;
    }

    #[inline]
    pub(super) fn sent(&mut self, now: Now, response_timeout_ms: u64) {
        if self.response_us == NEVER {
            self.response_us = after(now.mono_us, response_timeout_ms);
        }
    }

    /// `available` octets lie before the session; more than before means that the peer lives.
    #[inline]
    pub(super) fn received(&mut self, available: usize, now: Now) {
        self.see(now);
        if available > self.seen {
            self.seen = available;
            self.received_us = now.mono_us;
            self.enquire_us = NEVER;
        }
    }

    #[inline]
    pub(super) fn whole_pdu(&mut self, length: usize, now: Now) {
        self.seen = self.seen.saturating_sub(length);
        self.partial_since_us = None;
        self.pdu_us = now.mono_us;
    }

    pub(super) fn partial_pdu(&mut self, now: Now) {
        self.partial_since_us.get_or_insert(now.mono_us);
    }
}

impl Session {
    /// When [`Session::tick`] has something to do next, monotonic microseconds. May be early, never late.
    pub fn deadline(&self) -> Option<u64> {
        if self.state == SessionState::Closed {
            return None;
        }
        if self.close.is_some() {
            return Some(self.timers.last_us);
        }
        let timers = &self.timers;
        let partial = timers.partial_since_us.map_or(NEVER, |since| after(since, self.settings.pdu_completion_ms));
        let due = timers.phase_us.min(timers.response_us).min(partial).min(self.enquire_due()).min(self.inactivity_due());
        (due != NEVER).then_some(due)
    }

    /// Runs the timers that are due at `now`. Events come in order; [`Event::Closed`] is the last.
    pub fn tick(&mut self, now: Now, events: &mut Vec<Event<'static>>) {
        if self.state == SessionState::Closed {
            return;
        }
        self.timers.see(now);
        self.expire_requests(now, events);
        if self.close.is_none() {
            self.expire_phase(now);
        }
        if self.close.is_none() {
            self.watch_peer(now);
        }
        events.extend(self.take_close());
    }

    /// The driver had reasons of its own not to read until `now` (the hand-over was full, or too much output waits): the silence is not the
    /// peer's, so its timers begin anew.
    pub fn excuse_silence(&mut self, now: Now) {
        let timers = &mut self.timers;
        timers.see(now);
        timers.received_us = now.mono_us;
        timers.pdu_us = now.mono_us;
        timers.partial_since_us = timers.partial_since_us.map(|_| now.mono_us);
        if timers.enquire_us != NEVER {
            timers.enquire_us = after(now.mono_us, self.settings.enquire_link_timeout_ms);
        }
    }

    fn enquire_due(&self) -> u64 {
        if !self.state.is_bound() || self.settings.enquire_link_ms == 0 {
            NEVER
        } else if self.timers.enquire_us != NEVER {
            self.timers.enquire_us
        } else {
            after(self.timers.received_us, self.settings.enquire_link_ms)
        }
    }

    fn inactivity_due(&self) -> u64 {
        if self.state.is_bound() && self.settings.role == Role::Server && self.settings.inactivity_ms > 0 {
            after(self.timers.pdu_us, self.settings.inactivity_ms)
        } else {
            NEVER
        }
    }

    fn expire_requests(&mut self, now: Now, events: &mut Vec<Event<'static>>) {
        self.late.forget(now.mono_us);
        if self.timers.response_us > now.mono_us {
            return;
        }
        let timeout_us = self.settings.response_timeout_ms.saturating_mul(1000);
        let until_us = now.mono_us.saturating_sub(timeout_us);
        for (sequence, token) in self.in_flight.expire(until_us, self.next_sequence) {
            self.counters.timeouts += 1;
            if self.settings.late_response_ms > 0 {
                self.late.remember(sequence, token, after(now.mono_us, self.settings.late_response_ms));
            }
            events.push(Event::Timeout { token });
        }
        self.timers.response_us = self.in_flight.oldest_us().map_or(NEVER, |sent_us| sent_us.saturating_add(timeout_us));
        self.advance_unbinding();
    }

    fn expire_phase(&mut self, now: Now) {
        if self.timers.phase_us > now.mono_us {
            return;
        }
        self.timers.phase_off();
        match (self.state, self.unbinding) {
            (SessionState::Open | SessionState::Outbound, _) => self.close(CloseCause::SessionInitTimeout),
            (SessionState::Binding, _) => self.close(CloseCause::BindTimeout),
            // Answers still missing are in doubt; they may come until the unbind is answered.
            (SessionState::Unbinding, Unbinding::Draining) => self.send_unbind(),
            (SessionState::Unbinding, Unbinding::PeerWaits { sequence }) => self.answer_unbind(sequence),
            (SessionState::Unbinding, Unbinding::PeerAnswered) => self.close(self.cause),
            (SessionState::Unbinding, _) => self.close(CloseCause::UnbindTimeout),
            _ => {}
        }
    }

    /// Half PDUs, silence, idleness.
    fn watch_peer(&mut self, now: Now) {
        let partial = self.timers.partial_since_us.map_or(NEVER, |since| after(since, self.settings.pdu_completion_ms));
        if partial <= now.mono_us {
            return self.close(CloseCause::PduTimeout);
        }
        if self.inactivity_due() <= now.mono_us {
            return self.leave(CloseCause::Inactivity, now);
        }
        if self.enquire_due() > now.mono_us {
            return;
        }
        if self.timers.enquire_us != NEVER {
            return self.close(CloseCause::EnquireLinkTimeout);
        }
        let sequence = self.next_number();
        encode_empty(command::ENQUIRE_LINK, status::ESME_ROK, sequence, &mut self.out);
        self.timers.enquire_us = after(now.mono_us, self.settings.enquire_link_timeout_ms);
    }
}
