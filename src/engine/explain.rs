//! What would become of a message that isn't handed in: by the functions that decide, with a recorder or on copies of what they change, and nothing of it
//! is done.

use super::Engine;
use super::dedupe::Remembered;
use super::port::CarrierId;
use super::scope::{Fault, account_of};
use super::waits::WaitsOn;
use crate::model::{Address, CampaignId, Class, Message};
use crate::text::choose::{self, Options};
use crate::text::segment;
use serde::{Deserialize, Serialize};

/// What is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The number, as somebody would write it.
    pub to: String,
    /// Whose message.
    pub account: String,
    /// Its class: otp, transactional or marketing; absent: transactional.
    #[serde(default)]
    pub class: Option<String>,
    /// The sender.
    #[serde(default)]
    pub from: String,
    /// The text.
    #[serde(default)]
    pub text: String,
    /// The campaign, by name.
    #[serde(default)]
    pub campaign: String,
}

/// A bucket that the message would pay.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct BucketView {
    /// Which: the carrier's own, what its answers allow, or a limit by name.
    pub bucket: String,
    /// Segments a second; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_s: Option<f64>,
    /// Permits there are now; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<f64>,
}

/// What would become of it.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Explained {
    /// The number in international form.
    pub number: String,
    /// What its range says: country, operator, region, kind, zone; empty where it says nothing.
    pub range: [String; 5],
    /// The text's encoding, and its segments at the carrier.
    pub encoding: &'static str,
    /// See `encoding`.
    pub segments: usize,
    /// Each rule's word on who may be written to.
    pub rules: Vec<String>,
    /// The message that this one repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<String>,
    /// Thousandths of a credit that it would cost, and what the account may spend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<[i64; 2]>,
    /// Which route and why, line by line.
    pub route: Vec<String>,
    /// The carrier; absent if none would take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// Every bucket with its level.
    pub buckets: Vec<BucketView>,
    /// Messages before it in its lane, in memory and on disk.
    pub before_it: u64,
    /// What it would wait for; absent: it would leave at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub waits_on: Option<WaitsOn>,
    /// Not before this wall time (milliseconds), by its class's hours; absent: now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_ms: Option<u64>,
}

fn bad(field: &'static str, what: impl Into<String>, fix: &str) -> Fault {
    Fault::of("bad_value", field, what, fix)
}

impl Engine {
    /// The message that is meant, as intake would see it.
    fn imagined(&self, asked: &Question) -> Result<Message, Fault> {
        let account = account_of(&asked.account, &self.plan)?;
        let wanted = asked.class.as_deref().unwrap_or(Class::Transactional.name());
        let class = Class::ALL.into_iter().find(|class| class.name() == wanted);
        let class = class.ok_or_else(|| bad("class", format!("'{wanted}' is no class"), "otp, transactional or marketing"))?;
        let number = crate::number::from_text(asked.to.as_bytes(), self.plan.home)
            .map_err(|error| bad("to", error.to_string(), "a phone number such as +8613800138000"))?;
        let destination = Address::new(1, 1, &crate::number::unpack(number)).ok_or_else(|| bad("to", "too long", "at most 15 digits"))?;
        let is_number = asked.from.bytes().all(|octet| octet.is_ascii_digit());
        let ton = if asked.from.is_empty() { 0 } else { if is_number { 3 } else { 5 } };
        let source = Address::new(ton, 0, asked.from.as_bytes()).ok_or_else(|| bad("from", "from is too long", "at most 20 characters"))?;
        let chosen =
            choose::choose(&asked.text, &Options::default()).map_err(|error| bad("text", error.to_string(), "a text that can be sent"))?;
        Ok(Message {
            accepted_ms: self.now.wall_ms,
            expires_ms: self.now.wall_ms + self.plan.class(class).validity_ms,
            campaign: self.campaigns.find(&asked.campaign).unwrap_or(CampaignId::NONE),
            ..Message::new(account, class, [source, destination], number, chosen.body)
        })
    }

