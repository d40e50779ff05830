//! The proof that an archive is what a daemon on this host wrote: its digest, in an extended attribute of its file.
//!
//! `trusted.*` attributes can be set only with CAP_SYS_ADMIN in the host's user namespace, which whoever has it does not need
//! an archive for. An archive that came another way is taken in by the administrator:
//! `setfattr -n trusted.crio.checkpoint -v "sha256:$(sha256sum FILE | cut -d' ' -f1)" FILE`.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;

use rustix::fs::XattrFlags;
use rustix::io::Errno;
use sha2::{Digest, Sha256};

/// The attribute.
pub const NAME: &str = "trusted.crio.checkpoint";
/// The longest value that makes sense.
const VALUE_MAX_BYTES: usize = 128;

/// The attribute's value for an archive with this digest.
pub(crate) fn value(hash: Sha256) -> String {
    format!("sha256:{}", hex::encode(hash.finalize()))
}

/// Marks an archive. One on a file system without such attributes stays unmarked: it can be restored elsewhere.
pub(crate) fn set(file: &File, value: &str) -> io::Result<()> {
    match rustix::fs::fsetxattr(file.as_fd(), NAME, value.as_bytes(), XattrFlags::empty()) {
        Ok(()) | Err(Errno::NOTSUP) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Marks an archive as ours that came another way. It is believed from then on.
///
/// # Errors
/// It cannot be read, or we may not.
pub fn admit(mut file: &File) -> io::Result<()> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    file.rewind()?;
    loop {
        match file.read(&mut buffer)? {
            0 => return set(file, &value(hash)),
            length => hash.update(&buffer[..length]),
        }
    }
}

/// The mark of an archive.
pub(crate) fn get(file: &File) -> io::Result<Option<String>> {
    let mut buffer = [0; VALUE_MAX_BYTES];
    match rustix::fs::fgetxattr(file.as_fd(), NAME, &mut buffer) {
        Ok(length) => Ok(Some(String::from_utf8_lossy(&buffer[..length]).trim().to_owned())),
        Err(Errno::NODATA | Errno::NOTSUP | Errno::RANGE) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}
