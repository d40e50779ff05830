//! Small rules that are strings in the file: limits, sysctls, devices, mappings, names from a vocabulary.
//!
//! What Linux, not we, gives a meaning (sysctl names, limit names, capabilities) is checked against the kernel's own
//! vocabulary here, so that a typing mistake fails at start and not at the first container.

use crio_types::IdMapping;
use toml::Value;

use super::text::text;
use super::{Codec, Mismatch, Shape};
use crate::{Assignment, DeviceNode, Ulimit};

/// Implements [`Codec`] for a string with a parser `fn(&str) -> Option<T>` and a writer `fn(&T) -> String`.
macro_rules! parsed {
    ($(#[$meta:meta])* $codec:ident: $type:ty, $expected:literal, $parse:expr, $write:expr) => {
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $codec;

        impl Codec<$type> for $codec {
            const SHAPE: Shape = Shape::Text;

            fn expected() -> String {
                $expected.to_owned()
            }

            fn decode(value: &Value) -> Result<$type, Mismatch> {
                let parse: fn(&str) -> Option<$type> = $parse;
                parse(text(value, Self::expected)?).ok_or_else(|| Mismatch::new(value.to_string(), Self::expected()))
            }

            fn encode(value: &$type) -> Option<Value> {
                let write: fn(&$type) -> String = $write;
                Some(Value::String(write(value)))
            }
        }
    };
}

parsed!(
    /// `NAME=value`.
    Assigned: Assignment,
    "NAME=value",
    assignment,
    ToString::to_string
);

parsed!(
    /// A sysctl of a namespace a pod can own, with its value.
    Sysctl: Assignment,
    "name=value of a namespaced sysctl (net.*, fs.mqueue.*, kernel.shm*, kernel.msg*, kernel.sem)",
    sysctl,
    ToString::to_string
);

parsed!(
    /// `driver.option=value`.
    StorageOption: String,
    "driver.option=value",
    |text| text.contains('=').then(|| text.trim().to_owned()),
    Clone::clone
);

parsed!(
    /// A capability, with or without `CAP_`, kept without.
    CapabilityName: String,
    "the name of a capability, such as \"CHOWN\"",
    capability,
    Clone::clone
);

parsed!(
    /// `name=soft:hard`.
    UlimitRule: Ulimit,
    "name=soft:hard with a name such as nofile or nproc, soft not above hard, -1 for unlimited",
    ulimit,
    ToString::to_string
);

parsed!(
    /// `host:container:permissions`, the last two optional.
    DeviceRule: DeviceNode,
    "host path[:container path][:permissions of rwm]",
    device,
    ToString::to_string
);

parsed!(
    /// A TCP port, which the file writes as a string.
    PortText: u16,
    "a port number as a string",
    |text| text.parse().ok(),
    ToString::to_string
);

parsed!(
    /// CPUs as the kernel spells a list: `0-3,8`.
    CpuList: String,
    "a list of CPUs such as \"0-3,8\"",
    cpu_list,
    Clone::clone
);

parsed!(
    /// The name of a metric, kept without the prefixes `container_runtime_` and `crio_`.
    CollectorName: String,
    "the name of a metric",
    |text| {
        let name = text.strip_prefix("container_runtime_").unwrap_or(text);
        let name = name.strip_prefix("crio_").unwrap_or(name);
        COLLECTORS.contains(&name).then(|| name.to_owned())
    },
    Clone::clone
);

parsed!(
    /// A group of pod metrics.
    PodMetrics: String,
    "one of cpu, disk, diskIO, hugetlb, memory, network, oom, process, spec, pressure, all",
    |text| POD_METRICS.contains(&text).then(|| text.to_owned()),
    Clone::clone
);

parsed!(
    /// `container:host:size`, several separated by commas.
    IdMappings: Vec<IdMapping>,
    "containerID:hostID:size, several separated by commas",
    id_mappings,
    |mappings| {
        let runs: Vec<String> = mappings
            .iter()
            .map(|run| format!("{}:{}:{}", run.container_id, run.host_id, run.length))
            .collect();
        runs.join(",")
    }
);

fn assignment(text: &str) -> Option<Assignment> {
    let (name, value) = text.split_once('=')?;
    if name.is_empty() || name.contains('\0') || value.contains('\0') {
        return None;
    }
    Some(Assignment { name: name.to_owned(), value: value.to_owned() })
}

const NAMESPACED_SYSCTLS: [&str; 5] = ["net.", "fs.mqueue.", "kernel.shm", "kernel.msg", "kernel.sem"];

fn sysctl(text: &str) -> Option<Assignment> {
    let (name, value) = text.split_once('=')?;
    let (name, value) = (name.trim().replace('/', "."), value.trim().to_owned());
    let namespaced = NAMESPACED_SYSCTLS.iter().any(|prefix| name.starts_with(prefix));
    (namespaced && !name.contains("..")).then_some(Assignment { name, value })
}

/// The metrics CRI-O has, without their prefix.
pub(crate) const COLLECTORS: [&str; 18] = [
    "image_pulls_layer_size",
    "containers_events_dropped_total",
    "containers_oom_total",
    "processes_defunct",
    "operations_total",
    "operations_latency_seconds",
    "operations_latency_seconds_total",
    "operations_errors_total",
    "image_pulls_bytes_total",
    "image_pulls_skipped_bytes_total",
    "image_pulls_failure_total",
    "image_pulls_success_total",
    "image_layer_reuse_total",
    "containers_oom_count_total",
    "containers_seccomp_notifier_count_total",
    "resources_stalled_at_stage",
    "containers_stopped_monitor_count",
    "default_runtime",
];

const POD_METRICS: [&str; 11] =
    ["cpu", "disk", "diskIO", "hugetlb", "memory", "network", "oom", "process", "spec", "pressure", "all"];

fn cpu_list(text: &str) -> Option<String> {
    let runs_ok = text.split(',').all(|run| {
        let (first, last) = run.split_once('-').unwrap_or((run, run));
        matches!((first.trim().parse::<u32>(), last.trim().parse::<u32>()), (Ok(first), Ok(last)) if first <= last)
    });
    runs_ok.then(|| text.trim().to_owned())
}

const CAPABILITIES: [&str; 41] = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];

