//! The queues in front of one carrier. A lane's key is class, account, campaign, and the limits that its messages fall under ([`super::limits`]): so what a
//! limit holds back never stands before what it doesn't mean. The lanes form a tree: classes, most urgent first, each with a guaranteed share; inside a class
//! the accounts by weight, inside an account its campaigns, inside a campaign its lanes ([`super::fair`]). Only what can leave now takes part; an empty lane costs
//! nothing.

use super::fair::{Fair, cost};
use super::lane::Queue;
use crate::model::{AccountId, CampaignId, Class, MessageId};
use hashbrown::HashMap;
use std::collections::{BTreeSet, VecDeque};

/// Names a lane of one carrier. The same message has the same key whenever it is asked, as long as the plan's limits are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneKey {
    /// Class of its messages.
    pub class: Class,
    /// Their account.
    pub account: AccountId,
    /// Their campaign.
    pub campaign: CampaignId,
    /// The recipients' time zone, as [`super::hours`] names it, if the class has hours; else 0.
    pub zone: u32,
    /// Which limits they fall under, as [`super::limits::Limits::split`] names them; 0: none.
    pub split: u64,
}

/// A lane's place in the table of one carrier's lanes.
pub type LaneId = u32;

/// Why a lane can't send although its messages are here. mono_us until when, `u64::MAX` if only an event can change that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// A limit has no permit for it, the one of this number in the plan.
    Limit(u16),
    /// It was paused while running.
    Paused,
    /// Its class may not be sent at this hour of its recipients.
    Hours,
    /// So many at its head don't leave (cancelled, stopped, expired) that they are cleared away a part at a time.
    Passing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Has nothing in memory to send.
    Idle,
    /// Takes part.
    Ready,
    /// Has something, and may not send it before this instant.
    Held(u64, Hold),
}

#[derive(Debug)]
struct Lane {
    key: LaneKey,
    queue: Queue,
    standing: Standing,
    tag: u64,
    campaign: u32,
    /// Permits already paid, at all levels, towards a message that is larger than a burst.
    paid: u32,
    /// Segments a second that may leave until that instant (mono_us): what gathered while its hours were closed leaves spread over some time.
    spread: Option<(f64, u64)>,
    was_closed: bool,
    /// Limits that it pays, by number.
    limits: Box<[u16]>,
    /// Segments that it has sent, now and when it was last looked at, and how many a second that makes.
    sent: u64,
    sent_before: u64,
    per_s: f64,
}

impl Lane {
    fn hold(&self) -> Option<(Hold, u64)> {
        match self.standing {
            Standing::Held(until, why) => Some((why, until)),
            Standing::Idle | Standing::Ready => None,
        }
    }
}

/// What is asked of a lane.
#[derive(Debug)]
pub struct Head<'l> {
    /// Which.
    pub key: LaneKey,
    /// Its messages.
    pub queue: &'l Queue,
    /// What holds it back, and until when (mono_us).
    pub hold: Option<(Hold, u64)>,
    /// Segments a second that it has sent of late.
    pub per_s: f64,
}

/// One step of the tree between class and lane.
#[derive(Debug, Default)]
struct Node {
    parent: u32,
    fair: Fair,
    tag: u64,
    is_ready: bool,
    weight: u32,
    /// Lanes that a campaign has.
    lanes: u32,
}

#[derive(Debug, Default)]
struct Urgency {
    fair: Fair,
    /// What its guaranteed share owes it, thousandths of a segment.
    owed: i64,
    share_percent: i64,
}

/// Bound of what a class's guaranteed share may owe it, thousandths of a segment.
const OWED_MAX: i64 = 64_000;

/// Messages that wait for one carrier.
#[derive(Debug)]
pub struct Lanes {
    classes: [Urgency; 3],
    accounts: Vec<Node>,
    account_at: HashMap<(Class, AccountId), u32>,
    campaigns: Vec<Option<Node>>,
    campaign_at: HashMap<(u32, CampaignId), u32>,
    lanes: Vec<Option<Lane>>,
    lane_at: HashMap<LaneKey, LaneId>,
    free: Vec<LaneId>,
    free_campaigns: Vec<u32>,
    held: BTreeSet<(u64, LaneId)>,
}

