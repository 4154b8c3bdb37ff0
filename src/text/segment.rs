//! How many PDUs a body needs, and what stands in each. References are the caller's; the
//! bit and TLVs that announce a header or a part are set by `link/translate` from what a segment says.

use super::gsm7::{self, ESCAPE};
use super::shift::{Languages, Shifts};
use super::{cluster, national, udh};
use crate::model::message::Part;
use crate::model::{Body, Encoding};

/// Octets of user data in one part on the air, header included.
pub const PART_OCTETS: usize = 140;
/// Most parts that a concatenation can number.
pub const MAX_PARTS: usize = 255;
/// Default of [`SegmentRule::payload_max`]: what the 16-bit length of a TLV can say.
pub const PAYLOAD_MAX: usize = 65_535;

/// How a carrier wants long messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Concatenation {
    /// A header in each part, with an 8-bit reference.
    Udh8,
    /// A header in each part, with a 16-bit reference.
    Udh16,
    /// sar_ TLVs beside each part. Parts are as long as with [`Concatenation::Udh16`]: the carrier puts that header in.
    Sar,
    /// Whole in message_payload; the carrier cuts it.
    Payload,
}

/// How bodies are cut for one carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentRule {
    /// What to do where one part is not enough.
    pub concatenation: Concatenation,
    /// With [`Concatenation::Payload`]: longest message_payload in octets; what is longer is cut as `Udh16`.
    pub payload_max: usize,
    /// GSM 7-bit text is packed, eight septets in seven octets (`default_alphabet = packed-gsm7`).
    pub packed: bool,
    /// Languages whose national tables the phones behind the carrier understand: what [`national::shorter`] makes of a body is what is counted.
    pub national: Languages,
}

impl SegmentRule {
    /// The usual rule with this kind of concatenation.
    pub const fn new(concatenation: Concatenation) -> SegmentRule {
        SegmentRule { concatenation, payload_max: PAYLOAD_MAX, packed: false, national: Languages::NONE }
    }
}

impl Default for SegmentRule {
    fn default() -> Self {
        SegmentRule::new(Concatenation::Udh16)
    }
}

/// What goes into one PDU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// short_message (or message_payload): header, then text.
    pub octets: Vec<u8>,
    /// `octets` starts with a header: the indicator of esm_class must be set.
    pub has_header: bool,
    /// sar_msg_ref_num, sar_total_segments, sar_segment_seqnum.
    pub sar: Option<(u16, u8, u8)>,
    /// `octets` belongs into message_payload.
    pub payload: bool,
}

/// A [`Segment`] that is only lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentView<'a> {
    /// See [`Segment::octets`].
    pub octets: &'a [u8],
    /// See [`Segment::has_header`].
    pub has_header: bool,
    /// See [`Segment::sar`].
    pub sar: Option<(u16, u8, u8)>,
    /// See [`Segment::payload`].
    pub payload: bool,
}

/// Octets of a body's text that fit beside a header of `header_octets` (septets count as octets, as bodies hold them).
pub fn capacity(encoding: Encoding, header_octets: usize) -> usize {
    let left = PART_OCTETS.saturating_sub(header_octets);
    match encoding {
        Encoding::Gsm7 => left * 8 / 7,
        Encoding::Ucs2 => left & !1,
        Encoding::Latin1 | Encoding::Binary | Encoding::Opaque => left,
    }
}

/// How many PDUs `body` becomes, 1 or more, in the tables that the rule allows. Over [`MAX_PARTS`] it can't be numbered and should have been refused.
pub fn count(body: &Body, rule: &SegmentRule) -> usize {
    // Nearly every message ends here.
    if body.header_len == 0 && body.octets.len() <= capacity(body.encoding, 0) {
        return 1;
    }
    match plan(body, rule) {
        Plan::Whole { .. } => 1,
        Plan::Cut { cutter, .. } => match national::shorter(body, rule) {
            Some(other) => count(&other, &SegmentRule { national: Languages::NONE, ..*rule }),
            None => cutter.count(),
        },
    }
}

/// The segments of `body`. One per PDU; see [`for_each`].
pub fn split(body: &Body, rule: &SegmentRule, reference: u16) -> Vec<Segment> {
    let mut segments = Vec::new();
    for_each(body, rule, reference, &mut Vec::new(), |view| {
        segments.push(Segment { octets: view.octets.to_vec(), has_header: view.has_header, sar: view.sar, payload: view.payload });
    });
    segments
}

