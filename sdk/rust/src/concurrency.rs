//! Many API calls at once.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Runs all futures together and returns their results in order.
///
/// Each future has a waker of its own, so that one answer among hundreds costs one poll.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut members: Vec<Member<F>> = futures.into_iter().map(Member::new).collect();
    let mut waiting = members.len();
    poll_fn(|context| {
        for member in &mut members {
            if member.poll(context) {
                waiting -= 1;
            }
        }
        if waiting == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    members.into_iter().filter_map(|member| member.result).collect()
}

/// Runs `count` calls in batches of 1, 2, 4, …, each batch together, and stops after the
/// first batch with a failure: a call that must fail is not made five hundred times.
/// Returns how many succeeded, and the first failure.
pub async fn slow_start<F, T, E>(count: usize, mut call: impl FnMut(usize) -> F) -> (usize, Option<E>)
where
    F: Future<Output = Result<T, E>>,
{
    let (mut started, mut succeeded, mut size) = (0, 0, 1);
    while started < count {
        let batch = size.min(count - started);
        let results = join_all((started..started + batch).map(&mut call)).await;
        started += batch;
        size = batch * 2;
        let mut failure = None;
        for result in results {
            match result {
                Ok(_) => succeeded += 1,
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if failure.is_some() {
            return (succeeded, failure);
        }
    }
    (succeeded, None)
}

/// One future of a [`join_all`], boxed so that it never moves.
struct Member<F: Future> {
    future: Option<Pin<Box<F>>>,
    result: Option<F::Output>,
    alarm: Arc<Alarm>,
}

impl<F: Future> Member<F> {
    fn new(future: F) -> Self {
        let alarm = Arc::new(Alarm {
            rung: AtomicBool::new(true),
            parent: Mutex::new(Waker::noop().clone()),
        });
        Self {
            future: Some(Box::pin(future)),
            result: None,
            alarm,
        }
    }

    /// Polls if woken; true when that made it complete.
    fn poll(&mut self, context: &Context<'_>) -> bool {
        let Some(future) = &mut self.future else {
            return false;
        };
        self.alarm
            .parent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(context.waker());
        if !self.alarm.rung.swap(false, Ordering::Relaxed) {
            return false;
        }
        let waker = Waker::from(Arc::clone(&self.alarm));
        let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) else {
            return false;
        };
        self.future = None;
        self.result = Some(result);
        true
    }
}

/// Remembers that its future has to be polled, and wakes whoever polls it.
struct Alarm {
    rung: AtomicBool,
    parent: Mutex<Waker>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::Relaxed);
        self.parent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::testing::block_on;

    /// Ready at the second poll.
    async fn yield_now() {
        let mut yielded = false;
        poll_fn(|context| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    #[test]
    fn results_keep_the_order_of_the_futures() {
        let results = block_on(join_all((0..10).map(|i| async move {
            for _ in i..10 {
                yield_now().await;
            }
            i
        })));
        assert_eq!(results, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn a_slow_start_doubles_and_stops_after_the_batch_that_failed() {
        let started = RefCell::new(Vec::new());
        let (succeeded, failure) = block_on(slow_start(100, |i| {
            started.borrow_mut().push(i);
            async move {
                yield_now().await;
                if i == 4 { Err("refused") } else { Ok(()) }
            }
        }));
        assert_eq!((succeeded, failure), (6, Some("refused")));
        assert_eq!(started.borrow().len(), 7, "1 + 2 + 4");
    }

    #[test]
    fn a_slow_start_does_no_more_than_asked() {
        assert_eq!(block_on(slow_start(6, |_| async { Ok::<_, ()>(()) })), (6, None));
    }
}
