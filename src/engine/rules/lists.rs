//! Block lists and opt-out lists: sets of numbers at three levels. What stands in one is not written to: by anybody (platform), by an account, or from a
//! sender, whoever uses it.

use crate::model::address::ADDRESS_MAX;
use crate::model::{AccountId, Address, Refusal};
use crate::number::SortedNumbers;
use arrayvec::ArrayVec;
use std::collections::BTreeMap;

/// Lists that there may be: one per sender that phones replied to, and few others.
pub const LISTS_MAX: usize = 100_000;
/// Numbers that may stand in all lists together.
pub const NUMBERS_MAX: usize = 200_000_000;

/// Why numbers stand in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ListKind {
    /// Somebody with the right to do so put them there.
    Block = 0,
    /// Their owners asked for it. A reply takes them out again where that is configured.
    OptOut = 1,
}

impl ListKind {
    /// All kinds.
    pub const ALL: [ListKind; 2] = [ListKind::Block, ListKind::OptOut];

    /// The name in metrics, logs and the API.
    pub fn name(self) -> &'static str {
        match self {
            ListKind::Block => "block",
            ListKind::OptOut => "opt_out",
        }
    }

    /// What a message to a listed number is refused with.
    pub fn refusal(self) -> Refusal {
        match self {
            ListKind::Block => Refusal::Blocked,
            ListKind::OptOut => Refusal::OptedOut,
        }
    }
}

/// A sender as lists name it: letters in lower case, no plus.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sender(ArrayVec<u8, ADDRESS_MAX>);

impl Sender {
    /// The sender that these characters name; `None` for none or too many.
    pub fn new(written: &[u8]) -> Option<Sender> {
        let written = written.strip_prefix(b"+").unwrap_or(written);
        let folded: ArrayVec<u8, ADDRESS_MAX> = ArrayVec::try_from(written).ok()?;
        (!folded.is_empty()).then(|| Sender(folded.iter().map(u8::to_ascii_lowercase).collect()))
    }

    /// Its characters.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Whom a list binds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Everybody.
    Platform,
    /// One account.
    Account(AccountId),
    /// Whatever is sent from this sender or, where it is all digits, from an extension of it.
    Sender(Sender),
}

impl Level {
    /// The name of the level in metrics, logs and the API.
    pub fn name(&self) -> &'static str {
        match self {
            Level::Platform => "platform",
            Level::Account(_) => "account",
            Level::Sender(_) => "sender",
        }
    }
}

/// Names a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListName {
    /// Whom it binds.
    pub level: Level,
    /// Why numbers stand in it.
    pub kind: ListKind,
}

impl ListName {
    /// The list of this level and kind.
    pub fn new(kind: ListKind, level: Level) -> ListName {
        ListName { level, kind }
    }

    /// A plain name, different for each list: the name of its records in the ledger.
    pub fn text(&self) -> String {
        match &self.level {
            Level::Platform => format!("{}/platform", self.kind.name()),
            Level::Account(account) => format!("{}/account/{}", self.kind.name(), account.0),
            Level::Sender(sender) => format!("{}/sender/{}", self.kind.name(), sender.as_bytes().escape_ascii()),
        }
    }
}

/// Numbers, sorted, each once, none of them 0: what changes of lists are made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Numbers(Vec<u64>);

impl Numbers {
    /// Sorts packed numbers; whoever hands over millions does this on a thread of their own.
    pub fn new(mut numbers: Vec<u64>) -> Numbers {
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.first() == Some(&0) {
            numbers.remove(0);
        }
        Numbers(numbers)
    }

    /// They.
    pub fn as_slice(&self) -> &[u64] {
        &self.0
    }
}

/// All lists.
#[derive(Debug, Default)]
pub struct Lists {
    sets: BTreeMap<ListName, SortedNumbers>,
    /// Numbers in all of them.
    total: usize,
    /// Bit n: there is a list for a sender of n characters.
    sender_lengths: u32,
    /// Lists came or went, or any number did, since the last look.
    pub(super) changed: bool,
}

impl Lists {
    /// Nobody stands in any list.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Numbers in all lists.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Every list with its numbers, in order of their names.
    pub fn all(&self) -> impl Iterator<Item = (&ListName, &SortedNumbers)> {
        self.sets.iter()
    }

    /// One list, if anybody stands in it.
    pub fn get(&self, name: &ListName) -> Option<&SortedNumbers> {
        self.sets.get(name)
    }

    /// Lists that nobody stands in, and of whom the ledger has been told so.
    pub(super) fn forget_empty(&mut self) {
        self.sets.retain(|_, set| !set.is_empty() || set.changed() > 0);
    }

    pub(super) fn sets_mut(&mut self) -> impl Iterator<Item = (&ListName, &mut SortedNumbers)> {
        self.sets.iter_mut()
    }

    /// There is room for `more` numbers in this list.
    pub fn has_room(&self, name: &ListName, more: usize) -> bool {
        self.total + more <= NUMBERS_MAX && (self.sets.contains_key(name) || self.sets.len() < LISTS_MAX)
    }

    /// Puts sorted numbers into a list; gives how many are new.
    pub fn add(&mut self, name: &ListName, numbers: &[u64]) -> usize {
        if numbers.is_empty() {
            return 0;
        }
        if !self.sets.contains_key(name) {
            if let Level::Sender(sender) = &name.level {
                self.sender_lengths |= 1 << sender.as_bytes().len();
            }
            self.sets.insert(name.clone(), SortedNumbers::default());
        }
        let Some(set) = self.sets.get_mut(name) else { return 0 };
        let new = set.insert_all(numbers);
        self.total += new;
        self.changed |= new > 0;
        new
    }