impl Lanes {
    /// No lanes. `shares_percent`: what each class gets of the carrier whenever it has something to send, whatever is more urgent.
    pub fn new(shares_percent: [u8; 3]) -> Lanes {
        Lanes {
            classes: shares_percent.map(|share| Urgency { fair: Fair::default(), owed: 0, share_percent: i64::from(share) }),
            accounts: Vec::new(),
            account_at: HashMap::new(),
            campaigns: Vec::new(),
            campaign_at: HashMap::new(),
            lanes: Vec::new(),
            lane_at: HashMap::new(),
            free: Vec::new(),
            free_campaigns: Vec::new(),
            held: BTreeSet::new(),
        }
    }

    /// The lane of `key`; made if it isn't there. `weight`: of its account. `limits`: what it pays.
    pub fn lane(&mut self, key: LaneKey, weight: u32, limits: impl FnOnce() -> Box<[u16]>) -> LaneId {
        if let Some(&lane) = self.lane_at.get(&key) {
            return lane;
        }
        let accounts = &mut self.accounts;
        let account = *self.account_at.entry((key.class, key.account)).or_insert_with(|| {
            accounts.push(Node { parent: key.class as u32, weight, ..Node::default() });
            accounts.len() as u32 - 1
        });
        let campaign = match self.campaign_at.get(&(account, key.campaign)) {
            Some(&campaign) => campaign,
            None => {
                let node = Some(Node { parent: account, weight: 1, ..Node::default() });
                let at = place(&mut self.campaigns, &mut self.free_campaigns, node);
                self.campaign_at.insert((account, key.campaign), at);
                at
            }
        };
        let lane = Lane {
            key,
            queue: Queue::default(),
            standing: Standing::Idle,
            tag: 0,
            campaign,
            paid: 0,
            spread: None,
            was_closed: false,
            limits: limits(),
            sent: 0,
            sent_before: 0,
            per_s: 0.0,
        };
        self.campaign(campaign).lanes += 1;
        let at = place(&mut self.lanes, &mut self.free, Some(lane));
        self.lane_at.insert(key, at);
        at
    }

    fn get(&self, lane: LaneId) -> &Lane {
        self.lanes[lane as usize].as_ref().expect("a lane's place is used while the lane is there")
    }

    fn get_mut(&mut self, lane: LaneId) -> &mut Lane {
        self.lanes[lane as usize].as_mut().expect("a lane's place is used while the lane is there")
    }

    fn campaign(&mut self, at: u32) -> &mut Node {
        self.campaigns[at as usize].as_mut().expect("a campaign is there while it has lanes")
    }

    /// The lane of this key, if it is there.
    pub fn find(&self, key: &LaneKey) -> Option<LaneId> {
        self.lane_at.get(key).copied()
    }

    /// The key of a lane.
    pub fn key(&self, lane: LaneId) -> LaneKey {
        self.get(lane).key
    }

    /// To the end of a lane.
    pub fn push(&mut self, lane: LaneId, message: MessageId) {
        self.get_mut(lane).queue.push(message);
        self.rouse(lane);
    }

    /// Back to its place at the front (it came back from a bind, or had no permit).
    pub fn push_front(&mut self, lane: LaneId, message: MessageId) {
        self.get_mut(lane).queue.push_front(message);
        self.rouse(lane);
    }

    /// To the end of the part that is in front of every chunk.
    pub fn push_ahead(&mut self, lane: LaneId, message: MessageId) {
        self.get_mut(lane).queue.push_ahead(message);
        self.rouse(lane);
    }

    /// Recovery: to its place among the lane's chunks ([`Queue::push_by_age`]).
    pub fn push_by_age(&mut self, lane: LaneId, message: MessageId, first_of: impl Fn(u64) -> Option<MessageId>) {
        self.get_mut(lane).queue.push_by_age(message, first_of);
        self.rouse(lane);
    }

