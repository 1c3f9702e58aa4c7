//! An API server that has nothing but Leases, and a switch for each client's connection.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use parking_lot::Mutex;
use serde_json::{Value, json};
use windlass_cluster::client::ApiClient;

const COLLECTION: &str = "/apis/coordination.k8s.io/v1/namespaces/hosts/leases";

/// What is stored, and what was asked.
#[derive(Clone, Default)]
pub(crate) struct LeaseServer(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    leases: BTreeMap<String, Value>,
    revision: u64,
    requests: Vec<String>,
    namespace_is_missing: bool,
}

/// Whether requests of a client arrive.
#[derive(Clone, Default)]
pub(crate) struct Link(Arc<AtomicBool>);

impl Link {
    pub(crate) fn cut(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn mend(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl LeaseServer {
    pub(crate) fn without_namespace() -> Self {
        let server = Self::default();
        server.0.lock().namespace_is_missing = true;
        server
    }

    pub(crate) fn connect(&self) -> (ApiClient, Link) {
        let (server, link) = (self.clone(), Link::default());
        let switch = link.clone();
        let service = tower::service_fn(move |request: http::Request<Full<Bytes>>| {
            let (server, switch) = (server.clone(), switch.clone());
            async move {
                if switch.0.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
                let (parts, body) = request.into_parts();
                let Ok(body) = body.collect().await;
                let (status, answer) = server.answer(&parts.method, &parts.uri, &body.to_bytes());
                let response = http::Response::builder().status(status);
                Ok::<_, Infallible>(response.body(Full::new(Bytes::from(answer.to_string()))).unwrap())
            }
        });
        (ApiClient::from_service(service, "test"), link)
    }

    pub(crate) fn lease(&self, name: &str) -> Value {
        self.0.lock().leases[name].clone()
    }

    /// Changes a lease behind everybody's back.
    pub(crate) fn edit(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut state = self.0.lock();
        let mut lease = state.leases[name].clone();
        edit(&mut lease);
        state.store(name, lease);
    }

    /// The requests since the last call, as `METHOD name`.
    pub(crate) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().requests)
    }

    fn answer(&self, method: &Method, uri: &http::Uri, body: &[u8]) -> (StatusCode, Value) {
        let mut state = self.0.lock();
        let name = uri
            .path()
            .strip_prefix(COLLECTION)
            .unwrap()
            .trim_start_matches('/');
        state.requests.push(format!("{method} {name}").trim().to_owned());
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let stored = state.leases.get(name).cloned();
        match (method, stored) {
            (&Method::GET, _) if name.is_empty() => {
                assert_eq!(uri.query(), Some("labelSelector=windlass.dev%2Fgroup%3Dblue"));
                let labelled = state.leases.values();
                let labelled =
                    labelled.filter(|lease| lease["metadata"]["labels"]["windlass.dev/group"] == "blue");
                (StatusCode::OK, json!({ "items": labelled.collect::<Vec<_>>() }))
            }
            (&Method::POST, _) if state.namespace_is_missing => refusal(404, "NotFound"),
            (&Method::POST, _) => {
                let name = body["metadata"]["name"].as_str().unwrap().to_owned();
                if state.leases.contains_key(&name) {
                    return refusal(409, "AlreadyExists");
                }
                (StatusCode::CREATED, state.store(&name, body))
            }
            (_, None) => refusal(404, "NotFound"),
            (&Method::GET, Some(lease)) => (StatusCode::OK, lease),
            (&Method::PUT, Some(lease))
                if lease["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"] =>
            {
                refusal(409, "Conflict")
            }
            (&Method::PUT, Some(_)) => (StatusCode::OK, state.store(name, body)),
            (&Method::DELETE, Some(lease)) => {
                let version = &lease["metadata"]["resourceVersion"];
                assert_eq!(&body["preconditions"]["resourceVersion"], version);
                state.leases.remove(name);
                (StatusCode::OK, json!({ "kind": "Status", "status": "Success" }))
            }
            _ => panic!("unexpected {method} {uri}"),
        }
    }
}

impl State {
    fn store(&mut self, name: &str, mut lease: Value) -> Value {
        self.revision += 1;
        lease["metadata"]["resourceVersion"] = self.revision.to_string().into();
        self.leases.insert(name.to_owned(), lease.clone());
        lease
    }
}

fn refusal(code: u16, reason: &str) -> (StatusCode, Value) {
    let status =
        json!({ "kind": "Status", "code": code, "reason": reason, "message": format!("scripted {reason}") });
    (StatusCode::from_u16(code).unwrap(), status)
}
