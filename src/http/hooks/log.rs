//! What goes into accounts' logs before it goes anywhere else: what has gathered is written in one go beside the task, an account's events with one sync.

use super::Known;
use super::event::Event;
use crate::engine::port::{Delivery, DeliveryToken, SessionId};
use crate::http::events::EventLogs;
use crate::model::AccountId;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// One delivery.
pub(super) struct Entry {
    pub session: SessionId,
    pub account: AccountId,
    pub whose: Whose,
    pub item: Arc<Delivery>,
    /// Since when it waits, wall milliseconds.
    pub since_ms: u64,
}

/// Who wants to know what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The engine, under this name.
    Engine(DeliveryToken),
    /// It is the dead letter of this number.
    Dead(u64),
}

/// What is written down now, and what could not be.
pub(super) type Logged = (Vec<Entry>, Vec<Entry>);

/// See the module.
pub(super) struct Log {
    logs: Arc<EventLogs>,
    queue: Vec<Entry>,
    writing: Option<JoinHandle<Logged>>,
    /// Written down, and not yet at their end.
    written: HashSet<DeliveryToken>,
}

impl Log {
    pub fn new(logs: Arc<EventLogs>) -> Log {
        Log { logs, queue: Vec::new(), writing: None, written: HashSet::new() }
    }

    /// It is written down already, in this life of the gateway.
    pub fn has(&self, token: DeliveryToken) -> bool {
        self.written.contains(&token)
    }

    /// It has come to its end.
    pub fn forget(&mut self, token: DeliveryToken) {
        self.written.remove(&token);
    }

    pub fn queue(&mut self, entry: Entry) {
        self.queue.push(entry);
    }

    /// Begins to write what has gathered, unless something is being written.
    pub fn start(&mut self, known: &Arc<Known>) {
        if self.writing.is_some() || self.queue.is_empty() {
            return;
        }
        let (entries, logs, known) = (std::mem::take(&mut self.queue), Arc::clone(&self.logs), Arc::clone(known));
        self.writing = Some(tokio::task::spawn_blocking(move || append(entries, &logs, &known)));
    }

    /// What became of what was begun; `None`: nothing was.
    pub async fn done(&mut self) -> Option<Logged> {
        let done = self.writing.as_mut()?.await.unwrap_or_default();
        self.writing = None;
        self.written.extend(done.0.iter().filter_map(|entry| if let Whose::Engine(token) = entry.whose { Some(token) } else { None }));
        Some(done)
    }
}

fn append(entries: Vec<Entry>, logs: &EventLogs, known: &Known) -> Logged {
    let now_ms = super::now_ms();
    let mut by_account: BTreeMap<AccountId, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        by_account.entry(entry.account).or_default().push(entry);
    }
    let (mut written, mut failed) = (Vec::new(), Vec::new());
    for (account, entries) in by_account {
        // Its log was taken out of the configuration meanwhile: nothing is to be written.
        let Some((bounds, name)) = known.events.get(&account).zip(known.names.get(account.0 as usize)) else {
            written.extend(entries);
            continue;
        };
        let mut lines = Vec::new();
        for entry in &entries {
            // JSON has no line ends of its own.
            lines.extend_from_slice(&serde_json::to_vec(&Event::of(&entry.item, entry.since_ms, name)).expect("plain data can be written"));
            lines.push(b'\n');
        }
        match logs.of(name).and_then(|log| log.append(&lines, bounds, now_ms)) {
            Ok(()) => written.extend(entries),
            Err(error) => {
                tracing::error!(account = %name, %error, "events can't be written; they wait");
                failed.extend(entries);
            }
        }
    }
    (written, failed)
}
