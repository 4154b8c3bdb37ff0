//! What an operator is told: the gateway, carriers, accounts, lanes, changes in force, one message, and the audit. Only looks; everything with names, as
//! plain data for whoever shows it. What only the links know (sockets, addresses) stands beside it, behind [`Links`].

use super::Engine;
use super::balance::BalanceView;
use super::estimate::Estimate;
use super::explain::{Explained, Question};
use super::messages::{Entry, PartState, Phase};
use super::overlay::{Change, Record};
use super::port::{CarrierId, DiskState, Draft};
use super::scope::Fault;
use super::waits::WaitsOn;
use crate::model::{AccountId, Class, Message, MessageId, State};
use serde::Serialize;
use serde::ser::SerializeMap;

/// What is asked to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// The gateway as a whole.
    Status,
    /// Carriers.
    Carriers,
    /// Accounts.
    Accounts,
    /// Lanes.
    Lanes,
    /// Changes in force.
    Changes,
    /// One message that is alive.
    Message(MessageId),
    /// The last so many records of the audit.
    Audit(usize),
    /// What an account has.
    Balance(String),
    /// What would become of a batch of an account.
    Estimate(AccountId, Vec<Draft>),
    /// What would become of such a message.
    Explain(Box<Question>),
    /// What would become of this one.
    ExplainDraft(Box<Draft>),
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum View {
    /// See [`Look::Status`].
    Status(StatusView),
    /// See [`Look::Carriers`].
    Carriers(Vec<CarrierView>),
    /// See [`Look::Accounts`].
    Accounts(Vec<AccountView>),
    /// See [`Look::Lanes`].
    Lanes(Vec<LaneView>),
    /// See [`Look::Changes`].
    Changes(Vec<ChangeView>),
    /// See [`Look::Message`].
    Message(MessageView),
    /// See [`Look::Audit`]; newest first.
    Audit(Vec<Record>),
    /// See [`Look::Balance`].
    Balance(Box<BalanceView>),
    /// See [`Look::Estimate`].
    Estimated(Box<Estimate>),
    /// See [`Look::Explain`] and [`Look::ExplainDraft`].
    Explained(Box<Explained>),
}

/// Counts under names, in order.
#[derive(Debug, Clone, PartialEq, Eq, utoipa::ToSchema)]
#[schema(as = Counts, value_type = std::collections::BTreeMap<String, u64>)]
pub struct Named(pub Vec<(&'static str, u64)>);

impl Serialize for Named {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, count) in &self.0 {
            map.serialize_entry(name, count)?;
        }
        map.end()
    }
}

fn states(counts: &[u64; State::ALL.len()]) -> Named {
    Named(State::ALL.iter().map(|state| (state.name(), counts[*state as usize])).collect())
}

/// The gateway. Times are wall milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct StatusView {
    /// Its number.
    pub node: u8,
    /// Its clock.
    pub now_ms: u64,
    /// The country code of numbers that are written without one.
    pub home_country_code: u16,
    /// It is stopping.
    pub stopping: bool,
    /// ok, slow, reserve or failed.
    pub disk: &'static str,
    /// Messages accepted since the data directory was made.
    pub accepted: u64,
    /// Messages by state.
    pub states: Named,
    /// accepted minus all states; must be 0.
    pub lost: i64,
    /// Messages alive out of memory.
    pub on_disk: u64,
    /// Messages kept back by pauses.
    pub held: usize,
    /// Receipts that match nothing yet.
    pub parked_receipts: usize,
    /// Octets of the journal.
    pub journal_bytes: u64,
    /// Changes in force.
    pub changes: usize,
}

/// A carrier in the engine's eyes.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct CarrierView {
    /// Its name.
    pub carrier: String,
    /// It can take messages.
    pub usable: bool,
    /// What its lanes wait for; absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_on: Option<String>,
    /// Messages in its lanes by class.
    pub waiting: Named,
    /// Segments a second; absent: no limit.
    pub rate_per_s: Option<u32>,
    /// Segments at once; 0: a tenth of a second's.
    pub burst: u32,
    /// Segments a second that its own answers allow at the moment; absent: they limit nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_per_s: Option<f64>,
    /// Time in which messages waited and no permit was left, since the start.
    pub throttled_ms: u64,
    /// What routing thinks of it: well, out, probing or recovering.
    pub health: &'static str,
    /// Why it was taken out last: none, answers, receipts, slow or probe.
    pub health_cause: &'static str,
    /// Since when it thinks so, wall milliseconds; 0: since the start.
    pub health_since_ms: u64,
    /// Binds that can send.
    pub binds_up: usize,
    /// Slots of their windows, and how many are in use.
    pub window: i64,
    /// See `window`.
    pub in_flight: i64,
    /// Its answers since the start.
    pub answers: Named,
}

