//! What requests come to on hosts with and without each mechanism.

use crio_types::{Capabilities, Classified, ErrorKind};

use super::*;

fn host() -> HostSecurity {
    HostSecurity {
        bounding: CapabilitySet::ALL.without(CapabilitySet::parse(["SYS_RESOURCE"]).expect("known")),
        seccomp: true,
        apparmor: false,
        apparmor_profiles: PathBuf::new(),
        selinux: false,
        kernel: (6, 1),
        leaky_paths: vec!["/proc/interrupts".to_owned()],
    }
}

fn engine(host: HostSecurity) -> Security {
    Security::load(&Config::default(), host).expect("loads")
}

fn confine(
    host: HostSecurity,
    pod: &SandboxSecurity,
    request: &ContainerSecurity,
) -> Result<Confinement, ConfineError> {
    let id = SandboxId::from_bytes([7; 32]);
    let pod = PodContext { id: Some(&id), security: pod, handler: "crun" };
    engine(host).confine_in_pod(&pod, request)
}

fn plain(request: &ContainerSecurity) -> Confinement {
    confine(host(), &SandboxSecurity::default(), request).expect("confined")
}

#[test]
fn nothing_asked_is_the_nine_capabilities_and_no_filter() {
    let confinement = plain(&ContainerSecurity::default());
    let expected = CapabilitySet::parse(capability::DEFAULT).expect("known");
    assert_eq!(confinement.capabilities, CapabilitySets::plain(expected));
    assert_eq!(confinement.seccomp, ResolvedSeccomp::default());
    assert!(confinement.masked_paths.is_empty());
}

#[test]
fn privileged_is_what_the_daemon_has_and_nothing_hidden() {
    let confinement = plain(&ContainerSecurity {
        privileged: true,
        masked_paths: vec!["/proc/kcore".to_owned()],
        readonly_paths: vec!["/proc/sys".to_owned()],
        seccomp: Some(SecurityProfile::RuntimeDefault),
        capabilities: Some(Capabilities { drop: vec!["ALL".to_owned()], ..Capabilities::default() }),
        ..ContainerSecurity::default()
    });
    assert_eq!(confinement.capabilities, CapabilitySets::plain(host().bounding));
    assert!(confinement.masked_paths.is_empty() && confinement.readonly_paths.is_empty());
    assert!(confinement.seccomp.filter.is_none());
    assert!(confinement.privileged);
}

#[test]
fn hidden_paths_are_those_sent_and_what_leaks_here() {
    let masked = |paths: &[&str]| {
        plain(&ContainerSecurity { masked_paths: paths::owned(paths), ..ContainerSecurity::default() }).masked_paths
    };
    assert_eq!(masked(&["/bin/ls"]), ["/bin/ls", "/proc/interrupts"]);
    assert_eq!(masked(&["/proc/interrupts"]), ["/proc/interrupts"]);
    assert!(masked(&[]).is_empty());
}

