//! The server that shows the host: health, metrics, status, and the page.
//!
//! Promises: it only reads; it listens where it was told, loopback unless configured
//! otherwise; connections, headers and streams are bounded, so that nobody who can reach
//! it can exhaust the host; it ends in order. Readiness fails before it stops listening.
//! Deliberately not here: authentication. What it shows is what a module's log shows;
//! who should not see it must not reach the address.

mod assets;
mod body;
mod health;
mod live;
mod routes;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::status::StatusSource;
use routes::Routes;

/// Connections at once.
const MAX_CONNECTIONS: usize = 256;
/// Bytes of one request's head.
const MAX_HEAD: usize = 16 * 1024;
/// Header lines of one request.
const MAX_HEADERS: usize = 64;
/// From the connection, or the answer before, to the end of the head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How the server is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where to listen. Port 0 picks a free one.
    pub address: SocketAddr,
    /// How often the live charts get a sample.
    pub sample_period: Duration,
    /// How long requests may take to finish when the server stops.
    pub drain_timeout: Duration,
}

impl Default for ServerConfig {
    /// Loopback at [`DEFAULT_PORT`], one sample per second.
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            sample_period: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(5),
        }
    }
}

/// Where the server listens unless told otherwise.
pub const DEFAULT_PORT: u16 = 10270;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody else listens there.
    #[error(
        "cannot serve status and metrics on {address}: the address is in use; stop what listens there or choose another"
    )]
    AddressInUse {
        /// Where.
        address: SocketAddr,
    },
    /// Listening failed otherwise.
    #[error("cannot serve status and metrics on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// A running server. Dropping it stops it at once; [`ServerHandle::shutdown`] does so in
/// order.
#[derive(Debug)]
pub struct ServerHandle {
    address: SocketAddr,
    routes: Arc<Routes>,
    closing: CancellationToken,
    tasks: TaskTracker,
    drain_timeout: Duration,
}

/// An address that is taken and not served yet: connections wait.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
}

/// Takes an address.
///
/// # Errors
/// When it cannot be listened on.
pub async fn listen(address: SocketAddr) -> Result<Listening, StartError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::AddressInUse { address },
        _ => StartError::Listen { address, source },
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Listening { listener, address })
}

/// Listens and serves.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn start(config: ServerConfig, source: Arc<dyn StatusSource>) -> Result<ServerHandle, StartError> {
    Ok(serve(listen(config.address).await?, &config, source))
}

/// Serves on an address that was taken before; the one of `config` plays no part.
#[must_use]
pub fn serve(listening: Listening, config: &ServerConfig, source: Arc<dyn StatusSource>) -> ServerHandle {
    let Listening { listener, address } = listening;
    let (closing, tasks) = (CancellationToken::new(), TaskTracker::new());
    let routes = Arc::new(Routes::new(source, address, closing.clone()));
    tasks.spawn(live::sample(
        Arc::clone(&routes.source),
        Arc::clone(&routes.live),
        config.sample_period,
        closing.clone(),
    ));
    let connections = Connections {
        routes: Arc::clone(&routes),
        room: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        closing: closing.clone(),
        tasks: tasks.clone(),
    };
    tasks.spawn(connections.accept(listener));
    ServerHandle {
        address,
        routes,
        closing,
        tasks,
        drain_timeout: config.drain_timeout,
    }
}

impl ServerHandle {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes `/readyz` fail from now on: the process is about to stop.
    pub fn set_stopping(&self) {
        self.routes.set_stopping();
    }

    /// Stops in order: readiness, the listener, live streams, requests. Connections that
    /// are not done within the drain timeout are cut.
    pub async fn shutdown(self) {
        self.set_stopping();
        self.closing.cancel();
        self.tasks.close();
        if tokio::time::timeout(self.drain_timeout, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("some status connections did not finish in time and are cut");
        }
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

/// What connections are served with.
#[derive(Clone)]
struct Connections {
    routes: Arc<Routes>,
    room: Arc<Semaphore>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl Connections {
    async fn accept(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.closing.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => self.spawn(stream),
                Err(error) => {
                    // Out of file descriptors, most likely: waiting lets connections close.
                    tracing::warn!(%error, "cannot accept a status connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Serves a connection, or closes it when there are too many.
    fn spawn(&self, stream: TcpStream) {
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            return;
        };
        let (routes, closing) = (Arc::clone(&self.routes), self.closing.clone());
        self.tasks.spawn(async move {
            serve_connection(stream, routes, closing).await;
            drop(permit);
        });
    }
}

async fn serve_connection(stream: TcpStream, routes: Arc<Routes>, closing: CancellationToken) {
    // Live samples are small and must not wait for the acknowledgement of earlier ones.
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |request| {
        let response = routes.answer(&request);
        async move { Ok::<_, std::convert::Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a status connection ended");
    }
}
