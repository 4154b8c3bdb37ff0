//! Writes a recording as a pcap file: each PDU a TCP segment of its own (large ones several) between an ESME at 10.0.0.1 and a message centre at 10.0.0.2, port
//! 2775, so that Wireshark and tshark decode SMPP by themselves. The addresses are made up; times are those of reading and writing.

use super::Taken;
use etherparse::PacketBuilder;
use std::collections::HashMap;

/// Port of the message centre.
pub const SERVER_PORT: u16 = 2775;
/// LINKTYPE_RAW: packets begin with the IP header.
const RAW_IP: u32 = 101;
/// Octets of a packet that are kept, as the file's head says.
const SNAP: u32 = 262_144;
/// Octets of a PDU in one segment.
const SEGMENT: usize = 60_000;

/// The ESME's port of a connection.
fn client_port(connection: u16) -> u16 {
    40_000 + connection % 20_000
}

/// The file.
pub fn write(recording: &[Taken]) -> Vec<u8> {
    let mut file = Vec::with_capacity(24 + recording.iter().map(|taken| 56 + taken.pdu.len()).sum::<usize>());
    // Magic number of microseconds, version 2.4, zone and accuracy 0.
    for half in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, SNAP, RAW_IP] {
        file.extend(half.to_le_bytes());
    }
    let mut numbers: HashMap<(u16, bool), u32> = HashMap::new();
    for taken in recording {
        for part in taken.pdu.chunks(SEGMENT) {
            let acknowledged = *numbers.entry((taken.connection, !taken.to_server)).or_insert(1);
            let number = numbers.entry((taken.connection, taken.to_server)).or_insert(1);
            let packet = packet(taken, *number, acknowledged, part);
            *number = number.wrapping_add(part.len() as u32);
            let length = packet.len() as u32;
            for word in [(taken.at_us / 1_000_000) as u32, (taken.at_us % 1_000_000) as u32, length, length] {
                file.extend(word.to_le_bytes());
            }
            file.extend(packet);
        }
    }
    file
}

fn packet(taken: &Taken, number: u32, acknowledged: u32, part: &[u8]) -> Vec<u8> {
    let (client, server) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let (from, to) = if taken.to_server { (client, server) } else { (server, client) };
    let port = client_port(taken.connection);
    let (from_port, to_port) = if taken.to_server { (port, SERVER_PORT) } else { (SERVER_PORT, port) };
    let builder = PacketBuilder::ipv4(from, to, 64).tcp(from_port, to_port, number, u16::MAX).ack(acknowledged).psh();
    let mut packet = Vec::with_capacity(builder.size(part.len()));
    builder.write(&mut packet, part).expect("a segment is shorter than an IP packet may be");
    packet
}
