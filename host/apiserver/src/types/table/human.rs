//! Times and sets in the short forms of `kubectl`.

use crate::types::selectors::LabelSelector;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// A duration with two significant units at most (`apimachinery/pkg/util/duration`).
#[must_use]
pub fn human_duration(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let two = |large: i64, large_unit: char, small: i64, small_unit: char| match small {
        0 => format!("{large}{large_unit}"),
        _ => format!("{large}{large_unit}{small}{small_unit}"),
    };
    match seconds {
        // Clocks differ a little; more than that is not shown as time.
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        _ if seconds < 120 => format!("{seconds}s"),
        _ if minutes < 10 => two(minutes, 'm', seconds % 60, 's'),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, 'h', minutes % 60, 'm'),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 192 => two(hours / 24, 'd', hours % 24, 'h'),
        _ if hours < 24 * 365 * 2 => format!("{}d", hours / 24),
        _ if hours < 24 * 365 * 8 => two(hours / 24 / 365, 'y', hours / 24 % 365, 'd'),
        _ => format!("{}y", hours / 24 / 365),
    }
}

/// How long ago a timestamp of the API was.
pub(super) fn since(timestamp: &str, now: Timestamp) -> String {
    match timestamp.parse::<Timestamp>() {
        Ok(then) => human_duration(now.duration_since(then).as_secs()),
        Err(_) => "<unknown>".to_owned(),
    }
}

/// A list of at most three, and how many more there are.
pub(super) fn first_three<T: AsRef<str>>(items: &[T]) -> String {
    let shown: Vec<&str> = items.iter().take(3).map(AsRef::as_ref).collect();
    match items.len() {
        0..=3 => shown.join(","),
        more => format!("{} + {} more...", shown.join(","), more - 3),
    }
}

/// `<none>` instead of nothing.
pub(super) fn or_none(text: String) -> String {
    if text.is_empty() {
        "<none>".to_owned()
    } else {
        text
    }
}

/// Labels as `a=b,c=d`.
pub(super) fn labels(labels: Option<&Map<String, Value>>) -> String {
    or_none(LabelSelector::from_map(labels).to_string())
}

/// A `LabelSelector` object in its query form.
pub(super) fn selector(selector: Option<&Value>) -> String {
    or_none(
        selector
            .map(LabelSelector::from_object)
            .unwrap_or_default()
            .to_string(),
    )
}
