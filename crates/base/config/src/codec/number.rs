//! Numbers, sizes and durations.
//!
//! Durations follow Go's `time.ParseDuration` and `Duration.String`, because that is what crio.conf holds; a bare
//! integer counts nanoseconds there. Negative durations are refused.

use std::time::Duration;

use toml::Value;

use super::{Codec, Mismatch, Shape};

/// An integer from `MIN` to `MAX`, both included.
#[derive(Debug)]
pub struct Number<const MIN: i64, const MAX: i64>;

impl<T: TryFrom<i64> + TryInto<i64> + Copy, const MIN: i64, const MAX: i64> Codec<T> for Number<MIN, MAX> {
    const SHAPE: Shape = Shape::Integer;

    fn expected() -> String {
        match (MIN, MAX) {
            (i64::MIN, i64::MAX) => Shape::Integer.noun().to_owned(),
            (_, i64::MAX) => format!("an integer of at least {MIN}"),
            _ => format!("an integer from {MIN} to {MAX}"),
        }
    }

    fn decode(value: &Value) -> Result<T, Mismatch> {
        value
            .as_integer()
            .filter(|number| (MIN..=MAX).contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| Mismatch::new(value.to_string(), <Self as Codec<T>>::expected()))
    }

    fn encode(value: &T) -> Option<Value> {
        (*value).try_into().ok().map(Value::Integer)
    }
}

/// A whole number of seconds.
#[derive(Debug)]
pub struct Seconds;

impl Codec<Duration> for Seconds {
    const SHAPE: Shape = Shape::Integer;

    fn expected() -> String {
        "a number of seconds, 0 or more".to_owned()
    }

    fn decode(value: &Value) -> Result<Duration, Mismatch> {
        value
            .as_integer()
            .and_then(|number| u64::try_from(number).ok())
            .map(Duration::from_secs)
            .ok_or_else(|| Mismatch::new(value.to_string(), Self::expected()))
    }

    fn encode(value: &Duration) -> Option<Value> {
        i64::try_from(value.as_secs()).ok().map(Value::Integer)
    }
}

/// A count of at least `MIN`, or −1 for none.
#[derive(Debug)]
pub struct PositiveOr<const MIN: u64>;

impl<const MIN: u64> Codec<Option<u64>> for PositiveOr<MIN> {
    const SHAPE: Shape = Shape::Integer;

    fn expected() -> String {
        format!("-1 for no limit, or an integer of at least {MIN}")
    }

    fn decode(value: &Value) -> Result<Option<u64>, Mismatch> {
        match value.as_integer() {
            Some(number) if number < 0 => Ok(None),
            Some(number) if number.unsigned_abs() >= MIN => Ok(Some(number.unsigned_abs())),
            _ => Err(Mismatch::new(value.to_string(), Self::expected())),
        }
    }

    fn encode(value: &Option<u64>) -> Option<Value> {
        Some(Value::Integer(value.map_or(-1, |number| i64::try_from(number).unwrap_or(i64::MAX))))
    }
}

/// The size of a gRPC message in bytes; zero and less mean the default of 80 MiB, as in CRI-O.
#[derive(Debug)]
pub struct MessageSize;

impl MessageSize {
    /// The default, in bytes.
    pub const DEFAULT: usize = 80 << 20;
    const MAX: i64 = i32::MAX as i64;
}

impl Codec<usize> for MessageSize {
    const SHAPE: Shape = Shape::Integer;

    fn expected() -> String {
        format!("a number of bytes up to {}", Self::MAX)
    }

    fn decode(value: &Value) -> Result<usize, Mismatch> {
        match value.as_integer() {
            Some(number) if number <= 0 => Ok(Self::DEFAULT),
            Some(number) if number <= Self::MAX => Ok(usize::try_from(number).unwrap_or(Self::DEFAULT)),
            _ => Err(Mismatch::new(value.to_string(), Self::expected())),
        }
    }

    fn encode(value: &usize) -> Option<Value> {
        i64::try_from(*value).ok().map(Value::Integer)
    }
}

/// A size in bytes, written as a string with an optional binary unit: `12MiB`, `512k`, `1048576`.
#[derive(Debug)]
pub struct ByteSize;

const UNITS: [(&str, u32); 5] = [("ti", 40), ("gi", 30), ("mi", 20), ("ki", 10), ("", 0)];

