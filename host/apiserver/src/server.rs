//! The server as others run it: addresses, listeners, connections, and an orderly end.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Api;
use crate::body::Body;
use crate::chain::{BodyError, Chain, ConnectionDropped};
use crate::faults::FaultPolicy;
use crate::tls::{Certificates, TlsError};
use crate::{bootstrap, cleanup, expiry, kubeconfig};

/// How the server is run.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where to listen for plain HTTP; `None` not to. Port 0 picks a free one.
    pub http: Option<SocketAddr>,
    /// Where to listen for HTTPS; `None` not to. Port 0 picks a free one.
    pub https: Option<SocketAddr>,
    /// The administrator's token; `None` makes one up.
    pub token: Option<String>,
    /// Which requests fail on purpose.
    pub faults: FaultPolicy,
    /// How long requests may take to finish when the server stops.
    pub drain_timeout: Duration,
}

impl Default for ServerConfig {
    /// Both protocols on loopback at free ports, a new token, no faults.
    fn default() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            http: Some(loopback),
            https: Some(loopback),
            token: None,
            faults: FaultPolicy::default(),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody else listens there.
    #[error(
        "cannot listen on {address}: the address is in use; stop what listens there or choose another port"
    )]
    AddressInUse {
        /// Where.
        address: SocketAddr,
    },
    /// Listening failed otherwise.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The address is not loopback.
    #[error(
        "refusing to listen on {address}: this server has a single administrator's token and serves loopback only; use 127.0.0.1 or [::1]"
    )]
    NotLoopback {
        /// Where.
        address: SocketAddr,
    },
    /// No certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The objects that every cluster has could not be created.
    #[error("cannot create the initial objects: {0}")]
    Bootstrap(String),
}

/// Which address of the server a client is to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain, for speed on one machine.
    Http,
    /// With TLS.
    Https,
}

/// Answers requests in-process: the same chain that the listeners serve.
#[derive(Clone, Debug)]
pub struct ApiService(Arc<Chain>);

impl<B> tower::Service<http::Request<B>> for ApiService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BodyError>,
{
    type Response = http::Response<Body>;
    type Error = ConnectionDropped;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let chain = Arc::clone(&self.0);
        Box::pin(async move { chain.serve(request).await })
    }
}

/// A running server. Dropping it leaves the server running until the runtime ends;
/// [`ServerHandle::shutdown`] stops it in order.
#[derive(Debug)]
pub struct ServerHandle {
    chain: Arc<Chain>,
    token: String,
    http: Option<SocketAddr>,
    https: Option<SocketAddr>,
    drain_timeout: Duration,
    /// Cancelled when nothing new is to be accepted.
    closing: CancellationToken,
    tasks: TaskTracker,
}

/// Starts a server.
///
/// # Errors
/// When an address cannot be listened on or the server's own objects cannot be made.
pub async fn start(config: ServerConfig) -> Result<ServerHandle, StartError> {
    let certificates = Certificates::issue()?;
    let token = config
        .token
        .unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string());
    let http = listen(config.http).await?;
    let https = listen(config.https).await?;
    let address =
        |listener: &Option<TcpListener>| listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let (http_address, https_address) = (address(&http), address(&https));

    let api = Arc::new(Api::new(token.clone(), certificates.ca_pem));
    let port = https_address
        .or(http_address)
        .map_or(443, |address| address.port());
    bootstrap::populate(&api, port).map_err(|status| StartError::Bootstrap(status.to_string()))?;

    let chain = Arc::new(Chain::new(Arc::clone(&api), config.faults));
    let (closing, tasks) = (CancellationToken::new(), TaskTracker::new());
    tasks.spawn(cleanup::run(Arc::clone(&api)));
    tasks.spawn(expiry::run(api));
    let connections = Connections {
        chain: Arc::clone(&chain),
        closing: closing.clone(),
        tasks: tasks.clone(),
    };
    if let Some(listener) = http {
        tasks.spawn(connections.clone().accept(listener, None));
    }
    if let Some(listener) = https {
        tasks.spawn(connections.accept(listener, Some(TlsAcceptor::from(certificates.server))));
    }
    chain.health.set_started();
    let (http, https) = (http_address, https_address);
    Ok(ServerHandle {
        chain,
        token,
        http,
        https,
        drain_timeout: config.drain_timeout,
        closing,
        tasks,
    })
}

