//! The API calls of one module on their way: they outlive the instance that made them,
//! and others may listen to them.
//!
//! A write whose guest traps in the meantime has still been sent. If it were dropped with
//! the guest, the host would not know what it did, and the next sync of its key would act
//! on a cache that does not show it: one pod too many. So writes run to their end in tasks
//! of their own, and [`Calls::idle`] lets the supervisor wait for them.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use smol_str::SmolStr;
use tokio::sync::watch;
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::seams::{ApiRequest, ApiVerb, ObjectWriter, SyncId};

/// Told of every API call that a module made, after its answer came.
pub trait CallTap: Send + Sync {
    /// Must not block.
    fn called(&self, module: &str, request: &ApiRequest, answer: &Result<Bytes, ApiError>);
}

/// An [`ObjectWriter`] around another. Cheap to clone.
#[derive(Clone)]
pub struct Calls {
    module: SmolStr,
    writer: Arc<dyn ObjectWriter>,
    tap: Option<Arc<dyn CallTap>>,
    /// Writes that have no answer yet.
    outstanding: watch::Sender<usize>,
}

impl Calls {
    /// Wraps a module's writer.
    #[must_use]
    pub fn new(module: SmolStr, writer: Arc<dyn ObjectWriter>, tap: Option<Arc<dyn CallTap>>) -> Self {
        Self {
            module,
            writer,
            tap,
            outstanding: watch::Sender::new(0),
        }
    }

    /// Waits until no write is outstanding. Each ends within the client's time limit.
    pub async fn idle(&self) {
        // An error would mean that the sender is gone, and it is right here.
        let _ = self
            .outstanding
            .subscribe()
            .wait_for(|outstanding| *outstanding == 0)
            .await;
    }

    async fn finish(self, sync: SyncId, request: ApiRequest) -> Result<Bytes, ApiError> {
        let Some(tap) = self.tap else {
            return self.writer.call(sync, request).await;
        };
        let answer = self.writer.call(sync, request.clone()).await;
        tap.called(&self.module, &request, &answer);
        answer
    }
}

impl ObjectWriter for Calls {
    fn call(&self, sync: SyncId, request: ApiRequest) -> BoxFuture<'static, Result<Bytes, ApiError>> {
        let calls = self.clone();
        if matches!(request.verb, ApiVerb::Get | ApiVerb::List(_)) {
            return calls.finish(sync, request).boxed();
        }
        async move {
            let outstanding = Outstanding::begin(&calls.outstanding);
            let task = tokio::spawn(async move {
                let answer = calls.finish(sync, request).await;
                drop(outstanding);
                answer
            });
            task.await.unwrap_or_else(|error| {
                Err(ApiError::local(
                    ApiErrorKind::Other,
                    format!("the call was lost: {error}"),
                ))
            })
        }
        .boxed()
    }
}

/// Counts one write for as long as it lives, so that a panic cannot leave one behind.
struct Outstanding(watch::Sender<usize>);

impl Outstanding {
    fn begin(counter: &watch::Sender<usize>) -> Self {
        counter.send_modify(|outstanding| *outstanding += 1);
        Self(counter.clone())
    }
}

impl Drop for Outstanding {
    fn drop(&mut self) {
        self.0.send_modify(|outstanding| *outstanding -= 1);
    }
}
