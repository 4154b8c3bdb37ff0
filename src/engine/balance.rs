//! What accounts have and owe, in thousandths of a credit. A message's *charge* is segments × price of its number, fixed at intake by the first carrier of
//! its route, and stays what was quoted, whichever carrier sends it in however many segments. It is
//!
//! - *reserved* when the message is accepted (never more than is available, down to the account's limit),
//! - *spent* when a carrier takes the first part of it, or when the message ends in doubt: handed to a carrier without an answer, so it may be billed and
//!   may have arrived; whether somebody is given a credit for that is for a human, by a top-up,
//! - *given back* at any other end: refused, expired, cancelled, rejected, never sent. A message that was in doubt once and then ends so is given back: its
//!   end is what counts.
//!
//! A replace (replace_sm) reserves anew for the new text. Changing prices changes nothing that was accepted before.
//!
//! Always: topped up = available + reserved + spent; and what is reserved is the sum over the messages that are alive and not taken. Every step is told by
//! an event that is written anyway, so replay does the same sums; the ledger keeps the sums of the batch in which a walk ended.

use super::Engine;
use super::control::{Answer, Answered};
use super::event::Event;
use super::overlay::Record;
use super::port::Replacement;
use super::scope::{Fault, account_of};
use crate::model::{AccountId, Body, Message, MessageId, Refusal};
use crate::text::segment;
use serde::{Deserialize, Serialize};

/// The name of the ledger's blob with all balances.
pub const BALANCE_BLOB: &str = "balances";
/// Most that one top-up may change, thousandths of a credit; far from where sums of them could overflow.
pub const CHANGE_MAX: i64 = 1_000_000_000_000_000;
/// Longest reference of a top-up, octets.
pub const REFERENCE_MAX: usize = 64;

/// Somebody pays in, or takes out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopUp {
    /// Whose balance.
    pub account: String,
    /// Thousandths of a credit; below 0 it is taken out.
    pub change: i64,
    /// What it is for: within [`super::overlay::PAID_AGE_MS`] the same one changes nothing again.
    pub reference: String,
}

/// What an account has, for operators; in thousandths of a credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BalanceView {
    /// Whose.
    pub account: String,
    /// How far below 0 it may go; absent: nothing is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// The sums.
    #[serde(flatten)]
    pub balance: Balance,
    /// What the top-up was for, if it answers one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reference: String,
    /// That top-up was made before, and nothing is changed now.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

/// What an account has, in thousandths of a credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, utoipa::ToSchema)]
pub struct Balance {
    /// All top-ups together, corrections downwards included.
    pub topped_up: i64,
    /// What may still be spent; with a limit it may fall below 0.
    pub available: i64,
    /// Held for messages that no carrier has taken yet.
    pub reserved: u64,
    /// Paid for messages that were sent.
    pub spent: u64,
}

impl Balance {
    /// Topped up minus the other terms: must be 0.
    pub fn imbalance(&self) -> i64 {
        self.topped_up - self.available - self.reserved as i64 - self.spent as i64
    }

    /// In the order of [`BALANCE_TERMS`](crate::telemetry::BALANCE_TERMS).
    pub fn terms(&self) -> [i64; 4] {
        [self.topped_up, self.available, self.reserved as i64, self.spent as i64]
    }

    fn top_up(&mut self, change: i64) {
        self.topped_up += change;
        self.available += change;
    }

    fn reserve(&mut self, charge: u32) {
        self.available -= i64::from(charge);
        self.reserved += u64::from(charge);
    }

    fn spend(&mut self, charge: u32) {
        debug_assert!(self.reserved >= u64::from(charge), "only what was reserved is spent");
        self.reserved = self.reserved.saturating_sub(u64::from(charge));
        self.spent += u64::from(charge);
    }

