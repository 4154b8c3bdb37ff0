//! Refusals and outcomes as SMPP statuses, and back (SMPP v3.4 section 5.1.3).

use crate::config::{ErrorClass, Profile};
use crate::engine::port::{CarrierMessageId, DeliveryAnswer, Outcome};
use crate::model::state::ReceiptState;
use crate::model::{Refusal, State};
use crate::smpp::status;

/// First interface_version that knows the statuses of v5.0.
const VERSION_5: u8 = 0x50;

/// The status that tells a client of version `peer_version` why.
pub fn of_refusal(refusal: Refusal, peer_version: u8) -> u32 {
    let v5 = peer_version >= VERSION_5;
    match refusal {
        Refusal::Blocked | Refusal::OptedOut | Refusal::Country if v5 => status::ESME_RPROHIBITED,
        // v3.4 has no word for it; "invalid destination" is what clients never try again.
        Refusal::Blocked | Refusal::OptedOut | Refusal::Country => status::ESME_RINVDSTADR,
        Refusal::Destination | Refusal::NoRoute => status::ESME_RINVDSTADR,
        Refusal::Source => status::ESME_RINVSRCADR,
        Refusal::Length => status::ESME_RINVMSGLEN,
        Refusal::Header => status::ESME_RINVESMCLASS,
        Refusal::Encoding if v5 => status::ESME_RINVDCS,
        Refusal::Encoding => status::ESME_RSUBMITFAIL,
        Refusal::Schedule => status::ESME_RINVSCHED,
        Refusal::Validity => status::ESME_RINVEXPIRY,
        Refusal::Priority => status::ESME_RINVPRTFLG,
        Refusal::Throttled | Refusal::DiskSlow | Refusal::Velocity => status::ESME_RTHROTTLED,
        Refusal::QueueFull | Refusal::DiskFull => status::ESME_RMSGQFUL,
        Refusal::StoreFailed | Refusal::Stopping => status::ESME_RSYSERR,
        Refusal::UnknownMessage => status::ESME_RINVMSGID,
        Refusal::CancelFailed => status::ESME_RCANCELFAIL,
        Refusal::ReplaceFailed => status::ESME_RREPLACEFAIL,
        Refusal::NotAllowed | Refusal::Phrase if v5 => status::ESME_RPROHIBITED,
        Refusal::NotAllowed | Refusal::Phrase => status::ESME_RSUBMITFAIL,
        Refusal::Unsupported => status::ESME_RINVCMDID,
        // The protocol has no word of its own for either. Statuses that clients take as "later" would bring the same again and again.
        Refusal::Duplicate | Refusal::NoCredit | Refusal::KeyReused if v5 => status::ESME_RPROHIBITED,
        Refusal::Duplicate | Refusal::NoCredit | Refusal::KeyReused => status::ESME_RSUBMITFAIL,
    }
}

/// The cause that a refusal with `answer` is counted under: [`of_refusal`] backwards, as far as causes have statuses of their own.
pub fn cause(answer: u32) -> Refusal {
    match answer {
        status::ESME_RINVDSTADR => Refusal::Destination,
        status::ESME_RINVSRCADR => Refusal::Source,
        status::ESME_RINVMSGLEN => Refusal::Length,
        status::ESME_RINVESMCLASS => Refusal::Header,
        status::ESME_RINVDCS | status::ESME_RSUBMITFAIL => Refusal::Encoding,
        status::ESME_RINVSCHED => Refusal::Schedule,
        status::ESME_RINVEXPIRY => Refusal::Validity,
        status::ESME_RINVPRTFLG => Refusal::Priority,
        status::ESME_RTHROTTLED => Refusal::Throttled,
        status::ESME_RMSGQFUL => Refusal::QueueFull,
        status::ESME_RINVMSGID => Refusal::UnknownMessage,
        // Flags, lists, canned messages, commands: what we don't serve.
        _ => Refusal::Unsupported,
    }
}

/// What a client's answer to a delivery of ours means. Statuses that blame the moment bring the delivery again; the rest drop it.
pub fn delivery_answer(answer: u32) -> DeliveryAnswer {
    match answer {
        status::ESME_ROK => DeliveryAnswer::Taken,
        status::ESME_RX_T_APPN
        | status::ESME_RTHROTTLED
        | status::ESME_RMSGQFUL
        | status::ESME_RSYSERR
        | status::ESME_RINVBNDSTS
        | status::ESME_RUNKNOWNERR => DeliveryAnswer::Later,
        _ => DeliveryAnswer::Never,
    }
}

/// What a carrier's answer to a submit means, by its profile's words before the standard's.
pub fn outcome(answer: u32, message_id: &[u8], profile: &Profile) -> Outcome {
    if answer == status::ESME_ROK {
        let most = message_id.len().min(CarrierMessageId::new_const().capacity());
        let carrier_id = CarrierMessageId::try_from(&message_id[..most]).expect("cut to the capacity");
        return Outcome::Sent { carrier_id };
    }
    match profile.error_class(answer) {
        ErrorClass::Later => Outcome::Later { status: answer },
        ErrorClass::Throttle => Outcome::Throttled { status: answer },
        ErrorClass::Elsewhere => Outcome::Elsewhere { status: answer },
        ErrorClass::Never => Outcome::Never { status: answer },
    }
}

