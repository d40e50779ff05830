//! Kubernetes quantities: `500m`, `1.5`, `128Mi`, `1G`, `2e3`.

/// Suffixes and what they multiply by, in thousandths.
const SUFFIXES: [(&str, i128); 14] = [
    ("m", 1),
    ("", 1_000),
    ("k", 1_000_000),
    ("M", 1_000_000_000),
    ("G", 1_000_000_000_000),
    ("T", 1_000_000_000_000_000),
    ("P", 1_000_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000_000),
    ("Ki", 1_000 << 10),
    ("Mi", 1_000 << 20),
    ("Gi", 1_000 << 30),
    ("Ti", 1_000 << 40),
    ("Pi", 1_000 << 50),
    ("Ei", 1_000 << 60),
];

/// The most digits after the point; Kubernetes keeps nine.
const MAX_FRACTION_DIGITS: usize = 9;

/// The quantity in thousandths, rounded up; `None` when the text is none, or is negative.
pub fn milli(text: &str) -> Option<i64> {
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(number_end);
    let (digits, fraction_digits) = decimal(number)?;
    let divisor = 10_i128.checked_pow(u32::try_from(fraction_digits).ok()?)?;
    let (factor, divisor) = match suffix {
        "n" => (1, divisor.checked_mul(1_000_000)?),
        "u" => (1, divisor.checked_mul(1_000)?),
        _ => (factor(suffix)?, divisor),
    };
    i64::try_from(ceiling(digits.checked_mul(factor)?, divisor)).ok()
}

/// The quantity in whole units, rounded up.
pub fn whole(text: &str) -> Option<i64> {
    // Sizes overflow thousandths of 64 bits late, but an exbibyte is a mistake anyway.
    let milli = milli(text)?;
    Some(milli / 1_000 + i64::from(milli % 1_000 != 0))
}

fn ceiling(value: i128, divisor: i128) -> i128 {
    value / divisor + i128::from(value % divisor != 0)
}

/// The digits without the point, and how many follow it.
fn decimal(number: &str) -> Option<(i128, usize)> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || whole.len() + fraction.len() == 0 || fraction.len() > MAX_FRACTION_DIGITS {
        return None;
    }
    Some((format!("{whole}{fraction}").parse().ok()?, fraction.len()))
}

/// What a suffix or an exponent such as `e3` multiplies by, in thousandths.
fn factor(suffix: &str) -> Option<i128> {
    if let Some((_, factor)) = SUFFIXES.iter().find(|(name, _)| *name == suffix) {
        return Some(*factor);
    }
    let digits = suffix.strip_prefix(['e', 'E'])?;
    let exponent = digits.strip_prefix('+').unwrap_or(digits).parse().ok()?;
    10_i128.checked_pow(exponent)?.checked_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        let cases = [
            ("0", Some(0)),
            ("1", Some(1_000)),
            ("500m", Some(500)),
            ("0.5", Some(500)),
            (".5", Some(500)),
            ("1.0005", Some(1_001)),
            ("1500u", Some(2)),
            ("1n", Some(1)),
            ("2e3", Some(2_000_000)),
            ("1E2", Some(100_000)),
            ("1k", Some(1_000_000)),
            ("1Ki", Some(1_024_000)),
            ("", None),
            (".", None),
            ("1.2.3", None),
            ("-1", None),
            ("1x", None),
            ("Mi", None),
            ("1mi", None),
            ("99999999999999999999", None),
            ("1e99", None),
        ];
        for (text, expected) in cases {
            assert_eq!(milli(text), expected, "{text:?}");
        }
        assert_eq!(whole("128Mi"), Some(128 << 20));
        assert_eq!(whole("1G"), Some(1_000_000_000));
        assert_eq!(whole("1.5Gi"), Some(3 << 29));
        assert_eq!(whole("100m"), Some(1));
    }
}
