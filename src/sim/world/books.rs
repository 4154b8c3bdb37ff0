//! The judge's own books: what every account has, from the events that the engine wrote and from nothing else, with the rules of the house kept a second
//! time. The engine's balances must agree after every step, and after a crash with the books of what is durable.

use super::judge::{Judged, Wrong};
use crate::engine::balance::Balance;
use crate::engine::event::Event;
use crate::model::{MessageId, State};
use std::collections::{BTreeMap, BTreeSet};

/// Thousandths of a credit for a segment.
pub const PRICE: u32 = 10;

/// What every account has, at some moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Page {
    balances: BTreeMap<u32, Balance>,
    /// What is reserved, by message.
    open: BTreeMap<MessageId, (u32, u32)>,
}

impl Page {
    fn of(&mut self, account: u32) -> &mut Balance {
        self.balances.entry(account).or_default()
    }

    fn reserve(&mut self, account: u32, message: MessageId, charge: u32) {
        self.open.insert(message, (account, charge));
        let balance = self.of(account);
        balance.available -= i64::from(charge);
        balance.reserved += u64::from(charge);
    }

    fn close(&mut self, message: MessageId, spent: bool) {
        let Some((account, charge)) = self.open.remove(&message) else { return };
        let balance = self.of(account);
        balance.reserved -= u64::from(charge);
        match spent {
            true => balance.spent += u64::from(charge),
            false => balance.available += i64::from(charge),
        }
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Accepted(message) if message.charge > 0 => self.reserve(message.account.0, message.id, message.charge),
            Event::Reserved { message, charge } => {
                if let Some(&(account, _)) = self.open.get(message) {
                    self.close(*message, false);
                    self.reserve(account, *message, *charge);
                }
            }
            Event::Sent { message, .. } => self.close(*message, true),
            Event::Verdict { message, state, .. } => self.close(*message, *state == State::InDoubt),
            Event::ToppedUp { account, change, .. } => {
                let balance = self.of(account.0);
                balance.topped_up += change;
                balance.available += change;
            }
            _ => {}
        }
    }
}

/// The books.
#[derive(Debug, Default)]
pub struct Books {
    /// How far below 0 each account may go; empty where nothing is counted.
    pub limits: Vec<i64>,
    live: Page,
    durable: Page,
    /// Reasons of the top-ups that are durable: each has its own.
    top_ups: BTreeSet<String>,
}

impl Books {
    /// An event that the engine wrote.
    pub fn written(&mut self, event: &Event) -> Judged {
        self.live.apply(event);
        if let Event::Accepted(message) = event {
            let limit = self.limits.get(message.account.0 as usize).copied();
            let priced = message.charge > 0 && message.charge.is_multiple_of(PRICE);
            let available = self.live.of(message.account.0).available;
            let what = match limit {
                None if message.charge > 0 => format!("{} pays though nothing is counted", message.id),
                Some(_) if !priced => format!("{} pays {}, and a segment costs {PRICE}", message.id, message.charge),
                Some(limit) if available < -limit => format!("{} brings its account to {available}, below -{limit}", message.id),
                _ => return Ok(()),
            };
            return Err(Wrong { what, message: None });
        }
        Ok(())
    }

    /// An event that is durable.
    pub fn happened(&mut self, event: &Event) {
        self.durable.apply(event);
        if let Event::ToppedUp { reason, .. } = event {
            self.top_ups.insert(reason.to_string());
        }
    }

    /// What was not durable never was.
    pub fn crashed(&mut self) {
        self.live = self.durable.clone();
    }

    /// A top-up was answered: it must be durable.
    pub fn told(&self, reason: &str) -> Judged {
        match self.top_ups.contains(reason) {
            true => Ok(()),
            false => Err(Wrong { what: format!("the top-up for {reason} was answered before it is durable"), message: None }),
        }
    }

    /// The engine's balances, after a step or after recovery.
    pub fn agree(&mut self, balances: &[Balance]) -> Judged {
        for (account, balance) in balances.iter().enumerate() {
            let ours = *self.live.of(account as u32);
            if *balance != ours || balance.imbalance() != 0 {
                return Err(Wrong { what: format!("account {account} has {balance:?}, and by the books {ours:?}"), message: None });
            }
        }
        Ok(())
    }
}
