//! Refusals of requests that decode well but make no sense: both bodies, headers that run past their text, impossible dates. Pure
//! functions that return the status to answer with; what an account may do is for the engine.

use super::pdu::Sm;
use super::status;
use super::time::{self, SmppTime};
use super::tlv::tag;
use crate::model::clock::Now;

/// Greatest `priority_flag` (4 since v5.0).
const MAX_PRIORITY: u8 = 4;
/// `esm_class` bit: the text opens with a user data header.
pub const ESM_UDHI: u8 = 0x40;

/// What a submission says once it is known to make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked<'a> {
    /// User data header with its length octet; empty without one.
    pub header: &'a [u8],
    /// What follows the header: short_message or message_payload.
    pub text: &'a [u8],
    /// When to send, milliseconds since 1970; `None` at once (also when the time asked for is past).
    pub schedule_ms: Option<u64>,
    /// End of validity, milliseconds since 1970; `None` for our default.
    pub expires_ms: Option<u64>,
}

/// A submit_sm in the order of the protocol notes, section 9. The error is the `command_status` to answer with.
///
/// Neither time is capped; that is for the caller, who knows the account.
pub fn submit_sm<'a>(sm: &Sm<'a>, now: Now) -> Result<Checked<'a>, u32> {
    if sm.destination.addr.is_empty() {
        return Err(status::ESME_RINVDSTADR);
    }
    flags(sm)?;
    let (header, text) = user_data(sm.esm_class, body(sm)?)?;
    let (schedule_ms, expires_ms) = times(sm.schedule_delivery_time, sm.validity_period, now)?;
    Ok(Checked { header, text, schedule_ms, expires_ms })
}

/// The text of a message wherever it stands; 0x01 if it stands in both places.
pub fn body<'a>(sm: &Sm<'a>) -> Result<&'a [u8], u32> {
    match sm.tlvs.first(tag::MESSAGE_PAYLOAD) {
        Some(payload) if sm.short_message.is_empty() => Ok(payload),
        Some(_) => Err(status::ESME_RINVMSGLEN),
        None => Ok(sm.short_message),
    }
}

/// Parts `body` into user data header and text as `esm_class` says; 0x43 if the header does not fit (3GPP TS 23.040 §9.2.3.24).
pub fn user_data(esm_class: u8, body: &[u8]) -> Result<(&[u8], &[u8]), u32> {
    if esm_class & ESM_UDHI == 0 {
        return Ok((&[], body));
    }
    let length = usize::from(*body.first().ok_or(status::ESME_RINVESMCLASS)?);
    let (header, text) = body.split_at_checked(length + 1).ok_or(status::ESME_RINVESMCLASS)?;
    let mut elements = &header[1..];
    while let [_, size, rest @ ..] = elements {
        elements = rest.get(usize::from(*size)..).ok_or(status::ESME_RINVESMCLASS)?;
    }
    if elements.is_empty() { Ok((header, text)) } else { Err(status::ESME_RINVESMCLASS) }
}

/// Schedule and end of validity as instants. Relative validity counts from the schedule if there is one, else from now; a schedule in the
/// past means at once. 0x61 and 0x62 for what is no time, 0x62 for a validity that ends before it begins.
pub fn times(schedule: &[u8], validity: &[u8], now: Now) -> Result<(Option<u64>, Option<u64>), u32> {
    // Nearly all submissions name neither.
    if schedule.is_empty() && validity.is_empty() {
        return Ok((None, None));
    }
    let schedule_ms = instant(schedule, now.wall_ms).ok_or(status::ESME_RINVSCHED)?.filter(|&at| at > now.wall_ms);
    let start_ms = schedule_ms.unwrap_or(now.wall_ms);
    let expires_ms = instant(validity, start_ms).ok_or(status::ESME_RINVEXPIRY)?;
    match expires_ms {
        Some(at) if at <= start_ms => Err(status::ESME_RINVEXPIRY),
        _ => Ok((schedule_ms, expires_ms)),
    }
}

/// Outer `None`: no time at all; inner `None`: empty.
fn instant(text: &[u8], base_ms: u64) -> Option<Option<u64>> {
    let time = time::parse(text).ok()?;
    match time {
        None | Some(SmppTime::Relative(time::Relative { years: 0, months: 0, days: 0, hours: 0, minutes: 0, seconds: 0 })) => Some(None),
        Some(time) => time.at(base_ms).map(Some),
    }
}

