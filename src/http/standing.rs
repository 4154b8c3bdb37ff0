//! How a carrier and its binds stand, in a word each, and which carriers are not up and what waits for that: the same words wherever an operator looks
//! (`status`, `carriers`, `top`). Decides nothing.

use crate::engine::look::{BindView, CarrierView, ChangeView};
use crate::engine::overlay::{Action, Change};
use crate::engine::scope::Scope;
use serde::Serialize;

/// A bind and how it stands.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Bind {
    /// up, connecting or waiting as its link says; what an operator made of it: paused, drained, unbound.
    standing: &'static str,
    #[serde(flatten)]
    view: BindView,
}

/// A carrier with its binds and how it stands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Carrier {
    /// up: at least one bind is; down; what an operator made of it: paused, drained, unbound; what routing thinks of it: out, probing, recovering;
    /// removed: it is configured no more.
    standing: &'static str,
    #[serde(flatten)]
    pub(super) view: CarrierView,
    /// Its binds.
    binds: Vec<Bind>,
    #[serde(skip)]
    change: Option<Change>,
}

/// A carrier that isn't up, or not with all its binds.
#[derive(Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct NotUp {
    /// Its name.
    carrier: String,
    /// As of the carrier.
    standing: &'static str,
    /// Its binds, and how many are up.
    binds: usize,
    /// See `binds`.
    binds_up: usize,
    /// Since when, wall milliseconds; absent: since nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    since_ms: Option<u64>,
    /// What an operator changed, what went wrong last with a bind, why routing took it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    /// Messages in its lanes.
    waiting: u64,
}

/// The strongest change in force of exactly this carrier, or this bind of it, and what is said of what it means.
fn in_force<'a>(changes: &'a [ChangeView], scope: &Scope) -> Option<(&'static str, &'a Change)> {
    let of = |word, is: fn(&Action) -> bool| {
        let fits = |view: &&ChangeView| is(&view.change.action) && view.change.action.scope() == Some(scope);
        changes.iter().find(fits).map(|view| (word, &view.change))
    };
    of("unbound", |action| matches!(action, Action::Unbind { .. }))
        .or_else(|| of("drained", |action| matches!(action, Action::Drain { .. })))
        .or_else(|| of("paused", |action| matches!(action, Action::Pause { .. })))
}

impl Bind {
    /// `of_carrier`: what an operator made of all of them.
    fn new(view: BindView, carrier: &str, of_carrier: Option<&'static str>, changes: &[ChangeView]) -> Bind {
        let of_bind = in_force(changes, &Scope::of_carrier(carrier, Some(view.bind))).map(|(word, _)| word);
        let standing = match view.state {
            "up" => of_carrier.or(of_bind).unwrap_or("up"),
            // Only an operator takes one down; a drain does when it is told to.
            "down" => "unbound",
            // It is lost, whatever is wanted of it.
            lost => lost,
        };
        Bind { standing, view }
    }

    fn is_up(&self) -> bool {
        self.view.state == "up"
    }
}

impl Carrier {
    /// Puts together what the engine, the links and the changes in force say.
    pub(super) fn new(view: CarrierView, binds: Vec<BindView>, changes: &[ChangeView]) -> Carrier {
        let forced = in_force(changes, &Scope::of_carrier(&view.carrier, None));
        let word = forced.map(|(word, _)| word);
        let binds: Vec<Bind> = binds.into_iter().map(|bind| Bind::new(bind, &view.carrier, word, changes)).collect();
        let standing = match word {
            _ if binds.is_empty() => "removed",
            Some(word) => word,
            None if binds.iter().all(|bind| bind.standing == "unbound") => "unbound",
            None if !binds.iter().any(Bind::is_up) => "down",
            None if view.rate_per_s == Some(0) => "paused",
            None if view.health != "well" => view.health,
            None => "up",
        };
        Carrier { standing, change: forced.map(|(_, change)| change.clone()), view, binds }
    }

    /// What to tell of it if it isn't up with all its binds.
    pub(super) fn not_up(&self) -> Option<NotUp> {
        let down: Vec<&Bind> = self.binds.iter().filter(|bind| bind.standing != "up").collect();
        if self.standing == "up" && down.is_empty() {
            return None;
        }
        let is_out = self.view.health != "well";
        let binds_up = self.binds.iter().filter(|bind| bind.is_up()).count();
        let lost = down.iter().filter(|bind| !bind.is_up()).map(|bind| bind.view.since_ms);
        let since_ms = match (&self.change, is_out && binds_up > 0) {
            (Some(change), _) => Some(change.at_ms),
            (None, true) => Some(self.view.health_since_ms).filter(|&ms| ms > 0),
            // Down as a whole since the last one went, in part since the first did.
            (None, false) if binds_up == 0 => lost.max(),
            (None, false) => lost.min(),
        };
        let changed = self.change.as_ref().map(|change| change.brief().to_string());
        let failure = down.iter().find_map(|bind| bind.view.failure.clone());
        let rate_zero = (self.view.rate_per_s == Some(0)).then(|| "its rate is 0".to_owned());
        let health = is_out.then(|| format!("{} by routing: {}", self.view.health, self.view.health_cause));
        let causes: Vec<String> = [changed, failure, rate_zero, health].into_iter().flatten().collect();
        Some(NotUp {
            carrier: self.view.carrier.clone(),
            standing: self.standing,
            binds: self.binds.len(),
            binds_up,
            since_ms,
            cause: (!causes.is_empty()).then(|| causes.join("; ")),
            waiting: self.waiting(),
        })
    }

