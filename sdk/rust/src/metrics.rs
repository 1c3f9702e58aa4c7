//! The controller's own figures, in the host's `/metrics`.
//!
//! A metric `NAME` is shown as `windlass_custom_NAME` with the label `module` before its
//! own. Values belong to the module and survive its instances. Declare metrics in
//! [`Controller::start`](crate::Controller::start) or in
//! [`Controller::new`](crate::Controller::new); the number of labels is part of the type,
//! so that none is forgotten where a value is given.

use crate::bindings::controller::windlass::controller::metrics::{Metric, MetricKind};
use crate::host;

/// Only goes up. Its name ends in `_total`, which is added where it is missing.
#[derive(Clone, Copy, Debug)]
pub struct Counter<const LABELS: usize>(u32);

/// Goes up and down.
#[derive(Clone, Copy, Debug)]
pub struct Gauge<const LABELS: usize>(u32);

/// Counts observations by size.
#[derive(Clone, Copy, Debug)]
pub struct Histogram<const LABELS: usize>(u32);

impl<const LABELS: usize> Counter<LABELS> {
    /// Declares a counter, with a line for people and the names of its labels.
    ///
    /// # Errors
    /// A name that Prometheus would not take, a label that is taken, or one metric too many.
    pub fn declare(name: &str, help: &str, labels: [&str; LABELS]) -> Result<Self, String> {
        declare(name, help, MetricKind::Counter, &labels).map(Self)
    }

    /// Adds one to the series with these values of the labels.
    pub fn increment(&self, labels: [&str; LABELS]) {
        self.add(labels, 1.0);
    }

    /// Adds to the series with these values of the labels; nothing below zero.
    pub fn add(&self, labels: [&str; LABELS], value: f64) {
        host::metrics::add(self.0, &owned(&labels), value);
    }
}

impl<const LABELS: usize> Gauge<LABELS> {
    /// Declares a gauge; see [`Counter::declare`].
    ///
    /// # Errors
    /// As there.
    pub fn declare(name: &str, help: &str, labels: [&str; LABELS]) -> Result<Self, String> {
        declare(name, help, MetricKind::Gauge, &labels).map(Self)
    }

    /// Adds to the series with these values of the labels.
    pub fn add(&self, labels: [&str; LABELS], value: f64) {
        host::metrics::add(self.0, &owned(&labels), value);
    }

    /// Sets the series with these values of the labels.
    pub fn set(&self, labels: [&str; LABELS], value: f64) {
        host::metrics::set(self.0, &owned(&labels), value);
    }
}

impl<const LABELS: usize> Histogram<LABELS> {
    /// Declares a histogram with the upper bounds of its buckets, ascending; none for the
    /// usual ones, 5 ms to 10 s. See [`Counter::declare`].
    ///
    /// # Errors
    /// As there, and bounds that do not ascend or are more than 32.
    pub fn declare(name: &str, help: &str, bounds: &[f64], labels: [&str; LABELS]) -> Result<Self, String> {
        declare(name, help, MetricKind::Histogram(bounds.to_vec()), &labels).map(Self)
    }

    /// Counts an observation in the series with these values of the labels.
    pub fn observe(&self, labels: [&str; LABELS], value: f64) {
        host::metrics::observe(self.0, &owned(&labels), value);
    }
}

fn declare(name: &str, help: &str, kind: MetricKind, labels: &[&str]) -> Result<u32, String> {
    host::metrics::declare(&Metric {
        name: name.to_owned(),
        help: help.to_owned(),
        kind,
        labels: owned(labels),
    })
}

fn owned(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|&label| label.to_owned()).collect()
}
