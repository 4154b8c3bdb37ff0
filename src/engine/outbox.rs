//! Stops 9 to 11 of a receipt: what waits for an account's receivers. Everything here is on record already; an absent upstream loses nothing
//! within the outbox's bounds of count and age. Receivers pull: no session ever has more unanswered deliveries than its window.

use super::carry::{Home, Item};
use super::event::{DeliveryKey, Event};
use super::plan::AccountPlan;
use super::port::{Delivery, DeliveryAnswer, DeliveryToken, Report, SessionId, UpstreamReply};
use super::timers::Timer;
use super::{Effect, Engine, Session};
use crate::model::state::ReceiptState;
use crate::model::{AccountId, Body, Encoding, Message};
use arrayvec::ArrayVec;
use hashbrown::HashMap;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Delay before a delivery that upstream could not take is tried again, milliseconds.
const RETRY_MS: u64 = 5_000;
/// How much longer a delivery to an address is kept: who delivers it tries it hourly, and gives it up itself when its age is reached.
const HOOK_LONGER_MS: u64 = 4 * 3_600_000;

/// By which way deliveries of an account leave. Neither waits for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By the account's bound receivers.
    Sessions = 0,
    /// To addresses: callbacks of messages, and the account's own hook.
    Hook = 1,
}

/// One delivery.
#[derive(Debug)]
pub struct Waiting {
    /// Whose it is.
    pub account: AccountId,
    /// How it leaves.
    pub way: Way,
    /// What it is.
    pub delivery: Arc<Delivery>,
    /// Its name on record.
    pub key: DeliveryKey,
    /// Where its record lives.
    pub home: Home,
    /// Since when it waits, wall milliseconds.
    pub since_ms: u64,
}

/// One account's, for one way.
#[derive(Debug, Default)]
struct Outbox {
    pending: VecDeque<DeliveryToken>,
    /// Refused for now, with the time (mono_us) at which they go back to `pending`.
    later: BTreeSet<(u64, DeliveryToken)>,
    receivers: Vec<SessionId>,
    count: usize,
    dropped: u64,
}

/// All outboxes.
#[derive(Debug)]
pub struct Outboxes {
    items: HashMap<DeliveryToken, Waiting>,
    by_account: Vec<[Outbox; 2]>,
    last: u64,
}

impl Outboxes {
    /// Empty ones for `accounts` accounts.
    pub fn new(accounts: usize) -> Outboxes {
        Outboxes { items: HashMap::new(), by_account: (0..accounts).map(|_| Default::default()).collect(), last: 0 }
    }

    /// There are so many accounts now.
    pub(super) fn grow(&mut self, accounts: usize) {
        self.by_account.resize_with(accounts, Default::default);
    }

    /// Takes a delivery in; it waits until it is made ready.
    pub fn insert(&mut self, waiting: Waiting) -> DeliveryToken {
        self.last += 1;
        self.of(waiting.account, waiting.way).count += 1;
        self.items.insert(DeliveryToken(self.last), waiting);
        DeliveryToken(self.last)
    }

    fn of(&mut self, account: AccountId, way: Way) -> &mut Outbox {
        &mut self.by_account[account.0 as usize][way as usize]
    }

    /// Looks at one.
    pub fn get(&self, token: DeliveryToken) -> Option<&Waiting> {
        self.items.get(&token)
    }

    /// For carrying.
    pub fn get_mut(&mut self, token: DeliveryToken) -> Option<&mut Waiting> {
        self.items.get_mut(&token)
    }

    /// All of them, for recovery.
    pub fn tokens(&self) -> Vec<DeliveryToken> {
        self.items.keys().copied().collect()
    }

    /// Deliveries that wait for the account, or are with it unanswered.
    pub fn depth(&self, account: AccountId) -> usize {
        self.by_account[account.0 as usize].iter().map(|outbox| outbox.count).sum()
    }

    /// The newest.
    pub(super) fn last_token(&self) -> DeliveryToken {
        DeliveryToken(self.last)
    }

    pub(super) fn remove(&mut self, token: DeliveryToken) -> Option<Waiting> {
        let waiting = self.items.remove(&token)?;
        self.of(waiting.account, waiting.way).count -= 1;
        Some(waiting)
    }
}

/// How long a delivery waits, milliseconds.
fn kept_ms(account: &AccountPlan, way: Way) -> u64 {
    account.outbox_age_ms + if way == Way::Hook { HOOK_LONGER_MS } else { 0 }
}

