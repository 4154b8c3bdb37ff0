//! HTTP: the admin port, through which an operator sees and changes the running gateway. A file per resource, no state of its own: what is asked goes to
//! the engine as [`crate::engine::control::Request`]s, what the links know comes from [`crate::engine::look::Links`], reloading is `app`'s ([`admin::Configured`]), messages go in by [`crate::link::submissions`].
//! Customers have a port of their own, [`api`].

pub mod admin;
pub mod api;
mod balance;
mod change;
mod dead;
pub mod desk;
mod docs;
pub mod events;
mod extract;
mod foretell;
mod guard;
pub mod hooks;
mod instant;
mod keys;
mod lists;
mod look;
mod messages;
mod probes;
pub mod problem;
mod recordings;
mod records;
mod refusal;
mod standing;
mod tables;

pub use guard::USER_HEADER;

use admin::Boxed;

/// Where what this side must know after a restart is kept: the ledger.
pub trait Keep: Send + Sync {
    /// Keeps it; true once it is durable, false if that can't be had now.
    fn keep(&self, update: crate::store::LedgerUpdate) -> Boxed<'_, bool>;
}

/// Keeps pages in memory, for tests.
#[cfg(test)]
#[derive(Default)]
struct Memory(std::sync::Mutex<std::collections::BTreeMap<u64, Vec<u8>>>);

#[cfg(test)]
impl Keep for Memory {
    fn keep(&self, update: crate::store::LedgerUpdate) -> Boxed<'_, bool> {
        let mut pages = self.0.lock().unwrap();
        update.drop_pages.into_iter().for_each(|(_, ids)| pages.retain(|id, _| !ids.contains(id)));
        pages.extend(update.pages.into_iter().map(|page| (page.id, page.octets)));
        Box::pin(async { true })
    }
}
