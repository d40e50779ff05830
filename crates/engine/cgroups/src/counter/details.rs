//! What only metrics tell about a group: more of the same controllers, and those that statistics leave out.
//!
//! Everything is `None` or empty where the host does not account it. Names and meanings follow cAdvisor, which metrics are
//! compared with.

mod legacy;
mod unified;

use crate::counter::{Buffer, Counter, CounterError};
use crate::{CgroupPath, Cgroups};

/// Processor time by kind, and how often the quota held the group back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuDetails {
    /// Nanoseconds in programs.
    pub user_ns: u64,
    /// Nanoseconds in the kernel.
    pub system_ns: u64,
    /// Enforcement periods that have passed.
    pub periods: u64,
    /// Those in which the group was held back.
    pub throttled_periods: u64,
    /// How long it was held back, in nanoseconds.
    pub throttled_ns: u64,
}

/// Memory by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryDetails {
    /// Page cache in bytes.
    pub cache_bytes: u64,
    /// Memory of the kernel's own in bytes.
    pub kernel_bytes: Option<u64>,
    /// Mapped files in bytes.
    pub mapped_file_bytes: u64,
    /// The most that was ever charged, in bytes; kernels before 5.19 do not tell on v2.
    pub peak_bytes: Option<u64>,
    /// How often the limit was hit.
    pub limit_hits: Option<u64>,
    /// Page faults of the group itself, without the groups inside; `None` where only the whole is counted.
    pub own_page_faults: Option<u64>,
    /// Those of them that needed a disk.
    pub own_major_page_faults: Option<u64>,
}

/// Input and output of one block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceIo {
    /// The device's numbers.
    pub device: (u32, u32),
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub write_bytes: u64,
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
}

/// Huge pages of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HugepageUse {
    /// The size as the kernel spells it (`2MB`).
    pub page_size: String,
    /// Bytes in use.
    pub usage_bytes: u64,
    /// The most that was ever in use; v2 does not tell.
    pub peak_bytes: Option<u64>,
}

/// What only metrics tell about a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// Processor.
    pub cpu: Option<CpuDetails>,
    /// Memory.
    pub memory: Option<MemoryDetails>,
    /// How many processes the kernel has killed for want of memory.
    pub oom_kills: Option<u64>,
    /// Input and output, by device.
    pub io: Vec<DeviceIo>,
    /// Huge pages, by size.
    pub hugepages: Vec<HugepageUse>,
    /// How many tasks are allowed; `None` without a limit.
    pub task_limit: Option<u64>,
}

/// The open files of one group.
#[derive(Debug)]
pub(super) enum Files {
    Legacy(Box<legacy::Files>),
    Unified(Box<unified::Files>),
}

impl Files {
    pub(super) fn open(cgroups: &Cgroups, path: &CgroupPath) -> Result<Self, CounterError> {
        let sizes = cgroups.huge_page_sizes();
        match cgroups.hierarchies.unified_only() {
            Some(mount) => {
                unified::Files::open(&path.below(&mount.mount_point).into(), sizes).map(Box::new).map(Self::Unified)
            }
            None => legacy::Files::open(&cgroups.hierarchies, path, sizes).map(Box::new).map(Self::Legacy),
        }
    }

    pub(super) fn read(&self, buffer: &mut Buffer) -> Result<Details, CounterError> {
        match self {
            Self::Legacy(files) => files.read(buffer),
            Self::Unified(files) => files.read(buffer),
        }
    }

    pub(super) fn open_files(&self) -> usize {
        let (fixed, hugepages) = match self {
            Self::Legacy(files) => (files.fixed().to_vec(), &files.hugepages),
            Self::Unified(files) => (files.fixed().to_vec(), &files.hugepages),
        };
        let hugepages = hugepages.iter().flat_map(|size| [&size.usage, &size.peak]);
        fixed.into_iter().chain(hugepages).filter(|counter| counter.is_open()).count()
    }
}

/// The files of one huge page size.
#[derive(Debug)]
struct HugepageFiles {
    page_size: String,
    usage: Counter,
    peak: Counter,
}

impl HugepageFiles {
    /// `None` when the host does not account this size.
    fn read(&self, buffer: &mut Buffer) -> Result<Option<HugepageUse>, CounterError> {
        let usage = self.usage.number(buffer)?;
        let peak_bytes = self.peak.number(buffer)?;
        let page_size = self.page_size.clone();
        Ok(usage.map(|usage_bytes| HugepageUse { page_size, usage_bytes, peak_bytes }))
    }
}

fn read_hugepages(sizes: &[HugepageFiles], buffer: &mut Buffer) -> Result<Vec<HugepageUse>, CounterError> {
    sizes.iter().filter_map(|size| size.read(buffer).transpose()).collect()
}

/// The entry of a device, made when it is new.
fn device(devices: &mut Vec<DeviceIo>, numbers: (u32, u32)) -> &mut DeviceIo {
    let place = devices.iter().position(|known| known.device == numbers).unwrap_or_else(|| {
        devices.push(DeviceIo { device: numbers, ..DeviceIo::default() });
        devices.len() - 1
    });
    &mut devices[place]
}

/// `8:16`.
fn device_numbers(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The files of a v2 group, without a host that has one.
#[cfg(test)]
pub(super) fn unified_files(
    directory: &std::sync::Arc<std::path::Path>,
    huge_page_sizes: Vec<String>,
) -> Result<Files, CounterError> {
    unified::Files::open(directory, huge_page_sizes).map(Box::new).map(Files::Unified)
}
