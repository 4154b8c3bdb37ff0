//! The same message handed in twice. Two memories for each account, of different promise:
//!
//! - *Identities*: a number that the sender computed ([`Message::identity`]: a job and a line, an idempotency key). Handing the same one in again is answered
//!   with the first one's id and makes no second message, whatever else stands in it. What makes a bulk job resumable. Beside them, of messages handed
//!   in under an idempotency key: the key, and the key with what it was used with ([`Keyed`]), so that another use of it is seen and refused.
//! - *Texts*: the same text (its header included, so that the parts of a long message that upstream cut itself differ) to the same number. Off unless the
//!   account has a window; then a duplicate is dropped (answered with the first one's id), refused, or sent and marked.
//!
//! Both are filled when a message is accepted, live and in replay, so what was acknowledged before a crash is known after it. The ledger keeps them in chunks
//! with ids of their own, written by the walk of [`super::carry`]: true, as its counters, up to the batch in which the walk ended.
//! A text that is replaced later (replace_sm) is remembered as it was handed in. A message that was cancelled, refused by a carrier or expired still counts.

pub mod table;
pub mod window;

use super::event::{self, Event};
use super::plan::DedupePlan;
use super::port::{SessionId, Taken};
use super::{Effect, Engine};
use crate::model::notes::Keyed;
use crate::model::{AccountId, DuplicateAction, Encoding, Message, MessageId};
use crate::store::{Chunk, LedgerUpdate};
use crate::telemetry::RepeatCounts;
use window::{Entry, Span, Window};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Chunks of the ledger from this id on are of this kind; those before hold messages.
pub const FIRST_CHUNK: u64 = 1 << 62;
/// Their kind.
const CHUNK_KIND: u8 = 50;

/// What is remembered of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Remembered {
    /// Its text and number.
    Text = 0,
    /// The identity that its sender computed.
    Identity = 1,
}

impl Remembered {
    /// All kinds.
    pub const ALL: [Remembered; 2] = [Remembered::Text, Remembered::Identity];

    /// The kind of number `n`, as kept in the ledger.
    pub fn from_u8(n: u8) -> Option<Remembered> {
        Remembered::ALL.get(n as usize).copied()
    }

    fn span(self, plan: &DedupePlan) -> Span {
        match self {
            Remembered::Text => Span { window_ms: plan.window_ms, max_entries: plan.max_entries },
            Remembered::Identity => Span { window_ms: plan.identity_ms, max_entries: plan.max_identities },
        }
    }

    /// The key of `message`; `None`: it has none, or it isn't remembered.
    fn key(self, message: &Message, plan: &DedupePlan) -> Option<u64> {
        match self {
            Remembered::Text => (plan.window_ms != 0).then(|| text_key(message)),
            Remembered::Identity => (message.identity != 0).then(|| spread(message.identity)),
        }
    }
}

/// Number and text as one key. The account needn't be in it: each has its own memory.
fn text_key(message: &Message) -> u64 {
    let body = &message.body;
    let mut head = [0; 15];
    head[..8].copy_from_slice(&message.number.to_le_bytes());
    head[8] = body.encoding as u8;
    // Message classes make no other text; an alphabet that we don't know may.
    head[9] = if body.encoding == Encoding::Opaque { body.raw_data_coding } else { 0 };
    head[10] = body.header_len;
    if let Some(part) = message.part {
        // A part may be told by TLVs instead of a header.
        head[11..13].copy_from_slice(&part.reference.to_le_bytes());
        head[13..].copy_from_slice(&[part.total, part.number]);
    }
    xxh3_64_with_seed(&body.octets, xxh3_64(&head))
}

/// Spreads a sender's numbers over all 64 bits, no two to the same (the finisher of SplitMix64).
fn spread(identity: u64) -> u64 {
    let mut z = identity;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// An idempotency key together with what it was used with.
fn use_of(keyed: Keyed) -> u64 {
    spread(keyed.key ^ spread(keyed.content))
}

/// A message that was handed in before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// The message that was made of it.
    pub original: MessageId,
    /// What is the same.
    pub of: Remembered,
    /// What becomes of this one; an identity's repetition is always dropped.
    pub action: DuplicateAction,
}

#[derive(Debug, Default)]
struct Memory {
    windows: [Window; 2],
    counts: RepeatCounts,
}

/// What is remembered of all accounts.
#[derive(Debug)]
pub struct Dedupe {
    accounts: Vec<Memory>,
    /// The last chunk id in use.
    last_chunk: u64,
    /// Chunks of what nobody wants to know any more.
    dead: Vec<u64>,
}

impl Dedupe {
    /// Empty memories for `accounts` accounts.
    pub fn new(accounts: usize) -> Dedupe {
        Dedupe { accounts: (0..accounts).map(|_| Memory::default()).collect(), last_chunk: FIRST_CHUNK, dead: Vec::new() }
    }

    /// There are so many accounts now.
    pub(super) fn grow(&mut self, accounts: usize) {
        self.accounts.resize_with(accounts, Memory::default);
    }

    fn window(&self, account: AccountId, of: Remembered) -> &Window {
        &self.accounts[account.0 as usize].windows[of as usize]
    }

    /// What was repeated by the account, entries remembered of it, and entries that had to go before their time.
    pub(super) fn figures(&self, account: usize) -> (RepeatCounts, u64, u64) {
        let memory = &self.accounts[account];
        let [texts, identities] = &memory.windows;
        (memory.counts, (texts.entries() + identities.entries()) as u64, texts.pushed_out() + identities.pushed_out())
    }
}

