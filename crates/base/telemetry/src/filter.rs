//! Which events reach the log, and the handle that changes it.
//!
//! The state is swapped whole, so a reader sees the old pair of level and pattern or the new one.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use regex::Regex;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::TelemetryError;

/// The largest compiled filter, in bytes: the pattern comes from a configuration, and a log line must stay cheap.
const MAX_PATTERN_BYTES: usize = 1 << 20;

#[derive(Debug)]
struct State {
    level: LevelFilter,
    pattern: Option<Regex>,
}

impl State {
    fn new(level: LevelFilter, pattern: Option<&str>) -> Result<Self, TelemetryError> {
        let compile = |pattern: &str| {
            regex::RegexBuilder::new(pattern)
                .size_limit(MAX_PATTERN_BYTES)
                .build()
                .map_err(|source| TelemetryError::Filter { pattern: pattern.to_owned(), source: Box::new(source) })
        };
        let pattern = pattern.filter(|pattern| !pattern.is_empty()).map(compile).transpose()?;
        Ok(Self { level, pattern })
    }

    fn allows(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let ours = target.split("::").next().is_some_and(|name| name == "crio" || name.starts_with("crio_"));
        let limit = match self.level {
            level if ours => level,
            LevelFilter::TRACE => LevelFilter::INFO,
            level => level.min(LevelFilter::WARN),
        };
        *metadata.level() <= limit
    }
}

/// Changes how much is logged.
#[derive(Debug, Clone)]
pub struct LogHandle {
    state: Arc<ArcSwap<State>>,
}

impl LogHandle {
    pub(crate) fn new(level: LevelFilter, pattern: Option<&str>) -> Result<Self, TelemetryError> {
        Ok(Self { state: Arc::new(ArcSwap::from_pointee(State::new(level, pattern)?)) })
    }

    pub(crate) fn verbosity(&self) -> Verbosity {
        Verbosity { state: Arc::clone(&self.state) }
    }

    /// Logs at `level` from now on, and only messages that match `pattern`; an empty one matches all.
    ///
    /// # Errors
    /// [`TelemetryError::Filter`] when `pattern` is not a regular expression; nothing changes then.
    pub fn set(&self, level: LevelFilter, pattern: Option<&str>) -> Result<(), TelemetryError> {
        self.state.store(Arc::new(State::new(level, pattern)?));
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }
}

/// The layer that lets events pass to the layers below it. It filters for all of them: a filter of one layer cannot
/// judge messages without upsetting the registry's accounts.
pub(crate) struct Verbosity {
    state: Arc<ArcSwap<State>>,
}

impl<S: Subscriber> Layer<S> for Verbosity {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.state.load().allows(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.state.load().allows(metadata)
    }

    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let state = self.state.load();
        let Some(pattern) = &state.pattern else {
            return true;
        };
        let mut message = Message(String::new());
        event.record(&mut message);
        pattern.is_match(&message.0)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.state.load().level)
    }
}

/// The text of an event's message.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
