//! Why a message takes its route and its carrier: the real decision tells it to a recorder. On the hot path nobody listens, and nothing is even made.

use super::health::{Cause, HealthRules};
use super::routes::{ATTRIBUTES, Condition, Memo};
use super::{Engine, plan::Plan};
use crate::model::{CarrierId, Message};
use crate::telemetry::HealthState;

/// Somebody who wants to know why, or nobody.
pub trait Recorder {
    /// Somebody does.
    const ON: bool;
    /// Takes a reason down; it is made only if somebody listens.
    fn note(&mut self, why: impl FnOnce() -> Why);
}

/// Nobody.
#[derive(Debug)]
pub struct Nobody;

impl Recorder for Nobody {
    const ON: bool = false;
    #[inline]
    fn note(&mut self, _: impl FnOnce() -> Why) {}
}

impl Recorder for Vec<Why> {
    const ON: bool = true;
    fn note(&mut self, why: impl FnOnce() -> Why) {
        self.push(why());
    }
}

/// One reason. Routes by their number in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // every variant has its line; its fields are the words of the project
pub enum Why {
    /// The exception doesn't fit.
    Unmet { route: u32, unmet: Condition },
    /// The exception fits: it is taken.
    Exception { route: u32 },
    /// No exception fits; of the plain routes this one has the longest prefix.
    PlainRoute { route: u32 },
    /// No route leads to this number.
    NoPlainRoute,
    /// The carrier is done with this message: it refused it, or reported that it failed.
    Tried { carrier: CarrierId },
    /// The carrier has no bind that can send, or is paused.
    NotUsable { carrier: CarrierId },
    /// The carrier's health keeps the message away from it.
    Kept { carrier: CarrierId, state: HealthState, cause: Cause },
    /// The carrier could take it; its weight among its equals (`None`: no weights), and its cost in millionths.
    Candidate { carrier: CarrierId, rank: u8, weight: Option<u32>, cost: u64 },
    /// The carrier takes it.
    Chosen { carrier: CarrierId, because: Because },
    /// All carriers of the route are done with it.
    NobodyLeft,
    /// A part of a long message goes where its first part went.
    WithItsParts { carrier: CarrierId },
}

/// What decided between the candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// It is the first that can.
    Order,
    /// It is its turn among weighted equals.
    Turn,
    /// The number always goes there.
    Number,
    /// It is the cheapest of its equals.
    Cost,
    /// Its health speaks against it, and every other one's too.
    NoneBetter,
    /// No carrier can send: it waits where it would go.
    Waits,
}

/// Why a message goes where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteExplained {
    /// The reasons in order.
    pub why: Vec<Why>,
    /// The route's number; none leads there.
    pub route: Option<u32>,
    /// The carrier; none is left.
    pub carrier: Option<CarrierId>,
}

impl RouteExplained {
    /// The reasons in words, one a line.
    pub fn lines(&self, plan: &Plan) -> Vec<String> {
        self.why.iter().map(|why| why.line(plan)).collect()
    }
}

impl Why {
    /// The reason in words.
    pub fn line(&self, plan: &Plan) -> String {
        let route = |at: u32| plan.routes.get(at).map_or("?", |route| &route.name);
        let name = |carrier: CarrierId| plan.carriers.get(carrier.0 as usize).map_or("?", |carrier| carrier.name.as_str());
        match *self {
            Why::Unmet { route: at, unmet } => format!("{}: does not fit, {}", route(at), unmet.words()),
            Why::Exception { route: at } => format!("{}: every condition holds, taken", route(at)),
            Why::PlainRoute { route: at } => format!("{}: the longest prefix, taken", route(at)),
            Why::NoPlainRoute => "no route leads to this number".to_owned(),
            Why::Tried { carrier } => format!("{}: was tried already", name(carrier)),
            Why::NotUsable { carrier } => format!("{}: no bind that can send, or paused", name(carrier)),
            Why::Kept { carrier, state, cause } => format!("{}: {}, {}", name(carrier), state.name(), cause.words(&plan.routes.health)),
            Why::Candidate { carrier, rank, weight, cost } => {
                let weight = weight.map(|weight| format!(", weight {weight}")).unwrap_or_default();
                let cost = if cost == 0 { String::new() } else { format!(", cost {}", cost as f64 / 1e6) };
                format!("{}: can take it, rank {rank}{weight}{cost}", name(carrier))
            }
            Why::Chosen { carrier, because } => format!("{}: takes it, {}", name(carrier), because.words()),
            Why::NobodyLeft => "every carrier of the route was tried already".to_owned(),
            Why::WithItsParts { carrier } => format!("{}: the other parts of the long message went there", name(carrier)),
        }
    }
}

impl Because {
    fn words(self) -> &'static str {
        match self {
            Because::Order => "the first in order that can",
            Because::Turn => "its turn by weight",
            Because::Number => "this number always goes there",
            Because::Cost => "the cheapest",
            Because::NoneBetter => "though ill: no other one is better",
            Because::Waits => "and it waits there: none can send now",
        }
    }
}

impl Condition {
    fn words(self) -> String {
        match self {
            Condition::Account => "another account".to_owned(),
            Condition::Class => "another class".to_owned(),
            Condition::Prefix => "no such prefix".to_owned(),
            Condition::Attribute(at) => format!("another {} (or none known)", ATTRIBUTES.get(at).copied().unwrap_or("place")),
            Condition::Tag => "the range has no such tag".to_owned(),
            Condition::Sender => "another sender".to_owned(),
            Condition::Text => "another kind of text".to_owned(),
            Condition::Segments => "not this number of segments".to_owned(),
            Condition::Hours => "not at this time".to_owned(),
        }
    }
}

impl Cause {
    /// The cause in words.
    pub fn words(self, rules: &HealthRules) -> String {
        match self {
            Cause::None => "nothing against it".to_owned(),
            Cause::Answers { failed, of } => {
                format!("{failed} of the last {of} answers failed (limit {} %)", rules.failed_percent)
            }
            Cause::Receipts { failed, of } => {
                format!("{failed} of the last {of} receipts blame it (limit {} %)", rules.receipts_failed_percent)
            }
            Cause::Slow { took_ms } => format!("answers take {took_ms} ms (limit {} ms)", rules.slow_ms),
            Cause::Probe => "a probe failed".to_owned(),
        }
    }
}

impl Engine {
    /// The carriers of the route that a message takes now, in order; none if no route leads there.
    pub(super) fn carriers_of(&self, message: &Message) -> Vec<CarrierId> {
        let plan = &self.plan;
        let wall_ms = self.now.wall_ms.max(message.due_ms);
        let found = plan.routes.find(message, || plan.whereabouts(message.number), wall_ms, &mut Memo::default(), &mut Nobody);
        found.and_then(|at| plan.routes.get(at)).map_or_else(Vec::new, |route| route.choices.iter().map(|choice| choice.carrier).collect())
    }

    /// Where a message would go now, and why: by the decision itself, on copies of what it changes.
    pub fn explain_route(&self, message: &Message) -> RouteExplained {
        let mut why = Vec::new();
        let (route, carrier) = self.router.clone().decide(&self.plan, &self.dispatchers, message, &[], self.now, &mut why);
        RouteExplained { why, route, carrier }
    }
}
