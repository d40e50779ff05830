//! What a container or a pod uses. `None` means *not known*, which the wire shows as an absent field.

use crate::{ContainerId, ContainerMetadata, Labels, SandboxId, SandboxMetadata, Timestamp};

/// Share of time tasks waited, in one window of the kernel's pressure information.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PressureWindow {
    /// Total stall in nanoseconds.
    pub total_ns: u64,
    /// Percent over ten seconds.
    pub avg10: f64,
    /// Percent over a minute.
    pub avg60: f64,
    /// Percent over five minutes.
    pub avg300: f64,
}

/// Pressure stall information of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pressure {
    /// All tasks waited.
    pub full: PressureWindow,
    /// Some task waited.
    pub some: PressureWindow,
}

/// Processor time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CpuStats {
    /// When it was read.
    pub timestamp: Timestamp,
    /// Processor time used since the start, in nanoseconds.
    pub usage_core_ns: u64,
    /// Use now, in billionths of a core; `None` until two readings exist.
    pub usage_nano_cores: Option<u64>,
    /// Pressure.
    pub pressure: Option<Pressure>,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MemoryStats {
    /// When it was read.
    pub timestamp: Timestamp,
    /// Usage less the inactive file cache.
    pub working_set_bytes: u64,
    /// What is left below the limit; `None` without a limit.
    pub available_bytes: Option<u64>,
    /// All that is charged.
    pub usage_bytes: u64,
    /// Anonymous memory.
    pub rss_bytes: u64,
    /// Page faults.
    pub page_faults: u64,
    /// Page faults that needed a disk.
    pub major_page_faults: u64,
    /// Pressure.
    pub pressure: Option<Pressure>,
}

/// Swap, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SwapStats {
    /// When it was read.
    pub timestamp: Timestamp,
    /// What is left below the limit.
    pub available_bytes: Option<u64>,
    /// In use.
    pub usage_bytes: u64,
}

/// Block I/O.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct IoStats {
    /// When it was read.
    pub timestamp: Timestamp,
    /// Pressure.
    pub pressure: Option<Pressure>,
}

/// Use of a file system by one thing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilesystemUsage {
    /// When it was measured.
    pub timestamp: Timestamp,
    /// A directory on that file system.
    pub mountpoint: String,
    /// Bytes.
    pub used_bytes: u64,
    /// Inodes.
    pub inodes_used: u64,
}

/// Counters of one network interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InterfaceStats {
    /// Interface name.
    pub name: String,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Packets received.
    pub rx_packets: u64,
    /// Receive errors.
    pub rx_errors: u64,
    /// Packets received and dropped.
    pub rx_dropped: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Send errors.
    pub tx_errors: u64,
    /// Packets dropped instead of sent.
    pub tx_dropped: u64,
}

/// Counters of a pod's network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetworkStats {
    /// When they were read.
    pub timestamp: Timestamp,
    /// The interface that carries the pod's address.
    pub default_interface: Option<InterfaceStats>,
    /// The others, without loopback.
    pub interfaces: Vec<InterfaceStats>,
}

/// What one container uses.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerStats {
    /// Which container.
    pub id: ContainerId,
    /// Its metadata.
    pub metadata: ContainerMetadata,
    /// Its labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// Processor.
    pub cpu: Option<CpuStats>,
    /// Memory.
    pub memory: Option<MemoryStats>,
    /// Swap.
    pub swap: Option<SwapStats>,
    /// Block I/O.
    pub io: Option<IoStats>,
    /// Writable layer.
    pub writable_layer: Option<FilesystemUsage>,
}

/// What one pod uses.
#[derive(Debug, Clone, PartialEq)]
pub struct SandboxStats {
    /// Which sandbox.
    pub id: SandboxId,
    /// Its metadata.
    pub metadata: SandboxMetadata,
    /// Its labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// Processor, of the whole pod.
    pub cpu: Option<CpuStats>,
    /// Memory, of the whole pod.
    pub memory: Option<MemoryStats>,
    /// Block I/O, of the whole pod.
    pub io: Option<IoStats>,
    /// Network; `None` for host-network pods.
    pub network: Option<NetworkStats>,
    /// How many processes run in it.
    pub process_count: Option<u64>,
    /// Its containers.
    pub containers: Vec<ContainerStats>,
}
