//! One overlay mount.
//!
//! Layers are handed over one by one (`lowerdir+`, Linux 6.5), so their number is not limited by the size of a page.
//! Older kernels get one option string, in which layers are named through `/proc/self/fd` to keep it short: about
//! ninety layers fit.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags};

/// `fsconfig` takes values shorter than this.
const VALUE_LIMIT: usize = 256;

/// The writable part of an overlay.
#[derive(Debug, Clone)]
pub struct Writable {
    /// Where changes go.
    pub upper: PathBuf,
    /// Scratch directory on the same file system.
    pub work: PathBuf,
}

/// An overlay to be mounted.
#[derive(Debug, Clone)]
pub struct Overlay<'a> {
    /// Directories below, topmost first. A read-only overlay needs two at least.
    pub lowers: &'a [PathBuf],
    /// The writable part; without it the mount is read-only.
    pub writable: Option<Writable>,
    /// Options of the file system: `volatile`, `metacopy=on`.
    pub options: &'a [String],
    /// `nodev`, `nosuid` and so on.
    pub attributes: MountAttrFlags,
    /// SELinux label of everything in it; empty for none.
    pub label: &'a str,
}

/// An overlay that could not be mounted.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    /// The kernel refused an option.
    #[error("overlay option {key}={value:?}")]
    Option {
        /// Its name.
        key: String,
        /// Its value; empty for a flag.
        value: OsString,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused the combination of layers and options.
    #[error("creating the overlay{log}")]
    Create {
        /// What the kernel said about it, if anything.
        log: String,
        /// Why.
        source: io::Error,
    },
    /// The finished mount could not be put in place.
    #[error("attaching the overlay at {}", target.display())]
    Attach {
        /// Where.
        target: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Overlay<'_> {
    /// Mounts it on `target`.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn mount(&self, target: &Path) -> Result<(), OverlayError> {
        let context = match rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC) {
            Ok(context) => context,
            Err(Errno::NOSYS) => return self.mount_with_string(target),
            Err(error) => return Err(create_error(None, error)),
        };
        let context = context.as_fd();
        for lower in self.lowers {
            match set_path(context, "lowerdir+", lower) {
                Err(OverlayError::Option { source, .. })
                    if source.raw_os_error() == Some(Errno::INVAL.raw_os_error()) =>
                {
                    return self.mount_with_string(target);
                }
                outcome => outcome?,
            }
        }
        if let Some(writable) = &self.writable {
            set_path(context, "upperdir", &writable.upper)?;
            set_path(context, "workdir", &writable.work)?;
        }
        for option in self.options {
            set_option(context, option)?;
        }
        if !self.label.is_empty() {
            set_option(context, &format!("context={}", self.label))?;
        }
        rustix::mount::fsconfig_create(context).map_err(|error| create_error(Some(context), error))?;
        let mount = rustix::mount::fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, self.attributes)
            .map_err(|error| create_error(Some(context), error))?;
        super::attach(&mount, target).map_err(|source| OverlayError::Attach { target: target.to_owned(), source })
    }

    /// The whole mount in one call with one string, for kernels without `lowerdir+`.
    fn mount_with_string(&self, target: &Path) -> Result<(), OverlayError> {
        let mut parents: Vec<(&Path, OwnedFd)> = Vec::new();
        let mut lowers = OsString::from("lowerdir=");
        for (index, lower) in self.lowers.iter().enumerate() {
            if index > 0 {
                lowers.push(":");
            }
            lowers.push(shortened(lower, &mut parents)?);
        }
        let mut data = lowers;
        if let Some(writable) = &self.writable {
            data.push(",upperdir=");
            data.push(&writable.upper);
            data.push(",workdir=");
            data.push(&writable.work);
        }
        for option in self.options {
            data.push(",");
            data.push(option);
        }
        if !self.label.is_empty() {
            data.push(format!(",context=\"{}\"", self.label));
        }
        let data = std::os::unix::ffi::OsStringExt::into_vec(data);
        let data = std::ffi::CString::new(data)
            .map_err(|error| OverlayError::Create { log: String::new(), source: error.into() })?;
        let flags = MountFlags::from_bits_retain(self.attributes.bits());
        rustix::mount::mount("overlay", target, "overlay", flags, data.as_c_str())
            .map_err(|error| create_error(None, error))
    }
}

/// `/proc/self/fd/<parent>/<name>` for a long path, opening each parent once.
fn shortened<'a>(path: &'a Path, parents: &mut Vec<(&'a Path, OwnedFd)>) -> Result<PathBuf, OverlayError> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(path.to_owned());
    };
    if !parents.iter().any(|(known, _)| *known == parent) {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, parent, flags, Mode::empty()).map_err(|error| OverlayError::Option {
            key: "lowerdir".to_owned(),
            value: path.as_os_str().to_owned(),
            source: error.into(),
        })?;
        parents.push((parent, fd));
    }
    let known = parents.iter().find(|(known, _)| *known == parent).expect("it was added above");
    Ok(PathBuf::from(format!("/proc/self/fd/{}", known.1.as_raw_fd())).join(name))
}

fn set_path(context: BorrowedFd<'_>, key: &str, path: &Path) -> Result<(), OverlayError> {
    let mut parents = Vec::new();
    let value = if path.as_os_str().len() < VALUE_LIMIT { path.to_owned() } else { shortened(path, &mut parents)? };
    rustix::mount::fsconfig_set_string(context, key, &value).map_err(|error| OverlayError::Option {
        key: key.to_owned(),
        value: path.as_os_str().to_owned(),
        source: error.into(),
    })
}

fn set_option(context: BorrowedFd<'_>, option: &str) -> Result<(), OverlayError> {
    let (key, value, outcome) = match option.split_once('=') {
        Some((key, value)) => (key, value, rustix::mount::fsconfig_set_string(context, key, value)),
        None => (option, "", rustix::mount::fsconfig_set_flag(context, option)),
    };
    outcome.map_err(|error| OverlayError::Option { key: key.to_owned(), value: value.into(), source: error.into() })
}

/// The failure, with what the kernel wrote into the context's message queue.
fn create_error(context: Option<BorrowedFd<'_>>, error: Errno) -> OverlayError {
    let mut log = String::new();
    let mut buffer = [0u8; 512];
    if let Some(context) = context {
        while let Ok(length) = rustix::io::read(context, &mut buffer) {
            if length == 0 {
                break;
            }
            log.push_str("; kernel: ");
            log.push_str(String::from_utf8_lossy(&buffer[..length]).trim_end());
        }
    }
    OverlayError::Create { log, source: error.into() }
}
