//! The pods layer: paths, defaults of containers, and what the host can do.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use crio_cgroups::{Cgroups, Controller, Layout};
use crio_config::{Assignment, CheckpointLevel, Config, ImageVolumes};
use crio_devices::HostDevice;
use crio_pods::{Checkpoints, Live};
use crio_runtime::Runtimes;
use crio_spec::{CgroupVersion, Defaults, HostFacts, RuntimeFacts};
use crio_types::{Device, NamespaceMode, UserNamespace};
use oci_spec::runtime::{PosixRlimit, PosixRlimitBuilder, PosixRlimitType};
use tracing::warn;

/// The lowest OOM score adjustment there is.
const LOWEST_OOM_SCORE: i32 = -1000;
/// The capability that lets a process lower it.
const CAP_SYS_RESOURCE: u32 = 24;

/// Settings of the pods layer.
pub fn pods(config: &Config) -> Result<crio_pods::Config> {
    let runtime = &config.runtime;
    Ok(crio_pods::Config {
        state_dir: runtime.container_attach_socket_dir.clone(),
        log_dir: config.storage.log_dir.clone(),
        namespaces_dir: runtime.namespaces_dir.clone(),
        storage_root: config.storage.root.clone(),
        pause_image: config.image.pause_image.clone(),
        pause_command: config
            .image
            .pause_command
            .iter()
            .flat_map(|c| c.split_whitespace())
            .map(str::to_owned)
            .collect(),
        drop_infra: runtime.drop_infra_ctr,
        infra_cpuset: runtime.infra_ctr_cpuset.clone().unwrap_or_default(),
        default_sysctls: runtime.default_sysctls.iter().map(|s| (s.name.clone(), s.value.clone())).collect(),
        default_user: default_user(config)?,
        minimum_ids: {
            // Below zero is any.
            let lowest = |configured: i64| u32::try_from(configured).unwrap_or(0);
            (lowest(runtime.minimum_mappable_uid), lowest(runtime.minimum_mappable_gid))
        },
        additional_devices: additional_devices(config)?,
        allowed_devices: runtime.allowed_devices.clone(),
        device_ownership_from_security_context: runtime.device_ownership_from_security_context,
        absent_mount_sources_to_reject: runtime.absent_mount_sources_to_reject.clone(),
        image_volumes: match config.image.image_volumes {
            ImageVolumes::Mkdir => crio_pods::ImageVolumes::Mkdir,
            ImageVolumes::Bind => crio_pods::ImageVolumes::Bind,
            ImageVolumes::Ignore => crio_pods::ImageVolumes::Ignore,
        },
        log_size_max_bytes: runtime.log_size_max,
        checkpoints: checkpoints(config),
        defaults: Defaults {
            env: runtime.default_env.iter().map(assignment).collect(),
            ulimits: ulimits(config)?,
            pids_limit: runtime.pids_limit,
            read_only: runtime.read_only,
            cgroup_writable: false,
            allowed_annotations: Vec::new(),
        },
    })
}

/// Both options must allow it: the older one stands for all, the newer one says how far it goes.
fn checkpoints(config: &Config) -> Checkpoints {
    match config.checkpoint_restore.container_level_enabled {
        _ if !config.runtime.enable_criu_support => Checkpoints::Off,
        CheckpointLevel::None => Checkpoints::Off,
        CheckpointLevel::CheckpointOnly => Checkpoints::Written,
        CheckpointLevel::CheckpointRestore => Checkpoints::Restored,
    }
}

/// The user namespace of pods that ask for none.
fn default_user(config: &Config) -> Result<Option<UserNamespace>> {
    let (uids, gids) = (&config.runtime.uid_mappings, &config.runtime.gid_mappings);
    if uids.is_empty() {
        return Ok(None);
    }
    for (name, maps) in [("uid_mappings", uids), ("gid_mappings", gids)] {
        ensure!(
            maps.iter().any(|map| map.container_id == 0),
            "crio.runtime.{name} does not map id 0 of the containers"
        );
    }
    Ok(Some(UserNamespace { mode: NamespaceMode::Pod, uids: uids.clone(), gids: gids.clone() }))
}

fn assignment(assignment: &Assignment) -> String {
    format!("{}={}", assignment.name, assignment.value)
}

fn additional_devices(config: &Config) -> Result<Vec<HostDevice>> {
    let mut devices = Vec::new();
    for configured in &config.runtime.additional_devices {
        let device = Device {
            container_path: configured.container_path.display().to_string(),
            host_path: configured.host_path.display().to_string(),
            permissions: configured.permissions.clone(),
        };
        devices.extend(crio_devices::resolve(&device).context("crio.runtime.additional_devices")?);
    }
    Ok(devices)
}

fn ulimits(config: &Config) -> Result<Vec<PosixRlimit>> {
    let convert = |limit: &crio_config::Ulimit| -> Result<PosixRlimit> {
        let name = format!("RLIMIT_{}", limit.name.to_ascii_uppercase());
        let kind: PosixRlimitType = serde_json::from_value(name.into()).context("crio.runtime.default_ulimits")?;
        Ok(PosixRlimitBuilder::default().typ(kind).soft(limit.soft).hard(limit.hard).build()?)
    };
    config.runtime.default_ulimits.iter().map(convert).collect()
}

/// What a reload of the configuration replaces.
///
/// # Errors
/// A profile cannot be used.
pub fn live(config: &Config) -> Result<Live> {
    Ok(Live { security: super::security::security(config)?, cdi_spec_dirs: config.runtime.cdi_spec_dirs.clone() })
}

/// What the host can do. What depends on the runtime handler is filled in for each pod.
pub fn host_facts(cgroups: &Cgroups, runtimes: &Runtimes) -> HostFacts {
    let default = runtimes.resolve("").ok();
    let minimum_oom_score_adj = minimum_oom_score_adj(Path::new("/proc/self"));
    if minimum_oom_score_adj > LOWEST_OOM_SCORE {
        warn!(
            minimum_oom_score_adj,
            "without CAP_SYS_RESOURCE, containers that ask for a lower OOM score get this one"
        );
    }
    HostFacts {
        cgroup_version: match cgroups.layout() {
            Layout::Unified => CgroupVersion::V2,
            _ => CgroupVersion::V1,
        },
        has_hugetlb: cgroups.has(Controller::Hugetlb),
        has_memory_swap: cgroups.accounts_swap(),
        has_pids: cgroups.has(Controller::Pids),
        minimum_oom_score_adj,
        idmapped_mounts: false,
        runtime: RuntimeFacts {
            oci_version: default.as_ref().map(|handler| handler.features.oci_version.clone()).unwrap_or_default(),
            recursive_read_only: false,
            minimum_memory_bytes: 0,
        },
    }
}

/// A process without the capability can raise its score's adjustment and not lower it.
fn minimum_oom_score_adj(process: &Path) -> i32 {
    let read = |name: &str| std::fs::read_to_string(process.join(name)).unwrap_or_default();
    let status = read("status");
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    if mask & (1 << CAP_SYS_RESOURCE) != 0 {
        LOWEST_OOM_SCORE
    } else {
        read("oom_score_adj").trim().parse().unwrap_or(0)
    }
}