/// The first 20 characters' worth of a text, as octets in its own encoding.
pub fn text_start(body: &Body) -> ArrayVec<u8, 40> {
    let width = if body.encoding == Encoding::Ucs2 { 2 } else { 1 };
    let text = if matches!(body.encoding, Encoding::Binary | Encoding::Opaque) { &[] } else { body.text() };
    let mut start = ArrayVec::new();
    // At most 40 octets: it fits.
    let _ = start.try_extend_from_slice(&text[..text.len().min(20 * width)]);
    start
}

/// A report on `message` with everything but the carrier's facts.
pub fn report(message: &Message, state: ReceiptState, done_ms: u64) -> Report {
    Report {
        message: message.id,
        source: message.source.clone(),
        destination: message.destination.clone(),
        state,
        intermediate: false,
        taken: false,
        carrier: None,
        error: ArrayVec::from_iter(*b"000"),
        network_error: None,
        submit_ms: message.accepted_ms,
        done_ms,
        parts: 1,
        parts_delivered: 0,
        text: text_start(&message.body),
        text_encoding: message.body.encoding,
        notes: message.notes.clone(),
    }
}

impl Engine {
    pub(super) fn session_up(&mut self, session: SessionId, account: AccountId, way: Way, window: u32) {
        let state = Session { account, way, window: window as usize, with: hashbrown::HashSet::new(), replies: Vec::new() };
        self.sessions.insert(session, state);
        if window > 0 {
            self.outbox.of(account, way).receivers.push(session);
            self.dirty_accounts.push(account);
        }
    }

    pub(super) fn session_down(&mut self, session: SessionId) {
        let Some(state) = self.sessions.remove(&session) else { return };
        let outbox = self.outbox.of(state.account, state.way);
        outbox.receivers.retain(|&s| s != session);
        let mut back: Vec<_> = state.with.into_iter().collect();
        back.sort_unstable_by(|a, b| b.cmp(a));
        back.into_iter().for_each(|token| outbox.pending.push_front(token));
        self.dirty_accounts.push(state.account);
    }

    /// Puts a delivery on the account's outbox; it leaves once the open batch is durable. Live and in replay.
    pub(super) fn deliver(&mut self, account: AccountId, key: DeliveryKey, home: Home, since_ms: u64, delivery: Delivery) {
        let way = match &delivery {
            Delivery::Receipt(report) if report.notes.as_ref().is_some_and(|notes| notes.callback.is_some()) => Way::Hook,
            Delivery::Inbound(_) if self.plan.account(account).inbound_by_hook => Way::Hook,
            _ => Way::Sessions,
        };
        let token = self.outbox.insert(Waiting { account, way, delivery: Arc::new(delivery), key, home, since_ms });
        self.homes.adopt(home, &mut self.writing.items, self.writing.batch, Item::Delivery(token));
        if self.replaying {
            return;
        }
        self.after_commit(Effect::Deliver { account, token });
    }

    /// The delivery's record is durable.
    pub(super) fn outbox_ready(&mut self, account: AccountId, token: DeliveryToken) {
        let bound = self.plan.account(account).max_outbox;
        let Some(way) = self.outbox.get(token).map(|waiting| waiting.way) else { return };
        let outbox = self.outbox.of(account, way);
        outbox.pending.push_back(token);
        if outbox.count > bound
            && let Some(oldest) = outbox.pending.pop_front()
        {
            self.drop_delivery(oldest);
        }
        self.dirty_accounts.push(account);
    }

    pub(super) fn outbox_due(&mut self, account: AccountId) {
        let now_us = self.now.mono_us;
        for outbox in &mut self.outbox.by_account[account.0 as usize] {
            while let Some(&(due_us, token)) = outbox.later.first()
                && due_us <= now_us
            {
                outbox.later.pop_first();
                outbox.pending.push_back(token);
            }
            if let Some(&(due_us, _)) = outbox.later.first() {
                self.timers.set(due_us, Timer::Outbox(account));
            }
        }
        self.dirty_accounts.push(account);
    }

    pub(super) fn answered(&mut self, session: SessionId, token: DeliveryToken, answer: DeliveryAnswer) {
        let Some(state) = self.sessions.get_mut(&session) else { return };
        if !state.with.remove(&token) {
            return;
        }
        let (account, way) = (state.account, state.way);
        match answer {
            DeliveryAnswer::Taken => {
                self.tally.deliveries_taken += 1;
                if let Some(waiting) = self.outbox.get(token) {
                    self.delivery_times.record_us(self.now.wall_ms.saturating_sub(waiting.since_ms) * 1000);
                }
                self.handed_over(token, true);
            }
            DeliveryAnswer::Never => self.drop_delivery(token),
            DeliveryAnswer::Later => self.deliver_later(account, way, token, RETRY_MS),
            DeliveryAnswer::After(ms) => self.deliver_later(account, way, token, ms),
        }
        self.dirty_accounts.push(account);
    }

