//! A server in this process that answers what it is told to, and remembers what it was asked.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::FutureExt;
use http_body_util::{BodyExt, Full};
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use windlass_cluster::client::ApiClient;

/// A request as it was sent.
pub(crate) struct Asked {
    pub(crate) method: http::Method,
    pub(crate) uri: http::Uri,
    pub(crate) body: Bytes,
}

type Answer = dyn Fn(&http::Uri) -> (u16, Bytes) + Send + Sync;

/// See the module's documentation. Clones share everything.
#[derive(Clone)]
pub(crate) struct FakeServer {
    answer: Arc<Answer>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl FakeServer {
    /// A server that answers by the URI.
    pub(crate) fn new(answer: impl Fn(&http::Uri) -> (u16, Bytes) + Send + Sync + 'static) -> Self {
        Self {
            answer: Arc::new(answer),
            asked: Arc::default(),
        }
    }

    pub(crate) fn client(&self) -> ApiClient {
        ApiClient::from_service(self.clone(), "fuzz")
    }

    /// What was asked since the last time.
    pub(crate) fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock())
    }
}

impl tower::Service<http::Request<Full<Bytes>>> for FakeServer {
    type Response = http::Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Full<Bytes>>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let body = body.collect().now_or_never().expect("the body is at hand");
        let (code, answer) = (self.answer)(&parts.uri);
        self.asked.lock().push(Asked {
            method: parts.method,
            uri: parts.uri,
            body: body.unwrap_or_else(|never| match never {}).to_bytes(),
        });
        let mut response = http::Response::new(Full::new(answer));
        *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or_default();
        ready(Ok(response))
    }
}

/// A runtime for one input, so that no input sees what another left behind.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("this machine can run one more runtime")
}