fn capability(text: &str) -> Option<String> {
    let upper = text.trim().to_ascii_uppercase();
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
    CAPABILITIES.contains(&name).then(|| name.to_owned())
}

const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

fn ulimit(text: &str) -> Option<Ulimit> {
    let bound = |number: &str| match number.trim() {
        "-1" | "unlimited" => Some(u64::MAX),
        digits => digits.parse::<u64>().ok(),
    };
    let (name, limits) = text.split_once('=')?;
    let name = name.trim().to_ascii_lowercase();
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let (soft, hard) = (bound(soft)?, bound(hard)?);
    (ULIMITS.contains(&name.as_str()) && soft <= hard).then_some(Ulimit { name, soft, hard })
}

fn device(text: &str) -> Option<DeviceNode> {
    let parts: Vec<&str> = text.split(':').collect();
    let permissions_ok = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| "rwm".contains(c))
            && part.chars().enumerate().all(|(at, c)| part.find(c) == Some(at))
    };
    let (host, container, permissions) = match parts.as_slice() {
        [host] => (*host, *host, "rwm"),
        [host, second] if permissions_ok(second) => (*host, *host, *second),
        [host, container] => (*host, *container, "rwm"),
        [host, container, permissions] if permissions_ok(permissions) => (*host, *container, *permissions),
        _ => return None,
    };
    (host.starts_with('/') && container.starts_with('/')).then(|| DeviceNode {
        host_path: host.into(),
        container_path: container.into(),
        permissions: permissions.to_owned(),
    })
}

fn id_mappings(text: &str) -> Option<Vec<IdMapping>> {
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    text.split(',')
        .map(|run| {
            let mut numbers = run.trim().split(':').map(|number| number.parse::<u32>().ok());
            let mapping =
                IdMapping { container_id: numbers.next()??, host_id: numbers.next()??, length: numbers.next()?? };
            let fits = mapping.container_id.checked_add(mapping.length).is_some()
                && mapping.host_id.checked_add(mapping.length).is_some();
            (numbers.next().is_none() && mapping.length > 0 && fits).then_some(mapping)
        })
        .collect()
}
