//! What one guest instance may use.
//!
//! Owns the numbers and the memory accounting. The CPU budget is counted by
//! `meter`, the stack is a property of the whole engine
//! ([`EngineConfig::stack_bytes`](crate::engine::EngineConfig::stack_bytes)).

use std::time::Duration;

use wasmtime::ResourceLimiter;
use windlass_core::seams::LogLevel;

use crate::usage::Share;

const MEBIBYTE: usize = 1 << 20;
/// What one table element costs, as wasmtime stores it.
const TABLE_ELEMENT_BYTES: usize = size_of::<usize>();

/// Budgets of one guest instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory and tables together.
    pub memory_bytes: usize,
    /// Computing without waiting for anything and without finishing a call.
    pub cpu_budget: Duration,
    /// What the guest may pass to the host in one call: a result, a request body, a log line.
    pub result_bytes: usize,
    /// How long `start` may take, waiting included.
    pub start_timeout: Duration,
    /// Lines in the host's log.
    pub log_lines_per_second: u32,
    /// The least severe lines that are logged, as far as the host's log takes them.
    pub log_level: LogLevel,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 * MEBIBYTE,
            cpu_budget: Duration::from_secs(1),
            result_bytes: 4 * MEBIBYTE,
            start_timeout: Duration::from_secs(30),
            log_lines_per_second: 100,
            log_level: LogLevel::Trace,
        }
    }
}

/// The guest asked for more memory than it may have.
#[derive(Debug, thiserror::Error)]
#[error("memory limit of {limit_bytes} bytes exceeded")]
pub(crate) struct MemoryExceeded {
    limit_bytes: usize,
}

/// Counts the memory of one store against its limit. A refused growth traps, because a
/// guest that goes on after a failed allocation is in no state to be trusted, and the
/// operator should read "memory", not whatever the guest made of it.
#[derive(Debug)]
pub(crate) struct MemoryLimiter {
    limit_bytes: usize,
    used_bytes: usize,
    share: Share,
}

impl MemoryLimiter {
    pub(crate) fn new(limit_bytes: usize, share: Share) -> Self {
        Self {
            limit_bytes,
            used_bytes: 0,
            share,
        }
    }

    fn grow(&mut self, additional_bytes: usize) -> wasmtime::Result<bool> {
        let wanted = self.used_bytes.saturating_add(additional_bytes);
        if wanted > self.limit_bytes {
            return Err(MemoryExceeded {
                limit_bytes: self.limit_bytes,
            }
            .into());
        }
        self.used_bytes = wanted;
        Ok(true)
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let additional_bytes = desired.saturating_sub(current);
        let grows = self.grow(additional_bytes)?;
        self.share.grew(additional_bytes);
        Ok(grows)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.grow(
            desired
                .saturating_sub(current)
                .saturating_mul(TABLE_ELEMENT_BYTES),
        )
    }

    // Each instance, table and memory costs the host something that the byte count does
    // not show. A Python guest, the largest kind known, has 14 instances.
    fn instances(&self) -> usize {
        100
    }

    fn tables(&self) -> usize {
        100
    }

    fn memories(&self) -> usize {
        20
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn memories_and_tables_count_against_one_limit() {
        let mut limiter = MemoryLimiter::new(MEBIBYTE, Share::new(Arc::default()));
        assert!(limiter.memory_growing(0, MEBIBYTE / 2, None).unwrap());
        assert!(
            limiter
                .table_growing(0, MEBIBYTE / 4 / TABLE_ELEMENT_BYTES, None)
                .unwrap()
        );
        assert!(
            limiter
                .memory_growing(MEBIBYTE / 2, MEBIBYTE * 3 / 4, None)
                .unwrap()
        );
        let error = limiter.memory_growing(0, 65_536, None).unwrap_err();
        assert_eq!(error.to_string(), "memory limit of 1048576 bytes exceeded");
    }
}
