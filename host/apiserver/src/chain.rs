//! How a request travels: what it asks for, who asks, whether there is room, its body,
//! then the handler for its verb.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderValue, WARNING};
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::api::Api;
use crate::authentication::User;
use crate::faults::{FaultKind, FaultPolicy, Faults};
use crate::health::Health;
use crate::query::Query;
use crate::request::{self, Request, ResourcePath, Verb};
use crate::resource::Resource;
use crate::respond::{self, Response};
use crate::status::Status;
use crate::{create, delete, discovery, list, openapi, update, watch};

/// The largest request body.
const MAX_BODY: usize = 3 * 1024 * 1024;
/// How long a body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(34);
/// How many requests may be in flight at once.
const MAX_READS: usize = 400;
const MAX_WRITES: usize = 200;

const FAULTS_PATH: &str = "/debug/windlass/faults";

/// The connection is to be closed without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection is closed on purpose by an injected fault")]
pub struct ConnectionDropped;

/// The error of a request body.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The handler chain with what its links need.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) api: Arc<Api>,
    pub(crate) faults: Faults,
    pub(crate) health: Health,
    reads: Semaphore,
    writes: Semaphore,
}

impl Chain {
    pub(crate) fn new(api: Arc<Api>, faults: FaultPolicy) -> Self {
        Self {
            api,
            faults: Faults::new(faults),
            health: Health::default(),
            reads: Semaphore::new(MAX_READS),
            writes: Semaphore::new(MAX_WRITES),
        }
    }

    /// Answers one request.
    pub(crate) async fn serve<B>(&self, request: http::Request<B>) -> Result<Response, ConnectionDropped>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<BodyError>,
    {
        let (parts, body) = request.into_parts();
        let answer = self.route(&parts.method, &parts.uri, &parts.headers, body).await;
        match answer {
            Ok(response) => Ok(response),
            Err(Failure::Status(status)) => Ok(status.into_response()),
            Err(Failure::Dropped) => Err(ConnectionDropped),
        }
    }

    async fn route<B>(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: B,
    ) -> Result<Response, Failure>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<BodyError>,
    {
        let path = uri.path();
        if let Some(response) = self.health.answer(path, Query::new(uri.query())) {
            return Ok(response);
        }
        let user = self.api.authenticator.authenticate(headers)?;
        if path == FAULTS_PATH {
            return Ok(self.faults_endpoint(method, body).await?);
        }
        if let Some(path) = request::parse_path(path) {
            return self.serve_resource(method, uri, headers, path, user, body).await;
        }
        match *method {
            Method::GET | Method::HEAD => {
                let registry = &self.api.registry;
                let answer =
                    discovery::answer(registry, path, headers).or_else(|| openapi::answer(registry, uri));
                Ok(answer.ok_or_else(Status::unknown_route)?)
            }
            _ => Err(Status::unknown_route().into()),
        }
    }

    async fn serve_resource<B>(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        path: ResourcePath<'_>,
        user: User,
        body: B,
    ) -> Result<Response, Failure>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<BodyError>,
    {
        let query = Query::new(uri.query());
        let verb = request::verb(method, &path, query).ok_or_else(Status::method_not_allowed)?;
        let resource = self.find(&path, verb)?;
        let fault = self.faults.roll(verb.name(), path.plural);
        match fault {
            Some(FaultKind::DropAfter) | None => {}
            Some(fault) => return Err(fault.status().map_or(Failure::Dropped, Failure::Status)),
        }
        let _permit = self.admit(verb)?;
        let body = if verb.mutates() {
            read(body).await?
        } else {
            Bytes::new()
        };
        let request = Request {
            resource,
            verb,
            path,
            query,
            headers,
            body,
            user,
            warnings: Mutex::default(),
        };
        let response = self
            .dispatch(&request)
            .await
            .map(|response| with_warnings(&request, response));
        if fault.is_some() {
            Err(Failure::Dropped)
        } else {
            Ok(response?)
        }
    }

