//! Changing and asking lists while the gateway runs. A small change is one event; a large one is cut into slices of its sorted numbers, one event each, and the next
//! is written only once the one before is durable: so millions stop neither the engine nor the journal. It is answered once all of it is durable.

#![allow(missing_docs)] // every variant has its line; its fields are the words of the design

use super::super::event::Event;
use super::super::port::{DiskState, Output};
use super::super::{Effect, Engine};
use super::lists::{ListName, Numbers};
use crate::model::{AccountId, Address, MessageId};
use std::collections::VecDeque;

/// Numbers in one event.
pub const SLICE: usize = 20_000;
/// Large changes that may wait for each other.
const WAITING_MAX: usize = 64;
/// Numbers in one page.
pub const PAGE_MAX: usize = 100_000;

/// What is asked of the lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RulesRequest {
    /// Put numbers into a list.
    Add { list: ListName, numbers: Numbers },
    /// Take numbers out of a list.
    Remove { list: ListName, numbers: Numbers },
    /// Take all numbers out of a list.
    Clear { list: ListName },
    /// Which lists forbid this account to write to this number from this sender.
    Check { number: u64, account: AccountId, source: Address },
    /// Every list that holds this number.
    Find { number: u64 },
    /// How many numbers stand in each list.
    Count,
    /// Up to `most` (and [`PAGE_MAX`]) numbers of a list above `after`, in order.
    Page { list: ListName, after: u64, most: usize },
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RulesAnswer {
    /// So many numbers came or went; so many stand in the list now. Durable.
    Changed { changed: u64, total: u64 },
    /// These lists.
    Lists(Vec<ListName>),
    /// All lists with their numbers.
    Counts(Vec<(ListName, u64)>),
    /// Numbers, packed, in order.
    Page(Vec<u64>),
}

/// Why a change was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RulesError {
    /// See [`super::lists::NUMBERS_MAX`], [`super::lists::LISTS_MAX`].
    #[error("the lists are full: at most {numbers} numbers in {lists} lists", numbers = super::lists::NUMBERS_MAX, lists = super::lists::LISTS_MAX)]
    Full,
    /// Too many large changes wait.
    #[error("{WAITING_MAX} large changes wait already; try again when they are done")]
    Busy,
    /// The disk is down to its reserve, or has failed.
    #[error("the disk has no room for this change")]
    Disk,
    /// It names no such account.
    #[error("no such account")]
    Account,
}

/// A large change under way.
#[derive(Debug)]
struct Waiting {
    token: u64,
    list: ListName,
    add: bool,
    numbers: Numbers,
    done: usize,
    changed: u64,
}

/// Large changes, one after another.
#[derive(Debug, Default)]
pub struct Changes {
    waiting: VecDeque<Waiting>,
    /// The batch of the last slice.
    wrote: u64,
}

impl Engine {
    /// Takes one request.
    pub(in crate::engine) fn rules_asked(&mut self, token: u64, request: RulesRequest, outputs: &mut Vec<Output>) {
        let answer = match request {
            RulesRequest::Add { list, numbers } => return self.change_list(token, list, true, numbers, outputs),
            RulesRequest::Remove { list, numbers } => return self.change_list(token, list, false, numbers, outputs),
            RulesRequest::Clear { list } => return self.clear_list(token, list, outputs),
            RulesRequest::Check { number, account, source } => {
                let mut found = Vec::new();
                self.rules.lists().each(number, account, &source, &mut |name| found.push(name.clone()));
                RulesAnswer::Lists(found)
            }
            RulesRequest::Find { number } => {
                let holding = self.rules.lists().all().filter(|(_, set)| set.contains(number));
                RulesAnswer::Lists(holding.map(|(name, _)| name.clone()).collect())
            }
            RulesRequest::Count => {
                let counted = self.rules.lists().all().filter(|(_, set)| !set.is_empty());
                RulesAnswer::Counts(counted.map(|(name, set)| (name.clone(), set.len() as u64)).collect())
            }
            RulesRequest::Page { list, after, most } => {
                RulesAnswer::Page(self.rules.lists().get(&list).map(|set| set.page(after, most.min(PAGE_MAX))).unwrap_or_default())
            }
        };
        outputs.push(Output::Rules { token, answer: Ok(answer) });
    }

