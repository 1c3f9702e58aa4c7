//! Kubernetes resource quantities (`100m`, `1.5Gi`, `2e3`) as integers.
//!
//! Promises exactness for everything a scheduler compares: values are counted in
//! thousandths. Deliberately not done: keeping the notation, or printing quantities.

/// Reads a quantity in thousandths of its unit, rounding up; nothing if it is malformed.
#[must_use]
pub fn parse_milli(text: &str) -> Option<i128> {
    let (number, suffix) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let (mantissa, digits_after_point) = parse_decimal(number)?;
    let (multiplier, divisor) = scale(suffix)?;
    let numerator = mantissa.checked_mul(multiplier)?.checked_mul(1000)?;
    let denominator = divisor.checked_mul(10_i128.checked_pow(digits_after_point)?)?;
    Some(numerator.div_euclid(denominator) + i128::from(numerator.rem_euclid(denominator) != 0))
}

/// Reads a quantity in whole units, rounding up; nothing if it is malformed.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    let milli = parse_milli(text)?;
    i64::try_from(milli.div_euclid(1000) + i128::from(milli.rem_euclid(1000) != 0)).ok()
}

fn parse_decimal(text: &str) -> Option<(i128, u32)> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = format!("{whole}{fraction}");
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: i128 = digits.parse().ok()?;
    Some((
        if negative { -value } else { value },
        u32::try_from(fraction.len()).ok()?,
    ))
}

fn scale(suffix: &str) -> Option<(i128, i128)> {
    let power = |base: i128, exponent: u32| Some((base.checked_pow(exponent)?, 1));
    match suffix {
        "" => Some((1, 1)),
        "n" => Some((1, 1_000_000_000)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1000)),
        "k" => power(1000, 1),
        "M" => power(1000, 2),
        "G" => power(1000, 3),
        "T" => power(1000, 4),
        "P" => power(1000, 5),
        "E" => power(1000, 6),
        "Ki" => power(1024, 1),
        "Mi" => power(1024, 2),
        "Gi" => power(1024, 3),
        "Ti" => power(1024, 4),
        "Pi" => power(1024, 5),
        "Ei" => power(1024, 6),
        _ => exponent(suffix),
    }
}

fn exponent(suffix: &str) -> Option<(i128, i128)> {
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    Some(if exponent < 0 { (1, power) } else { (power, 1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_is_understood() {
        let cases = [
            ("100m", 100),
            ("1", 1000),
            ("1.5", 1500),
            ("2e3", 2_000_000),
            ("1Ki", 1_024_000),
            (".5", 500),
        ];
        for (text, milli) in cases {
            assert_eq!(parse_milli(text), Some(milli), "{text}");
        }
        assert_eq!(parse("1.5Gi"), Some(1_610_612_736));
        assert_eq!(parse("1n"), Some(1), "quantities round up");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "m", "1x", "1..2", "--1", "1Kii", "e3"] {
            assert_eq!(parse_milli(text), None, "{text}");
        }
    }
}