impl ByteSize {
    fn parse(text: &str) -> Option<u64> {
        let lower = text.trim().to_ascii_lowercase();
        let digits_end = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
        let number: u64 = lower[..digits_end].parse().ok()?;
        let unit = lower[digits_end..].trim().trim_end_matches('b');
        let shift = UNITS
            .iter()
            .find(|(name, _)| *name == unit || (!unit.is_empty() && name.strip_suffix('i') == Some(unit)))?
            .1;
        number.checked_mul(1 << shift)
    }

    fn format(bytes: u64) -> String {
        for (unit, shift) in UNITS {
            let size = 1_u64 << shift;
            if bytes >= size && bytes.is_multiple_of(size) {
                let mut letters = unit.to_owned();
                if let Some(first) = letters.get_mut(0..1) {
                    first.make_ascii_uppercase();
                }
                return format!("{}{letters}B", bytes / size);
            }
        }
        "0".to_owned()
    }
}

impl Codec<u64> for ByteSize {
    const SHAPE: Shape = Shape::Text;

    fn expected() -> String {
        "a size such as \"12MiB\"".to_owned()
    }

    fn decode(value: &Value) -> Result<u64, Mismatch> {
        let parsed = match value {
            Value::String(text) => Self::parse(text),
            Value::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        };
        parsed.ok_or_else(|| Mismatch::new(value.to_string(), Self::expected()))
    }

    fn encode(value: &u64) -> Option<Value> {
        Some(Value::String(Self::format(*value)))
    }
}

/// A duration in Go's syntax: `90s`, `1h30m`, `0s`.
#[derive(Debug)]
pub struct GoDuration;

const NANOSECONDS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl GoDuration {
    fn parse(text: &str) -> Option<Duration> {
        let mut rest = text.strip_prefix('+').unwrap_or(text);
        if rest == "0" {
            return Some(Duration::ZERO);
        }
        if rest.is_empty() {
            return None;
        }
        let mut total_ns: u64 = 0;
        while !rest.is_empty() {
            let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let (number, after) = rest.split_at(number_end);
            let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
            let (unit, next) = after.split_at(unit_end);
            let unit_ns = NANOSECONDS.iter().find(|(name, _)| *name == unit)?.1;
            total_ns = total_ns.checked_add(Self::scaled(number, unit_ns)?)?;
            rest = next;
        }
        i64::try_from(total_ns).ok()?;
        Some(Duration::from_nanos(total_ns))
    }

    /// `number` (digits with at most one point) times `unit_ns`, fractions of a nanosecond dropped.
    fn scaled(number: &str, unit_ns: u64) -> Option<u64> {
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let mut total = whole.checked_mul(unit_ns)?;
        let mut place = unit_ns;
        for digit in fraction.chars() {
            place /= 10;
            total = total.checked_add(u64::from(digit.to_digit(10)?).checked_mul(place)?)?;
        }
        Some(total)
    }

    fn format(duration: Duration) -> String {
        let total_ns = duration.as_nanos();
        if total_ns == 0 {
            return "0s".to_owned();
        }
        if duration < Duration::from_secs(1) {
            return match () {
                () if total_ns.is_multiple_of(1_000_000) => format!("{}ms", total_ns / 1_000_000),
                () if total_ns.is_multiple_of(1_000) => format!("{}µs", total_ns / 1_000),
                () => format!("{total_ns}ns"),
            };
        }
        let seconds = duration.as_secs();
        let mut fraction = String::new();
        if duration.subsec_nanos() > 0 {
            fraction = format!(".{:09}", duration.subsec_nanos());
            fraction.truncate(fraction.trim_end_matches('0').len());
        }
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        match (hours, minutes) {
            (0, 0) => format!("{seconds}{fraction}s"),
            (0, _) => format!("{minutes}m{seconds}{fraction}s"),
            _ => format!("{hours}h{minutes}m{seconds}{fraction}s"),
        }
    }
}

impl Codec<Duration> for GoDuration {
    const SHAPE: Shape = Shape::Text;

    fn expected() -> String {
        "a duration such as \"90s\" or \"1h30m\"".to_owned()
    }

    fn decode(value: &Value) -> Result<Duration, Mismatch> {
        let parsed = match value {
            Value::String(text) => Self::parse(text),
            Value::Integer(ns) => u64::try_from(*ns).ok().map(Duration::from_nanos),
            _ => None,
        };
        parsed.ok_or_else(|| Mismatch::new(value.to_string(), Self::expected()))
    }

    fn encode(value: &Duration) -> Option<Value> {
        Some(Value::String(Self::format(*value)))
    }
}
