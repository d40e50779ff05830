//! Turning a fresh process into a monitor: apart from the daemon, hard to kill by accident, and parent of all that
//! its containers leave behind.
//!
//! What only protects (cgroup, out-of-memory score, descriptor limit) is done as far as the host allows; what the
//! monitor cannot work without is an error.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crio_sys::process;
use crio_sys::seqpacket::SeqPacketListener;
use crio_sys::signalfd::{SignalFd, Watched};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::process::{Resource, Rlimit};

use crate::arguments::Arguments;

/// The score that keeps the out-of-memory killer away.
const PROTECTED: i32 = -1000;

/// What the monitor stands on.
#[derive(Debug)]
pub(crate) struct Foundation {
    /// Signals to watch.
    pub(crate) signals: SignalFd,
    /// The socket the daemon made for us.
    pub(crate) listener: SeqPacketListener,
    /// The pod's directory, locked for as long as this is open.
    pub(crate) directory: OwnedFd,
    /// The limit of open files that children get.
    pub(crate) child_limit: Rlimit,
    /// Given up for a moment when no other descriptor is left: see [`Foundation::refuse_connection`].
    reserve: Option<OwnedFd>,
}

/// Why a monitor could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// The pod's directory cannot be opened.
    #[error("cannot open {}", path.display())]
    Directory { path: PathBuf, source: std::io::Error },
    /// Another monitor has it.
    #[error("another monitor has {}", path.display())]
    Locked { path: PathBuf },
    /// Standard input is not a listening socket.
    #[error("standard input is not a listening socket")]
    NoListener { source: std::io::Error },
    /// A system call failed that cannot fail on a sane host.
    #[error("cannot {attempt}")]
    System { attempt: &'static str, source: std::io::Error },
}

/// Sets the process up.
pub(crate) fn prepare(arguments: &Arguments) -> Result<Foundation, SetupError> {
    let system = |attempt| move |source| SetupError::System { attempt, source };
    for path in &arguments.cgroup_procs {
        // A monitor in the wrong cgroup is better than a pod without a monitor.
        if let Err(error) = std::fs::write(path, "0") {
            eprintln!("cannot join {}: {error}", path.display());
        }
    }
    // Fails only for the leader of a process group, which then has what we want already or does not care.
    let _session = rustix::process::setsid();
    rustix::process::umask(Mode::from_raw_mode(0o022));
    // Refused without CAP_SYS_RESOURCE; the monitor is then as likely a victim as its parent was.
    let _refused = process::set_oom_score_adjustment(PROTECTED);
    let child_limit = raise_descriptor_limit();
    process::become_subreaper().map_err(system("become a subreaper"))?;
    let signals = SignalFd::block(&[Watched::Child, Watched::Terminate, Watched::Interrupt, Watched::HangUp])
        .map_err(system("watch signals"))?;
    let listener = take_listener()?;
    let directory = lock_directory(&arguments.directory)?;
    let reserve = open_null().ok();
    Ok(Foundation { signals, listener, directory, child_limit, reserve })
}

impl Foundation {
    /// Takes and closes the next connection although there is no descriptor left for it: one that merely waited would wake
    /// the loop for ever.
    pub(crate) fn refuse_connection(&mut self) {
        self.reserve = None;
        // The caller may have gone away meanwhile, which is as good.
        drop(self.listener.accept());
        self.reserve = open_null().ok();
    }
}

/// Lets go of what the daemon gave. Until now the monitor held the listening socket on standard input, so that a start
/// that fails closes it only when the process ends, after it has said why on standard error.
pub(crate) fn close_standard_streams() -> Result<(), SetupError> {
    let failed =
        |error: rustix::io::Errno| SetupError::System { attempt: "close standard streams", source: error.into() };
    let null = open_null().map_err(failed)?;
    rustix::stdio::dup2_stdin(&null).map_err(failed)?;
    rustix::stdio::dup2_stdout(&null).map_err(failed)?;
    rustix::stdio::dup2_stderr(&null).map_err(failed)
}

/// A monitor of many containers needs more descriptors than the usual soft limit. Gives the old limit.
fn raise_descriptor_limit() -> Rlimit {
    let old = rustix::process::getrlimit(Resource::Nofile);
    // Without it the tables fill earlier.
    let _refused = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: old.maximum, maximum: old.maximum });
    old
}

fn open_null() -> Result<OwnedFd, rustix::io::Errno> {
    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
}

/// Takes the socket from standard input.
fn take_listener() -> Result<SeqPacketListener, SetupError> {
    let stdin = rustix::stdio::stdin();
    let no_listener = |error: rustix::io::Errno| SetupError::NoListener { source: error.into() };
    if !rustix::net::sockopt::socket_acceptconn(stdin).map_err(no_listener)? {
        return Err(no_listener(rustix::io::Errno::INVAL));
    }
    let listener = rustix::io::fcntl_dupfd_cloexec(stdin, 3).map_err(no_listener)?;
    Ok(SeqPacketListener::from_descriptor(listener))
}

fn lock_directory(path: &std::path::Path) -> Result<OwnedFd, SetupError> {
    let failed = |error: rustix::io::Errno| SetupError::Directory { path: path.to_owned(), source: error.into() };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
    match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(directory),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(SetupError::Locked { path: path.to_owned() }),
        Err(error) => Err(failed(error)),
    }
}