/// Hands each segment of `body` to `take`, in order, in the encoding that it has (ask [`national::shorter`] before). `scratch` is overwritten; a body that fits one part (and isn't
/// packed) is lent as it stands, nothing copied. `reference` is used only if there are several; its low eight bits
/// with [`Concatenation::Udh8`]. A body that carries a concatenation header is a part already: one segment, untouched.
/// Other header elements are kept in every part. Over [`MAX_PARTS`] parts the body goes whole as a payload.
pub fn for_each(body: &Body, rule: &SegmentRule, reference: u16, scratch: &mut Vec<u8>, mut take: impl FnMut(SegmentView<'_>)) {
    let (cutter, elements, kind, cuts) = match plan(body, rule) {
        Plan::Whole { payload } => {
            let octets = whole_octets(body, rule, payload, scratch);
            return take(SegmentView { octets, has_header: body.header_len > 0, sar: None, payload });
        }
        Plan::Cut { cutter, elements, kind } => {
            let (soft, count) = cutter.choose();
            if count > MAX_PARTS {
                return take(SegmentView { octets: &body.octets, has_header: body.header_len > 0, sar: None, payload: true });
            }
            (cutter, elements, kind, (soft, count as u8))
        }
    };
    let (soft, total) = cuts;
    let mut start = 0;
    for number in 1..=total {
        let end = cutter.cut(start, soft);
        let part = Part { reference, total, number };
        let sar = matches!(kind, Concatenation::Sar).then_some((reference, total, number));
        scratch.clear();
        udh::write(if sar.is_some() { None } else { Some(part) }, kind != Concatenation::Udh8, elements, scratch);
        let header_octets = scratch.len();
        put_text(body.encoding, rule, &cutter.text[start..end], scratch);
        take(SegmentView { octets: scratch, has_header: header_octets > 0, sar, payload: false });
        start = end;
    }
}

fn whole_octets<'a>(body: &'a Body, rule: &SegmentRule, payload: bool, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if !rule.packed || payload || body.encoding != Encoding::Gsm7 {
        return &body.octets;
    }
    scratch.clear();
    scratch.extend_from_slice(body.header());
    put_text(body.encoding, rule, body.text(), scratch);
    scratch
}

/// Appends text behind the header that `out` holds, packed where the rule says so.
fn put_text(encoding: Encoding, rule: &SegmentRule, text: &[u8], out: &mut Vec<u8>) {
    if rule.packed && encoding == Encoding::Gsm7 {
        gsm7::pack(text, gsm7::fill_bits(out.len()), true, out);
    } else {
        out.extend_from_slice(text);
    }
}

enum Plan<'a> {
    Whole { payload: bool },
    Cut { cutter: Cutter<'a>, elements: &'a [u8], kind: Concatenation },
}

fn plan<'a>(body: &'a Body, rule: &SegmentRule) -> Plan<'a> {
    let text = body.text();
    let header_octets = body.header_len as usize;
    if text.len() <= capacity(body.encoding, header_octets) {
        return Plan::Whole { payload: false };
    }
    let mut shifts = Shifts::NONE;
    if header_octets > 0 {
        match udh::parse(body.header()) {
            Ok(header) if header.concatenation().is_none() => shifts = header.shifts(),
            // A part of upstream's own, or a header that we can't keep while cutting.
            _ => return Plan::Whole { payload: body.octets.len() > SHORT_MESSAGE_MAX },
        }
    }
    let kind = match rule.concatenation {
        Concatenation::Payload if body.octets.len() <= rule.payload_max => return Plan::Whole { payload: true },
        Concatenation::Payload => Concatenation::Udh16,
        kind => kind,
    };
    let own = if kind == Concatenation::Udh8 { 5 } else { 6 };
    let capacity = capacity(body.encoding, header_octets.max(1) + own);
    // A header that leaves no room for a pair can't be carried by every part.
    if capacity < 4 {
        return Plan::Whole { payload: true };
    }
    let units = match body.encoding {
        Encoding::Gsm7 => Units::Gsm7(shifts),
        Encoding::Ucs2 => Units::Ucs2,
        Encoding::Latin1 | Encoding::Binary | Encoding::Opaque => Units::Octets,
    };
    Plan::Cut { cutter: Cutter { text, capacity, units }, elements: body.header().get(1..).unwrap_or_default(), kind }
}

/// Longest short_message (SMPP v3.4 5.2.21); what is longer can only go as message_payload.
pub const SHORT_MESSAGE_MAX: usize = 254;

#[derive(Clone, Copy)]
enum Units {
    Gsm7(Shifts),
    Ucs2,
    Octets,
}

/// Finds where a text is cut, greedy from the left.
struct Cutter<'a> {
    text: &'a [u8],
    /// Octets of text in each part.
    capacity: usize,
    units: Units,
}

