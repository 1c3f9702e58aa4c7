//! Requests to one API server, as raw bytes.
//!
//! Owns the connection pool and the time limit of a request. Promises: what is sent is
//! what was given, once; a failed answer becomes an [`ApiError`] that says which request
//! it was; bodies are never compressed, because watch frames compressed one by one cannot
//! be told from one stream. Deliberately not here: retries, limits per module, caching.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use http_body::Body as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceExt};
use windlass_core::api_error::{ApiError, ApiErrorKind};

/// The body of an answer as it arrives.
pub(crate) type ResponseBody = UnsyncBoxBody<Bytes, BoxError>;

/// What carries requests: a connection pool, or a service in the same process.
pub(crate) type Transport =
    BoxCloneSyncService<http::Request<Full<Bytes>>, http::Response<ResponseBody>, BoxError>;

/// How long a request may take from its first byte to the last byte of its answer, a
/// little above the limit of 60 s that API servers set themselves.
pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(65);

/// A client of one API server. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct ApiClient {
    shared: Arc<Shared>,
}

struct Shared {
    transport: Transport,
    address: http::Uri,
    user_agent: HeaderValue,
    request_timeout: Duration,
}

/// Why there was no HTTP answer.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection could be made.
    #[error("cannot connect to {address}: {cause}")]
    Unreachable {
        /// The server.
        address: String,
        /// The innermost reason.
        cause: String,
    },
    /// A connection was made, but not a secure one.
    #[error("no TLS connection to {address}: {cause}")]
    Tls {
        /// The server.
        address: String,
        /// The innermost reason.
        cause: String,
    },
    /// The connection ended before the answer did.
    #[error("connection to {address} lost: {cause}")]
    Lost {
        /// The server.
        address: String,
        /// The innermost reason.
        cause: String,
    },
    /// The answer did not come in time.
    #[error("no answer from {address} within {limit:?}")]
    Timeout {
        /// The server.
        address: String,
        /// The time limit.
        limit: Duration,
    },
    /// The request itself cannot be sent.
    #[error("malformed request: {0}")]
    Request(#[from] http::Error),
}

/// Why a request failed: without an answer, or by it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Refused(ApiError),
}

impl RequestError {
    pub(crate) fn into_api_error(self) -> ApiError {
        match self {
            Self::Transport(error) => error.into(),
            Self::Refused(error) => error,
        }
    }
}

impl From<TransportError> for ApiError {
    fn from(error: TransportError) -> Self {
        let kind = match &error {
            TransportError::Timeout { .. } => ApiErrorKind::Timeout,
            TransportError::Request(_) => ApiErrorKind::BadRequest,
            _ => ApiErrorKind::Unavailable,
        };
        Self::local(kind, error.to_string())
    }
}

