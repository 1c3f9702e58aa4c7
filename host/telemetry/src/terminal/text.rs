//! Numbers and times as a terminal shows them, and text made harmless.

use std::fmt::Write as _;

use jiff::Timestamp;

/// A message on one line, with everything that a terminal would obey or that turns text
/// around written as an escape.
pub(super) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => shown.push(' '),
            character if character.is_control() || turns_text(character) => {
                // Writing to a string does not fail.
                let _ = write!(shown, "\\u{:04x}", u32::from(character));
            }
            character => shown.push(character),
        }
    }
    shown
}

fn turns_text(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// At most so many characters, the last one `…` if there were more.
pub(super) fn clip(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut clipped: String = text.chars().take(width.saturating_sub(1)).collect();
    if width > 0 {
        clipped.push('…');
    }
    clipped
}

/// Seconds in the unit that fits.
pub(super) fn duration(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".to_owned(),
        Some(seconds) if seconds < 1e-3 => format!("{}µs", three(seconds * 1e6)),
        Some(seconds) if seconds < 1.0 => format!("{}ms", three(seconds * 1e3)),
        Some(seconds) if seconds < 120.0 => format!("{}s", three(seconds)),
        Some(seconds) => span(seconds as i64),
    }
}

/// A long time as kubectl shows ages: its two largest units.
pub(super) fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m{}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h{minutes}m"),
        (days, hours, _) => format!("{days}d{hours}h"),
    }
}

/// From `then` to `now`.
pub(super) fn age(then: Timestamp, now: Timestamp) -> String {
    span(now.duration_since(then).as_secs())
}

pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "Ki", "Mi", "Gi", "Ti"];
    let (mut scaled, mut unit) = (bytes as f64, 0);
    while scaled >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    format!(
        "{}{}",
        three(scaled),
        UNITS.get(unit).copied().unwrap_or_default()
    )
}

/// About three digits.
pub(super) fn three(value: f64) -> String {
    let decimals = match value {
        value if value >= 99.95 || value == 0.0 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    };
    let shown = format!("{value:.decimals$}");
    match shown.contains('.') {
        true => shown.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => shown,
    }
}

/// The clock time of day, UTC.
pub(super) fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        let shown = harmless("a\u{1b}[2J\u{202e}b\r\nc\u{9b}31m");
        assert_eq!(shown, "a\\u001b[2J\\u202eb\\u000d c\\u009b31m");
    }

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        let shown = [
            Some(8.05e-5),
            Some(0.0123),
            Some(1.0),
            Some(119.0),
            Some(7384.0),
            None,
        ]
        .map(duration);
        assert_eq!(shown, ["80.5µs", "12.3ms", "1s", "119s", "2h3m", "-"]);
        assert_eq!(
            [0, 1023, 1536, 64 << 20].map(bytes),
            ["0B", "1023B", "1.5Ki", "64Mi"]
        );
        assert_eq!([5, 65, 90_000].map(span), ["5s", "1m5s", "1d1h"]);
    }

    #[test]
    fn clipping_counts_characters() {
        assert_eq!(clip("ünïcode", 4), "ünï…");
        assert_eq!(clip("four", 4), "four");
    }
}