    /// What would become of such a message now.
    pub fn explain(&self, asked: &Question) -> Result<Explained, Fault> {
        self.imagined(asked).map(|message| self.explain_message(&message))
    }

    /// What would become of this one, which is not handed in.
    pub(super) fn explain_message(&self, message: &Message) -> Explained {
        let route = self.explain_route(message);
        let rule = route.carrier.map(|carrier| &self.plan.carrier(carrier).segments);
        let segments = rule.map_or(1, |rule| segment::count(&message.body, rule));
        let quote = self.quote(message.account, message.number, segments);
        let rulings = self.explain_rules(message);
        let refusal = match route.carrier {
            Some(carrier) => self.rules_foretell(message, carrier),
            None => rulings.iter().find_map(|ruling| ruling.refusal),
        };
        let refused = refusal.map(|refusal| format!("nothing: it would be refused ({refusal})"));
        let said = rulings.into_iter().map(|ruling| match ruling.refusal {
            Some(refusal) => format!("{}: refused ({refusal}): {}", ruling.rule, ruling.why),
            None => format!("{}: {}", ruling.rule, ruling.why),
        });
        // Rules are asked at intake and again before each carrier.
        let mut rules: Vec<String> = Vec::new();
        said.for_each(|line| {
            if !rules.contains(&line) {
                rules.push(line)
            }
        });
        let ranges = &self.plan.ranges;
        let range = ranges.find(message.number).map(|range| ranges.get(range));
        let name = |id| ranges.name(id).to_owned();
        let range = range
            .map_or_else(Default::default, |r| [name(r.country), name(r.operator), name(r.region), r.kind.name().to_owned(), name(r.zone)]);
        let closed = self.hours.look_at(&self.plan, message, self.now.wall_ms);
        let at_carrier = route.carrier.map(|carrier| self.at_carrier(message, carrier));
        let (buckets, before_it, waits_on) = at_carrier.unwrap_or_default();
        let repeats = (message.identity != 0).then(|| self.repeat_of(message, Remembered::Identity)).flatten();
        Explained {
            number: format!("+{}", String::from_utf8_lossy(&crate::number::unpack(message.number))),
            range,
            encoding: message.body.encoding.name(),
            segments,
            rules,
            repeats: repeats.or_else(|| self.repeat_of(message, Remembered::Text)).map(|repeat| repeat.original.to_string()),
            price: quote.map(|quote| [i64::from(quote.charge), quote.within_reach]),
            route: route.lines(&self.plan),
            carrier: route.carrier.map(|carrier| self.plan.carrier(carrier).name.clone()),
            buckets,
            before_it,
            waits_on: refused.map(WaitsOn::from).or(closed.map(|_| "the hours of its class".into())).or(waits_on),
            opens_ms: closed,
        }
    }

    /// Buckets, what stands before it in its lane, and what that waits for.
    fn at_carrier(&self, message: &Message, carrier: CarrierId) -> (Vec<BucketView>, u64, Option<WaitsOn>) {
        let lane = self.lane_of(message, carrier);
        let dispatcher = &self.dispatchers[carrier.0 as usize];
        let mut buckets: Vec<BucketView> = dispatcher
            .own_buckets()
            .map(|(name, bucket)| BucketView { bucket: name.to_owned(), per_s: bucket.per_s(), level: bucket.level(self.now) })
            .collect();
        buckets.extend(self.limits.fitting_buckets(carrier, message).map(|(name, bucket)| BucketView {
            bucket: format!("limit {name}"),
            per_s: bucket.per_s(),
            level: bucket.level(self.now),
        }));
        let report = self.lane_reports().into_iter().find(|report| report.carrier == carrier && report.lane == lane);
        let before_it = report.as_ref().map_or(0, |report| report.in_memory + report.on_disk);
        let pause = self.overlay.holds(message, carrier).and_then(|id| self.overlay.change(id));
        let pause = pause.map(super::overlay::Change::brief);
        let turn = (before_it > 0).then(|| "its turn in its lane".into());
        (buckets, before_it, pause.or_else(|| self.carrier_waits_on(carrier.0 as usize)).or(turn))
    }
}
