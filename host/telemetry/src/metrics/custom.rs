//! The metrics that guests declared themselves, as `windlass_custom_NAME`.

use super::exposition::{Exposition, Kind, Series};
use crate::status::{CustomMetric, CustomSeries, ModuleStatus};

const PREFIX: &str = "windlass_custom_";

/// Adds those of one module. Of two modules whose metrics of one name have different
/// types, the first in the configuration is shown.
pub(super) fn add(exposition: &mut Exposition, module: &ModuleStatus) {
    exposition
        .family(
            "windlass_dropped_custom_values_total",
            Kind::Counter,
            "Values of a guest's own metrics that did not fit its limits or its declarations.",
        )
        .count(&[("module", &module.name)], module.custom.dropped);
    for metric in &module.custom.metrics {
        let kind = match metric.series {
            CustomSeries::Counter(_) => Kind::Counter,
            CustomSeries::Gauge(_) => Kind::Gauge,
            CustomSeries::Histogram(_) => Kind::Histogram,
        };
        let name = match (kind, metric.name.strip_suffix("_total")) {
            (Kind::Counter, Some(name)) => format!("{PREFIX}{name}_total"),
            (Kind::Counter, None) => format!("{PREFIX}{}_total", metric.name),
            _ => format!("{PREFIX}{}", metric.name),
        };
        if let Some(mut series) = exposition.declared_family(name, kind, &metric.help) {
            add_series(&mut series, &module.name, metric);
        }
    }
}

fn add_series(series: &mut Series<'_>, module: &str, metric: &CustomMetric) {
    match &metric.series {
        CustomSeries::Counter(numbers) | CustomSeries::Gauge(numbers) => {
            for (values, number) in numbers {
                series.number(&labels(module, metric, values), *number);
            }
        }
        CustomSeries::Histogram(histograms) => {
            for (values, histogram) in histograms {
                series.histogram(&labels(module, metric, values), histogram.clone());
            }
        }
    }
}

fn labels<'a>(module: &'a str, metric: &'a CustomMetric, values: &'a [String]) -> Vec<(&'a str, &'a str)> {
    let names = metric.labels.iter().map(String::as_str);
    let own = names.zip(values.iter().map(String::as_str));
    std::iter::once(("module", module)).chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::Histogram;
    use crate::metrics::exposition::Format;
    use crate::status::CustomStatus;

    fn module(name: &str, metric: &str, series: CustomSeries) -> ModuleStatus {
        let metric = CustomMetric {
            name: metric.to_owned(),
            help: "Deleted.".to_owned(),
            labels: vec!["kind".to_owned()],
            series,
        };
        ModuleStatus {
            name: name.to_owned(),
            custom: CustomStatus {
                metrics: vec![metric],
                dropped: 1,
            },
            ..ModuleStatus::default()
        }
    }

    fn one() -> Vec<(Vec<String>, f64)> {
        vec![(vec!["Pod".to_owned()], 2.0)]
    }

    #[test]
    fn a_guests_metrics_have_a_prefix_and_the_modules_name() {
        let mut exposition = Exposition::default();
        add(
            &mut exposition,
            &module("a", "deleted", CustomSeries::Counter(one())),
        );
        add(
            &mut exposition,
            &module("b", "deleted_total", CustomSeries::Counter(one())),
        );
        let text = exposition.render(Format::Prometheus);
        let expected = "# HELP windlass_custom_deleted_total Deleted.\n\
                        # TYPE windlass_custom_deleted_total counter\n\
                        windlass_custom_deleted_total{kind=\"Pod\",module=\"a\"} 2\n\
                        windlass_custom_deleted_total{kind=\"Pod\",module=\"b\"} 2\n";
        assert!(text.starts_with(expected), "{text}");
        assert!(
            text.contains("windlass_dropped_custom_values_total{module=\"b\"} 1\n"),
            "{text}"
        );
    }

    #[test]
    fn a_name_has_one_type_even_if_modules_disagree() {
        let mut exposition = Exposition::default();
        add(&mut exposition, &module("a", "size", CustomSeries::Gauge(one())));
        let histogram = Histogram {
            bounds: vec![1.0],
            counts: vec![1, 0],
            sum: 0.5,
        };
        let histogram = CustomSeries::Histogram(vec![(vec!["Pod".to_owned()], histogram)]);
        add(&mut exposition, &module("b", "size", histogram));
        let text = exposition.render(Format::Prometheus);
        assert!(
            text.contains("windlass_custom_size{kind=\"Pod\",module=\"a\"} 2\n"),
            "{text}"
        );
        assert!(!text.contains("windlass_custom_size_bucket"), "{text}");
    }
}
