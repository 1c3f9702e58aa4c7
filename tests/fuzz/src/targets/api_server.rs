//! What clients hand the embedded API server.

use bytes::Bytes;
use futures::FutureExt;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use tower::ServiceExt;
use windlass_apiserver::{ServerConfig, ServerHandle, start};

use crate::Target;
use crate::input::{Record, records};
use crate::service::runtime;

/// Every request gets an answer, none of them a 500, and JSON where it says so.
pub(crate) const REQUESTS: Target = Target {
    name: "api_server",
    run: requests,
    mutations: 1_500,
};

const TOKEN: &str = "token";

/// Records of method, path with query, content type and accepted type, sent one after
/// another to a new server.
fn requests(data: &[u8]) {
    let requests: Vec<_> = records(data).filter_map(|record| request(&record)).collect();
    if requests.is_empty() {
        return;
    }
    runtime().block_on(async {
        let config = ServerConfig {
            http: None,
            https: None,
            token: Some(TOKEN.to_owned()),
            ..ServerConfig::default()
        };
        let server = start(config).await.expect("a server without listeners starts");
        for request in requests {
            check(&server, request).await;
        }
    });
}

fn request(record: &Record<'_>) -> Option<http::Request<Full<Bytes>>> {
    let builder = http::Request::builder()
        .method(record.text(0).as_str())
        .uri(record.text(1))
        .header(AUTHORIZATION, format!("Bearer {TOKEN}"));
    let headers = [(CONTENT_TYPE, 2), (ACCEPT, 3)];
    let builder =
        headers
            .into_iter()
            .fold(builder, |builder, (name, position)| match record.text(position) {
                value if value.is_empty() => builder,
                value => builder.header(name, value),
            });
    builder.body(Full::new(Bytes::copy_from_slice(record.body))).ok()
}

async fn check(server: &ServerHandle, request: http::Request<Full<Bytes>>) {
    let what = format!("{} {}", request.method(), request.uri());
    let is_faults = request.uri().path().starts_with("/debug/");
    let response = server.service().oneshot(request).await;
    if is_faults {
        // From here on requests may fail because they were asked to.
        server.set_faults(windlass_apiserver::FaultPolicy::default());
        return;
    }
    let (parts, body) = response.expect("no fault was asked for").into_parts();
    assert_ne!(parts.status, http::StatusCode::INTERNAL_SERVER_ERROR, "{what}");
    // The body of a watch does not end.
    let Some(body) = body.collect().now_or_never() else {
        return;
    };
    let body = body.expect("a body in memory").to_bytes();
    let is_json = parts
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|content_type| content_type == "application/json");
    let is_watch = what.contains("watch");
    if is_json && !body.is_empty() && !is_watch {
        let read: Result<serde::de::IgnoredAny, _> = serde_json::from_slice(&body);
        read.unwrap_or_else(|error| panic!("{what}: {error} in {:?}", body.escape_ascii().to_string()));
    }
}
