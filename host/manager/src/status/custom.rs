//! What guests count themselves, from the engine's form to the one that is shown.

use windlass_engine::custom_metrics::{CustomFamily, CustomKind, CustomMetrics, CustomValue};
use windlass_telemetry::histogram::Histogram;
use windlass_telemetry::status::{CustomMetric, CustomSeries, CustomStatus};

pub(super) fn status(metrics: &CustomMetrics) -> CustomStatus {
    CustomStatus {
        metrics: metrics.families().into_iter().map(metric).collect(),
        dropped: metrics.dropped(),
    }
}

fn metric(family: CustomFamily) -> CustomMetric {
    let declaration = &family.declaration;
    let numbers = || {
        let number = |(labels, value): &(Vec<String>, CustomValue)| match value {
            CustomValue::Number(number) => Some((labels.clone(), *number)),
            CustomValue::Histogram { .. } => None,
        };
        family.series.iter().filter_map(number).collect()
    };
    let series = match &declaration.kind {
        CustomKind::Counter => CustomSeries::Counter(numbers()),
        CustomKind::Gauge => CustomSeries::Gauge(numbers()),
        CustomKind::Histogram(bounds) => {
            let histogram = |(labels, value): &(Vec<String>, CustomValue)| match value {
                CustomValue::Histogram { counts, sum } => {
                    let histogram = Histogram {
                        bounds: bounds.clone(),
                        counts: counts.clone(),
                        sum: *sum,
                    };
                    Some((labels.clone(), histogram))
                }
                CustomValue::Number(_) => None,
            };
            CustomSeries::Histogram(family.series.iter().filter_map(histogram).collect())
        }
    };
    CustomMetric {
        name: declaration.name.clone(),
        help: declaration.help.clone(),
        labels: declaration.labels.clone(),
        series,
    }
}
