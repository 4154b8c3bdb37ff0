//! Reports by callback: to an endpoint that takes them, that fails and comes back, that stalls; signed; none lost by kill -9; nobody else held up.

use super::api_rig::{call, with_http};
use super::control_rig::{done, until};
use super::crash_rig::{GatewayProcess, configure};
use super::messages_door::post;
use hongyan::sim::smsc::{Smsc, SmscSettings};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A customer's endpoint: keeps what comes, answers as it is told.
pub struct Receiver {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<(String, String)>>>,
    /// The status that it answers; 0: it takes the request and says nothing.
    status: Arc<AtomicU16>,
    connections: Arc<AtomicUsize>,
    /// Events that it turned away.
    turned_away: Arc<AtomicUsize>,
}

impl Receiver {
    pub fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Receiver {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            status: Arc::new(AtomicU16::new(200)),
            connections: Arc::default(),
            turned_away: Arc::default(),
        };
        let (requests, status, connections) =
            (Arc::clone(&receiver.requests), Arc::clone(&receiver.status), Arc::clone(&receiver.connections));
        let turned_away = Arc::clone(&receiver.turned_away);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                connections.fetch_add(1, Ordering::Relaxed);
                let (requests, status, turned_away) = (Arc::clone(&requests), Arc::clone(&status), Arc::clone(&turned_away));
                std::thread::spawn(move || serve(stream, &requests, &status, &turned_away));
            }
        });
        receiver
    }

    /// Heads of the requests that came.
    pub fn heads(&self) -> Vec<String> {
        self.requests().into_iter().map(|(head, _)| head).collect()
    }

    pub fn requests(&self) -> Vec<(String, String)> {
        self.requests.lock().unwrap().clone()
    }

    /// Events that it has turned away.
    pub fn turned_away(&self) -> usize {
        self.turned_away.load(Ordering::SeqCst)
    }

    /// From now on it answers with this status; 0: with nothing.
    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// References of all events that came, each as often as it came.
    pub fn references(&self) -> Vec<String> {
        let mut all = Vec::new();
        for (_, body) in self.requests() {
            let body: Value = serde_json::from_str(&body).unwrap();
            all.extend(body["data"]["events"].as_array().unwrap().iter().map(|event| event["reference"].as_str().unwrap().to_owned()));
        }
        all
    }
}

fn serve(stream: TcpStream, requests: &Mutex<Vec<(String, String)>>, status: &AtomicU16, turned_away: &AtomicUsize) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let status = status.load(Ordering::Relaxed);
        if status == 0 {
            std::thread::sleep(std::time::Duration::from_secs(60));
            return None;
        }
        if status < 300 {
            requests.lock().unwrap().push((head, String::from_utf8(body).ok()?));
        } else if let Ok(told) = serde_json::from_slice::<Value>(&body) {
            turned_away.fetch_add(told["data"]["events"].as_array().map_or(0, Vec::len), Ordering::SeqCst);
        }
        write!(&stream, "HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n").ok()?;
    }
}

fn send(admin: SocketAddr, callback: &str, references: std::ops::Range<usize>) {
    let items: Vec<Value> = references.map(|n| json!({ "to": format!("138{n:08}"), "reference": format!("order {n}") })).collect();
    let mut defaults = json!({ "text": "Hello", "from": "SHOP", "report": "final" });
    if !callback.is_empty() {
        defaults["callback"] = json!(callback);
    }
    let (status, told) = post(admin, "/v1/messages", &json!({ "account": "shop", "defaults": defaults, "items": items }));
    assert_eq!((status, told["refused"].as_u64()), (200, Some(0)), "{told}");
}

