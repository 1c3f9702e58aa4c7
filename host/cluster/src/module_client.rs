//! The API server as one module may use it.
//!
//! Owns the module's budget of calls and its name in requests.
//! Promises: a call without permission is never sent, nor one whose path or body would
//! reach anything but what its permission was checked for; each successful write is
//! reported to the [`CallObserver`] before the caller learns of it; nothing is retried.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use serde::Deserialize;
use smol_str::SmolStr;
use tokio::sync::Semaphore;
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::gate::{Write, WriteEffect};
use windlass_core::key::{ObjectKey, Resource};
use windlass_core::lease::tenure::Tenure;
use windlass_core::permission::{Access, Grants};
use windlass_core::seams::{
    ApiRequest, ApiVerb, DeleteOptions, ListOptions, ObjectWriter, PropagationPolicy, SyncId,
};

use crate::body;
use crate::call_budget::Seat;
use crate::client::{ApiClient, RequestError};
use crate::impersonation::Impersonation;
use crate::permits::Permits;
use crate::token_bucket::TokenBucket;
use crate::url::{self, Name, push_query};

/// Who a module is at the API server and how much it may ask.
#[derive(Clone, Debug)]
pub struct ModuleClientConfig {
    /// The module's name, which is part of the user agent.
    pub module: SmolStr,
    /// Who owns the fields that it writes.
    pub field_manager: SmolStr,
    /// What the events that it writes itself say that they come from.
    pub event_source: SmolStr,
    /// What it may do.
    pub grants: Grants,
    /// Calls per second; 0: no limit.
    pub qps: u32,
    /// Calls at once after a pause.
    pub burst: u32,
    /// Its place in the budget that all modules share.
    pub seat: Seat,
    /// Calls in flight.
    pub max_in_flight: usize,
    /// On whose behalf.
    pub impersonate: Option<Impersonation>,
    /// As long as which calls may be sent; without one, always.
    pub tenure: Option<Tenure>,
}

/// One call that was sent and has ended.
#[derive(Clone, Copy, Debug)]
pub struct SentCall<'a> {
    /// The sync that it was made for.
    pub sync: SyncId,
    /// What was asked.
    pub request: &'a ApiRequest,
    /// HTTP status; 0 without an answer.
    pub code: u16,
    /// From sent to answered.
    pub duration: Duration,
    /// How long limits held it back before.
    pub throttled: Duration,
    /// How much of that was for the budget that all modules share.
    pub budget_wait: Duration,
}

/// Follows one call. Dropped without an end, the call was given up. Must not block.
pub trait CallTrace: Send {
    /// What the API server is told of it, as a `traceparent` of W3C's Trace Context.
    fn traceparent(&self) -> Option<String>;
    /// It is sent now, after the module's own limits held it back for so long.
    fn sent(&mut self, path_and_query: &str, throttled: Duration);
    /// It has ended: with an HTTP status, or with an error, which has no status if there
    /// was no answer or it was never sent.
    fn ended(self: Box<Self>, end: Result<u16, &ApiError>);
}

/// Told of each call of a module, before its caller gets the answer. Must not block.
pub trait CallObserver: Send + Sync {
    /// A call is asked for. Whether it is followed.
    fn trace(&self, sync: SyncId, request: &ApiRequest) -> Option<Box<dyn CallTrace>>;
    /// A call was sent and has ended.
    fn called(&self, call: SentCall<'_>);
    /// The version that the caches show of an object, 0 for none. Asked before a call
    /// whose answer will not say which version it led to.
    fn shown_revision(&self, resource: &Resource, key: &ObjectKey) -> u64;
    /// A write succeeded.
    fn wrote(&self, sync: SyncId, write: Write);
}

/// [`ObjectWriter`] for one module. Cheap to clone; clones share the budget.
#[derive(Clone)]
pub struct ModuleClient {
    inner: Arc<Inner>,
}

struct Inner {
    client: ApiClient,
    permits: Arc<Permits>,
    field_manager: SmolStr,
    event_source: SmolStr,
    bucket: TokenBucket,
    seat: Seat,
    in_flight: Semaphore,
    tenure: Option<Tenure>,
    /// The user agent, and whom to impersonate.
    headers: HeaderMap,
    observer: Option<Arc<dyn CallObserver>>,
}

/// The module's client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("{field} of module {module} cannot be sent in a header: {value:?}")]
pub struct ModuleClientError {
    field: &'static str,
    module: SmolStr,
    value: String,
}

impl ModuleClient {
    /// A client for one module.
    ///
    /// # Errors
    /// When a name cannot stand in an HTTP header.
    pub fn new(
        client: ApiClient,
        config: ModuleClientConfig,
        observer: Option<Arc<dyn CallObserver>>,
    ) -> Result<Self, ModuleClientError> {
        let module = config.module;
        let refuse = |field, value: String| ModuleClientError {
            field,
            module: module.clone(),
            value,
        };
        let mut headers = match &config.impersonate {
            Some(user) => user
                .headers()
                .map_err(|_| refuse("impersonated user", format!("{user:?}")))?,
            None => HeaderMap::new(),
        };
        let user_agent = format!("windlass/{} {module}", env!("CARGO_PKG_VERSION"));
        let user_agent = HeaderValue::from_str(&user_agent).map_err(|_| refuse("name", user_agent))?;
        headers.insert(USER_AGENT, user_agent);
        let inner = Inner {
            client,
            permits: Arc::new(Permits::new(module, config.grants)),
            field_manager: config.field_manager,
            event_source: config.event_source,
            bucket: TokenBucket::new(config.qps, config.burst),
            seat: config.seat,
            in_flight: Semaphore::new(config.max_in_flight.max(1)),
            tenure: config.tenure,
            headers,
            observer,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// What the module may do; replacing it there holds for every call from then on.
    #[must_use]
    pub fn permits(&self) -> &Arc<Permits> {
        &self.inner.permits
    }
}

impl ObjectWriter for ModuleClient {
    fn call(&self, sync: SyncId, request: ApiRequest) -> BoxFuture<'static, Result<Bytes, ApiError>> {
        let inner = Arc::clone(&self.inner);
        async move { inner.traced(sync, request).await }.boxed()
    }
}

impl Inner {
    async fn traced(&self, sync: SyncId, request: ApiRequest) -> Result<Bytes, ApiError> {
        let observer = self.observer.as_deref();
        let mut trace = observer.and_then(|observer| observer.trace(sync, &request));
        let answer = self.call(sync, &request, trace.as_deref_mut()).await;
        if let Some(trace) = trace {
            trace.ended(answer.as_ref().map(|(code, _)| *code));
        }
        answer.map(|(_code, body)| body)
    }

