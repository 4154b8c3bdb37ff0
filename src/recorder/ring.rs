//! A ring of octets that holds the latest PDUs of a session: what is new pushes out what is oldest. It allocates by doubling up to its bound and then never
//! again, so a busy session pays a copy per PDU and a quiet one little memory.

use super::Taken;
use std::collections::VecDeque;

/// Octets before each PDU: time, connection, direction, length.
const HEAD: usize = 8 + 2 + 1 + 4;
/// First allocation, octets.
const FIRST: usize = 4 << 10;

/// See the module.
#[derive(Debug)]
pub struct Ring {
    octets: VecDeque<u8>,
    most: usize,
    pdus: usize,
    /// PDUs that were pushed out, or did not fit at all.
    gone: u64,
}

impl Ring {
    /// An empty one that holds at most so many octets.
    pub fn new(most: usize) -> Ring {
        Ring { octets: VecDeque::new(), most, pdus: 0, gone: 0 }
    }

    /// Takes one PDU.
    pub fn push(&mut self, at_us: u64, connection: u16, to_server: bool, pdu: &[u8]) {
        let need = HEAD + pdu.len();
        if need > self.most {
            self.gone += 1;
            return;
        }
        while self.octets.len() + need > self.most {
            let length = self.length_at(0);
            self.octets.drain(..HEAD + length);
            self.pdus -= 1;
            self.gone += 1;
        }
        if self.octets.len() + need > self.octets.capacity() {
            let wanted = (self.octets.capacity() * 2).max(FIRST).max(self.octets.len() + need).min(self.most);
            self.octets.reserve_exact(wanted - self.octets.len());
        }
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(&at_us.to_le_bytes());
        head[8..10].copy_from_slice(&connection.to_le_bytes());
        head[10] = u8::from(to_server);
        head[11..].copy_from_slice(&(pdu.len() as u32).to_le_bytes());
        self.octets.extend(&head);
        self.octets.extend(pdu);
        self.pdus += 1;
    }

    /// Octets of the PDU whose head is at `at`.
    fn length_at(&self, at: usize) -> usize {
        let octet = |place: usize| u32::from(self.octets.get(at + 11 + place).copied().unwrap_or(0)) << (8 * place);
        (octet(0) | octet(1) | octet(2) | octet(3)) as usize
    }

    /// PDUs that it holds.
    pub fn len(&self) -> usize {
        self.pdus
    }

    /// It holds none.
    pub fn is_empty(&self) -> bool {
        self.pdus == 0
    }

    /// PDUs that are gone.
    pub fn gone(&self) -> u64 {
        self.gone
    }

    /// Octets that it holds, heads included.
    pub fn octets(&self) -> usize {
        self.octets.len()
    }

    /// A copy of all that it holds, as cheap as can be made; [`read`] takes it apart.
    pub fn copy(&self) -> Vec<u8> {
        let (first, second) = self.octets.as_slices();
        [first, second].concat()
    }
}

/// The PDUs of a [`Ring::copy`], oldest first.
pub fn read(mut octets: &[u8]) -> Vec<Taken> {
    let mut all = Vec::new();
    while let Some((head, rest)) = octets.split_at_checked(HEAD) {
        let at_us = u64::from_le_bytes(head[..8].try_into().unwrap_or_default());
        let length = u32::from_le_bytes(head[11..].try_into().unwrap_or_default()) as usize;
        let Some((pdu, rest)) = rest.split_at_checked(length) else { break };
        let connection = u16::from_le_bytes([head[8], head[9]]);
        all.push(Taken { at_us, connection, to_server: head[10] != 0, pdu: pdu.to_vec() });
        octets = rest;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_pdus_stay_whole_and_the_bound_holds() {
        let mut ring = Ring::new(1_000);
        for at in 0..500u64 {
            ring.push(at, (at / 100) as u16, at % 2 == 0, &vec![at as u8; 10 + (at % 50) as usize]);
            assert!(ring.octets() <= 1_000 && ring.octets.capacity() <= 1_024, "{} {}", ring.octets(), ring.octets.capacity());
        }
        let all = read(&ring.copy());
        assert_eq!((all.len(), ring.gone() as usize), (ring.len(), 500 - ring.len()));
        assert!(all.len() > 10);
        for (taken, at) in all.iter().rev().zip((0..500u64).rev()) {
            assert_eq!((taken.at_us, taken.connection, taken.to_server), (at, 4, at % 2 == 0));
            assert_eq!(taken.pdu, vec![at as u8; 10 + (at % 50) as usize]);
        }
    }

    #[test]
    fn what_is_larger_than_the_ring_is_only_counted() {
        let mut ring = Ring::new(100);
        ring.push(1, 0, true, &[1; 20]);
        ring.push(2, 0, true, &[2; 200]);
        assert_eq!((ring.len(), ring.gone()), (1, 1));
    }

    #[test]
    fn once_it_is_full_it_allocates_no_more() {
        let mut ring = Ring::new(64 << 10);
        (0..2_000).for_each(|at| ring.push(at, 0, true, &[0; 100]));
        let capacity = ring.octets.capacity();
        (0..10_000).for_each(|at| ring.push(at, 0, true, &[0; 77]));
        assert_eq!(ring.octets.capacity(), capacity);
    }
}
