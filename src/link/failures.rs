//! Memory of failed binds, bounded: who must wait, and whose refusals are told in the log. Old entries give way to new ones, so that a flood
//! of made-up names can't switch the memory off. What a failure is, is for `accounts` to say.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};

/// Most entries of one memory.
pub const REMEMBERED_MAX: usize = 10_000;
/// Longest delay after failures.
const DELAY_MAX_MS: u64 = 60_000;
/// Failures are forgotten after so long without another.
const FORGET_MS: u64 = 10 * 60_000;
/// Names that one address may fail as before it has to wait whatever the name: a site with several systems behind one address, all set up wrongly.
const NAMES_FREE: u32 = 5;
/// Least time between two log lines about one address.
const LINE_EVERY_MS: u64 = 1_000;

/// A map of two halves: when the young one is full it becomes the old one, and the old one's entries go.
#[derive(Debug)]
struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Recent { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<K: Hash + Eq, V: Copy + Default> Recent<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        self.young.get(key).or_else(|| self.old.get(key)).copied()
    }

    fn put(&mut self, key: K, value: V) {
        if self.young.len() >= REMEMBERED_MAX / 2 && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Failed {
    count: u32,
    last_ms: u64,
    /// Hash of the password that was shown last.
    password: u64,
}

impl Failed {
    /// The first `free` failures cost nothing; the next costs `first_ms`, and then it doubles.
    fn delays(self, free: u32, first_ms: u64, now_ms: u64) -> bool {
        let doubled = first_ms.saturating_mul(1 << self.count.saturating_sub(free + 1).min(16));
        self.count > free && now_ms < self.last_ms + doubled.min(DELAY_MAX_MS)
    }

    fn again(self, password: u64, now_ms: u64) -> Failed {
        let count = if now_ms >= self.last_ms + FORGET_MS { 0 } else { self.count };
        Failed { count: count.saturating_add(1), last_ms: now_ms, password }
    }
}

/// Failures by address and name, and by address alone.
#[derive(Debug, Default)]
pub struct Failures {
    pairs: Recent<(IpAddr, u64), Failed>,
    addresses: Recent<IpAddr, Failed>,
}

impl Failures {
    /// True while a bind from `peer` under the name with this hash is refused unseen. `first_ms`: the first delay.
    pub fn delays(&self, peer: IpAddr, name: u64, first_ms: u64, now_ms: u64) -> bool {
        let by_pair = self.pairs.get(&(peer, name)).is_some_and(|failed| failed.delays(1, first_ms, now_ms));
        by_pair || self.addresses.get(&network(peer)).is_some_and(|failed| failed.delays(NAMES_FREE, first_ms, now_ms))
    }

    /// The password with this hash was the last that was wrong here: it is as wrong as before, and nobody learns anything by it. A client that shows its
    /// old password without end needs no new look, and must not shut out others of its account that share its address.
    pub fn is_known(&self, peer: IpAddr, name: u64, password: u64, now_ms: u64) -> bool {
        let failed = self.pairs.get(&(peer, name));
        failed.is_some_and(|failed| failed.count > 0 && failed.password == password && now_ms < failed.last_ms + FORGET_MS)
    }

    /// What was wrong may be right from now on.
    pub fn forget_passwords(&mut self) {
        let all = self.pairs.young.values_mut().chain(self.pairs.old.values_mut());
        // No password has this hash but by a chance that is as small as that of any other.
        all.for_each(|failed| failed.password = 0);
    }

    /// Takes down a failure. One name counts once against its address, however often it fails: a single client with an old password must not
    /// shut out the others of its site, while somebody who tries names has each counted. `password`: its hash.
    pub fn add(&mut self, peer: IpAddr, name: u64, password: u64, now_ms: u64) {
        let failed = self.pairs.get(&(peer, name)).unwrap_or_default().again(password, now_ms);
        self.pairs.put((peer, name), failed);
        if failed.count == 1 {
            let network = network(peer);
            let failed = self.addresses.get(&network).unwrap_or_default().again(password, now_ms);
            self.addresses.put(network, failed);
        }
    }
}

/// What one site holds: an IPv4 address, or the 64 bits of an IPv6 network.
fn network(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() & !u128::from(u64::MAX))),
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Told {
    /// When all lines so far are paid for.
    paid_ms: u64,
    untold: u64,
}

