//! API keys: who a request is from, and whether it may be made. Found by the SHA-256 of what was shown, so that a look-up takes the same work whatever it
//! finds. The keys are swapped as a whole when the configuration is reloaded; what is used up of a key's rate stays with it.

use super::super::problem::Problem;
use super::issued::{Book, Issued};
use crate::config::{Account, ApiKey, KEY_MAX, Scope, hash_of};
use crate::http::hooks::account_sid;
use crate::model::AccountId;
use crate::number::RangeTable;
use axum::http::{HeaderMap, StatusCode, header};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// A key that is in force.
pub struct Key {
    /// Whose it is.
    pub account: AccountId,
    settings: ApiKey,
    /// It is good for nothing from this wall time on, milliseconds.
    expires_ms: u64,
    limiter: Option<DefaultDirectRateLimiter>,
}

/// Everything of the configuration that the public port looks at.
#[derive(Default)]
struct Table {
    by_hash: HashMap<[u8; 32], Arc<Key>>,
    by_sid: HashMap<String, AccountId>,
    ranges: Option<Arc<RangeTable>>,
}

/// What the configuration says.
#[derive(Default)]
struct Configured {
    accounts: Vec<(String, Vec<ApiKey>)>,
    ranges: Option<Arc<RangeTable>>,
}

/// The keys in force.
pub struct Keys {
    table: RwLock<Arc<Table>>,
    configured: Mutex<Configured>,
    book: Book,
}

impl Keys {
    fn table(&self) -> Arc<Table> {
        // Nothing that can panic runs under this lock, so a poisoned one is still whole.
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// None yet but those of `book`, which are in force with their accounts.
    pub fn new(book: Book) -> Keys {
        Keys { table: RwLock::default(), configured: Mutex::default(), book }
    }

    /// These accounts (by their ids) and what is known of numbers, from now on.
    pub fn replace(&self, accounts: &[Account], ranges: Arc<RangeTable>) {
        let mut configured = self.configured.lock().unwrap_or_else(PoisonError::into_inner);
        configured.accounts = accounts.iter().map(|account| (account.name.clone(), account.api_keys.clone())).collect();
        configured.ranges = Some(ranges);
        self.arrange(&configured);
    }

    /// Keys that were made or revoked while running.
    pub fn issued(&self) -> Vec<Issued> {
        self.book.all()
    }

    /// Makes or revokes one; durable and in force on return.
    ///
    /// # Errors
    /// It can't be written down.
    pub async fn put(self: &Arc<Self>, issued: Issued) -> Result<(), Problem> {
        let keys = Arc::clone(self);
        // Whoever asked may hang up meanwhile: what is durable must be in force too.
        let putting = tokio::spawn(async move {
            keys.book.put(issued).await?;
            keys.arrange(&keys.configured.lock().unwrap_or_else(PoisonError::into_inner));
            Ok(())
        });
        putting.await.map_err(|_| crate::http::look::odd())?
    }

    /// Lays what was changed while running over what is configured.
    fn arrange(&self, configured: &Configured) {
        let (before, issued) = (self.table(), self.book.all());
        let mut next = Table { ranges: configured.ranges.clone(), ..Table::default() };
        for (at, (name, keys)) in configured.accounts.iter().enumerate() {
            let id = AccountId(at as u32);
            next.by_sid.extend([account_sid(name), name.clone()].map(|sid| (sid, id)));
            let own = || issued.iter().filter(|issued| issued.account == *name);
            let made = own().filter(|issued| !issued.revoked).map(|issued| &issued.settings);
            for settings in keys.iter().chain(made) {
                if own().any(|issued| issued.revoked && issued.settings.hash == settings.hash) {
                    continue;
                }
                let kept = before.by_hash.get(&settings.hash).filter(|key| key.account == id && key.settings == *settings);
                let key = kept.cloned().unwrap_or_else(|| Arc::new(Key::new(id, settings)));
                next.by_hash.insert(settings.hash, key);
            }
        }
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }

    /// What is known of numbers.
    pub fn ranges(&self) -> Option<Arc<RangeTable>> {
        self.table().ranges.clone()
    }

    /// The account that is called so in Twilio's way, or by its name.
    pub fn by_sid(&self, sid: &str) -> Option<AccountId> {
        self.table().by_sid.get(sid).copied()
    }

    /// The key is still in force.
    pub fn holds(&self, key: &Arc<Key>, now_ms: u64) -> bool {
        key.expires_ms > now_ms && self.table().by_hash.get(&key.settings.hash).is_some_and(|held| Arc::ptr_eq(held, key))
    }

    /// The key of an `Authorization: Bearer` header, if it may be used from there now.
    ///
    /// # Errors
    /// 401, 403 and 429.
    pub fn bearer(&self, headers: &HeaderMap, peer: IpAddr, now_ms: u64) -> Result<Arc<Key>, Problem> {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        self.admit(shown.unwrap_or_default(), peer, now_ms)
    }

    /// The key that was shown, if it may be used from there now.
    ///
    /// # Errors
    /// 401, 403 and 429.
    pub fn admit(&self, shown: &[u8], peer: IpAddr, now_ms: u64) -> Result<Arc<Key>, Problem> {
        let shown = shown.trim_ascii();
        let unknown = |what: &str| {
            let fix = "Authorization: Bearer KEY, with a key of [[account.api_key]] that is in force";
            Problem::new(StatusCode::UNAUTHORIZED, "no_key", "authorization", what, fix)
        };
        if shown.is_empty() || shown.len() > KEY_MAX {
            return Err(unknown("there is no key"));
        }
        let found = self.table().by_hash.get(&hash_of(shown)).cloned();
        let key = found.ok_or_else(|| unknown("the key is not known"))?;
        if key.expires_ms <= now_ms {
            return Err(unknown(&format!("the key {} has expired", key.id())));
        }
        if !key.settings.allows_address(peer) {
            let what = format!("the key {} may not be used from this address", key.id());
            return Err(Problem::new(StatusCode::FORBIDDEN, "wrong_address", "", what, "one of its allowed_addresses"));
        }
        key.pay()?;
        Ok(key)
    }
}

impl Key {
    fn new(account: AccountId, settings: &ApiKey) -> Key {
        let start = settings.expires.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
        let expires_ms = start.map_or(u64::MAX, |start| u64::try_from(start.timestamp().as_millisecond()).unwrap_or(0));
        let rate = settings.rate_per_s.and_then(NonZeroU32::new);
        Key { account, settings: settings.clone(), expires_ms, limiter: rate.map(|rate| RateLimiter::direct(Quota::per_second(rate))) }
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.settings.id
    }

