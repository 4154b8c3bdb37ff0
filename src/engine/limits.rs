//! Limits beyond a carrier's own rate: any number of token buckets, each for the messages that fit its conditions (carrier, class, account, campaign, sender,
//! number's prefix). A message pays at all of them or at none. Which limits a message falls under is part of the key of its lane, so that a limit that is used
//! up holds back those messages and no others. While the limits stay the same, messages of one account, class and campaign to one number pass through one lane
//! unless a limit tells senders apart, and keep their order; after a reload with other conditions what waits moves to its new lane only when its turn comes,
//! and what comes newly may leave before it.

use super::plan::LimitPlan;
use super::throttle::Bucket;
use crate::model::CarrierId;
use crate::model::{CampaignId, Message, Now};
use crate::number::RangeTable;
use crate::number::prefix::PrefixTable;
use crate::number::ranges::{NameId, Range};
use hashbrown::HashMap;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// Limits that one message may fall under at once; more are left out (`hongyan check` refuses such configurations).
pub const AT_ONCE_MAX: usize = 32;
type Fitting = arrayvec::ArrayVec<u16, AT_ONCE_MAX>;

/// One limit.
#[derive(Debug)]
struct Limit {
    plan: LimitPlan,
    campaign: CampaignId,
    attributes: Option<Attributes>,
    bucket: Bucket,
    /// Rate and burst set while running, in place of the plan's.
    changed: Option<(f64, u32)>,
}

/// What a number's range must say, as ids of the plan's range table. A text that no range has fits nothing.
#[derive(Debug, Clone, Copy)]
struct Attributes {
    country: Option<Option<NameId>>,
    operator: Option<Option<NameId>>,
    region: Option<Option<NameId>>,
}

impl Attributes {
    fn new(plan: &LimitPlan, ranges: &RangeTable) -> Option<Attributes> {
        let id = |text: &Option<String>| text.as_ref().map(|text| ranges.id_of(text));
        let of = Attributes { country: id(&plan.country), operator: id(&plan.operator), region: id(&plan.region) };
        (of.country.is_some() || of.operator.is_some() || of.region.is_some()).then_some(of)
    }

    fn fit(&self, range: &Range) -> bool {
        let same = |wanted: Option<Option<NameId>>, has: NameId| wanted.is_none_or(|wanted| wanted == Some(has));
        same(self.country, range.country) && same(self.operator, range.operator) && same(self.region, range.region)
    }
}

/// All limits. Their numbers are their places in the plan.
#[derive(Debug, Default)]
pub struct Limits {
    limits: Vec<Limit>,
    /// For each prefix of a limit: the limits whose prefixes a number with this longest one has.
    by_prefix: Option<PrefixTable<Vec<u16>>>,
    /// Limits without a prefix.
    others: Vec<u16>,
    /// Which limits a split's name stands for.
    splits: HashMap<u64, Box<[u16]>>,
    ranges: Option<Arc<RangeTable>>,
}

impl Limits {
    /// The limits of a plan, their buckets empty. `ranges`: what is known of numbers.
    pub fn new(plans: &[LimitPlan], ranges: &Arc<RangeTable>, now: Now) -> Limits {
        let limits: Vec<Limit> = plans
            .iter()
            .map(|plan| Limit {
                plan: plan.clone(),
                campaign: CampaignId::NONE,
                attributes: Attributes::new(plan, ranges),
                bucket: Bucket::new(Some(plan.rate_per_s), plan.burst, now),
                changed: None,
            })
            .collect();
        let prefixes: Vec<(u16, &str)> = plans.iter().zip(0u16..).filter_map(|(plan, at)| Some((at, plan.prefix.as_deref()?))).collect();
        let rows = prefixes.iter().map(|&(_, prefix)| {
            let shorter = prefixes.iter().filter(|(_, other)| prefix.starts_with(other)).map(|&(at, _)| at);
            (prefix, shorter.collect::<Vec<u16>>())
        });
        // Prefixes were checked with the configuration.
        let by_prefix = if prefixes.is_empty() { None } else { PrefixTable::new(rows).ok() };
        let others = plans.iter().zip(0u16..).filter(|(plan, _)| plan.prefix.is_none()).map(|(_, at)| at).collect();
        Limits { limits, by_prefix, others, splits: HashMap::new(), ranges: Some(Arc::clone(ranges)) }
    }

    /// No limit at all: every message is of split 0.
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    /// The same limits of another plan: those of the same name keep their level, and what was changed while running.
    pub fn replan(&mut self, plans: &[LimitPlan], ranges: &Arc<RangeTable>, campaigns: impl Fn(&str) -> Option<CampaignId>, now: Now) {
        let mut before = std::mem::replace(self, Limits::new(plans, ranges, now));
        for limit in &mut self.limits {
            limit.campaign = limit.plan.campaign.as_deref().and_then(&campaigns).unwrap_or(CampaignId::NONE);
            if let Some(at) = before.limits.iter().position(|old| old.plan.name == limit.plan.name) {
                let old = before.limits.swap_remove(at);
                (limit.bucket, limit.changed) = (old.bucket, old.changed);
                let (rate, burst) = limit.changed.unwrap_or((f64::from(limit.plan.rate_per_s), limit.plan.burst));
                limit.bucket.set_rate(Some(rate), burst, now);
            }
        }
    }

