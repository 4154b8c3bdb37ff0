//! Who may bind: accounts by system_id, their passwords, addresses and bind limits, and the growing delay after failures. An
//! argon2id check runs elsewhere (see [`Verifier`]); what it found is remembered, so that a storm of binds costs one check.

use super::failures::{Failures, LineGate};
use crate::config::{Account, AccountSecret, BindType};
use crate::engine::port::SessionId;
use crate::model::{AccountId, Now, Refusal};
use crate::smpp::{BindKind, status};
use crate::telemetry::{BIND_REFUSALS, REFUSAL_CAUSES};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

/// Most argon2id checks of one account under way at once; the rest is told to come back.
pub const CHECKS_MAX: usize = 4;

/// One account, as sessions hold it.
#[derive(Debug)]
pub struct AccountEntry {
    /// Its id.
    pub id: AccountId,
    /// Its settings.
    pub settings: Account,
    refusals: Arc<[AtomicU64; REFUSAL_CAUSES]>,
}

impl AccountEntry {
    /// Counts a request of this account that was refused.
    pub fn refused(&self, cause: Refusal) {
        self.refused_times(cause, 1);
    }

    /// Counts so many.
    pub fn refused_times(&self, cause: Refusal, times: u64) {
        self.refusals[cause as usize].fetch_add(times, Ordering::Relaxed);
    }

    /// Counts requests that could not be read at all.
    pub fn malformed(&self, requests: u64) {
        self.refusals[REFUSAL_CAUSES - 1].fetch_add(requests, Ordering::Relaxed);
    }

    /// Its refusals since the start, in the order of [`crate::telemetry::refusal_cause`].
    pub fn refusals(&self) -> [u64; REFUSAL_CAUSES] {
        std::array::from_fn(|cause| self.refusals[cause].load(Ordering::Relaxed))
    }
}

/// Why a bind was refused, in the order of [`BIND_REFUSALS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindCause {
    /// No account has this system_id.
    UnknownSystemId,
    /// The password is wrong.
    WrongPassword,
    /// The account may not bind from this address, or not in this way.
    NotAllowed,
    /// The account has as many binds as it may.
    Limit,
    /// Earlier failures: it was not looked at.
    Delayed,
    /// Too many passwords of the account are being checked.
    Busy,
}

impl BindCause {
    /// The status of the bind response (5.1.3).
    fn status(self) -> u32 {
        match self {
            BindCause::UnknownSystemId => status::ESME_RINVSYSID,
            BindCause::WrongPassword => status::ESME_RINVPASWD,
            BindCause::NotAllowed | BindCause::Delayed => status::ESME_RBINDFAIL,
            BindCause::Limit => status::ESME_RALYBND,
            BindCause::Busy => status::ESME_RSYSERR,
        }
    }

    /// The name in logs and metrics.
    pub fn name(self) -> &'static str {
        BIND_REFUSALS[self as usize]
    }
}

