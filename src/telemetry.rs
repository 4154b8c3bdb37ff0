//! Every metric, declared once with its meaning, and the way from the gateway's plain figures to the Prometheus endpoint. Leaves counting to
//! those who act: they hand over snapshots, and nothing here is touched per message.
//!
//! What has one place for good is kept in the recorder's handles. Finished histograms, and labels that come and go, are written from the last snapshot when
//! the page is asked for ([`page`]).
//!
//! A [`Telemetry`] owns a recorder of its own, never the process-wide one: two gateways run in one test.

mod accounts;
mod carriers;
mod endpoint;
mod histogram;
mod hooks;
mod page;
mod process;
mod records;
mod rules;
mod snapshot;
mod table;

pub use endpoint::Endpoint;
pub use histogram::{BOUNDS_US, TimeHistogram};
pub use hooks::HooksSnapshot;
pub use records::RecordsSnapshot;
pub use snapshot::{
    AccountFigures, BALANCE_TERMS, BIND_REFUSALS, BIND_STATES, BindCounts, BindFigures, CHANGES, CarrierFigures, Conservation,
    EngineSnapshot, HealthFigures, HealthState, JournalSnapshot, LIST_KINDS, LIST_LEVELS, LinkSnapshot, OUTCOMES, OtherFigures,
    OutcomeCounts, PhraseFigure, QualityFigures, REFUSAL_CAUSES, REPEATS, REPLIES, ReceiptFigures, RepeatCounts, RulesFigures,
    STOPPED_CAUSES, SessionFigures, WAIT_CAUSES, WaitFigures, WindowFigures, refusal_cause,
};
pub use table::{Kind, METRICS, Metric};

use rules::RulesHandles;

use crate::model::{Class, State};
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use page::Page;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

/// Bounds of the histogram of batches in a group.
const BATCHES: [f64; 12] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 5_000.0, 20_000.0];

/// The gateway's metrics. Made once by `app` with the names of accounts and carriers; handles are resolved then.
pub struct Telemetry {
    handle: PrometheusHandle,
    recorder: PrometheusRecorder,
    /// Both only grow, when a reload names new ones.
    accounts: RwLock<Vec<AccountHandles>>,
    carriers: RwLock<Vec<CarrierHandles>>,
    binds_refused: Vec<Counter>,
    receipts: ReceiptHandles,
    rules: RulesHandles,
    other: OtherHandles,
    conservation: ConservationHandles,
    journal: JournalHandles,
    records: records::RecordsHandles,
    hooks: hooks::HooksHandles,
    latest: Mutex<Latest>,
}

/// What is written from the last snapshots.
#[derive(Clone, Default)]
struct Latest {
    accounts: Vec<String>,
    carriers: Vec<String>,
    engine: Arc<EngineSnapshot>,
    links: Arc<LinkSnapshot>,
}

struct AccountHandles {
    accepted: Counter,
    states: Vec<Gauge>,
    outbox: Gauge,
    outbox_dropped: Counter,
    sessions: Gauge,
    refusals: Vec<Counter>,
    repeats: Vec<Counter>,
    remembered: Gauge,
    forgotten: Counter,
    balance: Vec<Gauge>,
}

struct CarrierHandles {
    ends: Vec<(State, Gauge)>,
    outcomes: Vec<Counter>,
    health: Vec<Gauge>,
    health_since: Gauge,
    lanes: Vec<Gauge>,
    binds_up: Gauge,
    window_size: Gauge,
    window_used: Gauge,
}

struct ReceiptHandles {
    matched: Counter,
    orphaned: Counter,
    repeated: Counter,
    late: Counter,
    put_off: Counter,
    parked: Gauge,
}

struct OtherHandles {
    doubts_settled: Counter,
    doubts_resent: Counter,
    deliveries_taken: Counter,
    deliveries_dropped: Counter,
    inbound_owned: Counter,
    inbound_unowned: Counter,
    on_disk: Gauge,
    rerouted: Counter,
    sent_on_disk: Gauge,
}

struct ConservationHandles {
    accepted: Gauge,
    states: Vec<Gauge>,
    difference: Gauge,
}

struct JournalHandles {
    commits: Counter,
    written: Counter,
    group_batches: Histogram,
    commit_seconds: Histogram,
    sync_seconds: Histogram,
    bytes: Gauge,
    groups: Gauge,
    disk_free: Gauge,
    disk_reserve: Gauge,
}

