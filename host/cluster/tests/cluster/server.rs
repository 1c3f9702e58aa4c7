//! The scripted server: a service in place of the connection pool.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use windlass_cluster::client::ApiClient;

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Where requests arrive.
pub(crate) struct Server {
    calls: mpsc::UnboundedReceiver<Call>,
}

/// One request and the way to answer it.
pub(crate) struct Call {
    pub(crate) method: http::Method,
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
    answer: oneshot::Sender<http::Response<Body>>,
}

/// A watch that the test feeds.
pub(crate) struct Watch {
    frames: mpsc::UnboundedSender<Result<Bytes, std::io::Error>>,
}

/// A client and the server it talks to.
pub(crate) fn server() -> (ApiClient, Server) {
    let (sender, calls) = mpsc::unbounded_channel();
    let service = tower::service_fn(move |request: http::Request<Full<Bytes>>| {
        let sender: mpsc::UnboundedSender<Call> = sender.clone();
        async move {
            let (parts, body) = request.into_parts();
            let Ok(body) = body.collect().await;
            let (answer, answered) = oneshot::channel();
            let call = Call {
                method: parts.method,
                path: parts.uri.path().to_owned(),
                query: parse_query(parts.uri.query().unwrap_or_default()),
                headers: parts.headers,
                body: body.to_bytes(),
                answer,
            };
            sender
                .send(call)
                .map_err(|_| std::io::Error::other("connection refused"))?;
            answered
                .await
                .map_err(|_| std::io::Error::other("connection reset"))
        }
    });
    (ApiClient::from_service(service, "test"), Server { calls })
}

fn parse_query(query: &str) -> HashMap<String, String> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

impl Server {
    /// The next request, however long the client takes to make it.
    pub(crate) async fn next(&mut self) -> Call {
        let patience = Duration::from_secs(24 * 3600);
        tokio::time::timeout(patience, self.calls.recv())
            .await
            .expect("no request came")
            .expect("the client is gone")
    }

    /// The next request, which must be for this path.
    pub(crate) async fn expect(&mut self, path: &str) -> Call {
        let call = self.next().await;
        assert_eq!(call.path, path);
        call
    }

    /// The next request, which must be a list of this path.
    pub(crate) async fn expect_list(&mut self, path: &str) -> Call {
        let call = self.expect(path).await;
        assert_eq!(
            call.query.get("watch"),
            None,
            "a watch instead of a list of {path}"
        );
        call
    }

    /// The next request, which must be a watch of this path from this version.
    pub(crate) async fn expect_watch(&mut self, path: &str, revision: u64) -> Watch {
        let call = self.expect(path).await;
        assert_eq!(
            call.query.get("watch").map(String::as_str),
            Some("true"),
            "a list instead of a watch of {path}"
        );
        assert_eq!(call.query["resourceVersion"], revision.to_string());
        call.stream()
    }

    /// No request is waiting after everything that is ready has run.
    pub(crate) async fn expect_quiet(&mut self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        if let Ok(call) = self.calls.try_recv() {
            panic!("unexpected {} {} {:?}", call.method, call.path, call.query);
        }
    }
}

impl Call {
    pub(crate) fn ok(self, body: &Value) {
        self.raw(200, body.to_string());
    }

    pub(crate) fn status(self, code: u16, reason: &str) {
        let message = format!("scripted {reason}");
        self.raw(
            code,
            json!({ "kind": "Status", "code": code, "reason": reason, "message": message }).to_string(),
        );
    }

    pub(crate) fn raw(self, code: u16, body: impl Into<Bytes>) {
        let body = Full::new(body.into())
            .map_err(|never: Infallible| match never {})
            .boxed_unsync();
        let _ = self
            .answer
            .send(http::Response::builder().status(code).body(body).unwrap());
    }

    pub(crate) fn retry_after(self, code: u16, seconds: u64) {
        let body = Full::new(Bytes::new())
            .map_err(|never: Infallible| match never {})
            .boxed_unsync();
        let response = http::Response::builder()
            .status(code)
            .header("Retry-After", seconds)
            .body(body);
        let _ = self.answer.send(response.unwrap());
    }

    /// The connection ends without an answer.
    pub(crate) fn reset(self) {
        drop(self.answer);
    }

    pub(crate) fn stream(self) -> Watch {
        let (frames, receiver) = mpsc::unbounded_channel();
        let chunks = futures::stream::unfold(receiver, async |mut receiver: mpsc::UnboundedReceiver<_>| {
            let chunk: Result<Bytes, std::io::Error> = receiver.recv().await?;
            Some((chunk.map(http_body::Frame::data), receiver))
        });
        let _ = self
            .answer
            .send(http::Response::new(StreamBody::new(chunks).boxed_unsync()));
        Watch { frames }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Watch {
    pub(crate) fn event(&self, kind: &str, object: &Value) {
        self.raw(&format!("{}\n", json!({ "type": kind, "object": object })));
    }

    pub(crate) fn bookmark(&self, revision: u64) {
        self.event(
            "BOOKMARK",
            &json!({ "kind": "Pod", "metadata": { "resourceVersion": revision.to_string() } }),
        );
    }

    pub(crate) fn raw(&self, text: &str) {
        let _ = self.frames.send(Ok(Bytes::copy_from_slice(text.as_bytes())));
    }

    /// The server closes the stream in good order.
    pub(crate) fn close(self) {}

    /// The connection breaks.
    pub(crate) fn fail(self) {
        let _ = self
            .frames
            .send(Err(std::io::Error::other("connection reset by peer")));
    }

    /// Resolves when the client has let go of the stream.
    pub(crate) async fn dropped(&self) {
        self.frames.closed().await;
    }
}

/// A pod of namespace `ns`.
pub(crate) fn pod(name: &str, revision: u64) -> Value {
    json!({
        "metadata": {
            "name": name, "namespace": "ns", "uid": format!("uid-{name}"), "resourceVersion": revision.to_string(),
            "managedFields": [{ "manager": "kubelet" }]
        },
        "spec": { "nodeName": "n1" },
        "status": { "phase": "Running" }
    })
}

/// A list of these objects at this version.
pub(crate) fn list(revision: u64, items: &[Value]) -> Value {
    json!({ "kind": "List", "metadata": { "resourceVersion": revision.to_string() }, "items": items })
}

/// A page with more to come.
pub(crate) fn page(revision: u64, token: &str, items: &[Value]) -> Value {
    let mut page = list(revision, items);
    page["metadata"]["continue"] = token.into();
    page
}
