//! Plays a recording again: the client's side against a gateway or a simulated carrier ([`client`]), or the carrier's side in front of a gateway
//! ([`carrier`]). Requests, answers, ids, receipts and their times are those of the recording; numbers of PDUs are new.

pub mod carrier;
pub mod client;

use crate::recorder::{Taken, capture, word};
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

/// Longest PDU that is read.
const PDU_MAX: usize = 1 << 20;

/// `hongyan replay`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  hongyan replay shop.pcap --to 127.0.0.1:2775 --system-id demo --password demo      a customer's traffic again\n  \
        hongyan smsc --port 2776 --profile hex-ids & hongyan replay north.pcap --to 127.0.0.1:2776\n  \
        hongyan replay north.pcap --listen 127.0.0.1:2776       be that carrier: its answers, ids and receipts\n\n\
        A redacted recording plays as well: its numbers are others, its texts are x."
)]
pub struct ReplayArgs {
    /// pcap or pcapng file
    #[arg(value_name = "RECORDING")]
    pub file: PathBuf,
    /// Play the client's side against this address
    #[arg(long, value_name = "ADDRESS", required_unless_present = "listen", conflicts_with = "listen")]
    pub to: Option<SocketAddr>,
    /// Play the carrier's side at this address: the n-th submission gets what the n-th one got
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Whom the client binds as [default: as recorded]
    #[arg(long, value_name = "NAME")]
    pub system_id: Option<String>,
    /// Its password; recordings hold none
    #[arg(long, value_name = "PASSWORD", default_value = "")]
    pub password: String,
    /// How many times as fast; 0: as fast as the window allows
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
    /// Unanswered requests of the client
    #[arg(long, default_value_t = 10)]
    pub window: usize,
    /// Only this connection of the recording, from 0
    #[arg(long, value_name = "N")]
    pub connection: Option<u16>,
    /// Seconds to wait for what is still to come after the last PDU
    #[arg(long, default_value_t = 3.0, value_name = "SECONDS")]
    pub wait: f64,
}

/// Plays; gives what came of it as JSON.
///
/// # Errors
/// In words.
pub fn run(args: &ReplayArgs, progress: &mut dyn FnMut(&str)) -> Result<serde_json::Value, String> {
    let shown = args.file.display();
    let octets = std::fs::read(&args.file).map_err(|error| format!("{shown}: {error}"))?;
    let mut recording = capture::read(&octets).map_err(|error| format!("{shown}: {error}"))?;
    if let Some(connection) = args.connection {
        recording.retain(|taken| taken.connection == connection);
    }
    match (args.to, args.listen) {
        (Some(to), _) => client::play(&recording, to, args),
        (None, Some(listen)) => carrier::play(&recording, listen, args, progress),
        (None, None) => Err("say --to or --listen".to_owned()),
    }
}

/// The time between two PDUs of a recording, at the speed that is wanted.
fn gap(from_us: u64, to_us: u64, speed: f64) -> Duration {
    let us = to_us.saturating_sub(from_us) as f64;
    if speed > 0.0 { Duration::from_micros((us / speed) as u64) } else { Duration::ZERO }
}

/// The next PDU; `None` at the end of the connection.
fn read_pdu(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut pdu = vec![0; 16];
    match stream.read_exact(&mut pdu) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let length = word(&pdu, 0) as usize;
    if !(16..=PDU_MAX).contains(&length) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("command_length {length} makes no sense")));
    }
    pdu.resize(length, 0);
    stream.read_exact(&mut pdu[16..])?;
    Ok(Some(pdu))
}

/// A recorded PDU under another number.
fn renumbered(taken: &Taken, sequence: u32) -> Vec<u8> {
    let mut pdu = taken.pdu.clone();
    pdu[12..16].copy_from_slice(&sequence.to_be_bytes());
    pdu
}