    /// A campaign has got its number.
    pub fn learn(&mut self, name: &str, id: CampaignId) {
        self.limits.iter_mut().filter(|limit| limit.plan.campaign.as_deref() == Some(name)).for_each(|limit| limit.campaign = id);
    }

    /// The limits that a message falls under in front of `carrier`.
    fn fitting(&self, carrier: CarrierId, message: &Message) -> Fitting {
        let by_prefix = self.by_prefix.as_ref().and_then(|table| table.get(message.number)).map_or(&[][..], Vec::as_slice);
        let mut fits = Fitting::new();
        // Looked up once, and only if a limit asks.
        let range = std::cell::LazyCell::new(|| self.ranges.as_ref().and_then(|ranges| Some(ranges.get(ranges.find(message.number)?))));
        for &at in self.others.iter().chain(by_prefix) {
            let limit = &self.limits[at as usize];
            let of_range = limit.attributes.is_none_or(|wanted| range.is_some_and(|range| wanted.fit(range)));
            if !fits.is_full() && of_range && limit.fits(carrier, message) {
                fits.push(at);
            }
        }
        fits.sort_unstable();
        fits
    }

    fn name_of(&self, fits: &Fitting) -> u64 {
        if fits.is_empty() {
            return 0;
        }
        let mut hash = Xxh3::new();
        for &at in fits {
            hash.update(self.limits[at as usize].plan.name.as_bytes());
            hash.update(&[0]);
        }
        hash.digest().max(1)
    }

    /// Names the set of limits that a message falls under in front of `carrier`; 0 for none. The same set has the same name in every run.
    pub fn split_of(&self, carrier: CarrierId, message: &Message) -> u64 {
        if self.limits.is_empty() { 0 } else { self.name_of(&self.fitting(carrier, message)) }
    }

    /// The same, and remembers which limits the name stands for.
    pub fn split(&mut self, carrier: CarrierId, message: &Message) -> u64 {
        if self.limits.is_empty() {
            return 0;
        }
        let fits = self.fitting(carrier, message);
        let name = self.name_of(&fits);
        if name != 0 {
            self.splits.entry(name).or_insert_with(|| fits.as_slice().into());
        }
        name
    }

    /// The limits that a split stands for; none for one that no message of this run has had.
    pub fn of(&self, split: u64) -> Box<[u16]> {
        self.splits.get(&split).cloned().unwrap_or_default()
    }

    /// The limits that a message would pay in front of `carrier`, by name.
    pub fn fitting_buckets(&self, carrier: CarrierId, message: &Message) -> impl Iterator<Item = (&str, &Bucket)> + '_ {
        self.fitting(carrier, message).into_iter().map(|at| (self.name(at), self.bucket(at)))
    }

    /// The limits that a message to `carrier` pays.
    pub(super) fn fitting_limits(&self, carrier: CarrierId, message: &Message) -> impl Iterator<Item = u16> + use<> {
        self.fitting(carrier, message).into_iter()
    }

    /// The bucket of a limit.
    pub fn bucket(&self, at: u16) -> &Bucket {
        &self.limits[at as usize].bucket
    }

    /// The name of a limit.
    pub fn name(&self, at: u16) -> &str {
        &self.limits[at as usize].plan.name
    }

    /// Another rate for the limit of this name, from now on (`None`: the plan's again). False if there is none of this name.
    pub fn set_rate(&mut self, name: &str, rate: Option<(f64, u32)>, now: Now) -> bool {
        let Some(limit) = self.limits.iter_mut().find(|limit| limit.plan.name == name) else { return false };
        limit.changed = rate;
        let (per_s, burst) = rate.unwrap_or((f64::from(limit.plan.rate_per_s), limit.plan.burst));
        limit.bucket.set_rate(Some(per_s), burst, now);
        true
    }

    /// Name, rate, burst and level of every limit, in the plan's order.
    pub fn figures(&self, now: Now) -> impl Iterator<Item = (&str, f64, u32, f64)> + '_ {
        self.limits.iter().map(move |limit| {
            let bucket = &limit.bucket;
            (limit.plan.name.as_str(), bucket.per_s().unwrap_or(0.0), bucket.burst(), bucket.level(now).unwrap_or(0.0))
        })
    }
}

impl Limit {
    fn fits(&self, carrier: CarrierId, message: &Message) -> bool {
        let plan = &self.plan;
        plan.carrier.is_none_or(|of| of == carrier)
            && plan.class.is_none_or(|of| of == message.class)
            && plan.account.is_none_or(|of| of == message.account)
            && (plan.campaign.is_none() || self.campaign != CampaignId::NONE && self.campaign == message.campaign)
            && plan.sender.as_ref().is_none_or(|(start, open)| match open {
                true => message.source.digits.starts_with(start),
                false => message.source.digits.as_slice() == start.as_slice(),
            })
    }
}
