//! What is known of submissions, by account and id: how far each is, and what holds for all of its lines. A page of the ledger each, written when it begins,
//! every few seconds and when it ends, so that it can be asked for after a restart; what is on record is not told from here but from the engine.

use crate::http::Keep;
use crate::http::problem::Problem;
use crate::model::AccountId;
use crate::store::{LedgerUpdate, Page};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use utoipa::ToSchema;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The ledger's pages of this kind are submissions.
pub const SUBMISSION_PAGE: u8 = 100;
/// Submissions of an account that are known.
const KNOWN_MAX: usize = 100;
/// How long an ended one is known, milliseconds: as long as the identities of its lines.
const KNOWN_MS: u64 = 72 * 3_600_000;
/// Refused lines that are told one by one.
pub(super) const REFUSALS_MAX: usize = 1_000;

/// How a submission stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is being read.
    Running,
    /// It was read to its end.
    Done,
    /// It was given up before its end, as `stopped` says. The same request goes on.
    Stopped,
    /// Its connection broke, or the gateway was restarted. The same request goes on.
    Broken,
}

/// A line that makes no message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refusal {
    /// Which, from 1.
    pub line: u64,
    /// A stable word.
    pub code: String,
    /// The field that is to blame; empty if none is.
    pub field: String,
    /// What is wrong.
    pub detail: String,
    /// What to do instead.
    pub fix: String,
}

/// How far a submission is, in its last try.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// Its id.
    pub id: String,
    /// running, done, stopped or broken.
    pub state: State,
    /// When this try began.
    pub began_at: String,
    /// Lines that are settled: each is one of the next four. Blank lines and a header are none.
    pub lines: u64,
    /// Messages taken in this try, durably.
    pub accepted: u64,
    /// Lines whose messages were taken in a try before.
    pub repeated: u64,
    /// Lines that are the same as one before them.
    pub duplicates: u64,
    /// Lines that make no message.
    pub refused: u64,
    /// Segments of the messages taken in this try.
    pub segments: u64,
    /// Octets of the lines that are settled, roughly.
    pub octets: u64,
    /// Why it goes no further for the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
    /// Why it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Problem>,
    /// Refused lines by the code of the reason.
    pub reasons: BTreeMap<String, u64>,
    /// The first 1,000 of them; only in the last line of an answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
}

/// As it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    account: u32,
    params: u64,
    #[serde(default = "yes")]
    bound: bool,
    touched_ms: u64,
    progress: Progress,
}

fn yes() -> bool {
    true
}

/// One submission.
pub struct Entry {
    account: AccountId,
    params: u64,
    /// A try before this one may have taken messages.
    bound: bool,
    page: u64,
    state: Mutex<(u64, Progress)>,
}

impl Entry {
    fn state(&self) -> MutexGuard<'_, (u64, Progress)> {
        // Nothing that can panic runs under this lock, so a poisoned one is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.state().1.clone()
    }

    /// It is further.
    pub(super) fn change(&self, now_ms: u64, change: impl FnOnce(&mut Progress)) {
        let mut state = self.state();
        state.0 = now_ms;
        change(&mut state.1);
    }

    /// Its id stands for what it was first sent with: a try may have taken messages. One that was broken off may have taken more than is written here.
    fn is_bound(&self) -> bool {
        let Progress { state, accepted, repeated, duplicates, .. } = self.state().1;
        self.bound || !matches!(state, State::Done | State::Stopped) || accepted + repeated + duplicates > 0
    }

    fn page(&self) -> Page {
        let (touched_ms, progress) = self.state().clone();
        let kept = Kept { account: self.account.0, params: self.params, bound: self.bound, touched_ms, progress };
        let octets = serde_json::to_vec(&kept).expect("plain data can be written");
        Page { kind: SUBMISSION_PAGE, id: self.page, octets }
    }
}

fn page_id(account: AccountId, id: &str) -> u64 {
    xxh3_64_with_seed(id.as_bytes(), u64::from(account.0)) >> 1
}

/// All of them.
pub struct Book {
    entries: Mutex<HashMap<u64, Arc<Entry>>>,
    keep: Arc<dyn Keep>,
}

