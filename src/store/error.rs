//! What can go wrong in a store. What to do about it (refuse, stop) is the caller's business.

use thiserror::Error;

/// A failure of a journal or a ledger.
#[derive(Debug, Error)]
pub enum StoreError {
    /// No space left (or the size limit reached). Nothing was stored; the same call may succeed later.
    #[error("no space left for the {what}")]
    Full {
        /// "journal" or "ledger".
        what: &'static str,
    },
    /// An earlier write or sync failed, so that it is unknown what the disk holds. Only a restart, which reads what is really there, ends this.
    #[error("the {what} has stopped after a failed write: {why}")]
    Poisoned {
        /// "journal" or "ledger".
        what: &'static str,
        /// The first failure.
        why: String,
    },
    /// What is stored is damaged or missing. Never passed over in silence.
    #[error("damaged at {position}: {why}")]
    Corrupt {
        /// Journal position or chunk id; 0 if it concerns the file as a whole.
        position: u64,
        /// What does not agree.
        why: String,
    },
    /// Another gateway (or tool) holds the data directory.
    #[error("the data directory is in use by {by}")]
    Locked {
        /// Who, as far as known: "process 4711".
        by: String,
    },
    /// Anything else that the file system or the database said.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// Wraps a failure of the file system or the database.
    pub fn io(doing: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        StoreError::Io { doing, source: source.into() }
    }

    /// True for the one failure after which a store goes on unharmed.
    pub fn is_full(&self) -> bool {
        matches!(self, StoreError::Full { .. })
    }
}