    fn give_back(&mut self, charge: u32) {
        debug_assert!(self.reserved >= u64::from(charge), "only what was reserved is given back");
        self.reserved = self.reserved.saturating_sub(u64::from(charge));
        self.available += i64::from(charge);
    }
}

/// What a message would cost and whether that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// Thousandths of a credit per segment; `None`: the number has no price.
    pub price: Option<u32>,
    /// Thousandths of a credit in all.
    pub charge: u32,
    /// What the account may spend, its limit included.
    pub within_reach: i64,
}

impl Quote {
    /// The charge, if there is enough for it.
    pub fn accept(self) -> Result<u32, Refusal> {
        match self.price {
            Some(_) if i64::from(self.charge) <= self.within_reach.max(0) => Ok(self.charge),
            _ => Err(Refusal::NoCredit),
        }
    }
}

impl Engine {
    /// What `segments` to `number` would cost the account now; `None` where nothing is counted. Changes nothing: intake acts on it, an explanation shows it.
    pub fn quote(&self, account: AccountId, number: u64, segments: usize) -> Option<Quote> {
        let plan = self.plan.account(account).balance.as_ref()?;
        let price = plan.price(number, &self.plan.ranges);
        let charge = u32::try_from(u64::from(price.unwrap_or(0)) * segments as u64).unwrap_or(u32::MAX);
        let within_reach = self.balances[account.0 as usize].available.saturating_add(plan.limit);
        Some(Quote { price, charge, within_reach })
    }

    /// The balance of every account, in the order of their ids.
    pub fn balances(&self) -> &[Balance] {
        &self.balances
    }

    /// What is reserved for messages in memory, by account, counted by walking the table: tests hold it against [`Engine::balances`].
    pub fn walk_reserved(&self) -> Vec<u64> {
        let mut reserved = vec![0; self.balances.len()];
        self.messages.values().for_each(|entry| reserved[entry.message.account.0 as usize] += u64::from(entry.charge));
        reserved
    }

    // The four steps. Where the ledger's sums know of a step already (`counting` is off), only the message's own mark changes, at the caller's.

    pub(super) fn reserve(&mut self, account: AccountId, charge: u32) {
        if self.counting {
            self.balances[account.0 as usize].reserve(charge);
        }
    }

    pub(super) fn spend(&mut self, account: AccountId, charge: u32) {
        if self.counting {
            self.balances[account.0 as usize].spend(charge);
        }
    }

    pub(super) fn give_back(&mut self, account: AccountId, charge: u32) {
        if self.counting {
            self.balances[account.0 as usize].give_back(charge);
        }
    }

    /// What a TOPPED_UP event means. Live and in replay.
    pub(super) fn apply_topped_up(&mut self, account: AccountId, change: i64) {
        if self.counting
            && let Some(balance) = self.balances.get_mut(account.0 as usize)
        {
            balance.top_up(change);
        }
    }

    /// Changes what an account has; what it has then is told once that is durable. A reference that was used before changes nothing and is answered the same.
    pub(super) fn top_up(&mut self, asked: TopUp, who: String, reason: String) -> Answered {
        let TopUp { account: name, change, reference } = asked;
        let account = account_of(&name, &self.plan)?;
        if reference.is_empty() || reference.len() > REFERENCE_MAX {
            let what = "a top-up needs a reference: the same one again changes nothing";
            return Err(Fault::of("missing_value", "reference", what, format!("1 to {REFERENCE_MAX} octets: an invoice, a transfer")));
        }
        let now_ms = self.now.wall_ms;
        match self.overlay.paid(&name, &reference, now_ms) {
            Some(before) if before == change => return Ok(Answer::Balance(Box::new(self.balance_view(account, reference, true)))),
            Some(before) => {
                let what = format!("this reference stands for {before} thousandths of a credit already");
                return Err(Fault::of("reference_used", "reference", what, "another reference"));
            }
            None => {}
        }
        self.may_pay_in(account, change)?;
        self.overlay.may_pay(now_ms)?;
        self.record(&Event::ToppedUp { account, change, at_ms: now_ms, reason: reference.as_str().into() });
        self.apply_topped_up(account, change);
        self.record_change(Record::ToppedUp { account: name, change, reference: reference.clone(), at_ms: now_ms, who, reason });
        Ok(Answer::Balance(Box::new(self.balance_view(account, reference, false))))
    }