async fn listen(address: Option<SocketAddr>) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = address else { return Ok(None) };
    if !address.ip().is_loopback() {
        return Err(StartError::NotLoopback { address });
    }
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(StartError::AddressInUse { address }),
        Err(source) => Err(StartError::Listen { address, source }),
    }
}

impl ServerHandle {
    /// The server in-process.
    #[must_use]
    pub fn service(&self) -> ApiService {
        ApiService(Arc::clone(&self.chain))
    }

    /// The URL of the server under a scheme, if it listens so.
    #[must_use]
    pub fn url(&self, scheme: Scheme) -> Option<String> {
        match scheme {
            Scheme::Http => self.http.map(|address| format!("http://{address}")),
            Scheme::Https => self.https.map(|address| format!("https://{address}")),
        }
    }

    /// The administrator's token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The certificate of the server's authority.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.chain.api.ca_pem
    }

    /// The text of a kubeconfig for this server, if it listens so.
    #[must_use]
    pub fn kubeconfig(&self, scheme: Scheme) -> Option<String> {
        let ca = (scheme == Scheme::Https).then(|| self.ca_pem());
        Some(kubeconfig::render(&self.url(scheme)?, ca, &self.token))
    }

    /// Writes a kubeconfig that only the owner of the process can read.
    ///
    /// # Errors
    /// When the server does not listen so, or the file cannot be written.
    pub fn write_kubeconfig(&self, path: &Path, scheme: Scheme) -> io::Result<()> {
        let not_listening = || {
            io::Error::new(
                io::ErrorKind::NotConnected,
                format!("the server does not listen for {scheme:?}"),
            )
        };
        kubeconfig::write(path, &self.kubeconfig(scheme).ok_or_else(not_listening)?)
    }

    /// Decides which requests fail on purpose from now on.
    pub fn set_faults(&self, policy: FaultPolicy) {
        self.chain.faults.set(policy);
    }

    /// How many watches of a resource are open; none of one that is not served.
    #[must_use]
    pub fn open_watches(&self, group_version: &str, plural: &str) -> usize {
        let resource = self.chain.api.registry.find(group_version, plural);
        resource
            .as_ref()
            .and_then(|resource| resource.collection())
            .map_or(0, |collection| collection.watches())
    }

    /// Stops in order: readiness, listeners, requests, watches.
    ///
    /// Connections that are not done within the drain timeout are left to be cut.
    pub async fn shutdown(self) {
        self.chain.health.set_stopping();
        self.closing.cancel();
        self.chain.api.draining.cancel();
        self.tasks.close();
        if tokio::time::timeout(self.drain_timeout, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("some connections did not finish in time and are cut");
        }
    }
}

/// What connections are served with.
#[derive(Clone)]
struct Connections {
    chain: Arc<Chain>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl Connections {
    async fn accept(self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        loop {
            let accepted = tokio::select! {
                () = self.closing.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    self.tasks.spawn(self.clone().connection(stream, tls.clone()));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: waiting lets connections close.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn connection(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Small responses must not wait for the acknowledgement of earlier ones.
        let _ = stream.set_nodelay(true);
        match tls {
            None => self.serve(stream).await,
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => self.serve(stream).await,
                Err(error) => tracing::debug!(%error, "a TLS handshake failed"),
            },
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let chain = Arc::clone(&self.chain);
        let service = hyper::service::service_fn(move |request| {
            let chain = Arc::clone(&chain);
            async move { chain.serve(request).await }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new());
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(1000);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = self.closing.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = served {
            tracing::debug!(%error, "a connection ended with an error");
        }
    }
}
