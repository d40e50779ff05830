//! A pod and a container in it, owned, so that each test changes only what it is about.

use std::net::IpAddr;
use std::path::PathBuf;

use crio_devices::{Edits, HostDevice};
use crio_security::{Config, Confinement, HostSecurity, PodContext, ResolvedUser, Security};
use crio_spec::{
    CgroupDriver, CgroupVersion, ContainerFacts, Defaults, HostFacts, ImageFacts, MountKind, PodFiles, PodNamespaces,
    ResolvedMount, RuntimeFacts, SandboxFacts, SpecError, SpecInput,
};
use crio_types::{
    ContainerConfig, ContainerId, ContainerMetadata, Labels, Mount, NamespaceMode, SandboxConfig, SandboxId,
    SandboxMetadata, Timestamp,
};
use oci_spec::image::{ConfigBuilder, ImageConfiguration, ImageConfigurationBuilder};
use oci_spec::runtime::Spec;

/// Everything a specification is made of.
pub(crate) struct Fixture {
    pub(crate) container_id: ContainerId,
    pub(crate) config: ContainerConfig,
    pub(crate) rootfs: PathBuf,
    pub(crate) cgroups_path: String,
    pub(crate) driver: CgroupDriver,
    pub(crate) sandbox_id: SandboxId,
    pub(crate) sandbox: SandboxConfig,
    pub(crate) hostname: String,
    pub(crate) namespaces: PodNamespaces,
    pub(crate) files: PodFiles,
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) annotations: Labels,
    pub(crate) image: ImageConfiguration,
    pub(crate) user: ResolvedUser,
    pub(crate) host_security: HostSecurity,
    pub(crate) mounts: Vec<ResolvedMount>,
    pub(crate) devices: Vec<HostDevice>,
    pub(crate) edits: Edits,
    pub(crate) host: HostFacts,
    pub(crate) defaults: Defaults,
    pub(crate) passwd: Option<PathBuf>,
}

impl Fixture {
    /// What `crictl create` sends with nearly nothing in its files.
    pub(crate) fn minimal() -> Self {
        let metadata = |name: &str| SandboxMetadata {
            name: name.to_owned(),
            uid: "0f3b".to_owned(),
            namespace: "default".to_owned(),
            attempt: 0,
        };
        Self {
            container_id: ContainerId::from_bytes([0xc0; 32]),
            config: ContainerConfig {
                metadata: ContainerMetadata { name: "app".to_owned(), attempt: 1 },
                ..ContainerConfig::default()
            },
            rootfs: PathBuf::from("/var/lib/containers/storage/overlay/layer/merged"),
            cgroups_path: "/kubepods/pod0f3b/crio-c0".to_owned(),
            driver: CgroupDriver::Cgroupfs,
            sandbox_id: SandboxId::from_bytes([0x5b; 32]),
            sandbox: SandboxConfig { metadata: metadata("web"), ..SandboxConfig::default() },
            hostname: "web".to_owned(),
            namespaces: PodNamespaces {
                network: Some("/run/netns/pod".into()),
                ipc: Some("/run/ipcns/pod".into()),
                uts: Some("/run/utsns/pod".into()),
                user: None,
                pid: Some("/proc/4242/ns/pid".into()),
            },
            files: PodFiles {
                resolv_conf: Some("/run/pod/resolv.conf".into()),
                hostname: Some("/run/pod/hostname".into()),
                hosts: None,
                shm: Some("/run/pod/shm".into()),
                containerenv: Some("/run/pod/.containerenv".into()),
                localtime: None,
            },
            ips: vec!["10.0.0.2".parse().expect("ip"), "fd00::2".parse().expect("ip")],
            annotations: Labels::new(),
            image: image(&["/bin/sh"], &["-c", "true"]),
            user: ResolvedUser { groups: vec![0], ..ResolvedUser::default() },
            host_security: host_security(),
            mounts: Vec::new(),
            devices: Vec::new(),
            edits: Edits::default(),
            host: host(),
            defaults: Defaults::default(),
            passwd: None,
        }
    }

    pub(crate) fn confinement(&self) -> Confinement {
        let security = Security::load(&Config::default(), self.host_security.clone()).expect("loads");
        let pod = PodContext { id: Some(&self.sandbox_id), security: &self.sandbox.security, handler: "crun" };
        security.confine_in_pod(&pod, &self.config.security).expect("confined")
    }

    pub(crate) fn sandbox_facts(&self) -> SandboxFacts<'_> {
        SandboxFacts {
            id: &self.sandbox_id,
            name: "k8s_web_default_0f3b_0",
            config: &self.sandbox,
            hostname: &self.hostname,
            namespaces: &self.namespaces,
            target_pid_namespace: None,
            files: &self.files,
            ips: &self.ips,
            runtime_annotations: &self.annotations,
            runtime_handler: "crun",
        }
    }

    pub(crate) fn generate(&self) -> Result<Spec, SpecError> {
        let confinement = self.confinement();
        crio_spec::generate(&SpecInput {
            container: ContainerFacts {
                id: &self.container_id,
                name: "k8s_app_web_default_0f3b_1",
                config: &self.config,
                rootfs: &self.rootfs,
                cgroups_path: &self.cgroups_path,
                cgroup_driver: self.driver,
                log_path: "/var/log/pods/default_web_0f3b/app/1.log",
                created: Timestamp(1_700_000_000_000_000_000),
                passwd_path: self.passwd.as_deref(),
                group_path: None,
                umask: None,
            },
            sandbox: self.sandbox_facts(),
            image: ImageFacts {
                config: &self.image,
                requested_name: "busybox",
                name: "docker.io/library/busybox:latest",
                id: "abababababababababababababababababababababababababababababababab",
                repo_digests: &["docker.io/library/busybox@sha256:abab".to_owned()],
            },
            user: &self.user,
            confinement: &confinement,
            mounts: &self.mounts,
            devices: &self.devices,
            edits: &self.edits,
            host: &self.host,
            defaults: &self.defaults,
        })
    }

    pub(crate) fn mount(&mut self, mount: Mount) {
        let source = PathBuf::from(&mount.host_path);
        self.mounts.push(ResolvedMount { mount, source, kind: MountKind::Bind, sharing: None });
    }

    /// Gives the container a PID namespace of its own, as kubelet does.
    pub(crate) fn own_pids(&mut self) {
        self.config.security.namespaces.pid = NamespaceMode::Container;
        self.namespaces.pid = None;
    }
}

pub(crate) fn image(entrypoint: &[&str], cmd: &[&str]) -> ImageConfiguration {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let config = ConfigBuilder::default()
        .entrypoint(texts(entrypoint))
        .cmd(texts(cmd))
        .env(texts(&["PATH=/usr/bin:/bin", "IMAGE=yes"]))
        .working_dir("/work")
        .build()
        .expect("config");
    ImageConfigurationBuilder::default().config(config).build().expect("image")
}

fn host() -> HostFacts {
    HostFacts {
        cgroup_version: CgroupVersion::V2,
        has_hugetlb: true,
        has_memory_swap: true,
        has_pids: true,
        minimum_oom_score_adj: -1000,
        idmapped_mounts: true,
        runtime: RuntimeFacts {
            oci_version: "1.0.2".to_owned(),
            recursive_read_only: true,
            minimum_memory_bytes: 512 << 10,
        },
    }
}

fn host_security() -> HostSecurity {
    HostSecurity {
        bounding: crio_security::CapabilitySet::ALL,
        seccomp: true,
        apparmor: false,
        apparmor_profiles: PathBuf::new(),
        selinux: false,
        kernel: (6, 1),
        leaky_paths: Vec::new(),
    }
}