impl Cutter<'_> {
    fn count(&self) -> usize {
        self.choose().1
    }

    /// Whether clusters are kept, and the number of parts: they are, unless that costs a part more.
    fn choose(&self) -> (bool, usize) {
        let kept = self.count_with(true);
        if kept == self.text.len().div_ceil(self.capacity) {
            return (true, kept);
        }
        let bare = self.count_with(false);
        if kept <= bare { (true, kept) } else { (false, bare) }
    }

    fn count_with(&self, soft: bool) -> usize {
        let (mut start, mut parts) = (0, 0);
        while start < self.text.len() {
            start = self.cut(start, soft);
            parts += 1;
        }
        parts
    }

    /// The end of the part that begins at `start`. Always beyond `start`.
    fn cut(&self, start: usize, soft: bool) -> usize {
        let end = start + self.capacity;
        if end >= self.text.len() {
            return self.text.len();
        }
        let end = self.whole_pairs(start, end);
        let has_clusters = match self.units {
            Units::Gsm7(shifts) => !shifts.is_default(),
            Units::Ucs2 => true,
            Units::Octets => false,
        };
        if soft && has_clusters { self.whole_clusters(start, end) } else { end }
    }

    /// Moves `end` back where it would cut an escape pair or a surrogate pair.
    fn whole_pairs(&self, start: usize, end: usize) -> usize {
        let cuts_pair = match self.units {
            Units::Gsm7(_) => escapes_before(&self.text[start..end]) % 2 == 1,
            Units::Ucs2 => is_high(self.text, end - 2) && is_low(self.text, end),
            Units::Octets => return end,
        };
        match (cuts_pair, self.units) {
            (false, _) => end,
            (true, Units::Ucs2) => end - 2,
            (true, _) => end - 1,
        }
    }

    /// Moves `end` back to the start of the cluster that it would cut, if that cluster fits one part.
    fn whole_clusters(&self, start: usize, end: usize) -> usize {
        let mut first = end;
        let (mut next, mut last) = self.after(end);
        while first > start {
            let (previous, at) = self.before(start, first);
            if !cluster::joins(previous, next, || self.regionals_before(start, first)) {
                break;
            }
            (next, first) = (previous, at);
        }
        if first == end || first == start {
            return end;
        }
        // From here to the cluster's end: too long for one part means that it is cut anyway, so the part is filled.
        let (mut previous, _) = self.after(end);
        while last < self.text.len() && last - first <= self.capacity {
            let (code, after) = self.after(last);
            if !cluster::joins(previous, code, || self.regionals_before(first, last)) {
                break;
            }
            (previous, last) = (code, after);
        }
        if last - first <= self.capacity { first } else { end }
    }

    fn regionals_before(&self, start: usize, mut position: usize) -> usize {
        let mut regionals = 0;
        while position > start {
            let (code, at) = self.before(start, position);
            if !cluster::is_regional(code) {
                break;
            }
            regionals += 1;
            position = at;
        }
        regionals
    }

    /// The character that ends at `position`, and where it starts. `start` is a border between characters.
    fn before(&self, start: usize, position: usize) -> (u32, usize) {
        let pair = match self.units {
            Units::Gsm7(_) => {
                let last = self.text[position - 1];
                position - start >= 2 && (last == ESCAPE || escapes_before(&self.text[start..position - 1]) % 2 == 1)
            }
            Units::Ucs2 => position - start >= 4 && is_low(self.text, position - 2) && is_high(self.text, position - 4),
            Units::Octets => false,
        };
        let unit = if matches!(self.units, Units::Ucs2) { 2 } else { 1 };
        let at = position.saturating_sub(if pair { 2 * unit } else { unit }).max(start);
        (self.after(at).0, at)
    }

    /// The character that starts at `position`, and where it ends.
    fn after(&self, position: usize) -> (u32, usize) {
        match (self.units, &self.text[position..]) {
            (Units::Gsm7(shifts), &[ESCAPE, next, ..]) => {
                (shifts.extension().get(next as usize).copied().map_or(0, u32::from), position + 2)
            }
            (Units::Gsm7(shifts), &[septet, ..]) => (shifts.basic().get(septet as usize).copied().map_or(0, u32::from), position + 1),
            (Units::Ucs2, &[a, b, c, d, ..]) if is_high(self.text, position) && is_low(self.text, position + 2) => {
                let (high, low) = (u32::from(u16::from_be_bytes([a, b])), u32::from(u16::from_be_bytes([c, d])));
                (0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00), position + 4)
            }
            (Units::Ucs2, &[a, b, ..]) => (u32::from(u16::from_be_bytes([a, b])), position + 2),
            (_, rest) => (0, position + rest.len().min(1)),
        }
    }
}

fn escapes_before(text: &[u8]) -> usize {
    text.iter().rev().take_while(|&&septet| septet == ESCAPE).count()
}

fn is_high(text: &[u8], at: usize) -> bool {
    text.get(at).is_some_and(|octet| octet & 0xFC == 0xD8) && at + 1 < text.len()
}

fn is_low(text: &[u8], at: usize) -> bool {
    text.get(at).is_some_and(|octet| octet & 0xFC == 0xDC) && at + 1 < text.len()
}

#[cfg(test)]
#[path = "segment_tests.rs"]
mod tests;