    /// A lane that has something to send takes part from now on.
    fn rouse(&mut self, at: LaneId) {
        let lane = self.get_mut(at);
        if lane.standing != Standing::Idle || lane.queue.peek().is_none() {
            return;
        }
        lane.standing = Standing::Ready;
        let (tag, campaign_at) = (lane.tag, lane.campaign);
        let campaign = self.campaign(campaign_at);
        campaign.fair.activate(at, tag);
        if std::mem::replace(&mut campaign.is_ready, true) {
            return;
        }
        let (tag, account_at) = (campaign.tag, campaign.parent);
        let account = &mut self.accounts[account_at as usize];
        account.fair.activate(campaign_at, tag);
        if !std::mem::replace(&mut account.is_ready, true) {
            self.classes[account.parent as usize].fair.activate(account_at, account.tag);
        }
    }

    /// The lane whose turn it is, among classes at or above `least` urgent. It has a message in memory and nothing of its own holds it back.
    pub fn next(&mut self, least: Class, now_us: u64) -> Option<LaneId> {
        self.release(now_us);
        loop {
            let class = self.class_in_turn(least)?;
            let account = self.classes[class].fair.turn()?;
            let campaign = self.accounts[account as usize].fair.turn()?;
            let lane = self.campaign(campaign).fair.turn()?;
            if self.get_mut(lane).queue.peek().is_some() {
                return Some(lane);
            }
            self.rest(lane, Standing::Idle);
        }
    }

    fn class_in_turn(&self, least: Class) -> Option<usize> {
        let ready = || (0..=least as usize).filter(|&class| !self.classes[class].fair.is_empty());
        let owed = ready().filter(|&class| self.classes[class].owed >= 1000).max_by_key(|&class| self.classes[class].owed);
        owed.or_else(|| ready().next())
    }

    /// The next message of the lane that [`Lanes::next`] named.
    pub fn pop(&mut self, lane: LaneId) -> Option<MessageId> {
        self.get_mut(lane).queue.pop()
    }

    /// The lane that [`Lanes::next`] named sent so many segments.
    pub fn served(&mut self, lane: LaneId, segments: u32) {
        let of = self.get_mut(lane);
        of.sent += u64::from(segments);
        let (campaign, class) = (of.campaign, of.key.class as usize);
        let campaign = self.campaign(campaign);
        campaign.fair.served(cost(segments, 1));
        let account_at = campaign.parent as usize;
        let account = &mut self.accounts[account_at];
        account.fair.served(cost(segments, 1));
        self.classes[class].fair.served(cost(segments, account.weight));
        for urgency in self.classes.iter_mut().filter(|urgency| !urgency.fair.is_empty()) {
            urgency.owed = (urgency.owed + i64::from(segments) * 10 * urgency.share_percent).min(OWED_MAX);
        }
        let owed = &mut self.classes[class].owed;
        *owed = (*owed - i64::from(segments) * 1000).max(0);
    }

    /// The lane that [`Lanes::next`] named can't send before `until_us` (mono_us).
    pub fn hold(&mut self, lane: LaneId, until_us: u64, why: Hold) {
        self.rest(lane, Standing::Held(until_us, why));
        if until_us != u64::MAX {
            self.held.insert((until_us, lane));
        }
    }

    /// The lane that [`Lanes::next`] named may not be sent at this hour, until `until_us`.
    pub fn close(&mut self, lane: LaneId, until_us: u64) {
        let of = self.get_mut(lane);
        (of.was_closed, of.spread) = (true, None);
        self.hold(lane, until_us, Hold::Hours);
    }

    /// The lane that [`Lanes::next`] named may be sent. If it was closed until now, what has gathered leaves spread over `over_us`.
    pub fn open(&mut self, lane: LaneId, over_us: u64, now_us: u64) {
        let of = self.get_mut(lane);
        if std::mem::take(&mut of.was_closed) && over_us > 0 {
            of.spread = Some((of.queue.depth() as f64 * 1e6 / over_us as f64, now_us + over_us));
        }
    }

    /// The lane that [`Lanes::next`] named sent so many segments: if it leaves spread over some time, it pauses after them.
    pub fn keep_spread(&mut self, lane: LaneId, segments: u32, now_us: u64) {
        let of = self.get_mut(lane);
        match of.spread {
            Some((per_s, until)) if now_us < until => {
                let pause_us = (f64::from(segments) * 1e6 / per_s.max(0.001)) as u64;
                self.hold(lane, (now_us + pause_us).min(until), Hold::Hours);
            }
            _ => of.spread = None,
        }
    }

