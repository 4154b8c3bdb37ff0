//! Long texts that need fewer parts in GSM 7-bit text with national shift tables than as they came. Which languages the phones behind a carrier
//! understand is the caller's to know ([`SegmentRule::national`]).

use super::choose::{Options, Tables, Wanted, choose};
use super::segment::{self, SegmentRule};
use super::shift::Languages;
use super::{data_coding, transcode, udh};
use crate::model::{Body, Encoding};

/// The body that goes in `body`'s place because it needs fewer parts: Unicode text, or text with national tables already, in the cheapest tables of the
/// rule's languages. `None` where nothing is saved. A body that says more in its header than its tables passes as it is.
pub fn shorter(body: &Body, rule: &SegmentRule) -> Option<Body> {
    let may_change = match body.encoding {
        Encoding::Ucs2 => body.header_len == 0,
        Encoding::Gsm7 => announces_only_tables(body.header()),
        Encoding::Latin1 | Encoding::Binary | Encoding::Opaque => false,
    };
    if rule.national == Languages::NONE || !may_change {
        return None;
    }
    let plain = SegmentRule { national: Languages::NONE, ..*rule };
    let parts = segment::count(body, &plain);
    if parts == 1 {
        return None;
    }
    let tables = Tables::CheapestOf { single: rule.national, locking: rule.national };
    let options = Options { wanted: Wanted::Gsm7, tables, rule: plain, ..Options::default() };
    let other = choose(&transcode::text_of(body)?, &options).ok()?.body;
    (segment::count(&other, &plain) < parts)
        .then(|| Body { raw_data_coding: data_coding::moved(body.raw_data_coding, Encoding::Gsm7), ..other })
}

fn announces_only_tables(header: &[u8]) -> bool {
    udh::parse(header).is_ok_and(|udh| udh.elements().all(|element| matches!(element.id, udh::SINGLE_SHIFT | udh::LOCKING_SHIFT)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::segment::Concatenation;
    use crate::text::shift::{Language, Shifts};
    use crate::text::{gsm7, utf16};

    fn unicode(text: &str) -> Body {
        let mut octets = Vec::new();
        utf16::encode_into(text, &mut octets);
        Body { encoding: Encoding::Ucs2, raw_data_coding: 8, header_len: 0, octets: octets.into() }
    }

    fn national(text: &str, shifts: Shifts) -> Body {
        let mut elements = Vec::new();
        shifts.write_elements(&mut elements);
        let mut octets = Vec::new();
        udh::write(None, false, &elements, &mut octets);
        let header_len = octets.len() as u8;
        gsm7::encode_into(text, shifts, &mut octets).unwrap();
        Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len, octets: octets.into() }
    }

    fn rule(languages: &[Language]) -> SegmentRule {
        let national = languages.iter().fold(Languages::NONE, |all, &language| all.with(language));
        SegmentRule { national, ..SegmentRule::new(Concatenation::Udh8) }
    }

    /// Characters, and the parts of it as it came, with nothing allowed and with Turkish; by hand from the tables' sizes: 70 and 67 units of UTF-16,
    /// 160 septets plain, 155 beside one table, 149 in each part beside one table and a reference.
    #[test]
    fn parts_are_counted_in_the_cheapest_tables_that_the_carrier_allows() {
        let turkish = rule(&[Language::Turkish]);
        for (text, as_it_came, shorter) in [
            ("ş".repeat(70), 1, 1),
            ("ş".repeat(71), 2, 1),
            ("ş".repeat(155), 3, 1),
            ("ş".repeat(156), 3, 2),
            ("ş".repeat(298), 5, 2),
            ("ş".repeat(299), 5, 3),
            // Two letters of the single table among plain ones.
            (format!("{}ğı", "a".repeat(151)), 3, 1),
            ("中".repeat(71), 2, 2),
            // Nothing national in it: the default alphabet.
            ("a".repeat(160), 3, 1),
        ] {
            let body = unicode(&text);
            assert_eq!(segment::count(&body, &rule(&[])), as_it_came, "{text}");
            assert_eq!(segment::count(&body, &turkish), shorter, "{text}");
            if let Some(other) = super::shorter(&body, &turkish) {
                assert_eq!(transcode::text_of(&other).as_deref(), Some(&*text));
                assert_eq!(segment::split(&other, &turkish, 1).len(), shorter, "{text}");
            }
        }
    }

    #[test]
    fn upstreams_own_tables_pass_unless_others_save_a_part() {
        let text = "ığş".repeat(30);
        let own = national(&text, Shifts { single: Some(Language::Turkish), locking: None });
        assert_eq!(segment::count(&own, &rule(&[])), 2);
        assert_eq!(shorter(&own, &rule(&[])), None);
        assert_eq!(shorter(&own, &rule(&[Language::Hindi])), None);
        let other = shorter(&own, &rule(&[Language::Turkish])).unwrap();
        assert_eq!(udh::shifts_of(other.header()), Shifts { single: None, locking: Some(Language::Turkish) });
        assert_eq!(segment::count(&own, &rule(&[Language::Turkish])), 1);
    }

    #[test]
    fn a_header_with_more_in_it_and_a_message_class_are_kept() {
        let flash = Body { raw_data_coding: 0x18, ..unicode(&"ş".repeat(80)) };
        assert_eq!(shorter(&flash, &rule(&[Language::Turkish])).unwrap().raw_data_coding, 0x10);
        let ports = [&[6, 5, 4, 0, 1, 0, 2][..], &unicode(&"ş".repeat(80)).octets].concat();
        let body = Body { header_len: 7, octets: ports.into(), ..flash };
        assert_eq!(shorter(&body, &rule(&[Language::Turkish])), None);
        assert_eq!(segment::count(&body, &rule(&[Language::Turkish])), segment::count(&body, &rule(&[])));
    }

    #[test]
    fn octets_that_are_no_text_are_not_read_as_one() {
        let broken = Body { octets: [0xD8, 0x00].repeat(80).into(), ..unicode("") };
        assert_eq!(shorter(&broken, &rule(&[Language::Turkish])), None);
    }
}
