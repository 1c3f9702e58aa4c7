//! `clientset`: calls to the API server, by way of the module's own writer, which checks
//! permissions and keeps the budget; and its blocking twin, which does the same while the
//! whole instance waits.

use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use wasmtime::component::{Accessor, HasSelf};
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::key::{ObjectKey, Resource};
use windlass_core::seams::{self, ApiRequest, ApiVerb, SyncId};

use crate::bindings::windlass::controller::{blocking_clientset as blocking, clientset as wit, types};
use crate::exports::core_key;
use crate::failure::StartExceeded;
use crate::host::{HostState, is_secrets};
use crate::meter::CpuMeter;
use crate::usage::Import;

type Own = HasSelf<HostState>;
type Answer = wasmtime::Result<Result<Vec<u8>, types::ApiError>>;

impl wit::Host for HostState {}

impl wit::HostWithStore<HostState> for Own {
    async fn get(accessor: &Accessor<HostState, Self>, sync: SyncId, target: types::Target) -> Answer {
        call(accessor, sync, request(target, ApiVerb::Get)).await
    }

    async fn list(
        accessor: &Accessor<HostState, Self>,
        sync: SyncId,
        resource: types::ApiResource,
        options: types::ListOptions,
    ) -> Answer {
        call(accessor, sync, list(&resource, options)).await
    }

    async fn create(
        accessor: &Accessor<HostState, Self>,
        sync: SyncId,
        target: types::Target,
        body: Vec<u8>,
    ) -> Answer {
        call(accessor, sync, request(target, ApiVerb::Create(body.into()))).await
    }

    async fn update(
        accessor: &Accessor<HostState, Self>,
        sync: SyncId,
        target: types::Target,
        body: Vec<u8>,
    ) -> Answer {
        call(accessor, sync, request(target, ApiVerb::Update(body.into()))).await
    }

    async fn patch(
        accessor: &Accessor<HostState, Self>,
        sync: SyncId,
        target: types::Target,
        patch_type: types::PatchType,
        body: Vec<u8>,
    ) -> Answer {
        call(accessor, sync, patch(target, patch_type, body)).await
    }

    async fn delete(
        accessor: &Accessor<HostState, Self>,
        sync: SyncId,
        target: types::Target,
        options: types::DeleteOptions,
    ) -> Answer {
        call(accessor, sync, delete(target, options)).await
    }
}

impl blocking::Host for HostState {
    async fn get(&mut self, sync: SyncId, target: types::Target) -> Answer {
        call_blocking(self, sync, request(target, ApiVerb::Get)).await
    }

    async fn list(
        &mut self,
        sync: SyncId,
        resource: types::ApiResource,
        options: types::ListOptions,
    ) -> Answer {
        call_blocking(self, sync, list(&resource, options)).await
    }

    async fn create(&mut self, sync: SyncId, target: types::Target, body: Vec<u8>) -> Answer {
        call_blocking(self, sync, request(target, ApiVerb::Create(body.into()))).await
    }

    async fn update(&mut self, sync: SyncId, target: types::Target, body: Vec<u8>) -> Answer {
        call_blocking(self, sync, request(target, ApiVerb::Update(body.into()))).await
    }

    async fn patch(
        &mut self,
        sync: SyncId,
        target: types::Target,
        patch_type: types::PatchType,
        body: Vec<u8>,
    ) -> Answer {
        call_blocking(self, sync, patch(target, patch_type, body)).await
    }

    async fn delete(&mut self, sync: SyncId, target: types::Target, options: types::DeleteOptions) -> Answer {
        call_blocking(self, sync, delete(target, options)).await
    }
}

async fn call(accessor: &Accessor<HostState, Own>, sync: SyncId, request: ApiRequest) -> Answer {
    let call = accessor.with(|mut access| Call::begin(access.get(), sync, request))?;
    let answer = call.answer.await;
    if call.is_secret {
        accessor.with(|mut access| note_secret(access.get(), &answer));
    }
    Ok(answer.map(Bytes::into).map_err(api_error))
}

/// The blocking twin. While the guest waits here nobody else looks at the clock of `start`.
async fn call_blocking(state: &mut HostState, sync: SyncId, request: ApiRequest) -> Answer {
    let call = Call::begin(state, sync, request)?;
    let answer = match state.start_deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, call.answer)
            .await
            .map_err(|_elapsed| StartExceeded(state.limits.start_timeout))?,
        None => call.answer.await,
    };
    if call.is_secret {
        note_secret(state, &answer);
    }
    Ok(answer.map(Bytes::into).map_err(api_error))
}

/// A call that is on its way.
struct Call {
    is_secret: bool,
    answer: BoxFuture<'static, Result<Bytes, ApiError>>,
}

impl Call {
    fn begin(state: &mut HostState, sync: SyncId, request: ApiRequest) -> wasmtime::Result<Self> {
        state.called(import(&request.verb));
        let is_secret = is_secrets(&request.resource);
        if let (true, Some(body)) = (is_secret, body(&request.verb)) {
            state.redactor.note(body);
        }
        let answer = state.services()?.writer.call(sync, request);
        Ok(Self {
            is_secret,
            answer: waiting(Arc::clone(&state.meter), answer).boxed(),
        })
    }
}

