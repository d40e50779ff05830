//! Pods and containers that cannot be, each with a reason a person understands, and nothing of them left.

use std::fs;

use anyhow::Result;
use crio_cri_api::v1::security_profile::ProfileType;
use crio_cri_api::v1::*;
use crio_testkit::{Options, request};
use crio_tests::workload::{limits, namespaces, pod_namespaces, pod_security, security};
use crio_tests::{Stage, refused};
use tonic::Code;

type PodCase = (&'static str, fn(&mut PodSandboxConfig), Code, &'static str);

fn pod_cases() -> Vec<PodCase> {
    vec![
        ("metadata", |pod| pod.metadata = None, Code::InvalidArgument, "metadata"),
        ("name", |pod| pod.metadata.get_or_insert_default().name.clear(), Code::InvalidArgument, "name"),
        ("namespace", |pod| pod.metadata.get_or_insert_default().namespace.clear(), Code::InvalidArgument, "namespace"),
        ("hostname", |pod| pod.hostname = "x".repeat(65), Code::InvalidArgument, "hostname"),
        ("log directory", |pod| pod.log_directory = "relative".to_owned(), Code::InvalidArgument, "log_directory"),
        (
            "sysctl",
            |pod| drop(pod.linux.get_or_insert_default().sysctls.insert("vm.swappiness".to_owned(), "1".to_owned())),
            Code::InvalidArgument,
            "vm.swappiness",
        ),
        (
            "port",
            |pod| {
                pod.port_mappings = vec![PortMapping { container_port: 80, host_port: 70_000, ..Default::default() }];
            },
            Code::InvalidArgument,
            "host_port",
        ),
        (
            "address",
            |pod| {
                let host_ip = "somewhere".to_owned();
                pod.port_mappings =
                    vec![PortMapping { container_port: 80, host_port: 8080, host_ip, ..Default::default() }];
            },
            Code::InvalidArgument,
            "somewhere",
        ),
        ("pid", |pod| pod_namespaces(pod).pid = NamespaceMode::Target.into(), Code::InvalidArgument, "pid"),
        ("mode", |pod| pod_namespaces(pod).network = 99, Code::InvalidArgument, "99"),
        (
            "users",
            |pod| {
                let user = pod_namespaces(pod).userns_options.get_or_insert_default();
                user.uids = vec![IdMapping { host_id: 1000, container_id: 0, length: 10 }; 2];
                user.gids = user.uids.clone();
            },
            Code::InvalidArgument,
            "uids",
        ),
        (
            "resolver",
            |pod| pod.dns_config.get_or_insert_default().servers.push("a\nb".to_owned()),
            Code::InvalidArgument,
            "servers",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_cannot_be() -> Result<()> {
    let stage = Stage::set().await?;
    for (name, change, code, word) in pod_cases() {
        let mut config = stage.node.pod("impossible");
        change(&mut config);
        let answer = stage.cri.run_pod(&config).await;
        assert!(answer.is_err(), "{name}");
        refused(answer, code, &[word])?;
    }
    let request =
        RunPodSandboxRequest { config: Some(stage.node.pod("handler")), runtime_handler: "no-such-handler".to_owned() };
    let answer = stage.cri.runtime().run_pod_sandbox(request).await;
    refused(answer, Code::InvalidArgument, &["no-such-handler"])?;
    assert!(stage.cri.pods().await?.is_empty());
    let leaks = stage.node.leaks().await?;
    assert!(leaks.is_empty(), "{leaks}");
    stage.close().await
}

type ContainerCase = (&'static str, fn(&mut ContainerConfig), Code, &'static str);

fn request_cases() -> Vec<ContainerCase> {
    vec![
        ("metadata", |config| config.metadata = None, Code::InvalidArgument, "metadata"),
        ("name", |config| config.metadata.get_or_insert_default().name.clear(), Code::InvalidArgument, "name"),
        ("no image", |config| config.image = None, Code::InvalidArgument, "image"),
        ("log", |config| config.log_path = "../../etc/passwd".to_owned(), Code::InvalidArgument, "log_path"),
        ("nul", |config| config.args.push("a\0b".to_owned()), Code::InvalidArgument, "args"),
        (
            "environment",
            |config| config.envs.push(KeyValue { key: "a=b".to_owned(), value: vec![] }),
            Code::InvalidArgument,
            "envs",
        ),
        (
            "group alone",
            |config| security(config).run_as_group = Some(Int64Value { value: 1 }),
            Code::InvalidArgument,
            "run_as_group",
        ),
        (
            "negative user",
            |config| security(config).run_as_user = Some(Int64Value { value: -1 }),
            Code::InvalidArgument,
            "run_as_user",
        ),
        ("oom score", |config| limits(config).oom_score_adj = 2000, Code::InvalidArgument, "oom_score_adj"),
        ("ipc", |config| namespaces(config).ipc = NamespaceMode::Target.into(), Code::InvalidArgument, "ipc"),
        (
            "relative mount",
            |config| {
                config.mounts = vec![Mount {
                    host_path: "relative".to_owned(),
                    container_path: "/x".to_owned(),
                    ..Default::default()
                }];
            },
            Code::InvalidArgument,
            "host_path",
        ),
        (
            "mount nowhere",
            |config| config.mounts = vec![Mount { host_path: "/tmp".to_owned(), ..Default::default() }],
            Code::InvalidArgument,
            "container_path",
        ),
        (
            "recursive",
            |config| {
                let mount =
                    Mount { host_path: "/tmp".to_owned(), container_path: "/x".to_owned(), ..Default::default() };
                config.mounts = vec![Mount { recursive_read_only: true, ..mount }];
            },
            Code::InvalidArgument,
            "recursive_read_only",
        ),
    ]
}

fn host_cases() -> Vec<ContainerCase> {
    vec![
        (
            "image",
            |config| config.image = Some(request::image_spec("127.0.0.1:1/absent:1")),
            Code::FailedPrecondition,
            "127.0.0.1:1/absent:1",
        ),
        (
            "user",
            |config| security(config).run_as_username = "nobody-knows".to_owned(),
            Code::InvalidArgument,
            "nobody-knows",
        ),
        (
            "capability",
            |config| security(config).capabilities.get_or_insert_default().add_capabilities.push("FLY".to_owned()),
            Code::InvalidArgument,
            "FLY",
        ),
        (
            "profile",
            |config| {
                security(config).seccomp = Some(SecurityProfile {
                    profile_type: ProfileType::Localhost.into(),
                    localhost_ref: "/no/such/profile.json".to_owned(),
                });
            },
            Code::InvalidArgument,
            "/no/such/profile.json",
        ),
        (
            "device",
            |config| {
                config.devices = vec![Device {
                    host_path: "/dev/no-such-device".to_owned(),
                    container_path: "/dev/x".to_owned(),
                    permissions: "r".to_owned(),
                }];
            },
            Code::InvalidArgument,
            "/dev/no-such-device",
        ),
        ("memory", |config| limits(config).memory_limit_in_bytes = 1000, Code::InvalidArgument, "memory"),
        (
            "target",
            |config| {
                namespaces(config).pid = NamespaceMode::Target.into();
                namespaces(config).target_id = "no-such-container".to_owned();
            },
            Code::InvalidArgument,
            "no-such-container",
        ),
        ("privileged", |config| security(config).privileged = true, Code::PermissionDenied, "privileged"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_that_cannot_be() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("host").await?;
    let stored = stage.stored()?;
    let mut wrong = Vec::new();
    for (name, change, code, word) in request_cases().into_iter().chain(host_cases()) {
        let mut config = stage.shell("impossible", "true");
        change(&mut config);
        let answer = stage.cri.create(&pod.id, &pod.config, &config).await;
        if let Err(error) = refused(answer, code, &[word]) {
            wrong.push(format!("{name}: {error}"));
        }
        assert_eq!(stage.stored()?, stored, "{name}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(stage.cri.containers().await?.is_empty());
    stage.finish(&pod, &stage.shell("impossible", "true")).await?;

    stage.cri.stop_pod(&pod.id).await?;
    let answer = stage.cri.create(&pod.id, &pod.config, &stage.shell("late", "true")).await;
    refused(answer, Code::FailedPrecondition, &[&pod.id, "not ready"])?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_cannot_run() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("programs").await?;
    let cases = [
        ("absent", "/no/such/program", "/no/such/program"),
        ("unknown", "no-such-word", "no-such-word"),
        ("directory", "/etc", "directory"),
    ];
    for (name, command, word) in cases {
        let config = request::container(name, &stage.busybox, &[command]);
        // OCI runtimes find out at one of the two steps; either way the client hears which it was.
        let answer = stage.cri.run(&pod.id, &pod.config, &config).await;
        let status = answer.expect_err(name);
        assert!(status.message().contains(word), "{status:?}");
        for container in stage.cri.containers().await? {
            let status = stage.cri.status(&container.id).await?;
            assert_eq!(status.state(), ContainerState::ContainerExited, "{status:?}");
            stage.cri.remove(&container.id).await?;
        }
    }
    let ended = stage.finish(&pod, &stage.shell("after", "true")).await?;
    let again = stage.cri.start(&ended.id).await;
    refused(again, Code::FailedPrecondition, &[&ended.id])?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_an_administrator_forbids() -> Result<()> {
    let absent = tempfile::Builder::new().prefix("ct-absent-").tempdir()?;
    let path = absent.path().join("etc-hostname");
    let conf = format!("[crio.runtime]\nabsent_mount_sources_to_reject = [{path:?}]\n");
    let stage = Stage::set_with(Options { crio_conf: conf, ..Options::default() }).await?;
    let pod = stage.pod("sources").await?;
    let mut config = stage.shell("main", "true");
    config.mounts = vec![Mount {
        host_path: path.to_string_lossy().into_owned(),
        container_path: "/x".to_owned(),
        ..Default::default()
    }];
    let answer = stage.cri.create(&pod.id, &pod.config, &config).await;
    refused(answer, Code::InvalidArgument, &[&path.to_string_lossy(), "does not exist"])?;
    assert!(!path.exists());
    fs::write(&path, "")?;
    stage.finish(&pod, &config).await?;

    let mut config = stage.node.pod("privileged");
    pod_security(&mut config).privileged = false;
    let pod = stage.pod_of(config).await?;
    let mut config = stage.shell("main", "true");
    security(&mut config).privileged = true;
    refused(stage.cri.create(&pod.id, &pod.config, &config).await, Code::PermissionDenied, &["privileged"])?;
    stage.close().await
}
