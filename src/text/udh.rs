//! The user data header (TS 23.040 9.2.3.24): its elements, the part it names, the shift tables it announces. Reads
//! and rewrites octets; cutting texts is left to `segment`.

use super::shift::{Language, Shifts};
use crate::model::Body;
use crate::model::message::Part;

/// Element: concatenation with an 8-bit reference.
pub const CONCATENATION_8: u8 = 0x00;
/// Element: concatenation with a 16-bit reference.
pub const CONCATENATION_16: u8 = 0x08;
/// Element: language of the single shift table.
pub const SINGLE_SHIFT: u8 = 0x24;
/// Element: language of the locking shift table.
pub const LOCKING_SHIFT: u8 = 0x25;

/// Why octets are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UdhError {
    /// There is not even a length, or fewer octets than it says.
    #[error("the header is longer than the body")]
    TooShort,
    /// An element runs past the end of the header.
    #[error("an element runs past the end of the header")]
    BadElement,
    /// Over 255 octets with its length octet: no part could carry it, nor [`Body::header_len`] say it.
    #[error("the header is too long")]
    TooLong,
}

/// A header whose elements all lie inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Udh<'a> {
    elements: &'a [u8],
}

/// One element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    /// What it is (IEI).
    pub id: u8,
    /// Its octets.
    pub data: &'a [u8],
    /// Where its data starts in the header, counted from the length octet.
    pub offset: usize,
}

/// A part as the header names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderPart {
    /// The part.
    pub part: Part,
    /// True for a 16-bit reference.
    pub wide: bool,
    offset: usize,
}

/// Reads the header at the start of `octets` (first octet: how many follow). Unknown elements are fine.
pub fn parse(octets: &[u8]) -> Result<Udh<'_>, UdhError> {
    let (&length, rest) = octets.split_first().ok_or(UdhError::TooShort)?;
    let elements = rest.get(..length as usize).ok_or(UdhError::TooShort)?;
    if length == u8::MAX {
        return Err(UdhError::TooLong);
    }
    let mut at = 0;
    while at < elements.len() {
        let data = *elements.get(at + 1).ok_or(UdhError::BadElement)? as usize;
        at += 2 + data;
    }
    if at == elements.len() { Ok(Udh { elements }) } else { Err(UdhError::BadElement) }
}

impl<'a> Udh<'a> {
    /// Octets of the whole header, its length octet included: where the text starts.
    pub fn octets(&self) -> usize {
        self.elements.len() + 1
    }

    /// The elements in order.
    pub fn elements(&self) -> Elements<'a> {
        Elements { all: self.elements, at: 0 }
    }

    /// The part that the header names. Elements with an impossible number are ignored; of several the last counts.
    pub fn concatenation(&self) -> Option<Part> {
        self.header_part().map(|found| found.part)
    }

    /// The same with the width of the reference.
    pub fn header_part(&self) -> Option<HeaderPart> {
        self.elements().filter_map(header_part).last()
    }

    /// The shift tables that the header announces; languages that nobody knows are ignored.
    pub fn shifts(&self) -> Shifts {
        let mut shifts = Shifts::NONE;
        for element in self.elements() {
            let language = if let [n] = element.data { Language::from_u8(*n) } else { None };
            match element.id {
                SINGLE_SHIFT => shifts.single = language.or(shifts.single),
                LOCKING_SHIFT => shifts.locking = language.filter(|language| language.has_locking()).or(shifts.locking),
                _ => {}
            }
        }
        shifts
    }
}

fn header_part(element: Element<'_>) -> Option<HeaderPart> {
    let (reference, total, number, wide) = match (element.id, element.data) {
        (CONCATENATION_8, &[reference, total, number]) => (u16::from(reference), total, number, false),
        (CONCATENATION_16, &[high, low, total, number]) => (u16::from_be_bytes([high, low]), total, number, true),
        _ => return None,
    };
    (number >= 1 && number <= total).then_some(HeaderPart { part: Part { reference, total, number }, wide, offset: element.offset })
}

/// Iterator over the elements of a header.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let id = *self.all.get(self.at)?;
        let length = *self.all.get(self.at + 1)? as usize;
        let start = self.at + 2;
        let data = self.all.get(start..start + length)?;
        self.at = start + length;
        Some(Element { id, data, offset: start + 1 })
    }
}

/// Shift tables of a body's header (empty slice: none). A header that can't be read announces nothing.
pub fn shifts_of(header: &[u8]) -> Shifts {
    if header.is_empty() { Shifts::NONE } else { parse(header).map(|udh| udh.shifts()).unwrap_or_default() }
}

/// Puts `reference` in place of the one in each concatenation element (its low eight bits where the element is a
/// narrow one). Returns false, and changes nothing, if there is no such element or no readable header.
pub fn rewrite_reference(octets: &mut [u8], reference: u16) -> bool {
    let Ok(header) = parse(octets) else { return false };
    let found: Vec<HeaderPart> = header.elements().filter_map(header_part).collect();
    for found in &found {
        if found.wide {
            octets[found.offset..found.offset + 2].copy_from_slice(&reference.to_be_bytes());
        } else {
            octets[found.offset] = reference as u8;
        }
    }
    !found.is_empty()
}

/// Appends a whole header: the concatenation element (if any; `wide` for a 16-bit reference) and after it `elements`,
/// which are other elements as they stand in a header, without the length octet. Nothing is written if both are
/// missing. The elements must leave room: 255 octets in all.
pub fn write(part: Option<Part>, wide: bool, elements: &[u8], out: &mut Vec<u8>) {
    let own = match (part, wide) {
        (None, _) => 0,
        (Some(_), false) => 5,
        (Some(_), true) => 6,
    };
    if own + elements.len() == 0 {
        return;
    }
    out.push((own + elements.len()) as u8);
    if let Some(part) = part {
        if wide {
            let [high, low] = part.reference.to_be_bytes();
            out.extend([CONCATENATION_16, 4, high, low, part.total, part.number]);
        } else {
            out.extend([CONCATENATION_8, 3, part.reference as u8, part.total, part.number]);
        }
    }
    out.extend_from_slice(elements);
}

