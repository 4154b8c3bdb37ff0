//! Who may bind: accounts by system_id, their passwords, addresses and bind limits, and the growing delay after failures. An
//! argon2id check runs elsewhere (see [`Verifier`]); what it found is remembered, so that a storm of binds costs one check.

use crate::config::{Account, AccountSecret, BindType};
use crate::engine::port::SessionId;
use crate::model::{AccountId, Now};
use crate::smpp::{BindKind, status};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most (address, system_id) pairs whose failures are remembered; beyond it new ones go unpunished until old ones end.
pub const FAILURES_MAX: usize = 10_000;
/// Longest delay after failures.
const DELAY_MAX_MS: u64 = 60_000;
/// Failures are forgotten after so long without another.
const FORGET_MS: u64 = 10 * 60_000;
/// Most argon2id checks of one account under way at once; the rest is told to come back.
pub const CHECKS_MAX: usize = 4;

/// One account, as sessions hold it.
#[derive(Debug)]
pub struct AccountEntry {
    /// Its id.
    pub id: AccountId,
    /// Its settings.
    pub settings: Account,
}

/// All accounts that may bind. Shared by all sessions; the accounts never change, the small state beside them does.
#[derive(Debug)]
pub struct Accounts {
    by_system_id: HashMap<Box<[u8]>, Arc<AccountEntry>>,
    failed_bind_delay_ms: u64,
    /// Keys of the hash under which verified passwords are remembered: drawn anew in each run, never written anywhere.
    keys: (RandomState, RandomState),
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    per_account: HashMap<AccountId, PerAccount>,
    failures: HashMap<(IpAddr, u64), Failures>,
}

#[derive(Debug, Default)]
struct PerAccount {
    binds: u32,
    /// Its clones are the checks under way: one that is dropped with its session gives its place back.
    checks: Arc<()>,
    verified: Option<PasswordMark>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last_ms: u64,
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
        let by_system_id = accounts
            .iter()
            .enumerate()
            .map(|(index, settings)| {
                let entry = AccountEntry { id: AccountId(index as u32), settings: settings.clone() };
                (settings.system_id.as_bytes().into(), Arc::new(entry))
            })
            .collect();
        Accounts { by_system_id, failed_bind_delay_ms, keys: (RandomState::new(), RandomState::new()), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock, so a poisoned one is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if any account has credentials beyond the specification's bounds.
    pub fn any_long_credentials(&self) -> bool {
        self.by_system_id.values().any(|entry| entry.settings.long_credentials)
    }

    /// Looks at a bind request. `Right` still needs [`Accounts::take_bind`].
    pub fn check(&self, session: SessionId, kind: BindKind, system_id: &[u8], password: &[u8], peer: IpAddr, now: Now) -> BindCheck {
        if self.is_delayed(peer, system_id, now) {
            return BindCheck::Refused { status: status::ESME_RBINDFAIL, failed: false };
        }
        let Some(entry) = self.by_system_id.get(system_id) else {
            self.failed(peer, system_id, now);
            return BindCheck::Refused { status: status::ESME_RINVSYSID, failed: true };
        };
        let kind = match kind {
            BindKind::Transmitter => BindType::Tx,
            BindKind::Receiver => BindType::Rx,
            BindKind::Transceiver => BindType::Trx,
        };
        if !entry.settings.allows_address(peer) || !entry.settings.bind_types.contains(&kind) {
            return BindCheck::Refused { status: status::ESME_RBINDFAIL, failed: false };
        }
        let mark = self.mark(system_id, password);
        match &entry.settings.secret {
            AccountSecret::Plain(right) if same(right.expose().as_bytes(), password) => BindCheck::Right(Arc::clone(entry)),
            AccountSecret::Plain(_) => {
                self.failed(peer, system_id, now);
                BindCheck::Refused { status: status::ESME_RINVPASWD, failed: true }
            }
            AccountSecret::Hash(_) => {
                let mut state = self.state();
                let account = state.per_account.entry(entry.id).or_default();
                if account.verified == Some(mark) {
                    return BindCheck::Right(Arc::clone(entry));
                }
                if Arc::strong_count(&account.checks) > CHECKS_MAX {
                    return BindCheck::Refused { status: status::ESME_RSYSERR, failed: false };
                }
                let _under_way = Arc::clone(&account.checks);
                BindCheck::Ask(AuthenticateJob { session, account: Arc::clone(entry), password: password.into(), mark, _under_way })
            }
        }
    }

    /// Takes note of a finished check and says what the bind gets.
    pub fn finish(&self, done: Authenticated, peer: IpAddr, now: Now) -> BindCheck {
        if done.right {
            self.state().per_account.entry(done.account.id).or_default().verified = Some(done.mark);
            return BindCheck::Right(done.account);
        }
        self.failed(peer, done.account.settings.system_id.as_bytes(), now);
        BindCheck::Refused { status: status::ESME_RINVPASWD, failed: true }
    }

    /// Counts a bind of the account; `false` if it has as many as it may.
    pub fn take_bind(&self, entry: &AccountEntry) -> bool {
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

    /// The first failure costs nothing (a slip); from the second on the delay doubles.
    fn is_delayed(&self, peer: IpAddr, system_id: &[u8], now: Now) -> bool {
        let key = (peer, self.keys.0.hash_one(system_id));
        let state = self.state();
        let Some(failures) = state.failures.get(&key) else { return false };
        let doubled = self.failed_bind_delay_ms.saturating_mul(1 << failures.count.saturating_sub(2).min(16));
        failures.count > 1 && now.mono_ms() < failures.last_ms + doubled.min(DELAY_MAX_MS)
    }

    fn failed(&self, peer: IpAddr, system_id: &[u8], now: Now) {
        let key = (peer, self.keys.0.hash_one(system_id));
        let now_ms = now.mono_ms();
        let mut state = self.state();
        if state.failures.len() >= FAILURES_MAX && !state.failures.contains_key(&key) {
            state.failures.retain(|_, failures| now_ms < failures.last_ms + FORGET_MS);
            if state.failures.len() >= FAILURES_MAX {
                return;
            }
        }
        let failures = state.failures.entry(key).or_insert(Failures { count: 0, last_ms: now_ms });
        if now_ms >= failures.last_ms + FORGET_MS {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last_ms = now_ms;
    }

    fn mark(&self, system_id: &[u8], password: &[u8]) -> PasswordMark {
        (self.keys.0.hash_one((system_id, password)), self.keys.1.hash_one((system_id, password)))
    }
}
