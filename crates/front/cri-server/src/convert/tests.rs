//! Requests that must be taken as they are, and requests that must be refused with the field named.

use crio_cri_api::v1;
use crio_types::{Credentials, NamespaceMode, Protocol, SecurityProfile};

use super::{container, image, mount, namespace, resources, sandbox, security};

fn sandbox_config() -> v1::PodSandboxConfig {
    v1::PodSandboxConfig {
        metadata: Some(v1::PodSandboxMetadata {
            name: "web".to_owned(),
            namespace: "shop".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn container_config() -> v1::ContainerConfig {
    v1::ContainerConfig {
        metadata: Some(v1::ContainerMetadata { name: "nginx".to_owned(), attempt: 2 }),
        image: Some(v1::ImageSpec { image: "nginx:1".to_owned(), ..Default::default() }),
        ..Default::default()
    }
}

fn bind() -> v1::Mount {
    v1::Mount { container_path: "/data".to_owned(), host_path: "/srv/data".to_owned(), ..Default::default() }
}

fn id(value: i64) -> Option<v1::Int64Value> {
    Some(v1::Int64Value { value })
}

/// Decodes a valid request after `change`, and expects a refusal that names `field`.
fn refused<W, D: std::fmt::Debug, E: ToString>(
    mut valid: W,
    decode: impl Fn(&str, W) -> Result<D, E>,
    field: &str,
    change: impl FnOnce(&mut W),
) {
    change(&mut valid);
    let error = decode("config", valid).expect_err(field).to_string();
    assert!(error.starts_with(&format!("config.{field}: ")), "{field}: {error}");
}

#[test]
fn a_minimal_sandbox_is_what_crictl_sends() {
    let config = sandbox::decode("config", sandbox_config()).expect("valid");
    assert_eq!((config.metadata.name.as_str(), config.metadata.namespace.as_str()), ("web", "shop"));
    assert_eq!(config.dns, None);
    assert_eq!(config.security.namespaces.pid, NamespaceMode::Pod);
    assert_eq!(config.security.seccomp, None);
}

#[test]
fn bad_sandboxes_are_refused_by_field() {
    let check =
        |field, change: fn(&mut v1::PodSandboxConfig)| refused(sandbox_config(), sandbox::decode, field, change);
    check("metadata", |config| config.metadata = None);
    check("metadata.name", |config| {
        config.metadata.get_or_insert_default().name.clear();
    });
    check("metadata.namespace", |config| {
        config.metadata.get_or_insert_default().namespace.clear();
    });
    check("metadata.uid", |config| {
        config.metadata.get_or_insert_default().uid = "\0".to_owned();
    });
    check("hostname", |config| config.hostname = "h".repeat(65));
    check("hostname", |config| config.hostname = "a\nb".to_owned());
    check("log_directory", |config| config.log_directory = "var/log".to_owned());
    check("dns_config.servers", |config| {
        config.dns_config.get_or_insert_default().servers = vec!["10.0.0.1\nnameserver 6.6.6.6".to_owned()];
    });
    check("linux.resources.cpu_quota", |config| {
        config.linux.get_or_insert_default().resources.get_or_insert_default().cpu_quota = -2;
    });
}

#[test]
fn host_ports_are_checked_and_zero_or_less_means_none() {
    let decode = |mapping: v1::PortMapping| {
        let config = v1::PodSandboxConfig { port_mappings: vec![mapping], ..sandbox_config() };
        sandbox::decode("config", config).map(|config| config.port_mappings)
    };
    let mapping = v1::PortMapping {
        protocol: v1::Protocol::Sctp.into(),
        container_port: 80,
        host_port: 8080,
        host_ip: "::1".to_owned(),
    };
    let decoded = decode(mapping.clone()).expect("valid");
    assert_eq!((decoded[0].protocol, decoded[0].container_port, decoded[0].host_port), (Protocol::Sctp, 80, 8080));
    assert_eq!(decoded[0].host_ip, "::1".parse().ok());

    let none = decode(v1::PortMapping { host_port: -1, ..mapping.clone() }).expect("valid");
    assert_eq!(none[0].host_port, 0);
    let bad = [
        ("host_port", v1::PortMapping { host_port: 65536, ..mapping.clone() }),
        ("container_port", v1::PortMapping { container_port: 0, ..mapping.clone() }),
        ("container_port", v1::PortMapping { container_port: 70000, ..mapping.clone() }),
        ("protocol", v1::PortMapping { protocol: 3, ..mapping.clone() }),
        ("host_ip", v1::PortMapping { host_ip: "localhost".to_owned(), ..mapping }),
    ];
    for (field, mapping) in bad {
        let error = decode(mapping).expect_err(field).to_string();
        assert!(error.starts_with(&format!("config.port_mappings[0].{field}: ")), "{error}");
    }
}

#[test]
fn a_minimal_container_has_no_limits_and_no_profile() {
    let config = container::decode("config", container_config()).expect("valid");
    assert_eq!((config.metadata.name.as_str(), config.metadata.attempt), ("nginx", 2));
    assert_eq!(config.resources, None);
    assert_eq!(config.security.seccomp, None);
    assert_eq!(config.security.capabilities, None);
    assert_eq!(config.stop_signal, None);
}

#[test]
fn bad_containers_are_refused_by_field() {
    let check =
        |field, change: fn(&mut v1::ContainerConfig)| refused(container_config(), container::decode, field, change);
    check("metadata", |config| config.metadata = None);
    check("metadata.name", |config| {
        config.metadata.get_or_insert_default().name.clear();
    });
    check("image", |config| config.image = None);
    check("image.image", |config| {
        config.image.get_or_insert_default().image.clear();
    });
    check("args[1]", |config| config.args = vec!["a".to_owned(), "b\0".to_owned()]);
    check("log_path", |config| config.log_path = "a/../../passwd".to_owned());
    check("stop_signal", |config| config.stop_signal = 66);
    check("envs[1].key", |config| {
        config.envs = vec![v1::KeyValue::default(), v1::KeyValue { key: "A=B".to_owned(), value: vec![] }];
    });
    check("devices[0].permissions", |config| {
        let (host_path, permissions) = ("/dev/fuse".to_owned(), "rwx".to_owned());
        config.devices = vec![v1::Device { host_path, permissions, ..Default::default() }];
    });
    check("mounts[1].host_path", |config| {
        config.mounts = vec![bind(), v1::Mount { host_path: String::new(), ..bind() }];
    });
}

#[test]
fn environment_and_log_path_are_taken_as_cri_o_takes_them() {
    let config = v1::ContainerConfig {
        envs: vec![
            v1::KeyValue { key: String::new(), value: b"ignored".to_vec() },
            v1::KeyValue { key: "RAW".to_owned(), value: vec![0xff] },
        ],
        log_path: "/nginx/0.log".to_owned(),
        ..container_config()
    };
    let config = container::decode("config", config).expect("valid");
    assert_eq!(config.envs.len(), 1);
    assert_eq!(config.envs[0].value, [0xff]);
    assert_eq!(config.log_path, "nginx/0.log");
}

#[test]
fn bad_mounts_are_refused_by_field() {
    let check = |field, change: fn(&mut v1::Mount)| refused(bind(), mount::decode, field, change);
    check("container_path", |mount| mount.container_path = "data".to_owned());
    check("container_path", |mount| mount.container_path.clear());
    check("host_path", |mount| mount.image = container_config().image);
    check("propagation", |mount| mount.propagation = 3);
    check("mount_options", |mount| mount.mount_options = vec!["suid".to_owned()]);
    check("uidMappings[0]", |mount| {
        mount.uid_mappings = vec![v1::IdMapping::default()];
    });
    check("recursive_read_only", |mount| mount.recursive_read_only = true);
    check("recursive_read_only", |mount| {
        (mount.readonly, mount.recursive_read_only) = (true, true);
        mount.propagation = v1::MountPropagation::PropagationBidirectional.into();
    });
}

#[test]
fn an_image_is_mounted_privately_and_from_inside() {
    let volume =
        || v1::Mount { container_path: "/models".to_owned(), image: container_config().image, ..Default::default() };
    for path in ["", "big", "a/b", "./a/"] {
        let image = mount::decode("mount", v1::Mount { image_sub_path: path.to_owned(), ..volume() });
        assert_eq!(image.expect("valid").image.map(|image| image.sub_path).as_deref(), Some(path));
    }
    let check = |field, change: fn(&mut v1::Mount)| refused(volume(), mount::decode, field, change);
    check("image_sub_path", |mount| mount.image_sub_path = "..".to_owned());
    check("image_sub_path", |mount| mount.image_sub_path = "a/../../b".to_owned());
    check("image_sub_path", |mount| mount.image_sub_path = "/etc".to_owned());
    check("image_sub_path", |mount| mount.image_sub_path = "a\0b".to_owned());
    check("image_sub_path", |mount| (mount.image, mount.image_sub_path) = (None, "a".to_owned()));
    check("host_path", |mount| mount.host_path = "/srv".to_owned());
    check("propagation", |mount| mount.propagation = v1::MountPropagation::PropagationBidirectional.into());
    check("image.image", |mount| mount.image = Some(v1::ImageSpec::default()));
}

#[test]
fn a_mount_comes_back_as_it_was_asked_for() {
    let asked = v1::Mount {
        readonly: true,
        recursive_read_only: true,
        mount_options: vec!["nodev".to_owned()],
        uid_mappings: vec![v1::IdMapping { host_id: 1000, container_id: 0, length: 10 }],
        ..bind()
    };
    let volume = v1::Mount {
        container_path: "/models".to_owned(),
        image: container_config().image,
        image_sub_path: "big".to_owned(),
        ..Default::default()
    };
    for mount in [bind(), asked, volume] {
        let decoded = mount::decode("mount", mount.clone()).expect("valid");
        assert_eq!(mount::encode(&decoded), mount);
    }
}

#[test]
fn profiles_keep_absent_and_empty_apart() {
    let message = |profile_type: i32, localhost_ref: &str| {
        let localhost_ref = localhost_ref.to_owned();
        Some(v1::SecurityProfile { profile_type, localhost_ref })
    };
    let localhost = |name: &str| Some(SecurityProfile::Localhost(name.to_owned()));
    let cases = [
        (None, "", None),
        (None, "runtime/default", Some(SecurityProfile::RuntimeDefault)),
        (None, "unconfined", Some(SecurityProfile::Unconfined)),
        (None, "localhost/strict", localhost("strict")),
        (message(0, ""), "localhost/old", Some(SecurityProfile::RuntimeDefault)),
        (message(1, ""), "", Some(SecurityProfile::Unconfined)),
        (message(2, "/etc/strict.json"), "", localhost("/etc/strict.json")),
        (message(2, "localhost/strict"), "", localhost("strict")),
    ];
    for (apparmor, string, expected) in cases {
        #[expect(deprecated, reason = "the field under test")]
        let context = v1::LinuxContainerSecurityContext {
            apparmor: apparmor.clone(),
            apparmor_profile: string.to_owned(),
            ..Default::default()
        };
        let decoded = security::decode_container("s", context).expect("valid");
        assert_eq!(decoded.apparmor, expected, "{apparmor:?} {string:?}");
    }
}

#[test]
fn bad_security_contexts_are_refused_by_field() {
    let check = |field, change: fn(&mut v1::LinuxContainerSecurityContext)| {
        refused(v1::LinuxContainerSecurityContext::default(), security::decode_container, field, change);
    };
    check("run_as_user", |context| context.run_as_user = id(-1));
    check("run_as_user", |context| context.run_as_user = id(1 << 31));
    check("run_as_group", |context| context.run_as_group = id(1000));
    check("supplemental_groups[1]", |context| {
        context.supplemental_groups = vec![1, -5];
    });
    check("supplemental_groups_policy", |context| {
        context.supplemental_groups_policy = 2;
    });
    check("seccomp.profile_type", |context| {
        context.seccomp = Some(v1::SecurityProfile { profile_type: 3, ..Default::default() });
    });
    check("seccomp.localhost_ref", |context| {
        context.seccomp = Some(v1::SecurityProfile { profile_type: 2, ..Default::default() });
    });
}

#[test]
fn a_group_without_user_is_fine_for_a_sandbox_and_with_user_name_for_a_container() {
    let sandbox = v1::LinuxSandboxSecurityContext { run_as_group: id(0), ..Default::default() };
    assert_eq!(security::decode_sandbox("s", sandbox).expect("valid").run_as_group, Some(0));
    let container = v1::LinuxContainerSecurityContext {
        run_as_group: id(5),
        run_as_username: "www-data".to_owned(),
        ..Default::default()
    };
    assert_eq!(security::decode_container("s", container).expect("valid").run_as_group, Some(5));
}

#[test]
fn namespaces_follow_the_rules_of_their_owner() {
    use namespace::Owner::{Container, Sandbox};
    let option = |network: i32, pid: i32, target: &str| v1::NamespaceOption {
        network,
        pid,
        target_id: target.to_owned(),
        ..Default::default()
    };
    let decode = |owner, option| namespace::decode("n", owner, Some(option));
    assert_eq!(decode(Sandbox, option(2, 1, "")).expect("valid").network, NamespaceMode::Node);
    assert_eq!(decode(Sandbox, option(1, 0, "")).expect("as CRI-O").network, NamespaceMode::Pod);
    let target = NamespaceMode::Target("abc".to_owned());
    assert_eq!(decode(Container, option(0, 3, "abc")).expect("valid").pid, target);
    for (owner, refused) in [
        (Container, option(0, 3, "")),
        (Sandbox, option(0, 3, "abc")),
        (Sandbox, option(3, 0, "")),
        (Sandbox, option(4, 0, "")),
        (Sandbox, option(0, -1, "")),
    ] {
        assert!(decode(owner, refused.clone()).is_err(), "{refused:?}");
    }
}

#[test]
fn user_namespaces_have_one_mapping_each_that_holds_id_zero() {
    let mapping = |container_id, length| v1::IdMapping { host_id: 100_000, container_id, length };
    let decode = |mode: i32, uids: Vec<v1::IdMapping>, gids: Vec<v1::IdMapping>| {
        let userns_options = Some(v1::UserNamespace { mode, uids, gids });
        let option = v1::NamespaceOption { userns_options, ..Default::default() };
        namespace::decode("n", namespace::Owner::Sandbox, Some(option)).map(|options| options.user)
    };
    let one = || vec![mapping(0, 65536)];
    assert!(decode(0, one(), one()).expect("valid").is_some());
    assert_eq!(decode(2, vec![], vec![]), Ok(None));
    let refused = [
        (0, vec![], vec![]),
        (0, vec![mapping(0, 1), mapping(1, 1)], one()),
        (0, one(), vec![mapping(0, 1), mapping(1, 1)]),
        (0, vec![mapping(1, 65536)], one()),
        (0, vec![mapping(0, 0)], one()),
        (0, vec![mapping(0, u32::MAX)], one()),
        (1, one(), one()),
        (2, one(), one()),
        (3, one(), one()),
    ];
    for (mode, uids, gids) in refused {
        assert!(decode(mode, uids.clone(), gids.clone()).is_err(), "{mode} {uids:?} {gids:?}");
    }
}

#[test]
fn namespaces_are_echoed() {
    let asked = v1::NamespaceOption {
        network: v1::NamespaceMode::Node.into(),
        pid: v1::NamespaceMode::Container.into(),
        ipc: v1::NamespaceMode::Pod.into(),
        userns_options: Some(v1::UserNamespace { mode: v1::NamespaceMode::Node.into(), ..Default::default() }),
        ..Default::default()
    };
    let decoded = namespace::decode("n", namespace::Owner::Sandbox, Some(asked.clone())).expect("valid");
    assert_eq!(namespace::encode(&decoded), asked);
}

#[test]
fn limits_are_checked_and_come_back() {
    let asked = v1::LinuxContainerResources {
        cpu_quota: -1,
        cpu_period: 100_000,
        memory_limit_in_bytes: 64 << 20,
        oom_score_adj: -998,
        hugepage_limits: vec![v1::HugepageLimit { page_size: "2MB".to_owned(), limit: 0 }],
        unified: [("memory.high".to_owned(), "1000".to_owned())].into(),
        ..Default::default()
    };
    assert_eq!(resources::encode(&resources::decode("r", asked.clone()).expect("valid")), asked);

    let check = |field, change: fn(&mut v1::LinuxContainerResources)| {
        refused(v1::LinuxContainerResources::default(), resources::decode, field, change);
    };
    check("memory_limit_in_bytes", |limits| limits.memory_limit_in_bytes = -2);
    check("oom_score_adj", |limits| limits.oom_score_adj = 1001);
    check("cpu_shares", |limits| limits.cpu_shares = -1);
    check("hugepage_limits[0].page_size", |limits| {
        limits.hugepage_limits = vec![v1::HugepageLimit::default()];
    });
    for name in ["../cgroup.procs", "a/b", "", ".", "..", "x\n"] {
        let limits =
            v1::LinuxContainerResources { unified: [(name.to_owned(), "1".to_owned())].into(), ..Default::default() };
        assert!(resources::decode("r", limits).is_err(), "{name:?}");
    }
}

#[test]
fn credentials_are_taken_in_cri_o_s_order_and_never_quoted() {
    let basic = |username: &str, password: &str| {
        let (username, password) = (username.to_owned(), password.to_owned());
        Some(Credentials::Basic { username, password })
    };
    let auth = |change: fn(&mut v1::AuthConfig)| {
        let mut auth = v1::AuthConfig::default();
        change(&mut auth);
        image::decode_auth("auth", Some(auth))
    };
    assert_eq!(image::decode_auth("auth", None), Ok(None));
    assert_eq!(auth(|_| ()), Ok(None));
    assert_eq!(auth(|auth| auth.username = "u".to_owned()), Ok(basic("u", "")));
    assert_eq!(
        auth(|auth| (auth.auth, auth.username) = ("dTpwOnE=".to_owned(), "other".to_owned())),
        Ok(basic("u", "p:q")),
    );
    assert_eq!(auth(|auth| auth.identity_token = "t".to_owned()), Ok(Some(Credentials::IdentityToken("t".to_owned()))),);
    assert_eq!(auth(|auth| auth.registry_token = "t".to_owned()), Ok(Some(Credentials::RegistryToken("t".to_owned()))),);
    let error = auth(|auth| auth.auth = "c2VjcmV0".to_owned()).expect_err("no colon").to_string();
    assert_eq!(error, "auth.auth: is not base64 of user:password");
}

/// A small generator of numbers that are as good as random, and the same in every run.
fn numbers() -> impl Iterator<Item = usize> {
    std::iter::successors(Some(0x9e37_79b9_7f4a_7c15_u64), |last| {
        let mut next = *last;
        next ^= next << 13;
        next ^= next >> 7;
        next ^= next << 17;
        Some(next)
    })
    .map(|number| usize::try_from(number >> 16).unwrap_or_default())
}

#[test]
fn damaged_requests_are_refused_or_taken_but_never_break_the_decoder() {
    use prost::Message as _;
    let container = v1::ContainerConfig {
        envs: vec![v1::KeyValue { key: "K".to_owned(), value: b"v".to_vec() }],
        mounts: vec![v1::Mount {
            uid_mappings: vec![v1::IdMapping { host_id: 1, container_id: 0, length: 9 }],
            ..bind()
        }],
        linux: Some(v1::LinuxContainerConfig {
            resources: Some(v1::LinuxContainerResources { cpu_shares: 2, oom_score_adj: -5, ..Default::default() }),
            security_context: Some(v1::LinuxContainerSecurityContext {
                run_as_user: id(1000),
                seccomp: Some(v1::SecurityProfile::default()),
                namespace_options: Some(v1::NamespaceOption::default()),
                ..Default::default()
            }),
        }),
        stop_signal: 23,
        ..container_config()
    };
    let sandbox = v1::PodSandboxConfig {
        hostname: "web".to_owned(),
        port_mappings: vec![v1::PortMapping { container_port: 80, host_port: 8080, ..Default::default() }],
        dns_config: Some(v1::DnsConfig { servers: vec!["10.0.0.10".to_owned()], ..Default::default() }),
        ..sandbox_config()
    };
    let mut numbers = numbers();
    let mut next = || numbers.next().expect("endless");
    for valid in [container.encode_to_vec(), sandbox.encode_to_vec()] {
        for _ in 0..20_000 {
            let mut bytes = valid.clone();
            for _ in 0..=next() % 4 {
                let at = next() % bytes.len();
                bytes[at] = next().to_le_bytes()[0];
            }
            let _taken =
                v1::ContainerConfig::decode(bytes.as_slice()).map(|config| container::decode("config", config));
            let _taken = v1::PodSandboxConfig::decode(bytes.as_slice()).map(|config| sandbox::decode("config", config));
        }
    }
}
