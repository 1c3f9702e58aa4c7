//! A plain client: one connection per request, JSON in and out.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use windlass_apiserver::{Scheme, ServerConfig, ServerHandle, start};

/// Longer than anything here takes: only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server and how to talk to it.
pub(crate) struct Cluster {
    pub(crate) server: ServerHandle,
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {:?}", self.text))
    }

    /// The object of a successful answer.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.code), "{} {}", self.code, self.text);
        self.json()
    }

    /// Code, reason and message of a refusal.
    #[track_caller]
    pub(crate) fn refusal(&self) -> (u16, String, String) {
        let status = self.json();
        assert_eq!(
            (&status["kind"], &status["status"]),
            (&json!("Status"), &json!("Failure")),
            "{status}"
        );
        assert_eq!(status["code"], self.code);
        let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
        (self.code, text("reason"), text("message"))
    }
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        Self {
            server: start(ServerConfig::default()).await.unwrap(),
        }
    }

    async fn send(
        &self,
        request: http::Request<Full<bytes::Bytes>>,
    ) -> Result<http::Response<Incoming>, hyper::Error> {
        let url = self.server.url(Scheme::Http).unwrap();
        let stream = TcpStream::connect(url.strip_prefix("http://").unwrap())
            .await
            .unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        sender.send_request(request).await
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> http::request::Builder {
        http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("authorization", format!("Bearer {}", self.server.token()))
    }

    pub(crate) async fn answer(
        &self,
        request: http::request::Builder,
        body: impl Into<bytes::Bytes>,
    ) -> Answer {
        self.try_answer(request, body).await.unwrap()
    }

    pub(crate) async fn try_answer(
        &self,
        request: http::request::Builder,
        body: impl Into<bytes::Bytes>,
    ) -> Result<Answer, hyper::Error> {
        let request = request.body(Full::new(body.into())).unwrap();
        let response = tokio::time::timeout(PATIENCE, self.send(request))
            .await
            .expect("an answer in time")?;
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await?.to_bytes().to_vec()).unwrap();
        Ok(Answer {
            code: parts.status.as_u16(),
            headers: parts.headers,
            text,
        })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.answer(self.request("GET", path), "").await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.answer(self.request("POST", path), body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.answer(self.request("PUT", path), body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str, options: Value) -> Answer {
        self.answer(self.request("DELETE", path), options.to_string())
            .await
    }

    pub(crate) async fn patch(&self, path: &str, kind: &str, body: Value) -> Answer {
        let kind = format!("application/{kind}+json");
        self.answer(
            self.request("PATCH", path).header("content-type", kind),
            body.to_string(),
        )
        .await
    }

    pub(crate) async fn watch(&self, path: &str) -> Watch {
        let request = self.request("GET", path).body(Full::default()).unwrap();
        let response = self.send(request).await.unwrap();
        assert_eq!(response.status(), 200);
        Watch {
            body: response.into_body(),
            buffer: Vec::new(),
        }
    }
}

/// The frames of a watch.
pub(crate) struct Watch {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Watch {
    /// The next frame; `None` when the watch has ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame())
                .await
                .expect("a frame in time");
            self.buffer.extend_from_slice(frame?.unwrap().data_ref().unwrap());
        }
    }

    /// Type, name and resource version of the next frame.
    pub(crate) async fn event(&mut self) -> (String, String, u64) {
        let frame = self.next().await.expect("another event");
        let text = |path: &str| {
            frame
                .pointer(path)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        (
            text("/type"),
            text("/object/metadata/name"),
            text("/object/metadata/resourceVersion").parse().unwrap_or(0),
        )
    }

    /// Type and name of the next frame.
    pub(crate) async fn kind(&mut self) -> (String, String) {
        let (kind, name, _) = self.event().await;
        (kind, name)
    }
}

pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";
pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

pub(crate) fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": "value"}})
}

pub(crate) fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "image"}]},
    })
}

pub(crate) fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "image"}]}},
        },
    })
}

pub(crate) fn event(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

pub(crate) fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}
