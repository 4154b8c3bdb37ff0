//! What would become of a batch that isn't handed in: [`super::explain`] for many at once, in sums. By the functions that decide, on copies of what they
//! change, and nothing of it is done. Each message is judged as if it were the first of them: what the batch itself uses up (velocity limits, the balance,
//! the places of those that wait) is for whoever adds the sums to see.

use super::Engine;
use super::dedupe::{Remembered, Repeat};
use super::port::{CarrierId, Draft};
use super::why::Nobody;
use crate::model::{AccountId, DuplicateAction, Message, Refusal};
use crate::number::ranges::NameId;
use crate::text::segment;
use hashbrown::HashMap;
use serde::Serialize;
use std::collections::BTreeMap;

/// Drafts in one estimate at most: it is one step of the engine.
pub const ESTIMATE_MAX: usize = 1_000;

/// What one draft would become: its segments; nothing, for it was handed in before; or why it would be refused.
pub type Foreseen = Result<Option<u8>, Refusal>;

/// Something that all segments to it share, and its rate.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Pace {
    /// Which: `carrier north`, `limit night`, `account shop`.
    pub bucket: String,
    /// Segments a second; 0: paused.
    pub per_s: f64,
    /// Segments of the batch that would pay it.
    pub segments: u64,
    /// Messages that wait before them, where they wait for the same.
    pub before_it: u64,
}

/// The sums.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Estimate {
    /// Messages that would be taken.
    pub taken: u64,
    /// Messages that were handed in before: by their identity, or by text and number where the account drops those.
    pub repeated: u64,
    /// Each draft, in order.
    #[serde(skip)]
    pub each: Vec<Foreseen>,
    /// Segments of what would be taken.
    pub segments: u64,
    /// Thousandths of a credit that it would cost; absent where nothing is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charge: Option<u64>,
    /// Thousandths of a credit that the account may spend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_reach: Option<i64>,
    /// Places left for messages of the account that wait.
    pub places: u64,
    /// Messages by the encoding of their texts.
    pub encodings: BTreeMap<&'static str, u64>,
    /// Messages by operator; empty: not known.
    pub operators: BTreeMap<String, u64>,
    /// Messages by region; empty: not known.
    pub regions: BTreeMap<String, u64>,
    /// Segments by carrier.
    pub carriers: BTreeMap<String, u64>,
    /// Everything with a rate that they would pay.
    pub paces: Vec<Pace>,
}

/// What a message would be.
struct Weighed {
    carrier: CarrierId,
    segments: u8,
    charge: Option<u32>,
}

/// Counts by number, before they get their names.
#[derive(Default)]
struct Counts {
    ranges: HashMap<[NameId; 2], u64>,
    unknown: u64,
    carriers: BTreeMap<CarrierId, u64>,
    limits: BTreeMap<u16, u64>,
}

impl Estimate {
    /// Adds the estimate of the drafts that come after these; what it says of the account itself holds.
    pub fn join(&mut self, next: Estimate) {
        self.taken += next.taken;
        self.repeated += next.repeated;
        self.segments += next.segments;
        self.each.extend(next.each);
        self.charge = self.charge.zip(next.charge).map(|(charge, more)| charge + more).or(self.charge).or(next.charge);
        (self.within_reach, self.places) = (next.within_reach, next.places);
        for (encoding, count) in next.encodings {
            *self.encodings.entry(encoding).or_default() += count;
        }
        let named = [(&mut self.operators, next.operators), (&mut self.regions, next.regions), (&mut self.carriers, next.carriers)];
        for (sums, next) in named {
            next.into_iter().for_each(|(name, count)| *sums.entry(name).or_default() += count);
        }
        for pace in next.paces {
            match self.paces.iter_mut().find(|known| known.bucket == pace.bucket) {
                Some(known) => known.segments += pace.segments,
                None => self.paces.push(pace),
            }
        }
    }
}

impl Engine {
    /// What would become of these drafts of one account now. `account`: whose, also where there are none.
    pub fn estimate(&self, account: AccountId, drafts: &[Draft]) -> Estimate {
        let mut router = self.router.clone();
        let (mut sums, mut counts) = (Estimate::default(), Counts::default());
        for draft in drafts {
            let message = self.as_taken(draft);
            let weighed = self.weigh(&message, &mut router);
            match &weighed {
                Ok(Some(weighed)) => self.add(&message, weighed, &mut sums, &mut counts),
                Ok(None) => sums.repeated += 1,
                Err(_) => {}
            }
            sums.each.push(weighed.map(|weighed| weighed.map(|weighed| weighed.segments)));
        }
        self.name_counts(account, counts, &mut sums);
        sums
    }

