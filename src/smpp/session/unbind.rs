//! Leaving in good order, from either side (v3.4 §4.2): nothing new is sent, answers are waited for, then the connection may close.

use super::*;

/// How far unbinding has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unbinding {
    No,
    /// We want to leave and wait for our answers before we say so: many peers close right after unbind_resp.
    Draining,
    /// Our unbind waits for its answer.
    Sent {
        sequence: u32,
    },
    /// Our unbind is answered; the peer's last requests wait for their answers.
    Agreed,
    /// The peer wants to leave; its requests wait for their answers first.
    PeerWaits {
        sequence: u32,
    },
    /// The peer has its answer; ours may still come.
    PeerAnswered,
}

impl Session {
    /// Leaves in good order: nothing new is sent, answers are waited for, then unbind, then [`Event::Closed`]. An unbound session closes at once.
    pub fn unbind(&mut self, now: Now) {
        self.leave(CloseCause::Unbound, now);
    }

    pub(super) fn leave(&mut self, cause: CloseCause, now: Now) {
        self.timers.see(now);
        if self.state.is_bound() {
            self.state = SessionState::Unbinding;
            self.cause = cause;
            self.unbinding = Unbinding::Draining;
            self.timers.phase(now, self.settings.unbind_timeout_ms);
            self.advance_unbinding();
        } else if self.state != SessionState::Unbinding {
            self.close(cause);
        }
    }

    /// Takes the steps of unbinding that nothing stands in the way of.
    pub(super) fn advance_unbinding(&mut self) {
        match self.unbinding {
            Unbinding::Draining if self.in_flight.len() == 0 => self.send_unbind(),
            Unbinding::Agreed if self.inbound == 0 => self.close(self.cause),
            Unbinding::PeerWaits { sequence } if self.inbound == 0 => self.answer_unbind(sequence),
            Unbinding::PeerAnswered if self.in_flight.len() == 0 => self.close(self.cause),
            _ => {}
        }
    }

    pub(super) fn send_unbind(&mut self) {
        let sequence = self.next_number();
        encode_empty(command::UNBIND, status::ESME_ROK, sequence, &mut self.out);
        self.unbinding = Unbinding::Sent { sequence };
        self.timers.phase_from_last(self.settings.unbind_timeout_ms);
    }

    pub(super) fn answer_unbind(&mut self, sequence: u32) {
        encode_empty(command::UNBIND_RESP, status::ESME_ROK, sequence, &mut self.out);
        self.unbinding = Unbinding::PeerAnswered;
        self.timers.phase_from_last(self.settings.unbind_timeout_ms);
        self.advance_unbinding();
    }
}
