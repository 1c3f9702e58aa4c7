//! One HTTP exchange: a request out, a whole answer back, within limits.
//!
//! Promises: an answer is never longer than the caller allows, a peer that goes silent is
//! left, and no error shows a header or the query of a URL (a redirect to an object store
//! carries its credentials there). Repeating, redirects and authentication are
//! [`crate::remote`]'s.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

const CONNECT_TIME: Duration = Duration::from_secs(15);
/// How long a peer may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// The slowest upload that is waited for, in bytes per second.
const SLOWEST_UPLOAD: u64 = 64 * 1024;

/// A pool of connections.
pub(crate) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no whole answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// No connection, or one that broke.
    #[error("{0}")]
    Broken(String),
    /// The peer and we do not agree on TLS.
    #[error(transparent)]
    Tls(rustls::Error),
    /// Nothing came for too long.
    #[error("no answer for {} s", .0.as_secs())]
    Silent(Duration),
    /// More came than allowed.
    #[error("the answer is longer than {limit} bytes")]
    TooLong { limit: u64 },
}

/// Certificate authorities that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The text holds something else than certificates in PEM.
    #[error("the registries' certificate authorities are not PEM certificates: {0}")]
    Pem(String),
    /// A certificate that TLS cannot use.
    #[error("a certificate authority for registries cannot be used: {0}")]
    Certificate(rustls::Error),
    /// The TLS library refuses its own defaults.
    #[error("cannot set up TLS: {0}")]
    Setup(rustls::Error),
}

impl Http {
    /// `extra_roots` are certificate authorities in PEM that are trusted besides the
    /// system's.
    pub(crate) fn new(extra_roots: &[u8]) -> Result<Self, TlsError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIME));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls(extra_roots)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
    }

    /// Sends a request and reads an answer of at most `limit` bytes. The body of an error
    /// answer beyond the limit is cut off instead: its text is only used to explain.
    pub(crate) async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        limit: u64,
    ) -> Result<Answer, ExchangeError> {
        use http_body_util::combinators::BoxBody;
        use hyper::body::Body as _;

        let upload = request.body().size_hint().upper().unwrap_or(0);
        let patience = SILENCE + Duration::from_secs(upload / SLOWEST_UPLOAD);
        let answer = tokio::time::timeout(patience, self.client.request(request))
            .await
            .map_err(|_| ExchangeError::Silent(patience))?
            .map_err(|error| broken(&error))?;
        let (head, body) = answer.into_parts();
        let body = read(BoxBody::new(body), limit, head.status.is_success()).await?;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}

async fn read(
    mut body: http_body_util::combinators::BoxBody<Bytes, hyper::Error>,
    limit: u64,
    whole: bool,
) -> Result<Bytes, ExchangeError> {
    let mut read = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(SILENCE, body.frame())
            .await
            .map_err(|_| ExchangeError::Silent(SILENCE))?;
        let Some(frame) = frame else {
            return Ok(read.freeze());
        };
        let frame = frame.map_err(|error| ExchangeError::Broken(chain(&error)))?;
        let data = frame.into_data().unwrap_or_default();
        if (read.len() as u64).saturating_add(data.len() as u64) > limit {
            return if whole {
                Err(ExchangeError::TooLong { limit })
            } else {
                Ok(read.freeze())
            };
        }
        read.extend_from_slice(&data);
    }
}

fn tls(extra_roots: &[u8]) -> Result<rustls::ClientConfig, TlsError> {
    let mut roots = rustls::RootCertStore::empty();
    // What the system has but TLS cannot use is the system's affair.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in CertificateDer::pem_slice_iter(extra_roots) {
        let certificate = certificate.map_err(|error| TlsError::Pem(error.to_string()))?;
        roots.add(certificate).map_err(TlsError::Certificate)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Whether credentials may be sent here: over TLS, or to a host named as insecure.
pub(crate) fn is_allowed(uri: &Uri, insecure: &[String]) -> bool {
    match uri.scheme_str() {
        Some("https") => true,
        Some("http") => uri
            .authority()
            .is_some_and(|authority| insecure.iter().any(|host| host == authority.as_str())),
        _ => false,
    }
}

/// Tells trouble with TLS, which lasts, from trouble with connections.
fn broken(error: &(dyn std::error::Error + 'static)) -> ExchangeError {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return ExchangeError::Tls(error.clone());
        }
        // An I/O error shows what it wraps only to those who ask for it.
        let wrapped = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        cause = match wrapped {
            Some(error) => Some(error),
            None => error.source(),
        };
    }
    ExchangeError::Broken(chain(error))
}

/// The error and its causes, which hyper keeps from the first line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// A value for a query or form, with everything but the unreserved characters escaped
/// (RFC 3986, section 2.3).
pub(crate) fn escape(text: &str) -> String {
    use std::fmt::Write as _;

    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte))
            }
            other => {
                let _ = write!(escaped, "%{other:02X}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_the_hosts_that_the_caller_lists() {
        let insecure = ["localhost:5000".to_owned()];
        let allowed = |uri: &str| is_allowed(&uri.parse().unwrap(), &insecure);
        assert!(allowed("https://anywhere/x") && allowed("http://localhost:5000/v2/"));
        assert!(!allowed("http://localhost/v2/") && !allowed("http://localhost:5001/") && !allowed("/v2/"));
    }

    #[test]
    fn values_are_escaped() {
        assert_eq!(
            escape("repository:a/b:pull,push é"),
            "repository%3Aa%2Fb%3Apull%2Cpush%20%C3%A9"
        );
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let error = Http::new(b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n")
            .err()
            .unwrap();
        assert!(
            error
                .to_string()
                .starts_with("the registries' certificate authorities are not PEM")
        );
    }
}
