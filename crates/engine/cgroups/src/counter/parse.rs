//! The text forms of counter files, parsed from bytes without allocating.

use crio_types::{Pressure, PressureWindow};

/// v1 spells *no limit* as the largest page-aligned signed number; nothing real comes near.
const LEGACY_UNLIMITED: u64 = (i64::MAX as u64) & !0xffff;
const NANOSECONDS_PER_MICROSECOND: u64 = 1000;

/// A file that holds one number. By hand, because `memory.stat` has some eighty of them and is read for every group.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    let digits = text.trim_ascii();
    let add = |number: u64, digit: &u8| {
        let value = digit.wrapping_sub(b'0');
        (value <= 9).then(|| number.checked_mul(10)?.checked_add(u64::from(value))).flatten()
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, add) }
}

/// A file that holds a limit: `max`, or a number too large to be one, is none.
pub(crate) fn limit(text: &[u8]) -> Option<u64> {
    number(text).filter(|&limit| limit < LEGACY_UNLIMITED)
}

/// The lines `key value` of a flat keyed file.
pub(crate) fn fields(text: &[u8]) -> impl Iterator<Item = (&[u8], u64)> {
    text.split(|&byte| byte == b'\n').filter_map(|line| {
        let space = line.iter().position(|&byte| byte == b' ')?;
        Some((&line[..space], number(&line[space + 1..])?))
    })
}

/// One value of a flat keyed file.
pub(crate) fn field(text: &[u8], key: &[u8]) -> Option<u64> {
    fields(text).find(|(found, _)| *found == key).map(|(_, value)| value)
}

/// A pressure file: lines `some` and `full` of `avg10=… avg60=… avg300=… total=…`. `cpu.pressure` of old kernels lacks `full`.
pub(crate) fn pressure(text: &[u8]) -> Option<Pressure> {
    let mut pressure = Pressure::default();
    let mut known = false;
    for line in std::str::from_utf8(text).ok()?.lines() {
        let (kind, values) = line.split_once(' ')?;
        match kind {
            "some" => pressure.some = window(values)?,
            "full" => pressure.full = window(values)?,
            _ => continue,
        }
        known = true;
    }
    known.then_some(pressure)
}

fn window(values: &str) -> Option<PressureWindow> {
    let mut window = PressureWindow::default();
    for pair in values.split(' ') {
        let (key, value) = pair.split_once('=')?;
        match key {
            "avg10" => window.avg10 = value.parse().ok()?,
            "avg60" => window.avg60 = value.parse().ok()?,
            "avg300" => window.avg300 = value.parse().ok()?,
            "total" => window.total_ns = value.parse::<u64>().ok()?.saturating_mul(NANOSECONDS_PER_MICROSECOND),
            _ => {}
        }
    }
    Some(window)
}