    async fn call(
        &self,
        sync: SyncId,
        request: &ApiRequest,
        trace: Option<&mut (dyn CallTrace + 'static)>,
    ) -> Result<(u16, Bytes), ApiError> {
        self.permits.check(&access(request))?;
        let mut http_request = self.build(request).inspect_err(|refusal| {
            self.permits.log_refusal(&refusal.message);
        })?;
        let asked = Instant::now();
        let _permit = self.in_flight.acquire().await;
        self.bucket.take().await;
        // Last, so that nobody waits behind a call that may not be made yet.
        let budget_wait = self.seat.take().await;
        // At the last moment: waiting may have taken longer than the tenure.
        if self.tenure.as_ref().is_some_and(|tenure| !tenure.is_valid_now()) {
            let message = "this replica does not lead the module any more";
            return Err(ApiError::local(ApiErrorKind::Other, message));
        }
        let shown = match &self.observer {
            Some(observer) if !request.subresource.is_empty() => {
                observer.shown_revision(&request.resource, &request.key)
            }
            _ => 0,
        };
        let sent = Instant::now();
        if let Some(trace) = trace {
            announce(trace, &mut http_request, sent - asked);
        }
        let answer = self.client.exchange(http_request).await;
        let answer = answer.map_err(RequestError::into_api_error);
        if let Some(observer) = &self.observer {
            observer.called(SentCall {
                sync,
                request,
                code: answer.as_ref().map_or_else(|error| error.code, |(code, _)| *code),
                duration: sent.elapsed(),
                throttled: sent - asked,
                budget_wait,
            });
        }
        let (code, answer) = answer?;
        if let Some(observer) = &self.observer {
            if let Some(write) = write_of(request, &answer, shown) {
                observer.wrote(sync, write);
            }
        }
        Ok((code, answer))
    }

    fn build(&self, request: &ApiRequest) -> Result<http::Request<Bytes>, ApiError> {
        let parts = HttpParts::of(request, &self.field_manager)?;
        let body = body::check(request, &self.event_source)?.unwrap_or(parts.body);
        let mut builder = http::Request::builder()
            .method(parts.method)
            .uri(parts.path)
            .header(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(content_type) = parts.content_type {
            builder = builder.header(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if let Some(headers) = builder.headers_mut() {
            headers.extend(self.headers.clone());
        }
        builder
            .body(body)
            .map_err(|error| ApiError::local(ApiErrorKind::BadRequest, error.to_string()))
    }
}

/// Tells the follower of a call that it is sent, and the server who follows it.
fn announce(trace: &mut dyn CallTrace, request: &mut http::Request<Bytes>, throttled: Duration) {
    let path = request.uri().path_and_query();
    trace.sent(path.map_or("/", http::uri::PathAndQuery::as_str), throttled);
    let traceparent = trace.traceparent().map(HeaderValue::try_from);
    if let Some(Ok(traceparent)) = traceparent {
        request.headers_mut().insert(TRACEPARENT, traceparent);
    }
}

/// What a request needs permission for.
fn access(request: &ApiRequest) -> Access<'_> {
    let resource = &request.resource;
    let name = match &request.verb {
        ApiVerb::List(options) => named_by(&options.field_selector),
        _ => &request.key.name,
    };
    Access {
        verb: request.verb.name(),
        group: &resource.group,
        resource: &resource.plural,
        subresource: &request.subresource,
        namespace: &request.key.namespace,
        name,
    }
}

/// The name that a field selector asks for and nothing else; API servers authorise such a
/// list for that name.
fn named_by(field_selector: &str) -> &str {
    field_selector
        .strip_prefix("metadata.name=")
        .map(|name| name.strip_prefix('=').unwrap_or(name))
        .filter(|name| !name.contains([',', '=', '!', '\\']))
        .unwrap_or_default()
}

const JSON: &str = "application/json";
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

struct HttpParts {
    method: Method,
    path: String,
    content_type: Option<&'static str>,
    body: Bytes,
}

impl HttpParts {
    fn of(request: &ApiRequest, field_manager: &str) -> Result<Self, ApiError> {
        let ApiRequest {
            resource,
            key,
            subresource,
            verb,
        } = request;
        let object = || url::path(resource, key, subresource, Name::Required);
        let managed = |mut path: String| {
            push_query(&mut path, "fieldManager", field_manager);
            path
        };
        let (method, path, content_type, body) = match verb {
            ApiVerb::Get => (Method::GET, object()?, None, Bytes::new()),
            ApiVerb::List(options) => {
                let collection = url::path(resource, key, "", Name::Forbidden)?;
                (Method::GET, list_path(collection, options), None, Bytes::new())
            }
            ApiVerb::Create(body) => {
                let name = if subresource.is_empty() {
                    Name::Forbidden
                } else {
                    Name::Required
                };
                let path = url::path(resource, key, subresource, name)?;
                (Method::POST, managed(path), Some(JSON), body.clone())
            }
            ApiVerb::Update(body) => (Method::PUT, managed(object()?), Some(JSON), body.clone()),
            ApiVerb::Patch(patch_type, body) => (
                Method::PATCH,
                managed(object()?),
                Some(patch_type.content_type()),
                body.clone(),
            ),
            ApiVerb::Delete(options) => (Method::DELETE, object()?, Some(JSON), delete_body(options)),
        };
        Ok(Self {
            method,
            path,
            content_type,
            body,
        })
    }
}

fn list_path(mut path: String, options: &ListOptions) -> String {
    push_query(&mut path, "labelSelector", &options.label_selector);
    push_query(&mut path, "fieldSelector", &options.field_selector);
    if options.limit > 0 {
        push_query(&mut path, "limit", &options.limit.to_string());
    }
    push_query(&mut path, "continue", &options.continue_token);
    path
}

fn delete_body(options: &DeleteOptions) -> Bytes {
    let mut body = serde_json::json!({ "kind": "DeleteOptions", "apiVersion": "v1" });
    if let Some(policy) = options.propagation_policy {
        body["propagationPolicy"] = match policy {
            PropagationPolicy::Background => "Background",
            PropagationPolicy::Foreground => "Foreground",
            PropagationPolicy::Orphan => "Orphan",
        }
        .into();
    }
    if let Some(seconds) = options.grace_period_seconds {
        body["gracePeriodSeconds"] = seconds.into();
    }
    if let Some(uid) = &options.precondition_uid {
        body["preconditions"]["uid"] = uid.as_str().into();
    }
    if let Some(version) = &options.precondition_resource_version {
        body["preconditions"]["resourceVersion"] = version.as_str().into();
    }
    body.to_string().into()
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    kind: SmolStr,
    metadata: AnswerMetadata,
    details: Option<AnswerDetails>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct AnswerMetadata {
    name: SmolStr,
    namespace: SmolStr,
    uid: SmolStr,
    resource_version: SmolStr,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AnswerDetails {
    uid: SmolStr,
}

/// What a successful call wrote; nothing for reads. `shown` is the version that the caches
/// showed before, for writes whose answer does not say which version they led to.
fn write_of(request: &ApiRequest, answer: &[u8], shown: u64) -> Option<Write> {
    if matches!(request.verb, ApiVerb::Get | ApiVerb::List(_)) {
        return None;
    }
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    let is_status = answer.kind == "Status";
    let resource = request.resource.clone();
    if matches!(request.verb, ApiVerb::Delete(_)) {
        let uid = if is_status {
            answer.details.unwrap_or_default().uid
        } else {
            answer.metadata.uid
        };
        return Some(Write {
            resource,
            key: request.key.clone(),
            uid,
            effect: WriteEffect::Deleted,
        });
    }
    if is_status {
        return Some(Write {
            resource,
            key: request.key.clone(),
            uid: SmolStr::default(),
            effect: WriteEffect::Changed { from: shown },
        });
    }
    let AnswerMetadata {
        name,
        namespace,
        uid,
        resource_version,
    } = answer.metadata;
    let revision = resource_version.parse().ok()?;
    let key = ObjectKey { namespace, name };
    Some(Write {
        resource,
        key,
        uid,
        effect: WriteEffect::Stored { revision },
    })
}
