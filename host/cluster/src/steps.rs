//! What a reflector does next: the protocol of list and watch, without the I/O.
//!
//! Follows client-go's reflector (`tools/cache/reflector.go`): a paged list, then watches
//! from the last version seen, each resumed where the one before ended; an expired version
//! means a new list. Differences: lists are always paged and most recent, never "any
//! version", so that memory stays bounded and content never goes back in time; a
//! connection that fails never costs a list, because the version is still good.

use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;
use windlass_core::api_error::{ApiError, ApiErrorKind};

use crate::backoff::Backoff;

/// Items per page, as client-go asks for.
pub(crate) const PAGE_SIZE: u32 = 500;
/// A watch that ends sooner without having said anything counts as a failure.
const SHORT_WATCH: Duration = Duration::from_secs(1);
/// After this many unreadable watches from one version a list has to get past it.
const MAX_UNREADABLE: u32 = 2;

/// The next thing to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Pause(Duration),
    List {
        continue_token: String,
        limit: Option<u32>,
    },
    Watch {
        revision: u64,
        timeout: Duration,
    },
}

/// Whether a list is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    More,
    Complete,
    /// It is not wanted any more as it is.
    Abandoned,
}

/// How a watch ended.
#[derive(Debug)]
pub(crate) enum WatchEnd {
    /// The server closed it in good order.
    Closed { heard: bool, lasted: Duration },
    /// Nothing came for too long.
    Silent,
    /// The connection broke, or the server refused or ended the watch with an error.
    Failed(ApiError),
    /// A frame could not be understood.
    Unreadable,
    /// Subscribers want to see more of the objects than the cache holds, or less.
    ViewChanged,
}

#[derive(Debug)]
enum Position {
    List { continue_token: String },
    Watch { revision: u64 },
}

/// Where a reflector stands.
#[derive(Debug)]
pub(crate) struct Steps {
    position: Position,
    pause: Option<Duration>,
    backoff: Backoff,
    /// The last list expired between two pages; the next is taken in one piece.
    unpaged: bool,
    unreadable: u32,
}

impl Default for Steps {
    fn default() -> Self {
        Self {
            position: Position::List {
                continue_token: String::new(),
            },
            pause: None,
            backoff: Backoff::default(),
            unpaged: false,
            unreadable: 0,
        }
    }
}

impl Steps {
    pub(crate) fn next(&mut self) -> Step {
        if let Some(pause) = self.pause.take() {
            return Step::Pause(pause);
        }
        match &self.position {
            Position::List { continue_token } => {
                let limit = (!self.unpaged).then_some(PAGE_SIZE);
                Step::List {
                    continue_token: continue_token.clone(),
                    limit,
                }
            }
            Position::Watch { revision } => Step::Watch {
                revision: *revision,
                timeout: watch_timeout(),
            },
        }
    }

    /// The latest version seen, while watching.
    pub(crate) fn revision(&self) -> Option<u64> {
        match self.position {
            Position::List { .. } => None,
            Position::Watch { revision } => Some(revision),
        }
    }

    pub(crate) fn page_read(&mut self, continue_token: &str, revision: u64) -> Listing {
        if continue_token.is_empty() {
            self.position = Position::Watch { revision };
            self.unpaged = false;
            self.unreadable = 0;
            return Listing::Complete;
        }
        self.position = Position::List {
            continue_token: continue_token.to_owned(),
        };
        Listing::More
    }

    pub(crate) fn list_failed(&mut self, error: &ApiError, now: Instant) {
        if let Position::List { continue_token } = &self.position {
            self.unpaged = error.kind == ApiErrorKind::Gone && !continue_token.is_empty();
        }
        self.relist();
        // An expired list starts over at once: the wait would only let the next one expire.
        self.pause = if self.unpaged {
            None
        } else {
            Some(self.pause_for(error, now))
        };
    }

    /// A page came that cannot be understood.
    pub(crate) fn page_unreadable(&mut self, now: Instant) {
        self.relist();
        self.pause = Some(self.backoff.next(now));
    }

    /// Another view of the objects is wanted than the one that is being listed.
    pub(crate) fn list_abandoned(&mut self) -> Listing {
        self.relist();
        Listing::Abandoned
    }

    pub(crate) fn advanced(&mut self, to: u64) {
        if let Position::Watch { revision } = &mut self.position {
            if to > *revision {
                *revision = to;
                self.unreadable = 0;
            }
        }
    }

    pub(crate) fn watch_ended(&mut self, end: &WatchEnd, now: Instant) {
        match end {
            WatchEnd::Closed { heard, lasted } => {
                if !heard && *lasted < SHORT_WATCH {
                    self.pause = Some(self.backoff.next(now));
                }
            }
            WatchEnd::Silent => {}
            WatchEnd::ViewChanged => self.relist(),
            WatchEnd::Unreadable => {
                self.unreadable += 1;
                if self.unreadable >= MAX_UNREADABLE {
                    self.relist();
                }
                self.pause = Some(self.backoff.next(now));
            }
            WatchEnd::Failed(error) => {
                if !keeps_version(error.kind) {
                    self.relist();
                }
                self.pause = Some(self.pause_for(error, now));
            }
        }
    }

