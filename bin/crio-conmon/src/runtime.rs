//! Running the OCI runtime: its command line, its words when it fails, and what it must not inherit.
//!
//! The runtime gets no descriptor of ours but its standard streams. What it is to read or write beside those it reaches
//! by path, through this process's entry in procfs: a descriptor that leaks into a container is a way out of it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crio_monitor_protocol::RuntimeCommand;
use crio_sys::null::NullDevice;
use crio_sys::process::{self, Ended};
use rustix::fs::MemfdFlags;
use rustix::process::{Resource, Rlimit};
use serde::Deserialize;

/// How much of the end of the runtime's log is looked at.
const LOG_TAIL_BYTES: u64 = 16 * 1024;
/// The most of its words that are passed on.
const MESSAGE_MAX_BYTES: usize = 4 * 1024;

/// A runtime command that runs.
#[derive(Debug)]
pub(crate) struct Running {
    /// Its process.
    pub(crate) pid: u32,
    /// Where it writes what went wrong.
    log: File,
    verb: &'static str,
}

/// The standard streams of a command; absent ones are a null device, and an absent error stream goes with the log.
#[derive(Debug, Default)]
pub(crate) struct CommandStreams {
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: Option<OwnedFd>,
    pub(crate) stderr: Option<ErrorStream>,
}

/// Where a command's standard error goes.
#[derive(Debug)]
pub(crate) enum ErrorStream {
    /// Nowhere.
    Null,
    /// There.
    To(OwnedFd),
}

/// Starts runtime commands.
#[derive(Debug)]
pub(crate) struct Launcher {
    /// Our own protection from the out-of-memory killer, if we have any.
    protected_score: Option<i32>,
    /// The limit of open files that children get; ours is as high as it goes.
    child_limit: Rlimit,
    null: NullDevice,
}

impl Launcher {
    /// A launcher for this process as it is set up now.
    pub(crate) fn new(child_limit: Rlimit) -> std::io::Result<Self> {
        let score = process::oom_score_adjustment().unwrap_or(0);
        Ok(Self { protected_score: (score < 0).then_some(score), child_limit, null: NullDevice::make()? })
    }

    /// Starts `runtime verb words`.
    pub(crate) fn start(
        &self,
        runtime: &RuntimeCommand,
        verb: &'static str,
        words: impl IntoIterator<Item = std::ffi::OsString>,
        streams: CommandStreams,
    ) -> std::io::Result<Running> {
        let log = File::from(rustix::fs::memfd_create("runtime-log", MemfdFlags::CLOEXEC)?);
        let mut command = Command::new(&runtime.path);
        if let Some(root) = &runtime.root {
            command.arg("--root").arg(root);
        }
        if runtime.systemd_cgroup {
            command.arg("--systemd-cgroup");
        }
        command.arg("--log").arg(own_path(&log)).args(["--log-format", "json"]).args(&runtime.arguments);
        command.arg(verb).args(words);
        // All descriptors are made before the limit is lowered for the child, which is what forbids `Stdio::null` here.
        let or_null = |stream: Option<OwnedFd>| stream.map_or_else(|| self.null.open(), Ok).map(Stdio::from);
        command.stdin(or_null(streams.stdin)?).stdout(or_null(streams.stdout)?);
        command.stderr(match streams.stderr {
            Some(ErrorStream::To(descriptor)) => Stdio::from(descriptor),
            Some(ErrorStream::Null) => or_null(None)?,
            None => Stdio::from(log.try_clone()?),
        });
        Ok(Running { pid: self.spawn(&mut command)?, log, verb })
    }

    /// A child must inherit neither our protection nor our limit of open files. Raising the score is always allowed, and
    /// taking it back is as long as the process once had it by right; in between, for the time of one spawn, we are like
    /// any other process. The child is collected by the event loop, by its number.
    fn spawn(&self, command: &mut Command) -> std::io::Result<u32> {
        // What cannot be changed for the child it inherits: better than no child.
        let own_limit = rustix::process::getrlimit(Resource::Nofile);
        let _unchanged = rustix::process::setrlimit(Resource::Nofile, self.child_limit);
        if self.protected_score.is_some() {
            drop(process::set_oom_score_adjustment(0));
        }
        let child = command.spawn();
        if let Some(score) = self.protected_score {
            drop(process::set_oom_score_adjustment(score));
        }
        let _unchanged = rustix::process::setrlimit(Resource::Nofile, own_limit);
        Ok(child?.id())
    }
}

#[derive(Deserialize)]
struct LogLine {
    #[serde(default)]
    level: String,
    #[serde(default)]
    msg: String,
}

impl Running {
    /// Why the command failed, in the runtime's words if it left any.
    pub(crate) fn failure(&mut self, ended: Ended) -> String {
        let text = self.log_tail().unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut message = last_words(&text).unwrap_or_else(|| match ended {
            Ended::Exited(code) => format!("the runtime's {} failed with status {code}", self.verb),
            Ended::Signaled(signal) => format!("the runtime's {} was ended by signal {signal}", self.verb),
        });
        let cut = message.floor_char_boundary(MESSAGE_MAX_BYTES);
        message.truncate(cut);
        message
    }

    fn log_tail(&mut self) -> std::io::Result<Vec<u8>> {
        let length = self.log.seek(SeekFrom::End(0))?;
        self.log.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
        let mut text = Vec::new();
        (&self.log).take(LOG_TAIL_BYTES).read_to_end(&mut text)?;
        Ok(text)
    }
}

/// The last error of a log, or its last line of any kind.
fn last_words(text: &str) -> Option<String> {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty()).rev();
    let parsed = |line: &str| serde_json::from_str::<LogLine>(line).ok();
    let error = lines().filter_map(parsed).find(|line| matches!(line.level.as_str(), "error" | "fatal" | "panic"));
    if let Some(error) = error {
        return Some(error.msg);
    }
    let last = lines().next()?;
    Some(parsed(last).map_or_else(|| last.to_owned(), |line| line.msg))
}

/// A path under which any process of the host reaches this open file of ours.
pub(crate) fn own_path(file: &impl AsRawFd) -> PathBuf {
    PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_speaks() {
        let cases = [
            ("", None),
            ("plain words\n\n", Some("plain words")),
            ("{\"level\":\"warning\",\"msg\":\"w\"}\n", Some("w")),
            (
                "{\"level\":\"error\",\"msg\":\"the cause\"}\n{\"level\":\"warning\",\"msg\":\"later\"}\ncannot close\n",
                Some("the cause"),
            ),
            ("{\"msg\":\"torn", Some("{\"msg\":\"torn")),
        ];
        for (text, expected) in cases {
            assert_eq!(last_words(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_silent_failure_is_described() {
        let directory = tempfile::tempdir().unwrap();
        let runtime = RuntimeCommand {
            path: "/bin/false".into(),
            root: Some(directory.path().to_owned()),
            arguments: Vec::new(),
            systemd_cgroup: false,
        };
        let launcher = Launcher::new(rustix::process::getrlimit(Resource::Nofile)).unwrap();
        let mut running = launcher.start(&runtime, "start", [], CommandStreams::default()).unwrap();
        let failure = running.failure(Ended::Exited(1));
        assert_eq!(failure, "the runtime's start failed with status 1");
        assert_eq!(running.failure(Ended::Signaled(9)), "the runtime's start was ended by signal 9");
    }
}
