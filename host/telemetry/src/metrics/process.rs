//! What the `process_*` metrics say, as Prometheus' client libraries have them.
//!
//! Read from the kernel's `/proc` at each scrape; what cannot be read is left out.

use rustix::time::{ClockId, clock_gettime};

use super::exposition::{Exposition, Kind};
use crate::status::HostStatus;

/// Adds the metrics of this process.
pub(super) fn add(exposition: &mut Exposition, status: &HostStatus) {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    exposition
        .family(
            "process_cpu_seconds_total",
            Kind::Counter,
            "User and system CPU time spent by the process, in seconds.",
        )
        .number(&[], cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9);
    exposition
        .family(
            "process_start_time_seconds",
            Kind::Gauge,
            "When the process started, in seconds since the epoch.",
        )
        .number(&[], status.started.as_millisecond() as f64 / 1e3);
    let memory = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let gauges = [
        (
            "process_resident_memory_bytes",
            "Resident memory of the process, in bytes.",
            kibibytes(&memory, "VmRSS:"),
        ),
        (
            "process_virtual_memory_bytes",
            "Virtual memory of the process, in bytes.",
            kibibytes(&memory, "VmSize:"),
        ),
        (
            "process_open_fds",
            "Open file descriptors.",
            std::fs::read_dir("/proc/self/fd")
                .ok()
                .map(|entries| entries.count() as f64),
        ),
        (
            "process_max_fds",
            "Most file descriptors that may be open.",
            max_open_files(&limits),
        ),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            exposition.family(name, Kind::Gauge, help).number(&[], value);
        }
    }
}

/// The value of a line such as `VmRSS:    5120 kB`, in bytes.
fn kibibytes(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let value: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(value * 1024.0)
}

/// The soft limit of the line `Max open files   1024   4096   files`.
fn max_open_files(limits: &str) -> Option<f64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_understood() {
        assert_eq!(
            kibibytes("VmSize:\t   20 kB\nVmRSS:\t    5 kB\n", "VmRSS:"),
            Some(5120.0)
        );
        let limits = "Max processes 7 7 processes\nMax open files            1024                 4096                 files\n";
        assert_eq!(max_open_files(limits), Some(1024.0));
        assert_eq!(max_open_files("Max open files  unlimited unlimited files"), None);
    }
}