/// An account in the engine's eyes.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct AccountView {
    /// Its name.
    pub account: String,
    /// Its messages that wait, and how many may.
    pub waiting: u64,
    /// See `waiting`.
    pub max_waiting: u64,
    /// Segments a second; absent: no limit; 0: paused.
    pub rate_per_s: Option<u32>,
    /// Its messages by state, since the start.
    pub states: Named,
    /// Receipts and inbound messages that wait for it.
    pub outbox: u64,
    /// Its sessions.
    pub sessions: u32,
}

/// A lane.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct LaneView {
    /// In front of this carrier.
    pub carrier: String,
    /// Of this class.
    pub class: &'static str,
    /// Of this account.
    pub account: String,
    /// Of this campaign; empty for none.
    pub campaign: String,
    /// The limits that it pays.
    pub limits: Vec<String>,
    /// Messages in memory (some may have ended since).
    pub in_memory: u64,
    /// Messages on disk.
    pub on_disk: u64,
    /// When its first message was accepted, wall milliseconds; on disk: the oldest of the first chunk. 0: nothing is known.
    pub oldest_ms: u64,
    /// What it waits for.
    pub waits_on: String,
    /// Segments a second that it has sent of late.
    pub per_s: f64,
    /// When it will be empty at that rate, seconds, or at the allowed rate where that is what it waits for and nothing has left yet; null: nothing leaves, or
    /// nobody can say.
    pub drains_in_s: Option<f64>,
}

/// A change in force, and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ChangeView {
    /// The change.
    #[serde(flatten)]
    pub change: Change,
    /// Of a pause: messages that it keeps back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<usize>,
    /// Of a cancel: messages ended by it since it began or the gateway was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
    /// Of a cancel: messages in memory still to be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<usize>,
    /// Of a drain: nothing is in flight any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty: Option<bool>,
}

/// A message that is alive.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct MessageView {
    /// Its id.
    pub message: String,
    /// Its state.
    pub state: &'static str,
    /// What it waits on; absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub waits_on: Option<WaitsOn>,
    /// Whose it is.
    pub account: String,
    /// Its class.
    pub class: &'static str,
    /// Its campaign; absent: none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub campaign: String,
    /// Where it goes; masked.
    pub destination: String,
    /// The carrier that it is with, or was last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// Tries at that carrier.
    pub attempts: u8,
    /// Parts, and how many a carrier took.
    pub parts: usize,
    /// See `parts`.
    pub parts_taken: usize,
    /// The last refusal's status, 0 for none.
    pub last_status: u32,
    /// Wall milliseconds; 0 for none.
    pub accepted_ms: u64,
    /// See `accepted_ms`.
    pub due_ms: u64,
    /// See `accepted_ms`.
    pub expires_ms: u64,
    /// The message itself; its text may be cut once a carrier has it.
    #[serde(skip)]
    pub own: std::sync::Arc<Message>,
    /// What the carrier said, of a test message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
}

/// A bind as its link sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BindView {
    /// Whose.
    #[serde(skip)]
    pub carrier: CarrierId,
    /// Which, from 0.
    pub bind: u16,
    /// up, connecting, waiting (before the next try), or down (by an operator).
    pub state: &'static str,
    /// trx, tx or rx.
    pub kind: &'static str,
    /// Since when it is up, or isn't, wall milliseconds: tries to come up again don't count.
    pub since_ms: u64,
    /// Slots of its window, and how many are in use.
    pub window: u32,
    /// See `window`.
    pub in_flight: u32,
    /// While it isn't up: what went wrong last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// An upstream session as its link sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SessionView {
    /// Its number.
    pub session: u64,
    /// Whose (its name); absent while unbound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Where it connects from.
    pub peer: String,
    /// trx, tx or rx.
    pub kind: &'static str,
    /// Bound (or connected) since, wall milliseconds.
    pub since_ms: u64,
    /// Requests in progress that it may have.
    pub window: u32,
}

/// What a rebind did to the binds that were meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Rebinding {
    /// They were up, and bind anew.
    pub closed: usize,
    /// They waited for the next try, and make it at once.
    pub hurried: usize,
}