    fn pay(&self) -> Result<(), Problem> {
        let Some(Err(not_until)) = self.limiter.as_ref().map(|limiter| limiter.check()) else { return Ok(()) };
        let wait = not_until.wait_time_from(DefaultClock::default().now());
        let what = "the key's requests a second are used up";
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "", what, "again after the seconds of Retry-After");
        Err(problem.retry_after(wait.as_secs() as u32 + 1))
    }

    /// It may do this.
    ///
    /// # Errors
    /// 403.
    pub fn needs(&self, scope: Scope) -> Result<(), Problem> {
        if self.settings.scopes.contains(&scope) {
            return Ok(());
        }
        let what = format!("the key lacks the scope {}", scope.name());
        Err(Problem::new(StatusCode::FORBIDDEN, "wrong_scope", "", what, "a key with this scope"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const NOW_MS: u64 = 1_790_000_000_000;

    struct Nowhere;

    impl crate::http::Keep for Nowhere {
        fn keep(&self, _: crate::store::LedgerUpdate) -> crate::http::admin::Boxed<'_, bool> {
            Box::pin(async { true })
        }
    }

    fn keys(settings: ApiKey) -> Keys {
        let keys = Keys::new(Book::open(&[], Arc::new(Nowhere)));
        keys.replace(&[Account { api_keys: vec![settings], ..Account::plain("shop", "x") }], RangeTable::shipped());
        keys
    }

    fn code(keys: &Keys, key: &str) -> (u16, String) {
        keys.admit(key.as_bytes(), HERE, NOW_MS)
            .map_or_else(|problem| (problem.status, problem.code.into()), |key| (200, key.id().to_owned()))
    }

    #[test]
    fn a_key_is_good_while_it_is_configured_not_expired_and_used_from_where_it_may() {
        let settings = ApiKey::plain("backend", "a-key-that-nobody-guesses");
        assert_eq!(code(&keys(settings.clone()), "a-key-that-nobody-guesses"), (200, "backend".to_owned()));
        assert_eq!(code(&keys(settings.clone()), "another-key-nobody-guesses").1, "no_key");
        assert_eq!(code(&keys(settings.clone()), "").1, "no_key");
        let past = ApiKey { expires: Some(jiff::civil::date(2026, 1, 1)), ..settings.clone() };
        assert_eq!(code(&keys(past), "a-key-that-nobody-guesses").0, 401);
        let elsewhere = ApiKey { allowed_addresses: vec!["192.0.2.0/24".parse().unwrap()], ..settings.clone() };
        assert_eq!(code(&keys(elsewhere), "a-key-that-nobody-guesses"), (403, "wrong_address".to_owned()));
        let revoked = keys(settings);
        revoked.replace(&[Account::plain("shop", "x")], RangeTable::shipped());
        assert_eq!(code(&revoked, "a-key-that-nobody-guesses").0, 401);
    }

    #[test]
    fn a_keys_rate_is_kept_through_a_reload_and_told_in_seconds() {
        let settings = ApiKey { rate_per_s: Some(2), ..ApiKey::plain("slow", "a-key-that-nobody-guesses") };
        let keys = keys(settings.clone());
        for _ in 0..2 {
            assert_eq!(code(&keys, "a-key-that-nobody-guesses").0, 200);
        }
        keys.replace(&[Account { api_keys: vec![settings], ..Account::plain("shop", "x") }], RangeTable::shipped());
        let refused = keys.admit(b"a-key-that-nobody-guesses", HERE, NOW_MS).err().unwrap();
        assert_eq!((refused.status, refused.retry_after_s), (429, Some(1)));
    }
}
