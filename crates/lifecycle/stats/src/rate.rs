//! Processor use *now*, in billionths of a core: the slope between two readings of the counter.
//!
//! Readings closer together than the interval would show noise, so they leave the last slope standing. Time is the monotonic
//! clock's. A counter that went back belongs to a new group, and the measurement starts over.

use std::time::{Duration, Instant};

const NANOSECONDS_PER_SECOND: u128 = 1_000_000_000;

/// The slope of one counter.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    last: Option<(Instant, u64)>,
    nano_cores: Option<u64>,
}

impl Rate {
    /// Takes a reading of `usage_ns` at `now`, and answers the slope; `None` before there are two readings `interval` apart.
    pub(crate) fn update(&mut self, now: Instant, usage_ns: u64, interval: Duration) -> Option<u64> {
        let Some((then, before_ns)) = self.last else {
            self.last = Some((now, usage_ns));
            return None;
        };
        let elapsed = now.saturating_duration_since(then);
        let Some(used_ns) = usage_ns.checked_sub(before_ns) else {
            *self = Self { last: Some((now, usage_ns)), nano_cores: None };
            return None;
        };
        if elapsed >= interval && !elapsed.is_zero() {
            let slope = u128::from(used_ns) * NANOSECONDS_PER_SECOND / elapsed.as_nanos();
            self.nano_cores = Some(u64::try_from(slope).unwrap_or(u64::MAX));
            self.last = Some((now, usage_ns));
        }
        self.nano_cores
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_needs_an_interval_and_a_counter_that_grows() {
        let interval = Duration::from_secs(1);
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut rate = Rate::default();
        for (milliseconds, usage_ns, expected) in [
            (0, 1_000, None),
            (500, 900_000_000, None),
            (2_000, 1_000_001_000, Some(500_000_000)),
            (2_500, 9_000_000_000, Some(500_000_000)),
            (3_000, 1_000_001_000, Some(0)),
            (4_000, 5, None),
            (6_000, 4_000_000_005, Some(2_000_000_000)),
        ] {
            assert_eq!(rate.update(at(milliseconds), usage_ns, interval), expected, "{milliseconds} ms");
        }
    }

    #[test]
    fn time_that_stands_still_divides_nothing() {
        let mut rate = Rate::default();
        let now = Instant::now();
        assert_eq!(rate.update(now, 0, Duration::ZERO), None);
        assert_eq!(rate.update(now, 5, Duration::ZERO), None);
    }
}