    /// Takes sorted numbers out of a list; gives how many were there.
    pub fn remove(&mut self, name: &ListName, numbers: &[u64]) -> usize {
        let Some(set) = self.sets.get_mut(name) else { return 0 };
        let gone = set.remove_all(numbers);
        self.total -= gone;
        self.changed |= gone > 0;
        gone
    }

    /// Takes all numbers out of a list; gives how many there were.
    pub fn clear(&mut self, name: &ListName) -> usize {
        let gone = self.sets.get_mut(name).map_or(0, SortedNumbers::clear);
        self.total -= gone;
        self.changed |= gone > 0;
        gone
    }

    /// Lists of recovery: this part of this list.
    pub(super) fn restore(&mut self, name: &ListName, numbers: &[u64]) {
        self.add(name, numbers);
        self.changed = false;
    }

    /// The first list that forbids `account` to write to `number` from `source`: opt-outs first, then from the platform down.
    pub fn find(&self, number: u64, account: AccountId, source: &Address) -> Option<(ListKind, &'static str)> {
        let mut found = None;
        self.each(number, account, source, &mut |name| {
            let better = found.is_none_or(|(kind, _)| kind == ListKind::Block && name.kind == ListKind::OptOut);
            if better {
                found = Some((name.kind, name.level.name()));
            }
        });
        found
    }

    /// Every list that binds this account and sender and holds `number`.
    pub fn each(&self, number: u64, account: AccountId, source: &Address, each: &mut dyn FnMut(&ListName)) {
        let mut look = |name: ListName| {
            if self.sets.get(&name).is_some_and(|set| set.contains(number)) {
                each(&name);
            }
        };
        for kind in ListKind::ALL {
            look(ListName::new(kind, Level::Platform));
            look(ListName::new(kind, Level::Account(account)));
        }
        if self.sender_lengths == 0 {
            return;
        }
        let Some(sender) = Sender::new(source.as_bytes()) else { return };
        for prefix in self.senders_before(&sender) {
            for kind in ListKind::ALL {
                look(ListName::new(kind, Level::Sender(prefix.clone())));
            }
        }
    }

    /// The sender itself and, if it is all digits, what it may be an extension of; only in lengths for which there are lists.
    fn senders_before<'a>(&'a self, sender: &'a Sender) -> impl Iterator<Item = Sender> + 'a {
        let whole = sender.as_bytes();
        let shortest = if whole.iter().all(u8::is_ascii_digit) { 1 } else { whole.len() };
        (shortest..=whole.len()).filter(|&length| self.sender_lengths >> length & 1 == 1).filter_map(|length| Sender::new(&whole[..length]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: u64 = 13 << 60 | 8_613_800_138_000;
    const SHOP: AccountId = AccountId(3);

    fn from(sender: &[u8]) -> Address {
        Address::new(0, 0, sender).unwrap()
    }

    fn sender(digits: &[u8]) -> Level {
        Level::Sender(Sender::new(digits).unwrap())
    }

    #[test]
    fn each_level_binds_whom_it_says() {
        for (level, binds, spares) in [
            (Level::Platform, vec![(SHOP, &b"SHOP"[..]), (AccountId(0), b"1069")], vec![]),
            (Level::Account(SHOP), vec![(SHOP, b"SHOP")], vec![(AccountId(4), &b"SHOP"[..])]),
            (
                sender(b"1069001"),
                vec![(SHOP, b"1069001"), (AccountId(0), b"106900188"), (SHOP, b"+1069001")],
                vec![(SHOP, b"1069002"), (SHOP, b"106900")],
            ),
            (sender(b"Shop"), vec![(SHOP, b"SHOP"), (AccountId(0), b"shop")], vec![(SHOP, b"SHOPS"), (SHOP, b"SHO")]),
        ] {
            let mut lists = Lists::default();
            lists.add(&ListName::new(ListKind::Block, level.clone()), &[NUMBER]);
            for (account, source) in binds {
                assert_eq!(lists.find(NUMBER, account, &from(source)), Some((ListKind::Block, level.name())), "{level:?} {source:?}");
                assert_eq!(lists.find(NUMBER + 1, account, &from(source)), None);
            }
            for (account, source) in spares {
                assert_eq!(lists.find(NUMBER, account, &from(source)), None, "{level:?} {account:?} {source:?}");
            }
        }
    }

    #[test]
    fn an_opt_out_is_told_before_a_block_and_both_are_counted() {
        let mut lists = Lists::default();
        let (block, out) = (ListName::new(ListKind::Block, Level::Platform), ListName::new(ListKind::OptOut, Level::Account(SHOP)));
        assert_eq!((lists.add(&block, &[NUMBER]), lists.add(&out, &[NUMBER, NUMBER + 1]), lists.total()), (1, 2, 3));
        assert_eq!(lists.find(NUMBER, SHOP, &from(b"x")), Some((ListKind::OptOut, "account")));
        assert_eq!((lists.remove(&out, &[NUMBER]), lists.remove(&out, &[NUMBER]), lists.total()), (1, 0, 2));
        assert_eq!(lists.find(NUMBER, SHOP, &from(b"x")), Some((ListKind::Block, "platform")));
        assert_eq!((lists.clear(&block), lists.clear(&block), lists.total()), (1, 0, 1));
        assert!(!lists.is_empty());
    }

    #[test]
    fn numbers_are_sorted_and_none_is_zero() {
        assert_eq!(Numbers::new(vec![5, 0, 3, 5]).as_slice(), [3, 5]);
    }
}
