//! Every metric there is.

use super::MetricGroup::{Cpu, Disk, DiskIo, Hugetlb, Memory, Network, Oom, Pressure, Process, Spec};
use super::{MetricDescriptor, MetricGroup, MetricKind};

const fn counter(
    group: MetricGroup,
    name: &'static str,
    further_labels: &'static [&'static str],
    help: &'static str,
) -> MetricDescriptor {
    MetricDescriptor { name, help, further_labels, kind: MetricKind::Counter, group: Some(group) }
}

const fn gauge(
    group: MetricGroup,
    name: &'static str,
    further_labels: &'static [&'static str],
    help: &'static str,
) -> MetricDescriptor {
    MetricDescriptor { name, help, further_labels, kind: MetricKind::Gauge, group: Some(group) }
}

pub(crate) static CPU_USER: MetricDescriptor =
    counter(Cpu, "container_cpu_user_seconds_total", &[], "Processor time spent in programs, in seconds.");
pub(crate) static CPU_SYSTEM: MetricDescriptor =
    counter(Cpu, "container_cpu_system_seconds_total", &[], "Processor time spent in the kernel, in seconds.");
pub(crate) static CPU_USAGE: MetricDescriptor =
    counter(Cpu, "container_cpu_usage_seconds_total", &["cpu"], "Processor time used, in seconds.");
pub(crate) static CPU_PERIODS: MetricDescriptor = counter(
    Cpu,
    "container_cpu_cfs_periods_total",
    &[],
    "Enforcement periods of the processor quota that have passed.",
);
pub(crate) static CPU_THROTTLED_PERIODS: MetricDescriptor = counter(
    Cpu,
    "container_cpu_cfs_throttled_periods_total",
    &[],
    "Enforcement periods in which the container was held back.",
);
pub(crate) static CPU_THROTTLED: MetricDescriptor = counter(
    Cpu,
    "container_cpu_cfs_throttled_seconds_total",
    &[],
    "Time for which the container was held back, in seconds.",
);

pub(crate) static FS_INODES_FREE: MetricDescriptor =
    gauge(Disk, "container_fs_inodes_free", &[], "Inodes free on the file system of the writable layer.");
pub(crate) static FS_INODES: MetricDescriptor =
    gauge(Disk, "container_fs_inodes_total", &[], "Inodes of the file system of the writable layer.");
pub(crate) static FS_LIMIT: MetricDescriptor = gauge(
    Disk,
    "container_fs_limit_bytes",
    &[],
    "Bytes the container can use on the file system of its writable layer.",
);
pub(crate) static FS_USAGE: MetricDescriptor =
    gauge(Disk, "container_fs_usage_bytes", &[], "Bytes the writable layer takes.");

pub(crate) static IO_READ_BYTES: MetricDescriptor =
    counter(DiskIo, "container_fs_reads_bytes_total", &["device"], "Bytes read from the device.");
pub(crate) static IO_READS: MetricDescriptor =
    counter(DiskIo, "container_fs_reads_total", &["device"], "Reads from the device.");
pub(crate) static IO_WRITE_BYTES: MetricDescriptor =
    counter(DiskIo, "container_fs_writes_bytes_total", &["device"], "Bytes written to the device.");
pub(crate) static IO_WRITES: MetricDescriptor =
    counter(DiskIo, "container_fs_writes_total", &["device"], "Writes to the device.");
pub(crate) static IO_DEVICE_USAGE: MetricDescriptor = counter(
    DiskIo,
    "container_blkio_device_usage_total",
    &["device", "major", "minor", "operation"],
    "Bytes moved between the device and the container, by operation.",
);

pub(crate) static HUGETLB_USAGE: MetricDescriptor =
    gauge(Hugetlb, "container_hugetlb_usage_bytes", &["pagesize"], "Bytes of huge pages in use.");
pub(crate) static HUGETLB_PEAK: MetricDescriptor = gauge(
    Hugetlb,
    "container_hugetlb_max_usage_bytes",
    &["pagesize"],
    "The most bytes of huge pages that were in use.",
);

pub(crate) static MEMORY_CACHE: MetricDescriptor = gauge(Memory, "container_memory_cache", &[], "Bytes of page cache.");
pub(crate) static MEMORY_RSS: MetricDescriptor =
    gauge(Memory, "container_memory_rss", &[], "Bytes of anonymous memory.");
pub(crate) static MEMORY_KERNEL: MetricDescriptor =
    gauge(Memory, "container_memory_kernel_usage", &[], "Bytes of the kernel's own memory.");
