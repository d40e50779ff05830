//! Signals as something to read: a blocked set of signals delivered through a descriptor (signalfd(2)).
//!
//! For a program that is one epoll loop: a signal is then an event among others, and no handler ever runs. Children get
//! an empty signal mask from the standard library when they are spawned, so blocking does not leak into them.

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

/// The signals of a [`SignalFd`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Watched {
    /// A child changed its state.
    Child = libc::SIGCHLD,
    /// Somebody asks us to end.
    Terminate = libc::SIGTERM,
    /// The same, from a keyboard.
    Interrupt = libc::SIGINT,
    /// The terminal, or the operator, hung up.
    HangUp = libc::SIGHUP,
}

/// A descriptor that turns readable when a watched signal arrives.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// Blocks these signals for the calling thread and delivers them here. Call it before any other thread exists.
    ///
    /// # Errors
    /// What sigprocmask(2) and signalfd(2) say.
    #[expect(unsafe_code, reason = "rustix has no signalfd")]
    pub fn block(signals: &[Watched]) -> std::io::Result<Self> {
        let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the pointer is to memory of the right type; sigemptyset only writes it.
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        // SAFETY: sigemptyset has filled it.
        let mut set = unsafe { set.assume_init() };
        for signal in signals {
            // SAFETY: the set was filled and the number is a signal.
            unsafe { libc::sigaddset(&raw mut set, *signal as i32) };
        }
        // SAFETY: the set was filled; a null pointer means that the old mask is not wanted.
        let result = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
        if result != 0 {
            return Err(std::io::Error::from_raw_os_error(result));
        }
        // SAFETY: the set was filled; −1 asks for a new descriptor.
        let descriptor = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if descriptor < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: the kernel made it for us just now, so nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    /// The number of the next signal that waits, if one does. Several of one kind may arrive as one.
    ///
    /// # Errors
    /// What read(2) says.
    pub fn next(&self) -> std::io::Result<Option<i32>> {
        let mut record = [0u8; size_of::<libc::signalfd_siginfo>()];
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.0, &mut record)) {
            Ok(_) => {
                let number = record.first_chunk().copied().unwrap_or_default();
                Ok(Some(i32::from_ne_bytes(number)))
            }
            Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_signal_is_read_and_not_delivered() {
        // The mask is per thread, and so is a signal sent to one.
        let signals = SignalFd::block(&[Watched::HangUp]).unwrap();
        assert_eq!(signals.next().unwrap(), None);
        #[expect(unsafe_code, reason = "a signal for this very thread")]
        // SAFETY: raise has no memory to get wrong, and the signal is blocked.
        unsafe {
            libc::raise(libc::SIGHUP)
        };
        assert_eq!(signals.next().unwrap(), Some(libc::SIGHUP));
        assert_eq!(signals.next().unwrap(), None);
    }
}
