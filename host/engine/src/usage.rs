//! What the instances of a module use, for status and metrics.
//!
//! Shared by all instances of a module, one after another and side by side, and read at
//! any time. Counting costs an atomic addition; nothing here limits anything, which is
//! what [`limits`](crate::limits) and `meter` do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::custom_metrics::CustomMetrics;

/// A function that guests may import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named after its interface and function")]
pub enum Import {
    ClientsetGet,
    ClientsetList,
    ClientsetCreate,
    ClientsetUpdate,
    ClientsetPatch,
    ClientsetDelete,
    ClockNow,
    ClockMonotonic,
    DiscoveryResolve,
    ListerGet,
    ListerList,
    ListerByIndex,
    ListerByOwner,
    ListerOrphans,
    LoggingEnabled,
    LoggingLog,
    MetricsAdd,
    MetricsDeclare,
    MetricsObserve,
    MetricsSet,
    ModuleConfigGet,
    RandomNext,
    RecorderRecord,
    WorkqueueAdd,
}

impl Import {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 24] = [
        Self::ClientsetGet,
        Self::ClientsetList,
        Self::ClientsetCreate,
        Self::ClientsetUpdate,
        Self::ClientsetPatch,
        Self::ClientsetDelete,
        Self::ClockNow,
        Self::ClockMonotonic,
        Self::DiscoveryResolve,
        Self::ListerGet,
        Self::ListerList,
        Self::ListerByIndex,
        Self::ListerByOwner,
        Self::ListerOrphans,
        Self::LoggingEnabled,
        Self::LoggingLog,
        Self::MetricsAdd,
        Self::MetricsDeclare,
        Self::MetricsObserve,
        Self::MetricsSet,
        Self::ModuleConfigGet,
        Self::RandomNext,
        Self::RecorderRecord,
        Self::WorkqueueAdd,
    ];

    /// `interface.function`, as the contract names them.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientsetGet => "clientset.get",
            Self::ClientsetList => "clientset.list",
            Self::ClientsetCreate => "clientset.create",
            Self::ClientsetUpdate => "clientset.update",
            Self::ClientsetPatch => "clientset.patch",
            Self::ClientsetDelete => "clientset.delete",
            Self::ClockNow => "clock.now",
            Self::ClockMonotonic => "clock.monotonic",
            Self::DiscoveryResolve => "discovery.resolve",
            Self::ListerGet => "lister.get",
            Self::ListerList => "lister.list",
            Self::ListerByIndex => "lister.by-index",
            Self::ListerByOwner => "lister.by-owner",
            Self::ListerOrphans => "lister.orphans",
            Self::LoggingEnabled => "logging.enabled",
            Self::LoggingLog => "logging.log",
            Self::MetricsAdd => "metrics.add",
            Self::MetricsDeclare => "metrics.declare",
            Self::MetricsObserve => "metrics.observe",
            Self::MetricsSet => "metrics.set",
            Self::ModuleConfigGet => "module-config.get",
            Self::RandomNext => "random.next",
            Self::RecorderRecord => "recorder.record",
            Self::WorkqueueAdd => "workqueue.add",
        }
    }
}

/// The counters of one module.
#[derive(Debug, Default)]
pub struct Usage {
    memory_bytes: AtomicU64,
    cpu_nanos: AtomicU64,
    instances: AtomicU64,
    calls: [AtomicU64; Import::ALL.len()],
    custom: Arc<CustomMetrics>,
}

impl Usage {
    /// Linear memory of all live instances together.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    /// Time spent in guests so far, host functions that they called included. It is the
    /// time that passed while a thread ran the guest, which is CPU time as long as the
    /// machine has a core for the thread.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        Duration::from_nanos(self.cpu_nanos.load(Ordering::Relaxed))
    }

    /// Live instances.
    #[must_use]
    pub fn instances(&self) -> u64 {
        self.instances.load(Ordering::Relaxed)
    }

    /// Calls of each import so far.
    pub fn calls(&self) -> impl Iterator<Item = (Import, u64)> {
        let counts = self.calls.iter().map(|count| count.load(Ordering::Relaxed));
        Import::ALL.into_iter().zip(counts)
    }

    /// What the guest counts itself.
    #[must_use]
    pub fn custom(&self) -> &Arc<CustomMetrics> {
        &self.custom
    }

    /// A guest was run for this long.
    pub(crate) fn ran(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.cpu_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// A guest called an import.
    pub(crate) fn called(&self, import: Import) {
        if let Some(count) = self.calls.get(import as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One instance's part of its module's [`Usage`], for as long as it lives.
#[derive(Debug)]
pub(crate) struct Share {
    usage: Arc<Usage>,
    is_instance: bool,
    memory_bytes: u64,
}

impl Share {
    pub(crate) fn new(usage: Arc<Usage>) -> Self {
        usage.instances.fetch_add(1, Ordering::Relaxed);
        Self {
            usage,
            is_instance: true,
            memory_bytes: 0,
        }
    }

    /// Of something that belongs to an instance and is none itself, such as its plugins.
    pub(crate) fn of_part(usage: Arc<Usage>) -> Self {
        Self {
            usage,
            is_instance: false,
            memory_bytes: 0,
        }
    }

    /// Its memory grew.
    pub(crate) fn grew(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        self.memory_bytes += bytes;
        self.usage.memory_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.usage
            .memory_bytes
            .fetch_sub(self.memory_bytes, Ordering::Relaxed);
        self.usage
            .instances
            .fetch_sub(u64::from(self.is_instance), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_import_has_its_place_and_its_name() {
        for (position, import) in Import::ALL.into_iter().enumerate() {
            assert_eq!(import as usize, position);
        }
        let mut names = Import::ALL.map(Import::name);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn an_instance_takes_its_memory_with_it() {
        let usage = Arc::<Usage>::default();
        let mut first = Share::new(Arc::clone(&usage));
        let mut second = Share::new(Arc::clone(&usage));
        first.grew(100);
        second.grew(10);
        assert_eq!((usage.memory_bytes(), usage.instances()), (110, 2));
        drop(first);
        assert_eq!((usage.memory_bytes(), usage.instances()), (10, 1));
    }
}