/// Lets one log line an address and second pass, or so many at once, and counts the rest.
#[derive(Debug)]
pub struct LineGate {
    told: Recent<IpAddr, Told>,
    burst: u64,
}

impl Default for LineGate {
    fn default() -> LineGate {
        LineGate::of(1)
    }
}

impl LineGate {
    /// One through which so many lines about an address pass at once.
    pub fn of(burst: u64) -> LineGate {
        LineGate { told: Recent::default(), burst }
    }

    /// `Some` if a line about `peer` may be written now: with how many were held back before it.
    pub fn pass(&mut self, peer: IpAddr, now_ms: u64) -> Option<u64> {
        let told = self.told.get(&peer).unwrap_or_default();
        let paid_ms = told.paid_ms.max(now_ms);
        if paid_ms > now_ms + (self.burst - 1) * LINE_EVERY_MS {
            self.told.put(peer, Told { untold: told.untold + 1, ..told });
            return None;
        }
        self.told.put(peer, Told { paid_ms: paid_ms + LINE_EVERY_MS, untold: 0 });
        Some(told.untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    #[test]
    fn an_address_that_tries_many_names_waits_whatever_the_next_name_and_one_wrong_client_shuts_nobody_out() {
        let mut failures = Failures::default();
        for password in 1..=50 {
            failures.add(PEER, 1, password, 1_000);
        }
        assert!(failures.delays(PEER, 1, 1_000, 1_500));
        assert!(!failures.delays(PEER, 2, 1_000, 1_500), "another client of the same site");
        for name in 2..=u64::from(NAMES_FREE) + 1 {
            failures.add(PEER, name, 1, 2_000);
        }
        assert!(failures.delays(PEER, 99, 1_000, 2_999));
        assert!(!failures.delays(PEER, 99, 1_000, 3_000));
        failures.add(PEER, 99, 1, 3_000);
        assert!(failures.delays(PEER, 100, 1_000, 4_999), "it doubles");
        assert!(!failures.delays("198.51.100.1".parse().unwrap(), 100, 1_000, 4_999));
    }

    #[test]
    fn all_of_an_ipv6_network_counts_as_one_address() {
        let mut failures = Failures::default();
        for name in 0..10 {
            failures.add(format!("2001:db8::{name}").parse().unwrap(), name, 1, 1_000);
        }
        assert!(failures.delays("2001:db8::ffff".parse().unwrap(), 77, 1_000, 1_500));
        assert!(!failures.delays("2001:db8:0:1::1".parse().unwrap(), 77, 1_000, 1_500));
    }

    #[test]
    fn a_flood_of_names_pushes_old_entries_out_and_is_itself_remembered() {
        let mut failures = Failures::default();
        let flood = |at: u64| IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0A00_0000 + at as u32));
        for at in 0..3 * REMEMBERED_MAX as u64 {
            failures.add(flood(at), at, 1, 1_000);
        }
        assert!(failures.pairs.len() <= REMEMBERED_MAX && failures.addresses.len() <= REMEMBERED_MAX);
        failures.add(PEER, 1, 1, 1_000);
        failures.add(PEER, 1, 2, 1_000);
        assert!(failures.delays(PEER, 1, 1_000, 1_500), "new failures are taken down all the same");
    }

    #[test]
    fn one_line_an_address_and_second_passes_with_the_count_of_those_held_back() {
        let mut gate = LineGate::default();
        assert_eq!(gate.pass(PEER, 5_000), Some(0));
        assert_eq!(gate.pass(PEER, 5_001), None);
        assert_eq!(gate.pass(PEER, 5_999), None);
        assert_eq!(gate.pass("198.51.100.1".parse().unwrap(), 5_999), Some(0));
        assert_eq!(gate.pass(PEER, 6_000), Some(2));
        let mut gate = LineGate::of(3);
        let passed = |gate: &mut LineGate, at: u64| (0..10).filter_map(|_| gate.pass(PEER, at)).collect::<Vec<_>>();
        assert_eq!(passed(&mut gate, 5_000), [0, 0, 0]);
        assert_eq!(passed(&mut gate, 6_000), [7], "then one a second");
    }
}