/// message_state of query_sm_resp (5.2.28) for a state of ours.
pub fn message_state(state: State) -> ReceiptState {
    match state {
        State::Waiting | State::SentWaiting => ReceiptState::Enroute,
        State::Delivered => ReceiptState::Delivered,
        State::Undelivered => ReceiptState::Undeliverable,
        State::Expired => ReceiptState::Expired,
        State::Rejected => ReceiptState::Rejected,
        State::Cancelled => ReceiptState::Deleted,
        State::SentFinal => ReceiptState::Accepted,
        State::NoReceipt | State::InDoubt => ReceiptState::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_the_status_of_its_cause() {
        let expected = [
            (Refusal::Destination, 0x0B),
            (Refusal::Source, 0x0A),
            (Refusal::Length, 0x01),
            (Refusal::Header, 0x43),
            (Refusal::Encoding, 0x45),
            (Refusal::Schedule, 0x61),
            (Refusal::Validity, 0x62),
            (Refusal::Priority, 0x06),
            (Refusal::NoRoute, 0x0B),
            (Refusal::Throttled, 0x58),
            (Refusal::QueueFull, 0x14),
            (Refusal::DiskSlow, 0x58),
            (Refusal::DiskFull, 0x14),
            (Refusal::StoreFailed, 0x08),
            (Refusal::Stopping, 0x08),
            (Refusal::UnknownMessage, 0x0C),
            (Refusal::CancelFailed, 0x11),
            (Refusal::ReplaceFailed, 0x13),
            (Refusal::NotAllowed, 0x45),
            (Refusal::Unsupported, 0x03),
            (Refusal::Duplicate, 0x45),
            (Refusal::NoCredit, 0x45),
            (Refusal::Blocked, 0x0B),
            (Refusal::OptedOut, 0x0B),
            (Refusal::Country, 0x0B),
            (Refusal::Velocity, 0x58),
            (Refusal::Phrase, 0x45),
            (Refusal::KeyReused, 0x45),
        ];
        assert_eq!(expected.map(|pair| pair.0), Refusal::ALL);
        for (refusal, status) in expected {
            assert_eq!(of_refusal(refusal, 0x34), status, "{refusal}");
        }
        assert_eq!(of_refusal(Refusal::Encoding, 0x50), 0x104);
        for prohibited in [Refusal::NotAllowed, Refusal::Blocked, Refusal::OptedOut, Refusal::Country, Refusal::Phrase] {
            assert_eq!(of_refusal(prohibited, 0x50), 0x101);
        }
    }

    #[test]
    fn a_refusal_is_counted_under_its_own_cause_where_its_status_tells() {
        for own in [
            Refusal::Destination,
            Refusal::Source,
            Refusal::Length,
            Refusal::Header,
            Refusal::Encoding,
            Refusal::Schedule,
            Refusal::Validity,
            Refusal::Priority,
            Refusal::Throttled,
            Refusal::QueueFull,
            Refusal::UnknownMessage,
        ] {
            assert_eq!((cause(of_refusal(own, 0x34)), cause(of_refusal(own, 0x50))), (own, own));
        }
        for unserved in [status::ESME_RINVREPFLAG, status::ESME_RINVDFTMSGID, status::ESME_RINVDLNAME, status::ESME_RINVCMDID] {
            assert_eq!(cause(unserved), Refusal::Unsupported);
        }
    }

    #[test]
    fn a_temporary_refusal_of_a_delivery_brings_it_again_and_a_permanent_one_drops_it() {
        assert_eq!(delivery_answer(0), DeliveryAnswer::Taken);
        for temporary in [0x64, 0x58, 0x14, 0x08, 0x04, 0xFF] {
            assert_eq!(delivery_answer(temporary), DeliveryAnswer::Later, "{temporary:#x}");
        }
        for permanent in [0x65, 0x66, 0x01, 0x03, 0x0B, 0x400] {
            assert_eq!(delivery_answer(permanent), DeliveryAnswer::Never, "{permanent:#x}");
        }
    }

    #[test]
    fn a_carriers_own_words_go_before_the_standards() {
        let mut own = Profile::default();
        own.errors.never.push(0x45);
        own.errors.throttle.push(0x401);
        let standard = Profile::default();
        assert_eq!(outcome(0x45, b"", &own), Outcome::Never { status: 0x45 });
        assert_eq!(outcome(0x401, b"", &own), Outcome::Throttled { status: 0x401 });
        assert_eq!(outcome(0x58, b"", &own), Outcome::Throttled { status: 0x58 });
        assert_eq!(outcome(0x14, b"", &standard), Outcome::Throttled { status: 0x14 });
        assert_eq!(outcome(0x45, b"", &standard), Outcome::Later { status: 0x45 });
        assert_eq!(outcome(0x0B, b"", &standard), Outcome::Never { status: 0x0B });
        assert_eq!(outcome(0x15, b"", &standard), Outcome::Elsewhere { status: 0x15 });
        assert!(matches!(outcome(0, b"0a1B", &standard), Outcome::Sent { carrier_id } if &carrier_id[..] == b"0a1B"));
        assert!(matches!(outcome(0, b"", &standard), Outcome::Sent { carrier_id } if carrier_id.is_empty()));
    }
}
