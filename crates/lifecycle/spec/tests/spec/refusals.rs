//! Requests that cannot become a specification, and requests whose mounts need care.

use crio_devices::{Edits, HookPoint};
use crio_spec::{MountKind, Sharing, SpecError};
use crio_types::{Classified, ErrorKind, IdMapping, Mount, NamespaceMode, Propagation};
use oci_spec::runtime::{Hook, LinuxNamespaceType, Spec};

use crate::fixture::{Fixture, image};

fn with(change: impl FnOnce(&mut Fixture)) -> Result<Spec, SpecError> {
    let mut fixture = Fixture::minimal();
    change(&mut fixture);
    fixture.generate()
}

fn with_mount(mount: Mount, change: impl FnOnce(&mut Fixture)) -> Result<Spec, SpecError> {
    with(|fixture| {
        let host_path = "/srv".to_owned();
        fixture.mount(Mount { host_path, ..mount });
        change(fixture);
    })
}

#[track_caller]
fn refused(result: Result<Spec, SpecError>, kind: ErrorKind, part: &str) {
    let error = result.expect_err("refused");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(part), "{error}");
}

#[test]
fn requests_that_contradict_themselves() {
    use ErrorKind::{FailedPrecondition, InvalidArgument, PermissionDenied};
    refused(with(|f| f.image = image(&[], &[])), InvalidArgument, "no command");
    refused(with(|f| f.config.security.privileged = true), PermissionDenied, "privileged");
    refused(with(|f| f.namespaces.pid = None), FailedPrecondition, "PID namespace");
    let target = |f: &mut Fixture| f.config.security.namespaces.pid = NamespaceMode::Target("x".to_owned());
    refused(with(target), FailedPrecondition, "PID namespace");
}

