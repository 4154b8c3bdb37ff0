//! The HTTP endpoint that Prometheus reads: `GET /metrics`, and `GET /healthz` for probes. A few lines of HTTP/1.1 of our own, since
//! the exporter's listener doesn't tell which port it got and can't be stopped.

use super::Telemetry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Longest request head that is read.
const MAX_REQUEST_BYTES: usize = 8 << 10;
/// Connections at once.
const MAX_CONNECTIONS: usize = 32;
/// From connect to the last octet of the answer.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// A bound endpoint; [`Endpoint::serve`] answers until it is dropped.
#[derive(Debug)]
pub struct Endpoint {
    listener: TcpListener,
    address: SocketAddr,
}

impl Endpoint {
    /// Takes the address; port 0 lets the system choose.
    ///
    /// # Errors
    /// If the address can't be had.
    pub async fn bind(address: SocketAddr) -> std::io::Result<Endpoint> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Endpoint { listener, address })
    }

    /// The address, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests; ends only by being dropped (abort the task).
    pub async fn serve(self, telemetry: Arc<Telemetry>) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                // Out of descriptors, mostly: wait instead of spinning.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let telemetry = Arc::clone(&telemetry);
            tokio::spawn(async move {
                // A scraper that is slow or gone is its own loss.
                let _ = tokio::time::timeout(EXCHANGE_TIMEOUT, answer(stream, &telemetry)).await;
                drop(place);
            });
        }
    }
}

/// Reads one request and answers it; the connection is closed after that.
async fn answer(mut stream: TcpStream, telemetry: &Telemetry) -> std::io::Result<()> {
    let mut request = Vec::with_capacity(1 << 10);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < MAX_REQUEST_BYTES {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let mut words = request.split(|&octet| octet == b' ' || octet == b'\r');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split(|&octet| octet == b'?').next().unwrap_or_default();
    let (status, kind, body) = match (method, path) {
        (b"GET" | b"HEAD", b"/metrics") => ("200 OK", "text/plain; version=0.0.4; charset=utf-8", telemetry.render()),
        (b"GET" | b"HEAD", b"/healthz") => ("200 OK", "text/plain; charset=utf-8", "ok\n".to_owned()),
        (b"GET" | b"HEAD", _) => ("404 Not Found", "text/plain; charset=utf-8", "see /metrics and /healthz\n".to_owned()),
        _ => ("405 Method Not Allowed", "text/plain; charset=utf-8", "only GET\n".to_owned()),
    };
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    if method != b"HEAD" {
        stream.write_all(body.as_bytes()).await?;
    }
    stream.shutdown().await
}
