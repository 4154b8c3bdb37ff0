//! The decision: may this message be taken, may it leave. One function; whoever wants to know each rule's word passes a recorder.

use super::super::Engine;
use super::super::messages::Phase;
use super::super::port::{CarrierId, Replacement};
use crate::model::{AccountId, Body, Message, MessageId, Refusal, State};

/// When a message is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It is handed in.
    Intake,
    /// It would go to this carrier now.
    Leaving(CarrierId),
}

/// Whose list of phrases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhraseOf {
    /// An account's.
    Account(AccountId),
    /// A carrier's.
    Carrier(CarrierId),
}

/// One rule's word on a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// `lists`, `countries`, `phrases`, `carrier phrases`, `velocity`.
    pub rule: &'static str,
    /// When it was asked.
    pub moment: Moment,
    /// Why not; `None`: it may.
    pub refusal: Option<Refusal>,
    /// What decided, in words: the level of the list, the phrase, the limit.
    pub why: String,
}

/// Takes each rule's word.
pub type Recorder<'a> = Option<&'a mut dyn FnMut(Ruling)>;

/// What the rules say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Decision {
    /// The first refusal; `None`: it may.
    pub refusal: Option<Refusal>,
    /// The phrase that was found, if that was it.
    pub phrase: Option<(PhraseOf, usize)>,
    /// Another carrier may take it.
    pub elsewhere: bool,
}

impl Engine {
    /// What the rules say to `message` at `moment`. Without a recorder it ends at the first refusal.
    fn decide(&self, message: &Message, moment: Moment, mut recorder: Recorder<'_>) -> Decision {
        let plan = &self.plan.rules;
        let rules = plan.account(message.account);
        let mut decision = Decision::default();
        let mut say = |rule, refusal: Option<Refusal>, why: &dyn Fn() -> String, with: Decision| {
            if let Some(record) = &mut recorder {
                record(Ruling { rule, moment, refusal, why: why() });
            }
            if decision.refusal.is_none() && refusal.is_some() {
                decision = Decision { refusal, ..with };
            }
            decision.refusal.is_some() && recorder.is_none()
        };
        let plain = Decision::default();
        let listed = match self.rules.lists().is_empty() {
            true => None,
            false => self.rules.lists().find(message.number, message.account, &message.source),
        };
        let words = || listed.map_or("in no list".to_owned(), |(kind, level)| format!("in the {} list of the {level}", kind.name()));
        if say("lists", listed.map(|(kind, _)| kind.refusal()), &words, plain) {
            return decision;
        }
        let foreign = rules.allowed.as_ref().is_some_and(|allowed| !allowed.permits(message.number, &self.plan.ranges));
        let words = || {
            if rules.allowed.is_some() { "the account may write to some countries and prefixes" } else { "the account may write anywhere" }
                .to_owned()
        };
        if say("countries", foreign.then_some(Refusal::Country), &words, plain) {
            return decision;
        }
        let mut phrases = vec_of(rules.phrases.as_ref().map(|list| ("phrases", PhraseOf::Account(message.account), list, false)));
        if let Moment::Leaving(carrier) = moment {
            let rules = plan.carrier(carrier);
            phrases.extend(rules.phrases.as_ref().map(|list| ("carrier phrases", PhraseOf::Carrier(carrier), list, rules.elsewhere)));
        }
        for (rule, of, list, elsewhere) in phrases {
            let found = list.find(&message.body);
            let words = || found.map_or("no denied phrase".to_owned(), |place| format!("has '{}'", list.phrase(place)));
            let with = Decision { refusal: None, phrase: found.map(|place| (of, place)), elsewhere };
            if say(rule, found.map(|_| Refusal::Phrase), &words, with) {
                return decision;
            }
        }
        if moment == Moment::Intake {
            let at_ms = (self.now.mono_us / 1000) as i64;
            for rule in &rules.velocity {
                let over = self.rules.velocity.is_over(message.account, rule, message.number, at_ms);
                let words = || format!("at most {} messages to a range in {} s", rule.most, rule.window_ms / 1000);
                if say("velocity", over.then_some(Refusal::Velocity), &words, plain) {
                    return decision;
                }
            }
        }
        decision
    }

    /// There is nothing to decide by.
    #[inline]
    fn has_no_rules(&self) -> bool {
        !self.plan.rules.is_any() && self.rules.lists.is_empty()
    }

    /// The door of intake: what stands against a message that is handed in.
    #[inline]
    pub(in crate::engine) fn rules_at_intake(&mut self, message: &Message) -> Result<(), Refusal> {
        if self.has_no_rules() {
            return Ok(());
        }
        let decision = self.decide(message, Moment::Intake, None);
        if let Some((of, place)) = decision.phrase {
            self.phrase_hit(of, place);
        }
        decision.refusal.map_or(Ok(()), Err)
    }

