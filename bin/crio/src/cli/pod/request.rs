//! From a manifest to CRI requests, as kubelet would write them: resources into shares, quotas and scores, defaults filled in.
//!
//! Pure. One difference from kubelet: a container that names no seccomp profile gets the runtime's, since nobody on a
//! command line turned confinement off.

mod resources;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crio_cri_api::v1;
use crio_security::paths;

use super::directory::{ANNOTATION, PodDirectory};
use super::manifest::{Container, Identity, Pod, Propagation, Protocol, Seccomp, Volume};

/// Where kubelet has seccomp profiles that are named by a relative path.
const SECCOMP_PROFILES: &str = "/var/lib/kubelet/seccomp";
/// A pod that has a uid and a place.
#[derive(Debug)]
pub struct Plan {
    /// The manifest.
    pub pod: Pod,
    /// Its uid.
    pub uid: String,
    /// Its directories.
    pub directory: PodDirectory,
    /// Memory of the node in bytes, to which requests are compared.
    pub node_memory_bytes: i64,
}

impl Plan {
    /// The pod's host name.
    pub fn hostname(&self) -> &str {
        self.pod.hostname.as_deref().unwrap_or(&self.pod.name)
    }

    /// The sandbox.
    pub fn sandbox(&self) -> v1::PodSandboxConfig {
        let pod = &self.pod;
        let mut annotations = pod.annotations.clone();
        annotations.insert(ANNOTATION.to_owned(), "true".to_owned());
        v1::PodSandboxConfig {
            metadata: Some(v1::PodSandboxMetadata {
                name: pod.name.clone(),
                uid: self.uid.clone(),
                namespace: pod.namespace.clone(),
                attempt: 0,
            }),
            hostname: if pod.host.network { String::new() } else { self.hostname().to_owned() },
            log_directory: self.directory.logs.to_string_lossy().into_owned(),
            dns_config: pod.dns.as_ref().map(|dns| v1::DnsConfig {
                servers: dns.servers.clone(),
                searches: dns.searches.clone(),
                options: dns.options.clone(),
            }),
            port_mappings: pod.containers.iter().flat_map(port_mappings).collect(),
            labels: self.labels(None),
            annotations,
            linux: Some(self.linux_sandbox()),
            windows: None,
        }
    }

    fn linux_sandbox(&self) -> v1::LinuxPodSandboxConfig {
        let everyone = self.pod.init_containers.iter().chain(&self.pod.containers);
        v1::LinuxPodSandboxConfig {
            security_context: Some(v1::LinuxSandboxSecurityContext {
                namespace_options: Some(self.namespaces()),
                supplemental_groups: self.pod.security.supplemental_groups.clone(),
                privileged: everyone.into_iter().any(|container| container.security.privileged),
                seccomp: Some(seccomp(None)),
                ..v1::LinuxSandboxSecurityContext::default()
            }),
            sysctls: self.pod.security.sysctls.clone(),
            ..v1::LinuxPodSandboxConfig::default()
        }
    }

    fn namespaces(&self) -> v1::NamespaceOption {
        let host = self.pod.host;
        let pod_or_node = |node: bool| {
            if node { v1::NamespaceMode::Node } else { v1::NamespaceMode::Pod }
        };
        let pid = match (host.pid, self.pod.share_processes) {
            (true, _) => v1::NamespaceMode::Node,
            (false, true) => v1::NamespaceMode::Pod,
            (false, false) => v1::NamespaceMode::Container,
        };
        v1::NamespaceOption {
            network: pod_or_node(host.network).into(),
            ipc: pod_or_node(host.ipc).into(),
            pid: pid.into(),
            ..v1::NamespaceOption::default()
        }
    }

    /// The labels kubelet gives a sandbox, or a container of it; cAdvisor and others go by them.
    fn labels(&self, container: Option<&str>) -> BTreeMap<String, String> {
        let fixed = [
            ("io.kubernetes.pod.name", self.pod.name.as_str()),
            ("io.kubernetes.pod.namespace", self.pod.namespace.as_str()),
            ("io.kubernetes.pod.uid", self.uid.as_str()),
        ];
        let own = container.map(|name| ("io.kubernetes.container.name", name));
        let mut labels = if container.is_some() { BTreeMap::new() } else { self.pod.labels.clone() };
        labels.extend(fixed.into_iter().chain(own).map(|(key, value)| (key.to_owned(), value.to_owned())));
        labels
    }

    /// One container, which runs the image with this id.
    pub fn container(&self, container: &Container, image_id: &str) -> v1::ContainerConfig {
        v1::ContainerConfig {
            metadata: Some(v1::ContainerMetadata { name: container.name.clone(), attempt: 0 }),
            image: Some(v1::ImageSpec {
                image: image_id.to_owned(),
                user_specified_image: container.image.clone(),
                ..v1::ImageSpec::default()
            }),
            command: container.command.clone(),
            args: container.args.clone(),
            working_dir: container.working_dir.clone(),
            envs: container
                .env
                .iter()
                .map(|(key, value)| v1::KeyValue { key: key.clone(), value: value.clone().into_bytes() })
                .collect(),
            mounts: self.mounts(container),
            labels: self.labels(Some(&container.name)),
            log_path: format!("{}/0.log", container.name),
            stdin: container.stdin,
            tty: container.tty,
            linux: Some(v1::LinuxContainerConfig {
                resources: Some(resources::of(&container.resources, self.node_memory_bytes)),
                security_context: Some(self.security(container)),
            }),
            ..v1::ContainerConfig::default()
        }
    }