impl ApiClient {
    /// A client over a service in the same process, such as an embedded API server's router.
    pub fn from_service<S, B>(service: S, user_agent: &str) -> Self
    where
        S: Service<http::Request<Full<Bytes>>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let transport = boxed_transport(service);
        Self::new(
            transport,
            http::Uri::from_static("http://in-process"),
            user_agent,
            DEFAULT_REQUEST_TIMEOUT,
        )
    }

    pub(crate) fn new(
        transport: Transport,
        address: http::Uri,
        user_agent: &str,
        request_timeout: Duration,
    ) -> Self {
        let user_agent = HeaderValue::from_str(user_agent).unwrap_or(HeaderValue::from_static("windlass"));
        Self {
            shared: Arc::new(Shared {
                transport,
                address,
                user_agent,
                request_timeout,
            }),
        }
    }

    /// Where the server is, for messages.
    #[must_use]
    pub fn address(&self) -> String {
        self.shared.address.to_string().trim_end_matches('/').to_owned()
    }

    /// Sends one request, whose URI is a path and query, and returns the body of a
    /// successful answer.
    ///
    /// # Errors
    /// When there is no answer in time, or its status is 400 or above.
    pub async fn request(&self, request: http::Request<Bytes>) -> Result<Bytes, ApiError> {
        let answer = self.exchange(request).await;
        answer
            .map(|(_code, body)| body)
            .map_err(RequestError::into_api_error)
    }

    /// The status code and the body of a successful answer.
    pub(crate) async fn exchange(&self, request: http::Request<Bytes>) -> Result<(u16, Bytes), RequestError> {
        let exchange = async {
            let (parts, body) = self.send(request).await?.into_parts();
            let body = self.read(body).await?;
            let code = parts.status.as_u16();
            if code < 400 {
                return Ok((code, body));
            }
            Err(refusal(&parts, &body))
        };
        match tokio::time::timeout(self.shared.request_timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(self.timed_out().into()),
        }
    }

    /// A GET of this path and query.
    ///
    /// # Errors
    /// As [`ApiClient::request`].
    pub async fn get(&self, path: &str, accept: &'static str) -> Result<Bytes, ApiError> {
        self.request(get_request(path, accept)?).await
    }

    /// Starts a GET whose answer is read as it comes. The time limit covers only the
    /// head of the answer; how long a silence is too long is for the caller to say.
    ///
    /// # Errors
    /// When there is no answer in time, or its status is 400 or above.
    pub async fn stream(&self, path: &str, accept: &'static str) -> Result<ByteStream, ApiError> {
        let exchange = async {
            let (parts, body) = self.send(get_request(path, accept)?).await?.into_parts();
            if parts.status.as_u16() < 400 {
                return Ok(ByteStream {
                    body,
                    client: self.clone(),
                });
            }
            let body = self.read(body).await?;
            Err(refusal(&parts, &body))
        };
        let result = match tokio::time::timeout(self.shared.request_timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(self.timed_out().into()),
        };
        result.map_err(RequestError::into_api_error)
    }

    /// Sends one request and returns whatever the server answers, errors included.
    async fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<ResponseBody>, TransportError> {
        let (mut parts, body) = request.into_parts();
        parts.uri = self.absolute(&parts.uri)?;
        parts
            .headers
            .insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        parts
            .headers
            .entry(USER_AGENT)
            .or_insert_with(|| self.shared.user_agent.clone());
        let request = http::Request::from_parts(parts, Full::new(body));
        self.shared
            .transport
            .clone()
            .oneshot(request)
            .await
            .map_err(|error| self.classify(error.as_ref()))
    }

    fn timed_out(&self) -> TransportError {
        TransportError::Timeout {
            address: self.address(),
            limit: self.shared.request_timeout,
        }
    }

    async fn read(&self, body: ResponseBody) -> Result<Bytes, TransportError> {
        match body.collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) => Err(self.lost(error.as_ref())),
        }
    }

    fn lost(&self, error: &(dyn std::error::Error + 'static)) -> TransportError {
        TransportError::Lost {
            address: self.address(),
            cause: innermost(error).to_string(),
        }
    }

    /// Joins the server's address, which may have a path of its own, with a request's.
    fn absolute(&self, relative: &http::Uri) -> Result<http::Uri, http::Error> {
        let address = self.shared.address.clone().into_parts();
        let path = relative
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str);
        let prefix = self.shared.address.path().trim_end_matches('/');
        let mut uri = http::Uri::builder();
        if let Some(scheme) = address.scheme {
            uri = uri.scheme(scheme);
        }
        if let Some(authority) = address.authority {
            uri = uri.authority(authority);
        }
        if prefix.is_empty() {
            uri.path_and_query(path).build()
        } else {
            uri.path_and_query(format!("{prefix}{path}")).build()
        }
    }

    fn classify(&self, error: &(dyn std::error::Error + 'static)) -> TransportError {
        let address = self.address();
        let cause = innermost(error).to_string();
        let connecting =
            find::<hyper_util::client::legacy::Error>(error).is_some_and(|error| error.is_connect());
        let tls = find::<std::io::Error>(error).is_some_and(is_tls);
        match (connecting, tls) {
            (true, true) => TransportError::Tls { address, cause },
            (true, false) => TransportError::Unreachable { address, cause },
            (false, _) => TransportError::Lost { address, cause },
        }
    }
}

/// The body of a streamed answer, chunk by chunk.
pub struct ByteStream {
    body: ResponseBody,
    client: ApiClient,
}

impl Stream for ByteStream {
    type Item = Result<Bytes, ApiError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
            return Poll::Ready(match frame {
                None => None,
                Some(Err(error)) => Some(Err(self.client.lost(error.as_ref()).into())),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => Some(Ok(data)),
                    // Trailers carry nothing that a watch needs.
                    Err(_) => continue,
                },
            });
        }
    }
}

/// Hides the types of a service, so that a client has none of its own.
pub(crate) fn boxed_transport<S, B>(service: S) -> Transport
where
    S: Service<http::Request<Full<Bytes>>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let service = service
        .map_response(|response: http::Response<B>| {
            response.map(|body| body.map_err(Into::into).boxed_unsync())
        })
        .map_err(Into::into);
    BoxCloneSyncService::new(service)
}

fn get_request(path: &str, accept: &'static str) -> Result<http::Request<Bytes>, TransportError> {
    Ok(http::Request::get(path)
        .header(http::header::ACCEPT, accept)
        .body(Bytes::new())?)
}

fn refusal(parts: &http::response::Parts, body: &[u8]) -> RequestError {
    RequestError::Refused(ApiError::from_response(
        parts.status.as_u16(),
        body,
        retry_after_seconds(&parts.headers),
    ))
}

fn retry_after_seconds(headers: &HeaderMap) -> Option<u64> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

/// The end of an error's chain of sources, which names the cause in plain words.
fn innermost<'e>(error: &'e (dyn std::error::Error + 'static)) -> &'e (dyn std::error::Error + 'static) {
    std::iter::successors(Some(error), |error| error.source())
        .last()
        .unwrap_or(error)
}

/// TLS errors travel as invalid data, sometimes inside another I/O error, which hides
/// them from the chain of sources.
fn is_tls(error: &std::io::Error) -> bool {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<std::io::Error>());
    error.kind() == std::io::ErrorKind::InvalidData || inner.is_some_and(is_tls)
}

fn find<'e, E: std::error::Error + 'static>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e E> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref::<E>())
}
