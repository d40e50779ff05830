//! What is wrong with a configuration, and what is merely odd about it.
//!
//! Everything that is wrong is reported at once: an administrator repairs a file in one go. Warnings are data; the daemon logs
//! them once it has a log.

use std::fmt;
use std::path::PathBuf;

use crio_types::{Classified, ErrorKind};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A line of a file, the first being 1.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A flag, without dashes.
    Flag(String),
    /// Nobody set it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Something odd that does not keep the daemon from running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What it is about.
    pub origin: Origin,
    /// One sentence without a full stop.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)
    }
}

/// One thing that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A file or directory cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is larger, or a directory holds more, than is read.
    #[error("{} exceeds the limit of {limit}", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// The limit with its unit.
        limit: String,
    },
    /// A file is not TOML.
    #[error("{origin}: {message}")]
    Syntax {
        /// Where.
        origin: Origin,
        /// What the parser says.
        message: String,
    },
    /// A value that its option does not take.
    #[error("{origin}: {option} = {found}: expected {expected}")]
    Value {
        /// Where it was set.
        origin: Origin,
        /// Table and key.
        option: String,
        /// The value.
        found: String,
        /// What the option takes.
        expected: String,
    },
    /// Values that are right alone and wrong together.
    #[error("{origin}: {message}")]
    Conflict {
        /// Where one of them was set.
        origin: Origin,
        /// What does not fit.
        message: String,
    },
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Debug)]
pub struct ConfigErrors(pub Vec<Problem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is not usable:")?;
        for problem in &self.0 {
            write!(f, "\n  {}", crio_types::chain(problem))?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl Classified for ConfigErrors {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidArgument
    }
}
