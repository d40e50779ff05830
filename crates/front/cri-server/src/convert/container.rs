//! What a container is asked to be.

use std::path::{Component, Path};

use crio_cri_api::v1;
use crio_types::{ContainerConfig, ContainerMetadata, EnvVar};

use super::field::{DecodeError, all_without_nul, non_empty, required, without_nul};
use super::{image, mount, resources, security, signal};

/// A container's configuration. A name and an image are required.
pub(crate) fn decode(field: &str, config: v1::ContainerConfig) -> Result<ContainerConfig, DecodeError> {
    let at = |name: &str| format!("{field}.{name}");
    let linux = config.linux;
    let (limits, context) = linux.map(|linux| (linux.resources, linux.security_context)).unwrap_or_default();
    Ok(ContainerConfig {
        metadata: decode_metadata(&at("metadata"), config.metadata)?,
        image: image::decode_spec(&at("image"), config.image)?,
        command: all_without_nul(&at("command"), config.command)?,
        args: all_without_nul(&at("args"), config.args)?,
        working_dir: without_nul(&at("working_dir"), config.working_dir)?,
        envs: decode_envs(&at("envs"), config.envs)?,
        mounts: each(&at("mounts"), config.mounts, mount::decode)?,
        devices: each(&at("devices"), config.devices, mount::decode_device)?,
        cdi_devices: config.cdi_devices.into_iter().map(|device| device.name).collect(),
        labels: config.labels,
        annotations: config.annotations,
        log_path: decode_log_path(&at("log_path"), config.log_path)?,
        stdin: config.stdin,
        stdin_once: config.stdin_once,
        tty: config.tty,
        resources: limits.map(|limits| resources::decode(&at("linux.resources"), limits)).transpose()?,
        security: security::decode_container(&at("linux.security_context"), context.unwrap_or_default())?,
        stop_signal: signal::decode(&at("stop_signal"), config.stop_signal)?,
    })
}

fn each<W, D>(
    field: &str,
    items: Vec<W>,
    decode: impl Fn(&str, W) -> Result<D, DecodeError>,
) -> Result<Vec<D>, DecodeError> {
    let numbered = items.into_iter().enumerate();
    numbered.map(|(index, item)| decode(&format!("{field}[{index}]"), item)).collect()
}

fn decode_metadata(field: &str, metadata: Option<v1::ContainerMetadata>) -> Result<ContainerMetadata, DecodeError> {
    let metadata = required(field, metadata)?;
    Ok(ContainerMetadata { name: non_empty(&format!("{field}.name"), metadata.name)?, attempt: metadata.attempt })
}

/// Environment variables. One without a name is left out, as CRI-O does.
fn decode_envs(field: &str, envs: Vec<v1::KeyValue>) -> Result<Vec<EnvVar>, DecodeError> {
    let named = envs.into_iter().enumerate().filter(|(_, variable)| !variable.key.is_empty());
    let decode = |(index, variable): (usize, v1::KeyValue)| {
        if variable.key.contains(['=', '\0']) {
            let reason = format!("{:?} cannot be the name of an environment variable", variable.key);
            return Err(DecodeError::new(format!("{field}[{index}].key"), reason));
        }
        if variable.value.contains(&0) {
            return Err(DecodeError::new(format!("{field}[{index}].value"), "holds a NUL byte"));
        }
        Ok(EnvVar { key: variable.key, value: variable.value })
    };
    named.map(decode).collect()
}

/// The log's path below the sandbox's log directory; leading slashes do not count, and it cannot leave that directory.
fn decode_log_path(field: &str, path: String) -> Result<String, DecodeError> {
    let path = without_nul(field, path)?;
    if Path::new(&path).components().any(|part| part == Component::ParentDir) {
        return Err(DecodeError::new(field, format!("{path:?} leaves the log directory of the sandbox")));
    }
    Ok(path.trim_start_matches('/').to_owned())
}
