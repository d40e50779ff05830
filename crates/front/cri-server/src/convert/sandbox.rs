//! What a sandbox is asked to be.

use std::net::IpAddr;

use crio_cri_api::v1;
use crio_types::{DnsConfig, PortMapping, Protocol, SandboxConfig, SandboxMetadata};

use super::field::{DecodeError, absolute_path, all_without_nul, between, known, non_empty, required, without_nul};
use super::{resources, security};

/// The longest host name the kernel takes (`__NEW_UTS_LEN`).
const MAX_HOSTNAME_BYTES: usize = 64;
const MAX_PORT: i64 = u16::MAX as i64;

/// A sandbox's configuration. Name and namespace are required; a uid may be empty, as pods made by hand have none.
pub(crate) fn decode(field: &str, config: v1::PodSandboxConfig) -> Result<SandboxConfig, DecodeError> {
    let at = |name: &str| format!("{field}.{name}");
    let linux = config.linux.unwrap_or_default();
    let limits = |name: &str, limits: Option<v1::LinuxContainerResources>| {
        limits.map(|limits| resources::decode(&at(name), limits)).transpose()
    };
    Ok(SandboxConfig {
        metadata: decode_metadata(&at("metadata"), config.metadata)?,
        hostname: decode_hostname(&at("hostname"), config.hostname)?,
        log_directory: match config.log_directory {
            directory if directory.is_empty() => directory,
            directory => absolute_path(&at("log_directory"), directory)?,
        },
        dns: config.dns_config.map(|dns| decode_dns(&at("dns_config"), dns)).transpose()?,
        port_mappings: decode_ports(&at("port_mappings"), config.port_mappings)?,
        labels: config.labels,
        annotations: config.annotations,
        cgroup_parent: without_nul(&at("linux.cgroup_parent"), linux.cgroup_parent)?,
        security: security::decode_sandbox(&at("linux.security_context"), linux.security_context.unwrap_or_default())?,
        sysctls: linux.sysctls,
        overhead: limits("linux.overhead", linux.overhead)?,
        resources: limits("linux.resources", linux.resources)?,
    })
}

fn decode_metadata(field: &str, metadata: Option<v1::PodSandboxMetadata>) -> Result<SandboxMetadata, DecodeError> {
    let metadata = required(field, metadata)?;
    Ok(SandboxMetadata {
        name: non_empty(&format!("{field}.name"), metadata.name)?,
        uid: without_nul(&format!("{field}.uid"), metadata.uid)?,
        namespace: non_empty(&format!("{field}.namespace"), metadata.namespace)?,
        attempt: metadata.attempt,
    })
}

fn decode_hostname(field: &str, hostname: String) -> Result<String, DecodeError> {
    if hostname.len() > MAX_HOSTNAME_BYTES {
        let reason = format!("{} bytes, the kernel takes {MAX_HOSTNAME_BYTES}", hostname.len());
        return Err(DecodeError::new(field, reason));
    }
    if hostname.contains(['\0', '\n', '/']) {
        return Err(DecodeError::new(field, format!("{hostname:?} is not a host name")));
    }
    Ok(hostname)
}

/// Each part becomes a word of a line of `resolv.conf`, so none may bring a line of its own.
fn decode_dns(field: &str, dns: v1::DnsConfig) -> Result<DnsConfig, DecodeError> {
    let words = |name: &str, words: Vec<String>| {
        let field = format!("{field}.{name}");
        match words.iter().find(|word| word.contains(['\n', '\r'])) {
            Some(word) => Err(DecodeError::new(field, format!("{word:?} holds a line break"))),
            None => all_without_nul(&field, words),
        }
    };
    Ok(DnsConfig {
        servers: words("servers", dns.servers)?,
        searches: words("searches", dns.searches)?,
        options: words("options", dns.options)?,
    })
}

/// Port mappings; those that ask for no host port stay, as the CNI plugins are told about them too.
fn decode_ports(field: &str, mappings: Vec<v1::PortMapping>) -> Result<Vec<PortMapping>, DecodeError> {
    let decode = |(index, mapping): (usize, v1::PortMapping)| {
        let at = |name: &str| format!("{field}[{index}].{name}");
        let host_port = port(&at("host_port"), mapping.host_port.max(0), 0)?;
        Ok(PortMapping {
            protocol: match known(&at("protocol"), mapping.protocol)? {
                v1::Protocol::Tcp => Protocol::Tcp,
                v1::Protocol::Udp => Protocol::Udp,
                v1::Protocol::Sctp => Protocol::Sctp,
            },
            container_port: port(&at("container_port"), mapping.container_port, i64::from(host_port > 0))?,
            host_port,
            host_ip: host_ip(&at("host_ip"), &mapping.host_ip)?,
        })
    };
    mappings.into_iter().enumerate().map(decode).collect()
}

fn port(field: &str, value: i32, low: i64) -> Result<u16, DecodeError> {
    let value = between(field, i64::from(value), low, MAX_PORT)?;
    Ok(u16::try_from(value).expect("between checked it"))
}

fn host_ip(field: &str, text: &str) -> Result<Option<IpAddr>, DecodeError> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse() {
        Ok(ip) => Ok(Some(ip)),
        Err(_) => Err(DecodeError::new(field, format!("{text:?} is not an IP address"))),
    }
}
