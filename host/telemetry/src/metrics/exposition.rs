//! The text formats of Prometheus: version 0.0.4, and OpenMetrics 1.0.
//!
//! Promises: families come in the order of their names and series in that of their
//! labels; no family and no series comes twice; every label value is escaped.
//! Deliberately not here: which metrics there are.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use smol_str::SmolStr;

use crate::histogram::Histogram;

/// Which text format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Prometheus 0.0.4.
    #[default]
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The format to answer a request with this `Accept` header in.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        let ranges = accept.unwrap_or_default().split(',');
        let mut names = ranges.map(|range| range.split(';').next().unwrap_or_default().trim());
        if names.any(|name| name.eq_ignore_ascii_case("application/openmetrics-text")) {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// The media type of the answer.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Names and values of labels.
pub(crate) type Labels<'a> = &'a [(&'a str, &'a str)];

/// The same, in the order of their names.
pub(crate) type LabelSet = Vec<(SmolStr, String)>;

/// What will be written.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    families: BTreeMap<Cow<'static, str>, Family>,
}

/// The series of one name.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) kind: Kind,
    pub(crate) help: Cow<'static, str>,
    pub(crate) series: BTreeMap<LabelSet, Value>,
}

/// What a series says.
#[derive(Debug)]
pub(crate) enum Value {
    Number(f64),
    Histogram(Histogram),
}

impl Exposition {
    /// Begins a family, which is written even if nothing is added to it.
    pub(crate) fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) -> Series<'_> {
        let family = self.families.entry(name.into()).or_insert_with(|| Family {
            kind,
            help: help.into(),
            series: BTreeMap::new(),
        });
        Series(family)
    }

    /// The same for a family that a guest declared. `None` if there is one of this name
    /// that counts otherwise: a name has one type.
    pub(crate) fn declared_family(&mut self, name: String, kind: Kind, help: &str) -> Option<Series<'_>> {
        let family = self.families.entry(name.into()).or_insert_with(|| Family {
            kind,
            help: help.to_owned().into(),
            series: BTreeMap::new(),
        });
        (family.kind == kind).then_some(Series(family))
    }

    /// All of it, by name.
    pub(crate) fn families(&self) -> impl Iterator<Item = (&str, &Family)> {
        self.families.iter().map(|(name, family)| (name.as_ref(), family))
    }

    /// All of it as text.
    pub(crate) fn render(&self, format: Format) -> String {
        let mut text = String::new();
        for (name, family) in &self.families {
            family.render(name, format, &mut text);
        }
        if format == Format::OpenMetrics {
            text.push_str("# EOF\n");
        }
        text
    }
}

/// Adds series to one family.
pub(crate) struct Series<'a>(&'a mut Family);

impl Series<'_> {
    /// A number: counters of the same labels are added up, gauges replaced.
    pub(crate) fn number(&mut self, labels: Labels<'_>, value: f64) -> &mut Self {
        let series = self.0.series.entry(label_set(labels));
        let sums = self.0.kind == Kind::Counter;
        series
            .and_modify(|present| match present {
                Value::Number(number) if sums => *number += value,
                present => *present = Value::Number(value),
            })
            .or_insert(Value::Number(value));
        self
    }

    /// A whole number.
    pub(crate) fn count(&mut self, labels: Labels<'_>, value: u64) -> &mut Self {
        self.number(labels, value as f64)
    }

    /// A histogram; those of the same labels are added up.
    pub(crate) fn histogram(&mut self, labels: Labels<'_>, histogram: Histogram) -> &mut Self {
        match self.0.series.entry(label_set(labels)) {
            std::collections::btree_map::Entry::Occupied(mut present) => {
                if let Value::Histogram(present) = present.get_mut() {
                    present.merge(&histogram);
                }
            }
            std::collections::btree_map::Entry::Vacant(empty) => {
                empty.insert(Value::Histogram(histogram));
            }
        }
        self
    }
}

impl Family {
    fn render(&self, name: &str, format: Format, text: &mut String) {
        // OpenMetrics names a counter's family without the suffix of its samples.
        let header = match (format, self.kind) {
            (Format::OpenMetrics, Kind::Counter) => name.strip_suffix("_total").unwrap_or(name),
            _ => name,
        };
        let help = escape(&self.help, format == Format::OpenMetrics);
        push(text, format_args!("# HELP {header} {help}\n"));
        push(text, format_args!("# TYPE {header} {}\n", self.kind.name()));
        for (labels, value) in &self.series {
            let labels = render_labels(labels);
            match value {
                Value::Number(number) => sample(text, name, &labels, "", *number),
                Value::Histogram(histogram) => buckets(text, name, &labels, histogram, format),
            }
        }
    }
}

