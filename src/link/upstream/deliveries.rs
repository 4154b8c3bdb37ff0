//! Deliveries to a client: sent while the window has room, kept until it has, and in pieces where the client knows no other way.

use super::Upstream;
use crate::engine::port::{Delivery, DeliveryAnswer, DeliveryToken, Inbound};
use crate::link::translate::body::default_alphabet;
use crate::link::translate::receipt;
use crate::model::Now;
use crate::smpp::{Pdu, RequestError, Session};
use crate::text::segment::{self, SegmentRule};
use std::sync::Arc;

/// An inbound message that goes out in several PDUs to a client that knows no message_payload.
pub(super) struct Pieces {
    token: DeliveryToken,
    left: usize,
    answer: DeliveryAnswer,
}

impl Upstream {
    /// Sends a delivery, or keeps it until the window has room.
    pub(super) fn deliver(&mut self, token: DeliveryToken, item: Arc<Delivery>, session: &mut Session, now: Now) {
        let Some(entry) = &self.account else {
            self.answers.push((token, DeliveryAnswer::Later));
            return;
        };
        let tlvs_allowed = session.allows_tlvs();
        let sent = match &*item {
            Delivery::Receipt(report) => {
                let pdu = self.writer.report(report, &entry.settings.receipts, tlvs_allowed);
                session.request(token.0, &pdu, now).map(|_| ())
            }
            Delivery::Inbound(inbound) if receipt::fits_one(inbound, tlvs_allowed) => {
                let pdu = self.writer.inbound(inbound, default_alphabet(entry.settings.default_alphabet));
                session.request(token.0, &pdu, now).map(|_| ())
            }
            Delivery::Inbound(inbound) => self.deliver_in_pieces(token, inbound, session, now),
        };
        match sent {
            Ok(()) => {}
            Err(RequestError::WindowFull) => self.waiting.push_front((token, item)),
            Err(RequestError::NotBound) => self.answers.push((token, DeliveryAnswer::Later)),
            Err(RequestError::Unsendable) => self.answers.push((token, DeliveryAnswer::Never)),
        }
    }

    /// A long message for a client without message_payload: in parts again, all of them or none; it counts as one delivery.
    pub(super) fn deliver_in_pieces(
        &mut self,
        token: DeliveryToken,
        inbound: &Inbound,
        session: &mut Session,
        now: Now,
    ) -> Result<(), RequestError> {
        let rule = SegmentRule::new(segment::Concatenation::Udh8);
        let parts = segment::count(&inbound.body, &rule);
        if parts > session.settings().window {
            return Err(RequestError::Unsendable);
        }
        if parts > session.free() {
            return if session.state().is_bound() { Err(RequestError::WindowFull) } else { Err(RequestError::NotBound) };
        }
        let reference = (inbound.message.0 & 0xFF) as u16;
        let mut sent = 0;
        segment::for_each(&inbound.body, &rule, reference, &mut Vec::new(), |view| {
            let pdu = Pdu::DeliverSm(receipt::inbound(inbound, view.octets, view.has_header));
            sent += usize::from(session.request(token.0, &pdu, now).is_ok());
        });
        if sent < parts {
            return Err(RequestError::Unsendable);
        }
        self.pieces.push(Pieces { token, left: parts, answer: DeliveryAnswer::Taken });
        Ok(())
    }

    pub(super) fn delivered(&mut self, token: DeliveryToken, answer: DeliveryAnswer) {
        if let Some(at) = self.pieces.iter().position(|pieces| pieces.token == token) {
            let pieces = &mut self.pieces[at];
            pieces.left -= 1;
            if answer != DeliveryAnswer::Taken {
                pieces.answer = answer;
            }
            if pieces.left > 0 {
                return;
            }
            let answer = pieces.answer;
            self.pieces.swap_remove(at);
            self.answers.push((token, answer));
            return;
        }
        self.answers.push((token, answer));
    }

    pub(super) fn pump(&mut self, session: &mut Session, now: Now) {
        while session.free() > 0 {
            let Some((token, item)) = self.waiting.pop_front() else { return };
            let left = self.waiting.len();
            self.deliver(token, item, session, now);
            if self.waiting.len() > left {
                return;
            }
        }
    }
}