impl Telemetry {
    /// Metrics for these accounts and carriers, each list in the order of its ids.
    pub fn new(accounts: &[&str], carriers: &[&str]) -> Telemetry {
        let seconds = BOUNDS_US.map(|us| us as f64 / 1e6);
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &seconds)
            .and_then(|builder| builder.set_buckets_for_metric(Matcher::Full(table::JOURNAL_GROUP_BATCHES.name.to_owned()), &BATCHES))
            .expect("the bounds are not empty")
            .build_recorder();
        for metric in METRICS {
            describe(&recorder, metric);
        }
        let r = &recorder;
        gauge(r, &table::BUILD, &[env!("CARGO_PKG_VERSION")]).set(1.0);
        Telemetry {
            accounts: RwLock::new(accounts.iter().map(|name| AccountHandles::new(r, name)).collect()),
            carriers: RwLock::new(carriers.iter().map(|name| CarrierHandles::new(r, name)).collect()),
            binds_refused: BIND_REFUSALS.iter().map(|cause| counter(r, &table::BINDS_REFUSED, &[cause])).collect(),
            receipts: ReceiptHandles {
                matched: counter(r, &table::RECEIPTS, &["matched"]),
                orphaned: counter(r, &table::RECEIPTS, &["orphaned"]),
                repeated: counter(r, &table::RECEIPTS, &["repeated"]),
                late: counter(r, &table::RECEIPTS, &["late"]),
                put_off: counter(r, &table::RECEIPTS, &["put_off"]),
                parked: gauge(r, &table::RECEIPTS_PARKED, &[]),
            },
            rules: RulesHandles::new(r),
            other: OtherHandles {
                doubts_settled: counter(r, &table::DOUBTS, &["settled"]),
                doubts_resent: counter(r, &table::DOUBTS, &["resent"]),
                deliveries_taken: counter(r, &table::DELIVERIES, &["taken"]),
                deliveries_dropped: counter(r, &table::DELIVERIES, &["dropped"]),
                inbound_owned: counter(r, &table::INBOUND, &["account"]),
                inbound_unowned: counter(r, &table::INBOUND, &["none"]),
                on_disk: gauge(r, &table::ON_DISK, &[]),
                rerouted: counter(r, &table::REROUTED, &[]),
                sent_on_disk: gauge(r, &table::SENT_ON_DISK, &[]),
            },
            conservation: ConservationHandles {
                accepted: gauge(r, &table::CONSERVATION_ACCEPTED, &[]),
                states: State::ALL.iter().map(|state| gauge(r, &table::CONSERVATION_TERM, &[state.name()])).collect(),
                difference: gauge(r, &table::CONSERVATION_DIFFERENCE, &[]),
            },
            journal: JournalHandles {
                commits: counter(r, &table::JOURNAL_COMMITS, &[]),
                written: counter(r, &table::JOURNAL_WRITTEN, &[]),
                group_batches: histogram(r, &table::JOURNAL_GROUP_BATCHES),
                commit_seconds: histogram(r, &table::JOURNAL_COMMIT),
                sync_seconds: histogram(r, &table::JOURNAL_SYNC),
                bytes: gauge(r, &table::JOURNAL_BYTES, &[]),
                groups: gauge(r, &table::JOURNAL_GROUPS, &[]),
                disk_free: gauge(r, &table::DISK_FREE, &[]),
                disk_reserve: gauge(r, &table::DISK_RESERVE, &[]),
            },
            records: records::RecordsHandles::new(r),
            hooks: hooks::HooksHandles::new(r),
            latest: Mutex::new(Latest { accounts: owned(accounts), carriers: owned(carriers), ..Latest::default() }),
            handle: recorder.handle(),
            recorder,
        }
    }

    /// Takes over what the engine has counted.
    pub fn publish_engine(&self, snapshot: &Arc<EngineSnapshot>) {
        for (handles, figures) in read(&self.accounts).iter().zip(&snapshot.accounts) {
            handles.accepted.absolute(figures.accepted);
            set_all(&handles.states, &figures.states);
            handles.outbox.set(figures.outbox as f64);
            handles.outbox_dropped.absolute(figures.outbox_dropped);
            absolute_all(&handles.repeats, &figures.repeats.counts());
            handles.remembered.set(figures.remembered as f64);
            handles.forgotten.absolute(figures.forgotten);
            for (gauge, term) in handles.balance.iter().zip(figures.balance) {
                gauge.set(term as f64 / 1000.0);
            }
        }
        for (handles, figures) in read(&self.carriers).iter().zip(&snapshot.carriers) {
            for (state, gauge) in &handles.ends {
                gauge.set(figures.states[*state as usize] as f64);
            }
            set_all(&handles.lanes, &figures.lanes);
            for (gauge, state) in handles.health.iter().zip(HealthState::ALL) {
                gauge.set(f64::from(u8::from(figures.health.state == state)));
            }
            handles.health_since.set((figures.health.since_ms / 1000) as f64);
            for (counter, count) in handles.outcomes.iter().zip(figures.outcomes.counts()) {
                counter.absolute(count);
            }
        }
        self.receipts.matched.absolute(snapshot.receipts.matched);
        self.receipts.orphaned.absolute(snapshot.receipts.orphaned);
        self.receipts.repeated.absolute(snapshot.receipts.repeated);
        self.receipts.late.absolute(snapshot.receipts.late);
        self.receipts.put_off.absolute(snapshot.receipts.put_off);
        self.receipts.parked.set(snapshot.receipts.parked as f64);
        self.rules.publish(&snapshot.rules, &self.recorder);
        self.other.doubts_settled.absolute(snapshot.other.doubts_settled);
        self.other.doubts_resent.absolute(snapshot.other.doubts_resent);
        self.other.deliveries_taken.absolute(snapshot.other.deliveries_taken);
        self.other.deliveries_dropped.absolute(snapshot.other.deliveries_dropped);
        self.other.inbound_owned.absolute(snapshot.other.inbound_owned);
        self.other.inbound_unowned.absolute(snapshot.other.inbound_unowned);
        self.other.rerouted.absolute(snapshot.other.rerouted);
        self.other.on_disk.set(snapshot.other.on_disk as f64);
        self.other.sent_on_disk.set(snapshot.other.sent_on_disk as f64);
        self.conservation.accepted.set(snapshot.conservation.accepted as f64);
        set_all(&self.conservation.states, &snapshot.conservation.states);
        self.conservation.difference.set(snapshot.conservation.difference() as f64);
        self.latest().engine = Arc::clone(snapshot);
    }

    /// Takes over what the links have counted.
    pub fn publish_links(&self, snapshot: LinkSnapshot) {
        for (handles, figures) in read(&self.accounts).iter().zip(&snapshot.accounts) {
            handles.sessions.set(f64::from(figures.sessions));
            absolute_all(&handles.refusals, &figures.refusals);
        }
        absolute_all(&self.binds_refused, &snapshot.bind_refusals);
        for (handles, figures) in read(&self.carriers).iter().zip(&snapshot.carriers) {
            handles.binds_up.set(f64::from(figures.binds_up));
            handles.window_size.set(f64::from(figures.window_size));
            handles.window_used.set(f64::from(figures.window_used));
        }
        self.latest().links = Arc::new(snapshot);
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        // Nothing that can panic runs while it is written, so a poisoned one is still whole.
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There are more accounts and carriers now: these, of which the first are those that it knows.
    pub fn grow(&self, accounts: &[&str], carriers: &[&str]) {
        let mut known = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        let new = accounts.iter().skip(known.len()).map(|name| AccountHandles::new(&self.recorder, name)).collect::<Vec<_>>();
        known.extend(new);
        let mut known = self.carriers.write().unwrap_or_else(PoisonError::into_inner);
        let new = carriers.iter().skip(known.len()).map(|name| CarrierHandles::new(&self.recorder, name)).collect::<Vec<_>>();
        known.extend(new);
        let mut latest = self.latest();
        (latest.accounts, latest.carriers) = (owned(accounts), owned(carriers));
    }

    /// Takes over what the journal's thread knows of its space.
    pub fn publish_journal(&self, snapshot: &JournalSnapshot) {
        self.journal.bytes.set(snapshot.bytes as f64);
        self.journal.groups.set(snapshot.groups as f64);
        self.journal.disk_free.set(snapshot.disk_free_bytes as f64);
        self.journal.disk_reserve.set(snapshot.disk_reserve_bytes as f64);
    }

    /// Takes over how the records stand.
    pub fn publish_records(&self, snapshot: &RecordsSnapshot) {
        self.records.publish(snapshot);
    }

    /// Takes over how deliveries to addresses stand.
    pub fn publish_hooks(&self, snapshot: &HooksSnapshot) {
        self.hooks.publish(snapshot);
    }

    /// Counts one group that the journal made durable: its batches, its octets, the time from handing the first of them to the journal to its
    /// being durable, and that of append and sync alone.
    pub fn journal_committed(&self, batches: u64, bytes: u64, commit_us: u64, sync_us: u64) {
        self.journal.commits.increment(1);
        self.journal.written.increment(bytes);
        self.journal.group_batches.record(batches as f64);
        self.journal.commit_seconds.record(commit_us as f64 / 1e6);
        self.journal.sync_seconds.record(sync_us as f64 / 1e6);
    }

    /// To be called about once a second: folds the recorder's histograms, whose samples would otherwise pile up until somebody asks for the page.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// The page that Prometheus reads (text format 0.0.4).
    pub fn render(&self) -> String {
        let mut page = Page::default();
        // Written without the lock, for which the engine's task would wait.
        let Latest { accounts, carriers, engine, links } = self.latest().clone();
        accounts::write(&mut page, &accounts, &engine, &links);
        carriers::write(&mut page, &carriers, &engine, &links);
        process::write(&mut page);
        self.handle.render() + &page.into_text()
    }
}

