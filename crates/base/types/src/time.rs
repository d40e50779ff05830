//! A wall-clock moment, as CRI carries it.

use serde::{Deserialize, Serialize};

/// Nanoseconds since the Unix epoch. Zero means *not yet*, as it does on the wire.
///
/// Only records and answers carry wall-clock time; every timeout uses the monotonic clock instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The moment that has not come yet.
    pub const NEVER: Self = Self(0);

    /// The moment `time` on the wall clock. Moments before 1970 become [`Timestamp::NEVER`].
    #[must_use]
    pub fn from_system(time: std::time::SystemTime) -> Self {
        let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    /// Now, on the wall clock.
    #[must_use]
    pub fn now() -> Self {
        Self::from_system(std::time::SystemTime::now())
    }
}