    /// The resource, if it has such a verb there.
    fn find(&self, path: &ResourcePath<'_>, verb: Verb) -> Result<Arc<Resource>, Status> {
        let resource = self
            .api
            .registry
            .find(path.group_version, path.plural)
            .ok_or_else(Status::unknown_route)?;
        if !path.namespace.is_empty() && !resource.spec.namespaced {
            return Err(Status::unknown_route());
        }
        let missing_namespace =
            resource.spec.namespaced && path.namespace.is_empty() && !path.name.is_empty();
        if missing_namespace {
            return Err(Status::unknown_route());
        }
        let verbs = match path.subresource {
            "" => resource.verbs(),
            name => resource
                .subresource(name)
                .ok_or_else(Status::unknown_route)?
                .verbs(),
        };
        let misplaced = match verb {
            Verb::Create => path.subresource.is_empty() && !path.name.is_empty(),
            Verb::Update | Verb::Patch => path.name.is_empty(),
            _ => false,
        };
        if verbs.contains(&verb) && !misplaced {
            Ok(resource)
        } else {
            Err(Status::method_not_allowed())
        }
    }

    /// A place among the requests in flight; watches need none.
    fn admit(&self, verb: Verb) -> Result<Option<SemaphorePermit<'_>>, Status> {
        let places = match verb {
            Verb::Watch => return Ok(None),
            verb if verb.mutates() => &self.writes,
            _ => &self.reads,
        };
        let full = |_| Status::too_many_requests("Too many requests, please try again later.", 1);
        places.try_acquire().map(Some).map_err(full)
    }

    async fn dispatch(&self, request: &Request<'_>) -> Result<Response, Status> {
        let api = &*self.api;
        match request.verb {
            Verb::Get => list::get(api, request).await,
            Verb::List => list::list(api, request).await,
            Verb::Watch => watch::handle(api, request).await,
            Verb::Create => guarded(|| create::handle(api, request)),
            Verb::Update | Verb::Patch => guarded(|| update::handle(api, request)),
            Verb::Delete | Verb::DeleteCollection => guarded(|| delete::handle(api, request)),
        }
    }

    async fn faults_endpoint<B>(&self, method: &Method, body: B) -> Result<Response, Status>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<BodyError>,
    {
        match *method {
            Method::GET => {}
            Method::PUT => {
                let body = read(body).await?;
                let policy = serde_json::from_slice(&body).map_err(|error| {
                    Status::bad_request(format!("the fault policy is not valid: {error}"))
                })?;
                self.faults.set(policy);
            }
            _ => return Err(Status::method_not_allowed()),
        }
        Ok(respond::json_value(StatusCode::OK, &json!(self.faults.policy())))
    }
}

/// Why there is no regular answer.
enum Failure {
    Status(Status),
    Dropped,
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// Adds what the client is to be told beside the answer.
fn with_warnings(request: &Request<'_>, mut response: Response) -> Response {
    for text in request.warnings.lock().drain(..) {
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(WARNING, value);
        }
    }
    response
}

/// Turns a panic in a handler into a 500, so that it costs one request and not the connection.
fn guarded(handler: impl FnOnce() -> Result<Response, Status>) -> Result<Response, Status> {
    catch_unwind(AssertUnwindSafe(handler)).unwrap_or_else(|_| {
        tracing::error!("a request handler panicked");
        Err(Status::internal("the handler of this request panicked"))
    })
}

/// Reads a whole body, within the limits of size and time.
async fn read<B>(body: B) -> Result<Bytes, Status>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BodyError>,
{
    let body = Limited::new(body, MAX_BODY);
    let collected = tokio::time::timeout(BODY_PATIENCE, body.collect())
        .await
        .map_err(|_| Status::timeout())?;
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Status::too_large(MAX_BODY)),
        Err(error) => Err(Status::bad_request(format!(
            "the body of the request could not be read: {error}"
        ))),
    }
}
