//! What live charts are drawn from: rates and latencies per module over one period, and
//! the last few minutes of them.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;
use crate::status::{HostStatus, ModuleStatus};

/// Samples remembered.
pub const HISTORY: usize = 180;

/// All modules over one period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// The end of the period.
    pub at: Timestamp,
    /// By module, in the order of the configuration.
    pub modules: Vec<ModuleSample>,
}

/// One module over one period.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModuleSample {
    /// Its name.
    pub name: String,
    /// Keys ready to be taken, at the end of the period.
    pub depth: u64,
    /// Syncs running then.
    pub active: u64,
    /// Ended syncs per second.
    pub syncs: f64,
    /// Of them, errors.
    pub errors: f64,
    /// Half of the syncs took at most this many seconds; `None` if there were none.
    pub p50: Option<f64>,
    /// All but one in a hundred took at most this many seconds.
    pub p99: Option<f64>,
    /// API calls per second.
    pub calls: f64,
    /// Share of one CPU spent in guest code.
    pub cpu: f64,
    /// Linear memory at the end of the period.
    pub memory_bytes: u64,
}

/// Makes samples from looks at the host.
#[derive(Debug, Default)]
pub struct Sampler {
    before: Option<Instant>,
    modules: HashMap<String, Totals>,
    history: VecDeque<Sample>,
}

/// What only ever grows.
#[derive(Debug)]
struct Totals {
    latency: Histogram,
    syncs: u64,
    errors: u64,
    calls: u64,
    cpu_seconds: f64,
}

impl Sampler {
    /// Takes one look into account. The first gives no sample, since rates need two.
    pub fn observe(&mut self, now: Instant, status: &HostStatus) -> Option<Sample> {
        let before = self.before.replace(now);
        let mut modules = HashMap::with_capacity(status.modules.len());
        let elapsed = before.map_or(0.0, |before| now.duration_since(before).as_secs_f64());
        let mut samples = Vec::with_capacity(status.modules.len());
        for module in &status.modules {
            let totals = Totals::of(module);
            samples.push(sample(module, &totals, self.modules.get(&module.name), elapsed));
            modules.insert(module.name.clone(), totals);
        }
        self.modules = modules;
        before?;
        let sample = Sample {
            at: status.at,
            modules: samples,
        };
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(sample.clone());
        Some(sample)
    }

    /// The latest samples, oldest first.
    #[must_use]
    pub fn history(&self) -> &VecDeque<Sample> {
        &self.history
    }
}

impl Totals {
    fn of(module: &ModuleStatus) -> Self {
        Self {
            latency: module.syncs.latency.clone(),
            syncs: module.syncs.total(),
            errors: module.syncs.error_total(),
            calls: module.api.total(),
            cpu_seconds: module.usage.cpu_seconds,
        }
    }
}

fn sample(module: &ModuleStatus, now: &Totals, before: Option<&Totals>, elapsed: f64) -> ModuleSample {
    let mut sample = ModuleSample {
        name: module.name.clone(),
        depth: module.queue.depth,
        active: module.workers.active,
        memory_bytes: module.usage.memory_bytes,
        ..ModuleSample::default()
    };
    let Some(before) = before.filter(|_| elapsed > 0.0) else {
        return sample;
    };
    let rate = |now: u64, before: u64| round(now.saturating_sub(before) as f64 / elapsed);
    let latency = now.latency.since(&before.latency);
    sample.syncs = rate(now.syncs, before.syncs);
    sample.errors = rate(now.errors, before.errors);
    sample.calls = rate(now.calls, before.calls);
    sample.cpu = round((now.cpu_seconds - before.cpu_seconds).max(0.0) / elapsed);
    sample.p50 = latency.quantile(0.5).map(round);
    sample.p99 = latency.quantile(0.99).map(round);
    sample
}

/// To a millionth: digits that no chart shows would be most of what is sent.
fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::status::SyncResult;
    use crate::sync_recorder::{SyncEnd, SyncRecorder};
    use windlass_core::key::ObjectKey;

    fn status(recorder: &SyncRecorder) -> HostStatus {
        let module = ModuleStatus {
            name: "deployment".to_owned(),
            syncs: recorder.snapshot(),
            ..ModuleStatus::default()
        };
        HostStatus {
            modules: vec![module],
            ..HostStatus::default()
        }
    }

    fn record(recorder: &SyncRecorder, times: u64, duration: Duration, result: SyncResult) {
        for id in 0..times {
            recorder.record(SyncEnd {
                id,
                key: &ObjectKey::new("default", "web"),
                waited: Some(Duration::ZERO),
                duration,
                result,
                error: None,
            });
        }
    }

    #[test]
    fn rates_and_latencies_are_of_the_period_alone() {
        let (recorder, mut sampler, start) = (SyncRecorder::default(), Sampler::default(), Instant::now());
        record(&recorder, 1000, Duration::from_secs(5), SyncResult::Success);
        assert_eq!(sampler.observe(start, &status(&recorder)), None);

        record(&recorder, 8, Duration::from_micros(100), SyncResult::Success);
        record(&recorder, 2, Duration::from_micros(100), SyncResult::Retry);
        let sample = sampler.observe(start + Duration::from_secs(2), &status(&recorder));
        let module = sample.expect("the second look gives one").modules.remove(0);
        assert_eq!((module.syncs, module.errors), (5.0, 1.0));
        assert!(module.p99.is_some_and(|p99| p99 <= 1e-4), "{module:?}");

        let sample = sampler.observe(start + Duration::from_secs(3), &status(&recorder));
        let module = sample.expect("so does the third").modules.remove(0);
        assert_eq!((module.syncs, module.p99), (0.0, None));
    }

    #[test]
    fn the_history_is_bounded() {
        let (recorder, mut sampler, start) = (SyncRecorder::default(), Sampler::default(), Instant::now());
        for second in 0..2 * HISTORY as u64 {
            sampler.observe(start + Duration::from_secs(second), &status(&recorder));
        }
        assert_eq!(sampler.history().len(), HISTORY);
    }
}
