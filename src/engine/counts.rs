//! Conservation: what was accepted, and where all of it is. Counted where it happens, in messages.

use crate::model::State;

/// Totals since the data directory was made, and what is alive now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Messages accepted.
    pub accepted: u64,
    /// Messages by state, in order of [`State::ALL`]. The two first are what is alive; the others only grow, except for provisional ones that a carrier's
    /// final replaces.
    pub by_state: [u64; 10],
}

impl Counts {
    /// A message went from `from` (or was just accepted) to `to`.
    pub fn step(&mut self, from: Option<State>, to: State) {
        match from {
            None => self.accepted += 1,
            Some(from) => self.by_state[from as usize] -= 1,
        }
        self.by_state[to as usize] += 1;
    }

    /// accepted minus the sum of all states: must be 0.
    pub fn imbalance(&self) -> i64 {
        self.accepted as i64 - self.by_state.iter().sum::<u64>() as i64
    }

    /// Octets for the ledger.
    pub fn to_octets(self) -> Vec<u8> {
        std::iter::once(self.accepted).chain(self.by_state).flat_map(u64::to_le_bytes).collect()
    }

    /// From the ledger's octets.
    pub fn from_octets(octets: &[u8]) -> Option<Counts> {
        let numbers: Vec<u64> = octets.chunks_exact(8).map(|c| c.try_into().map(u64::from_le_bytes)).collect::<Result<_, _>>().ok()?;
        let (accepted, by_state) = numbers.split_first()?;
        Some(Counts { accepted: *accepted, by_state: by_state.try_into().ok()? })
    }
}

/// Things counted for metrics only; they start at 0 with the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Receipts matched to a message.
    pub receipts_matched: u64,
    /// Receipts parked because nothing matched yet.
    pub receipts_parked: u64,
    /// Parked receipts that found their message later.
    pub receipts_unparked: u64,
    /// Parked receipts whose time was over.
    pub receipts_orphaned: u64,
    /// Receipts that said what was known already, or came after the end.
    pub receipts_repeated: u64,
    /// Receipts that a carrier was asked to deliver again later: too many waited for what is out of memory.
    pub receipts_put_off: u64,
    /// Doubts settled by a late answer or by a receipt.
    pub doubts_settled: u64,
    /// Messages sent once again because their outcome was in doubt.
    pub resent_in_doubt: u64,
    /// Deliveries upstream took.
    pub deliveries_taken: u64,
    /// Deliveries dropped: refused for good, too old, or past the outbox's bound.
    pub deliveries_dropped: u64,
    /// Inbound messages taken.
    pub inbound: u64,
    /// Inbound messages that belong to no account.
    pub inbound_unowned: u64,
    /// Messages that were expired before their time, because they could not leave before it.
    pub expired_early: u64,
    /// Receipts of a carrier that the message had left for another.
    pub receipts_late: u64,
    /// Messages that went to another carrier after a negative receipt.
    pub rerouted: u64,
    /// Throttle and queue-full answers of carriers.
    pub throttle_answers: u64,
}