    /// The message of a draft, were it accepted now.
    pub(super) fn as_taken(&self, draft: &Draft) -> Message {
        let mut message = Message::clone(&draft.message);
        message.campaign = draft.campaign.as_ref().and_then(|name| self.campaigns.find(name)).unwrap_or(message.campaign);
        message.accepted_ms = self.now.wall_ms;
        if message.expires_ms == 0 {
            message.expires_ms = message.due_ms.max(self.now.wall_ms) + self.plan.class(message.class).validity_ms;
        }
        message
    }

    /// In the order of intake. `None`: it was handed in before.
    fn weigh(&self, message: &Message, router: &mut super::choice::Router) -> Result<Option<Weighed>, Refusal> {
        if self.is_key_reused(message) {
            return Err(Refusal::KeyReused);
        }
        if message.identity != 0 && self.repeat_of(message, Remembered::Identity).is_some() {
            return Ok(None);
        }
        if message.expires_ms <= self.now.wall_ms {
            return Err(Refusal::Validity);
        }
        let (route, carrier) = router.decide(&self.plan, &self.dispatchers, message, &[], self.now, &mut Nobody);
        let first = route.and_then(|at| self.plan.routes.get(at)).ok_or(Refusal::NoRoute)?.choices[0].carrier;
        let carrier = carrier.unwrap_or(first);
        self.rules_foretell(message, carrier).map_or(Ok(()), Err)?;
        match self.repeat_of(message, Remembered::Text) {
            Some(Repeat { action: DuplicateAction::Drop, .. }) => return Ok(None),
            Some(Repeat { action: DuplicateAction::Refuse, .. }) => return Err(Refusal::Duplicate),
            _ => {}
        }
        let segments = segment::count(&message.body, &self.plan.carrier(first).segments);
        let in_octet = u8::try_from(segments).map_err(|_| Refusal::Length)?;
        let charge = match self.quote(message.account, message.number, segments) {
            Some(quote) => Some(quote.accept()?),
            None => None,
        };
        Ok(Some(Weighed { carrier, segments: in_octet, charge }))
    }

    fn add(&self, message: &Message, weighed: &Weighed, sums: &mut Estimate, counts: &mut Counts) {
        let segments = u64::from(weighed.segments);
        sums.taken += 1;
        sums.segments += segments;
        *sums.encodings.entry(message.body.encoding.name()).or_default() += 1;
        if let Some(charge) = weighed.charge {
            *sums.charge.get_or_insert(0) += u64::from(charge);
        }
        let ranges = &self.plan.ranges;
        match ranges.find(message.number).map(|range| ranges.get(range)) {
            Some(range) => *counts.ranges.entry([range.operator, range.region]).or_default() += 1,
            None => counts.unknown += 1,
        }
        *counts.carriers.entry(weighed.carrier).or_default() += segments;
        for limit in self.limits.fitting_limits(weighed.carrier, message) {
            *counts.limits.entry(limit).or_default() += segments;
        }
    }

    fn name_counts(&self, account: AccountId, counts: Counts, sums: &mut Estimate) {
        for ([operator, region], count) in counts.ranges {
            *sums.operators.entry(self.plan.ranges.name(operator).to_owned()).or_default() += count;
            *sums.regions.entry(self.plan.ranges.name(region).to_owned()).or_default() += count;
        }
        if counts.unknown > 0 {
            *sums.operators.entry(String::new()).or_default() += counts.unknown;
            *sums.regions.entry(String::new()).or_default() += counts.unknown;
        }
        let plan = self.plan.account(account);
        let state = &self.accounts[account.0 as usize];
        sums.places = plan.max_waiting.saturating_sub(state.waiting);
        if let Some(balance) = &plan.balance {
            sums.charge.get_or_insert(0);
            sums.within_reach = Some(self.balances[account.0 as usize].available.saturating_add(balance.limit));
        }
        let mut pace = |bucket: String, per_s: Option<f64>, segments: u64, before_it: u64| {
            sums.paces.extend(per_s.map(|per_s| Pace { bucket, per_s, segments, before_it }));
        };
        pace(format!("account {}", plan.name), plan.rate_per_s.map(f64::from), sums.segments, 0);
        for (&limit, &segments) in &counts.limits {
            pace(format!("limit {}", self.limits.name(limit)), self.limits.bucket(limit).per_s(), segments, 0);
        }
        for (&carrier, &segments) in &counts.carriers {
            let (name, dispatcher) = (&self.plan.carrier(carrier).name, &self.dispatchers[carrier.0 as usize]);
            let waiting = dispatcher.waiting.iter().sum::<i64>().max(0) as u64;
            for (bucket, per_s) in dispatcher.own_buckets().map(|(bucket, found)| (bucket, found.per_s())) {
                let bucket = if bucket == "carrier" { format!("carrier {name}") } else { format!("{bucket} ({name})") };
                pace(bucket, per_s, segments, waiting);
            }
        }
        sums.carriers = counts.carriers.iter().map(|(&carrier, &segments)| (self.plan.carrier(carrier).name.clone(), segments)).collect();
    }
}