pub(crate) static MEMORY_MAPPED_FILE: MetricDescriptor =
    gauge(Memory, "container_memory_mapped_file", &[], "Bytes of mapped files.");
pub(crate) static MEMORY_SWAP: MetricDescriptor = gauge(Memory, "container_memory_swap", &[], "Bytes in swap.");
pub(crate) static MEMORY_LIMIT_HITS: MetricDescriptor =
    counter(Memory, "container_memory_failcnt", &[], "How often the memory limit was hit.");
pub(crate) static MEMORY_USAGE: MetricDescriptor =
    gauge(Memory, "container_memory_usage_bytes", &[], "Bytes of all memory that is charged.");
pub(crate) static MEMORY_PEAK: MetricDescriptor =
    gauge(Memory, "container_memory_max_usage_bytes", &[], "The most bytes that were charged.");
pub(crate) static MEMORY_WORKING_SET: MetricDescriptor =
    gauge(Memory, "container_memory_working_set_bytes", &[], "Bytes of charged memory less the inactive file cache.");
pub(crate) static MEMORY_FAULTS: MetricDescriptor =
    counter(Memory, "container_memory_failures_total", &["failure_type", "scope"], "Page faults.");

pub(crate) static NETWORK_RX_BYTES: MetricDescriptor =
    counter(Network, "container_network_receive_bytes_total", &["interface"], "Bytes received.");
pub(crate) static NETWORK_RX_PACKETS: MetricDescriptor =
    counter(Network, "container_network_receive_packets_total", &["interface"], "Packets received.");
pub(crate) static NETWORK_RX_DROPPED: MetricDescriptor = counter(
    Network,
    "container_network_receive_packets_dropped_total",
    &["interface"],
    "Packets received and dropped.",
);
pub(crate) static NETWORK_RX_ERRORS: MetricDescriptor =
    counter(Network, "container_network_receive_errors_total", &["interface"], "Errors while receiving.");
pub(crate) static NETWORK_TX_BYTES: MetricDescriptor =
    counter(Network, "container_network_transmit_bytes_total", &["interface"], "Bytes sent.");
pub(crate) static NETWORK_TX_PACKETS: MetricDescriptor =
    counter(Network, "container_network_transmit_packets_total", &["interface"], "Packets sent.");
pub(crate) static NETWORK_TX_DROPPED: MetricDescriptor = counter(
    Network,
    "container_network_transmit_packets_dropped_total",
    &["interface"],
    "Packets dropped instead of sent.",
);
pub(crate) static NETWORK_TX_ERRORS: MetricDescriptor =
    counter(Network, "container_network_transmit_errors_total", &["interface"], "Errors while sending.");

pub(crate) static OOM_KILLS: MetricDescriptor =
    counter(Oom, "container_oom_events_total", &[], "Processes killed for want of memory.");

pub(crate) static FILE_DESCRIPTORS: MetricDescriptor =
    gauge(Process, "container_file_descriptors", &[], "Open file descriptors.");
pub(crate) static PROCESSES: MetricDescriptor = gauge(Process, "container_processes", &[], "Processes.");
pub(crate) static SOCKETS: MetricDescriptor = gauge(Process, "container_sockets", &[], "Open sockets.");
pub(crate) static THREADS: MetricDescriptor = gauge(Process, "container_threads", &[], "Threads.");
pub(crate) static THREADS_MAX: MetricDescriptor =
    gauge(Process, "container_threads_max", &[], "Threads allowed; zero for any number.");
pub(crate) static ULIMITS: MetricDescriptor =
    gauge(Process, "container_ulimits_soft", &["ulimit"], "Soft limits of the container's first process.");

pub(crate) static SPEC_CPU_PERIOD: MetricDescriptor =
    gauge(Spec, "container_spec_cpu_period", &[], "Enforcement period of the processor quota, in microseconds.");
pub(crate) static SPEC_CPU_SHARES: MetricDescriptor =
    gauge(Spec, "container_spec_cpu_shares", &[], "Processor shares.");
pub(crate) static SPEC_CPU_QUOTA: MetricDescriptor =
    gauge(Spec, "container_spec_cpu_quota", &[], "Processor quota in microseconds a period.");
pub(crate) static SPEC_MEMORY_LIMIT: MetricDescriptor =
    gauge(Spec, "container_spec_memory_limit_bytes", &[], "Memory limit in bytes; zero for none.");