fn buckets(text: &mut String, name: &str, labels: &str, histogram: &Histogram, format: Format) {
    let mut cumulative = 0;
    for (bound, count) in histogram.bounds.iter().zip(&histogram.counts) {
        cumulative += count;
        // OpenMetrics wants bounds to look like floats.
        let le = match format {
            Format::OpenMetrics if bound.fract() == 0.0 => format!("le=\"{bound:.1}\""),
            _ => format!("le=\"{}\"", Number(*bound)),
        };
        bucket(text, name, labels, &le, cumulative);
    }
    let total = histogram.count();
    bucket(text, name, labels, "le=\"+Inf\"", total);
    sample(text, name, labels, "_sum", histogram.sum);
    sample(text, name, labels, "_count", total as f64);
}

fn bucket(text: &mut String, name: &str, labels: &str, le: &str, count: u64) {
    let comma = if labels.is_empty() { "" } else { "," };
    push(
        text,
        format_args!("{name}_bucket{{{labels}{comma}{le}}} {count}\n"),
    );
}

fn sample(text: &mut String, name: &str, labels: &str, suffix: &str, value: f64) {
    let value = Number(value);
    if labels.is_empty() {
        push(text, format_args!("{name}{suffix} {value}\n"));
    } else {
        push(text, format_args!("{name}{suffix}{{{labels}}} {value}\n"));
    }
}

fn label_set(labels: Labels<'_>) -> LabelSet {
    let labels = labels.iter();
    let mut set: LabelSet = labels
        .map(|(name, value)| (SmolStr::new(name), (*value).to_owned()))
        .collect();
    set.sort_unstable();
    set
}

/// As they stand within braces.
fn render_labels(labels: &LabelSet) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        let comma = if text.is_empty() { "" } else { "," };
        push(
            &mut text,
            format_args!("{comma}{name}=\"{}\"", escape(value, true)),
        );
    }
    text
}

fn escape(text: &str, quotes: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '"' if quotes => escaped.push_str("\\\""),
            character => escaped.push(character),
        }
    }
    escaped
}

/// A number as Go prints it: whole ones without a fraction, small and large ones with an
/// exponent, so that bounds read as those of Kubernetes' own components (`1e-08`).
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.0;
        if value.is_infinite() {
            return f.write_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        }
        let magnitude = value.abs();
        if value == 0.0 || (1e-4..1e21).contains(&magnitude) || value.is_nan() {
            return write!(f, "{value}");
        }
        let scientific = format!("{value:e}");
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        write!(f, "{digits}e{sign}{exponent:0>2}")
    }
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = text.write_fmt(arguments);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exposition() -> Exposition {
        let mut exposition = Exposition::default();
        exposition
            .family("z_total", Kind::Counter, "Last.")
            .count(&[("b", "2"), ("a", "1")], 3)
            .count(&[("a", "1"), ("b", "2")], 4);
        exposition
            .family("a_seconds", Kind::Histogram, "First\\\nof \"all\".")
            .histogram(
                &[("x", "say \"hi\"\\\n")],
                Histogram {
                    bounds: vec![1e-8, 0.25, 10.0],
                    counts: vec![1, 0, 2, 1],
                    sum: 30.5,
                },
            );
        exposition
    }

    #[test]
    fn families_and_labels_are_sorted_escaped_and_never_twice() {
        let expected = concat!(
            "# HELP a_seconds First\\\\\\nof \"all\".\n",
            "# TYPE a_seconds histogram\n",
            "a_seconds_bucket{x=\"say \\\"hi\\\"\\\\\\n\",le=\"1e-08\"} 1\n",
            "a_seconds_bucket{x=\"say \\\"hi\\\"\\\\\\n\",le=\"0.25\"} 1\n",
            "a_seconds_bucket{x=\"say \\\"hi\\\"\\\\\\n\",le=\"10\"} 3\n",
            "a_seconds_bucket{x=\"say \\\"hi\\\"\\\\\\n\",le=\"+Inf\"} 4\n",
            "a_seconds_sum{x=\"say \\\"hi\\\"\\\\\\n\"} 30.5\n",
            "a_seconds_count{x=\"say \\\"hi\\\"\\\\\\n\"} 4\n",
            "# HELP z_total Last.\n",
            "# TYPE z_total counter\n",
            "z_total{a=\"1\",b=\"2\"} 7\n",
        );
        assert_eq!(exposition().render(Format::Prometheus), expected);
    }

    #[test]
    fn openmetrics_names_counters_bare_and_ends() {
        let text = exposition().render(Format::OpenMetrics);
        assert!(text.contains("# TYPE z counter\nz_total{"), "{text}");
        assert!(text.contains("le=\"10.0\"} 3\n"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        let shown =
            [0.0, 1e-8, 1.5e-5, 1e-4, 0.25, 1.0, 1e9, 1e21, f64::INFINITY].map(|n| Number(n).to_string());
        assert_eq!(
            shown,
            [
                "0",
                "1e-08",
                "1.5e-05",
                "0.0001",
                "0.25",
                "1",
                "1000000000",
                "1e+21",
                "+Inf"
            ]
        );
    }

    #[test]
    fn the_accept_header_decides() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Format::accepted(Some(prometheus)), Format::OpenMetrics);
        assert_eq!(Format::accepted(Some("text/plain")), Format::Prometheus);
        assert_eq!(Format::accepted(None), Format::Prometheus);
    }
}