fn flags(sm: &Sm<'_>) -> Result<(), u32> {
    if sm.priority_flag > MAX_PRIORITY {
        return Err(status::ESME_RINVPRTFLG);
    }
    if sm.registered_delivery > 0x1F {
        return Err(status::ESME_RINVREGDLVFLG);
    }
    if sm.replace_if_present_flag > 1 {
        return Err(status::ESME_RINVREPFLAG);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smpp::pdu::Addr;
    use crate::smpp::tlv::TlvBuf;

    // 2026-03-01T00:00:00Z
    const NOW: Now = Now { mono_us: 0, wall_ms: 1_772_323_200_000 };
    const HOUR_MS: u64 = 3_600_000;

    fn sm(text: &[u8]) -> Sm<'_> {
        Sm { destination: Addr { ton: 1, npi: 1, addr: b"8613800138000" }, short_message: text, ..Sm::default() }
    }

    #[test]
    fn a_plain_submission_passes() {
        let checked = submit_sm(&sm(b"Hi"), NOW);
        assert_eq!(checked, Ok(Checked { header: b"", text: b"Hi", schedule_ms: None, expires_ms: None }));
    }

    #[test]
    fn the_text_may_stand_in_one_place_only() {
        let mut tlvs = TlvBuf::new();
        tlvs.octets(tag::MESSAGE_PAYLOAD, b"payload");
        assert_eq!(body(&Sm { tlvs: tlvs.as_tlvs(), ..sm(b"") }), Ok(&b"payload"[..]));
        assert_eq!(body(&Sm { tlvs: tlvs.as_tlvs(), ..sm(b"x") }), Err(status::ESME_RINVMSGLEN));
    }

    #[test]
    fn a_header_is_cut_off_or_refused() {
        let part = b"\x05\x00\x03\xA5\x02\x01text";
        assert_eq!(user_data(ESM_UDHI, part), Ok((&part[..6], &b"text"[..])));
        assert_eq!(user_data(0, part), Ok((&b""[..], &part[..])));
        for bad in [&b""[..], b"\x05\x00\x03", b"\x03\x00\x09\x01x", b"\x01\x00", b"\x06\x00\x03\xA5\x02\x01\x00x"] {
            assert_eq!(user_data(ESM_UDHI, bad), Err(status::ESME_RINVESMCLASS), "{bad:?}");
        }
        assert_eq!(user_data(ESM_UDHI, b"\x00x"), Ok((&b"\x00"[..], &b"x"[..])));
    }

    #[test]
    fn relative_validity_counts_from_the_schedule() {
        let both = times(b"260301040000000+", b"000000020000000R", NOW);
        assert_eq!(both, Ok((Some(NOW.wall_ms + 4 * HOUR_MS), Some(NOW.wall_ms + 6 * HOUR_MS))));
        assert_eq!(times(b"", b"000000020000000R", NOW), Ok((None, Some(NOW.wall_ms + 2 * HOUR_MS))));
    }

    #[test]
    fn a_past_schedule_means_now_and_a_past_validity_is_refused() {
        assert_eq!(times(b"260201040000000+", b"", NOW), Ok((None, None)));
        assert_eq!(times(b"", b"260201040000000+", NOW), Err(status::ESME_RINVEXPIRY));
        assert_eq!(times(b"260301040000000+", b"260301030000000+", NOW), Err(status::ESME_RINVEXPIRY));
        assert_eq!(times(b"2603010400000", b"", NOW), Err(status::ESME_RINVSCHED));
        assert_eq!(times(b"", b"000000000000000R", NOW), Ok((None, None)));
    }

    #[test]
    fn flags_out_of_range_are_refused() {
        assert_eq!(submit_sm(&Sm { priority_flag: 5, ..sm(b"") }, NOW), Err(status::ESME_RINVPRTFLG));
        assert_eq!(submit_sm(&Sm { registered_delivery: 0x20, ..sm(b"") }, NOW), Err(status::ESME_RINVREGDLVFLG));
        assert_eq!(submit_sm(&Sm { replace_if_present_flag: 2, ..sm(b"") }, NOW), Err(status::ESME_RINVREPFLAG));
        assert_eq!(submit_sm(&Sm { destination: Addr::default(), ..sm(b"") }, NOW), Err(status::ESME_RINVDSTADR));
    }
}
