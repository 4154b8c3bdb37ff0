//! The metrics of deliveries to addresses.

use super::{counter, gauge, table};
use metrics::{Counter, Gauge};
use metrics_exporter_prometheus::PrometheusRecorder;

/// The deliverer as it stands; counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HooksSnapshot {
    /// Deliveries that an endpoint took.
    pub taken: u64,
    /// Deliveries that one did not take for now.
    pub failed: u64,
    /// Tries that were put off to be made again.
    pub retried: u64,
    /// Deliveries that became dead letters.
    pub dead: u64,
    /// Deliveries that are owed to endpoints: under way, waiting for their turn, for their next try, or for the end of a rest.
    pub waiting: u64,
    /// Requests under way.
    pub under_way: u64,
    /// Dead letters that are kept.
    pub letters: u64,
    /// Dead letters that went for want of room.
    pub letters_dropped: u64,
}

pub(super) struct HooksHandles {
    ends: [Counter; 4],
    waiting: Gauge,
    under_way: Gauge,
    letters: Gauge,
    letters_dropped: Counter,
}

impl HooksHandles {
    pub fn new(r: &PrometheusRecorder) -> HooksHandles {
        HooksHandles {
            ends: ["taken", "failed", "retried", "dead"].map(|end| counter(r, &table::HOOK_DELIVERIES, &[end])),
            waiting: gauge(r, &table::HOOK_WAITING, &[]),
            under_way: gauge(r, &table::HOOK_REQUESTS, &[]),
            letters: gauge(r, &table::DEAD_LETTERS, &[]),
            letters_dropped: counter(r, &table::DEAD_LETTERS_DROPPED, &[]),
        }
    }

    pub fn publish(&self, of: &HooksSnapshot) {
        let HooksSnapshot { taken, failed, retried, dead, .. } = *of;
        self.ends.iter().zip([taken, failed, retried, dead]).for_each(|(counter, count)| counter.absolute(count));
        self.waiting.set(of.waiting as f64);
        self.under_way.set(of.under_way as f64);
        self.letters.set(of.letters as f64);
        self.letters_dropped.absolute(of.letters_dropped);
    }
}
