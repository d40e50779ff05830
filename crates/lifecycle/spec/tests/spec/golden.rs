//! Golden files of typical requests. `CRIO_UPDATE_GOLDEN=1 cargo test -p crio-spec` writes them anew.

use std::path::Path;

use crio_devices::{DeviceKind, HostDevice, Permissions};
use crio_security::paths;
use crio_spec::{CgroupDriver, InfraInput};
use crio_types::{
    EnvVar, HugepageLimit, Mount, NamespaceMode, Propagation, Resources, SecurityProfile, Signal, Timestamp,
};
use oci_spec::runtime::Spec;
use serde_json::Value;

use crate::fixture::{Fixture, image};

#[test]
fn crictl_minimal() {
    check("crictl-minimal", &Fixture::minimal().generate().expect("generates"));
}

#[test]
fn kubelet_pod() {
    check("kubelet-pod", &kubelet().generate().expect("generates"));
}

#[test]
fn privileged() {
    let mut fixture = Fixture::minimal();
    fixture.own_pids();
    fixture.sandbox.security.privileged = true;
    fixture.sandbox.security.namespaces.network = NamespaceMode::Node;
    fixture.namespaces.network = None;
    fixture.files.hosts = Some("/etc/hosts".into());
    fixture.config.security.privileged = true;
    fixture.config.security.namespaces.network = NamespaceMode::Node;
    fixture.config.security.masked_paths = paths::owned(paths::MASKED);
    fixture.devices = vec![fuse()];
    fixture.driver = CgroupDriver::Systemd;
    fixture.cgroups_path = "kubepods.slice:crio:c0".to_owned();
    check("privileged", &fixture.generate().expect("generates"));
}

#[test]
fn systemd_in_a_read_only_container() {
    let mut fixture = Fixture::minimal();
    fixture.image = image(&["/usr/lib/systemd/systemd"], &[]);
    fixture.host.cgroup_version = crio_spec::CgroupVersion::V1;
    fixture.defaults.read_only = true;
    check("systemd-read-only", &fixture.generate().expect("generates"));
}

#[test]
fn pause() {
    let fixture = Fixture::minimal();
    let confinement = fixture.confinement();
    let spec = crio_spec::infra_spec(&InfraInput {
        sandbox: fixture.sandbox_facts(),
        image: &image(&["/pause"], &[]),
        image_name: "registry.k8s.io/pause:3.10",
        command: &[],
        confinement: &confinement,
        rootfs: Path::new("/var/lib/containers/storage/overlay/pause/merged"),
        cgroups_path: "/kubepods/pod0f3b/crio-5b",
        cgroup_driver: CgroupDriver::Cgroupfs,
        log_path: "/var/log/pods/default_web_0f3b/pause.log",
        created: Timestamp(1_700_000_000_000_000_000),
        host: &fixture.host,
        cpuset: "0-1",
    });
    check("pause", &spec.expect("generates"));
}

/// A container as kubelet sends it for a pod with most things set.
fn kubelet() -> Fixture {
    let mut fixture = Fixture::minimal();
    fixture.own_pids();
    let config = &mut fixture.config;
    config.args = vec!["-c".to_owned(), "exec server".to_owned()];
    config.envs = vec![EnvVar { key: "IMAGE".to_owned(), value: b"no".to_vec() }];
    config.labels = [
        ("io.kubernetes.container.name".to_owned(), "app".to_owned()),
        ("io.kubernetes.pod.name".to_owned(), "web".to_owned()),
    ]
    .into();
    config.annotations = [
        ("io.kubernetes.container.restartCount".to_owned(), "1".to_owned()),
        ("run.oci.hooks.stdout".to_owned(), "/etc/shadow".to_owned()),
        ("io.kubernetes.cri-o.ContainerID".to_owned(), "forged".to_owned()),
    ]
    .into();
    config.stop_signal = Some(Signal::TERM);
    config.resources = Some(Resources {
        cpu_period_us: 100_000,
        cpu_quota_us: 50_000,
        cpu_shares: 512,
        memory_limit_bytes: 64 << 20,
        oom_score_adj: 968,
        hugepage_limits: vec![HugepageLimit { page_size: "2MB".to_owned(), limit_bytes: 0 }],
        unified: [("memory.oom.group".to_owned(), "1".to_owned())].into(),
        ..Resources::default()
    });
    config.security.seccomp = Some(SecurityProfile::RuntimeDefault);
    config.security.no_new_privs = true;
    config.security.readonly_rootfs = true;
    config.security.masked_paths = vec!["/proc/kcore".to_owned()];
    config.security.readonly_paths = vec!["/proc/sys".to_owned()];
    (fixture.user.uid, fixture.user.gid, fixture.user.groups) = (1000, 1000, vec![1000, 2000]);
    fixture.devices = vec![fuse()];
    fixture.passwd = Some("/run/app/passwd".into());
    let mount = |container: &str, host: &str| Mount {
        container_path: container.to_owned(),
        host_path: host.to_owned(),
        ..Mount::default()
    };
    fixture.mount(Mount { readonly: true, ..mount("/var/run/secrets/token", "/var/lib/kubelet/token") });
    fixture.mount(Mount { propagation: Propagation::HostToContainer, ..mount("/data", "/mnt/data") });
    fixture.mount(mount("/etc/hosts", "/var/lib/kubelet/etc-hosts"));
    fixture.mount(Mount { readonly: true, recursive_read_only: true, ..mount("/config", "/var/lib/kubelet/config") });
    fixture
}

fn fuse() -> HostDevice {
    HostDevice {
        path: "/dev/fuse".into(),
        kind: DeviceKind::Character,
        major: 10,
        minor: 229,
        mode: 0o666,
        uid: 0,
        gid: 0,
        permissions: Permissions::parse("rw").expect("permissions"),
    }
}

fn check(name: &str, spec: &Spec) {
    let text = serde_json::to_string_pretty(&ordered(serde_json::to_value(spec).expect("json"))).expect("json") + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name).with_extension("json");
    if std::env::var_os("CRIO_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).expect("write the golden file");
        return;
    }
    let golden = std::fs::read_to_string(&path).expect("read the golden file");
    assert_eq!(text, golden, "{} differs", path.display());
}

/// Maps and sets of the specification have no order, and the built-in seccomp profile is not what these files are
/// about: keys and capabilities are sorted, system calls counted.
fn ordered(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut pairs: Vec<(String, Value)> = map.into_iter().collect();
            pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
            let pairs = pairs.into_iter().map(|(key, value)| match (key.as_str(), value) {
                ("syscalls", Value::Array(rules)) => (key, Value::String(format!("{} rules", rules.len()))),
                (_, value) => (key, ordered(value)),
            });
            Value::Object(pairs.collect())
        }
        Value::Array(mut list) if list.iter().all(|entry| entry.as_str().is_some_and(|t| t.starts_with("CAP_"))) => {
            list.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
            Value::Array(list)
        }
        Value::Array(list) => Value::Array(list.into_iter().map(ordered).collect()),
        other => other,
    }
}