async fn waiting<T>(meter: Arc<CpuMeter>, mut answer: BoxFuture<'static, T>) -> T {
    match futures::poll!(&mut answer) {
        // Refused: the guest goes on at once, perhaps to ask again, and has not waited.
        Poll::Ready(answer) => answer,
        Poll::Pending => {
            // It waits, for something that its budget of API calls bounds.
            meter.progress();
            answer.await
        }
    }
}

fn note_secret(state: &mut HostState, answer: &Result<Bytes, ApiError>) {
    if let Ok(body) = answer {
        state.redactor.note(body);
    }
}

fn import(verb: &ApiVerb) -> Import {
    match verb {
        ApiVerb::Get => Import::ClientsetGet,
        ApiVerb::List(_) => Import::ClientsetList,
        ApiVerb::Create(_) => Import::ClientsetCreate,
        ApiVerb::Update(_) => Import::ClientsetUpdate,
        ApiVerb::Patch(..) => Import::ClientsetPatch,
        ApiVerb::Delete(_) => Import::ClientsetDelete,
    }
}

fn body(verb: &ApiVerb) -> Option<&Bytes> {
    match verb {
        ApiVerb::Create(body) | ApiVerb::Update(body) | ApiVerb::Patch(_, body) => Some(body),
        ApiVerb::Get | ApiVerb::List(_) | ApiVerb::Delete(_) => None,
    }
}

fn list(resource: &types::ApiResource, options: types::ListOptions) -> ApiRequest {
    let key = ObjectKey::new(&options.namespace, "");
    let options = seams::ListOptions {
        label_selector: options.label_selector,
        field_selector: options.field_selector,
        limit: options.limit,
        continue_token: options.continue_,
    };
    ApiRequest {
        resource: core_resource(resource),
        key,
        subresource: "".into(),
        verb: ApiVerb::List(options),
    }
}

fn patch(target: types::Target, patch_type: types::PatchType, body: Vec<u8>) -> ApiRequest {
    let patch_type = match patch_type {
        types::PatchType::JsonPatch => seams::PatchType::Json,
        types::PatchType::MergePatch => seams::PatchType::Merge,
        types::PatchType::StrategicMergePatch => seams::PatchType::StrategicMerge,
    };
    request(target, ApiVerb::Patch(patch_type, body.into()))
}

fn delete(target: types::Target, options: types::DeleteOptions) -> ApiRequest {
    let options = seams::DeleteOptions {
        propagation_policy: options.propagation_policy.map(propagation_policy),
        grace_period_seconds: options.grace_period_seconds,
        precondition_uid: options.preconditions.uid,
        precondition_resource_version: options.preconditions.resource_version,
    };
    request(target, ApiVerb::Delete(options))
}

fn request(target: types::Target, verb: ApiVerb) -> ApiRequest {
    ApiRequest {
        resource: core_resource(&target.resource),
        key: core_key(&target.key),
        subresource: target.subresource.into(),
        verb,
    }
}

fn core_resource(resource: &types::ApiResource) -> Resource {
    Resource::new(&resource.group, &resource.version, &resource.plural)
}

fn propagation_policy(policy: types::PropagationPolicy) -> seams::PropagationPolicy {
    match policy {
        types::PropagationPolicy::Background => seams::PropagationPolicy::Background,
        types::PropagationPolicy::Foreground => seams::PropagationPolicy::Foreground,
        types::PropagationPolicy::Orphan => seams::PropagationPolicy::Orphan,
    }
}

fn api_error(error: ApiError) -> types::ApiError {
    let causes = error.causes.into_iter().map(|cause| types::StatusCause {
        reason: cause.reason,
        field: cause.field,
        message: cause.message,
    });
    types::ApiError {
        kind: api_error_kind(error.kind),
        code: error.code,
        reason: error.reason,
        message: error.message,
        causes: causes.collect(),
        retry_after_ms: error.retry_after_ms,
    }
}

fn api_error_kind(kind: ApiErrorKind) -> types::ApiErrorKind {
    match kind {
        ApiErrorKind::NotFound => types::ApiErrorKind::NotFound,
        ApiErrorKind::AlreadyExists => types::ApiErrorKind::AlreadyExists,
        ApiErrorKind::Conflict => types::ApiErrorKind::Conflict,
        ApiErrorKind::Invalid => types::ApiErrorKind::Invalid,
        ApiErrorKind::BadRequest => types::ApiErrorKind::BadRequest,
        ApiErrorKind::Forbidden => types::ApiErrorKind::Forbidden,
        ApiErrorKind::NamespaceTerminating => types::ApiErrorKind::NamespaceTerminating,
        ApiErrorKind::Gone => types::ApiErrorKind::Gone,
        ApiErrorKind::UnsupportedMediaType => types::ApiErrorKind::UnsupportedMediaType,
        ApiErrorKind::TooManyRequests => types::ApiErrorKind::TooManyRequests,
        ApiErrorKind::Timeout => types::ApiErrorKind::Timeout,
        ApiErrorKind::Unavailable => types::ApiErrorKind::Unavailable,
        ApiErrorKind::NotPermitted => types::ApiErrorKind::NotPermitted,
        ApiErrorKind::Other => types::ApiErrorKind::Other,
    }
}