    fn mounts(&self, container: &Container) -> Vec<v1::Mount> {
        let mut mounts: Vec<v1::Mount> = container
            .mounts
            .iter()
            .filter_map(|mount| {
                let (host_path, image) = match self.pod.volumes.get(&mount.volume)? {
                    Volume::EmptyDir => (self.directory.volume(&mount.volume), None),
                    Volume::HostPath { path, .. } => (path.clone(), None),
                    Volume::Image { reference, .. } => (PathBuf::new(), Some(image_spec(reference))),
                };
                let propagation = match mount.propagation {
                    Propagation::None => v1::MountPropagation::PropagationPrivate,
                    Propagation::HostToContainer => v1::MountPropagation::PropagationHostToContainer,
                    Propagation::Bidirectional => v1::MountPropagation::PropagationBidirectional,
                };
                Some(v1::Mount {
                    container_path: mount.path.clone(),
                    host_path: host_path.to_string_lossy().into_owned(),
                    readonly: mount.read_only || image.is_some(),
                    propagation: propagation.into(),
                    image,
                    image_sub_path: mount.sub_path.clone(),
                    ..v1::Mount::default()
                })
            })
            .collect();
        let names_hosts = mounts.iter().any(|mount| mount.container_path == "/etc/hosts");
        if !self.pod.host.network && !names_hosts {
            mounts.push(v1::Mount {
                container_path: "/etc/hosts".to_owned(),
                host_path: self.directory.hosts().to_string_lossy().into_owned(),
                ..v1::Mount::default()
            });
        }
        mounts
    }

    fn security(&self, container: &Container) -> v1::LinuxContainerSecurityContext {
        let own = &container.security;
        let identity = self.identity(container);
        let value = |id: Option<i64>| id.map(|value| v1::Int64Value { value });
        let hidden = |list: &[&str]| -> Vec<String> {
            if own.privileged { Vec::new() } else { list.iter().map(|path| (*path).to_owned()).collect() }
        };
        v1::LinuxContainerSecurityContext {
            capabilities: Some(v1::Capability {
                add_capabilities: own.add_capabilities.clone(),
                drop_capabilities: own.drop_capabilities.clone(),
                ..v1::Capability::default()
            }),
            privileged: own.privileged,
            namespace_options: Some(self.namespaces()),
            run_as_user: value(identity.user),
            run_as_group: value(identity.group),
            readonly_rootfs: own.read_only_root,
            supplemental_groups: self.pod.security.supplemental_groups.clone(),
            no_new_privs: own.allow_escalation == Some(false),
            masked_paths: hidden(paths::MASKED),
            readonly_paths: hidden(paths::READONLY),
            seccomp: Some(seccomp(identity.seccomp.as_ref())),
            ..v1::LinuxContainerSecurityContext::default()
        }
    }

    /// The container's settings, the pod's where it has none.
    pub fn identity(&self, container: &Container) -> Identity {
        let (own, pod) = (&container.security.identity, &self.pod.security.defaults);
        Identity {
            user: own.user.or(pod.user),
            group: own.group.or(pod.group),
            non_root: own.non_root.or(pod.non_root),
            seccomp: own.seccomp.clone().or_else(|| pod.seccomp.clone()),
        }
    }
}

fn image_spec(name: &str) -> v1::ImageSpec {
    v1::ImageSpec { image: name.to_owned(), user_specified_image: name.to_owned(), ..v1::ImageSpec::default() }
}

fn port_mappings(container: &Container) -> Vec<v1::PortMapping> {
    container
        .host_ports
        .iter()
        .map(|port| v1::PortMapping {
            protocol: match port.protocol {
                Protocol::Tcp => v1::Protocol::Tcp,
                Protocol::Udp => v1::Protocol::Udp,
                Protocol::Sctp => v1::Protocol::Sctp,
            }
            .into(),
            container_port: port.container_port.into(),
            host_port: port.host_port.into(),
            host_ip: port.host_ip.clone(),
        })
        .collect()
}

fn seccomp(profile: Option<&Seccomp>) -> v1::SecurityProfile {
    use v1::security_profile::ProfileType;
    let (kind, localhost_ref) = match profile {
        None | Some(Seccomp::RuntimeDefault) => (ProfileType::RuntimeDefault, String::new()),
        Some(Seccomp::Unconfined) => (ProfileType::Unconfined, String::new()),
        Some(Seccomp::Localhost(path)) => {
            let path = std::path::Path::new(SECCOMP_PROFILES).join(path);
            (ProfileType::Localhost, path.to_string_lossy().into_owned())
        }
    };
    v1::SecurityProfile { profile_type: kind.into(), localhost_ref }
}

#[cfg(test)]
mod tests;