    fn may_pay_in(&self, account: AccountId, change: i64) -> Result<(), Fault> {
        let balance = &self.balances[account.0 as usize];
        let limit = self.plan.account(account).balance.as_ref().map_or(0, |balance| balance.limit);
        let most = CHANGE_MAX - balance.topped_up.abs();
        match change {
            0 => Err(Fault::of("bad_value", "change", "0 changes nothing", "what the account gets, in thousandths of a credit")),
            _ if !(-most..=most).contains(&change) => {
                Err(Fault::of("bad_value", "change", "is more than can be changed", format!("at most {most} thousandths of a credit")))
            }
            ..0 if balance.available.saturating_add(limit) < -change => {
                let what = format!("{} thousandths of a credit are available, and the limit is {limit} below 0", balance.available);
                Err(Fault::of("no_credit", "change", what, "less"))
            }
            _ => Ok(()),
        }
    }

    /// What an account has, with names.
    pub(super) fn balance_view(&self, account: AccountId, reference: String, repeated: bool) -> BalanceView {
        let plan = self.plan.account(account);
        let limit = plan.balance.as_ref().map(|balance| balance.limit);
        BalanceView { account: plan.name.clone(), limit, balance: self.balances[account.0 as usize], reference, repeated }
    }

    /// For a replace: what the new text costs, if what is available bears the difference. What was accepted free of charge stays so.
    pub(super) fn reprice(&self, id: MessageId, with: &Replacement) -> Result<Option<u32>, Refusal> {
        let Some(entry) = self.messages.get(&id).filter(|entry| entry.charge != 0) else { return Ok(None) };
        let message: &Message = &entry.message;
        let Some(&first) = self.carriers_of(message).first() else { return Ok(None) };
        let body = Body { header_len: 0, octets: with.octets.clone(), ..message.body.clone() };
        let segments = segment::count(&body, &self.plan.carrier(first).segments);
        let Some(quote) = self.quote(message.account, message.number, segments) else { return Ok(None) };
        let charge = Quote { within_reach: quote.within_reach.saturating_add(i64::from(entry.charge)), ..quote }.accept()?;
        Ok((charge != entry.charge).then_some(charge))
    }

    /// What a RESERVED event means: from now on so much is reserved for the message. Live and in replay.
    pub(super) fn apply_reserved(&mut self, id: MessageId, charge: u32) {
        self.touch(id);
        let Some(entry) = self.messages.get_mut(&id) else { return };
        let account = entry.message.account;
        let before = std::mem::replace(&mut entry.charge, charge);
        std::sync::Arc::make_mut(&mut entry.message).charge = charge;
        self.give_back(account, before);
        self.reserve(account, charge);
    }

    /// All balances, for the ledger.
    pub(super) fn balances_to_octets(&self) -> Vec<u8> {
        let numbers = |b: &Balance| [b.topped_up as u64, b.available as u64, b.reserved, b.spent];
        self.balances.iter().flat_map(numbers).flat_map(u64::to_le_bytes).collect()
    }

    /// Recovery: what the ledger kept.
    pub(super) fn load_balances(&mut self, octets: &[u8]) {
        for (balance, octets) in self.balances.iter_mut().zip(octets.as_chunks::<32>().0) {
            let number = |at: usize| octets[at * 8..].first_chunk().map_or(0, |octets| u64::from_le_bytes(*octets));
            *balance = Balance { topped_up: number(0) as i64, available: number(1) as i64, reserved: number(2), spent: number(3) };
        }
    }
}