    fn relist(&mut self) {
        self.position = Position::List {
            continue_token: String::new(),
        };
    }

    /// As long as the server asks for, and at least what failing again costs.
    fn pause_for(&mut self, error: &ApiError, now: Instant) -> Duration {
        self.backoff
            .next(now)
            .max(Duration::from_millis(error.retry_after_ms.unwrap_or(0)))
    }
}

fn keeps_version(kind: ApiErrorKind) -> bool {
    matches!(
        kind,
        ApiErrorKind::TooManyRequests | ApiErrorKind::Unavailable | ApiErrorKind::Timeout
    )
}

/// Five to ten minutes, so that watches do not all end together.
fn watch_timeout() -> Duration {
    Duration::from_secs(rand::rng().random_range(300..600))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watching(revision: u64) -> Steps {
        let mut steps = Steps::default();
        assert_eq!(steps.page_read("", revision), Listing::Complete);
        steps
    }

    fn error(kind: ApiErrorKind) -> ApiError {
        ApiError::local(kind, "no")
    }

    fn list_from_the_start() -> Step {
        Step::List {
            continue_token: String::new(),
            limit: Some(PAGE_SIZE),
        }
    }

    fn after_pause(steps: &mut Steps) -> Step {
        match steps.next() {
            Step::Pause(_) => steps.next(),
            step => panic!("no pause before {step:?}"),
        }
    }

    #[test]
    fn pages_follow_each_other_and_a_watch_follows_the_last() {
        let mut steps = Steps::default();
        assert_eq!(steps.next(), list_from_the_start());
        assert_eq!(steps.page_read("more", 0), Listing::More);
        assert_eq!(
            steps.next(),
            Step::List {
                continue_token: "more".into(),
                limit: Some(PAGE_SIZE)
            }
        );
        assert_eq!(steps.page_read("", 9), Listing::Complete);
        let Step::Watch { revision: 9, timeout } = steps.next() else {
            panic!("no watch")
        };
        assert!((300..600).contains(&timeout.as_secs()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_expires_between_pages_is_taken_in_one_piece_at_once() {
        let mut steps = Steps::default();
        steps.page_read("more", 0);
        steps.list_failed(&error(ApiErrorKind::Gone), Instant::now());
        assert_eq!(
            steps.next(),
            Step::List {
                continue_token: String::new(),
                limit: None
            }
        );
        steps.page_read("", 5);
        steps.watch_ended(&WatchEnd::ViewChanged, Instant::now());
        assert_eq!(steps.next(), list_from_the_start());
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_watch_goes_on_where_it_ended() {
        let mut steps = watching(5);
        steps.advanced(8);
        steps.advanced(7);
        steps.watch_ended(
            &WatchEnd::Closed {
                heard: true,
                lasted: Duration::ZERO,
            },
            Instant::now(),
        );
        assert!(matches!(steps.next(), Step::Watch { revision: 8, .. }));
        steps.watch_ended(&WatchEnd::Silent, Instant::now());
        assert!(matches!(steps.next(), Step::Watch { revision: 8, .. }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_ends_at_once_without_a_word_is_not_hammered() {
        let mut steps = watching(5);
        steps.watch_ended(
            &WatchEnd::Closed {
                heard: false,
                lasted: Duration::ZERO,
            },
            Instant::now(),
        );
        assert!(matches!(after_pause(&mut steps), Step::Watch { revision: 5, .. }));
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_with_the_server_keeps_the_version_and_an_expired_one_does_not() {
        for kind in [
            ApiErrorKind::TooManyRequests,
            ApiErrorKind::Unavailable,
            ApiErrorKind::Timeout,
        ] {
            let mut steps = watching(5);
            steps.watch_ended(&WatchEnd::Failed(error(kind)), Instant::now());
            assert!(
                matches!(after_pause(&mut steps), Step::Watch { revision: 5, .. }),
                "{kind:?}"
            );
        }
        for kind in [
            ApiErrorKind::Gone,
            ApiErrorKind::Forbidden,
            ApiErrorKind::NotFound,
        ] {
            let mut steps = watching(5);
            steps.watch_ended(&WatchEnd::Failed(error(kind)), Instant::now());
            assert_eq!(after_pause(&mut steps), list_from_the_start(), "{kind:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_server_is_given_the_time_it_asks_for() {
        let mut steps = Steps::default();
        let busy = ApiError::from_response(429, b"", Some(60));
        steps.list_failed(&busy, Instant::now());
        assert_eq!(steps.next(), Step::Pause(Duration::from_secs(60)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_nobody_can_read_is_got_past_by_a_list() {
        let mut steps = watching(5);
        steps.watch_ended(&WatchEnd::Unreadable, Instant::now());
        assert!(matches!(after_pause(&mut steps), Step::Watch { revision: 5, .. }));
        steps.watch_ended(&WatchEnd::Unreadable, Instant::now());
        assert_eq!(after_pause(&mut steps), list_from_the_start());
    }
}