/// Where credentials were shown.
#[derive(Debug, Clone, Copy)]
pub enum Door {
    /// With a bind of this session.
    Smpp(SessionId),
    /// With a request, at the HTTP door of this name: v1, kannel, jasmin, twilio.
    Http(&'static str),
}

/// One line, with the same fields for each kind of door. `untold`: refusals of this peer that had none before it.
fn tell_refused(door: Door, system_id: &[u8], cause: &str, peer: IpAddr, untold: u64) {
    let system_id = system_id.escape_ascii();
    match door {
        Door::Smpp(session) => tracing::warn!(door = "smpp", session = session.0, %peer, %system_id, cause, untold, "bind refused"),
        Door::Http(door) => tracing::warn!(door, %peer, %system_id, cause, untold, "http login refused"),
    }
}

/// A client that binds and goes a hundred times a second fills no disk with it; one that opens all its sessions at once has a line for each.
#[derive(Debug)]
struct SessionLines(LineGate);

impl Default for SessionLines {
    fn default() -> SessionLines {
        SessionLines(LineGate::of(20))
    }
}

/// All accounts that may bind. Shared by all sessions; the accounts are swapped as a whole ([`Accounts::replace`]), the small state beside them stays.
#[derive(Debug)]
pub struct Accounts {
    directory: RwLock<Directory>,
    failed_bind_delay_ms: u64,
    /// Keys of the hash under which verified passwords are remembered: drawn anew in each run, never written anywhere.
    keys: (RandomState, RandomState),
    state: Mutex<State>,
    bind_refusals: [AtomicU64; BIND_REFUSALS.len()],
}

/// Accounts by their place, which is their id, and by system_id.
#[derive(Debug, Default)]
struct Directory {
    by_id: Vec<Arc<AccountEntry>>,
    by_system_id: HashMap<Box<[u8]>, Arc<AccountEntry>>,
    any_long_credentials: bool,
}

impl Directory {
    fn new(by_id: Vec<Arc<AccountEntry>>) -> Directory {
        Directory {
            by_system_id: by_id.iter().map(|entry| (entry.settings.system_id.as_bytes().into(), Arc::clone(entry))).collect(),
            any_long_credentials: by_id.iter().any(|entry| entry.settings.long_credentials),
            by_id,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    per_account: HashMap<AccountId, PerAccount>,
    failures: Failures,
    lines: LineGate,
    /// Of sessions that begin and end.
    session_lines: SessionLines,
}

#[derive(Debug, Default)]
struct PerAccount {
    binds: u32,
    /// Its clones are the checks under way: one that is dropped with its session gives its place back.
    checks: Arc<()>,
    verified: Option<PasswordMark>,
}

/// A keyed hash of (system_id, password).
type PasswordMark = (u64, u64);

/// What a bind request gets.
#[derive(Debug)]
pub enum BindCheck {
    /// The password is right.
    Right(Arc<AccountEntry>),
    /// The password must be checked by this job.
    Ask(AuthenticateJob),
    /// Refused with this status.
    Refused {
        /// For the bind response.
        status: u32,
        /// It was a failure of credentials: the answer is to be held back a little.
        failed: bool,
    },
}

/// A password to be checked against an argon2id hash: tens of milliseconds of work, never to be done where sockets are driven.
pub struct AuthenticateJob {
    /// Whose bind it is.
    pub session: SessionId,
    /// The account it claims to be.
    pub account: Arc<AccountEntry>,
    password: Box<[u8]>,
    mark: PasswordMark,
    _under_way: Arc<()>,
}

impl std::fmt::Debug for AuthenticateJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthenticateJob").field("session", &self.session).finish_non_exhaustive()
    }
}

impl AuthenticateJob {
    /// Does the work.
    pub fn run(self) -> Authenticated {
        let right = match &self.account.settings.secret {
            AccountSecret::Plain(password) => same(password.expose().as_bytes(), &self.password),
            AccountSecret::Hash(hash) => verify_argon2(hash.expose(), &self.password),
        };
        Authenticated { account: self.account, mark: self.mark, right }
    }
}

/// What a check of a password found.
#[derive(Debug)]
pub struct Authenticated {
    account: Arc<AccountEntry>,
    mark: PasswordMark,
    right: bool,
}

/// Runs [`AuthenticateJob`]s off the threads of sockets and brings what they found back to the session's mailbox.
pub trait Verifier: Send + Sync + 'static {
    /// Takes a job; must not block.
    fn verify(&self, job: AuthenticateJob);
}

fn verify_argon2(hash: &str, password: &[u8]) -> bool {
    use argon2::PasswordVerifier;
    let Ok(hash) = argon2::PasswordHash::new(hash) else { return false };
    argon2::Argon2::default().verify_password(password, &hash).is_ok()
}

/// Compares in time that depends on the length only.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