    fn may_change(&self, list: &ListName, more: usize) -> Result<(), RulesError> {
        if matches!(&list.level, super::lists::Level::Account(account) if account.0 as usize >= self.plan.accounts.len()) {
            return Err(RulesError::Account);
        }
        // What a phone or an operator asks for must be heeded while there is room for outcomes; millions of numbers may wait.
        match self.disk {
            DiskState::Failed => return Err(RulesError::Disk),
            DiskState::Reserve if more > 1_000 => return Err(RulesError::Disk),
            _ => {}
        }
        if self.rules.lists.has_room(list, more) { Ok(()) } else { Err(RulesError::Full) }
    }

    fn change_list(&mut self, token: u64, list: ListName, add: bool, numbers: Numbers, outputs: &mut Vec<Output>) {
        let small = numbers.as_slice().len() <= SLICE;
        let fits = self.may_change(&list, if add { numbers.as_slice().len() } else { 0 });
        let fits = fits.and(if small || self.rules.changes.waiting.len() < WAITING_MAX { Ok(()) } else { Err(RulesError::Busy) });
        if let Err(error) = fits {
            return outputs.push(Output::Rules { token, answer: Err(error) });
        }
        if small {
            let changed = self.list_now(&list, add, numbers.as_slice().to_vec());
            return self.list_changed(token, &list, changed);
        }
        self.rules.changes.waiting.push_back(Waiting { token, list, add, numbers, done: 0, changed: 0 });
        self.change_some();
    }

    fn clear_list(&mut self, token: u64, list: ListName, outputs: &mut Vec<Output>) {
        if let Err(error) = self.may_change(&list, 0) {
            return outputs.push(Output::Rules { token, answer: Err(error) });
        }
        self.record(&Event::Unlisted { list: list.clone() });
        let before = self.rules.lists.get(&list).map_or(0, |set| set.len() as u64);
        self.apply_unlisted(&list);
        self.list_changed(token, &list, before);
    }

    /// What an UNLISTED event means. Live and in replay.
    pub(in crate::engine) fn apply_unlisted(&mut self, list: &ListName) {
        self.rules.lists.clear(list);
    }

    fn list_now(&mut self, list: &ListName, add: bool, numbers: Vec<u64>) -> u64 {
        if numbers.is_empty() {
            return 0;
        }
        let event = Event::Listed { list: list.clone(), add, numbers };
        self.record(&event);
        let Event::Listed { numbers, .. } = event else { return 0 };
        self.apply_listed(list, add, &numbers)
    }

    /// What a LISTED event means. Live and in replay.
    pub(in crate::engine) fn apply_listed(&mut self, list: &ListName, add: bool, numbers: &[u64]) -> u64 {
        let changed = match add {
            true => self.rules.lists.add(list, numbers),
            false => self.rules.lists.remove(list, numbers),
        };
        changed as u64
    }

    fn list_changed(&mut self, token: u64, list: &ListName, changed: u64) {
        let total = self.rules.lists.get(list).map_or(0, |set| set.len() as u64);
        self.after_commit(Effect::Listed { token, changed, total });
    }

    /// The next slice of a large change, if the one before is durable.
    pub(in crate::engine) fn change_some(&mut self) {
        if !self.homes.is_durable(self.rules.changes.wrote) || self.disk == DiskState::Failed {
            return;
        }
        let Some(mut change) = self.rules.changes.waiting.pop_front() else { return };
        let all = change.numbers.as_slice();
        let slice = all[change.done..(change.done + SLICE).min(all.len())].to_vec();
        change.done += slice.len();
        let is_last = change.done == all.len();
        change.changed += self.list_now(&change.list, change.add, slice);
        self.rules.changes.wrote = self.writing.batch;
        match is_last {
            true => self.list_changed(change.token, &change.list, change.changed),
            false => {
                // It waits for a sync: nobody gathers more for it.
                self.writing.urgent = true;
                self.rules.changes.waiting.push_front(change);
            }
        }
    }

    /// A phone's reply changed a list. Live and in replay.
    pub(in crate::engine) fn apply_reply(&mut self, message: MessageId, list: &ListName, number: u64, back: bool) {
        self.ids.advance_past(message);
        self.apply_listed(list, !back, &[number]);
    }
}
