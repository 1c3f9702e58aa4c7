//! Which path answers what.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz`, `/livez`, `/readyz` | health, as text |
//! | `/metrics` | metrics |
//! | `/api/v1/status` | [`crate::status::HostStatus`] as JSON |
//! | `/api/v1/events` | server-sent events: `history`, then one `sample` per period |
//! | `/` and its assets | the page |

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, HeaderMap, HeaderName,
    HeaderValue, IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Request, Response, StatusCode};
use tokio_util::sync::CancellationToken;

use super::assets::{self, Asset};
use super::body::{self, Body};
use super::health::{self, Endpoint, Wishes};
use super::live::Live;
use crate::metrics::{self, Format};
use crate::status::StatusSource;

/// Nothing from elsewhere, nothing inline, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TEXT: &str = "text/plain; charset=utf-8";

/// What requests are answered from.
pub(crate) struct Routes {
    pub(crate) source: Arc<dyn StatusSource>,
    pub(crate) live: Arc<Live>,
    /// Only reachable from this machine.
    loopback: bool,
    stopping: AtomicBool,
    closing: CancellationToken,
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}

impl Routes {
    pub(crate) fn new(
        source: Arc<dyn StatusSource>,
        address: SocketAddr,
        closing: CancellationToken,
    ) -> Self {
        Self {
            source,
            live: Arc::default(),
            loopback: address.ip().is_loopback(),
            stopping: AtomicBool::new(false),
            closing,
        }
    }

    pub(crate) fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Answers one request. Its body is not read.
    pub(crate) fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        if self.loopback && !is_local(request.headers().get(HOST)) {
            let text = "this server answers to localhost and to IP addresses, not to other names\n";
            return secured(plain(StatusCode::MISDIRECTED_REQUEST, text));
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut response = plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "this server is only for reading\n",
            );
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return secured(response);
        }
        let path = request.uri().path();
        let response = match path {
            "/metrics" => self.metrics(request.headers()),
            "/api/v1/status" => self.status(),
            "/api/v1/events" => self.events(request.method()),
            _ => match (Endpoint::of(path), assets::find(path)) {
                (Some((endpoint, check)), _) => {
                    self.health(endpoint, check, request.uri().query().unwrap_or_default())
                }
                (None, Some(asset)) => serve_asset(asset, request.headers()),
                (None, None) => not_found(),
            },
        };
        secured(response)
    }

    fn health(&self, endpoint: Endpoint, check: Option<&str>, query: &str) -> Response<Body> {
        let stopping = self.stopping.load(Ordering::Acquire);
        let checks = health::checks(endpoint, self.source.status().checks, stopping);
        let answer = match check {
            Some(name) => health::single(&checks, name),
            None => Some(health::report(endpoint, &checks, &Wishes::parse(query))),
        };
        answer.map_or_else(not_found, |(code, text)| plain(code, text))
    }

    fn metrics(&self, headers: &HeaderMap) -> Response<Body> {
        let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
        let format = Format::accepted(accept);
        let text = metrics::render(&self.source.status(), format);
        respond(StatusCode::OK, format.content_type(), body::full(text))
    }

    fn status(&self) -> Response<Body> {
        match serde_json::to_vec(&self.source.status()) {
            Ok(json) => respond(StatusCode::OK, "application/json", body::full(json)),
            Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }

    fn events(&self, method: &Method) -> Response<Body> {
        if method == Method::HEAD {
            return respond(StatusCode::OK, "text/event-stream", body::full(""));
        }
        match self.live.watch(self.closing.clone()) {
            Some(stream) => respond(StatusCode::OK, "text/event-stream", body::stream(stream)),
            None => plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many live streams are open; close a page\n",
            ),
        }
    }
}

/// Whether a `Host` header names this machine or an address. A page of another site
/// whose name resolves to loopback must not read what is here.
fn is_local(host: Option<&HeaderValue>) -> bool {
    let Some(host) = host else { return true };
    let Ok(host) = host.to_str() else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

fn serve_asset(asset: &'static Asset, headers: &HeaderMap) -> Response<Body> {
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == asset.etag));
    let mut response = if is_known {
        respond(StatusCode::NOT_MODIFIED, asset.content_type, body::full(""))
    } else {
        respond(StatusCode::OK, asset.content_type, body::full(asset.content))
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(etag) = HeaderValue::from_str(&asset.etag) {
        headers.insert(ETAG, etag);
    }
    response
}

fn not_found() -> Response<Body> {
    plain(StatusCode::NOT_FOUND, "there is nothing here; the page is at /\n")
}

fn plain(code: StatusCode, text: impl Into<bytes::Bytes>) -> Response<Body> {
    respond(code, TEXT, body::full(text))
}

fn respond(code: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn secured(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 5] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_local() {
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:10270",
            "[::1]:10270",
            "[::1]",
            "10.1.2.3",
        ] {
            assert!(is_local(HeaderValue::from_str(host).ok().as_ref()), "{host}");
        }
        for host in ["example.org", "example.org:10270", "127.0.0.1.example.org", ""] {
            assert!(!is_local(HeaderValue::from_str(host).ok().as_ref()), "{host}");
        }
    }
}
