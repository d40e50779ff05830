//! Which sysctls a pod may set: only those the kernel keeps per network or IPC namespace.
//!
//! Anything else would change the node, so the list of what is allowed is closed; kubelet's own list of namespaced
//! sysctls is the same. Names may be written with dots or, as sysctl(8) allows, with slashes. Values are single plain
//! lines. A sysctl whose namespace the pod shares with the node is legal to ask for but must not be written;
//! [`admit`] sets it aside so that the caller can say so.

use std::path::PathBuf;

use crio_types::{Classified, ErrorKind, Labels};

const NAME_BYTES_MAX: usize = 253;
const VALUE_BYTES_MAX: usize = 4096;

/// Whose namespace keeps a sysctl.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SysctlScope {
    /// The network namespace: `net.*`.
    Network,
    /// The IPC namespace: `kernel.shm*`, `kernel.msg*`, `kernel.sem`, `fs.mqueue.*`.
    Ipc,
}

/// A sysctl that no pod may set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SysctlError {
    /// The name is not the name of a sysctl.
    #[error("{name:?} is not a sysctl name")]
    Name {
        /// As requested.
        name: String,
    },
    /// The value holds a character no sysctl value needs, or is empty or too long.
    #[error("the value of sysctl {name} is not allowed: {value:?}")]
    Value {
        /// As requested.
        name: String,
        /// As requested.
        value: String,
    },
    /// The kernel keeps it for the whole node.
    #[error("sysctl {name} is not kept per namespace, so a pod cannot set it")]
    NotNamespaced {
        /// As requested.
        name: String,
    },
}

impl Classified for SysctlError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidArgument
    }
}

/// A pod's sysctls, told apart by whether it has the namespace they live in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admitted {
    /// To be set.
    pub accepted: Labels,
    /// Not to be set, because the pod shares that namespace with the node.
    pub skipped: Labels,
}

/// Checks `sysctls` for a pod with (`true`) or without its own network and IPC namespace.
///
/// # Errors
/// The first sysctl that is malformed or not kept per namespace.
pub fn admit(sysctls: &Labels, own_network: bool, own_ipc: bool) -> Result<Admitted, SysctlError> {
    let mut admitted = Admitted::default();
    for (name, value) in sysctls {
        let (scope, _) = parse(name, value)?;
        let own = match scope {
            SysctlScope::Network => own_network,
            SysctlScope::Ipc => own_ipc,
        };
        let side = if own { &mut admitted.accepted } else { &mut admitted.skipped };
        side.insert(name.clone(), value.clone());
    }
    Ok(admitted)
}

/// Checks one sysctl and tells its scope and its path below `/proc/sys`.
pub(super) fn parse(name: &str, value: &str) -> Result<(SysctlScope, PathBuf), SysctlError> {
    let components = components(name).ok_or_else(|| SysctlError::Name { name: name.to_owned() })?;
    if !is_plain_value(value) {
        return Err(SysctlError::Value { name: name.to_owned(), value: value.to_owned() });
    }
    let parts: Vec<&str> = components.iter().map(String::as_str).collect();
    let scope = scope_of(&parts).ok_or_else(|| SysctlError::NotNamespaced { name: name.to_owned() })?;
    Ok((scope, components.iter().collect()))
}

fn scope_of(components: &[&str]) -> Option<SysctlScope> {
    match components {
        ["net", _, ..] => Some(SysctlScope::Network),
        ["kernel", "sem"] | ["fs", "mqueue", _] => Some(SysctlScope::Ipc),
        ["kernel", name] if name.starts_with("shm") || name.starts_with("msg") => Some(SysctlScope::Ipc),
        _ => None,
    }
}

/// The directories and file a name stands for. The separator that comes first decides: after a dot, dots separate and
/// a slash is a dot inside a name; after a slash it is the other way round (sysctl(8)).
fn components(name: &str) -> Option<Vec<String>> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let separator = name.chars().find(|c| matches!(c, '.' | '/'))?;
    let components: Vec<String> = if separator == '.' {
        name.split('.').map(|part| part.replace('/', ".")).collect()
    } else {
        name.split('/').map(str::to_owned).collect()
    };
    components.iter().all(|part| is_plain_component(part)).then_some(components)
}

fn is_plain_component(part: &str) -> bool {
    !part.is_empty()
        && part != "."
        && !part.contains("..")
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'@'))
}

fn is_plain_value(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= VALUE_BYTES_MAX
        && value.chars().all(|c| c == '\t' || (!c.is_control() && c != '+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sysctls_of_a_namespace_pass() {
        let cases = [
            ("net.ipv4.ip_unprivileged_port_start", "0", Some("net/ipv4/ip_unprivileged_port_start")),
            ("net/ipv4/conf/eth0.1/arp_filter", "1", Some("net/ipv4/conf/eth0.1/arp_filter")),
            ("net.ipv4.conf.eth0/1.arp_filter", "1", Some("net/ipv4/conf/eth0.1/arp_filter")),
            ("net.ipv4.ping_group_range", "0 2147483647", Some("net/ipv4/ping_group_range")),
            ("kernel.shm_rmid_forced", "1", Some("kernel/shm_rmid_forced")),
            ("kernel.msgmax", "65536", Some("kernel/msgmax")),
            ("kernel.sem", "250\t32000\t100\t128", Some("kernel/sem")),
            ("fs.mqueue.msg_max", "100", Some("fs/mqueue/msg_max")),
            ("kernel.core_pattern", "|/bin/sh", None),
            ("kernel.semaphore", "1", None),
            ("kernel.shm.x", "1", None),
            ("kernel.hostname", "x", None),
            ("fs.file-max", "1", None),
            ("fs.mqueue", "1", None),
            ("net", "1", None),
            ("vm.swappiness", "1", None),
            ("net..ipv4", "1", None),
            ("net/../kernel/core_pattern", "x", None),
            ("net.ipv4.//", "x", None),
            ("net.ipv4.ip_forward+kernel.core_pattern", "1", None),
            ("net.ipv4.ip forward", "1", None),
            ("/net/ipv4/ip_forward", "1", None),
            ("", "1", None),
            ("kernel.shmall", "1+kernel.core_pattern=x", None),
            ("kernel.shmall", "1\n2", None),
            ("kernel.shmall", "", None),
            ("kernel.shmall", "1\0", None),
        ];
        for (name, value, expected) in cases {
            let path = parse(name, value).ok().map(|(_, path)| path);
            assert_eq!(path, expected.map(PathBuf::from), "{name:?}={value:?}");
        }
    }

    #[test]
    fn sysctls_of_a_shared_namespace_are_set_aside() {
        let sysctls: Labels = [("net.ipv4.ip_forward", "1"), ("kernel.shmall", "7")]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        for (network, ipc) in [(true, true), (true, false), (false, true), (false, false)] {
            let admitted = admit(&sysctls, network, ipc).expect("legal names");
            assert_eq!(admitted.accepted.contains_key("net.ipv4.ip_forward"), network);
            assert_eq!(admitted.accepted.contains_key("kernel.shmall"), ipc);
            assert_eq!(admitted.accepted.len() + admitted.skipped.len(), 2);
        }
    }
}