    /// The lane that was named last takes part no more.
    fn rest(&mut self, at: LaneId, standing: Standing) {
        let campaign_at = self.get(at).campaign;
        let campaign = self.campaign(campaign_at);
        let tag = campaign.fair.leave();
        let (left, account_at) = (campaign.fair.is_empty(), campaign.parent);
        let lane = self.get_mut(at);
        (lane.tag, lane.standing) = (tag, standing);
        if !left {
            return;
        }
        let account = &mut self.accounts[account_at as usize];
        let tag = account.fair.leave();
        if account.fair.is_empty() {
            account.tag = self.classes[account.parent as usize].fair.leave();
            account.is_ready = false;
        }
        let campaign = self.campaign(campaign_at);
        (campaign.tag, campaign.is_ready) = (tag, false);
    }

    /// Lanes whose hold is over.
    fn release(&mut self, now_us: u64) {
        while let Some(&(until, lane)) = self.held.first()
            && until <= now_us
        {
            self.held.pop_first();
            self.get_mut(lane).standing = Standing::Idle;
            self.rouse(lane);
        }
    }

    /// Every hold is looked at again at the next turn: a limit, a pause or the plan changed.
    pub fn release_all(&mut self) {
        self.held.clear();
        for at in 0..self.lanes.len() {
            if let Some(lane) = &mut self.lanes[at]
                && matches!(lane.standing, Standing::Held(..))
            {
                lane.standing = Standing::Idle;
                self.rouse(at as LaneId);
            }
        }
    }

    /// When (mono_us) the next hold is over.
    pub fn next_release(&self) -> Option<u64> {
        self.held.first().map(|&(until, _)| until)
    }

    /// Permits paid towards a large message of the lane.
    pub fn paid(&mut self, lane: LaneId) -> &mut u32 {
        &mut self.get_mut(lane).paid
    }

    /// The limits that a lane pays.
    pub fn limits(&self, lane: LaneId) -> &[u16] {
        &self.get(lane).limits
    }

    /// Places in memory of all lanes of a class, stale ones included.
    pub fn depth_of(&self, class: Class) -> usize {
        self.lanes.iter().flatten().filter(|lane| lane.key.class == class).map(|lane| lane.queue.depth()).sum()
    }

    /// Nothing waits here, in memory or in a chunk.
    pub fn is_empty(&self) -> bool {
        self.lanes.iter().flatten().all(|lane| lane.queue.is_empty())
    }

    /// Something can leave now, as far as the lanes know; or will when a hold ends.
    pub fn is_quiet(&self) -> bool {
        self.held.is_empty() && self.classes.iter().all(|class| class.fair.is_empty())
    }

    /// Takes everything that is in memory and has no chunk outside of it before it, most urgent class first, each lane in its order.
    pub fn take_ready(&mut self) -> Vec<MessageId> {
        let mut ready = Vec::new();
        for class in Class::ALL {
            self.lanes.iter_mut().flatten().filter(|lane| lane.key.class == class).for_each(|lane| lane.queue.take_ready(&mut ready));
        }
        ready
    }

    /// Once a second: how fast each lane is, and those go that are empty and have nothing to their name.
    pub fn tidy(&mut self, seconds: f64) {
        for at in 0..self.lanes.len() {
            let Some(lane) = &mut self.lanes[at] else { continue };
            let rate = (lane.sent - lane.sent_before) as f64 / seconds.max(0.001);
            lane.per_s = if lane.per_s == 0.0 { rate } else { lane.per_s * 0.8 + rate * 0.2 };
            lane.sent_before = lane.sent;
            if lane.standing == Standing::Idle && lane.queue.is_empty() && lane.paid == 0 {
                self.drop_lane(at);
            }
        }
    }

    fn drop_lane(&mut self, at: usize) {
        let Some(lane) = &self.lanes[at] else { return };
        let (key, tag, campaign_at) = (lane.key, lane.tag, lane.campaign);
        let campaign = self.campaign(campaign_at);
        if tag > campaign.fair.now() && !campaign.fair.is_empty() {
            return;
        }
        campaign.lanes -= 1;
        let (tag, account_at, gone) = (campaign.tag, campaign.parent, !campaign.is_ready && campaign.lanes == 0);
        self.lane_at.remove(&key);
        self.lanes[at] = None;
        self.free.push(at as LaneId);
        let account = &self.accounts[account_at as usize];
        if gone && (tag <= account.fair.now() || account.fair.is_empty()) {
            self.campaigns[campaign_at as usize] = None;
            self.campaign_at.remove(&(account_at, key.campaign));
            self.free_campaigns.push(campaign_at);
        }
    }

