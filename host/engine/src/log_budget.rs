//! How many lines a guest may write into the host's log.

use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(1);

/// Counts lines in windows of a second.
#[derive(Debug)]
pub(crate) struct LogBudget {
    lines_per_window: u32,
    window_start: Option<Instant>,
    lines: u32,
    dropped: u64,
}

/// What to do with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineVerdict {
    /// Write it. Before it, report this many dropped lines of the last window, if any.
    Write {
        /// Not yet reported.
        dropped_before: u64,
    },
    /// Over budget.
    Drop,
}

impl LogBudget {
    pub(crate) fn new(lines_per_second: u32) -> Self {
        Self {
            lines_per_window: lines_per_second,
            window_start: None,
            lines: 0,
            dropped: 0,
        }
    }

    /// Accounts for one line at this time.
    pub(crate) fn line(&mut self, now: Instant) -> LineVerdict {
        let fresh = self
            .window_start
            .is_none_or(|start| now.duration_since(start) >= WINDOW);
        if fresh {
            self.window_start = Some(now);
            self.lines = 0;
        }
        if self.lines >= self.lines_per_window {
            self.dropped += 1;
            return LineVerdict::Drop;
        }
        self.lines += 1;
        LineVerdict::Write {
            dropped_before: std::mem::take(&mut self.dropped),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surplus_lines_are_dropped_and_reported_in_the_next_window() {
        let start = Instant::now();
        let mut budget = LogBudget::new(2);
        assert_eq!(budget.line(start), LineVerdict::Write { dropped_before: 0 });
        assert_eq!(budget.line(start), LineVerdict::Write { dropped_before: 0 });
        assert_eq!(budget.line(start), LineVerdict::Drop);
        assert_eq!(budget.line(start + WINDOW / 2), LineVerdict::Drop);
        assert_eq!(
            budget.line(start + WINDOW),
            LineVerdict::Write { dropped_before: 2 }
        );
    }
}
