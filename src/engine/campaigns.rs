//! Campaigns by number: a message carries four octets, names stand here once. A name gets its number when the first message of it is taken and keeps it for
//! ever; the ledger has the table, the journal what came since.

use super::Engine;
use super::event::Event;
use crate::model::CampaignId;
use hashbrown::HashMap;

/// Campaigns that may have a number; messages of more are counted as of none.
pub const CAMPAIGNS_MAX: usize = 1_000_000;
/// Longest name, octets.
pub const NAME_MAX: usize = 64;
/// The name of the ledger's blob with all names in the order of their numbers.
pub const CAMPAIGNS_BLOB: &str = "campaigns";

/// All campaigns.
#[derive(Debug, Default)]
pub struct Campaigns {
    /// Names; the number of the first is 1.
    names: Vec<Box<str>>,
    numbers: HashMap<Box<str>, CampaignId>,
    /// Names that the ledger has.
    written: usize,
}

impl Campaigns {
    /// The number of a name, if it has one.
    pub fn find(&self, name: &str) -> Option<CampaignId> {
        self.numbers.get(name).copied()
    }

    /// The name of a number; empty for none.
    pub fn name(&self, campaign: CampaignId) -> &str {
        self.names.get((campaign.0 as usize).wrapping_sub(1)).map_or("", AsRef::as_ref)
    }

    /// All numbers with their names.
    pub fn all(&self) -> impl Iterator<Item = (CampaignId, &str)> {
        self.names.iter().enumerate().map(|(at, name)| (CampaignId(at as u32 + 1), name.as_ref()))
    }

    fn add(&mut self, name: &str) -> CampaignId {
        self.names.push(name.into());
        let id = CampaignId(self.names.len() as u32);
        self.numbers.insert(name.into(), id);
        id
    }

    /// All names for the ledger, if there are new ones since it got them last.
    pub(super) fn fresh_blob(&mut self) -> Option<Vec<u8>> {
        let fresh = self.names.len() > std::mem::replace(&mut self.written, self.names.len());
        fresh.then(|| self.names.iter().flat_map(|name| std::iter::once(name.len() as u8).chain(name.bytes())).collect())
    }
}

impl Engine {
    /// The number of the campaign of this name, from now on at the latest.
    pub(super) fn campaign(&mut self, name: &str) -> CampaignId {
        if let Some(known) = self.campaigns.find(name) {
            return known;
        }
        if name.is_empty() || name.len() > NAME_MAX || self.campaigns.names.len() >= CAMPAIGNS_MAX {
            return CampaignId::NONE;
        }
        let campaign = CampaignId(self.campaigns.names.len() as u32 + 1);
        self.record(&Event::Campaign { campaign, name: name.into() });
        self.apply_campaign(campaign, name);
        campaign
    }

    /// What a CAMPAIGN event means. Live and in replay.
    pub(super) fn apply_campaign(&mut self, campaign: CampaignId, name: &str) {
        if campaign.0 as usize == self.campaigns.names.len() + 1 {
            self.campaigns.add(name);
            self.limits.learn(name, campaign);
        }
    }

    /// Recovery: the names that the ledger has.
    pub(super) fn read_campaigns(&mut self, mut octets: &[u8]) {
        while let Some((&length, rest)) = octets.split_first() {
            let Some((name, rest)) = rest.split_at_checked(length as usize) else { return };
            octets = rest;
            let name = String::from_utf8_lossy(name);
            self.limits.learn(&name, CampaignId(self.campaigns.names.len() as u32 + 1));
            self.campaigns.add(&name);
        }
        self.campaigns.written = self.campaigns.names.len();
    }

    /// The campaigns.
    pub fn campaigns(&self) -> &Campaigns {
        &self.campaigns
    }
}
