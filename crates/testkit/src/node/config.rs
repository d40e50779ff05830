//! A node's names and configuration files.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// The OCI runtime a node uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Runtime {
    /// crun.
    #[default]
    Crun,
    /// runc.
    Runc,
}

impl Runtime {
    /// The program's name, and the handler's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crun => "crun",
            Self::Runc => "runc",
        }
    }

    /// `CRIO_TEST_RUNTIME`, so that one test binary can be run with each; crun otherwise.
    #[must_use]
    pub fn from_environment() -> Self {
        match std::env::var("CRIO_TEST_RUNTIME").as_deref() {
            Ok("runc") => Self::Runc,
            _ => Self::Crun,
        }
    }
}

/// Who makes the control groups of a node's containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CgroupManager {
    /// The OCI runtime.
    #[default]
    Cgroupfs,
    /// systemd, which has to be the machine's first process.
    Systemd,
}

impl CgroupManager {
    /// The name in crio.conf.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cgroupfs => "cgroupfs",
            Self::Systemd => "systemd",
        }
    }

    /// `CRIO_TEST_CGROUP_MANAGER`, so that one test binary can be run with each; cgroupfs otherwise.
    #[must_use]
    pub fn from_environment() -> Self {
        match std::env::var("CRIO_TEST_CGROUP_MANAGER").as_deref() {
            Ok("systemd") => Self::Systemd,
            _ => Self::Cgroupfs,
        }
    }
}

/// What a node is to be.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The OCI runtime of the default handler.
    pub runtime: Runtime,
    /// Who makes control groups; `None` for what the environment says.
    pub cgroup_manager: Option<CgroupManager>,
    /// Registries that are spoken to without TLS, as `host:port`.
    pub insecure_registries: Vec<String>,
    /// The pause image's name; empty for the daemon's default.
    pub pause_image: String,
    /// More of crio.conf, read after our own as a drop-in.
    pub crio_conf: String,
    /// More of registries.conf.
    pub registries_conf: String,
    /// Environment variables of the daemon.
    pub environment: Vec<(String, String)>,
    /// The control group that holds the pods, where clients do not name that of [`Node::pod`](super::Node::pod) but leave it to
    /// the daemon. Nothing may be in it when the node starts.
    pub cgroup_parent: Option<String>,
}

/// Names on the host that belong to one node.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// The group of all pods, as the kernel names it.
    pub(super) cgroup_parent: String,
    cgroup_manager: CgroupManager,
    pub(super) bridge: String,
    /// The first three bytes of the pods' subnet, as text with a final dot.
    pub(super) subnet: String,
}

