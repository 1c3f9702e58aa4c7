//! An append-only log of changes that forgets its oldest part.
//!
//! Readers remember a position and ask what came after it. A reader that fell behind what is still kept is
//! told so and starts over, which is cheaper for it than a long replay.

/// The log.
#[derive(Debug)]
pub(crate) struct Journal<T> {
    entries: Vec<T>,
    start: u64,
}

impl<T> Default for Journal<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            start: 0,
        }
    }
}

impl<T> Journal<T> {
    /// Appends. At least as many entries as `worth_replaying` stay readable.
    pub(crate) fn push(&mut self, entry: T, worth_replaying: usize) {
        let keep = worth_replaying.max(64);
        if self.entries.len() >= 2 * keep {
            let surplus = self.entries.len() - keep;
            self.entries.drain(..surplus);
            self.start += surplus as u64;
        }
        self.entries.push(entry);
    }

    /// The position after the last entry.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.entries.len() as u64
    }

    /// What came after a position; `None` when part of it is forgotten.
    pub(crate) fn since(&self, position: u64) -> Option<&[T]> {
        let offset = position.checked_sub(self.start)?;
        self.entries.get(usize::try_from(offset).ok()?..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_gets_what_it_missed_or_learns_that_it_is_gone() {
        let mut journal = Journal::default();
        for entry in 0..1000 {
            journal.push(entry, 64);
        }
        assert_eq!(journal.end(), 1000);
        assert_eq!(journal.since(998), Some([998, 999].as_slice()));
        assert_eq!(journal.since(1000), Some([].as_slice()));
        assert_eq!(journal.since(10), None);
    }
}
