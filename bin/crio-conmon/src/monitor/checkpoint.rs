//! Writing the state of a container's processes: the runtime's `checkpoint`, at most one at a time for a container.
//!
//! The container goes on. Whoever asked keeps its processes from changing files meanwhile, if that matters to him; the
//! program that does the work, CRIU, is found by the runtime in this monitor's `PATH`. When the command is killed half-way,
//! the kernel lets go of the processes it held.

use std::ffi::OsString;
use std::time::Duration;

use crio_monitor_protocol::{CheckpointFiles, FailureKind};
use crio_types::ContainerId;

use super::{Caller, CommandResult, Cut, Monitor, Purpose, failure, refused};
use crate::poll::Key;
use crate::runtime::CommandStreams;

impl Monitor {
    pub(super) fn checkpoint(
        &mut self,
        caller: Caller,
        id: &ContainerId,
        files: &CheckpointFiles,
        limit: Duration,
    ) -> CommandResult {
        let key = self.find_running(id)?;
        let is_same = |purpose| matches!(purpose, Purpose::Checkpoint(other, _) if other == key);
        if self.commands.values().any(|command| is_same(command.purpose)) {
            let message = format!("a checkpoint of container {id} is being written");
            return Err(failure(FailureKind::FailedPrecondition, message));
        }
        let Some(container) = self.containers.get(&key) else {
            return Err(failure(FailureKind::FailedPrecondition, format!("container {id} is gone")));
        };
        let mut words: Vec<OsString> = vec!["--leave-running".into()];
        words.extend(file_words(files));
        words.push(id.as_str().into());
        let running = self.launcher.start(&container.runtime, "checkpoint", words, CommandStreams::default());
        let running = running.map_err(|error| refused("run the runtime", &error))?;
        self.track(running, Purpose::Checkpoint(key, caller), limit, None);
        Ok(())
    }

    /// Kills the checkpoint commands of these callers.
    pub(super) fn cancel_checkpoints(&mut self, is_theirs: impl Fn(&Caller) -> bool) {
        let theirs = |purpose| matches!(purpose, Purpose::Checkpoint(_, caller) if is_theirs(&caller));
        let doomed: Vec<Key> =
            self.commands.iter().filter(|(_, command)| theirs(command.purpose)).map(|(key, _)| *key).collect();
        for key in doomed {
            self.cut_command(key, Cut::Cancelled);
        }
    }
}

/// What `checkpoint` and `restore` want alike. A lock on a file would be lost silently without the first.
pub(super) fn file_words(files: &CheckpointFiles) -> Vec<OsString> {
    let path = |path: &std::path::Path| path.as_os_str().to_owned();
    vec!["--file-locks".into(), "--image-path".into(), path(&files.images), "--work-path".into(), path(&files.work)]
}