impl Names {
    /// Out of the random part of the directory's name.
    pub(super) fn of(directory: &Path, options: &Options) -> Result<Self> {
        let name = directory.file_name().and_then(|name| name.to_str()).context("the directory has a name")?;
        let hash = name.bytes().fold(0u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        let [_, _, high, low] = hash.to_be_bytes();
        let cgroup_manager = manager(options);
        Ok(Self {
            cgroup_parent: options.cgroup_parent.clone().unwrap_or_else(|| match cgroup_manager {
                CgroupManager::Cgroupfs => format!("/{name}"),
                // A dash in the name of a slice is a step down.
                CgroupManager::Systemd => format!("/ct.slice/{name}.slice"),
            }),
            cgroup_manager,
            bridge: name.to_owned(),
            subnet: format!("10.{}.{low}.", 128 + high % 64),
        })
    }

    /// A pod's parent, as a request names it.
    pub(super) fn pod_parent(&self, pod: &str) -> String {
        match self.cgroup_manager {
            CgroupManager::Cgroupfs => format!("{}/{pod}", self.cgroup_parent),
            CgroupManager::Systemd => format!("{}-{pod}.slice", self.bridge),
        }
    }

    /// The group of a container in such a pod, as the kernel names it. A pod's name has no dash.
    pub(super) fn container_cgroup(&self, pod: &str, id: &str) -> String {
        let parent = self.pod_parent(pod);
        match self.cgroup_manager {
            CgroupManager::Cgroupfs => format!("{parent}/crio-{id}"),
            CgroupManager::Systemd => format!("{}/{parent}/crio-{id}.scope", self.cgroup_parent),
        }
    }

    /// Words by which a firewall rule is known as this node's.
    pub(super) fn markers(&self) -> Vec<String> {
        vec![self.bridge.clone(), self.subnet.clone()]
    }
}

/// Writes every file the daemon reads.
pub(super) fn write(directory: &Path, names: &Names, options: &Options) -> Result<()> {
    for name in ["root", "runroot", "run", "pods", "cni", "bin", "crio.conf.d", "registries.conf.d", "certs.d"] {
        fs::create_dir(directory.join(name)).with_context(|| format!("cannot make {name}"))?;
    }
    let insecure: String = options
        .insecure_registries
        .iter()
        .map(|location| format!("[[registry]]\nlocation = {location:?}\ninsecure = true\n"))
        .collect();
    let at = |name: &str| directory.join(name).to_string_lossy().into_owned();
    let storage =
        format!("[storage]\ndriver = \"overlay\"\ngraphroot = {:?}\nrunroot = {:?}\n", at("root"), at("runroot"));
    let files = [
        ("crio.conf", crio_conf(&at, options)),
        ("crio.conf.d/50-test.conf", options.crio_conf.clone()),
        ("registries.conf", format!("{}\n{insecure}", options.registries_conf)),
        ("policy.json", "{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}\n".to_owned()),
        ("storage.conf", storage),
        ("cni/10-test.conflist", network(&at, names)),
    ];
    for (name, text) in files {
        fs::write(directory.join(name), text).with_context(|| format!("cannot write {name}"))?;
    }
    Ok(())
}

/// Who makes the control groups of a node with these options.
fn manager(options: &Options) -> CgroupManager {
    options.cgroup_manager.unwrap_or_else(CgroupManager::from_environment)
}

fn crio_conf(at: &impl Fn(&str) -> String, options: &Options) -> String {
    let runtime = options.runtime.name();
    let manager = manager(options).name();
    let pause = if options.pause_image.is_empty() {
        String::new()
    } else {
        format!("pause_image = {:?}\n", options.pause_image)
    };
    format!(
        "[crio]\n\
         root = {root:?}\nrunroot = {runroot:?}\nstorage_driver = \"overlay\"\nlog_dir = {log:?}\n\
         version_file = {version:?}\nversion_file_persist = {persist:?}\nclean_shutdown_file = {clean:?}\n\
         [crio.api]\nlisten = {socket:?}\nstream_port = \"0\"\n\
         [crio.runtime]\n\
         default_runtime = {runtime:?}\ncgroup_manager = {manager:?}\nlog_level = \"debug\"\n\
         namespaces_dir = {namespaces:?}\ncontainer_exits_dir = {exits:?}\ncontainer_attach_socket_dir = {attach:?}\n\
         [crio.runtime.runtimes.{runtime}]\nruntime_root = {state:?}\n\
         [crio.image]\nsignature_policy = {policy:?}\n{pause}\
         [crio.network]\nnetwork_dir = {cni:?}\nplugin_dirs = [\"/usr/lib/cni\", \"/opt/cni/bin\"]\n",
        root = at("root"),
        runroot = at("runroot"),
        log = at("run/log"),
        version = at("run/version"),
        persist = at("version"),
        clean = at("clean.shutdown"),
        socket = at("crio.sock"),
        namespaces = at("run/ns"),
        exits = at("run/exits"),
        attach = at("run/attach"),
        state = at(&format!("run/{runtime}")),
        policy = at("policy.json"),
        cni = at("cni"),
    )
}

fn network(at: &impl Fn(&str) -> String, names: &Names) -> String {
    let Names { bridge, subnet, .. } = names;
    serde_json::json!({
        "cniVersion": "1.0.0",
        "name": bridge,
        "plugins": [
            {
                "type": "bridge",
                "bridge": bridge,
                "isGateway": true,
                "ipMasq": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": at("ipam"),
                    "ranges": [[{ "subnet": format!("{subnet}0/24") }]],
                    "routes": [{ "dst": "0.0.0.0/0" }],
                },
            },
            { "type": "portmap", "capabilities": { "portMappings": true }, "snat": true },
        ],
    })
    .to_string()
}