    /// What would stand against a message that is handed in now and leaves by `carrier`; nothing is counted.
    pub(in crate::engine) fn rules_foretell(&self, message: &Message, carrier: CarrierId) -> Option<Refusal> {
        if self.has_no_rules() {
            return None;
        }
        let leaving = || Some(self.decide(message, Moment::Leaving(carrier), None)).filter(|decision| !decision.elsewhere)?.refusal;
        self.decide(message, Moment::Intake, None).refusal.or_else(leaving)
    }

    /// What an accepted message counts for. Live and in replay.
    #[inline]
    pub(in crate::engine) fn rules_accepted(&mut self, message: &Message) {
        if !self.plan.rules.is_any() || !self.counting {
            return;
        }
        let age_ms = self.now.wall_ms as i64 - message.accepted_ms as i64;
        let at_ms = (self.now.mono_us / 1000) as i64 - age_ms;
        for rule in &self.plan.rules.account(message.account).velocity {
            self.rules.velocity.count(message.account, rule, message.number, at_ms);
        }
    }

    /// A new text in place of an old one.
    pub(in crate::engine) fn rules_at_replace(&mut self, id: MessageId, with: &Replacement) -> Result<(), Refusal> {
        let Some(entry) = self.messages.get(&id).filter(|_| self.plan.rules.is_any()) else { return Ok(()) };
        let account = entry.message.account;
        let Some(list) = self.plan.rules.account(account).phrases.as_ref() else { return Ok(()) };
        let body = Body { header_len: 0, octets: with.octets.clone(), ..entry.message.body.clone() };
        match list.find(&body) {
            None => Ok(()),
            Some(place) => {
                self.phrase_hit(PhraseOf::Account(account), place);
                Err(Refusal::Phrase)
            }
        }
    }

    /// The door of the way out: true if the message must not go to `carrier`. Then it has ended, or is on its way to another carrier.
    #[inline]
    pub(in crate::engine) fn rules_stop(&mut self, id: MessageId, carrier: CarrierId) -> bool {
        !self.has_no_rules() && self.rules_stop_here(id, carrier)
    }

    /// It was handed out before the rules changed, and must not leave now.
    #[inline]
    pub(in crate::engine) fn rules_forbid(&self, id: MessageId, carrier: CarrierId) -> bool {
        let Some(entry) = self.messages.get(&id).filter(|_| !self.has_no_rules()) else { return false };
        self.decide(&entry.message, Moment::Leaving(carrier), None).refusal.is_some()
    }

    fn rules_stop_here(&mut self, id: MessageId, carrier: CarrierId) -> bool {
        let Some(entry) = self.messages.get(&id) else { return false };
        let decision = self.decide(&entry.message, Moment::Leaving(carrier), None);
        let (taken, doubts) = (entry.parts.any_taken(), entry.doubts);
        debug_assert_eq!(entry.phase, Phase::Waiting(carrier), "only what waits is stopped");
        let Some(refusal) = decision.refusal else { return false };
        if let Some((of, place)) = decision.phrase {
            self.phrase_hit(of, place);
        }
        if let Some(entry) = self.messages.get_mut(&id) {
            entry.last_status = refusal.report_error();
        }
        if decision.elsewhere && !taken && doubts == 0 {
            self.try_elsewhere(id, carrier);
            // After the last carrier of its route it has ended.
            self.rules.tally.stopped[refusal as usize] += u64::from(!self.messages.contains_key(&id));
            return true;
        }
        self.rules.tally.stopped[refusal as usize] += 1;
        let state = match (taken, doubts) {
            // Part of it is out: it can't arrive whole.
            (true, _) => State::Undelivered,
            // An earlier copy may be out: a late receipt still counts.
            (false, 1..) => State::InDoubt,
            (false, 0) => State::Rejected,
        };
        self.verdict(id, state, refusal.report_error());
        if state == State::InDoubt
            && let Some(entry) = self.messages.get(&id)
        {
            self.doubts.entry((carrier, crate::number::tail(entry.message.number))).or_default().push(id);
        }
        true
    }

    /// Each rule's word on `message`: as it would be handed in now, and as it would leave to each carrier of its route.
    pub fn explain_rules(&self, message: &Message) -> Vec<Ruling> {
        let mut rulings = Vec::new();
        self.decide(message, Moment::Intake, Some(&mut |ruling| rulings.push(ruling)));
        for carrier in self.carriers_of(message) {
            self.decide(message, Moment::Leaving(carrier), Some(&mut |ruling| rulings.push(ruling)));
        }
        rulings
    }
}

/// At most two lists: no allocation worth a thought, and none where there is no list.
fn vec_of<T>(one: Option<T>) -> arrayvec::ArrayVec<T, 2> {
    one.into_iter().collect()
}
