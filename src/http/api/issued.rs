//! Keys that were made or revoked while running: a page of the ledger each, over what the configuration says. Of a key only its hash is kept. What is revoked
//! stays so, also where the configuration still has it.

use crate::config::ApiKey;
use crate::http::Keep;
use crate::http::problem::Problem;
use crate::store::{LedgerUpdate, Page};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The ledger's pages of this kind are keys.
pub const KEY_PAGE: u8 = 102;
/// Keys that may be made or revoked in all.
const KEYS_MAX: usize = 10_000;

/// A key that was made or revoked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Issued {
    /// The name of its account.
    pub account: String,
    /// What it may do; only its hash is told.
    pub settings: ApiKey,
    /// It is good for nothing any more.
    pub revoked: bool,
}

/// All of them.
pub struct Book {
    all: Mutex<Vec<(u64, Issued)>>,
    /// Who writes one down: two at once would take the same page.
    turn: tokio::sync::Mutex<()>,
    keep: Arc<dyn Keep>,
}

impl Book {
    /// Those that the ledger's pages hold. What can't be read is passed over.
    pub fn open(pages: &[(u64, Vec<u8>)], keep: Arc<dyn Keep>) -> Book {
        let issued = |(number, octets): &(u64, Vec<u8>)| {
            let issued: Issued = serde_json::from_slice(octets).ok()?;
            Some((*number, Issued { settings: issued.settings.hashed()?, ..issued }))
        };
        Book { all: Mutex::new(pages.iter().filter_map(issued).collect()), turn: tokio::sync::Mutex::default(), keep }
    }

    fn guard(&self) -> MutexGuard<'_, Vec<(u64, Issued)>> {
        // Nothing that can panic runs under this lock, so a poisoned one is still whole.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All, oldest first.
    pub fn all(&self) -> Vec<Issued> {
        self.guard().iter().map(|(_, issued)| issued.clone()).collect()
    }

    /// Writes one down, in place of one of the same account and hash; durable on return.
    ///
    /// # Errors
    /// There are too many, or nothing can be written now.
    pub async fn put(&self, issued: Issued) -> Result<(), Problem> {
        let _turn = self.turn.lock().await;
        let number = {
            let all = self.guard();
            let same = all.iter().find(|(_, other)| other.account == issued.account && other.settings.hash == issued.settings.hash);
            match same {
                Some((number, _)) => *number,
                None if all.len() >= KEYS_MAX => {
                    let fix = "keys in the configuration";
                    return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too_many", "", "too many keys were made or revoked", fix));
                }
                None => all.iter().map(|(number, _)| *number).max().unwrap_or(0) + 1,
            }
        };
        let octets = serde_json::to_vec(&issued).expect("plain data can be written");
        let update = LedgerUpdate { pages: vec![Page { kind: KEY_PAGE, id: number, octets }], ..LedgerUpdate::default() };
        if !self.keep.keep(update).await {
            let what = "the key can't be written down now";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "", what, "look at the disk, try again"));
        }
        let mut all = self.guard();
        all.retain(|(other, _)| *other != number);
        all.push((number, issued));
        Ok(())
    }
}
