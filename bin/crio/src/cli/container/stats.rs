//! What containers use, once.

use anyhow::Result;
use crio_cri_api::v1;
use serde_json::{Value, json};

use super::super::client::{Client, QUESTION, failed, within};
use super::super::output::{self, Format, Table};

/// Prints the use of `wanted`, or of all running containers.
pub async fn run(client: &mut Client, wanted: &[String], format: Format) -> Result<()> {
    let request = within(QUESTION, v1::ListContainerStatsRequest::default());
    let answer = client.runtime.list_container_stats(request).await;
    let mut stats = answer.map_err(failed("cannot read statistics"))?.into_inner().stats;
    if !wanted.is_empty() {
        let mut ids = Vec::new();
        for name in wanted {
            ids.push(client.container(name).await?.id);
        }
        stats.retain(|entry| entry.attributes.as_ref().is_some_and(|attributes| ids.contains(&attributes.id)));
    }
    let mut table = Table::new(&["ID", "NAME", "CPU %", "MEMORY", "DISK", "INODES"]);
    for entry in &stats {
        table.push(row(entry));
    }
    output::print_list(format, &table, stats.iter().map(entry_json).collect())
}

fn row(entry: &v1::ContainerStats) -> Vec<String> {
    let unknown = || "-".to_owned();
    let attributes = entry.attributes.as_ref();
    let layer = entry.writable_layer.as_ref();
    let size = |value: Option<&v1::UInt64Value>| value.map_or_else(unknown, |value| output::bytes(value.value));
    vec![
        attributes.map_or_else(unknown, |attributes| output::short_id(&attributes.id)),
        name(entry).unwrap_or_default().to_owned(),
        cpu_percent(entry).unwrap_or_else(unknown),
        size(entry.memory.as_ref().and_then(|memory| memory.working_set_bytes.as_ref())),
        size(layer.and_then(|layer| layer.used_bytes.as_ref())),
        layer.and_then(|layer| layer.inodes_used.as_ref()).map_or_else(unknown, |inodes| inodes.value.to_string()),
    ]
}

fn name(entry: &v1::ContainerStats) -> Option<&str> {
    Some(entry.attributes.as_ref()?.metadata.as_ref()?.name.as_str())
}

/// The part of one core in use; `None` until the daemon has two readings.
fn cpu_percent(entry: &v1::ContainerStats) -> Option<String> {
    let nano_cores = entry.cpu.as_ref()?.usage_nano_cores.as_ref()?.value;
    let hundredths = nano_cores / 100_000;
    Some(format!("{}.{:02}", hundredths / 100, hundredths % 100))
}

fn entry_json(entry: &v1::ContainerStats) -> Value {
    let number = |value: Option<&v1::UInt64Value>| value.map(|value| value.value);
    let (cpu, memory, layer) = (entry.cpu.as_ref(), entry.memory.as_ref(), entry.writable_layer.as_ref());
    json!({
        "id": entry.attributes.as_ref().map(|attributes| &attributes.id),
        "name": name(entry),
        "cpuUsageCoreNanoSeconds": cpu.and_then(|cpu| number(cpu.usage_core_nano_seconds.as_ref())),
        "cpuUsageNanoCores": cpu.and_then(|cpu| number(cpu.usage_nano_cores.as_ref())),
        "memoryWorkingSetBytes": memory.and_then(|memory| number(memory.working_set_bytes.as_ref())),
        "memoryUsageBytes": memory.and_then(|memory| number(memory.usage_bytes.as_ref())),
        "memoryAvailableBytes": memory.and_then(|memory| number(memory.available_bytes.as_ref())),
        "diskUsedBytes": layer.and_then(|layer| number(layer.used_bytes.as_ref())),
        "inodesUsed": layer.and_then(|layer| number(layer.inodes_used.as_ref())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_a_dash() {
        assert_eq!(row(&v1::ContainerStats::default()), ["-", "", "-", "-", "-", "-"]);
        let busy = v1::ContainerStats {
            cpu: Some(v1::CpuUsage {
                usage_nano_cores: Some(v1::UInt64Value { value: 1_256_700_000 }),
                ..v1::CpuUsage::default()
            }),
            ..v1::ContainerStats::default()
        };
        assert_eq!(cpu_percent(&busy).as_deref(), Some("125.67"));
    }
}
