//! The log: level, filter, format and place.

use crio_config::{Config, LogFormat, Words};
use crio_telemetry::Format;

/// What the log is asked to be.
pub fn telemetry(config: &Config) -> crio_telemetry::Config {
    crio_telemetry::Config {
        level: crio_telemetry::parse_level(config.runtime.log_level.word())
            .unwrap_or(tracing::level_filters::LevelFilter::INFO),
        filter: config.runtime.log_filter.clone(),
        format: match config.daemon.log_format {
            LogFormat::Json => Format::Json,
            LogFormat::Text => Format::Text,
        },
        file: config.daemon.log.clone(),
    }
}
