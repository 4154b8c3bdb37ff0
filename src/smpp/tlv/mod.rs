//! Optional parameters (TLVs): a checked, borrowed section to read from and a small buffer to write them into.
//! Which PDU may carry which is not checked: a receiver takes any TLV anywhere.

pub mod tag;

/// How the value of a TLV is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Big-endian unsigned number of 1, 2 or 4 octets.
    Integer,
    /// Characters with a NUL at the end that some stacks leave out.
    Text,
    /// Anything else.
    Octets,
}

/// One optional parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// The tag, see [`tag`].
    pub tag: u16,
    /// Its value, as long as the length field said.
    pub value: &'a [u8],
}

impl<'a> Tlv<'a> {
    /// The value as a number, if it has 1, 2 or 4 octets.
    pub fn integer(&self) -> Option<u32> {
        match *self.value {
            [a] => Some(u32::from(a)),
            [a, b] => Some(u32::from(u16::from_be_bytes([a, b]))),
            [a, b, c, d] => Some(u32::from_be_bytes([a, b, c, d])),
            _ => None,
        }
    }

    /// The value up to its first NUL, or whole where the NUL is missing.
    pub fn text(&self) -> &'a [u8] {
        let end = self.value.iter().position(|&octet| octet == 0).unwrap_or(self.value.len());
        &self.value[..end]
    }
}

/// Why a section of TLVs is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlvError {
    /// A header is cut off, or a length runs past the end of the PDU (status 0xC0).
    #[error("TLV section is malformed")]
    Malformed,
    /// A known TLV has a length that it cannot have (status 0xC2).
    #[error("TLV {tag:#06x} has {length} octets")]
    Length {
        /// The tag.
        tag: u16,
        /// The length it came with.
        length: u16,
    },
}

/// A section of TLVs that is known to be well-formed; any order, any number of repetitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tlvs<'a> {
    raw: &'a [u8],
}

impl<'a> Tlvs<'a> {
    /// No TLVs.
    pub const EMPTY: Tlvs<'static> = Tlvs { raw: &[] };

    /// Checks that `raw` is a row of whole TLVs and that the known ones have lengths they can have.
    pub fn from_raw(raw: &'a [u8]) -> Result<Self, TlvError> {
        Self::checked(raw, true)
    }

    /// Checks only that `raw` is a row of whole TLVs.
    pub fn from_raw_any_length(raw: &'a [u8]) -> Result<Self, TlvError> {
        Self::checked(raw, false)
    }

    fn checked(raw: &'a [u8], lengths: bool) -> Result<Self, TlvError> {
        let mut rest = raw;
        while !rest.is_empty() {
            let (tlv, after) = split_first(rest).ok_or(TlvError::Malformed)?;
            if lengths && let Some(rule) = tag::rule(tlv.tag) {
                let length = tlv.value.len() as u16;
                if length < rule.min || length > rule.max {
                    return Err(TlvError::Length { tag: tlv.tag, length });
                }
            }
            rest = after;
        }
        Ok(Tlvs { raw })
    }

    /// All of them in order.
    pub fn iter(&self) -> Iter<'a> {
        Iter { rest: self.raw }
    }

    /// The value of the first with this tag; of TLVs that may not repeat, the first counts.
    pub fn first(&self, tag: u16) -> Option<&'a [u8]> {
        self.iter().find(|tlv| tlv.tag == tag).map(|tlv| tlv.value)
    }

    /// The first with this tag as a one-octet number; `None` if it is absent or of another size.
    pub fn u8(&self, tag: u16) -> Option<u8> {
        self.first(tag).and_then(|value| if let [octet] = *value { Some(octet) } else { None })
    }

    /// The first with this tag as a number of one or two octets (stacks differ on some); `None` if it is absent or of another size.
    pub fn u16(&self, tag: u16) -> Option<u16> {
        match *self.first(tag)? {
            [a] => Some(u16::from(a)),
            [a, b] => Some(u16::from_be_bytes([a, b])),
            _ => None,
        }
    }

    /// The first with this tag as a four-octet number; `None` if it is absent or of another size.
    pub fn u32(&self, tag: u16) -> Option<u32> {
        self.first(tag)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// The first with this tag as text, up to a NUL if there is one.
    pub fn c_octet(&self, tag: u16) -> Option<&'a [u8]> {
        self.first(tag).map(|value| Tlv { tag, value }.text())
    }

    /// The section as it stands in the PDU.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }
}

impl<'a> IntoIterator for Tlvs<'a> {
    type Item = Tlv<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Iterator over [`Tlvs`].
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = Tlv<'a>;

    fn next(&mut self) -> Option<Tlv<'a>> {
        let (tlv, after) = split_first(self.rest)?;
        self.rest = after;
        Some(tlv)
    }
}

fn split_first(raw: &[u8]) -> Option<(Tlv<'_>, &[u8])> {
    let (&[t0, t1, l0, l1], rest) = raw.split_first_chunk::<4>()?;
    let (value, after) = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
    Some((Tlv { tag: u16::from_be_bytes([t0, t1]), value }, after))
}

/// A section of TLVs in the making; keep one and [`clear`](TlvBuf::clear) it rather than making a new one per PDU.
#[derive(Debug, Clone, Default)]
pub struct TlvBuf {
    raw: Vec<u8>,
}

impl TlvBuf {
    /// An empty one; allocates with the first TLV.
    pub fn new() -> Self {
        TlvBuf::default()
    }

    /// Forgets what was written, keeps the memory.
    pub fn clear(&mut self) {
        self.raw.clear();
    }

    /// Appends a TLV. Values longer than a length field can tell (65,535 octets) are left out; returns whether it was written.
    pub fn octets(&mut self, tag: u16, value: &[u8]) -> bool {
        let Ok(length) = u16::try_from(value.len()) else {
            return false;
        };
        self.raw.extend_from_slice(&tag.to_be_bytes());
        self.raw.extend_from_slice(&length.to_be_bytes());
        self.raw.extend_from_slice(value);
        true
    }

    /// Appends a one-octet number.
    pub fn u8(&mut self, tag: u16, value: u8) {
        self.octets(tag, &[value]);
    }

    /// Appends a two-octet number.
    pub fn u16(&mut self, tag: u16, value: u16) {
        self.octets(tag, &value.to_be_bytes());
    }

    /// Appends a four-octet number.
    pub fn u32(&mut self, tag: u16, value: u32) {
        self.octets(tag, &value.to_be_bytes());
    }

    /// Appends text and its NUL; cut at 65,534 octets and at a NUL inside.
    pub fn c_octet(&mut self, tag: u16, text: &[u8]) {
        let end = text.iter().position(|&octet| octet == 0).unwrap_or(text.len()).min(65_534);
        self.raw.extend_from_slice(&tag.to_be_bytes());
        self.raw.extend_from_slice(&(end as u16 + 1).to_be_bytes());
        self.raw.extend_from_slice(&text[..end]);
        self.raw.push(0);
    }

    /// What was written, to hang on a PDU.
    pub fn as_tlvs(&self) -> Tlvs<'_> {
        Tlvs { raw: &self.raw }
    }
}
