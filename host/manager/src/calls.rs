//! The API calls of one module on their way: they outlive the instance that made them,
//! and others may listen to them.
//!
//! A write whose guest traps in the meantime has still been sent. If it were dropped with
//! the guest, the host would not know what it did, and the next sync of its key would act
//! on a cache that does not show it: one pod too many. So writes run to their end in tasks
//! of their own, and [`Outstanding::settled`] lets the supervisor wait for them.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio::sync::Notify;
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::seams::{ApiRequest, ApiVerb, ObjectWriter, SyncId};

/// Told of every API call that a module made, after its answer came.
pub trait CallTap: Send + Sync {
    /// Must not block.
    fn called(&self, module: &str, request: &ApiRequest, answer: &Result<Bytes, ApiError>);
}

/// The writes of one module that have no answer yet, of all its instances.
#[derive(Debug, Default)]
pub struct Outstanding {
    open: Mutex<Open>,
    ended: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    numbers: BTreeSet<u64>,
}

impl Outstanding {
    /// Waits until every write that is outstanding now has its answer. Each gets it within
    /// the client's time limit.
    pub async fn settled(&self) {
        let mark = self.open.lock().next;
        loop {
            let mut ended = pin!(self.ended.notified());
            ended.as_mut().enable();
            if self
                .open
                .lock()
                .numbers
                .first()
                .is_none_or(|first| *first >= mark)
            {
                return;
            }
            ended.await;
        }
    }

    fn begin(self: &Arc<Self>) -> OneWrite {
        let mut open = self.open.lock();
        let number = open.next;
        open.next += 1;
        open.numbers.insert(number);
        OneWrite {
            number,
            outstanding: Arc::clone(self),
        }
    }
}

/// Counts one write for as long as it lives, so that a panic cannot leave one behind.
struct OneWrite {
    number: u64,
    outstanding: Arc<Outstanding>,
}

impl Drop for OneWrite {
    fn drop(&mut self) {
        self.outstanding.open.lock().numbers.remove(&self.number);
        self.outstanding.ended.notify_waiters();
    }
}

/// An [`ObjectWriter`] around another. Cheap to clone.
#[derive(Clone)]
pub struct Calls {
    module: SmolStr,
    writer: Arc<dyn ObjectWriter>,
    tap: Option<Arc<dyn CallTap>>,
    outstanding: Arc<Outstanding>,
}

impl Calls {
    /// Wraps a module's writer.
    #[must_use]
    pub fn new(
        module: SmolStr,
        writer: Arc<dyn ObjectWriter>,
        tap: Option<Arc<dyn CallTap>>,
        outstanding: Arc<Outstanding>,
    ) -> Self {
        Self {
            module,
            writer,
            tap,
            outstanding,
        }
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
            let outstanding = calls.outstanding.begin();
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
