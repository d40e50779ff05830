//! Deadlines, earliest first. A timer that is not needed any more is cancelled, so the table holds only live ones.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::poll::Key;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// A runtime command took too long.
    Command(Key),
    /// An exec took too long.
    Exec(Key),
    /// The processes of an exec would not go away.
    ExecEnd(Key),
    /// A container would not go away.
    Removal(Key),
    /// There was nothing to do for a long time.
    Idle,
}

/// A timer that was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timer {
    at: Instant,
    number: u64,
}

/// The timers.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    set: BTreeMap<Timer, Due>,
    next: u64,
}

impl Timers {
    /// Sets a timer. One too far in the future to be told is a century off.
    pub(crate) fn set(&mut self, after: Duration, due: Due) -> Timer {
        const CENTURY: Duration = Duration::from_secs(100 * 366 * 86_400);
        let at = Instant::now() + after.min(CENTURY);
        self.next += 1;
        let timer = Timer { at, number: self.next };
        self.set.insert(timer, due);
        timer
    }

    /// Forgets a timer.
    pub(crate) fn cancel(&mut self, timer: Timer) {
        self.set.remove(&timer);
    }

    /// How long until the next one; `None` when there is none.
    pub(crate) fn until_next(&self) -> Option<Duration> {
        let (timer, _) = self.set.first_key_value()?;
        Some(timer.at.saturating_duration_since(Instant::now()))
    }

    /// Takes the next one that is due.
    pub(crate) fn next_due(&mut self) -> Option<Due> {
        let entry = self.set.first_entry()?;
        if entry.key().at <= Instant::now() { Some(entry.remove()) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_is_due_first_and_a_cancelled_one_never() {
        let mut timers = Timers::default();
        assert_eq!(timers.until_next(), None);
        timers.set(Duration::MAX, Due::Idle);
        let cancelled = timers.set(Duration::ZERO, Due::Command(1));
        timers.set(Duration::ZERO, Due::Exec(2));
        timers.set(Duration::ZERO, Due::Exec(3));
        timers.cancel(cancelled);
        assert_eq!(timers.until_next(), Some(Duration::ZERO));
        assert_eq!(
            [timers.next_due(), timers.next_due(), timers.next_due()],
            [Some(Due::Exec(2)), Some(Due::Exec(3)), None]
        );
        assert!(timers.until_next() > Some(Duration::from_secs(86_400)));
    }
}