/// What only the links know and do. They register it with whoever answers operators.
pub trait Links: Send + Sync {
    /// Every configured bind.
    fn binds(&self) -> Vec<BindView>;
    /// Every upstream session.
    fn sessions(&self) -> Vec<SessionView>;
    /// Ends an upstream session gracefully; false if there is none.
    fn kick(&self, session: u64) -> bool;
    /// Closes a bind (or all of the carrier) that is up, which then binds anew; one that waits for its next try makes it at once.
    fn rebind(&self, carrier: CarrierId, bind: Option<u16>) -> Rebinding;
}

impl Engine {
    pub(super) fn look(&self, look: &Look) -> Result<View, Fault> {
        Ok(match look {
            Look::Status => View::Status(self.status()),
            Look::Carriers => View::Carriers((0..self.dispatchers.len()).map(|at| self.carrier_view(at)).collect()),
            Look::Accounts => View::Accounts(self.account_views()),
            Look::Lanes => View::Lanes(self.lane_views()),
            Look::Changes => View::Changes(self.overlay.changes().map(|change| self.change_view(change)).collect()),
            Look::Audit(last) => View::Audit(self.overlay.audit().rev().take(*last).cloned().collect()),
            Look::Balance(name) => {
                View::Balance(Box::new(self.balance_view(super::scope::account_of(name, &self.plan)?, String::new(), false)))
            }
            Look::Estimate(account, drafts) => View::Estimated(Box::new(self.estimate(*account, drafts))),
            Look::Explain(question) => View::Explained(Box::new(self.explain(question)?)),
            Look::ExplainDraft(draft) => View::Explained(Box::new(self.explain_message(&self.as_taken(draft)))),
            Look::Message(id) => {
                let entry = self.messages.get(id).ok_or_else(|| no_message(*id, self.overlay.tests.outcome(*id)))?;
                View::Message(self.message_view(entry))
            }
        })
    }

    fn status(&self) -> StatusView {
        let counts = self.counts();
        StatusView {
            node: self.plan.node,
            now_ms: self.now.wall_ms,
            home_country_code: self.plan.home.code,
            stopping: self.draining,
            disk: match self.disk {
                DiskState::Ok => "ok",
                DiskState::Slow => "slow",
                DiskState::Reserve => "reserve",
                DiskState::Failed => "failed",
            },
            accepted: counts.accepted,
            states: states(&counts.by_state),
            lost: counts.imbalance(),
            on_disk: self.cold.total(),
            held: self.held(None),
            parked_receipts: self.parked.len(),
            journal_bytes: self.homes.journal_octets(),
            changes: self.overlay.changes().count(),
        }
    }

    /// The change that keeps a whole carrier from taking anything.
    pub(super) fn closed_by(&self, at: usize) -> Option<WaitsOn> {
        let carrier = CarrierId(at as u16);
        let (id, _, _) = self.overlay.closed.iter().find(|(_, of, bind)| *of == carrier && bind.is_none())?;
        self.overlay.change(*id).map(Change::brief)
    }

    /// What keeps a carrier from taking the next message, if anything does.
    pub(super) fn carrier_waits_on(&self, at: usize) -> Option<WaitsOn> {
        self.closed_by(at).or_else(|| self.dispatchers[at].waits_on(self.now).map(WaitsOn::from))
    }

    fn carrier_view(&self, at: usize) -> CarrierView {
        let (plan, dispatcher) = (&self.plan.carriers[at], &self.dispatchers[at]);
        let figures = dispatcher.figures();
        let (binds_up, window, in_flight) = dispatcher.windows();
        let health = self.router.healths[at].figures();
        CarrierView {
            carrier: plan.name.clone(),
            usable: dispatcher.is_usable(),
            waits_on: self.carrier_waits_on(at).map(|waits_on| waits_on.to_string()),
            waiting: Named(Class::ALL.iter().map(|class| (class.name(), figures.lanes[*class as usize])).collect()),
            rate_per_s: plan.rate_per_s,
            burst: plan.burst,
            allowed_per_s: dispatcher.allowed_per_s().filter(|rate| rate.is_finite()),
            throttled_ms: figures.throttled_us / 1000,
            health: health.state.name(),
            health_cause: if health.cause.is_empty() { "none" } else { health.cause },
            health_since_ms: health.since_ms,
            binds_up,
            window,
            in_flight,
            answers: Named(crate::telemetry::OUTCOMES.into_iter().zip(figures.outcomes.counts()).collect()),
        }
    }