pub(crate) static SPEC_MEMORY_RESERVATION: MetricDescriptor = gauge(
    Spec,
    "container_spec_memory_reservation_limit_bytes",
    &[],
    "Memory that is kept for the container, in bytes; zero for none.",
);
pub(crate) static SPEC_SWAP_LIMIT: MetricDescriptor = gauge(
    Spec,
    "container_spec_memory_swap_limit_bytes",
    &[],
    "Limit of memory and swap together in bytes; zero for none.",
);
pub(crate) static START_TIME: MetricDescriptor =
    gauge(Spec, "container_start_time_seconds", &[], "When the container was started, in seconds since 1970.");

pub(crate) static PRESSURE_CPU_FULL: MetricDescriptor = counter(
    Pressure,
    "container_pressure_cpu_stalled_seconds_total",
    &[],
    "Seconds in which all tasks waited for a processor.",
);
pub(crate) static PRESSURE_CPU_SOME: MetricDescriptor = counter(
    Pressure,
    "container_pressure_cpu_waiting_seconds_total",
    &[],
    "Seconds in which some task waited for a processor.",
);
pub(crate) static PRESSURE_MEMORY_FULL: MetricDescriptor = counter(
    Pressure,
    "container_pressure_memory_stalled_seconds_total",
    &[],
    "Seconds in which all tasks waited for memory.",
);
pub(crate) static PRESSURE_MEMORY_SOME: MetricDescriptor = counter(
    Pressure,
    "container_pressure_memory_waiting_seconds_total",
    &[],
    "Seconds in which some task waited for memory.",
);
pub(crate) static PRESSURE_IO_FULL: MetricDescriptor = counter(
    Pressure,
    "container_pressure_io_stalled_seconds_total",
    &[],
    "Seconds in which all tasks waited for input or output.",
);
pub(crate) static PRESSURE_IO_SOME: MetricDescriptor = counter(
    Pressure,
    "container_pressure_io_waiting_seconds_total",
    &[],
    "Seconds in which some task waited for input or output.",
);

pub(crate) static LAST_SEEN: MetricDescriptor = MetricDescriptor {
    name: "container_last_seen",
    help: "When the container was last seen, in seconds since 1970.",
    further_labels: &[],
    kind: MetricKind::Gauge,
    group: None,
};

/// All of them, in the order in which clients see them.
pub(crate) static ALL: [&MetricDescriptor; 56] = [
    &CPU_USER,
    &CPU_SYSTEM,
    &CPU_USAGE,
    &CPU_PERIODS,
    &CPU_THROTTLED_PERIODS,
    &CPU_THROTTLED,
    &FS_INODES_FREE,
    &FS_INODES,
    &FS_LIMIT,
    &FS_USAGE,
    &IO_READ_BYTES,
    &IO_READS,
    &IO_WRITE_BYTES,
    &IO_WRITES,
    &IO_DEVICE_USAGE,
    &HUGETLB_USAGE,
    &HUGETLB_PEAK,
    &MEMORY_CACHE,
    &MEMORY_RSS,
    &MEMORY_KERNEL,
    &MEMORY_MAPPED_FILE,
    &MEMORY_SWAP,
    &MEMORY_LIMIT_HITS,
    &MEMORY_USAGE,
    &MEMORY_PEAK,
    &MEMORY_WORKING_SET,
    &MEMORY_FAULTS,
    &NETWORK_RX_BYTES,
    &NETWORK_RX_PACKETS,
    &NETWORK_RX_DROPPED,
    &NETWORK_RX_ERRORS,
    &NETWORK_TX_BYTES,
    &NETWORK_TX_PACKETS,
    &NETWORK_TX_DROPPED,
    &NETWORK_TX_ERRORS,
    &OOM_KILLS,
    &FILE_DESCRIPTORS,
    &PROCESSES,
    &SOCKETS,
    &THREADS,
    &THREADS_MAX,
    &ULIMITS,
    &SPEC_CPU_PERIOD,
    &SPEC_CPU_SHARES,
    &SPEC_CPU_QUOTA,
    &SPEC_MEMORY_LIMIT,
    &SPEC_MEMORY_RESERVATION,
    &SPEC_SWAP_LIMIT,
    &START_TIME,
    &PRESSURE_CPU_FULL,
    &PRESSURE_CPU_SOME,
    &PRESSURE_MEMORY_FULL,
    &PRESSURE_MEMORY_SOME,
    &PRESSURE_IO_FULL,
    &PRESSURE_IO_SOME,
    &LAST_SEEN,
];
