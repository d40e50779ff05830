//! AppArmor: which profile a container runs under.
//!
//! Ignored when the kernel does not enforce AppArmor. A profile the request names must be loaded already; the default
//! one is loaded by us, through `apparmor_parser`, when the daemon starts.

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crio_types::SecurityProfile;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

const ENABLED: &str = "/sys/module/apparmor/parameters/enabled";
/// The kernel's list of loaded profiles.
pub(crate) const LOADED: &str = "/sys/kernel/security/apparmor/profiles";

/// The name of the profile containers get by default.
pub const DEFAULT_PROFILE: &str = "crio-default";

/// Whether the kernel enforces AppArmor.
#[must_use]
pub fn enabled() -> bool {
    fs::read_to_string(ENABLED).is_ok_and(|text| text.trim_start().starts_with('Y'))
}

/// In place of the default profile's name: none.
const UNCONFINED: &str = "unconfined";

/// The profile `requested` means; `None` is unconfined. An absent or empty request is the default profile, and the
/// prefix `localhost/` does not belong to the name (kubelet sends it, CRI-O strips it).
#[must_use]
pub fn resolve(requested: Option<&SecurityProfile>, default: &str) -> Option<String> {
    let default = || (default != UNCONFINED).then(|| default.to_owned());
    match requested {
        None | Some(SecurityProfile::RuntimeDefault) => default(),
        Some(SecurityProfile::Unconfined) => None,
        Some(SecurityProfile::Localhost(name)) => match name.strip_prefix("localhost/").unwrap_or(name) {
            "" => default(),
            name => Some(name.to_owned()),
        },
    }
}

/// How long the parser may take to compile and load the default profile.
const PARSER_DEADLINE: Duration = Duration::from_secs(30);

/// The default profile: a container may do what its capabilities let it, but not reach around the container through
/// `/proc` and `/sys`, mount, or signal and trace what is not confined like itself.
const DEFAULT_TEXT: &str = include_str!("apparmor/crio-default");

/// Loads the default profile into the kernel, unless one of its name is there.
///
/// # Errors
/// `apparmor_parser` is missing, fails, or does not end in time.
pub fn install_default() -> io::Result<()> {
    if is_loaded(Path::new(LOADED), DEFAULT_PROFILE)? {
        return Ok(());
    }
    let mut parser = Command::new("apparmor_parser")
        .args(["--skip-cache", "--replace"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // The text is smaller than a pipe, so writing it cannot wait for the parser.
    let written = parser.stdin.take().map_or(Ok(()), |mut input| input.write_all(DEFAULT_TEXT.as_bytes()));
    let ended = wait(&mut parser);
    written?;
    match ended? {
        status if status.success() => Ok(()),
        status => Err(io::Error::other(format!("apparmor_parser ended with {status}"))),
    }
}

/// Waits for the parser, and kills it at the deadline.
fn wait(parser: &mut Child) -> io::Result<std::process::ExitStatus> {
    let pid = i32::try_from(parser.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    let ended = pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from).and_then(|pidfd| {
        let deadline = Timespec::try_from(PARSER_DEADLINE).map_err(io::Error::other)?;
        Ok(poll(&mut [PollFd::new(&pidfd.as_fd(), PollFlags::IN)], Some(&deadline))?)
    });
    if matches!(ended, Ok(1)) {
        return parser.wait();
    }
    parser.kill()?;
    parser.wait()?;
    Err(ended.err().unwrap_or_else(|| io::ErrorKind::TimedOut.into()))
}

/// Whether a profile of this name is in the kernel's list.
///
/// # Errors
/// The list cannot be read.
pub fn is_loaded(list: &Path, name: &str) -> std::io::Result<bool> {
    Ok(lists(&fs::read_to_string(list)?, name))
}

/// The list has lines such as `crio-default (enforce)`; a name may hold spaces.
fn lists(profiles: &str, name: &str) -> bool {
    profiles.lines().filter_map(|line| line.rsplit_once(" (")).any(|(known, _)| known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_empty_and_default_are_the_same() {
        let local = |name: &str| Some(SecurityProfile::Localhost(name.to_owned()));
        let cases = [
            (None, Some("crio-default")),
            (Some(SecurityProfile::RuntimeDefault), Some("crio-default")),
            (Some(SecurityProfile::Unconfined), None),
            (local(""), Some("crio-default")),
            (local("mine"), Some("mine")),
            (local("localhost/mine"), Some("mine")),
        ];
        for (requested, expected) in cases {
            assert_eq!(resolve(requested.as_ref(), DEFAULT_PROFILE).as_deref(), expected, "{requested:?}");
        }
        assert_eq!(resolve(None, "unconfined"), None, "a configuration without a default");
        assert_eq!(resolve(local("mine").as_ref(), "unconfined").as_deref(), Some("mine"));
    }

    #[test]
    fn finds_a_name_in_the_kernels_list() {
        let list = "crio-default (enforce)\nmy profile (complain)\n/usr/bin/x (enforce)\n";
        for (name, expected) in [("crio-default", true), ("my profile", true), ("crio", false), ("", false)] {
            assert_eq!(lists(list, name), expected, "{name:?}");
        }
    }
}
