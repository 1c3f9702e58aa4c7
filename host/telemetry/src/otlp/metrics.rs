//! Metrics to a collector: those of `/metrics`, with the same names and labels.
//!
//! Counters are sent as sums since the start of the process. A request that fails is not
//! sent again: the next one says more.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::delivery::{Attempt, Delivery, Trouble};
use super::encode::{Attribute, Resource, Scope, Text, to_json};
use super::{OtlpConfig, OtlpError};
use crate::metrics::exposition::{Exposition, Family, Kind, LabelSet, Value};
use crate::metrics::gather;
use crate::status::{HostStatus, StatusSource};

/// Values count from the start of the process, not from the request before.
const CUMULATIVE: u8 = 2;

/// Sends metrics at an interval.
pub(super) struct Sender {
    config: Arc<OtlpConfig>,
    delivery: Delivery,
    trouble: Trouble,
    source: Arc<dyn StatusSource>,
    interval: Duration,
    /// Requests that failed.
    lost: u64,
    stop: CancellationToken,
}

impl Sender {
    pub(super) fn new(
        config: &Arc<OtlpConfig>,
        source: Arc<dyn StatusSource>,
        interval: Duration,
        stop: CancellationToken,
    ) -> Result<Self, OtlpError> {
        let delivery = Delivery::of(config, "metrics")?;
        Ok(Self {
            config: Arc::clone(config),
            trouble: Trouble::of("metrics", &delivery),
            delivery,
            source,
            interval,
            lost: 0,
            stop,
        })
    }

    /// Sends until it is told to stop, and once more then.
    pub(super) async fn run(mut self) {
        let mut ticks = interval_at(Instant::now() + self.interval, self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = self.stop.clone();
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.send().await;
        }
        self.send().await;
    }

    async fn send(&mut self) {
        let body = request(&self.config, &self.source.status());
        let error = match self.delivery.attempt(Bytes::from(body)).await {
            Attempt::Taken { rejected: 0, .. } => return self.trouble.ends(self.lost),
            Attempt::Taken { message, .. } => format!("it left some out: {message}"),
            Attempt::Later(message) | Attempt::Refused(message) => message,
        };
        self.lost += 1;
        self.trouble.begins(&error);
    }
}

/// The body of an `ExportMetricsServiceRequest`.
fn request(config: &OtlpConfig, status: &HostStatus) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct ScopeMetrics<'a> {
        scope: Scope<'a>,
        metrics: Vec<Metric<'a>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct ResourceMetrics<'a> {
        resource: Resource<'a>,
        scope_metrics: [ScopeMetrics<'a>; 1],
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Request<'a> {
        resource_metrics: [ResourceMetrics<'a>; 1],
    }
    let exposition: Exposition = gather(status);
    let times = Times {
        start_time_unix_nano: Text(nanos(status.started)),
        time_unix_nano: Text(nanos(status.at)),
    };
    let families = exposition.families();
    to_json(&Request {
        resource_metrics: [ResourceMetrics {
            resource: Resource::of(config),
            scope_metrics: [ScopeMetrics {
                scope: Scope::of(config),
                metrics: families
                    .filter(|(_, family)| !family.series.is_empty())
                    .map(|(name, family)| Metric::of(name, family, &times))
                    .collect(),
            }],
        }],
    })
}

fn nanos(time: Timestamp) -> u64 {
    u64::try_from(time.as_nanosecond()).unwrap_or_default()
}

/// Since when and as of when.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Times {
    start_time_unix_nano: Text<u64>,
    time_unix_nano: Text<u64>,
}

#[derive(Serialize)]
struct Metric<'a> {
    name: &'a str,
    description: &'a str,
    #[serde(flatten)]
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Data<'a> {
    #[serde(rename_all = "camelCase")]
    Sum {
        aggregation_temporality: u8,
        is_monotonic: bool,
        data_points: Vec<Point<'a>>,
    },
    #[serde(rename_all = "camelCase")]
    Gauge { data_points: Vec<Point<'a>> },
    #[serde(rename_all = "camelCase")]
    Histogram {
        aggregation_temporality: u8,
        data_points: Vec<Point<'a>>,
    },
}

#[derive(Serialize)]
struct Point<'a> {
    attributes: Vec<Attribute<'a>>,
    #[serde(flatten)]
    times: &'a Times,
    #[serde(flatten)]
    reading: Reading<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Reading<'a> {
    #[serde(rename_all = "camelCase")]
    Number { as_double: f64 },
    #[serde(rename_all = "camelCase")]
    Buckets {
        count: Text<u64>,
        sum: f64,
        bucket_counts: Vec<Text<u64>>,
        explicit_bounds: &'a [f64],
    },
}

impl<'a> Metric<'a> {
    fn of(name: &'a str, family: &'a Family, times: &'a Times) -> Self {
        let points = family.series.iter();
        let data_points = points
            .map(|(labels, value)| Point::of(labels, value, times))
            .collect();
        Self {
            name,
            description: &family.help,
            data: match family.kind {
                Kind::Counter => Data::Sum {
                    aggregation_temporality: CUMULATIVE,
                    is_monotonic: true,
                    data_points,
                },
                Kind::Gauge => Data::Gauge { data_points },
                Kind::Histogram => Data::Histogram {
                    aggregation_temporality: CUMULATIVE,
                    data_points,
                },
            },
        }
    }
}

impl<'a> Point<'a> {
    fn of(labels: &'a LabelSet, value: &'a Value, times: &'a Times) -> Self {
        let labels = labels.iter();
        Self {
            attributes: labels.map(|(key, value)| Attribute::text(key, value)).collect(),
            times,
            reading: match value {
                Value::Number(number) => Reading::Number { as_double: *number },
                Value::Histogram(histogram) => Reading::Buckets {
                    count: Text(histogram.count()),
                    sum: histogram.sum,
                    bucket_counts: histogram.counts.iter().copied().map(Text).collect(),
                    explicit_bounds: &histogram.bounds,
                },
            },
        }
    }
}