    fn deliver_later(&mut self, account: AccountId, way: Way, token: DeliveryToken, ms: u64) {
        let due_us = self.now.mono_us + ms * 1000;
        let later = &mut self.outbox.of(account, way).later;
        // A timer is set for the first of them only; it sets the next one.
        let is_first = later.first().is_none_or(|&(first_us, _)| due_us < first_us);
        later.insert((due_us, token));
        if is_first {
            self.timers.set(due_us, Timer::Outbox(account));
        }
    }

    pub(super) fn drop_delivery(&mut self, token: DeliveryToken) {
        self.tally.deliveries_dropped += 1;
        if let Some((account, way)) = self.outbox.get(token).map(|waiting| (waiting.account, waiting.way)) {
            self.outbox.of(account, way).dropped += 1;
        }
        self.handed_over(token, false);
    }

    fn handed_over(&mut self, token: DeliveryToken, taken: bool) {
        if let Some(key) = self.outbox_gone(token) {
            self.record(&Event::HandedOver { key, taken });
        }
    }

    /// A delivery is no more: if a chunk holds it, it must not come back from there. Live and in replay.
    pub(super) fn outbox_gone(&mut self, token: DeliveryToken) -> Option<DeliveryKey> {
        let waiting = self.outbox.remove(token)?;
        if let Home::Chunk(chunk) = waiting.home {
            self.homes.bury(chunk, super::carry::Name::delivery(waiting.key));
            self.homes.died(chunk);
        }
        Some(waiting.key)
    }

    /// Hands deliveries to every receiver with room, in turn.
    pub(super) fn pump_outboxes(&mut self) {
        for account in std::mem::take(&mut self.dirty_accounts) {
            [Way::Sessions, Way::Hook].into_iter().for_each(|way| self.pump(account, way));
        }
    }

    fn pump(&mut self, account: AccountId, way: Way) {
        let oldest_ms = self.now.wall_ms.saturating_sub(kept_ms(self.plan.account(account), way));
        let outbox = &mut self.outbox.by_account[account.0 as usize][way as usize];
        let mut too_old = Vec::new();
        for &receiver in &outbox.receivers {
            let Some(session) = self.sessions.get_mut(&receiver) else { continue };
            let was_empty = session.replies.is_empty();
            while session.with.len() < session.window {
                let Some(token) = outbox.pending.pop_front() else { break };
                let Some(waiting) = self.outbox.items.get(&token) else { continue };
                if waiting.since_ms < oldest_ms {
                    too_old.push(token);
                    continue;
                }
                session.with.insert(token);
                let (item, since_ms) = (Arc::clone(&waiting.delivery), waiting.since_ms);
                session.replies.push(UpstreamReply::Deliver { token, item, since_ms });
            }
            if was_empty && !session.replies.is_empty() {
                self.dirty_sessions.push(receiver);
            }
        }
        // The next turn starts with another receiver, so that all of them get their share.
        if outbox.receivers.len() > 1 {
            outbox.receivers.rotate_left(1);
        }
        too_old.into_iter().for_each(|token| self.drop_delivery(token));
    }

    /// For each account: deliveries that wait, deliveries dropped.
    pub fn outbox_figures(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let sum = |ways: &[Outbox; 2]| ways.iter().fold((0, 0), |sum, outbox| (sum.0 + outbox.count as u64, sum.1 + outbox.dropped));
        self.outbox.by_account.iter().map(sum)
    }

    /// Drops what has waited past its age even while no receiver is bound.
    pub(super) fn sweep_outboxes(&mut self) {
        for at in 0..self.outbox.by_account.len() {
            for way in [Way::Sessions, Way::Hook] {
                let oldest_ms = self.now.wall_ms.saturating_sub(kept_ms(&self.plan.accounts[at], way));
                while let Some(&token) = self.outbox.by_account[at][way as usize].pending.front() {
                    match self.outbox.items.get(&token) {
                        Some(waiting) if waiting.since_ms >= oldest_ms => break,
                        Some(_) => self.drop_delivery(token),
                        None => {}
                    }
                    self.outbox.by_account[at][way as usize].pending.pop_front();
                }
            }
        }
    }

    /// After recovery: everything that waits goes into its pending queue, oldest first.
    pub(super) fn outbox_recovered(&mut self) {
        let mut all = self.outbox.tokens();
        all.sort_unstable();
        for token in all {
            let Some((account, way)) = self.outbox.get(token).map(|waiting| (waiting.account, waiting.way)) else { continue };
            self.outbox.of(account, way).pending.push_back(token);
        }
    }
}
