//! The figures that guests of a module count themselves, for status and metrics.
//!
//! Shared by all instances of a module, one after another and side by side, and read at
//! any time. Promises: whatever guests declare and count, a module has at most
//! [`MAX_FAMILIES`] metrics with [`MAX_SERIES`] series in total; what does not fit is
//! dropped and counted. Deliberately not here: names and formats of the exposition.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Metrics that one instance may declare.
pub const MAX_DECLARED: usize = 64;
/// Metrics of a module, those of its earlier versions included.
pub const MAX_FAMILIES: usize = 256;
/// Series of a module, each bucket of a histogram counting as one.
pub const MAX_SERIES: usize = 2_000;
const MAX_NAME_BYTES: usize = 100;
const MAX_HELP_BYTES: usize = 500;
const MAX_LABELS: usize = 8;
const MAX_LABEL_VALUE_BYTES: usize = 256;
const MAX_BUCKETS: usize = 32;
const USUAL_BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// What is counted.
#[derive(Clone, Debug, PartialEq)]
pub enum CustomKind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations by size; upper bounds, ascending, without infinity.
    Histogram(Vec<f64>),
}

/// One metric as a guest declared it, validated.
#[derive(Clone, Debug, PartialEq)]
pub struct Declaration {
    /// Its name, without a prefix.
    pub name: String,
    /// For people.
    pub help: String,
    /// What it counts.
    pub kind: CustomKind,
    /// Names of its labels.
    pub labels: Vec<String>,
}

/// Why a metric cannot be declared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum DeclareError {
    #[error(
        "metric name \"{0}\": use letters, digits and underscores, at most {MAX_NAME_BYTES}, no digit in front"
    )]
    Name(String),
    #[error(
        "metric {metric}: label \"{label}\" is taken, given twice, or not of letters, digits and underscores"
    )]
    Label { metric: String, label: String },
    #[error("metric {metric}: {count} labels, at most {MAX_LABELS} are possible")]
    Labels { metric: String, count: usize },
    #[error("metric {0}: the bounds of its buckets must be finite and ascending, at most {MAX_BUCKETS}")]
    Buckets(String),
    #[error("metric {0}: already declared otherwise by this instance")]
    Changed(String),
    #[error("metric {0}: this instance has declared {MAX_DECLARED}, which is the most possible")]
    TooMany(String),
}

impl Declaration {
    /// Checks what a guest declares, and fills in the usual buckets.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(crate) fn checked(mut self) -> Result<Self, DeclareError> {
        if !is_name(&self.name) {
            return Err(DeclareError::Name(self.name));
        }
        self.check_labels()?;
        truncate(&mut self.help, MAX_HELP_BYTES);
        if let CustomKind::Histogram(bounds) = &mut self.kind {
            if bounds.is_empty() {
                bounds.extend(USUAL_BUCKETS);
            }
            let ascending = bounds
                .windows(2)
                .all(|pair| matches!(pair, [low, high] if low < high));
            if bounds.len() > MAX_BUCKETS || !ascending || !bounds.iter().all(|bound| bound.is_finite()) {
                return Err(DeclareError::Buckets(self.name));
            }
        }
        Ok(self)
    }

    fn check_labels(&self) -> Result<(), DeclareError> {
        let metric = || self.name.clone();
        if self.labels.len() > MAX_LABELS {
            return Err(DeclareError::Labels {
                metric: metric(),
                count: self.labels.len(),
            });
        }
        for (position, label) in self.labels.iter().enumerate() {
            let is_taken = matches!(label.as_str(), "module" | "le" | "quantile") || label.starts_with("__");
            let is_repeated = self.labels.iter().take(position).any(|earlier| earlier == label);
            if !is_name(label) || is_taken || is_repeated {
                return Err(DeclareError::Label {
                    metric: metric(),
                    label: label.clone(),
                });
            }
        }
        Ok(())
    }

    /// Series that one set of label values takes.
    fn weight(&self) -> usize {
        match &self.kind {
            CustomKind::Counter | CustomKind::Gauge => 1,
            CustomKind::Histogram(bounds) => bounds.len() + 3,
        }
    }
}

fn is_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let mut bytes = name.bytes();
    name.len() <= MAX_NAME_BYTES
        && bytes.next().is_some_and(is_letter)
        && bytes.all(|byte| is_letter(byte) || byte.is_ascii_digit())
}

fn truncate(text: &mut String, most: usize) {
    let end = (0..=most.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or_default());
}

/// The value of one series.
#[derive(Clone, Debug, PartialEq)]
pub enum CustomValue {
    /// Of a counter or a gauge.
    Number(f64),
    /// Of a histogram: observations by bucket, the one without bound last, and their sum.
    Histogram {
        /// Not cumulative.
        counts: Vec<u64>,
        /// Of all observations.
        sum: f64,
    },
}

/// One metric with its series.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomFamily {
    /// What it is.
    pub declaration: Arc<Declaration>,
    /// Values of the labels, in the order of their declaration, and the value.
    pub series: Vec<(Vec<String>, CustomValue)>,
}

/// The metrics of one module.
#[derive(Debug, Default)]
pub struct CustomMetrics {
    state: Mutex<State>,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    families: BTreeMap<String, Family>,
    series: usize,
}

#[derive(Debug)]
struct Family {
    declaration: Arc<Declaration>,
    series: HashMap<Vec<String>, CustomValue>,
}