/// Appends the elements of `header` (a whole header; empty or unreadable: none) that `keep` wants, without a length octet.
pub fn write_kept(header: &[u8], keep: impl Fn(u8) -> bool, out: &mut Vec<u8>) {
    let Ok(header) = parse(header) else { return };
    for element in header.elements().filter(|element| keep(element.id)) {
        out.extend([element.id, element.data.len() as u8]);
        out.extend_from_slice(element.data);
    }
}

fn is_concatenation(id: u8) -> bool {
    matches!(id, CONCATENATION_8 | CONCATENATION_16)
}

/// The body with `part` named in its header, instead of any that was; other elements stay. For parts that came with
/// sar_ TLVs and go to a carrier that wants headers, and for references that must change their width. `None` if the
/// header gets too long.
pub fn with_part(body: &Body, part: Part, wide: bool) -> Option<Body> {
    let mut elements = Vec::new();
    write_kept(body.header(), |id| !is_concatenation(id), &mut elements);
    let mut octets = Vec::with_capacity(body.octets.len() + 7);
    if elements.len() > 248 {
        return None;
    }
    write(Some(part), wide, &elements, &mut octets);
    Some(with_header(body, octets))
}

/// The body without the concatenation in its header, and without a header if nothing else was in it: for carriers that
/// want sar_ TLVs, and for what waits to be joined.
pub fn without_part(body: &Body) -> Body {
    let mut elements = Vec::new();
    write_kept(body.header(), |id| !is_concatenation(id), &mut elements);
    let mut octets = Vec::with_capacity(body.octets.len());
    write(None, false, &elements, &mut octets);
    with_header(body, octets)
}

/// `header` may be 255 octets at most.
fn with_header(body: &Body, header: Vec<u8>) -> Body {
    let header_len = header.len() as u8;
    let mut octets = header;
    octets.extend_from_slice(body.text());
    Body { encoding: body.encoding, raw_data_coding: body.raw_data_coding, header_len, octets: octets.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_valid_concatenation_counts_and_unknown_elements_are_skipped() {
        let header = [0x10, 0x00, 3, 7, 2, 1, 0x70, 0, 0x08, 4, 0x12, 0xA5, 3, 2, 0x24, 1, 1];
        let udh = parse(&header).unwrap();
        assert_eq!(udh.octets(), 17);
        assert_eq!(udh.concatenation(), Some(Part { reference: 0x12A5, total: 3, number: 2 }));
        assert_eq!(udh.shifts(), Shifts { single: Some(Language::Turkish), locking: None });
        assert_eq!(udh.elements().map(|e| e.id).collect::<Vec<_>>(), [0x00, 0x70, 0x08, 0x24]);
    }

    #[test]
    fn impossible_part_numbers_are_ignored() {
        for numbers in [[0, 0], [2, 0], [2, 3]] {
            assert_eq!(parse(&[5, 0, 3, 9, numbers[0], numbers[1]]).unwrap().concatenation(), None);
        }
    }

    #[test]
    fn a_header_that_runs_over_is_refused() {
        assert_eq!(parse(&[]), Err(UdhError::TooShort));
        assert_eq!(parse(&[5, 0, 3, 1]), Err(UdhError::TooShort));
        assert_eq!(parse(&[5, 0, 4, 1, 2, 1, 0]), Err(UdhError::BadElement));
        assert_eq!(parse(&[1, 0, 4]), Err(UdhError::BadElement));
        assert_eq!(parse(&[0, 65]).unwrap().octets(), 1);
        let long = [&[255, 0x70, 253][..], &[0; 253]].concat();
        assert_eq!(parse(&long), Err(UdhError::TooLong));
    }

    #[test]
    fn a_reference_is_rewritten_in_its_own_width() {
        let mut narrow = [5, 0, 3, 0xA5, 2, 1, b'x'];
        assert!(rewrite_reference(&mut narrow, 0x1234));
        assert_eq!(narrow, [5, 0, 3, 0x34, 2, 1, b'x']);
        let mut wide = [9, 0x24, 1, 1, 8, 4, 0, 1, 2, 1];
        assert!(rewrite_reference(&mut wide, 0x1234));
        assert_eq!(wide, [9, 0x24, 1, 1, 8, 4, 0x12, 0x34, 2, 1]);
        assert!(!rewrite_reference(&mut [3, 0x24, 1, 1], 1));
    }

    #[test]
    fn a_part_is_put_into_a_header_and_taken_out_again() {
        let octets = [3, 0x24, 1, 1, b'x'];
        let body = Body { encoding: crate::model::Encoding::Gsm7, raw_data_coding: 0, header_len: 4, octets: octets.into() };
        let part = Part { reference: 0x1234, total: 3, number: 2 };
        let narrow = with_part(&body, part, false).unwrap();
        assert_eq!((narrow.header(), narrow.text()), (&[8, 0, 3, 0x34, 3, 2, 0x24, 1, 1][..], &b"x"[..]));
        let wide = with_part(&narrow, part, true).unwrap();
        assert_eq!(parse(wide.header()).unwrap().concatenation(), Some(part));
        assert_eq!(without_part(&wide), body);
        let bare = Body { header_len: 0, octets: [b'x'].into(), ..body };
        assert_eq!(without_part(&with_part(&bare, part, true).unwrap()), bare);
    }
}
