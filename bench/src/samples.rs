//! Durations of one kind, and what is said about them.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

/// What is said about a series of durations.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// What was measured.
    pub(crate) name: &'static str,
    /// How often.
    pub(crate) count: usize,
    /// The shortest, in milliseconds.
    pub(crate) min_ms: f64,
    /// The median.
    pub(crate) p50_ms: f64,
    /// The 95th percentile.
    pub(crate) p95_ms: f64,
}

/// Series of durations, in the order of their first appearance.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    series: Vec<(&'static str, Vec<Duration>)>,
}

impl Recorder {
    /// Adds a duration.
    pub(crate) fn add(&mut self, name: &'static str, duration: Duration) {
        match self.series.iter_mut().find(|(known, _)| *known == name) {
            Some((_, durations)) => durations.push(duration),
            None => self.series.push((name, vec![duration])),
        }
    }

    /// Waits for a call and adds how long it took, unless it failed.
    pub(crate) async fn time<T>(&mut self, name: &'static str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let started = Instant::now();
        let answer = call.await?;
        self.add(name, started.elapsed());
        Ok(answer)
    }

    /// What there is to say.
    pub(crate) fn summaries(self) -> Vec<Summary> {
        self.series.into_iter().map(|(name, durations)| summary(name, durations)).collect()
    }
}

/// What there is to say about one series, which must not be empty.
pub(crate) fn summary(name: &'static str, mut durations: Vec<Duration>) -> Summary {
    durations.sort_unstable();
    let at = |percent: usize| {
        let rank = (durations.len() * percent).div_ceil(100).clamp(1, durations.len().max(1));
        durations.get(rank - 1).copied().unwrap_or_default().as_secs_f64() * 1000.0
    };
    Summary { name, count: durations.len(), min_ms: at(0), p50_ms: at(50), p95_ms: at(95) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let cases: [(Vec<u64>, f64, f64, f64); 4] = [
            (vec![7], 7.0, 7.0, 7.0),
            (vec![3, 1, 2], 1.0, 2.0, 3.0),
            ((1..=40).collect(), 1.0, 20.0, 38.0),
            ((1..=100).rev().collect(), 1.0, 50.0, 95.0),
        ];
        for (given, min_ms, p50_ms, p95_ms) in cases {
            let summary = summary("x", given.iter().map(|ms| Duration::from_millis(*ms)).collect());
            assert_eq!((summary.min_ms, summary.p50_ms, summary.p95_ms), (min_ms, p50_ms, p95_ms), "{given:?}");
        }
    }
}
