//! The command line: where the pod's directory is, where exits are published, and which cgroups to join.

use std::ffi::OsString;
use std::path::PathBuf;

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// Say which version this is.
    Version,
    /// Be a monitor.
    Run(Arguments),
}

/// A monitor's arguments.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// The pod's directory.
    pub(crate) directory: PathBuf,
    /// Where exit codes are published.
    pub(crate) exits_directory: PathBuf,
    /// `cgroup.procs` files of the cgroups to join.
    pub(crate) cgroup_procs: Vec<PathBuf>,
}

/// A command line that makes no sense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgumentError {
    /// Not an option of ours.
    #[error("unknown argument {0:?}")]
    Unknown(OsString),
    /// An option lacks its value, or its value is not an absolute path.
    #[error("{0} needs an absolute path")]
    NeedsPath(&'static str),
}

impl Arguments {
    /// Reads the command line without the program's name.
    pub(crate) fn parse(mut words: impl Iterator<Item = OsString>) -> Result<Parsed, ArgumentError> {
        let mut arguments = Self::default();
        while let Some(word) = words.next() {
            let mut path = |option| match words.next().map(PathBuf::from) {
                Some(path) if path.is_absolute() => Ok(path),
                _ => Err(ArgumentError::NeedsPath(option)),
            };
            match word.to_str() {
                Some("--version") => return Ok(Parsed::Version),
                Some("--directory") => arguments.directory = path("--directory")?,
                Some("--exits-directory") => arguments.exits_directory = path("--exits-directory")?,
                Some("--cgroup-procs") => arguments.cgroup_procs.push(path("--cgroup-procs")?),
                _ => return Err(ArgumentError::Unknown(word)),
            }
        }
        for (option, path) in [("--directory", &arguments.directory), ("--exits-directory", &arguments.exits_directory)]
        {
            if path.as_os_str().is_empty() {
                return Err(ArgumentError::NeedsPath(option));
            }
        }
        Ok(Parsed::Run(arguments))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Parsed, ArgumentError> {
        Arguments::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn lines_are_read_or_refused() {
        let run = Parsed::Run(Arguments {
            directory: "/d".into(),
            exits_directory: "/e".into(),
            cgroup_procs: vec!["/a".into(), "/b".into()],
        });
        assert_eq!(parse("--directory /d --exits-directory /e --cgroup-procs /a --cgroup-procs /b"), Ok(run));
        assert_eq!(parse("--version"), Ok(Parsed::Version));
        assert_eq!(parse("--directory /d"), Err(ArgumentError::NeedsPath("--exits-directory")));
        assert_eq!(parse("--directory d --exits-directory /e"), Err(ArgumentError::NeedsPath("--directory")));
        assert_eq!(parse("--directory"), Err(ArgumentError::NeedsPath("--directory")));
        assert_eq!(parse("--frobnicate"), Err(ArgumentError::Unknown("--frobnicate".into())));
    }
}