    /// Another weight for an account, from its next message on.
    pub fn set_weight(&mut self, account: AccountId, weight: u32) {
        for class in Class::ALL {
            if let Some(&at) = self.account_at.get(&(class, account)) {
                self.accounts[at as usize].weight = weight;
            }
        }
    }

    /// Other guaranteed shares.
    pub fn set_shares(&mut self, shares_percent: [u8; 3]) {
        for (class, share) in self.classes.iter_mut().zip(shares_percent) {
            class.share_percent = i64::from(share);
        }
    }

    /// The limits that a lane pays, if they are not known yet: a split that isn't 0 stands for at least one.
    pub fn learn_limits(&mut self, lane: LaneId, limits: impl FnOnce() -> Box<[u16]>) {
        let lane = self.get_mut(lane);
        if lane.limits.is_empty() {
            lane.limits = limits();
        }
    }

    /// Another set of limits to pay for every lane: the plan changed.
    pub fn set_limits(&mut self, limits: impl Fn(u64) -> Box<[u16]>) {
        // What was paid towards the head was paid to other limits: it counts for nothing.
        self.lanes.iter_mut().flatten().for_each(|lane| (lane.limits, lane.paid) = (limits(lane.key.split), 0));
        self.release_all();
    }

    /// Every lane that holds anything, in any order and without a list of them.
    pub fn heads(&self) -> impl Iterator<Item = Head<'_>> + '_ {
        self.lanes.iter().flatten().filter(|lane| !lane.queue.is_empty()).map(|lane| Head {
            key: lane.key,
            queue: &lane.queue,
            hold: lane.hold(),
            per_s: lane.per_s,
        })
    }

    // ---- chunks ----

    /// The lane after `after` in the order of their places; the first for `None`.
    pub fn after(&self, after: Option<LaneId>) -> Option<LaneId> {
        let from = after.map_or(0, |lane| lane as usize + 1);
        (from..self.lanes.len()).find(|&at| self.lanes[at].is_some()).map(|at| at as LaneId)
    }

    /// Lanes that hold anything.
    pub fn count(&self) -> usize {
        self.lane_at.len()
    }

    /// The queue of a lane, for moving between memory and ledger; [`Lanes::warmed`] where messages come in.
    pub fn queue(&mut self, lane: LaneId) -> &mut Queue {
        &mut self.get_mut(lane).queue
    }

    /// The lane's end is in chunks, as far as it could be: what came meanwhile follows it.
    pub fn close_cut(&mut self, lane: LaneId) {
        self.get_mut(lane).queue.close_cut();
        self.rouse(lane);
    }

    /// How many messages of all lanes could be taken out of memory if each kept `keep`.
    pub fn excess(&self, keep: usize) -> usize {
        self.lanes.iter().flatten().map(|lane| lane.queue.excess(keep)).sum()
    }

    /// The messages of `chunk` are in memory again.
    pub fn warmed(&mut self, lane: LaneId, chunk: u64, ids: VecDeque<MessageId>) {
        self.get_mut(lane).queue.warmed(chunk, ids);
        self.rouse(lane);
    }

    /// The chunks that are to be read, so that each lane has at least `low` messages ready.
    pub fn wanted(&self, low: usize) -> impl Iterator<Item = u64> + '_ {
        self.lanes.iter().flatten().filter_map(move |lane| lane.queue.wanted(low))
    }
}

