//! The contract's imports.

use crate::api_error::ApiError;
use crate::bindings::controller::windlass::controller as wit;
use crate::client::{Call, Verb};

pub(crate) use wit::clock::monotonic;
pub(crate) use wit::discovery::resolve;
pub(crate) use wit::lister;
pub(crate) use wit::logging::{enabled as log_enabled, log};
pub(crate) use wit::metrics;
pub(crate) use wit::module_config::get as config;
pub(crate) use wit::random::next as random;
pub(crate) use wit::workqueue::add as enqueue;

pub(crate) fn now() -> (i64, u32) {
    let now = wit::clock::now();
    (now.seconds, now.nanoseconds)
}

pub(crate) fn record(event: wit::recorder::Event) {
    wit::recorder::record(&event);
}

pub(crate) async fn call(call: Call) -> Result<Vec<u8>, ApiError> {
    let Call {
        sync,
        resource,
        key,
        subresource,
        verb,
    } = call;
    let resource = resource.to_wit();
    let target = |key, resource| wit::clientset::Target {
        resource,
        key,
        subresource: subresource.to_owned(),
    };
    let result = match verb {
        Verb::List(options) => wit::clientset::list(sync, resource, options).await,
        Verb::Get => wit::clientset::get(sync, target(key, resource)).await,
        Verb::Create(body) => wit::clientset::create(sync, target(key, resource), body).await,
        Verb::Update(body) => wit::clientset::update(sync, target(key, resource), body).await,
        Verb::Patch(patch_type, body) => {
            wit::clientset::patch(sync, target(key, resource), patch_type, body).await
        }
        Verb::Delete(options) => wit::clientset::delete(sync, target(key, resource), options).await,
    };
    result.map_err(|error| ApiError {
        kind: error.kind,
        code: error.code,
        reason: error.reason,
        message: error.message,
        causes: error.causes,
        retry_after_ms: error.retry_after_ms,
    })
}