#[test]
fn a_relative_path_is_refused() {
    let request = ContainerSecurity { readonly_paths: vec!["proc/sys".to_owned()], ..ContainerSecurity::default() };
    let error = confine(host(), &SandboxSecurity::default(), &request).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn apparmor_is_ignored_where_it_is_off() {
    let request = ContainerSecurity {
        apparmor: Some(SecurityProfile::Localhost("localhost/nowhere".to_owned())),
        ..ContainerSecurity::default()
    };
    assert_eq!(plain(&request).apparmor, None);
}

#[test]
fn selinux_labels_follow_the_pod() {
    let mut host = host();
    host.selinux = true;
    let labels = |pod: &SandboxSecurity, request: &ContainerSecurity| {
        confine(host.clone(), pod, request).expect("confined").selinux
    };
    let ordinary = labels(&SandboxSecurity::default(), &ContainerSecurity::default()).expect("labels");
    assert!(ordinary.process.starts_with("system_u:system_r:container_t:s0:c"), "{ordinary:?}");
    let privileged = ContainerSecurity { privileged: true, ..ContainerSecurity::default() };
    let privileged = labels(&SandboxSecurity::default(), &privileged).expect("labels");
    assert!(privileged.process.contains(":spc_t:"), "{privileged:?}");
    let mut pod = SandboxSecurity::default();
    pod.namespaces.pid = NamespaceMode::Node;
    assert_eq!(labels(&pod, &ContainerSecurity::default()), None);
}

#[test]
fn the_pause_container_can_do_nothing() {
    let id = SandboxId::from_bytes([7; 32]);
    let pod = PodContext { id: Some(&id), security: &SandboxSecurity::default(), handler: "crun" };
    let confinement = engine(host()).confine_infra_of(&pod).expect("confined");
    assert!(confinement.no_new_privileges);
    assert!(confinement.capabilities.bounding.is_empty());
    assert!(confinement.masked_paths.contains(&"/proc/kcore".to_owned()));
}

#[test]
fn a_configured_profile_replaces_the_built_in_one() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("profile.json");
    std::fs::write(&path, r#"{"defaultAction":"SCMP_ACT_LOG"}"#).expect("write");
    let config = Config {
        seccomp_profile: Some(path.clone()),
        privileged_seccomp_profile: Some(path.clone()),
        ..Config::default()
    };
    let engine = Security::load(&config, host()).expect("loads");
    let id = SandboxId::from_bytes([7; 32]);
    let pod = PodContext { id: Some(&id), security: &SandboxSecurity::default(), handler: "crun" };
    for privileged in [false, true] {
        let request = ContainerSecurity {
            privileged,
            seccomp: Some(SecurityProfile::RuntimeDefault),
            ..ContainerSecurity::default()
        };
        let filter = engine.confine_in_pod(&pod, &request).expect("confined").seccomp.filter.expect("filter");
        assert_eq!(filter.default_action(), oci_spec::runtime::LinuxSeccompAction::ScmpActLog);
    }
    let missing = Config { seccomp_profile: Some(directory.path().join("missing")), ..Config::default() };
    assert!(Security::load(&missing, host()).is_err());
}

#[test]
fn a_handler_can_have_a_profile_of_its_own() {
    let directory = tempfile::tempdir().expect("tempdir");
    let file = |name: &str, action: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, format!(r#"{{"defaultAction":"{action}","syscalls":[]}}"#)).expect("written");
        path
    };
    let config = Config {
        seccomp_profile: Some(file("all", "SCMP_ACT_LOG")),
        handler_seccomp_profiles: [
            ("strict".to_owned(), file("strict", "SCMP_ACT_KILL_PROCESS")),
            ("free".to_owned(), PathBuf::from(UNCONFINED)),
        ]
        .into(),
        privileged_seccomp_profile: Some(PathBuf::from(UNCONFINED)),
        ..Config::default()
    };
    let security = Security::load(&config, host()).expect("loads");
    let request = ContainerSecurity { seccomp: Some(SecurityProfile::RuntimeDefault), ..ContainerSecurity::default() };
    let action = |handler: &str, request: &ContainerSecurity| {
        let pod = PodContext { id: None, security: &SandboxSecurity::default(), handler };
        let confinement = security.confine_in_pod(&pod, request).expect("confined");
        confinement.seccomp.filter.map(|filter| filter.default_action())
    };
    use oci_spec::runtime::LinuxSeccompAction::{ScmpActKillProcess, ScmpActLog};
    assert_eq!(action("crun", &request), Some(ScmpActLog));
    assert_eq!(action("strict", &request), Some(ScmpActKillProcess));
    assert_eq!(action("free", &request), None);
    assert_eq!(action("strict", &ContainerSecurity { privileged: true, ..request }), None);
    let missing = Config { seccomp_profile: Some(directory.path().join("missing")), ..Config::default() };
    assert!(Security::load(&missing, host()).is_err(), "a profile that is not there is no confinement");
}

#[test]
fn only_a_loaded_apparmor_profile_confines() {
    let directory = tempfile::tempdir().expect("tempdir");
    let list = directory.path().join("profiles");
    std::fs::write(&list, "mine (enforce)\nfallback (enforce)\n").expect("written");
    let local = |name: &str| Some(SecurityProfile::Localhost(name.to_owned()));
    let confine = |apparmor: bool, list: &PathBuf, requested: Option<SecurityProfile>, privileged: bool| {
        let host = HostSecurity { apparmor, apparmor_profiles: list.clone(), ..host() };
        let config = Config { apparmor_profile: "fallback".to_owned(), ..Config::default() };
        let pod = PodContext { id: None, security: &SandboxSecurity::default(), handler: "" };
        let request = ContainerSecurity { apparmor: requested, privileged, ..ContainerSecurity::default() };
        let confined = Security::load(&config, host).expect("loads").confine_in_pod(&pod, &request);
        confined.map(|confinement| confinement.apparmor).map_err(|error| (error.kind(), error.to_string()))
    };
    let cases = [
        (None, false, Some("fallback")),
        (Some(SecurityProfile::RuntimeDefault), false, Some("fallback")),
        (Some(SecurityProfile::Unconfined), false, None),
        (local("mine"), false, Some("mine")),
        (local("localhost/mine"), false, Some("mine")),
        (local("mine"), true, None),
    ];
    for (requested, privileged, expected) in cases {
        let found = confine(true, &list, requested.clone(), privileged).expect("confined");
        assert_eq!(found.as_deref(), expected, "{requested:?}");
    }
    let (kind, text) = confine(true, &list, local("localhost/other"), false).expect_err("not loaded");
    assert_eq!((kind, text.contains("other")), (ErrorKind::InvalidArgument, true), "{text}");
    let missing = directory.path().join("missing");
    assert!(confine(true, &missing, local("mine"), false).is_err(), "what cannot be found out is not assumed");
    assert_eq!(confine(false, &missing, local("other"), false), Ok(None), "without AppArmor no profile counts");
}

#[test]
fn labels_go_with_namespaces() {
    use NamespaceMode::{Node, Pod};
    let labelled = |config: &Config, pid: NamespaceMode, ipc: NamespaceMode, network: NamespaceMode| {
        let host = HostSecurity { selinux: true, ..host() };
        let namespaces = crio_types::NamespaceOptions { pid, ipc, network, user: None };
        let pod = SandboxSecurity { namespaces, ..SandboxSecurity::default() };
        let id = SandboxId::from_bytes([7; 32]);
        let pod = PodContext { id: Some(&id), security: &pod, handler: "" };
        let security = Security::load(config, host).expect("loads");
        security.confine_in_pod(&pod, &ContainerSecurity::default()).expect("confined").selinux.is_some()
    };
    let plain = Config::default();
    assert!(labelled(&plain, Pod, Pod, Pod));
    assert!(!labelled(&plain, Node, Pod, Pod));
    assert!(!labelled(&plain, Pod, Node, Pod));
    assert!(!labelled(&plain, Pod, Pod, Node));
    assert!(labelled(&Config { label_host_network: true, ..plain }, Pod, Pod, Node));
}