/// What a guest does to a series.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    Add(f64),
    Set(f64),
    Observe(f64),
}

impl CustomMetrics {
    /// All metrics, by name, and their series, by label values.
    #[must_use]
    pub fn families(&self) -> Vec<CustomFamily> {
        let state = self.state.lock();
        let family = |family: &Family| {
            let mut series: Vec<_> = family.series.clone().into_iter().collect();
            series.sort_by(|(one, _), (other, _)| one.cmp(other));
            CustomFamily {
                declaration: Arc::clone(&family.declaration),
                series,
            }
        };
        state.families.values().map(family).collect()
    }

    /// Values that did not fit or made no sense.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Makes room for a metric. One of this name that was declared otherwise, by an
    /// earlier version, ends.
    fn declare(&self, declaration: &Arc<Declaration>) {
        let mut state = self.state.lock();
        let state = &mut *state;
        if let Some(family) = state.families.get_mut(&declaration.name) {
            if family.declaration != *declaration {
                state.series -= family.series.len() * family.declaration.weight();
                family.series.clear();
                family.declaration = Arc::clone(declaration);
            }
        } else if state.families.len() < MAX_FAMILIES {
            let family = Family {
                declaration: Arc::clone(declaration),
                series: HashMap::new(),
            };
            state.families.insert(declaration.name.clone(), family);
        }
    }

    fn change(&self, declaration: &Declaration, labels: Vec<String>, change: Change) {
        if !self.state.lock().change(declaration, labels, change) {
            self.drop_one();
        }
    }

    fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl State {
    /// False if it does not fit.
    fn change(&mut self, declaration: &Declaration, labels: Vec<String>, change: Change) -> bool {
        let fits = labels.len() == declaration.labels.len()
            && labels.iter().all(|value| value.len() <= MAX_LABEL_VALUE_BYTES);
        let family = self.families.get_mut(&declaration.name);
        let Some(family) = family.filter(|family| fits && *family.declaration == *declaration) else {
            return false;
        };
        if let Some(value) = family.series.get_mut(&labels) {
            return apply(&declaration.kind, value, change);
        }
        let weight = declaration.weight();
        let mut value = zero(&declaration.kind);
        if self.series + weight > MAX_SERIES || !apply(&declaration.kind, &mut value, change) {
            return false;
        }
        self.series += weight;
        family.series.insert(labels, value);
        true
    }
}

fn zero(kind: &CustomKind) -> CustomValue {
    match kind {
        CustomKind::Counter | CustomKind::Gauge => CustomValue::Number(0.0),
        CustomKind::Histogram(bounds) => CustomValue::Histogram {
            counts: vec![0; bounds.len() + 1],
            sum: 0.0,
        },
    }
}

/// False if the change makes no sense for this kind of metric.
fn apply(kind: &CustomKind, value: &mut CustomValue, change: Change) -> bool {
    match (kind, value, change) {
        (CustomKind::Counter, CustomValue::Number(number), Change::Add(more))
            if more.is_finite() && more >= 0.0 =>
        {
            *number += more;
        }
        (CustomKind::Gauge, CustomValue::Number(number), Change::Add(more)) if more.is_finite() => {
            *number += more;
        }
        (CustomKind::Gauge, CustomValue::Number(number), Change::Set(new)) if new.is_finite() => {
            *number = new;
        }
        (
            CustomKind::Histogram(bounds),
            CustomValue::Histogram { counts, sum },
            Change::Observe(observed),
        ) if observed.is_finite() => {
            let bucket = bounds.partition_point(|bound| *bound < observed);
            if let Some(count) = counts.get_mut(bucket) {
                *count += 1;
            }
            *sum += observed;
        }
        _ => return false,
    }
    true
}

/// What one instance has declared; its metrics are named by their position here.
#[derive(Debug)]
pub(crate) struct DeclaredMetrics {
    metrics: Arc<CustomMetrics>,
    declared: Vec<Arc<Declaration>>,
}

impl DeclaredMetrics {
    pub(crate) fn new(metrics: Arc<CustomMetrics>) -> Self {
        Self {
            metrics,
            declared: Vec::new(),
        }
    }

    /// The number that names the metric in later calls.
    pub(crate) fn declare(&mut self, declaration: Declaration) -> Result<u32, DeclareError> {
        let declaration = declaration.checked()?;
        let known = self
            .declared
            .iter()
            .position(|known| known.name == declaration.name);
        if let Some((position, known)) = known.and_then(|at| Some((at, self.declared.get(at)?))) {
            return if **known == declaration {
                Ok(u32::try_from(position).unwrap_or(u32::MAX))
            } else {
                Err(DeclareError::Changed(declaration.name))
            };
        }
        if self.declared.len() >= MAX_DECLARED {
            return Err(DeclareError::TooMany(declaration.name));
        }
        let position = u32::try_from(self.declared.len()).unwrap_or(u32::MAX);
        let declaration = Arc::new(declaration);
        self.metrics.declare(&declaration);
        self.declared.push(declaration);
        Ok(position)
    }

    pub(crate) fn change(&self, metric: u32, labels: Vec<String>, change: Change) {
        let position = usize::try_from(metric).unwrap_or(usize::MAX);
        match self.declared.get(position) {
            Some(declaration) => self.metrics.change(declaration, labels, change),
            None => self.metrics.drop_one(),
        }
    }
}

#[cfg(test)]
mod tests;
