//! One HTTP request to a server nearby: the status of a host, spans to a collector.
//!
//! Plain HTTP alone, one connection per request, everything bounded. Deliberately not
//! here: TLS, redirects, proxies. A collector that wants them has an agent in front.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    uri: Uri,
    /// `host:port` to connect to.
    address: String,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It is no URL that can be asked.
    #[error(
        "{url:?} is not an http:// URL with a host; https is not spoken, use an agent or a local address"
    )]
    Url {
        /// What was given.
        url: String,
    },
    /// Nobody listens there.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The conversation broke.
    #[error("{address} does not answer as it should: {reason}")]
    Broken {
        /// Where.
        address: String,
        /// Why.
        reason: String,
    },
    /// It took too long.
    #[error("{address} did not answer within {limit:?}")]
    Timeout {
        /// Where.
        address: String,
        /// How long it had.
        limit: Duration,
    },
}

/// How much a request may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) time: Duration,
    /// Bytes of the answer.
    pub(crate) bytes: usize,
}

impl Endpoint {
    /// Understands `http://host[:port][/path]`, and `host:port` as short for it.
    pub(crate) fn parse(url: &str) -> Result<Self, RequestError> {
        let wrong = || RequestError::Url { url: url.to_owned() };
        let full = if url.contains("://") {
            url.to_owned()
        } else {
            format!("http://{url}")
        };
        let uri: Uri = full.parse().map_err(|_| wrong())?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong());
        }
        // Neither `unix:/path` nor credentials are understood.
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.ends_with(':') || authority.contains('@') {
            return Err(wrong());
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        let address = format!("{host}:{}", uri.port_u16().unwrap_or(80));
        Ok(Self { uri, address })
    }

    /// The same server at another path.
    pub(crate) fn at(&self, path: &str) -> Result<Self, RequestError> {
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        Self::parse(&format!("http://{authority}{path}"))
    }

    /// Sends a request, whose URI is filled in, and reads the whole answer.
    pub(crate) async fn send(
        &self,
        request: http::request::Builder,
        body: Bytes,
        budget: Budget,
    ) -> Result<(StatusCode, Bytes), RequestError> {
        tokio::time::timeout(budget.time, self.exchange(request, body, budget.bytes))
            .await
            .unwrap_or_else(|_| {
                Err(RequestError::Timeout {
                    address: self.address.clone(),
                    limit: budget.time,
                })
            })
    }

    async fn exchange(
        &self,
        request: http::request::Builder,
        body: Bytes,
        limit: usize,
    ) -> Result<(StatusCode, Bytes), RequestError> {
        let request = self.complete(request, body)?;
        let connected = TcpStream::connect(&self.address).await;
        let stream = connected.map_err(|source| RequestError::Connect {
            address: self.address.clone(),
            source,
        })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(error))?;
        let answering = async {
            let response = sender
                .send_request(request)
                .await
                .map_err(|error| self.broken(error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), limit).collect().await;
            let body = body.map_err(|error| self.broken(error))?.to_bytes();
            Ok((status, body))
        };
        // The connection works only while it is polled; its end may come before the
        // answer has been read to its end.
        let mut connection = std::pin::pin!(connection);
        let mut answering = std::pin::pin!(answering);
        tokio::select! {
            answer = answering.as_mut() => answer,
            _ = connection.as_mut() => answering.await,
        }
    }

    fn complete(
        &self,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, RequestError> {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        request
            .uri(path)
            .header(HOST, authority)
            .header(CONNECTION, "close")
            .body(Full::new(body))
            .map_err(|error| self.broken(error))
    }

    fn broken(&self, error: impl std::fmt::Display) -> RequestError {
        RequestError::Broken {
            address: self.address.clone(),
            reason: error.to_string(),
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.uri.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_urls_are_understood() {
        let address = |url| Endpoint::parse(url).map(|endpoint| endpoint.address).ok();
        assert_eq!(address("127.0.0.1:10270").as_deref(), Some("127.0.0.1:10270"));
        assert_eq!(address("http://collector/").as_deref(), Some("collector:80"));
        assert_eq!(address("http://[::1]:4318").as_deref(), Some("[::1]:4318"));
        for wrong in [
            "https://collector:4318",
            "",
            "http://",
            "unix:/run/x",
            "http://me:pw@collector",
        ] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }
}