#[test]
fn mounts_that_cannot_be() {
    use ErrorKind::InvalidArgument;
    let at = |path: &str| Mount { container_path: path.to_owned(), ..Mount::default() };
    let nothing = |_: &mut Fixture| {};
    for path in ["", "data", "./data"] {
        refused(with_mount(at(path), nothing), InvalidArgument, "not an absolute path");
    }
    for path in ["/", "//", "/a/..", "/../.."] {
        refused(with_mount(at(path), nothing), InvalidArgument, "container's root");
    }
    let option = Mount { options: vec!["suid".to_owned()], ..at("/a") };
    refused(with_mount(option, nothing), InvalidArgument, "suid");
    let recursive = Mount { recursive_read_only: true, ..at("/a") };
    refused(with_mount(recursive.clone(), nothing), InvalidArgument, "recursive read-only");
    let slave = Mount { readonly: true, propagation: Propagation::HostToContainer, ..recursive.clone() };
    refused(with_mount(slave, nothing), InvalidArgument, "recursive read-only");
    let old = |f: &mut Fixture| f.host.runtime.recursive_read_only = false;
    let error = with_mount(Mount { readonly: true, ..recursive }, old).expect_err("refused");
    assert!(error.to_string().starts_with("RROUnsupported"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unknown);
    let mapping = IdMapping { host_id: 1000, container_id: 0, length: 10 };
    let mapped = Mount { uid_mappings: vec![mapping], ..at("/a") };
    refused(with_mount(mapped, |f| f.host.idmapped_mounts = false), InvalidArgument, "id-mapped");
}

#[test]
fn propagation_needs_a_source_that_propagates() {
    use Propagation::{Bidirectional, HostToContainer, Private};
    let cases = [
        (Private, Some(Sharing::Private), Some(None)),
        (HostToContainer, Some(Sharing::Private), None),
        (HostToContainer, Some(Sharing::Slave), Some(Some("rslave"))),
        (HostToContainer, None, Some(Some("rslave"))),
        (Bidirectional, Some(Sharing::Slave), None),
        (Bidirectional, Some(Sharing::Shared), Some(Some("rshared"))),
    ];
    for (propagation, sharing, expected) in cases {
        let mount = Mount { container_path: "/a".to_owned(), propagation, ..Mount::default() };
        let result = with_mount(mount, |f| f.mounts[0].sharing = sharing);
        let found = result.ok().map(|spec| spec.linux().clone().expect("linux").rootfs_propagation().clone());
        assert_eq!(found, expected.map(|root| root.map(str::to_owned)), "{propagation:?} {sharing:?}");
    }
}

fn destinations(spec: &Spec) -> Vec<String> {
    let mounts = spec.mounts().clone().expect("mounts");
    mounts.iter().map(|mount| mount.destination().display().to_string()).collect()
}

#[test]
fn requested_mounts_replace_defaults_and_come_by_depth() {
    let mut fixture = Fixture::minimal();
    for path in ["/a/b/c", "/dev/", "/a", "/a/./b", "/etc/resolv.conf"] {
        fixture.mount(Mount { container_path: path.to_owned(), host_path: "/srv".to_owned(), ..Mount::default() });
    }
    let found = destinations(&fixture.generate().expect("generates"));
    assert!(!found.iter().any(|path| path.starts_with("/dev/")), "{found:?}");
    assert_eq!(found.iter().filter(|path| *path == "/etc/resolv.conf").count(), 1);
    assert_eq!(found[found.len() - 5..], ["/dev", "/a", "/a/b", "/etc/resolv.conf", "/a/b/c"]);
}

#[test]
fn a_mount_over_etc_keeps_the_synthesised_users_away() {
    let mut fixture = Fixture::minimal();
    fixture.passwd = Some("/run/passwd".into());
    assert!(destinations(&fixture.generate().expect("generates")).contains(&"/etc/passwd".to_owned()));
    fixture.mount(Mount { container_path: "/etc".to_owned(), host_path: "/srv".to_owned(), ..Mount::default() });
    assert!(!destinations(&fixture.generate().expect("generates")).contains(&"/etc/passwd".to_owned()));
}

#[test]
fn what_the_storage_lies_in_follows_the_host() {
    let mount = Mount { container_path: "/host".to_owned(), ..Mount::default() };
    let spec = with_mount(mount, |f| f.mounts[0].kind = MountKind::BindOverStorage).expect("generates");
    let mounts = spec.mounts().clone().expect("mounts");
    let options = mounts.last().expect("one").options().clone().expect("options");
    assert!(options.contains(&"rslave".to_owned()), "{options:?}");
}

#[test]
fn an_image_is_mounted_read_only() {
    let mount = Mount { container_path: "/image".to_owned(), ..Mount::default() };
    let spec = with_mount(mount, |f| f.mounts[0].kind = MountKind::Image).expect("generates");
    let mounts = spec.mounts().clone().expect("mounts");
    let options = mounts.last().expect("one").options().clone().expect("options");
    assert_eq!(options, ["rbind", "rprivate", "ro", "nosuid", "nodev", "noexec"]);
}

#[test]
fn devices_bring_variables_mounts_hooks_and_groups() {
    let mut fixture = Fixture::minimal();
    fixture.mount(Mount { container_path: "/a/b/c".to_owned(), host_path: "/srv".to_owned(), ..Mount::default() });
    fixture.user.groups = vec![0, 44];
    let mut mount = oci_spec::runtime::Mount::default();
    mount.set_destination("/a/b".into());
    let mut hook = Hook::default();
    hook.set_path("/usr/bin/hook".into());
    fixture.edits = Edits {
        env: vec![("IMAGE".to_owned(), "no".to_owned()), ("VISIBLE".to_owned(), "0".to_owned())],
        mounts: vec![mount],
        hooks: vec![(HookPoint::CreateContainer, hook.clone()), (HookPoint::Prestart, hook.clone())],
        additional_gids: vec![0, 44, 45],
        ..Edits::default()
    };
    let spec = fixture.generate().expect("generates");
    let process = spec.process().clone().expect("process");
    let env = process.env().clone().expect("env");
    assert!(env.contains(&"VISIBLE=0".to_owned()) && env.contains(&"IMAGE=no".to_owned()), "{env:?}");
    assert!(!env.contains(&"IMAGE=yes".to_owned()), "{env:?}");
    assert_eq!(process.user().additional_gids().as_deref(), Some(&[0, 44, 45][..]));
    let found = destinations(&spec);
    assert_eq!(found[found.len() - 2..], ["/a/b", "/a/b/c"], "by depth, whoever asked");
    let hooks = spec.hooks().clone().expect("hooks");
    assert_eq!(hooks.create_container().as_deref(), Some(&[hook.clone()][..]));
    assert_eq!((hooks.prestart(), hooks.poststop()), (&Some(vec![hook]), &None));
    assert_eq!(Fixture::minimal().generate().expect("generates").hooks(), &None);
}

#[test]
fn namespaces_are_new_joined_or_the_hosts() {
    let kinds = |spec: &Spec| {
        let namespaces = spec.linux().clone().expect("linux").namespaces().clone().expect("namespaces");
        let of = |kind| namespaces.iter().find(|n| n.typ() == kind).map(|n| n.path().is_some());
        [
            of(LinuxNamespaceType::Pid),
            of(LinuxNamespaceType::Network),
            of(LinuxNamespaceType::Ipc),
            of(LinuxNamespaceType::Uts),
            of(LinuxNamespaceType::Mount),
            of(LinuxNamespaceType::Cgroup),
        ]
    };
    let joined = Some(true);
    let new = Some(false);
    let pod = Fixture::minimal();
    assert_eq!(kinds(&pod.generate().expect("pod")), [joined, joined, joined, joined, new, new]);
    let mut host = Fixture::minimal();
    host.namespaces = crio_spec::PodNamespaces::default();
    host.config.security.namespaces.pid = NamespaceMode::Node;
    host.host.cgroup_version = crio_spec::CgroupVersion::V1;
    let spec = host.generate().expect("host");
    assert_eq!(kinds(&spec), [None, None, None, None, new, None]);
    assert_eq!(spec.hostname(), &None, "the host's own name stays");
}
