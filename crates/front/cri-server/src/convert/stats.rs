//! What containers and sandboxes use. What is not known stays absent: kubelet reads an absent value as *no answer*
//! and a zero as *nothing used*.

use crio_cri_api::v1;
use crio_types::{
    ContainerStats, CpuStats, FilesystemUsage, InterfaceStats, IoStats, MemoryStats, NetworkStats, Pressure,
    PressureWindow, SandboxStats, SwapStats, Timestamp,
};

use super::status;

#[expect(clippy::unnecessary_wraps, reason = "every use is a field that may be absent")]
fn value(value: u64) -> Option<v1::UInt64Value> {
    Some(v1::UInt64Value { value })
}

/// What one container uses.
pub(crate) fn container(stats: &ContainerStats) -> v1::ContainerStats {
    v1::ContainerStats {
        attributes: Some(v1::ContainerAttributes {
            id: stats.id.to_string(),
            metadata: Some(status::container_metadata(&stats.metadata)),
            labels: stats.labels.clone(),
            annotations: stats.annotations.clone(),
        }),
        cpu: stats.cpu.as_ref().map(cpu),
        memory: stats.memory.as_ref().map(memory),
        writable_layer: stats.writable_layer.as_ref().map(filesystem),
        swap: stats.swap.as_ref().map(swap),
        io: stats.io.as_ref().map(io),
    }
}

/// What one sandbox uses, its containers included.
pub(crate) fn sandbox(stats: &SandboxStats) -> v1::PodSandboxStats {
    let process = stats.process_count.map(|count| v1::ProcessUsage {
        timestamp: stats.cpu.map_or_else(Timestamp::now, |cpu| cpu.timestamp).0,
        process_count: value(count),
    });
    v1::PodSandboxStats {
        attributes: Some(v1::PodSandboxAttributes {
            id: stats.id.to_string(),
            metadata: Some(status::sandbox_metadata(&stats.metadata)),
            labels: stats.labels.clone(),
            annotations: stats.annotations.clone(),
        }),
        linux: Some(v1::LinuxPodSandboxStats {
            cpu: stats.cpu.as_ref().map(cpu),
            memory: stats.memory.as_ref().map(memory),
            network: stats.network.as_ref().map(network),
            process,
            containers: stats.containers.iter().map(container).collect(),
            io: stats.io.as_ref().map(io),
        }),
        windows: None,
    }
}

/// Use of a file system.
pub(crate) fn filesystem(usage: &FilesystemUsage) -> v1::FilesystemUsage {
    v1::FilesystemUsage {
        timestamp: usage.timestamp.0,
        fs_id: Some(v1::FilesystemIdentifier { mountpoint: usage.mountpoint.clone() }),
        used_bytes: value(usage.used_bytes),
        inodes_used: value(usage.inodes_used),
    }
}

fn cpu(cpu: &CpuStats) -> v1::CpuUsage {
    v1::CpuUsage {
        timestamp: cpu.timestamp.0,
        usage_core_nano_seconds: value(cpu.usage_core_ns),
        usage_nano_cores: cpu.usage_nano_cores.and_then(value),
        psi: cpu.pressure.as_ref().map(pressure),
    }
}

fn memory(memory: &MemoryStats) -> v1::MemoryUsage {
    v1::MemoryUsage {
        timestamp: memory.timestamp.0,
        working_set_bytes: value(memory.working_set_bytes),
        available_bytes: memory.available_bytes.and_then(value),
        usage_bytes: value(memory.usage_bytes),
        rss_bytes: value(memory.rss_bytes),
        page_faults: value(memory.page_faults),
        major_page_faults: value(memory.major_page_faults),
        psi: memory.pressure.as_ref().map(pressure),
    }
}

fn swap(swap: &SwapStats) -> v1::SwapUsage {
    v1::SwapUsage {
        timestamp: swap.timestamp.0,
        swap_available_bytes: swap.available_bytes.and_then(value),
        swap_usage_bytes: value(swap.usage_bytes),
    }
}

fn io(io: &IoStats) -> v1::IoUsage {
    v1::IoUsage { timestamp: io.timestamp.0, psi: io.pressure.as_ref().map(pressure) }
}

fn pressure(pressure: &Pressure) -> v1::PsiStats {
    let window = |window: &PressureWindow| v1::PsiData {
        total: window.total_ns,
        avg10: window.avg10,
        avg60: window.avg60,
        avg300: window.avg300,
    };
    v1::PsiStats { full: Some(window(&pressure.full)), some: Some(window(&pressure.some)) }
}

fn network(network: &NetworkStats) -> v1::NetworkUsage {
    v1::NetworkUsage {
        timestamp: network.timestamp.0,
        default_interface: network.default_interface.as_ref().map(interface),
        interfaces: network.interfaces.iter().map(interface).collect(),
    }
}

fn interface(interface: &InterfaceStats) -> v1::NetworkInterfaceUsage {
    v1::NetworkInterfaceUsage {
        name: interface.name.clone(),
        rx_bytes: value(interface.rx_bytes),
        rx_errors: value(interface.rx_errors),
        tx_bytes: value(interface.tx_bytes),
        tx_errors: value(interface.tx_errors),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_absent_and_zero_is_zero() {
        let unlimited = memory(&MemoryStats { timestamp: Timestamp(9), available_bytes: None, ..Default::default() });
        assert_eq!((unlimited.timestamp, unlimited.available_bytes, unlimited.psi), (9, None, None));
        assert_eq!(unlimited.usage_bytes, value(0));

        let first = cpu(&CpuStats::default());
        assert_eq!((first.usage_nano_cores, first.usage_core_nano_seconds), (None, value(0)));
    }
}
