//! The metrics of pods, from the counters that are open for statistics.

use std::sync::Arc;

use crio_cgroups::{Counters, Details};
use crio_types::{ContainerStatus, InterfaceStats, MemoryStats, Pressure, SandboxStatus, Timestamp};
use rustix::process::Pid;

use super::container::Container;
use super::sandbox::Sandbox;
use super::{Collector, Shared, lock};
use crate::metric::{self, ContainerMetrics, Metric, MetricDescriptor, MetricGroup, PodMetrics};
use crate::process;

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;
/// What cAdvisor calls the sandbox among a pod's containers.
const SANDBOX: &str = "POD";

/// A pod whose metrics are wanted, as readers see it.
#[derive(Debug, Clone)]
pub struct MeasuredPod {
    /// The sandbox.
    pub sandbox: Arc<SandboxStatus>,
    /// Those of its containers that have not ended.
    pub containers: Vec<Arc<ContainerStatus>>,
}

impl Collector {
    /// What metrics there can be.
    #[must_use]
    pub fn metric_descriptors(&self) -> Vec<&'static MetricDescriptor> {
        metric::descriptors(&self.shared.config.metric_groups)
    }

    /// The metrics of these pods, in this order. Unknown pods are left out, and so are containers whose group is gone.
    pub async fn metrics(&self, pods: Vec<MeasuredPod>) -> Vec<PodMetrics> {
        let known: Vec<_> = {
            let table = lock(&self.shared.table);
            let container =
                |status: &Arc<ContainerStatus>| Some((Arc::clone(status), table.containers.get(&status.id).cloned()?));
            let pod = |pod: &MeasuredPod| {
                let sandbox = table.sandboxes.get(&pod.sandbox.id).cloned()?;
                Some((
                    Arc::clone(&pod.sandbox),
                    sandbox,
                    pod.containers.iter().filter_map(container).collect::<Vec<_>>(),
                ))
            };
            pods.iter().filter_map(pod).collect()
        };
        self.blocking(move |shared| {
            known.iter().map(|(status, sandbox, members)| read_pod(shared, status, sandbox, members)).collect()
        })
        .await
    }
}

fn read_pod(
    shared: &Shared,
    status: &SandboxStatus,
    sandbox: &Sandbox,
    members: &[(Arc<ContainerStatus>, Arc<Container>)],
) -> PodMetrics {
    let base = [status.id.as_str(), "", &status.metadata.namespace, &status.metadata.name, SANDBOX];
    let mut gathered = Gathered::new(shared, base);
    if let Some(network) = shared.has(MetricGroup::Network).then(|| sandbox.network(shared)).flatten() {
        gathered.timestamp = network.timestamp;
        network.default_interface.iter().chain(&network.interfaces).for_each(|interface| gathered.interface(interface));
    }
    let containers = members.iter().filter_map(|(container, member)| read_container(shared, status, container, member));
    PodMetrics { id: status.id.clone(), metrics: gathered.metrics, containers: containers.collect() }
}

/// `None` when the container's group is gone.
fn read_container(
    shared: &Shared,
    pod: &SandboxStatus,
    status: &ContainerStatus,
    member: &Container,
) -> Option<ContainerMetrics> {
    let counters = member.counters(shared)?;
    let pod = &pod.metadata;
    let base = [status.id.as_str(), &status.image.image, &pod.namespace, &pod.name, &status.metadata.name];
    let mut gathered = Gathered::new(shared, base);
    let details = if shared.needs_details() { member.details(shared)? } else { Details::default() };
    gathered.push(&metric::LAST_SEEN, &[], seconds_since_epoch(gathered.timestamp));
    gathered.cpu(&counters, &details);
    gathered.memory(&counters, &details);
    gathered.oom(&details);
    gathered.io(&details);
    gathered.hugepages(&details);
    gathered.pressures(&counters);
    gathered.spec(status);
    gathered.disk(shared, member);
    gathered.processes(shared, member, &counters, &details);
    Some(ContainerMetrics { id: status.id.clone(), metrics: gathered.metrics })
}

impl Shared {
    fn has(&self, group: MetricGroup) -> bool {
        self.config.metric_groups.include(group)
    }

    fn needs_details(&self) -> bool {
        use MetricGroup::{Cpu, DiskIo, Hugetlb, Memory, Oom, Process};
        [Cpu, Memory, Oom, DiskIo, Hugetlb, Process].into_iter().any(|group| self.has(group))
    }
}

/// The metrics of one container or sandbox, as they come together. Those of groups that are not included are passed over.
struct Gathered<'a> {
    shared: &'a Shared,
    base: [String; 5],
    timestamp: Timestamp,
    metrics: Vec<Metric>,
}

