//! The daemon's log: text or JSON lines on standard error or in a file, with a level and a filter that can change while it runs.
//!
//! Levels have CRI-O's words. The level applies to our own crates; other libraries are only heard when they warn, or from `info`
//! on at level `trace`. A filter is a regular expression that the *message* of an event has to match, not its fields.
//! Metrics and traces are not here yet.

mod filter;

use std::fs::OpenOptions;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Mutex;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

pub use filter::LogHandle;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What the log is asked to be.
#[derive(Debug, Clone)]
pub struct Config {
    /// How much is logged; see [`parse_level`].
    pub level: LevelFilter,
    /// Regular expression that messages have to match.
    pub filter: Option<String>,
    /// How a line looks.
    pub format: Format,
    /// File that lines are appended to; `None` for standard error.
    pub file: Option<PathBuf>,
}

/// The log cannot be what it is asked to be.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not a regular expression.
    #[error("log_filter {pattern:?} is not a regular expression")]
    Filter {
        /// The filter.
        pattern: String,
        /// What is wrong with it.
        source: Box<regex::Error>,
    },
    /// The file cannot be opened.
    #[error("cannot open the log file {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A process has one log.
    #[error("the log was set up before")]
    Installed(#[source] tracing::subscriber::SetGlobalDefaultError),
}

/// The level that one of CRI-O's words means: fatal, panic, error, warn, warning, info, debug or trace.
#[must_use]
pub fn parse_level(word: &str) -> Option<LevelFilter> {
    Some(match word.to_ascii_lowercase().as_str() {
        "fatal" | "panic" | "error" => LevelFilter::ERROR,
        "warn" | "warning" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => return None,
    })
}

/// Sets up the log of this process. The handle changes level and filter later.
///
/// # Errors
/// [`TelemetryError`] when the filter or the file is wrong, or when there is a log already.
pub fn init(config: &Config) -> Result<LogHandle, TelemetryError> {
    let handle = LogHandle::new(config.level, config.filter.as_deref())?;
    let (writer, colours) = match &config.file {
        None => (BoxMakeWriter::new(std::io::stderr), std::io::stderr().is_terminal()),
        Some(path) => {
            let file = OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)
                .map_err(|source| TelemetryError::Open { path: path.clone(), source })?;
            (BoxMakeWriter::new(Mutex::new(file)), false)
        }
    };
    let subscriber =
        tracing_subscriber::registry().with(lines(config.format, colours, writer)).with(handle.verbosity());
    tracing::subscriber::set_global_default(subscriber).map_err(TelemetryError::Installed)?;
    Ok(handle)
}

fn lines<S, W>(format: Format, colours: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colours);
    match format {
        Format::Text => Box::new(layer),
        Format::Json => Box::new(layer.json().flatten_event(true).with_current_span(false)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no writer panics").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Memory {
        fn take(&self) -> String {
            let bytes = std::mem::take(&mut *self.0.lock().expect("no writer panics"));
            String::from_utf8(bytes).expect("lines are UTF-8")
        }
    }

    fn speak() {
        tracing::info!(target: "crio::pods", pod = "pulled", "started the sandbox");
        tracing::info!(target: "crio::pods", "pulled the image");
        tracing::debug!(target: "crio_image", "asked the registry");
        tracing::debug!(target: "hyper", "noise");
        tracing::warn!(target: "hyper", "trouble");
    }

    #[test]
    fn level_and_filter_change_while_it_runs() {
        let memory = Memory::default();
        let target = memory.clone();
        let handle = LogHandle::new(LevelFilter::INFO, None).expect("no filter");
        let layer = lines(Format::Text, false, move || target.clone());
        let subscriber = tracing_subscriber::registry().with(layer).with(handle.verbosity());
        let guard = tracing::subscriber::set_default(subscriber);
        let steps = [
            (None, LevelFilter::INFO, 3),
            (None, LevelFilter::DEBUG, 4),
            (None, LevelFilter::ERROR, 0),
            (Some("^pull"), LevelFilter::DEBUG, 1),
            (Some("image|registry"), LevelFilter::TRACE, 2),
            (None, LevelFilter::INFO, 3),
        ];
        for (filter, level, expected) in steps {
            handle.set(level, filter).expect("a regular expression");
            speak();
            let text = memory.take();
            assert_eq!(text.lines().count(), expected, "{level} {filter:?}: {text}");
        }
        assert!(handle.set(LevelFilter::INFO, Some("(")).is_err());
        speak();
        assert_eq!(memory.take().lines().count(), 3, "a wrong filter changes nothing");
        drop(guard);
    }

    #[test]
    fn json_lines_are_objects() {
        let memory = Memory::default();
        let target = memory.clone();
        let handle = LogHandle::new(LevelFilter::INFO, Some("sandbox")).expect("a regular expression");
        let layer = lines(Format::Json, false, move || target.clone());
        let subscriber = tracing_subscriber::registry().with(layer).with(handle.verbosity());
        let guard = tracing::subscriber::set_default(subscriber);
        speak();
        drop(guard);
        let text = memory.take();
        assert!(text.starts_with('{') && text.trim_end().ends_with('}'), "{text}");
        assert!(text.contains(r#""message":"started the sandbox""#) && text.contains(r#""pod":"pulled""#), "{text}");
    }

    #[test]
    fn every_word_of_the_configuration_is_a_level() {
        for word in ["fatal", "panic", "error", "warn", "warning", "info", "debug", "trace", "INFO"] {
            assert!(parse_level(word).is_some(), "{word}");
        }
        assert_eq!(parse_level("loud"), None);
    }
}
