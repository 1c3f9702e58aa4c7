//! Amounts as people write them: bytes with a Kubernetes suffix, durations with a unit.
//!
//! Promises: what is written out reads back as the same amount.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A number of bytes, written as a Kubernetes quantity: `1048576`, `64Mi`, `1G`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub usize);

/// A duration, written with its unit: `500ms`, `1s`, `2m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

const BYTE_UNITS: [(&str, usize); 6] = [
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("k", 1000),
];
const TIME_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
const BYTES_FORM: &str = "a number of bytes such as 64Mi";
const SPAN_FORM: &str = "a duration with its unit such as 500ms, 1s or 2m";

impl Bytes {
    /// A number of mebibytes.
    #[must_use]
    pub const fn mebibytes(count: usize) -> Self {
        Self(count << 20)
    }
}

impl Span {
    /// A number of seconds.
    #[must_use]
    pub const fn seconds(count: u64) -> Self {
        Self(Duration::from_secs(count))
    }
}

/// Reads a duration with its unit: `500ms`, `1s`, `2m`, `1h`.
#[must_use]
pub fn parse_span(text: &str) -> Option<Duration> {
    let (number, unit) = split(text);
    let (_, factor) = TIME_UNITS.iter().find(|(name, _)| *name == unit)?;
    let milliseconds = number.parse::<u64>().ok()?.checked_mul(*factor)?;
    Some(Duration::from_millis(milliseconds))
}

/// Reads a number of bytes, with a unit or without: `1048576`, `64Mi`, `1G`.
#[must_use]
pub fn parse_bytes(text: &str) -> Option<usize> {
    let (number, unit) = split(text);
    let number: usize = number.parse().ok()?;
    if unit.is_empty() {
        return Some(number);
    }
    let (_, factor) = BYTE_UNITS.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

fn split(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

impl fmt::Display for Bytes {
    /// The largest unit that leaves a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = BYTE_UNITS
            .iter()
            .find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor));
        match unit {
            Some((name, factor)) => write!(f, "{}{name}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Display for Span {
    /// The largest unit that leaves a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let unit = TIME_UNITS
            .iter()
            .find(|(_, factor)| milliseconds > 0 && milliseconds.is_multiple_of(*factor));
        let (name, factor) = unit.unwrap_or(&("s", 1000));
        write!(f, "{}{name}", milliseconds / factor)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

struct Text<T>(fn(&str) -> Option<T>, &'static str);

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        self.0(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.0(&number.to_string()).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(Text(parse_bytes, BYTES_FORM))
            .map(Self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(Text(parse_span, SPAN_FORM))
            .map(Self)
    }
}

impl JsonSchema for Bytes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "bytes", "type": ["string", "integer"], "pattern": "^[0-9]+(k|M|G|Ki|Mi|Gi)?$", "minimum": 0
        })
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "title": "duration", "type": "string", "pattern": "^[0-9]+(ms|s|m|h)$" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn amounts_read_back_as_they_were_written(bytes in any::<usize>(), milliseconds in any::<u64>()) {
            prop_assert_eq!(parse_bytes(&Bytes(bytes).to_string()), Some(bytes));
            let span = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse_span(&Span(span).to_string()), Some(span));
        }
    }

    #[test]
    fn amounts_are_written_in_the_largest_unit_that_fits() {
        assert_eq!(Bytes::mebibytes(64).to_string(), "64Mi");
        assert_eq!(Bytes(1500).to_string(), "1500");
        assert_eq!(Span::seconds(120).to_string(), "2m");
        assert_eq!(Span(Duration::from_millis(1500)).to_string(), "1500ms");
        assert_eq!(Span(Duration::ZERO).to_string(), "0s");
    }

    #[test]
    fn amounts_without_a_known_unit_or_beyond_range_are_refused() {
        for text in ["", "5", "5 s", "-1s", "1d", "18446744073709551615h"] {
            assert_eq!(parse_span(text), None, "{text:?}");
        }
        for text in ["", "Mi", "1mi", "1.5Gi", "99999999999999999999Gi"] {
            assert_eq!(parse_bytes(text), None, "{text:?}");
        }
    }
}
