//! The public port's own loop: connections within a bound, each driven by one task, with a bound on the time that a head may take. Bodies are bounded
//! where they are read ([`super::extract`]).

use super::{Api, Peer, router};
use crate::config::Http;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Longest head of a request, octets.
const HEAD_MAX: usize = 32 << 10;

/// A bound public port; [`ApiPort::serve`] answers until it is dropped.
pub struct ApiPort {
    listener: TcpListener,
    address: SocketAddr,
    settings: Http,
}

impl ApiPort {
    /// Takes the address.
    ///
    /// # Errors
    /// If it can't be had.
    pub async fn bind(settings: &Http) -> std::io::Result<ApiPort> {
        let listener = TcpListener::bind(settings.address).await?;
        let address = listener.local_addr()?;
        Ok(ApiPort { listener, address, settings: settings.clone() })
    }

    /// The address, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests; ends, with every connection, only by being dropped (abort the task).
    pub async fn serve(self, api: Api) {
        let service = TowerToHyperService::new(router(api, &self.settings));
        let mut http1 = http1::Builder::new();
        http1.timer(TokioTimer::new()).header_read_timeout(Duration::from_millis(self.settings.timeout_ms)).max_buf_size(HEAD_MAX);
        let places = Arc::new(Semaphore::new(self.settings.max_connections));
        let mut connections = JoinSet::new();
        loop {
            // The semaphore is never closed. Those who find no place wait in the system's queue.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            while connections.try_join_next().is_some() {}
            let (stream, peer) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection to the public port was not taken");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            // Answers are small: one that waits for the next is late.
            let _ = stream.set_nodelay(true);
            let service = service.clone();
            let with_peer = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(Peer(peer.ip()));
                service.call(request)
            });
            let connection = http1.serve_connection(TokioIo::new(stream), with_peer);
            connections.spawn(async move {
                // A client that goes away, or is slow with its head, is no fault of ours.
                let _ = connection.await;
                drop(place);
            });
        }
    }
}
