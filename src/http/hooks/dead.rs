//! Dead letters: deliveries that no endpoint took for as long as the account's deliveries are kept (72 hours by default), or that it said it will never take. Each
//! is a page of the ledger before the engine learns that it is over, waits for somebody to have it tried again, and goes when it is taken. Bounded for each
//! account; the oldest go first.

use crate::engine::event::{self, DeliveryKey, Event};
use crate::engine::port::Delivery;
use crate::http::Keep;
use crate::model::{AccountId, MessageId};
use crate::store::{LedgerUpdate, Page};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// The ledger's pages of this kind are dead letters.
pub const DEAD_PAGE: u8 = 101;
/// Letters of an account; beyond them the oldest go.
const LETTERS_MAX: usize = 2_000;

/// Why a delivery is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It was tried for as long as it is kept.
    Expired,
    /// The endpoint said that it is gone (410), or its address may not be written to, or is none.
    Never,
}

/// One dead letter.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Its number; grows.
    pub number: u64,
    /// Whose it is.
    pub account: AccountId,
    /// What it is.
    pub delivery: Arc<Delivery>,
    /// Since when it waited, wall milliseconds.
    pub since_ms: u64,
    /// When it was given up.
    pub died_ms: u64,
    /// Why.
    pub reason: Reason,
    /// Where it was to go: origin and path, for the rest may hold secrets. Empty: nowhere.
    pub endpoint: String,
    /// The last status or error, in words; empty: none is known.
    pub last: String,
    /// Times that it was tried again since, in this life of the gateway.
    pub replays: u32,
}

/// As it is kept; the delivery as the journal writes it.
#[derive(Serialize, Deserialize)]
struct Kept {
    account: u32,
    since_ms: u64,
    died_ms: u64,
    reason: Reason,
    /// Letters of before have neither of these.
    #[serde(default)]
    endpoint: String,
    #[serde(default)]
    last: String,
    /// In base64.
    delivery: String,
}

fn octets_of(account: AccountId, since_ms: u64, delivery: &Delivery) -> Vec<u8> {
    let key = DeliveryKey { message: message_of(delivery), serial: 0 };
    let mut octets = Vec::new();
    event::open(&mut octets, 0);
    event::write(&Event::Outboxed { account, key, at_ms: since_ms, delivery: Box::new(delivery.clone()) }, &mut octets);
    event::seal(&mut octets);
    octets
}

fn delivery_of(octets: &[u8]) -> Option<Delivery> {
    let mut found = None;
    let each = &mut |_, event| {
        if let Event::Outboxed { delivery, .. } = event {
            found = Some(*delivery);
        }
    };
    event::read_group(octets, each).ok()?;
    found
}

/// The message that a delivery is about.
pub fn message_of(delivery: &Delivery) -> MessageId {
    match delivery {
        Delivery::Receipt(report) => report.message,
        Delivery::Inbound(inbound) => inbound.message,
    }
}

impl Letter {
    fn page(&self) -> Page {
        let delivery = STANDARD.encode(octets_of(self.account, self.since_ms, &self.delivery));
        let (endpoint, last) = (self.endpoint.clone(), self.last.clone());
        let kept =
            Kept { account: self.account.0, since_ms: self.since_ms, died_ms: self.died_ms, reason: self.reason, endpoint, last, delivery };
        let octets = serde_json::to_vec(&kept).expect("plain data can be written");
        Page { kind: DEAD_PAGE, id: self.number, octets }
    }
}

/// Some letters: those that fit all that is said.
#[derive(Debug, Clone, Copy, Default)]
pub struct Choice<'a> {
    /// Those of this account.
    pub account: Option<AccountId>,
    /// Those of these numbers.
    pub numbers: Option<&'a [u64]>,
    /// Those that were to go there, as letters tell it.
    pub endpoint: Option<&'a str>,
    /// Those that were given up then or later, wall milliseconds.
    pub from_ms: Option<u64>,
    /// Those that were given up before.
    pub to_ms: Option<u64>,
}

