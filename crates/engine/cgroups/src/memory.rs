//! Memory figures that decisions hang on: usage and limit for update checks, and the kernel's evidence of out-of-memory kills.
//!
//! Each call opens, reads and closes one file; for repeated reading there is [`CounterReader`](crate::CounterReader).

use std::io;
use std::path::PathBuf;

use crio_types::{Classified, ErrorKind};

use crate::counter::parse;
use crate::process::is_gone;
use crate::{CgroupPath, Cgroups, Controller};

/// A memory file could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", file.display())]
pub struct MemoryError {
    /// The file.
    pub file: PathBuf,
    /// What the kernel said.
    pub source: io::Error,
}

impl Classified for MemoryError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Internal
    }
}

/// The two spellings of one file.
struct File {
    legacy: &'static str,
    unified: &'static str,
}

const USAGE: File = File { legacy: "memory.usage_in_bytes", unified: "memory.current" };
const LIMIT: File = File { legacy: "memory.limit_in_bytes", unified: "memory.max" };
const EVENTS: File = File { legacy: "memory.oom_control", unified: "memory.events" };

impl Cgroups {
    /// Memory charged to the group now, in bytes; `None` when the group is gone or memory is not accounted.
    ///
    /// # Errors
    /// The kernel refuses to tell.
    pub fn memory_usage_bytes(&self, path: &CgroupPath) -> Result<Option<u64>, MemoryError> {
        Ok(self.read_memory(path, &USAGE)?.and_then(|text| parse::number(text.as_bytes())))
    }

    /// The group's own memory limit in bytes; `None` when it has none, is gone or memory is not accounted.
    ///
    /// # Errors
    /// The kernel refuses to tell.
    pub fn memory_limit_bytes(&self, path: &CgroupPath) -> Result<Option<u64>, MemoryError> {
        Ok(self.read_memory(path, &LIMIT)?.and_then(|text| parse::limit(text.as_bytes())))
    }

    /// How many processes of the group the kernel has killed for want of memory; `None` when the group is gone or memory is not
    /// accounted. On v2 the groups inside are counted too, on v1 they are not.
    ///
    /// # Errors
    /// The kernel refuses to tell.
    pub fn oom_kills(&self, path: &CgroupPath) -> Result<Option<u64>, MemoryError> {
        let events = self.read_memory(path, &EVENTS)?;
        Ok(events.and_then(|text| parse::field(text.as_bytes(), b"oom_kill")))
    }

    fn read_memory(&self, path: &CgroupPath, file: &File) -> Result<Option<String>, MemoryError> {
        let Some(mount) = self.hierarchies.mount(Controller::Memory) else {
            return Ok(None);
        };
        let name = if mount.unified { file.unified } else { file.legacy };
        let file = path.below(&mount.mount_point).join(name);
        match std::fs::read_to_string(&file) {
            Ok(text) => Ok(Some(text)),
            Err(source) if is_gone(&source) => Ok(None),
            Err(source) => Err(MemoryError { file, source }),
        }
    }
}

#[cfg(test)]
mod tests;