impl Engine {
    /// Was a message like this one handed in before? Changes nothing: intake acts on it, an explanation shows it. `message.number` must be known for texts.
    pub fn repeat_of(&self, message: &Message, of: Remembered) -> Option<Repeat> {
        let plan = &self.plan.account(message.account).dedupe;
        let key = of.key(message, plan)?;
        let original = self.dedupe.window(message.account, of).find(key, self.now.wall_ms, of.span(plan))?;
        let action = if of == Remembered::Identity { DuplicateAction::Drop } else { plan.action };
        Some(Repeat { original, of, action })
    }

    /// Its idempotency key was used before, with something else.
    pub(super) fn is_key_reused(&self, message: &Message) -> bool {
        let Some(keyed) = message.notes.as_ref().and_then(|notes| notes.keyed) else { return false };
        let span = Remembered::Identity.span(&self.plan.account(message.account).dedupe);
        let window = self.dedupe.window(message.account, Remembered::Identity);
        let knows = |key| window.find(key, self.now.wall_ms, span).is_some();
        knows(spread(keyed.key)) && !knows(use_of(keyed))
    }

    /// A repetition was dropped, refused, or taken.
    pub(super) fn count_repeat(&mut self, account: AccountId, repeat: &Repeat) {
        let counts = &mut self.dedupe.accounts[account.0 as usize].counts;
        match (repeat.of, repeat.action) {
            (Remembered::Identity, _) => counts.identity += 1,
            (_, DuplicateAction::Drop) => counts.dropped += 1,
            (_, DuplicateAction::Refuse) => counts.refused += 1,
            (_, DuplicateAction::Flag) => counts.flagged += 1,
        }
    }

    /// The sender learns the id of a message that is on record or about to be: no earlier than all that was written so far is durable.
    pub(super) fn answer_known(&mut self, session: SessionId, token: u64, repeat: &Repeat, segments: u8) {
        let last = self.writing.batch - u64::from(self.writing.octets.is_empty());
        let taken = Taken { message: repeat.original, segments, repeats: Some(repeat.of) };
        match self.homes.is_durable(last) {
            true => self.answer_draft(session, token, Ok(taken)),
            // Its own effect comes before this one: by then it has set off.
            false => self.writing.effects.push_back((last, Effect::Accepted { session, token, taken })),
        }
    }

    /// An accepted message is known from now on. Live and in replay.
    pub(super) fn remember(&mut self, message: &Message) {
        if !self.counting {
            // The ledger's chunks know it.
            return;
        }
        let handed_in = self.as_handed_in(message);
        let message = handed_in.as_ref().unwrap_or(message);
        let plan = &self.plan.account(message.account).dedupe;
        let Some(memory) = self.dedupe.accounts.get_mut(message.account.0 as usize) else { return };
        for of in Remembered::ALL {
            if let Some(key) = of.key(message, plan) {
                memory.windows[of as usize].insert(key, message.id, of.span(plan));
            }
        }
        if let Some(keyed) = message.notes.as_ref().and_then(|notes| notes.keyed) {
            // The key first: of the two the one that is forgotten first must not be the other.
            let span = Remembered::Identity.span(plan);
            for key in [spread(keyed.key), use_of(keyed)] {
                memory.windows[Remembered::Identity as usize].insert(key, message.id, span);
            }
        }
    }

    /// Drops what is past its time.
    pub(super) fn sweep_dedupe(&mut self) {
        for (memory, account) in self.dedupe.accounts.iter_mut().zip(&self.plan.accounts) {
            for of in Remembered::ALL {
                let window = &mut memory.windows[of as usize];
                match of.span(&account.dedupe) {
                    Span { window_ms: 0, .. } => window.forget_all(),
                    span => window.forget_old(self.now.wall_ms, span),
                }
            }
        }
    }

    /// The ledger learns what came since the last walk. True up to and including the open batch.
    pub(super) fn save_dedupe(&mut self, update: &mut LedgerUpdate) {
        let batch = self.writing.batch;
        let Dedupe { accounts, last_chunk, dead } = &mut self.dedupe;
        update.delete.append(dead);
        for (account, memory) in accounts.iter_mut().enumerate() {
            let account = AccountId(account as u32);
            for of in Remembered::ALL {
                let window = &mut memory.windows[of as usize];
                window.save(last_chunk, &mut |id, generation, entries| {
                    let octets = chunk_octets(batch, &Event::Remembered { account, of, generation, entries: entries.to_vec() });
                    update.put.push(Chunk { id, kind: CHUNK_KIND, key: u64::from(account.0), octets });
                });
                update.delete.append(&mut window.take_dead());
            }
        }
    }

    /// Recovery: one of the ledger's chunks.
    pub(super) fn load_dedupe(&mut self, chunk: u64, account: AccountId, of: Remembered, generation: u64, entries: Vec<Entry>) {
        self.dedupe.last_chunk = self.dedupe.last_chunk.max(chunk);
        let wanted = self.plan.accounts.get(account.0 as usize).is_some_and(|plan| of.span(&plan.dedupe).window_ms != 0);
        match self.dedupe.accounts.get_mut(account.0 as usize).filter(|_| wanted) {
            Some(memory) => memory.windows[of as usize].load(generation, chunk, entries),
            None => self.dedupe.dead.push(chunk),
        }
    }
}

fn chunk_octets(batch: u64, event: &Event) -> Vec<u8> {
    let mut octets = Vec::new();
    event::open(&mut octets, batch);
    event::write(event, &mut octets);
    event::seal(&mut octets);
    octets
}
