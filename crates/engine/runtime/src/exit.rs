//! What is known about an exit when the monitor is not there to tell: its record, and the kernel's word.

use std::path::Path;
use std::time::Duration;

use crio_monitor_protocol::{EXIT_RECORD_SUFFIX, ExitRecord};
use crio_sys::process::{Ended, PidFd};
use crio_types::ContainerId;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How long after its end a process may wait for its parent to collect it, before we give up on its status.
const REAP_LIMIT: Duration = Duration::from_secs(2);

/// Waits until the process that had number `pid` and started at `start_time` has ended, and says how if the kernel
/// does (6.15 and later). A process that does not exist any more has ended in a way nobody knows.
///
/// # Errors
/// The kernel refused a handle for another reason than that.
pub async fn wait_exit(pid: u32, start_time: u64) -> std::io::Result<Option<Ended>> {
    let handle = match PidFd::open_started(pid, start_time) {
        Ok(handle) => watch(handle)?,
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut ready = handle.readable().await?;
    if let Some(ended) = handle.get_ref().exit_information() {
        return Ok(Some(ended));
    }
    // Readable means ended; the status is there once the parent has collected it, which raises another event.
    ready.clear_ready();
    // A kernel that never raises it costs the limit, and the answer is asked for once more in any case.
    drop(tokio::time::timeout(REAP_LIMIT, handle.readable()).await);
    Ok(handle.get_ref().exit_information())
}

#[expect(deprecated, reason = "its unsafe successor asks that the descriptor stays the same, which an owned one does")]
fn watch(handle: PidFd) -> std::io::Result<AsyncFd<PidFd>> {
    AsyncFd::with_interest(handle, Interest::READABLE)
}

/// Reads what the monitor of the pod in `directory` recorded about this container's exit; `None` when it recorded
/// nothing.
///
/// # Errors
/// The record cannot be read, or is not one (`InvalidData`).
pub fn read_exit_record(directory: &Path, id: &ContainerId) -> std::io::Result<Option<ExitRecord>> {
    let bytes = match std::fs::read(directory.join(format!("{id}{EXIT_RECORD_SUFFIX}"))) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let record = serde_json::from_slice(&bytes)?;
    Ok(Some(record))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_somebody_elses_child_is_noticed() {
        let mut child = tokio::process::Command::new("/bin/sh").args(["-c", "exit 9"]).spawn().unwrap();
        let pid = child.id().unwrap();
        let start_time = crio_sys::process::start_time(pid).unwrap();
        let (ended, status) = tokio::join!(wait_exit(pid, start_time), child.wait());
        assert_eq!(status.unwrap().code(), Some(9));
        assert!(matches!(ended.unwrap(), None | Some(Ended::Exited(9))));
        assert_eq!(wait_exit(pid, start_time).await.unwrap(), None);
    }

    #[test]
    fn a_missing_record_is_none_and_a_torn_one_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let id = ContainerId::from_bytes([2; 32]);
        assert_eq!(read_exit_record(directory.path(), &id).unwrap(), None);
        std::fs::write(directory.path().join(format!("{id}{EXIT_RECORD_SUFFIX}")), "{").unwrap();
        assert!(read_exit_record(directory.path(), &id).is_err());
    }
}
