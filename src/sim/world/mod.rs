//! The deterministic world: a whole gateway in one thread, from one seed and a virtual clock. Upstream clients and simulated carriers speak SMPP in
//! octets with the real handlers and the real engine; journal and ledger are in memory and forget what was not synced when the
//! gateway is killed. A judge beside it holds every step against the promises of the design.
//!
//! | file | what |
//! |---|---|
//! | `settings` | what a world is like, and its misfortunes |
//! | `course` | the events in order of virtual time |
//! | `turns` | what each end of a connection does with what comes |
//! | `wire` | connections: latency, cuts at any octet, half-open ends |
//! | `misfortunes`, `trouble` | what goes wrong |
//! | `gateway`, `plan`, `stores` | engine and handlers, the crash and the way back; its configuration; journal and ledger |
//! | `draw`, `dispatch`, `backlog` | which messages there are; what is drawn for the dispatch engine; what is handed in at once |
//! | `peers` | upstream clients and carriers |
//! | `jobs` | a bulk job with identities; top-ups |
//! | `routing` | which carriers may have which messages |
//! | `requests` | what upstreams ask, and what they are told |
//! | `judge`, `witness`, `record`, `books` | what must be true at the engine's doors and at the peers, and what is known of each message |
//! | `pace`, `shares`, `opening`, `order` | the oracles of the dispatch engine: buckets, fairness, hours, order |
//! | `inbound` | messages from phones |
//! | `parts` | what a phone sees of long texts |

mod backlog;
mod books;
mod course;
mod dispatch;
mod draw;
mod gateway;
mod inbound;
mod jobs;
mod judge;
mod listing;
mod misfortunes;
mod opening;
mod operator;
mod order;
mod pace;
mod parts;
mod peers;
mod plan;
mod record;
mod requests;
mod routing;
mod settings;
mod shares;
mod stores;
mod tail;
mod trouble;
mod turns;
mod wire;
mod witness;

pub use course::World;
pub use dispatch::{CarrierPace, Dispatch, Flow};
pub use settings::Settings;

use std::fmt;

/// What a world came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Hash of everything that happened, in order: the same seed gives the same.
    pub trace: u64,
    /// Events.
    pub events: u64,
    /// Virtual milliseconds.
    pub took_ms: u64,
    /// Messages that upstream was told are accepted.
    pub acknowledged: u64,
    /// Messages accepted.
    pub accepted: u64,
    /// Parts that carriers took, repetitions included.
    pub taken: u64,
    /// Of these, repetitions.
    pub repeated: u64,
    /// Final reports that upstreams took.
    pub reported: u64,
    /// How often the gateway was killed or stopped.
    pub crashes: u64,
    /// Updates of the ledger that became durable.
    pub carried: u64,
    /// Chunks that came back into memory.
    pub chunks_read: u64,
    /// Changes of lists that were answered, by the engine or to a phone's carrier.
    pub listed: u64,
    /// Accepted messages that never left because their number was listed.
    pub stopped: u64,
    /// Messages that were handed in again, and not made a second one of.
    pub repeats: u64,
    /// Submissions refused because the account's balance was used up.
    pub no_credit: u64,
    /// Messages that went to another carrier after a negative receipt.
    pub rerouted: u64,
    /// Pages of runs that were looked into.
    pub pages_read: u64,
}

/// A promise was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The world's seed: it replays.
    pub seed: u64,
    /// Virtual milliseconds since its beginning.
    pub at_ms: u64,
    /// What is wrong.
    pub what: String,
    /// What happened before it, to the message that it is about if it is about one.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} after {} ms: {}", self.seed, self.at_ms, self.what)?;
        self.trace.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl std::error::Error for Failure {}

/// Runs the world of `seed` to its end. A failure is run a second time to tell what befell the message that it is about.
pub fn run(seed: u64, settings: &Settings) -> Result<Outcome, Box<Failure>> {
    let mut world = World::new(seed, settings, None);
    let Err(wrong) = world.run() else { return Ok(world.outcome()) };
    let mut again = World::new(seed, settings, Some(wrong.message));
    let second = again.run().err();
    let mut trace = again.lines();
    if second.as_ref().map(|wrong| &wrong.what) != Some(&wrong.what) {
        trace.push(format!("THE SECOND RUN DIFFERS: {second:?}"));
    }
    Err(Box::new(Failure { seed, at_ms: world.elapsed_ms(), what: wrong.what, trace }))
}
