//! `/healthz`, `/livez`, `/readyz` and `/version`: what anybody may ask.

use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::json;

use crate::body::Body;
use crate::query::Query;
use crate::respond::{self, Response};

/// The Kubernetes version whose API this is.
pub const KUBERNETES_VERSION: &str = "v1.36.2";

const CHECKS: [&str; 4] = [
    "ping",
    "etcd",
    "poststarthook/start-system-namespaces-controller",
    "shutdown",
];

/// Whether the server is up and taking requests.
#[derive(Debug, Default)]
pub(crate) struct Health {
    started: AtomicBool,
    stopping: AtomicBool,
}

impl Health {
    pub(crate) fn set_started(&self) {
        self.started.store(true, Ordering::Release);
    }

    pub(crate) fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Answers a health or version path; `None` if it is none.
    pub(crate) fn answer(&self, path: &str, query: Query<'_>) -> Option<Response> {
        if path == "/version" || path == "/version/" {
            return Some(version());
        }
        let (endpoint, single) = path
            .strip_prefix('/')?
            .split_once('/')
            .unwrap_or((path.strip_prefix('/')?, ""));
        if !matches!(endpoint, "healthz" | "livez" | "readyz") {
            return None;
        }
        let excluded: Vec<_> = query
            .pairs()
            .filter(|(key, _)| key == "exclude")
            .map(|(_, value)| value)
            .collect();
        let checks = CHECKS.iter().copied();
        let checks = checks.filter(|check| single.is_empty() || *check == single);
        let checks: Vec<&str> = checks
            .filter(|check| !excluded.iter().any(|excluded| excluded == check))
            .collect();
        if checks.is_empty() && !single.is_empty() {
            return Some(crate::status::Status::unknown_route().into_response());
        }
        let verbose = query.pairs().any(|(key, _)| key == "verbose");
        Some(self.report(endpoint, &checks, verbose))
    }

    fn passes(&self, endpoint: &str, check: &str) -> bool {
        match check {
            "shutdown" => endpoint != "readyz" || !self.stopping.load(Ordering::Acquire),
            "poststarthook/start-system-namespaces-controller" => self.started.load(Ordering::Acquire),
            _ => true,
        }
    }

    fn report(&self, endpoint: &str, checks: &[&str], verbose: bool) -> Response {
        let failed = checks.iter().any(|check| !self.passes(endpoint, check));
        let mut text = String::new();
        for check in checks {
            let line = if self.passes(endpoint, check) {
                format!("[+]{check} ok\n")
            } else {
                format!("[-]{check} failed: reason withheld\n")
            };
            text.push_str(&line);
        }
        match (failed, verbose) {
            (true, _) => plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("{text}{endpoint} check failed\n"),
            ),
            (false, true) => plain(StatusCode::OK, format!("{text}{endpoint} check passed\n")),
            (false, false) => plain(StatusCode::OK, "ok".to_owned()),
        }
    }
}

fn plain(code: StatusCode, text: String) -> Response {
    let mut response = http::Response::new(Body::full(text.into()));
    *response.status_mut() = code;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

fn version() -> Response {
    respond::json_value(
        StatusCode::OK,
        &json!({
            "major": "1", "minor": "36", "gitVersion": KUBERNETES_VERSION, "gitCommit": "", "gitTreeState": "clean",
            "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc",
            "platform": format!("{}/{}", std::env::consts::OS, arch()),
        }),
    )
}

/// The processor as Go names it, which is what clients compare with.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