impl Book {
    /// What was known before: the contents of the ledger's pages. What can't be read is passed over.
    pub fn open(pages: &[(u64, Vec<u8>)], keep: Arc<dyn Keep>) -> Book {
        let entry = |(_, octets): &(u64, Vec<u8>)| {
            let Kept { account, params, bound, touched_ms, mut progress } = serde_json::from_slice(octets).ok()?;
            if progress.state == State::Running {
                progress.state = State::Broken;
            }
            let account = AccountId(account);
            let page = page_id(account, &progress.id);
            Some((page, Arc::new(Entry { account, params, bound, page, state: Mutex::new((touched_ms, progress)) })))
        };
        Book { entries: Mutex::new(pages.iter().filter_map(entry).collect()), keep }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<u64, Arc<Entry>>> {
        // As above.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far a submission is.
    pub fn look(&self, account: AccountId, id: &str) -> Option<Progress> {
        let entry = self.entries().get(&page_id(account, id)).cloned()?;
        Some(entry.progress()).filter(|progress| entry.account == account && progress.id == id)
    }

    /// A try begins; on record before any message of it. `params`: the hash of what holds for all lines. `most`: tries of the account at once.
    ///
    /// # Errors
    /// One is under way, or the id stands for something else, or nothing can be written now.
    pub(super) async fn begin(&self, account: AccountId, id: &str, params: u64, now_ms: u64, most: usize) -> Result<Arc<Entry>, Problem> {
        let page = page_id(account, id);
        let (entry, gone) = {
            let mut entries = self.entries();
            let of_account: Vec<_> = entries.values().filter(|entry| entry.account == account).cloned().collect();
            let running = |entry: &Arc<Entry>| entry.state().1.state == State::Running;
            let known = entries.get(&page).filter(|known| known.state().0 + KNOWN_MS > now_ms);
            let bound = known.is_some_and(|known| known.is_bound());
            if let Some(known) = known {
                if running(known) {
                    let what = "the same submission is under way";
                    let problem =
                        Problem::new(StatusCode::CONFLICT, "in_progress", "idempotency-key", what, "wait for its end, or for its break");
                    return Err(problem.retry_after(1));
                }
                if bound && known.params != params {
                    let what = "the key was used with other parameters before";
                    let fix = "another key, or the very same text, sender, times ...";
                    return Err(Problem::new(StatusCode::CONFLICT, "key_reused", "idempotency-key", what, fix));
                }
            }
            if of_account.iter().filter(|entry| running(entry)).count() >= most {
                return Err(super::busy("too many submissions of the account at once"));
            }
            let gone = past(of_account, page, now_ms);
            gone.iter().for_each(|page| drop(entries.remove(page)));
            let began_at = crate::http::instant::iso(now_ms);
            let progress = Progress {
                id: id.to_owned(),
                state: State::Running,
                began_at,
                lines: 0,
                accepted: 0,
                repeated: 0,
                duplicates: 0,
                refused: 0,
                segments: 0,
                octets: 0,
                waits: None,
                stopped: None,
                reasons: BTreeMap::new(),
                refusals: Vec::new(),
            };
            let entry = Arc::new(Entry { account, params, bound, page, state: Mutex::new((now_ms, progress)) });
            entries.insert(page, Arc::clone(&entry));
            (entry, gone)
        };
        let drop_pages = gone.into_iter().map(|page| (SUBMISSION_PAGE, page..=page)).collect();
        if self.keep.keep(LedgerUpdate { drop_pages, pages: vec![entry.page()], ..LedgerUpdate::default() }).await {
            return Ok(entry);
        }
        entry.change(now_ms, |progress| progress.state = State::Broken);
        Err(super::busy("the submission can't be written down now"))
    }

    /// Writes down how far it is; false: not now.
    pub(super) async fn save(&self, entry: &Entry) -> bool {
        self.keep.keep(LedgerUpdate { pages: vec![entry.page()], ..LedgerUpdate::default() }).await
    }
}

/// Those of an account that need be known no more, to make room for `next`.
fn past(mut all: Vec<Arc<Entry>>, next: u64, now_ms: u64) -> Vec<u64> {
    all.retain(|entry| entry.page != next && entry.state().1.state != State::Running);
    all.sort_by_key(|entry| std::cmp::Reverse(entry.state().0));
    let is_past = |(at, entry): (usize, &Arc<Entry>)| (at + 1 >= KNOWN_MAX || entry.state().0 + KNOWN_MS <= now_ms).then_some(entry.page);
    all.iter().enumerate().filter_map(is_past).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Memory;

    fn begin(book: &Book, id: &str, params: u64, now_ms: u64) -> Result<Arc<Entry>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(book.begin(AccountId(3), id, params, now_ms, 2)).map_err(|problem| problem.code.into())
    }

    #[test]
    fn an_id_stands_for_one_thing_runs_once_at_a_time_and_is_known_after_a_restart() {
        let memory = Arc::new(Memory::default());
        let book = Book::open(&[], Arc::clone(&memory) as Arc<dyn Keep>);
        let entry = begin(&book, "spring", 7, 1_000).unwrap();
        assert_eq!(begin(&book, "spring", 7, 1_000).err().unwrap(), "in_progress");
        begin(&book, "other", 1, 1_000).unwrap();
        assert_eq!(begin(&book, "third", 1, 1_000).err().unwrap(), "busy", "no more than two of an account");
        entry.change(2_000, |progress| (progress.state, progress.accepted) = (State::Done, 5));
        assert_eq!(begin(&book, "spring", 8, 3_000).err().unwrap(), "key_reused");
        assert_eq!((book.look(AccountId(3), "spring").unwrap().accepted, book.look(AccountId(4), "spring")), (5, None));

        let pages: Vec<_> = memory.0.lock().unwrap().clone().into_iter().collect();
        let book = Book::open(&pages, Arc::clone(&memory) as Arc<dyn Keep>);
        assert_eq!(book.look(AccountId(3), "spring").unwrap().state, State::Broken, "its end was not written down");
        assert_eq!(begin(&book, "spring", 8, 3_000).err().unwrap(), "key_reused");
        begin(&book, "spring", 7, 3_000).unwrap();
    }

    #[test]
    fn an_id_under_which_nothing_was_taken_may_be_sent_with_other_words() {
        let memory = Arc::new(Memory::default());
        let book = Book::open(&[], Arc::clone(&memory) as Arc<dyn Keep>);
        begin(&book, "spring", 1, 1_000).unwrap().change(2_000, |progress| (progress.state, progress.refused) = (State::Stopped, 3));
        begin(&book, "spring", 2, 3_000).unwrap().change(4_000, |progress| (progress.state, progress.accepted) = (State::Stopped, 1));
        assert_eq!(begin(&book, "spring", 3, 5_000).err().unwrap(), "key_reused", "a message was taken");
        begin(&book, "spring", 2, 5_000).unwrap().change(6_000, |progress| progress.state = State::Stopped);
        assert_eq!(begin(&book, "spring", 3, 7_000).err().unwrap(), "key_reused", "in a try before");
        // A kill leaves what was written at the beginning: what was taken since is not in it.
        begin(&book, "autumn", 1, 7_000).unwrap();
        let pages: Vec<_> = memory.0.lock().unwrap().clone().into_iter().collect();
        let book = Book::open(&pages, Arc::clone(&memory) as Arc<dyn Keep>);
        assert_eq!(begin(&book, "autumn", 2, 8_000).err().unwrap(), "key_reused");
    }

    #[test]
    fn the_oldest_are_forgotten_when_there_are_too_many_and_all_when_their_time_is_over() {
        let memory = Arc::new(Memory::default());
        let book = Book::open(&[], Arc::clone(&memory) as Arc<dyn Keep>);
        for n in 0..KNOWN_MAX as u64 + 20 {
            begin(&book, &n.to_string(), 0, n).unwrap().change(n, |progress| progress.state = State::Done);
        }
        assert_eq!(memory.0.lock().unwrap().len(), KNOWN_MAX);
        assert!(book.look(AccountId(3), "0").is_none() && book.look(AccountId(3), "119").is_some());
        begin(&book, "late", 0, KNOWN_MS + 200).unwrap();
        assert_eq!(memory.0.lock().unwrap().len(), 1);
    }
}