/// The configuration with hooks: `shop` has its own at `own`.
fn with_hooks(directory: &std::path::Path, smsc: SocketAddr, own: SocketAddr) -> std::path::PathBuf {
    std::fs::write(directory.join("hook-secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
    let config = configure(directory, smsc, "[hooks]\nallow_private = true\ntimeout_ms = 1000\n\n");
    let text = std::fs::read_to_string(&config).unwrap();
    let hook = format!("\n[account.hook]\nurl = \"http://{own}/own\"\nsecret_file = \"hook-secret\"\n\n[[account]]\nname = \"codes\"");
    std::fs::write(&config, text.replacen("[[account]]\nname = \"codes\"", &hook, 1)).unwrap();
    config
}

#[test]
fn reports_reach_their_endpoint_signed_and_an_endpoint_that_fails_or_stalls_holds_up_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let [own, failing, stalling] = [(); 3].map(|()| Receiver::start());
    failing.status.store(500, Ordering::Relaxed);
    stalling.status.store(0, Ordering::Relaxed);
    let gateway = GatewayProcess::start(&with_hooks(directory.path(), smsc.local_addr(), own.address));
    send(gateway.admin, &format!("http://{}/fails", failing.address), 0..300);
    send(gateway.admin, &format!("http://{}/stalls", stalling.address), 300..600);
    send(gateway.admin, "", 600..900);
    until("its own hook has all", || own.references().len() >= 300);
    let mut references = own.references();
    references.sort_unstable();
    references.dedup();
    assert_eq!((references.len(), own.references().len()), (300, 300), "each once");
    for (head, body) in own.requests() {
        let header =
            |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {head}")).trim();
        let signed = format!("{}.{}.{body}", header("webhook-id:"), header("webhook-timestamp:"));
        assert_eq!(header("webhook-signature:"), signature(&signed));
    }
    assert!(failing.connections.load(Ordering::Relaxed) > 0 && failing.requests().is_empty());
    assert_eq!(done(gateway.admin, &["status"])["states"]["delivered"].as_u64(), Some(900));

    // What was not taken is still there after a crash, and comes as soon as its endpoint is well.
    gateway.kill();
    failing.status.store(200, Ordering::Relaxed);
    stalling.status.store(200, Ordering::Relaxed);
    let gateway = GatewayProcess::start(&directory.path().join("hongyan.toml"));
    until("both have all", || failing.references().len() >= 300 && stalling.references().len() >= 300);
    for receiver in [&failing, &stalling] {
        let mut references = receiver.references();
        references.sort_unstable();
        references.dedup();
        assert_eq!(references.len(), 300);
    }
    assert_eq!(own.references().len(), 300, "what was taken doesn't come again");
    assert!(gateway.terminate().success());
}

/// By another implementation of HMAC than the gateway's.
fn signature(signed: &str) -> String {
    let script = "import hmac,hashlib,base64,sys;k=base64.b64decode('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');\
                  print('v1,'+base64.b64encode(hmac.new(k,sys.stdin.buffer.read(),hashlib.sha256).digest()).decode())";
    let mut python = std::process::Command::new("python3")
        .args(["-c", script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(signed.as_bytes()).unwrap();
    String::from_utf8(python.wait_with_output().unwrap().stdout).unwrap().trim().to_owned()
}

#[test]
fn a_callback_to_this_machine_is_refused_when_it_is_handed_in_unless_the_configuration_allows_it() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let gateway = GatewayProcess::start(&configure(directory.path(), smsc.local_addr(), ""));
    for callback in ["http://127.0.0.1:9/inner", "http://localhost:9/inner", "file:///etc/passwd"] {
        let items = json!([{ "to": "13800138000", "text": "x", "callback": callback }, { "to": "13800138000", "text": "x" }]);
        let (_, told) = post(gateway.admin, "/v1/messages", &json!({ "account": "shop", "items": items }));
        assert_eq!((told["items"][0]["field"].as_str(), told["refused"].as_u64()), (Some("callback"), Some(1)), "{told}");
    }
}

#[test]
fn a_report_tells_the_same_time_of_the_end_as_its_message() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let receiver = Receiver::start();
    let gateway = GatewayProcess::start(&with_http(directory.path(), smsc.local_addr(), "", ""));
    let body = json!({ "to": "13800138000", "text": "Hello", "callback": format!("http://{}/", receiver.address) });
    let taken = call(&gateway, "POST", "/v1/messages", &body.to_string()).json();
    until("it is told", || !receiver.requests().is_empty());
    let event = serde_json::from_str::<Value>(&receiver.requests()[0].1).unwrap()["data"]["events"][0].clone();
    let path = format!("/v1/messages/{}", event["message"].as_str().unwrap_or_else(|| panic!("{event} {taken}")));
    let told = call(&gateway, "GET", &path, "").json();
    assert_eq!((&event["done_at"], &event["accepted_at"]), (&told["done_at"], &told["accepted_at"]), "{event} {told}");
}
