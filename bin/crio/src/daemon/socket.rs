//! The daemon's socket: one daemon to a socket, a stale one taken over, a live one left alone.

use std::fs::{File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

/// Whoever can write to the socket is root on the node, so only root and its group can.
const MODE: u32 = 0o660;
/// While a socket is made nobody else may open it.
const BIND_UMASK: u32 = 0o177;
/// How long a lock may be held by somebody who does not serve.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// A bound socket, held against other daemons for as long as it exists.
#[derive(Debug)]
pub struct Socket {
    /// Where clients come in.
    pub listener: UnixListener,
    _lock: File,
}

/// Binds the socket at `path`.
///
/// # Errors
/// Another daemon serves it, or it cannot be made.
pub async fn bind(path: &Path) -> Result<Socket> {
    let directory = path.parent().with_context(|| format!("socket path {} has no directory", path.display()))?;
    std::fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let lock = lock(path).await?;
    if UnixStream::connect(path).await.is_ok() {
        bail!("another program is serving {}", path.display());
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove the stale socket {}", path.display()));
        }
        _ => {}
    }
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(BIND_UMASK));
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = bound.with_context(|| format!("cannot listen on {}", path.display()))?;
    let permissions = Permissions::from_mode(MODE);
    std::fs::set_permissions(path, permissions)
        .with_context(|| format!("cannot set the mode of {}", path.display()))?;
    Ok(Socket { listener, _lock: lock })
}

/// Two daemons that start at once must not both find the socket stale.
async fn lock(path: &Path) -> Result<File> {
    let lock_path = path.with_extension("lock");
    let file = File::create(&lock_path).with_context(|| format!("cannot create {}", lock_path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => wait_for_lock(file, path).await,
        Err(error) => Err(error).with_context(|| format!("cannot lock {}", lock_path.display())),
    }
}

/// A daemon that was killed while it started a program has a child that holds its lock, and the socket on which nobody
/// answers any more, until it becomes that program. So a socket that takes connections is no proof of a daemon, but a
/// lock that stays is.
async fn wait_for_lock(file: File, path: &Path) -> Result<File> {
    let locked = tokio::task::spawn_blocking(move || flock(&file, FlockOperation::LockExclusive).map(|()| file));
    match timeout(LOCK_WAIT, locked).await {
        Ok(locked) => locked?.with_context(|| format!("cannot lock {}", path.display())),
        Err(_) => bail!("another daemon is serving {}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_taken_over_and_a_live_one_refused() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("crio.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket nobody serves"));
        let socket = bind(&path).await.expect("taken over");
        assert_eq!(std::fs::metadata(&path).expect("made").permissions().mode() & 0o777, MODE);
        let refused = bind(&path).await.expect_err("live");
        assert!(refused.to_string().contains("serving"), "{refused}");
        drop(socket);
        bind(&path).await.expect("free again");
    }
}