impl<'a> Gathered<'a> {
    fn new(shared: &'a Shared, base: [&str; 5]) -> Self {
        Self { shared, base: base.map(str::to_owned), timestamp: Timestamp::now(), metrics: Vec::new() }
    }

    fn push(&mut self, descriptor: &'static MetricDescriptor, further: &[&str], value: u64) {
        debug_assert_eq!(descriptor.further_labels.len(), further.len(), "{}", descriptor.name);
        if descriptor.group.is_none_or(|group| self.shared.has(group)) {
            let labels = self.base.iter().cloned().chain(further.iter().map(|label| (*label).to_owned())).collect();
            self.metrics.push(Metric { descriptor, timestamp: self.timestamp, labels, value });
        }
    }

    /// What is not known is not sent.
    fn push_known(&mut self, descriptor: &'static MetricDescriptor, value: Option<u64>) {
        if let Some(value) = value {
            self.push(descriptor, &[], value);
        }
    }

    fn cpu(&mut self, counters: &Counters, details: &Details) {
        if let Some(cpu) = counters.cpu {
            self.timestamp = cpu.timestamp;
            self.push(&metric::CPU_USAGE, &["total"], cpu.usage_core_ns / NANOSECONDS_PER_SECOND);
        }
        if let Some(cpu) = details.cpu {
            self.push(&metric::CPU_USER, &[], cpu.user_ns / NANOSECONDS_PER_SECOND);
            self.push(&metric::CPU_SYSTEM, &[], cpu.system_ns / NANOSECONDS_PER_SECOND);
            self.push(&metric::CPU_PERIODS, &[], cpu.periods);
            self.push(&metric::CPU_THROTTLED_PERIODS, &[], cpu.throttled_periods);
            self.push(&metric::CPU_THROTTLED, &[], cpu.throttled_ns / NANOSECONDS_PER_SECOND);
        }
    }

    fn memory(&mut self, counters: &Counters, details: &Details) {
        let (Some(memory), Some(details)) = (counters.memory, details.memory) else {
            return;
        };
        self.push(&metric::MEMORY_USAGE, &[], memory.usage_bytes);
        self.push(&metric::MEMORY_WORKING_SET, &[], memory.working_set_bytes);
        self.push(&metric::MEMORY_RSS, &[], memory.rss_bytes);
        self.push(&metric::MEMORY_CACHE, &[], details.cache_bytes);
        self.push(&metric::MEMORY_MAPPED_FILE, &[], details.mapped_file_bytes);
        self.push(&metric::MEMORY_SWAP, &[], counters.swap.map_or(0, |swap| swap.usage_bytes));
        self.push_known(&metric::MEMORY_KERNEL, details.kernel_bytes);
        self.push_known(&metric::MEMORY_PEAK, details.peak_bytes);
        self.push_known(&metric::MEMORY_LIMIT_HITS, details.limit_hits);
        let MemoryStats { page_faults, major_page_faults, .. } = memory;
        let own = (details.own_page_faults, details.own_major_page_faults);
        for (kind, whole, own) in [("pgfault", page_faults, own.0), ("pgmajfault", major_page_faults, own.1)] {
            self.push(&metric::MEMORY_FAULTS, &[kind, "container"], own.unwrap_or(whole));
            self.push(&metric::MEMORY_FAULTS, &[kind, "hierarchy"], whole);
        }
    }

    fn oom(&mut self, details: &Details) {
        self.push_known(&metric::OOM_KILLS, details.oom_kills);
    }

    fn io(&mut self, details: &Details) {
        for io in &details.io {
            let (major, minor) = (io.device.0.to_string(), io.device.1.to_string());
            let device = format!("{major}:{minor}");
            self.push(&metric::IO_READ_BYTES, &[&device], io.read_bytes);
            self.push(&metric::IO_READS, &[&device], io.reads);
            self.push(&metric::IO_WRITE_BYTES, &[&device], io.write_bytes);
            self.push(&metric::IO_WRITES, &[&device], io.writes);
            self.push(&metric::IO_DEVICE_USAGE, &[&device, &major, &minor, "read"], io.read_bytes);
            self.push(&metric::IO_DEVICE_USAGE, &[&device, &major, &minor, "write"], io.write_bytes);
        }
    }

    fn hugepages(&mut self, details: &Details) {
        for pages in &details.hugepages {
            self.push(&metric::HUGETLB_USAGE, &[&pages.page_size], pages.usage_bytes);
            if let Some(peak) = pages.peak_bytes {
                self.push(&metric::HUGETLB_PEAK, &[&pages.page_size], peak);
            }
        }
    }