impl AccountHandles {
    fn new(r: &PrometheusRecorder, name: &str) -> AccountHandles {
        AccountHandles {
            accepted: counter(r, &table::ACCEPTED, &[name]),
            states: State::ALL.iter().map(|state| gauge(r, &table::MESSAGES, &[name, state.name()])).collect(),
            outbox: gauge(r, &table::OUTBOX, &[name]),
            outbox_dropped: counter(r, &table::OUTBOX_DROPPED, &[name]),
            sessions: gauge(r, &table::SESSIONS, &[name]),
            repeats: REPEATS.iter().map(|end| counter(r, &table::REPEATED, &[name, end])).collect(),
            remembered: gauge(r, &table::REMEMBERED, &[name]),
            forgotten: counter(r, &table::FORGOTTEN, &[name]),
            balance: BALANCE_TERMS.iter().map(|term| gauge(r, &table::BALANCE, &[name, term])).collect(),
            refusals: (0..REFUSAL_CAUSES).map(|cause| counter(r, &table::REFUSALS, &[name, refusal_cause(cause)])).collect(),
        }
    }
}

impl CarrierHandles {
    fn new(r: &PrometheusRecorder, name: &str) -> CarrierHandles {
        let ends = State::ALL.into_iter().filter(|state| state.is_final());
        CarrierHandles {
            ends: ends.map(|state| (state, gauge(r, &table::CARRIER_MESSAGES, &[name, state.name()]))).collect(),
            outcomes: OUTCOMES.iter().map(|outcome| counter(r, &table::CARRIER_OUTCOMES, &[name, outcome])).collect(),
            health: HealthState::ALL.iter().map(|state| gauge(r, &table::CARRIER_HEALTH, &[name, state.name()])).collect(),
            health_since: gauge(r, &table::CARRIER_HEALTH_SINCE, &[name]),
            lanes: Class::ALL.iter().map(|class| gauge(r, &table::LANE, &[name, class.name()])).collect(),
            binds_up: gauge(r, &table::BINDS_UP, &[name]),
            window_size: gauge(r, &table::WINDOW_SIZE, &[name]),
            window_used: gauge(r, &table::WINDOW_USED, &[name]),
        }
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn absolute_all(counters: &[Counter], values: &[u64]) {
    for (counter, value) in counters.iter().zip(values) {
        counter.absolute(*value);
    }
}

/// Nothing that can panic runs under these locks, so a poisoned one is still whole.
fn read<T>(list: &RwLock<Vec<T>>) -> RwLockReadGuard<'_, Vec<T>> {
    list.read().unwrap_or_else(PoisonError::into_inner)
}

fn set_all(gauges: &[Gauge], values: &[u64]) {
    for (gauge, value) in gauges.iter().zip(values) {
        gauge.set(*value as f64);
    }
}

const METADATA: Metadata<'static> = Metadata::new("hongyan", Level::INFO, None);

fn describe(recorder: &PrometheusRecorder, metric: &Metric) {
    let (name, help) = (metric.name.into(), metric.help.into());
    match metric.kind {
        Kind::Counter => recorder.describe_counter(name, None, help),
        Kind::Gauge => recorder.describe_gauge(name, None, help),
        Kind::Histogram => recorder.describe_histogram(name, None, help),
    }
}

/// The key of `metric` with these values for its labels, in the order of the table.
fn key(metric: &Metric, values: &[&str]) -> Key {
    assert_eq!(metric.labels.len(), values.len(), "{} takes the labels of its declaration", metric.name);
    let labels = metric.labels.iter().zip(values).map(|(label, value)| Label::new(*label, (*value).to_owned())).collect::<Vec<_>>();
    Key::from_parts(metric.name, labels)
}

fn counter(recorder: &PrometheusRecorder, metric: &Metric, values: &[&str]) -> Counter {
    assert_eq!(metric.kind, Kind::Counter, "{}", metric.name);
    let counter = recorder.register_counter(&key(metric, values), &METADATA);
    // Shown as 0 from the first page on: a counter that appears later hides its first step.
    counter.absolute(0);
    counter
}

fn gauge(recorder: &PrometheusRecorder, metric: &Metric, values: &[&str]) -> Gauge {
    assert_eq!(metric.kind, Kind::Gauge, "{}", metric.name);
    recorder.register_gauge(&key(metric, values), &METADATA)
}

fn histogram(recorder: &PrometheusRecorder, metric: &Metric) -> Histogram {
    assert_eq!(metric.kind, Kind::Histogram, "{}", metric.name);
    recorder.register_histogram(&key(metric, &[]), &METADATA)
}

#[cfg(test)]
mod tests;