impl Choice<'_> {
    fn holds(&self, letter: &Letter) -> bool {
        self.account.is_none_or(|account| letter.account == account)
            && self.numbers.is_none_or(|numbers| numbers.contains(&letter.number))
            && self.endpoint.is_none_or(|endpoint| letter.endpoint == endpoint)
            && self.from_ms.is_none_or(|from_ms| letter.died_ms >= from_ms)
            && self.to_ms.is_none_or(|to_ms| letter.died_ms < to_ms)
    }
}

#[derive(Default)]
struct State {
    letters: BTreeMap<u64, Letter>,
    last: u64,
    dropped: u64,
}

/// All dead letters.
pub struct DeadLetters {
    state: Mutex<State>,
    keep: Arc<dyn Keep>,
    /// To the deliverer: try these again.
    replays: mpsc::UnboundedSender<Vec<u64>>,
}

impl DeadLetters {
    /// Those that the ledger's pages hold; what can't be read is passed over. The other one is the deliverer's: numbers that are to be tried again.
    pub fn open(pages: &[(u64, Vec<u8>)], keep: Arc<dyn Keep>) -> (DeadLetters, mpsc::UnboundedReceiver<Vec<u64>>) {
        let letter = |(number, octets): &(u64, Vec<u8>)| {
            let Kept { account, since_ms, died_ms, reason, endpoint, last, delivery } = serde_json::from_slice(octets).ok()?;
            let (account, delivery) = (AccountId(account), Arc::new(delivery_of(&STANDARD.decode(delivery).ok()?)?));
            Some((*number, Letter { number: *number, account, delivery, since_ms, died_ms, reason, endpoint, last, replays: 0 }))
        };
        let letters = pages.iter().filter_map(letter).collect();
        let last = pages.iter().map(|(number, _)| *number).max().unwrap_or(0);
        let (replays, asked) = mpsc::unbounded_channel();
        (DeadLetters { state: Mutex::new(State { letters, last, dropped: 0 }), keep, replays }, asked)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock, so a poisoned one is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Letters that are kept, and those that went for want of room, since the start.
    pub fn figures(&self) -> (u64, u64) {
        let state = self.state();
        (state.letters.len() as u64, state.dropped)
    }

    /// Keeps letters (whose numbers are given here); true once they are durable.
    pub(super) async fn add(&self, mut new: Vec<Letter>) -> bool {
        let gone = {
            let mut state = self.state();
            for letter in &mut new {
                state.last += 1;
                letter.number = state.last;
            }
            state.beyond(&new)
        };
        let drop_pages = gone.iter().map(|&number| (DEAD_PAGE, number..=number)).collect();
        let update = LedgerUpdate { drop_pages, pages: new.iter().map(Letter::page).collect(), ..LedgerUpdate::default() };
        if !self.keep.keep(update).await {
            return false;
        }
        let mut state = self.state();
        // Another addition at the same time may have meant the same ones.
        for number in &gone {
            state.dropped += u64::from(state.letters.remove(number).is_some());
        }
        state.letters.extend(new.into_iter().map(|letter| (letter.number, letter)));
        true
    }

    /// They were taken after all.
    pub(super) async fn remove(&self, numbers: Vec<u64>) {
        let drop_pages = numbers.iter().map(|&number| (DEAD_PAGE, number..=number)).collect();
        // One that could not be removed comes again after a restart.
        let _ = self.keep.keep(LedgerUpdate { drop_pages, ..LedgerUpdate::default() }).await;
        let mut state = self.state();
        numbers.iter().for_each(|number| drop(state.letters.remove(number)));
    }

    /// A letter that is about to be tried again.
    pub(super) fn take(&self, number: u64) -> Option<Letter> {
        let mut state = self.state();
        let letter = state.letters.get_mut(&number)?;
        letter.replays += 1;
        Some(letter.clone())
    }

    /// It was tried again, and this is why it was not taken; known until a restart.
    pub(super) fn note(&self, number: u64, last: String) {
        if let Some(letter) = self.state().letters.get_mut(&number) {
            letter.last = last;
        }
    }

    /// Letters of an account (`None`: of all) with numbers above this one, in order.
    pub fn list(&self, account: Option<AccountId>, after: u64, limit: usize) -> Vec<Letter> {
        let state = self.state();
        let after = state.letters.range(after.saturating_add(1)..).map(|(_, letter)| letter);
        after.filter(|letter| account.is_none_or(|account| letter.account == account)).take(limit).cloned().collect()
    }

    /// Has letters tried again, at once, be their endpoints resting or not. Gives how many.
    pub fn replay(&self, choice: &Choice<'_>) -> usize {
        let found: Vec<u64> = self.state().letters.values().filter(|letter| choice.holds(letter)).map(|letter| letter.number).collect();
        let count = found.len();
        // The deliverer lives as long as the gateway.
        let _ = self.replays.send(found);
        count
    }
}

impl State {
    /// Which must go so that `new` have room.
    fn beyond(&self, new: &[Letter]) -> Vec<u64> {
        let mut counts: BTreeMap<AccountId, usize> = BTreeMap::new();
        new.iter().for_each(|letter| *counts.entry(letter.account).or_default() += 1);
        let mut gone = Vec::new();
        for (account, more) in counts {
            let held: Vec<u64> = self.letters.values().filter(|letter| letter.account == account).map(|letter| letter.number).collect();
            gone.extend(held.iter().take((held.len() + more).saturating_sub(LETTERS_MAX)));
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::inbound;
    use super::*;
    use crate::http::Memory;

    fn letter(account: u32, message: u64) -> Letter {
        let delivery = inbound(message);
        let (endpoint, last) = (format!("https://{account}.example/hook"), "status 503".to_owned());
        Letter {
            number: 0,
            account: AccountId(account),
            delivery,
            since_ms: 5,
            died_ms: 9,
            reason: Reason::Expired,
            endpoint,
            last,
            replays: 0,
        }
    }

    fn wait<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn letters_are_kept_through_a_restart_as_they_were_and_go_when_they_are_taken() {
        let memory = Arc::new(Memory::default());
        let (dead, _asked) = DeadLetters::open(&[], Arc::clone(&memory) as Arc<dyn Keep>);
        assert!(wait(dead.add(vec![letter(1, 10), letter(2, 20), letter(1, 11)])));
        let pages: Vec<_> = memory.0.lock().unwrap().clone().into_iter().collect();
        let (dead, mut asked) = DeadLetters::open(&pages, Arc::clone(&memory) as Arc<dyn Keep>);
        let of_one = dead.list(Some(AccountId(1)), 0, 9);
        assert_eq!((of_one.len(), &*of_one[0].delivery, of_one[1].since_ms), (2, &*letter(1, 10).delivery, 5));
        assert_eq!(dead.list(None, 2, 9).len(), 1);
        assert_eq!((of_one[0].endpoint.as_str(), of_one[0].last.as_str()), ("https://1.example/hook", "status 503"));
        let of_one = Choice { account: Some(AccountId(1)), ..Choice::default() };
        assert_eq!((dead.replay(&of_one), dead.replay(&Choice { numbers: Some(&[2, 3]), ..of_one })), (2, 1));
        assert_eq!((asked.try_recv().unwrap(), asked.try_recv().unwrap()), (vec![1, 3], vec![3]));
        let there = Choice { endpoint: Some("https://2.example/hook"), from_ms: Some(9), ..Choice::default() };
        assert_eq!((dead.replay(&there), dead.replay(&Choice { to_ms: Some(9), ..there })), (1, 0));
        wait(dead.remove(vec![1, 3]));
        assert_eq!((dead.figures(), memory.0.lock().unwrap().len()), ((1, 0), 1));
        assert!(wait(dead.add(vec![letter(1, 12)])));
        assert_eq!(dead.list(Some(AccountId(1)), 0, 9)[0].number, 4, "numbers are not used again");
    }

    #[test]
    fn an_account_that_has_too_many_loses_its_own_oldest() {
        let (dead, _asked) = DeadLetters::open(&[], Arc::new(Memory::default()));
        assert!(wait(dead.add(vec![letter(2, 1)])));
        for _ in 0..3 {
            assert!(wait(dead.add((0..LETTERS_MAX as u64 / 2).map(|n| letter(1, n)).collect())));
        }
        assert_eq!(dead.figures(), (LETTERS_MAX as u64 + 1, LETTERS_MAX as u64 / 2));
        assert_eq!(dead.list(None, 0, 1)[0].account, AccountId(2));
    }
}