    fn pressures(&mut self, counters: &Counters) {
        let pressures = [
            (counters.cpu.and_then(|cpu| cpu.pressure), &metric::PRESSURE_CPU_FULL, &metric::PRESSURE_CPU_SOME),
            (
                counters.memory.and_then(|memory| memory.pressure),
                &metric::PRESSURE_MEMORY_FULL,
                &metric::PRESSURE_MEMORY_SOME,
            ),
            (counters.io.and_then(|io| io.pressure), &metric::PRESSURE_IO_FULL, &metric::PRESSURE_IO_SOME),
        ];
        for (pressure, full_descriptor, some_descriptor) in pressures {
            if let Some(Pressure { full, some }) = pressure {
                self.push(full_descriptor, &[], full.total_ns / NANOSECONDS_PER_SECOND);
                self.push(some_descriptor, &[], some.total_ns / NANOSECONDS_PER_SECOND);
            }
        }
    }

    /// Of limits that are not set, memory's are told as zero, as cAdvisor does, and a processor's are not told.
    fn spec(&mut self, status: &ContainerStatus) {
        let limits = &status.resources;
        let set = |value: i64| u64::try_from(value).ok().filter(|value| *value > 0);
        self.push_known(&metric::SPEC_CPU_QUOTA, set(limits.cpu_quota_us));
        self.push_known(&metric::SPEC_CPU_PERIOD, set(limits.cpu_period_us));
        self.push_known(&metric::SPEC_CPU_SHARES, set(limits.cpu_shares));
        self.push(&metric::SPEC_MEMORY_LIMIT, &[], set(limits.memory_limit_bytes).unwrap_or(0));
        self.push(&metric::SPEC_SWAP_LIMIT, &[], set(limits.memory_swap_limit_bytes).unwrap_or(0));
        let reservation = limits.unified.get("memory.low").and_then(|value| value.trim().parse().ok());
        self.push(&metric::SPEC_MEMORY_RESERVATION, &[], reservation.unwrap_or(0));
        if status.started_at != Timestamp::NEVER {
            self.push(&metric::START_TIME, &[], seconds_since_epoch(status.started_at));
        }
    }

    fn disk(&mut self, shared: &Shared, member: &Container) {
        let Some(layer) = member.subject.writable_layer.as_ref().filter(|_| shared.has(MetricGroup::Disk)) else {
            return;
        };
        if let Some(usage) = member.layer_usage(shared) {
            self.push(&metric::FS_USAGE, &[], usage.used_bytes);
        }
        if let Ok(filesystem) = rustix::fs::statvfs(&layer.directory) {
            self.push(&metric::FS_LIMIT, &[], filesystem.f_blocks.saturating_mul(filesystem.f_frsize));
            self.push(&metric::FS_INODES, &[], filesystem.f_files);
            self.push(&metric::FS_INODES_FREE, &[], filesystem.f_ffree);
        }
    }

    fn processes(&mut self, shared: &Shared, member: &Container, counters: &Counters, details: &Details) {
        if !shared.has(MetricGroup::Process) {
            return;
        }
        self.push_known(&metric::THREADS, counters.task_count);
        self.push(&metric::THREADS_MAX, &[], details.task_limit.unwrap_or(0));
        let processes: Vec<Pid> = shared.source.cgroups.counted_processes(&member.subject.cgroup).unwrap_or_default();
        let opened = process::opened(&processes);
        self.push(&metric::PROCESSES, &[], processes.len() as u64);
        self.push(&metric::FILE_DESCRIPTORS, &[], opened.descriptors);
        self.push(&metric::SOCKETS, &[], opened.sockets);
        // The first process has the lowest number: the others are its children.
        if let Some(limit) = processes.first().and_then(|first| process::open_files_limit(*first)) {
            self.push(&metric::ULIMITS, &["max_open_files"], limit);
        }
    }

    fn interface(&mut self, interface: &InterfaceStats) {
        let name = [interface.name.as_str()];
        self.push(&metric::NETWORK_RX_BYTES, &name, interface.rx_bytes);
        self.push(&metric::NETWORK_RX_PACKETS, &name, interface.rx_packets);
        self.push(&metric::NETWORK_RX_DROPPED, &name, interface.rx_dropped);
        self.push(&metric::NETWORK_RX_ERRORS, &name, interface.rx_errors);
        self.push(&metric::NETWORK_TX_BYTES, &name, interface.tx_bytes);
        self.push(&metric::NETWORK_TX_PACKETS, &name, interface.tx_packets);
        self.push(&metric::NETWORK_TX_DROPPED, &name, interface.tx_dropped);
        self.push(&metric::NETWORK_TX_ERRORS, &name, interface.tx_errors);
    }
}

fn seconds_since_epoch(timestamp: Timestamp) -> u64 {
    u64::try_from(timestamp.0).unwrap_or(0) / NANOSECONDS_PER_SECOND
}
