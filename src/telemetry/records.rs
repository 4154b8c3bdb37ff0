//! The metrics of the records.

use super::{counter, gauge, table};
use metrics::{Counter, Gauge};
use metrics_exporter_prometheus::PrometheusRecorder;

/// The records as they stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordsSnapshot {
    /// Rows written since the start.
    pub written: u64,
    /// Groups not read yet.
    pub behind_groups: u64,
    /// Finished and in no file.
    pub unwritten: u64,
    /// Followed in memory.
    pub in_memory: u64,
    /// Followed on disk.
    pub on_disk: u64,
    /// Places lost, ever.
    pub lost: u64,
    /// Failures since the start.
    pub failures: u64,
}

pub(super) struct RecordsHandles {
    written: Counter,
    behind: Gauge,
    unwritten: Gauge,
    in_memory: Gauge,
    on_disk: Gauge,
    lost: Counter,
    failures: Counter,
}

impl RecordsHandles {
    pub fn new(r: &PrometheusRecorder) -> RecordsHandles {
        RecordsHandles {
            written: counter(r, &table::RECORDS_WRITTEN, &[]),
            behind: gauge(r, &table::RECORDS_BEHIND, &[]),
            unwritten: gauge(r, &table::RECORDS_UNWRITTEN, &[]),
            in_memory: gauge(r, &table::RECORDS_OPEN, &["memory"]),
            on_disk: gauge(r, &table::RECORDS_OPEN, &["disk"]),
            lost: counter(r, &table::RECORDS_LOST, &[]),
            failures: counter(r, &table::RECORDS_FAILURES, &[]),
        }
    }

    pub fn publish(&self, snapshot: &RecordsSnapshot) {
        self.written.absolute(snapshot.written);
        self.behind.set(snapshot.behind_groups as f64);
        self.unwritten.set(snapshot.unwritten as f64);
        self.in_memory.set(snapshot.in_memory as f64);
        self.on_disk.set(snapshot.on_disk as f64);
        self.lost.absolute(snapshot.lost);
        self.failures.absolute(snapshot.failures);
    }
}
