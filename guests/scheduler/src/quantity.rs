//! Resource quantities (`100m`, `1.5Gi`, `2e3`) as whole numbers.
//!
//! Follows `apimachinery/pkg/api/resource`: anything finer than the unit asked for rounds up.

use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::fmt;

const NANO: i128 = 1_000_000_000;

/// A quantity in billionths of its unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quantity(i128);

impl Quantity {
    /// Parses the string form; `None` when it is not a quantity.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut mantissa: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes().take(18)) {
            let digit = char::from(digit).to_digit(10)?;
            mantissa = mantissa.checked_mul(10)?.checked_add(i128::from(digit))?;
        }
        let scale = 10_i128.pow(u32::try_from(fraction.len().min(18)).ok()?);
        let product = mantissa.checked_mul(multiplier(suffix)?)?;
        let nano = product.div_euclid(scale) + i128::from(product.rem_euclid(scale) != 0);
        Some(Self(if negative { -nano } else { nano }))
    }

    /// In thousandths, rounded up.
    pub(crate) fn milli(self) -> i64 {
        self.divided(NANO / 1000)
    }

    /// In whole units, rounded up.
    pub(crate) fn units(self) -> i64 {
        self.divided(NANO)
    }

    fn divided(self, by: i128) -> i64 {
        let rounded = self.0.div_euclid(by) + i128::from(self.0.rem_euclid(by) != 0);
        i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX })
    }
}

/// What one of `suffix` is in billionths.
fn multiplier(suffix: &str) -> Option<i128> {
    Some(match suffix {
        "" => NANO,
        "n" => 1,
        "u" => 1_000,
        "m" => 1_000_000,
        "k" => NANO * 1_000,
        "M" => NANO * 1_000_000,
        "G" => NANO * 1_000_000_000,
        "T" => NANO * 1_000_000_000_000,
        "P" => NANO * 1_000_000_000_000_000,
        "E" => NANO * 1_000_000_000_000_000_000,
        "Ki" => NANO << 10,
        "Mi" => NANO << 20,
        "Gi" => NANO << 30,
        "Ti" => NANO << 40,
        "Pi" => NANO << 50,
        "Ei" => NANO << 60,
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            if !(-9..=18).contains(&exponent) {
                return None;
            }
            10_i128.pow(u32::try_from(exponent + 9).ok()?)
        }
    })
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(QuantityVisitor)
    }
}

struct QuantityVisitor;

impl Visitor<'_> for QuantityVisitor {
    type Value = Quantity;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a resource quantity")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
        Quantity::parse(text).ok_or_else(|| E::custom(format_args!("{text:?} is not a resource quantity")))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Quantity, E> {
        Ok(Quantity(i128::from(value) * NANO))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Quantity, E> {
        Ok(Quantity(i128::from(value) * NANO))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Quantity, E> {
        self.visit_str(&value.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_round_up_to_the_unit_asked_for() {
        let milli = |text| Quantity::parse(text).map(Quantity::milli);
        assert_eq!(milli("100m"), Some(100));
        assert_eq!(milli("1.5"), Some(1500));
        assert_eq!(milli("1u"), Some(1));
        assert_eq!(milli("2e3"), Some(2_000_000));
        let units = |text| Quantity::parse(text).map(Quantity::units);
        assert_eq!(units("1.5Gi"), Some(1_610_612_736));
        assert_eq!(units("64Ki"), Some(65_536));
        assert_eq!(units("1E"), Some(1_000_000_000_000_000_000));
        assert_eq!(units("100m"), Some(1));
        assert_eq!(units("12Qi"), None);
        assert_eq!(units(""), None);
    }
}
