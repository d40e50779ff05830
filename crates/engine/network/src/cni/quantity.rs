//! Kubernetes quantities, as bandwidth annotations spell them: `10M`, `1Gi`, `1e6`, `500k`.

/// The whole number `text` stands for, rounded up; `None` when it is not a quantity, or negative, or too large.
pub(super) fn parse(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || number.len() > 20 {
        return None;
    }
    let mantissa: u128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = u32::try_from(fraction.len()).ok()?;
    let (multiplier, divisor) = multiplier(suffix)?;
    let numerator = mantissa.checked_mul(multiplier)?;
    let denominator = 10u128.checked_pow(scale)?.checked_mul(divisor)?;
    u64::try_from(numerator.div_ceil(denominator)).ok()
}

/// What a suffix multiplies by and divides by.
fn multiplier(suffix: &str) -> Option<(u128, u128)> {
    let ratio = match suffix {
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1_000),
        "" => (1, 1),
        "k" => (1_000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        _ => return exponent(suffix.strip_prefix(['e', 'E'])?),
    };
    Some(ratio)
}

fn exponent(text: &str) -> Option<(u128, u128)> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let power = 10u128.checked_pow(digits.parse().ok()?)?;
    Some(if negative { (1, power) } else { (power, 1) })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn quantities_mean_what_kubernetes_means() {
        let cases = [
            ("10M", Some(10_000_000)),
            ("1Gi", Some(1 << 30)),
            ("1.5k", Some(1500)),
            ("1500m", Some(2)),
            ("1e6", Some(1_000_000)),
            ("1E+3", Some(1000)),
            ("5e-1", Some(1)),
            ("2E", Some(2_000_000_000_000_000_000)),
            (".5k", Some(500)),
            ("1.", Some(1)),
            ("0", Some(0)),
            ("", None),
            (".", None),
            ("M", None),
            ("-1", None),
            ("+1", None),
            ("1.2.3", None),
            ("10MB", None),
            ("10 M", None),
            ("1e", None),
            ("1e99", None),
            ("99999999999999999999", None),
            ("999999999999999999999999", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }
}
