//! Resource quantities such as `100m`, `1.5Gi` or `2e3`.
//!
//! A quantity is kept as a whole number of billionths, which is the finest
//! that the API knows; anything finer is rounded up, as upstream does. Numbers
//! beyond the range saturate. The text an object carries is left as it is:
//! nothing here rewrites quantities in canonical form.

use serde_json::Value;
use std::str::FromStr;

const NANO: i128 = 1_000_000_000;

/// A text that is no quantity; the message is the API's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// The text does not have the form of a number with a suffix.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// The suffix is none of the known ones.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// An amount of a resource, exact to one billionth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(i128);

impl Quantity {
    /// The amount in billionths.
    #[must_use]
    pub const fn nanos(self) -> i128 {
        self.0
    }

    /// The amount in thousandths, rounded up.
    #[must_use]
    pub fn milli_value(self) -> i64 {
        round_up(self.0, NANO / 1000)
    }

    /// The amount in whole units, rounded up.
    #[must_use]
    pub fn value(self) -> i64 {
        round_up(self.0, NANO)
    }

    /// The sum, saturating.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The quantity in a JSON string or number.
    pub fn from_json(value: &Value) -> Result<Self, QuantityError> {
        match value {
            Value::String(text) => text.parse(),
            Value::Number(number) => number.to_string().parse(),
            _ => Err(QuantityError::Format),
        }
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, text.get(1..).unwrap_or_default()),
            Some(b'+') => (false, text.get(1..).unwrap_or_default()),
            _ => (false, text),
        };
        let end = unsigned
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(QuantityError::Format);
        }
        let amount = scale(whole, fraction, suffix_factor(suffix)?);
        Ok(Self(if negative { -amount } else { amount }))
    }
}

/// What one unit is worth: `2^binary × 10^decimal`.
struct Factor {
    binary: u32,
    decimal: i32,
}

fn suffix_factor(suffix: &str) -> Result<Factor, QuantityError> {
    let (binary, decimal) = match suffix {
        "" => (0, 0),
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E']).ok_or(QuantityError::Suffix)?;
            (0, exponent.parse().map_err(|_| QuantityError::Suffix)?)
        }
    };
    Ok(Factor { binary, decimal })
}

/// The digits times the factor, in billionths; rounded up, saturating.
fn scale(whole: &str, fraction: &str, factor: Factor) -> i128 {
    let digit = |byte: u8| i128::from(byte - b'0');
    let digits = whole.bytes().chain(fraction.bytes()).fold(0_i128, |sum, byte| {
        sum.saturating_mul(10).saturating_add(digit(byte))
    });
    let exponent = i64::from(factor.decimal) + 9 - i64::try_from(fraction.len()).unwrap_or(i64::MAX / 2);
    let amount = digits.saturating_mul(1 << factor.binary);
    let power = u32::try_from(exponent.unsigned_abs())
        .ok()
        .and_then(|exponent| 10_i128.checked_pow(exponent));
    match (power, exponent >= 0) {
        (Some(power), true) => amount.saturating_mul(power),
        (Some(power), false) => div_ceil(amount, power),
        (None, true) => {
            if amount == 0 {
                0
            } else {
                i128::MAX
            }
        }
        (None, false) => i128::from(amount > 0),
    }
}

fn div_ceil(amount: i128, divisor: i128) -> i128 {
    amount.div_euclid(divisor) + i128::from(amount.rem_euclid(divisor) > 0)
}

fn round_up(nanos: i128, unit: i128) -> i64 {
    let units = div_ceil(nanos, unit);
    i64::try_from(units).unwrap_or(if units < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(text: &str) -> i128 {
        text.parse::<Quantity>().unwrap().nanos()
    }

    #[test]
    fn suffixes_scale_the_number() {
        assert_eq!(nanos("1"), NANO);
        assert_eq!(nanos("100m"), NANO / 10);
        assert_eq!(nanos("1.5Gi"), 1_610_612_736 * NANO);
        assert_eq!(nanos("2e3"), 2000 * NANO);
        assert_eq!(nanos("2E-3"), 2 * NANO / 1000);
        assert_eq!(nanos("1E"), 1_000_000_000_000_000_000 * NANO);
        assert_eq!(nanos(".5"), NANO / 2);
        assert_eq!(nanos("-1k"), -1000 * NANO);
        assert_eq!(nanos("+3u"), 3000);
    }

    #[test]
    fn what_is_too_fine_is_rounded_up_and_what_is_too_large_saturates() {
        assert_eq!(nanos("0.1n"), 1);
        assert_eq!(nanos("1e-50"), 1);
        assert_eq!(nanos("1e100"), i128::MAX);
        assert_eq!(nanos("0e100"), 0);
        assert_eq!("1500m".parse::<Quantity>().unwrap().value(), 2);
        assert_eq!("1.5".parse::<Quantity>().unwrap().milli_value(), 1500);
        assert_eq!("1e30".parse::<Quantity>().unwrap().value(), i64::MAX);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "m", "1.2.3", ".", "-", " 1"] {
            assert_eq!(text.parse::<Quantity>(), Err(QuantityError::Format), "{text:?}");
        }
        for text in ["1x", "1mi", "1e", "1 "] {
            assert_eq!(text.parse::<Quantity>(), Err(QuantityError::Suffix), "{text:?}");
        }
    }

    #[test]
    fn numbers_are_quantities_too() {
        assert_eq!(Quantity::from_json(&serde_json::json!(2)).unwrap().value(), 2);
        assert_eq!(
            Quantity::from_json(&serde_json::json!("1Ki")).unwrap().value(),
            1024
        );
        assert_eq!(
            Quantity::from_json(&serde_json::json!([])),
            Err(QuantityError::Format)
        );
    }
}
