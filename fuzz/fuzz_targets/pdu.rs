//! Any octets as one PDU: no panic, and what decodes must be the same PDU again after it was encoded.
#![no_main]

use bytes::BytesMut;
use hongyan::model::Now;
use hongyan::smpp::{DecodeLimits, Pdu, check, decode, encode};
use libfuzzer_sys::fuzz_target;

const NOW: Now = Now { mono_us: 1_000_000, wall_ms: 1_772_323_200_000 };

fuzz_target!(|data: &[u8]| {
    let Some((&first, octets)) = data.split_first() else { return };
    let mut frame = octets.to_vec();
    // Without a true length nearly every input would end at the first field.
    if let Some(length) = frame.first_chunk_mut::<4>() {
        *length = (octets.len() as u32).to_be_bytes();
    }
    let limits = DecodeLimits { any_tlv_length: first & 1 == 1, ..DecodeLimits::default() };
    let (header, pdu) = match decode(&frame, &limits) {
        Ok(decoded) => decoded,
        Err(error) => return assert_ne!(error.status, 0),
    };
    let mut out = BytesMut::new();
    encode(header.status, header.sequence, &pdu, &mut out);
    let (again_header, again) = decode(&out, &limits).expect("what we write can be read");
    assert_eq!(again, pdu);
    assert_eq!((again_header.command_id, again_header.status), (header.command_id, header.status));
    assert_eq!((again_header.sequence, again_header.length as usize), (header.sequence, out.len()));
    assert!(out.len() <= frame.len(), "only octets behind the last field are lost");
    assert_eq!(pdu.command_id(), header.command_id);
    let size: usize = pdu.tlvs().iter().map(|tlv| tlv.value.len() + 4).sum();
    assert_eq!(size, pdu.tlvs().raw().len());
    match pdu {
        Pdu::SubmitSm(sm) => {
            if let Ok(checked) = check::submit_sm(&sm, NOW) {
                assert!(checked.expires_ms.is_none_or(|at| at > checked.schedule_ms.unwrap_or(NOW.wall_ms)));
            }
        }
        Pdu::SubmitMulti(multi) => assert_eq!(multi.destinations().count(), multi.dests.len()),
        Pdu::SubmitMultiResp(Some(resp)) => assert_eq!(resp.unsuccess.iter().count(), resp.unsuccess.len()),
        _ => {}
    }
});
