//! The metrics of the rules. A phrase has one from its first hit on.

use super::snapshot::{LIST_KINDS, LIST_LEVELS, REPLIES, RulesFigures, STOPPED_CAUSES};
use super::{absolute_all, counter, gauge, set_all, table};
use metrics::{Counter, Gauge};
use metrics_exporter_prometheus::PrometheusRecorder;

pub(super) struct RulesHandles {
    listed: Vec<Vec<Gauge>>,
    stopped: Vec<Counter>,
    replies: Vec<Counter>,
    velocity_counters: Gauge,
}

impl RulesHandles {
    pub fn new(r: &PrometheusRecorder) -> RulesHandles {
        let levels = |kind: &&str| LIST_LEVELS.iter().map(|level| gauge(r, &table::LISTED, &[kind, level])).collect();
        RulesHandles {
            listed: LIST_KINDS.iter().map(levels).collect(),
            stopped: STOPPED_CAUSES.iter().map(|cause| counter(r, &table::STOPPED, &[cause])).collect(),
            replies: REPLIES.iter().map(|way| counter(r, &table::OPT_REPLIES, &[way])).collect(),
            velocity_counters: gauge(r, &table::VELOCITY_COUNTERS, &[]),
        }
    }

    pub fn publish(&self, figures: &RulesFigures, r: &PrometheusRecorder) {
        for (handles, counts) in self.listed.iter().zip(&figures.listed) {
            set_all(handles, counts);
        }
        absolute_all(&self.stopped, &figures.stopped);
        absolute_all(&self.replies, &figures.replies);
        self.velocity_counters.set(figures.velocity_counters as f64);
        for phrase in &figures.phrases {
            counter(r, &table::PHRASE_HITS, &[&phrase.of, &phrase.phrase]).absolute(phrase.hits);
        }
    }
}