    fn lane_views(&self) -> Vec<LaneView> {
        let view = |report: super::waits::LaneReport| LaneView {
            carrier: self.plan.carrier(report.carrier).name.clone(),
            class: report.lane.class.name(),
            account: self.plan.account(report.lane.account).name.clone(),
            campaign: self.campaigns.name(report.lane.campaign).to_owned(),
            limits: report.limits,
            in_memory: report.in_memory,
            on_disk: report.on_disk,
            oldest_ms: report.oldest_ms,
            waits_on: self.closed_by(report.carrier.0 as usize).map_or_else(|| report.cause.name().to_owned(), |closed| closed.to_string()),
            per_s: report.per_s,
            drains_in_s: report.drains_in_s,
        };
        self.lane_reports().into_iter().map(view).collect()
    }

    fn account_views(&self) -> Vec<AccountView> {
        let sessions = self.sessions_by_account();
        let rows = self.plan.accounts.iter().zip(&self.accounts).zip(self.outbox_figures()).zip(sessions);
        rows.map(|(((plan, state), (outbox, _)), sessions)| AccountView {
            account: plan.name.clone(),
            waiting: state.waiting,
            max_waiting: plan.max_waiting,
            rate_per_s: plan.rate_per_s,
            states: states(&state.figures.states),
            outbox,
            sessions,
        })
        .collect()
    }

    fn change_view(&self, change: &Change) -> ChangeView {
        use super::overlay::Action;
        let cancel = self.overlay.cancels.iter().find(|cancel| cancel.id == change.id);
        let drained = matches!(change.action, Action::Drain { .. });
        let of = self.overlay.closed.iter().find(|(id, _, _)| drained && *id == change.id);
        ChangeView {
            change: change.clone(),
            held: matches!(change.action, Action::Pause { .. }).then(|| self.held(Some(change.id))),
            ended: cancel.map(|cancel| cancel.ended),
            left: cancel.map(|cancel| cancel.left().0),
            empty: of.map(|&(_, carrier, bind)| self.dispatchers[carrier.0 as usize].is_landed(bind)),
        }
    }

    fn message_view(&self, entry: &Entry) -> MessageView {
        let message = &*entry.message;
        let carrier = entry.phase.carrier();
        let waits_on = match entry.phase {
            Phase::Accepting => Some("its acceptance to be durable".into()),
            Phase::Deferred if message.due_ms > self.now.wall_ms => Some("its time".into()),
            Phase::Deferred => Some("its next try".into()),
            Phase::Waiting(carrier) => match self.overlay.holds(message, carrier) {
                Some(id) => self.overlay.change(id).map(Change::brief),
                None => self.carrier_waits_on(carrier.0 as usize).or_else(|| Some("its turn".into())),
            },
            Phase::InFlight(_) => Some("the carrier's answer".into()),
            Phase::Doubt(_) => Some("a late answer or a receipt".into()),
            Phase::Sent(_) => Some("the carrier's receipt".into()),
            Phase::Settled(..) => None,
        };
        let taken = entry.parts.as_slice().iter().filter(|s| matches!(s, PartState::Sent | PartState::Delivered | PartState::Failed));
        MessageView {
            state: entry.phase.state().name(),
            waits_on,
            carrier: carrier.map(|carrier| self.plan.carrier(carrier).name.clone()),
            attempts: entry.attempts,
            parts: entry.parts.len(),
            parts_taken: taken.count(),
            last_status: entry.last_status,
            test: self.overlay.tests.outcome(message.id).map(str::to_owned),
            ..self.bare_view(&entry.message)
        }
    }

    /// What the message alone tells.
    fn bare_view(&self, message: &std::sync::Arc<Message>) -> MessageView {
        MessageView {
            own: std::sync::Arc::clone(message),
            message: message.id.to_string(),
            state: State::Waiting.name(),
            waits_on: None,
            account: self.plan.account(message.account).name.clone(),
            class: message.class.name(),
            campaign: self.campaigns.name(message.campaign).to_owned(),
            destination: message.destination.to_string(),
            carrier: None,
            attempts: 0,
            parts: 1,
            parts_taken: 0,
            last_status: 0,
            accepted_ms: message.accepted_ms,
            due_ms: message.due_ms,
            expires_ms: message.expires_ms,
            test: None,
        }
    }
}

fn no_message(id: MessageId, test: Option<&str>) -> Fault {
    match test {
        // A test message, which has ended.
        Some(outcome) => Fault::of("ended", "", outcome, ""),
        None => Fault::of(
            "unknown_message",
            "message",
            format!("no message {id} is alive: it has ended, or never was"),
            "the id as in submit_sm_resp",
        ),
    }
}
