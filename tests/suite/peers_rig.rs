//! What the tests with other programs share: where their interpreters are, how they are run, and a raw peer that speaks PDU by PDU and keeps
//! every octet that it was sent.

use bytes::BytesMut;
use hongyan::smpp::{Addr, Bind, BindKind, BindResp, DecodeLimits, Header, Pdu, Sm, decode, encode};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for anything that must come.
pub const PATIENCE: Duration = Duration::from_secs(30);

fn peers() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers"))
}

/// The Python that has smpplib: the tests' own environment if setup made one, else the machine's.
pub fn python() -> PathBuf {
    let own = peers().join("venv/bin/python3");
    if own.is_file() { own } else { PathBuf::from("python3") }
}

fn spawn(script: &str, arguments: &[&str]) -> Child {
    let program = if script.ends_with(".py") { python() } else { PathBuf::from("node") };
    let spawned = Command::new(&program)
        .arg(peers().join(script))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    spawned.unwrap_or_else(|error| panic!("{} can't be run ({error}): run tests/setup.sh", program.display()))
}

/// Runs a script of `tests/peers` to its end and reads the JSON that it prints. A peer that is missing or fails makes the test fail.
pub async fn run(script: &'static str, arguments: &[&str]) -> serde_json::Value {
    run_with(script, arguments, String::new()).await
}

/// [`run`] with something on its standard input.
pub async fn run_with(script: &'static str, arguments: &[&str], input: String) -> serde_json::Value {
    let mut child = spawn(script, arguments);
    let output = tokio::task::spawn_blocking(move || {
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    });
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} failed; if its library is missing, run tests/setup.sh: {said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{script} printed no JSON ({error}): {said}"))
}

/// A carrier made with node-smpp, in a process of its own.
pub struct NodeCarrier {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// Where it listens.
    pub address: String,
}

impl NodeCarrier {
    /// Starts it with one of the habits that the script names.
    pub fn start(habit: &str) -> NodeCarrier {
        let mut child = spawn("node_carrier.js", &[habit]);
        let stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut port = String::new();
        stdout.read_line(&mut port).unwrap();
        assert!(!port.is_empty(), "node with smpp doesn't start: run tests/setup.sh");
        NodeCarrier { child, stdin, stdout, address: format!("127.0.0.1:{}", port.trim()) }
    }

    /// Ends it; gives what it saw.
    pub fn stop(mut self) -> serde_json::Value {
        drop(self.stdin);
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).unwrap();
        self.child.wait().unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

/// One PDU as it came.
pub type Octets = Vec<u8>;

/// A peer on a socket that does exactly what the test says.
pub struct RawPeer {
    stream: TcpStream,
    input: Octets,
    sequence: u32,
    /// Every PDU that came, in order.
    pub received: Vec<Octets>,
}

impl RawPeer {
    /// A peer on this connection.
    pub fn new(stream: TcpStream) -> RawPeer {
        stream.set_nodelay(true).unwrap();
        RawPeer { stream, input: Vec::new(), sequence: 0, received: Vec::new() }
    }

