//! Reads a recording: our own pcap files, and captures of other tools (pcap or pcapng; Ethernet, Linux cooked, loopback or raw IP), whose TCP streams are put
//! together again. What is no SMPP is left out.

use super::{Taken, word};
use crate::smpp::command;
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// Octets read at once; no packet is larger.
const BUFFER: usize = 1 << 20;
/// Longest PDU that is believed.
const PDU_MAX: usize = 1 << 20;
/// Segments that may wait for a missing one before it is given up.
const WAITING_MAX: usize = 64;

/// One way of one connection: from, its port, to, its port.
type Flow = (IpAddr, u16, IpAddr, u16);

/// What is known of one flow.
#[derive(Default)]
struct Stream {
    next: Option<u32>,
    /// Segments that came before their time, by distance.
    early: BTreeMap<u32, Vec<u8>>,
    /// The beginning of a PDU.
    begun: Vec<u8>,
}

/// A PDU and where it went.
struct Cut {
    at_us: u64,
    flow: Flow,
    pdu: Vec<u8>,
}

/// The PDUs of a capture, in the order of the wire.
///
/// # Errors
/// In words: it is no capture, or there is no SMPP in it.
pub fn read(file: &[u8]) -> Result<Vec<Taken>, String> {
    let mut cut = Vec::new();
    let mut streams: HashMap<Flow, Stream> = HashMap::new();
    packets(file, &mut |at_us, link, packet| {
        let Some((flow, number, start, payload)) = segment(link, packet) else { return };
        let stream = streams.entry(flow).or_default();
        if start {
            *stream = Stream { next: Some(number.wrapping_add(1)), ..Stream::default() };
        }
        stream.take(number, payload);
        stream.cut(&mut |pdu| cut.push(Cut { at_us, flow, pdu }));
    })?;
    if cut.is_empty() {
        return Err("there is no SMPP in it".to_owned());
    }
    let servers = servers(&cut);
    let mut connections: HashMap<Flow, u16> = HashMap::new();
    let taken = |Cut { at_us, flow, pdu }| {
        let (to_server, client) = match servers.get(&flow) {
            Some(true) => (true, flow),
            _ => (false, turned(flow)),
        };
        let next = connections.len() as u16;
        let connection = *connections.entry(client).or_insert(next);
        Taken { at_us, connection, to_server, pdu }
    };
    Ok(cut.into_iter().map(taken).collect())
}

fn turned((from, from_port, to, to_port): Flow) -> Flow {
    (to, to_port, from, from_port)
}

/// Which flows go to a message centre: by what is asked on them, else by the port.
fn servers(cut: &[Cut]) -> HashMap<Flow, bool> {
    let mut known = HashMap::new();
    for cut in cut {
        let to_server = match word(&cut.pdu, 1) {
            command::BIND_RECEIVER | command::BIND_TRANSMITTER | command::BIND_TRANSCEIVER => true,
            command::SUBMIT_SM | command::SUBMIT_MULTI | command::DELIVER_SM_RESP => true,
            command::DELIVER_SM | command::SUBMIT_SM_RESP => false,
            _ => continue,
        };
        known.entry(cut.flow).or_insert(to_server);
        known.entry(turned(cut.flow)).or_insert(!to_server);
    }
    for cut in cut {
        let by_port = cut.flow.3 == super::pcap::SERVER_PORT || (cut.flow.1 != super::pcap::SERVER_PORT && cut.flow.3 < cut.flow.1);
        known.entry(cut.flow).or_insert(by_port);
    }
    known
}

impl Stream {
    fn take(&mut self, number: u32, payload: &[u8]) {
        if payload.is_empty() {
            return;
        }
        let next = *self.next.get_or_insert(number);
        let ahead = number.wrapping_sub(next);
        if ahead == 0 {
            self.begun.extend_from_slice(payload);
            self.next = Some(next.wrapping_add(payload.len() as u32));
            self.take_early();
        } else if ahead < 1 << 31 {
            self.early.insert(number, payload.to_vec());
            if self.early.len() > WAITING_MAX {
                // The missing one was not captured: what was begun is lost with it.
                self.begun.clear();
                self.next = self.early.keys().min_by_key(|at| at.wrapping_sub(next)).copied();
                self.take_early();
            }
        } else if let Some(fresh) = payload.get(next.wrapping_sub(number) as usize..).filter(|fresh| !fresh.is_empty()) {
            // Sent again, with something new behind it.
            self.begun.extend_from_slice(fresh);
            self.next = Some(next.wrapping_add(fresh.len() as u32));
            self.take_early();
        }
    }

    fn take_early(&mut self) {
        while let Some(next) = self.next
            && let Some(payload) = self.early.remove(&next)
        {
            self.begun.extend_from_slice(&payload);
            self.next = Some(next.wrapping_add(payload.len() as u32));
        }
    }

    /// Gives every whole PDU away. What can't be one is dropped up to the next segment.
    fn cut(&mut self, each: &mut dyn FnMut(Vec<u8>)) {
        while self.begun.len() >= 16 {
            let (length, id) = (word(&self.begun, 0) as usize, word(&self.begun, 1));
            if !(16..=PDU_MAX).contains(&length) || id & 0x7FFF_FFFF >= 0x1000 {
                self.begun.clear();
                return;
            }
            if self.begun.len() < length {
                return;
            }
            let rest = self.begun.split_off(length);
            each(std::mem::replace(&mut self.begun, rest));
        }
    }
}

