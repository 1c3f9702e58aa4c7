//! `clientset`: calls to the API server, by way of the module's own writer, which checks
//! permissions and keeps the budget.

use bytes::Bytes;
use wasmtime::component::{Accessor, HasSelf};
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::key::{ObjectKey, Resource};
use windlass_core::seams::{self, ApiRequest, ApiVerb, SyncId};

use crate::bindings::windlass::controller::clientset as wit;
use crate::bindings::windlass::controller::types;
use crate::exports::core_key;
use crate::host::{HostState, is_secrets};
use crate::usage::Import;

type Own = HasSelf<HostState>;
type Answer = wasmtime::Result<Result<Vec<u8>, types::ApiError>>;

impl wit::Host for HostState {}

impl wit::HostWithStore<HostState> for Own {
    async fn get(accessor: &Accessor<HostState, Self>, sync: SyncId, target: wit::Target) -> Answer {
        call(accessor, sync, request(target, ApiVerb::Get)).await
    }

    async fn list(
        accessor: &Accessor<HostState, Self>,
        sync: SyncId,
        resource: types::ApiResource,
        options: wit::ListOptions,
    ) -> Answer {
        let key = ObjectKey::new(&options.namespace, "");
        let options = seams::ListOptions {
            label_selector: options.label_selector,
            field_selector: options.field_selector,
            limit: options.limit,
            continue_token: options.continue_,
        };
        let resource = core_resource(&resource);
        let request = ApiRequest {
            resource,
            key,
            subresource: "".into(),
            verb: ApiVerb::List(options),
        };
        call(accessor, sync, request).await
    }

    async fn create(
        accessor: &Accessor<HostState, Self>,
        sync: SyncId,
        target: wit::Target,
        body: Vec<u8>,
    ) -> Answer {
        call(accessor, sync, request(target, ApiVerb::Create(body.into()))).await
    }

    async fn update(
        accessor: &Accessor<HostState, Self>,
        sync: SyncId,
        target: wit::Target,
        body: Vec<u8>,
    ) -> Answer {
        call(accessor, sync, request(target, ApiVerb::Update(body.into()))).await
    }

    async fn patch(
        accessor: &Accessor<HostState, Self>,
        sync: SyncId,
        target: wit::Target,
        patch_type: wit::PatchType,
        body: Vec<u8>,
    ) -> Answer {
        let patch_type = match patch_type {
            wit::PatchType::JsonPatch => seams::PatchType::Json,
            wit::PatchType::MergePatch => seams::PatchType::Merge,
            wit::PatchType::StrategicMergePatch => seams::PatchType::StrategicMerge,
        };
        call(
            accessor,
            sync,
            request(target, ApiVerb::Patch(patch_type, body.into())),
        )
        .await
    }

    async fn delete(
        accessor: &Accessor<HostState, Self>,
        sync: SyncId,
        target: wit::Target,
        options: wit::DeleteOptions,
    ) -> Answer {
        let options = seams::DeleteOptions {
            propagation_policy: options.propagation_policy.map(propagation_policy),
            grace_period_seconds: options.grace_period_seconds,
            precondition_uid: options.preconditions.uid,
            precondition_resource_version: options.preconditions.resource_version,
        };
        call(accessor, sync, request(target, ApiVerb::Delete(options))).await
    }
}

async fn call(accessor: &Accessor<HostState, Own>, sync: SyncId, request: ApiRequest) -> Answer {
    let secret = is_secrets(&request.resource);
    let import = import(&request.verb);
    let answer = accessor.with(|mut access| -> wasmtime::Result<_> {
        let state = access.get();
        state.called(import);
        if let (true, Some(body)) = (secret, body(&request.verb)) {
            state.redactor.note(body);
        }
        // The guest waits, for something that its budget of API calls bounds.
        state.meter.progress();
        Ok(state.services()?.writer.call(sync, request))
    })?;
    let answer = answer.await;
    if let (true, Ok(body)) = (secret, &answer) {
        accessor.with(|mut access| access.get().redactor.note(body));
    }
    Ok(answer.map(Bytes::into).map_err(api_error))
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

fn request(target: wit::Target, verb: ApiVerb) -> ApiRequest {
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

fn propagation_policy(policy: wit::PropagationPolicy) -> seams::PropagationPolicy {
    match policy {
        wit::PropagationPolicy::Background => seams::PropagationPolicy::Background,
        wit::PropagationPolicy::Foreground => seams::PropagationPolicy::Foreground,
        wit::PropagationPolicy::Orphan => seams::PropagationPolicy::Orphan,
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
