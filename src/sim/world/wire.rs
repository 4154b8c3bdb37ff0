//! Connections of the world: two ends, and between them octets that take their time, are cut anywhere, or never arrive.

use super::peers::{ClientEnd, OperatorEnd};
use crate::engine::port::BindCommand;
use crate::link::carrier::CarrierBind;
use crate::link::upstream::{Upstream, UpstreamCommand};
use crate::smpp::Session;
use std::collections::VecDeque;

/// The two ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// That of the gateway.
    Gateway = 0,
    /// That of the upstream or the carrier.
    Peer = 1,
}

impl Side {
    /// The one across.
    pub fn other(self) -> Side {
        match self {
            Side::Gateway => Side::Peer,
            Side::Peer => Side::Gateway,
        }
    }
}

/// What drives a session at one end.
pub enum Role {
    /// The gateway's handler of an upstream session.
    Upstream(Box<Upstream>),
    /// The gateway's handler of a bind with a carrier.
    Bind(Box<CarrierBind>),
    /// The upstream itself.
    Client(ClientEnd),
    /// The carrier itself.
    Operator(OperatorEnd),
}

/// What waits in the mailbox of one of the gateway's ends.
pub enum Mail {
    /// For an upstream session.
    Upstream(UpstreamCommand),
    /// For a bind.
    Bind(Vec<BindCommand>),
}

/// One end of a connection.
pub struct End {
    /// The protocol.
    pub session: Session,
    /// What is made of it.
    pub role: Role,
    /// Octets that came and are no whole PDU yet.
    pub input: Vec<u8>,
    /// Commands that were left for it.
    pub mail: Vec<Mail>,
    /// The instant for which its timer is set; others are stale.
    pub timer_us: u64,
}

/// What travels in one direction.
#[derive(Debug, PartialEq, Eq)]
pub enum Parcel {
    /// Octets.
    Octets(Vec<u8>),
    /// The other side has closed.
    End,
}

/// One direction of a connection: in order, each parcel with the time at which it arrives.
#[derive(Debug, Default)]
pub struct Pipe {
    parcels: VecDeque<(u64, Parcel)>,
    last_us: u64,
    /// Nothing that is sent from now on arrives.
    is_cut: bool,
    taken_us: u64,
}

impl Pipe {
    /// Sends `parcel`, to arrive at `at_us` or after what was sent before; the instant, or `None` if it never will.
    pub fn send(&mut self, at_us: u64, parcel: Parcel) -> Option<u64> {
        if self.is_cut {
            return None;
        }
        self.last_us = self.last_us.max(at_us);
        self.is_cut = parcel == Parcel::End;
        self.parcels.push_back((self.last_us, parcel));
        Some(self.last_us)
    }

    /// Takes what has arrived at `now_us`.
    pub fn take(&mut self, now_us: u64) -> Option<Parcel> {
        match self.parcels.front() {
            Some((at, _)) if *at <= now_us => {
                self.taken_us = now_us;
                self.parcels.pop_front().map(|(_, parcel)| parcel)
            }
            _ => None,
        }
    }

    /// Octets under way.
    pub fn under_way(&self) -> usize {
        self.parcels.iter().map(|(_, parcel)| if let Parcel::Octets(octets) = parcel { octets.len() } else { 0 }).sum()
    }

    /// Loses all but the first `keep` octets under way, and everything that is sent later.
    pub fn cut(&mut self, keep: usize) {
        let mut left = keep;
        self.is_cut = true;
        self.parcels.retain_mut(|(_, parcel)| match parcel {
            Parcel::Octets(octets) => {
                octets.truncate(left);
                left -= octets.len();
                !octets.is_empty()
            }
            Parcel::End => false,
        });
    }

    /// After [`Pipe::cut`]: the receiver learns of it at `at_us`, after what was kept.
    pub fn end(&mut self, at_us: u64) -> u64 {
        self.last_us = self.last_us.max(at_us);
        self.parcels.push_back((self.last_us, Parcel::End));
        self.last_us
    }

    /// When the last that was sent arrives, or has arrived, as things stand: a stall may hold it up.
    pub fn heard_us(&self) -> u64 {
        self.parcels.back().map_or(self.taken_us, |(at, _)| *at)
    }

    /// Nothing arrives before `until_us`.
    pub fn stall(&mut self, until_us: u64) {
        self.last_us = self.last_us.max(until_us);
        for (at, _) in &mut self.parcels {
            *at = (*at).max(until_us);
        }
    }
}

/// One connection.
pub struct Connection {
    /// By [`Side`]; `None` once that end is gone.
    pub ends: [Option<Box<End>>; 2],
    /// What travels towards each [`Side`].
    pub towards: [Pipe; 2],
    /// The peer's end takes octets and says nothing any more.
    pub is_mute: bool,
    /// What the peer says comes so much later, until that instant, microseconds.
    pub slow: (u64, u64),
}

impl Connection {
    /// Both ends, fresh.
    pub fn new(gateway: End, peer: End) -> Connection {
        Connection {
            ends: [Some(Box::new(gateway)), Some(Box::new(peer))],
            towards: [Pipe::default(), Pipe::default()],
            is_mute: false,
            slow: (0, 0),
        }
    }
}
