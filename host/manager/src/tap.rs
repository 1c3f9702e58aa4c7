//! Listening to the API calls of modules, without being in their way.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use smol_str::SmolStr;
use windlass_core::api_error::ApiError;
use windlass_core::seams::{ApiRequest, ObjectWriter, SyncId};

/// Told of every API call that a module made, after its answer came.
pub trait CallTap: Send + Sync {
    /// Must not block.
    fn called(&self, module: &str, request: &ApiRequest, answer: &Result<Bytes, ApiError>);
}

/// A writer that tells a tap, or the writer itself when there is none.
pub(crate) fn tapped(module: &SmolStr, writer: Arc<dyn ObjectWriter>, tap: Option<Arc<dyn CallTap>>) -> Arc<dyn ObjectWriter> {
    match tap {
        Some(tap) => Arc::new(Tapped { module: module.clone(), writer, tap }),
        None => writer,
    }
}

struct Tapped {
    module: SmolStr,
    writer: Arc<dyn ObjectWriter>,
    tap: Arc<dyn CallTap>,
}

impl ObjectWriter for Tapped {
    fn call(&self, sync: SyncId, request: ApiRequest) -> BoxFuture<'static, Result<Bytes, ApiError>> {
        let (module, tap) = (self.module.clone(), Arc::clone(&self.tap));
        let calling = self.writer.call(sync, request.clone());
        async move {
            let answer = calling.await;
            tap.called(&module, &request, &answer);
            answer
        }
        .boxed()
    }
}
