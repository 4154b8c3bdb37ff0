//! Ids. Each kind is a type of its own, so that two of them cannot be swapped in silence.

use std::fmt;

/// Index of an account in the plan; stable while the configuration names the account (kept by name on disk).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub u32);

/// Index of a carrier in the plan; stable while the configuration names the carrier (kept by name on disk).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CarrierId(pub u16);

/// A campaign of an account, by the number that the gateway gave its name; 0: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct CampaignId(pub u32);

impl CampaignId {
    /// Of no campaign.
    pub const NONE: CampaignId = CampaignId(0);
}

/// One live bind with a carrier: `generation` grows with every connection, so that what an old connection still
/// says can't be taken for the new one's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BindId {
    /// The carrier.
    pub carrier: CarrierId,
    /// Which of its configured binds, from 0.
    pub index: u16,
    /// Which connection, from 1; grows with each of them.
    pub generation: u32,
}

/// One live upstream session; never reused within a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// Sessions from here on belong to no socket: they are accounts' hooks.
const HOOKS_FROM: u64 = 1 << 40;

impl SessionId {
    /// That by which deliveries to addresses leave, for this account.
    pub fn hook_of(account: AccountId) -> SessionId {
        SessionId(HOOKS_FROM + u64::from(account.0))
    }

    /// It is an account's hook.
    pub fn is_hook(self) -> bool {
        self.0 >= HOOKS_FROM
    }

    /// Whose hook it is.
    pub fn hook_account(self) -> Option<AccountId> {
        self.0.checked_sub(HOOKS_FROM).map(|account| AccountId(account as u32))
    }
}

/// Our id of a message: time, node and sequence in one number below 2^63.
///
/// Laid out as `milliseconds since 2020 × 10^7 + node (0-9) × 10^6 + sequence (0-999,999)`, which stays below 2^63
/// until the year 2049 and is written as 19 decimal digits: fixed width without leading zeros from 2023 on, sorted by time, and accepted
/// by clients that read ids as signed 64-bit numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct MessageId(pub u64);

const EPOCH_2020_MS: u64 = 1_577_836_800_000;
const PER_MS: u64 = 10_000_000;
const PER_NODE: u64 = 1_000_000;

impl MessageId {
    /// The id as it is given to clients: 19 decimal digits.
    pub fn digits(self) -> [u8; 19] {
        let mut out = [b'0'; 19];
        let mut rest = self.0;
        for place in out.iter_mut().rev() {
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        out
    }

    /// Reads what a client sends back: 1 to 19 decimal digits, blanks around them ignored.
    pub fn parse(text: &[u8]) -> Option<MessageId> {
        let text = text.trim_ascii();
        if text.is_empty() || text.len() > 19 || !text.iter().all(u8::is_ascii_digit) {
            return None;
        }
        text.iter().try_fold(0u64, |sum, digit| sum.checked_mul(10)?.checked_add((digit - b'0') as u64)).map(MessageId)
    }

    /// The first id that can be made at this wall time.
    pub fn first_at(wall_ms: u64) -> MessageId {
        MessageId(wall_ms.saturating_sub(EPOCH_2020_MS).saturating_mul(PER_MS))
    }

    /// Wall clock milliseconds at which the id was made.
    pub fn made_at_ms(self) -> u64 {
        self.0 / PER_MS + EPOCH_2020_MS
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:019}", self.0)
    }
}

/// Makes message ids: strictly growing, also when the wall clock steps back or a million are made in one millisecond.
#[derive(Debug, Clone)]
pub struct MessageIds {
    node: u64,
    last: u64,
}

impl MessageIds {
    /// A source of ids for node `node` (0-9).
    pub fn new(node: u8) -> Self {
        assert!(node < 10, "a node number is one digit");
        MessageIds { node: u64::from(node), last: 0 }
    }

    /// No id up to and including `id` will be made again (used at recovery).
    pub fn advance_past(&mut self, id: MessageId) {
        self.last = self.last.max(id.0);
    }

    /// The last id that was made.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The next id at wall time `wall_ms`.
    pub fn next(&mut self, wall_ms: u64) -> MessageId {
        let base = wall_ms.saturating_sub(EPOCH_2020_MS) * PER_MS + self.node * PER_NODE;
        let mut next = base.max(self.last + 1);
        // Past the millisecond's million, or behind a clock that stepped back: borrow from the next millisecond, keeping our node's digit.
        if next / PER_NODE % 10 != self.node {
            next = (next / PER_MS + 1) * PER_MS + self.node * PER_NODE;
        }
        self.last = next;
        MessageId(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_keep_their_node_and_survive_a_clock_that_steps_back() {
        let mut ids = MessageIds::new(7);
        let mut last = MessageId(0);
        for step in 0..3_000_000u64 {
            let wall = 1_790_000_000_000 - step / 1000;
            let id = ids.next(wall);
            assert!(id > last && id.0 / PER_NODE % 10 == 7, "{id} after {last}");
            last = id;
        }
        assert_eq!(last.to_string().len(), 19);
        assert!(last.0 < 1 << 63);
        assert_eq!(MessageId::parse(&last.digits()), Some(last));
        assert_eq!(MessageId::parse(b"12x"), None);
        assert_eq!(MessageId::parse(b""), None);
    }
}