    /// Messages in its lanes.
    pub(super) fn waiting(&self) -> u64 {
        self.view.waiting.0.iter().map(|&(_, waiting)| waiting).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::look::Named;
    use crate::model::CarrierId;

    fn carrier(states: &[&'static str], changes: &[(Action, u64)]) -> Carrier {
        let view = CarrierView {
            carrier: "north".to_owned(),
            usable: true,
            waits_on: None,
            waiting: Named(vec![("otp", 3), ("marketing", 4)]),
            rate_per_s: None,
            burst: 0,
            allowed_per_s: None,
            throttled_ms: 0,
            health: "well",
            health_cause: "none",
            health_since_ms: 0,
            binds_up: 0,
            window: 0,
            in_flight: 0,
            answers: Named(Vec::new()),
        };
        let bind = |(bind, &state): (usize, &&'static str)| {
            let failure = (state == "waiting").then(|| "refused".to_owned());
            let since_ms = 10 + bind as u64;
            BindView { carrier: CarrierId(0), bind: bind as u16, state, kind: "trx", since_ms, window: 10, in_flight: 0, failure }
        };
        let change = |(action, at_ms): &(Action, u64)| {
            let change = Change {
                id: 5,
                action: action.clone(),
                at_ms: *at_ms,
                until_ms: None,
                who: "local:ada".to_owned(),
                reason: "why".to_owned(),
            };
            ChangeView { change, held: None, ended: None, left: None, empty: None }
        };
        let changes: Vec<ChangeView> = changes.iter().map(change).collect();
        Carrier::new(view, states.iter().enumerate().map(bind).collect(), &changes)
    }

    fn words(carrier: &Carrier) -> Vec<&'static str> {
        std::iter::once(carrier.standing).chain(carrier.binds.iter().map(|bind| bind.standing)).collect()
    }

    fn of(bind: Option<u16>) -> Scope {
        Scope::of_carrier("north", bind)
    }

    #[test]
    fn what_an_operator_wants_is_the_word_for_what_is_up_and_what_is_lost_says_so() {
        assert_eq!(words(&carrier(&["up", "up"], &[])), ["up", "up", "up"]);
        let drained = Action::Drain { scope: of(Some(1)), then_unbind: false };
        assert_eq!(words(&carrier(&["up", "up"], &[(drained.clone(), 1)])), ["up", "up", "drained"]);
        assert_eq!(words(&carrier(&["up", "waiting"], &[(drained, 1)])), ["up", "up", "waiting"]);
        let paused = Action::Pause { scope: of(None) };
        assert_eq!(words(&carrier(&["up", "connecting"], &[(paused, 1)])), ["paused", "paused", "connecting"]);
        assert_eq!(words(&carrier(&["down", "down"], &[(Action::Unbind { scope: of(Some(0)) }, 1)])), ["unbound"; 3]);
        assert_eq!(words(&carrier(&["waiting", "down"], &[])), ["down", "waiting", "unbound"]);
        assert_eq!(words(&carrier(&[], &[])), ["removed"]);
        let narrower = Action::Pause { scope: Scope { class: Some("otp".to_owned()), ..of(None) } };
        assert_eq!(words(&carrier(&["up"], &[(narrower, 1)])), ["up", "up"], "not all of it");
    }

    #[test]
    fn a_carrier_that_is_not_up_tells_since_when_why_and_what_waits() {
        assert_eq!(carrier(&["up", "up"], &[]).not_up(), None);
        let lost = carrier(&["waiting", "connecting"], &[]).not_up().unwrap();
        assert_eq!((lost.standing, lost.since_ms, lost.cause.as_deref(), lost.waiting), ("down", Some(11), Some("refused"), 7));
        let in_part = carrier(&["waiting", "up"], &[]).not_up().unwrap();
        assert_eq!((in_part.standing, in_part.binds_up, in_part.since_ms), ("up", 1, Some(10)));
        let paused = carrier(&["up"], &[(Action::Pause { scope: of(None) }, 99)]).not_up().unwrap();
        assert_eq!((paused.standing, paused.since_ms, paused.cause.as_deref()), ("paused", Some(99), Some("pause 5 (why)")));
    }
}