/// Calls `each` with time (wall microseconds), kind of link and octets of every packet.
fn packets(file: &[u8], each: &mut dyn FnMut(u64, Linktype, &[u8])) -> Result<(), String> {
    let no_capture = || "that is no pcap or pcapng file".to_owned();
    let mut reader = create_reader(BUFFER, std::io::Cursor::new(file)).map_err(|_| no_capture())?;
    let mut link = Linktype::RAW;
    let mut fine = false;
    let mut interfaces = Vec::new();
    loop {
        match reader.next() {
            Ok((used, block)) => {
                match block {
                    PcapBlockOwned::LegacyHeader(header) => (link, fine) = (header.network, header.is_nanosecond_precision()),
                    PcapBlockOwned::Legacy(packet) => {
                        let below = u64::from(packet.ts_usec) / if fine { 1_000 } else { 1 };
                        each(u64::from(packet.ts_sec) * 1_000_000 + below, link, packet.data);
                    }
                    PcapBlockOwned::NG(Block::SectionHeader(_)) => interfaces.clear(),
                    PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                        interfaces.push((interface.linktype, interface.ts_resolution().unwrap_or(1_000_000), interface.ts_offset()));
                    }
                    PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                        if let Some((link, resolution, offset)) = interfaces.get(packet.if_id as usize) {
                            let (seconds, part) = packet.decode_ts(*offset as u64, *resolution);
                            let below = u128::from(part) * 1_000_000 / u128::from((*resolution).max(1));
                            let length = (packet.caplen as usize).min(packet.data.len());
                            each(u64::from(seconds) * 1_000_000 + below as u64, *link, &packet.data[..length]);
                        }
                    }
                    PcapBlockOwned::NG(_) => {}
                }
                reader.consume(used);
            }
            Err(PcapError::Eof) => return Ok(()),
            Err(PcapError::Incomplete(_)) => {
                // The last packet may be cut off, as in captures that were stopped by force.
                if reader.refill().is_err() || reader.reader_exhausted() {
                    return Ok(());
                }
            }
            Err(_) => return Err("the file is damaged".to_owned()),
        }
    }
}

/// Flow, number, whether it begins a stream, and payload of a TCP segment.
fn segment(link: Linktype, packet: &[u8]) -> Option<(Flow, u32, bool, &[u8])> {
    let sliced = match link {
        Linktype::ETHERNET => SlicedPacket::from_ethernet(packet),
        Linktype::LINUX_SLL => SlicedPacket::from_linux_sll(packet),
        // Loopback: four octets of address family.
        Linktype::NULL | Linktype::LOOP => SlicedPacket::from_ip(packet.get(4..)?),
        _ => SlicedPacket::from_ip(packet),
    };
    let sliced = sliced.ok()?;
    let (from, to): (IpAddr, IpAddr) = match sliced.net.as_ref()? {
        NetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        _ => return None,
    };
    let TransportSlice::Tcp(tcp) = sliced.transport? else { return None };
    Some(((from, tcp.source_port(), to, tcp.destination_port()), tcp.sequence_number(), tcp.syn(), tcp.payload()))
}

#[cfg(test)]
mod tests {
    use super::super::pcap;
    use super::*;

    fn pdu(id: u32, sequence: u32, body: usize) -> Vec<u8> {
        let mut pdu: Vec<u8> = [(16 + body) as u32, id, 0, sequence].into_iter().flat_map(u32::to_be_bytes).collect();
        pdu.resize(16 + body, b'x');
        pdu
    }

    fn recording() -> Vec<Taken> {
        let at = |at_us, connection, to_server, pdu| Taken { at_us, connection, to_server, pdu };
        vec![
            at(1_790_000_000_000_001, 0, true, pdu(command::BIND_TRANSCEIVER, 1, 20)),
            at(1_790_000_000_000_500, 0, false, pdu(command::BIND_TRANSCEIVER_RESP, 1, 4)),
            at(1_790_000_000_001_000, 0, true, pdu(command::SUBMIT_SM, 2, 70_000)),
            at(1_790_000_000_002_000, 1, true, pdu(command::ENQUIRE_LINK, 3, 0)),
            at(1_790_000_001_000_000, 0, false, pdu(command::DELIVER_SM, 1, 100)),
        ]
    }

    #[test]
    fn what_was_written_is_read_back_with_times_ways_and_connections() {
        assert_eq!(read(&pcap::write(&recording())).unwrap(), recording());
    }

    #[test]
    fn streams_are_put_together_whatever_their_segments_do() {
        let whole = [pdu(command::SUBMIT_SM, 1, 30), pdu(command::SUBMIT_SM, 2, 40), pdu(command::SUBMIT_SM, 3, 5)].concat();
        let orders: [&[(usize, usize)]; 4] = [
            &[(0, 10), (10, 50), (50, 123)],
            &[(0, 10), (50, 123), (10, 50)],
            &[(0, 50), (10, 50), (0, 60), (60, 123)],
            &[(0, 1), (1, 2), (2, 3), (3, 123)],
        ];
        for order in orders {
            let (mut stream, mut cut) = (Stream { next: Some(4_294_967_290), ..Stream::default() }, Vec::new());
            for &(from, to) in order {
                stream.take(4_294_967_290u32.wrapping_add(from as u32), &whole[from..to]);
                stream.cut(&mut |pdu| cut.push(word(&pdu, 3)));
            }
            assert_eq!(cut, [1, 2, 3], "{order:?}");
        }
    }

    #[test]
    fn what_is_no_capture_or_holds_no_smpp_is_refused_in_words() {
        assert!(read(b"hello, this is no capture at all").unwrap_err().contains("no pcap"));
        assert!(read(&pcap::write(&[])).unwrap_err().contains("no SMPP"));
        let mut cut = pcap::write(&recording());
        cut.truncate(cut.len() - 7);
        assert_eq!(read(&cut).unwrap().len(), recording().len() - 1, "a file that was cut off is read as far as it goes");
    }
}