impl Accounts {
    /// The directory of these accounts; their place is their id. `failed_bind_delay_ms`: the first delay after a failure.
    pub fn new(accounts: &[Account], failed_bind_delay_ms: u64) -> Accounts {
        let of = |(index, settings): (usize, &Account)| {
            let refusals = Arc::new(std::array::from_fn(|_| AtomicU64::new(0)));
            Arc::new(AccountEntry { id: AccountId(index as u32), settings: settings.clone(), refusals })
        };
        Accounts {
            directory: RwLock::new(Directory::new(accounts.iter().enumerate().map(of).collect())),
            failed_bind_delay_ms,
            keys: (RandomState::new(), RandomState::new()),
            state: Mutex::default(),
            bind_refusals: Default::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock, so a poisoned one is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if any account has credentials beyond the specification's bounds.
    pub fn any_long_credentials(&self) -> bool {
        self.directory().any_long_credentials
    }

    fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        // Nothing that can panic runs under this lock, so a poisoned one is still whole.
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account as it is configured now; `None` if it is no more, and nobody may bind as it.
    pub fn get(&self, id: AccountId) -> Option<Arc<AccountEntry>> {
        self.directory().by_id.get(id.0 as usize).filter(|entry| !entry.settings.bind_types.is_empty()).cloned()
    }

    /// The name of an account, also of one that is configured no more; empty if there never was one.
    pub fn name(&self, id: AccountId) -> String {
        self.directory().by_id.get(id.0 as usize).map(|entry| entry.settings.name.clone()).unwrap_or_default()
    }

    /// All that are configured now.
    pub fn all(&self) -> Vec<Arc<AccountEntry>> {
        self.directory().by_id.iter().filter(|entry| !entry.settings.bind_types.is_empty()).cloned().collect()
    }

    /// The account of this name, as [`Accounts::get`].
    pub fn named(&self, name: &str) -> Option<Arc<AccountEntry>> {
        let found = self.directory().by_id.iter().find(|entry| entry.settings.name == name).cloned();
        found.filter(|entry| !entry.settings.bind_types.is_empty())
    }

    /// Other accounts from now on, at the same places as before and more behind them. Counters go on, remembered passwords of those that changed don't.
    /// Sessions learn of it by [`super::registry::Registry::accounts_changed`].
    pub fn replace(&self, accounts: &[Account]) {
        let before = self.directory().by_id.clone();
        let of = |(index, settings): (usize, &Account)| match before.get(index) {
            Some(entry) if entry.settings == *settings => Arc::clone(entry),
            other => {
                let none = || Arc::new(std::array::from_fn(|_| AtomicU64::new(0)));
                let refusals = other.map_or_else(none, |entry| Arc::clone(&entry.refusals));
                Arc::new(AccountEntry { id: AccountId(index as u32), settings: settings.clone(), refusals })
            }
        };
        let next = Directory::new(accounts.iter().enumerate().map(of).collect());
        let mut state = self.state();
        for (old, new) in before.iter().zip(&next.by_id).filter(|(old, new)| old.settings.secret != new.settings.secret) {
            debug_assert_eq!(old.id, new.id);
            if let Some(account) = state.per_account.get_mut(&new.id) {
                account.verified = None;
            }
        }
        state.failures.forget_passwords();
        drop(state);
        *self.directory.write().unwrap_or_else(PoisonError::into_inner) = next;
    }

    /// Looks at a bind request. `Right` still needs [`Accounts::take_bind`].
    pub fn check(&self, session: SessionId, kind: BindKind, system_id: &[u8], password: &[u8], peer: IpAddr, now: Now) -> BindCheck {
        let kind = match kind {
            BindKind::Transmitter => BindType::Tx,
            BindKind::Receiver => BindType::Rx,
            BindKind::Transceiver => BindType::Trx,
        };
        self.judge(session, Some(kind), system_id, password, peer, now)
            .unwrap_or_else(|cause| self.refused(cause, Door::Smpp(session), (system_id, self.mark(system_id, password)), peer, now))
    }

    /// Looks at credentials that came with a request at an HTTP door instead of a bind. What must be asked is told by [`Accounts::finish`].
    pub fn check_request(&self, door: &'static str, system_id: &[u8], password: &[u8], peer: IpAddr, now: Now) -> BindCheck {
        self.judge(SessionId(0), None, system_id, password, peer, now)
            .unwrap_or_else(|cause| self.refused(cause, Door::Http(door), (system_id, self.mark(system_id, password)), peer, now))
    }

    /// Tells of credentials that an HTTP door looked at itself and refused. `name`: whose they were to be, as far as was said.
    pub fn login_refused(&self, door: &'static str, name: &[u8], cause: &str, peer: IpAddr, now: Now) {
        let passes = self.state().lines.pass(peer, now.mono_ms());
        if let Some(untold) = passes {
            tell_refused(Door::Http(door), name, cause, peer, untold);
        }
    }

    fn judge(
        &self,
        session: SessionId,
        kind: Option<BindType>,
        system_id: &[u8],
        password: &[u8],
        peer: IpAddr,
        now: Now,
    ) -> Result<BindCheck, BindCause> {
        let entry = self.directory().by_system_id.get(system_id).cloned();
        let mark = self.mark(system_id, password);
        let name = self.keys.0.hash_one(system_id);
        {
            let failures = &self.state().failures;
            if failures.is_known(peer, name, mark.0, now.mono_ms()) {
                return Err(entry.map_or(BindCause::UnknownSystemId, |_| BindCause::WrongPassword));
            }
            if failures.delays(peer, name, self.failed_bind_delay_ms, now.mono_ms()) {
                return Err(BindCause::Delayed);
            }
        }
        let Some(entry) = entry else { return Err(BindCause::UnknownSystemId) };
        let entry = &entry;
        let types = &entry.settings.bind_types;
        // Nobody may use an account without any: it is configured no more.
        let may = kind.map_or(!types.is_empty(), |kind| types.contains(&kind));
        if !entry.settings.allows_address(peer) || !may {
            return Err(BindCause::NotAllowed);
        }
        match &entry.settings.secret {
            AccountSecret::Plain(right) if same(right.expose().as_bytes(), password) => Ok(BindCheck::Right(Arc::clone(entry))),
            AccountSecret::Plain(_) => Err(BindCause::WrongPassword),
            AccountSecret::Hash(_) => {
                let mut state = self.state();
                let account = state.per_account.entry(entry.id).or_default();
                if account.verified == Some(mark) {
                    return Ok(BindCheck::Right(Arc::clone(entry)));
                }
                if Arc::strong_count(&account.checks) > CHECKS_MAX {
                    return Err(BindCause::Busy);
                }
                let _under_way = Arc::clone(&account.checks);
                let account = Arc::clone(entry);
                Ok(BindCheck::Ask(AuthenticateJob { session, account, password: password.into(), mark, _under_way }))
            }
        }
    }

    /// Takes note of a finished check and says what the bind or request gets.
    pub fn finish(&self, door: Door, done: Authenticated, peer: IpAddr, now: Now) -> BindCheck {
        if done.right {
            self.state().per_account.entry(done.account.id).or_default().verified = Some(done.mark);
            return BindCheck::Right(done.account);
        }
        self.refused(BindCause::WrongPassword, door, (done.account.settings.system_id.as_bytes(), done.mark), peer, now)
    }

    /// `Some` if the beginning (and then the end) of a session of `peer` may be told in the log: with how many were not told before it.
    pub fn tells_session(&self, peer: IpAddr, now: Now) -> Option<u64> {
        self.state().session_lines.0.pass(peer, now.mono_ms())
    }

    /// Counts and tells a refusal, and what the bind gets for it.
    fn refused(&self, cause: BindCause, door: Door, (system_id, mark): (&[u8], PasswordMark), peer: IpAddr, now: Now) -> BindCheck {
        let failed = matches!(cause, BindCause::UnknownSystemId | BindCause::WrongPassword);
        self.bind_refusals[cause as usize].fetch_add(1, Ordering::Relaxed);
        let passes = {
            let mut state = self.state();
            let (name, now_ms) = (self.keys.0.hash_one(system_id), now.mono_ms());
            if failed && !state.failures.is_known(peer, name, mark.0, now_ms) {
                state.failures.add(peer, name, mark.0, now_ms);
            }
            state.lines.pass(peer, now.mono_ms())
        };
        if let Some(untold) = passes {
            tell_refused(door, system_id, cause.name(), peer, untold);
        }
        BindCheck::Refused { status: cause.status(), failed }
    }

    /// Binds refused since the start, in the order of [`BIND_REFUSALS`].
    pub fn bind_refusals(&self) -> [u64; BIND_REFUSALS.len()] {
        std::array::from_fn(|cause| self.bind_refusals[cause].load(Ordering::Relaxed))
    }

    /// Requests refused since the start, for each account that has an entry in `of` (by its id).
    pub fn refusals(&self, of: &mut [[u64; REFUSAL_CAUSES]]) {
        for entry in &self.directory().by_id {
            if let Some(place) = of.get_mut(entry.id.0 as usize) {
                *place = entry.refusals();
            }
        }
    }

    /// Counts a bind of the account; refuses it if the account has as many as it may.
    pub fn take_bind(&self, entry: &AccountEntry, session: SessionId, peer: IpAddr, now: Now) -> Result<(), BindCheck> {
        if self.count_bind(entry) {
            return Ok(());
        }
        let whose = (entry.settings.system_id.as_bytes(), PasswordMark::default());
        Err(self.refused(BindCause::Limit, Door::Smpp(session), whose, peer, now))
    }

    fn count_bind(&self, entry: &AccountEntry) -> bool {
        let mut state = self.state();
        let account = state.per_account.entry(entry.id).or_default();
        let room = account.binds < entry.settings.max_binds;
        account.binds += u32::from(room);
        room
    }

    /// A counted bind is over.
    pub fn release_bind(&self, entry: &AccountEntry) {
        if let Some(account) = self.state().per_account.get_mut(&entry.id) {
            account.binds = account.binds.saturating_sub(1);
        }
    }

    /// Binds of an account now.
    pub fn binds(&self, account: AccountId) -> u32 {
        self.state().per_account.get(&account).map_or(0, |account| account.binds)
    }

    fn mark(&self, system_id: &[u8], password: &[u8]) -> PasswordMark {
        (self.keys.0.hash_one((system_id, password)), self.keys.1.hash_one((system_id, password)))
    }
}