    /// Connects to the gateway; waits while it isn't there.
    pub fn connect(address: SocketAddr) -> RawPeer {
        let until = Instant::now() + PATIENCE;
        loop {
            match TcpStream::connect(address) {
                Ok(stream) => return RawPeer::new(stream),
                Err(error) => assert!(Instant::now() < until, "no connection to {address}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Connects and binds; the answer must be yes.
    pub fn bound(address: SocketAddr, kind: BindKind, name: &str, password: &str) -> RawPeer {
        let mut peer = RawPeer::connect(address);
        let bind = Bind { system_id: name.as_bytes(), password: password.as_bytes(), interface_version: 0x34, ..Bind::default() };
        let answer = peer.ask(&Pdu::bind(kind, bind));
        assert_eq!(header(&answer).status, 0, "the bind is refused");
        peer
    }

    /// Sends a request; gives its sequence number.
    pub fn send(&mut self, pdu: &Pdu<'_>) -> u32 {
        self.sequence += 1;
        self.write(0, self.sequence, pdu);
        self.sequence
    }

    /// Sends an answer.
    pub fn write(&mut self, status: u32, sequence: u32, pdu: &Pdu<'_>) {
        let mut out = BytesMut::new();
        encode(status, sequence, pdu, &mut out);
        self.write_octets(&out);
    }

    /// Sends octets as they are. A peer that has gone is noticed when reading.
    pub fn write_octets(&mut self, octets: &[u8]) {
        let _ = self.stream.write_all(octets);
    }

    /// The next PDU within `wait`. `Err`: the connection is over; `Ok(None)`: nothing came.
    pub fn next(&mut self, wait: Duration) -> std::io::Result<Option<Octets>> {
        let until = Instant::now() + wait;
        loop {
            if let Some(length) = self.input.first_chunk::<4>().map(|length| u32::from_be_bytes(*length) as usize) {
                assert!((16..1 << 20).contains(&length), "a PDU of {length} octets");
                if self.input.len() >= length {
                    let pdu: Octets = self.input.drain(..length).collect();
                    self.received.push(pdu.clone());
                    return Ok(Some(pdu));
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            let mut buffer = [0; 16 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.input.extend_from_slice(&buffer[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for the first PDU with this command_id; what comes before is only kept.
    pub fn wait_for(&mut self, command_id: u32) -> Octets {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            match self.next(Duration::from_millis(200)) {
                Ok(Some(pdu)) if header(&pdu).command_id == command_id => return pdu,
                Ok(_) => {}
                Err(error) => panic!("the connection ended before {command_id:#010x} came: {error}"),
            }
        }
        panic!("no {command_id:#010x} within {PATIENCE:?}");
    }

    /// Sends a request and waits for its answer (or a generic_nack with its number).
    pub fn ask(&mut self, pdu: &Pdu<'_>) -> Octets {
        let sequence = self.send(pdu);
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            match self.next(Duration::from_millis(200)) {
                Ok(Some(pdu)) if header(&pdu).sequence == sequence && header(&pdu).command_id & 0x8000_0000 != 0 => return pdu,
                Ok(_) => {}
                Err(error) => panic!("the connection ended before the answer to {:#010x}: {error}", pdu.command_id()),
            }
        }
        panic!("no answer to {:#010x} within {PATIENCE:?}", pdu.command_id());
    }

    /// Answers the deliveries that have come, and those that come within a moment.
    pub fn serve_deliveries(&mut self) {
        while let Ok(Some(pdu)) = self.next(Duration::from_millis(50)) {
            if header(&pdu).command_id == hongyan::smpp::command::DELIVER_SM {
                let answer = Pdu::DeliverSmResp(Some(hongyan::smpp::MessageIdResp::default()));
                self.write(0, header(&pdu).sequence, &answer);
            }
        }
    }

    /// Waits until the other side has closed; what comes before is kept.
    pub fn wait_for_end(&mut self) {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if self.next(Duration::from_millis(200)).is_err() {
                return;
            }
        }
        panic!("the connection is still open after {PATIENCE:?}");
    }
}

/// The header of a PDU.
pub fn header(pdu: &[u8]) -> Header {
    let word = |at: usize| u32::from_be_bytes(pdu[at..at + 4].try_into().unwrap());
    Header { length: word(0), command_id: word(4), status: word(8), sequence: word(12) }
}

/// Decodes a PDU that the gateway sent; what it sends must be well formed.
pub fn decoded<'a>(pdu: &'a [u8], limits: &DecodeLimits) -> Pdu<'a> {
    decode(pdu, limits).unwrap_or_else(|error| panic!("the gateway sent what can't be read: {error:?}: {pdu:02x?}")).1
}

/// The message id of a submit_sm_resp.
pub fn message_id(pdu: &[u8]) -> String {
    match decoded(pdu, &DecodeLimits::default()) {
        Pdu::SubmitSmResp(Some(resp)) | Pdu::DataSmResp(Some(resp)) => String::from_utf8(resp.message_id.to_vec()).unwrap(),
        other => panic!("not an id: {other:?}"),
    }
}

/// A submit_sm from SHOP with a receipt wanted.
pub fn submit<'a>(to: &'a [u8], text: &'a [u8]) -> Sm<'a> {
    Sm {
        source: Addr { ton: 5, npi: 0, addr: b"SHOP" },
        destination: Addr { ton: 1, npi: 1, addr: to },
        registered_delivery: 1,
        short_message: text,
        ..Sm::default()
    }
}

/// The answer of a carrier to a bind of this kind.
pub fn yes_to_bind(kind: BindKind) -> Pdu<'static> {
    Pdu::bind_resp(kind, Some(BindResp { system_id: b"raw", ..BindResp::default() }))
}