/// Puts `thing` into a free place, or a new one.
fn place<T>(places: &mut Vec<Option<T>>, free: &mut Vec<u32>, thing: Option<T>) -> u32 {
    match free.pop() {
        Some(at) => {
            places[at as usize] = thing;
            at
        }
        None => {
            places.push(thing);
            places.len() as u32 - 1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(class: Class, account: u32, campaign: u32) -> LaneKey {
        LaneKey { class, account: AccountId(account), campaign: CampaignId(campaign), zone: 0, split: 0 }
    }

    /// Fills lanes (key, account's weight, messages), then serves one segment at a time, `count` in all: what each lane got.
    fn serve(shares: [u8; 3], of: &[(LaneKey, u32, u64)], count: usize) -> Vec<usize> {
        let mut lanes = Lanes::new(shares);
        for (at, &(key, weight, messages)) in of.iter().enumerate() {
            let lane = lanes.lane(key, weight, Box::default);
            (0..messages).for_each(|n| lanes.push(lane, MessageId(at as u64 * 1_000_000 + n)));
        }
        let mut got = vec![0; of.len()];
        for _ in 0..count {
            let Some(lane) = lanes.next(Class::Marketing, 0) else { break };
            let id = lanes.pop(lane).unwrap();
            lanes.served(lane, 1);
            got[(id.0 / 1_000_000) as usize] += 1;
        }
        got
    }

    #[test]
    fn accounts_share_by_weight_and_campaigns_share_their_account() {
        let of = [
            (key(Class::Marketing, 1, 0), 1, 10_000),
            (key(Class::Marketing, 2, 1), 3, 10_000),
            (key(Class::Marketing, 2, 2), 3, 10_000),
            (key(Class::Marketing, 2, 3), 3, 10),
        ];
        let got = serve([0; 3], &of, 4000);
        assert!(got[0].abs_diff(1000) <= 1, "{got:?}");
        assert!(got[1].abs_diff(got[2]) <= 1 && got[3] == 10, "{got:?}");
    }

    #[test]
    fn the_urgent_go_first_and_each_class_has_its_share() {
        let of =
            [(key(Class::Marketing, 1, 0), 1, 10_000), (key(Class::Transactional, 2, 0), 1, 10_000), (key(Class::Otp, 3, 0), 1, 10_000)];
        assert_eq!(serve([0; 3], &of, 1000), [0, 0, 1000]);
        let got = serve([0, 20, 5], &of, 1000);
        assert!(got[0].abs_diff(50) <= 1 && got[1].abs_diff(200) <= 1, "{got:?}");
        let of = [(key(Class::Marketing, 1, 0), 1, 10_000), (key(Class::Otp, 3, 0), 1, 100)];
        assert_eq!(serve([0; 3], &of, 1000), [900, 100], "nobody's share lies idle");
    }

    #[test]
    fn a_held_lane_stands_before_nobody_and_comes_back_at_its_time() {
        let mut lanes = Lanes::new([0; 3]);
        let keys = [key(Class::Otp, 1, 0), LaneKey { split: 7, ..key(Class::Otp, 1, 0) }];
        for (n, key) in keys.iter().enumerate() {
            let lane = lanes.lane(*key, 1, Box::default);
            (0..3).for_each(|m| lanes.push(lane, MessageId(n as u64 * 10 + m)));
        }
        let first = lanes.next(Class::Otp, 0).unwrap();
        lanes.hold(first, 500, Hold::Limit(0));
        let mut seen = Vec::new();
        while let Some(lane) = lanes.next(Class::Otp, 100) {
            seen.push(lanes.pop(lane).unwrap().0);
            lanes.served(lane, 1);
        }
        assert_eq!(seen, [10, 11, 12]);
        assert_eq!(lanes.next_release(), Some(500));
        assert_eq!(lanes.next(Class::Otp, 500).map(|lane| lanes.key(lane).split), Some(0));
    }

    #[test]
    fn empty_lanes_and_campaigns_go_away() {
        let mut lanes = Lanes::new([0; 3]);
        for campaign in 0..100 {
            let lane = lanes.lane(key(Class::Marketing, 1, campaign), 1, Box::default);
            lanes.push(lane, MessageId(u64::from(campaign)));
        }
        while let Some(lane) = lanes.next(Class::Marketing, 0) {
            lanes.pop(lane);
            lanes.served(lane, 1);
        }
        (0..3).for_each(|_| lanes.tidy(1.0));
        assert_eq!((lanes.count(), lanes.campaign_at.len()), (0, 0));
        assert!(lanes.is_empty() && lanes.is_quiet());
    }
}
