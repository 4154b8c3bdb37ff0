//! Test messages: one text to one number through one named bind, past routes and pauses, to find out whether that bind sends. It is an accepted
//! message like any other (an otp, so that it is never sent twice), it pays its permits, and what the carrier answers is kept for whoever asked.

use super::Engine;
use super::event;
use super::messages::{PartState, Parts, Phase};
use super::port::{BindId, CarrierId, Outcome, Ticket};
use super::scope::{Fault, account_of, carrier_of};
use crate::model::{Address, Body, Class, Encoding, Message, MessageId, State};
use crate::text::segment;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// Test messages whose outcome is remembered.
const TESTS_MAX: usize = 100;
/// How long one waits for room in the window and for permits, milliseconds.
const WAIT_MS: u64 = 30_000;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Through which carrier.
    pub carrier: String,
    /// Through which of its binds, from 0.
    #[serde(default)]
    pub bind: u16,
    /// On whose behalf.
    pub account: String,
    /// The sender.
    #[serde(default)]
    pub from: String,
    /// The number.
    pub to: String,
    /// The text, of GSM-7 characters that are ASCII; at most 160.
    pub text: String,
}

/// How one stands.
#[derive(Debug, Clone)]
struct Test {
    message: MessageId,
    carrier: CarrierId,
    bind: u16,
    until_us: u64,
    waits: bool,
    outcome: Option<String>,
}

/// The last of them.
#[derive(Debug, Default)]
pub struct Tests {
    last: VecDeque<Test>,
    /// How many have no outcome yet.
    open: usize,
}

impl Tests {
    /// None waits for its bind.
    pub(super) fn is_idle(&self) -> bool {
        !self.last.iter().any(|test| test.waits)
    }

    /// What the carrier said to one, or that nothing came yet.
    pub(super) fn outcome(&self, id: MessageId) -> Option<&str> {
        let test = self.last.iter().find(|test| test.message == id)?;
        Some(test.outcome.as_deref().unwrap_or(if test.waits { "waits for its bind" } else { "no answer yet" }))
    }
}

impl Engine {
    /// Takes a test message in; it is on its way when that is durable.
    pub(super) fn trial(&mut self, trial: &Trial) -> Result<MessageId, Fault> {
        let carrier = carrier_of(&trial.carrier, &self.plan)?;
        let account = account_of(&trial.account, &self.plan)?;
        if !self.dispatchers[carrier.0 as usize].has_bind(trial.bind) {
            let what = format!("bind {} of {} isn't up, or is a receiver", trial.bind, trial.carrier);
            return Err(Fault::of("bind_down", "bind", what, "one of those that `carriers` shows as up"));
        }
        let plain = |text: &str| text.bytes().all(|octet| octet == b'\n' || (b' '..b'[').contains(&octet) || octet.is_ascii_lowercase());
        if trial.text.is_empty() || trial.text.len() > 160 || !plain(&trial.text) || trial.text.contains(['$', '@', '`']) {
            let fix = "1 to 160 of letters, digits, blanks and plain signs (no $ and @)";
            return Err(Fault::of("bad_value", "text", "this text can't be sent as a test", fix));
        }
        let is_number = !trial.from.is_empty() && trial.from.bytes().all(|octet| octet.is_ascii_digit());
        let ton = if trial.from.is_empty() { 0 } else { if is_number { 3 } else { 5 } };
        let bad = |field| Fault::of("bad_value", field, format!("{field} is too long"), "at most 20 characters");
        let source = Address::new(ton, 0, trial.from.as_bytes()).ok_or_else(|| bad("from"))?;
        let number = crate::number::normalise(trial.to.as_bytes(), 0, self.plan.home)
            .map_err(|error| Fault::of("bad_value", "to", error.to_string(), "a phone number such as +8613800138000"))?;
        let destination = Address::new(1, 1, &crate::number::unpack(number)).ok_or_else(|| bad("to"))?;
        let now_ms = self.now.wall_ms;
        let body = Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: trial.text.as_bytes().into() };
        let message = Message {
            id: self.ids.next(now_ms),
            accepted_ms: now_ms,
            expires_ms: now_ms + WAIT_MS,
            ..Message::new(account, Class::Otp, [source, destination], number, body)
        };
        let id = message.id;
        self.open_batch();
        event::write_accepted(&message, 0, &mut self.writing.octets);
        self.admit(Arc::new(message));
        let tests = &mut self.overlay.tests.last;
        if tests.len() >= TESTS_MAX {
            tests.pop_front();
        }
        self.overlay.tests.open += 1;
        let until_us = self.now.mono_us + WAIT_MS * 1000;
        self.overlay.tests.last.push_back(Test { message: id, carrier, bind: trial.bind, until_us, waits: false, outcome: None });
        Ok(id)
    }

    /// It is durable: it waits for its bind from now on.
    pub(super) fn trial_accepted(&mut self, id: MessageId) {
        let Some(test) = self.overlay.tests.last.iter_mut().find(|test| test.message == id) else { return };
        test.waits = true;
        let carrier = test.carrier;
        self.set_phase(id, Phase::Waiting(carrier));
    }

    /// Hands waiting ones to their binds as soon as there is room and a permit. When to look again (mono_us), if one waits.
    pub(super) fn send_trials(&mut self) -> Option<u64> {
        if self.overlay.tests.is_idle() {
            return None;
        }
        for at in 0..self.overlay.tests.last.len() {
            let Test { message: id, carrier, bind, until_us, waits, .. } = self.overlay.tests.last[at].clone();
            if !waits {
                continue;
            }
            let Some(entry) = self.messages.get(&id).filter(|entry| entry.phase == Phase::Waiting(carrier)) else {
                self.overlay.tests.last[at].waits = false;
                continue;
            };
            let parts = Parts::unsent(segment::count(&entry.message.body, &self.plan.carrier(carrier).segments).min(255) as u8);
            let open = parts.count(PartState::Unsent) as i64;
            let now = self.now;
            if let Some(bind) = self.dispatchers[carrier.0 as usize].room_of(bind, open, now) {
                self.overlay.tests.last[at].waits = false;
                self.hand_out(id, carrier, bind, parts, open);
            } else if now.mono_us >= until_us {
                self.overlay.tests.open -= 1;
                let test = &mut self.overlay.tests.last[at];
                (test.waits, test.outcome) = (false, Some("no room or permit in time: cancelled".to_owned()));
                self.verdict(id, State::Cancelled, 0);
            }
        }
        Some(self.now.mono_us + 50_000)
    }

    /// What the carrier said to a part, if it is a test message's.
    pub(super) fn trial_outcome(&mut self, bind: BindId, ticket: Ticket, outcome: &Outcome) {
        let tests = &mut self.overlay.tests;
        if tests.open == 0 {
            return;
        }
        let Some(test) = tests.last.iter_mut().find(|test| test.message == ticket.message) else { return };
        let said = match outcome {
            Outcome::Sent { carrier_id } => format!("sent, carrier id {}", String::from_utf8_lossy(carrier_id)),
            Outcome::Later { status } | Outcome::Throttled { status } => format!("refused for now, status {status:#x}"),
            Outcome::Elsewhere { status } | Outcome::Never { status } => format!("refused, status {status:#x}"),
            Outcome::InDoubt => "no answer in time".to_owned(),
            Outcome::NotSent => "the bind went down before it was sent".to_owned(),
        };
        tests.open -= usize::from(test.outcome.is_none());
        test.outcome = Some(format!("{said} (bind {})", bind.index));
    }
}
