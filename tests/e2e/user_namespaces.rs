//! Pods with users of their own: what they see, what they may, and what they cannot have.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context as _, Result};
use crio_cri_api::v1::{
    Capability, ContainerConfig, IdMapping, Int64Value, Mount, MountPropagation, NamespaceMode, PodSandboxConfig,
    PodSandboxStatusRequest, SecurityProfile, StatusRequest,
};
use crio_testkit::Options;
use crio_tests::workload::{namespaces, pod_namespaces, pod_security, security};
use crio_tests::{Pod, Stage, refused};
use tonic::Code;

/// How many ids a pod gets, as kubelet gives them.
const LENGTH: u32 = 65_536;
/// What an id is that has none.
const NOBODY: u32 = 65_534;

fn map(host_id: u32) -> Vec<IdMapping> {
    vec![IdMapping { host_id, container_id: 0, length: LENGTH }]
}

fn with_users(mut pod: PodSandboxConfig, first: u32) -> PodSandboxConfig {
    let user = pod_namespaces(&mut pod).userns_options.get_or_insert_default();
    (user.uids, user.gids) = (map(first), map(first));
    pod
}

async fn pod(stage: &Stage, name: &str, first: u32) -> Result<Pod> {
    stage.pod_of(with_users(stage.node.pod(name), first)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_inside_are_others_outside() -> Result<()> {
    let stage = Stage::set().await?;
    let status = stage.cri.runtime().status(StatusRequest::default()).await?.into_inner();
    let can = |handler: &crio_cri_api::v1::RuntimeHandler| handler.features.is_some_and(|f| f.user_namespaces);
    assert!(status.runtime_handlers.iter().all(can), "{:?}", status.runtime_handlers);
    let pod = pod(&stage, "own", 100_000).await?;
    let script = "cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups | tr -s ' '
        stat -c '%u:%g %n' / /bin/sh /etc/hostname /etc/resolv.conf /dev/shm /run/.containerenv
        touch /made && chown 7:8 /made && stat -c '%u:%g %n' /made
        echo '127.0.0.1 localhost' >/etc/hosts && echo 1 >/dev/shm/x && echo written
        echo gone >/dev/null; sleep 1000";
    let mut config = stage.shell("main", script);
    security(&mut config).seccomp = Some(SecurityProfile::default());
    let id = stage.start(&pod, &config).await?;
    let said = crio_tests::until("the container has spoken", async || {
        let log = fs::read_to_string(stage.node.container_log("own", "main"))?;
        Ok(log.contains("written").then_some(log))
    })
    .await?;
    let said: Vec<&str> = said.lines().filter_map(|line| line.split_once(" F ").map(|(_, said)| said.trim())).collect();
    let map = format!("0 100000 {LENGTH}");
    let expected = [
        map.as_str(),
        &map,
        "allow",
        "0:0 /",
        "0:0 /bin/sh",
        "0:0 /etc/hostname",
        "0:0 /etc/resolv.conf",
        "0:0 /dev/shm",
        "0:0 /run/.containerenv",
        "7:8 /made",
        "written",
    ];
    assert_eq!(said, expected);

    let process = stage.process(&id).await?;
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    assert!(status.contains("Uid:\t100000\t100000\t100000\t100000"), "{status}");
    let cgroups = fs::read_to_string(format!("/proc/{process}/cgroup"))?;
    assert!(cgroups.contains(&format!("crio-{id}")), "{cgroups}");
    let executed = stage.exec(&id, "tr -s ' ' </proc/self/uid_map; grep Seccomp: /proc/self/status").await?;
    assert_eq!(executed.trim(), format!("0 100000 {LENGTH}\nSeccomp:\t2"));
    let told = stage.cri.pod_status(&pod.id).await?.linux.context("linux")?.namespaces.context("namespaces")?;
    let user = told.options.and_then(|options| options.userns_options).context("a user namespace")?;
    assert_eq!((user.mode(), user.uids, user.gids), (NamespaceMode::Pod, self::map(100_000), self::map(100_000)));
    assert_ne!(fs::metadata("/dev/null")?.uid(), 100_000, "the host's null device is the host's");
    let prepared = fs::read_dir(stage.node.path("run/attach/mapped").join(&id).join("root"))?.count();
    assert_eq!(prepared, 0, "mounts are there only while a container is created");
    stage.cri.stop(&id, std::time::Duration::ZERO).await?;
    stage.cri.remove(&id).await?;
    assert_eq!(fs::read_dir(stage.node.path("run/attach/mapped"))?.count(), 0);
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn root_has_power_over_its_own_namespaces_alone() -> Result<()> {
    let stage = Stage::set().await?;
    let mut config = with_users(stage.node.pod("power"), 200_000);
    let linux = config.linux.get_or_insert_default();
    for (name, value) in [
        ("net.ipv4.ping_group_range", "0 2147483647"),
        ("net.ipv4.ip_unprivileged_port_start", "80"),
        ("kernel.shm_rmid_forced", "1"),
        ("fs.mqueue.msg_max", "100"),
    ] {
        linux.sysctls.insert(name.to_owned(), value.to_owned());
    }
    let pod = stage.pod_of(config).await?;
    let script = "mount -t tmpfs x /tmp && echo mounted
        hostname renamed && hostname
        ip link set lo mtu 1400 && cat /sys/class/net/lo/mtu
        cat /proc/sys/net/ipv4/ping_group_range /proc/sys/net/ipv4/ip_unprivileged_port_start
        cat /proc/sys/kernel/shm_rmid_forced /proc/sys/fs/mqueue/msg_max
        mknod /tmp/disk b 8 0 2>/dev/null || echo no device
        echo 1 2>/dev/null >/proc/sys/kernel/core_pattern || echo no parameter of the host";
    let mut config = stage.shell("main", script);
    let add_capabilities = ["SYS_ADMIN", "NET_ADMIN", "MKNOD"].map(str::to_owned).to_vec();
    security(&mut config).capabilities = Some(Capability { add_capabilities, ..Default::default() });
    let ended = stage.finish(&pod, &config).await?;
    let expected = "mounted\nrenamed\n1400\n0\t65535\n80\n1\n100\nno device\nno parameter of the host\n";
    assert_eq!(ended.stdout, expected, "{ended:?}");

    let mut config = with_users(stage.node.pod("privileged"), 300_000);
    pod_security(&mut config).privileged = true;
    let pod = stage.pod_of(config).await?;
    let mut config = stage
        .shell("main", "tr -s ' ' </proc/self/uid_map; mount -t tmpfs x /tmp && echo mounted; exec mknod /x b 8 0");
    security(&mut config).privileged = true;
    let ended = stage.finish(&pod, &config).await?;
    assert_eq!(ended.stdout.trim(), format!("0 300000 {LENGTH}\nmounted"), "{ended:?}");
    assert_ne!(ended.status.exit_code, 0, "privileged in its own namespaces, not on the host");
    stage.close().await
}

fn mount(at: &str, source: &std::path::Path, first: Option<u32>) -> Mount {
    let maps = first.map(map).unwrap_or_default();
    Mount {
        container_path: at.to_owned(),
        host_path: source.to_string_lossy().into_owned(),
        uid_mappings: maps.clone(),
        gid_mappings: maps,
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_keep_their_owners_when_they_are_mapped() -> Result<()> {
    let stage = Stage::set().await?;
    // Closed to all but root, as kubelet keeps its directories.
    let closed = stage.node.path("volumes");
    fs::create_dir(&closed)?;
    fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    for name in ["mapped", "plain"] {
        let directory = closed.join(name);
        fs::create_dir(&directory)?;
        fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
        fs::write(directory.join("secret"), "word\n")?;
        fs::set_permissions(directory.join("secret"), std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    }
    let pod = pod(&stage, "volumes", 400_000).await?;
    let script = "for v in mapped plain; do
            stat -c '%u:%g' /$v/secret; cat /$v/secret || echo closed
            touch /$v/made; chown 5:6 /$v/made 2>/dev/null; stat -c '%u:%g' /$v/made
        done 2>/dev/null; cat /file; echo x 2>/dev/null >/file || echo read-only";
    let mut config = stage.shell("main", script);
    let mut file = mount("/file", &closed.join("mapped/secret"), Some(400_000));
    file.readonly = true;
    config.mounts = vec![
        mount("/mapped", &closed.join("mapped"), Some(400_000)),
        mount("/plain", &closed.join("plain"), None),
        file,
    ];
    let ended = stage.finish(&pod, &config).await?;
    let expected = format!("0:0\nword\n5:6\n{NOBODY}:{NOBODY}\nclosed\n5:6\nword\nread-only\n");
    assert_eq!(ended.stdout, expected, "{ended:?}");
    let owner = |path: &str| -> Result<(u32, u32)> {
        let status = fs::metadata(closed.join(path))?;
        Ok((status.uid(), status.gid()))
    };
    assert_eq!(owner("mapped/made")?, (5, 6));
    assert_eq!(owner("plain/made")?, (400_005, 400_006));
    let told = &ended.status.mounts;
    assert!(
        told.iter().any(|mount| mount.uid_mappings == map(400_000) && mount.container_path == "/mapped"),
        "{told:?}"
    );

    // An image is everybody's and looks like its own.
    let mut config = stage.shell(
        "image",
        "stat -c '%u:%g' /image/bin/sh /image/etc/passwd; touch /image/x 2>/dev/null || echo read-only",
    );
    config.mounts = vec![Mount {
        host_path: String::new(),
        image: Some(crio_testkit::request::image_spec(&stage.busybox)),
        ..mount("/image", "/".as_ref(), Some(400_000))
    }];
    assert_eq!(stage.finish(&pod, &config).await?.stdout, "0:0\n0:0\nread-only\n");

    // Mapped by another map than the pod's, and in a pod that has none.
    let mut config = stage.shell("other", "stat -c '%u:%g' /other/secret");
    config.mounts = vec![mount("/other", &closed.join("mapped"), Some(400_009))];
    assert_eq!(stage.finish(&pod, &config).await?.stdout, "9:9\n");
    let ordinary = stage.pod("ordinary").await?;
    config.mounts = vec![mount("/other", &closed.join("mapped"), Some(1234))];
    assert_eq!(stage.finish(&ordinary, &config).await?.stdout, "1234:1234\n");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_with_other_ids_share_an_image() -> Result<()> {
    let stage = Stage::set().await?;
    let layers = |stage: &Stage| -> Result<usize> { Ok(fs::read_dir(stage.node.path("root/overlay"))?.count()) };
    let before = layers(&stage)?;
    let mut processes = Vec::new();
    for (name, first) in [("first", 500_000), ("second", 600_000)] {
        let pod = pod(&stage, name, first).await?;
        let mut config = stage.shell("main", "touch /tmp/mine; sleep 1000");
        security(&mut config).run_as_user = Some(Int64Value { value: 1000 });
        config.working_dir = "/work/of/mine".to_owned();
        let id = stage.start(&pod, &config).await?;
        let said = stage.exec(&id, "stat -c '%u:%g' /bin/sh /etc/passwd /work /work/of/mine; id -u; pwd").await?;
        assert_eq!(said, "0:0\n0:0\n0:0\n0:0\n1000\n/work/of/mine\n");
        let process = stage.process(&id).await?;
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        assert!(status.contains(&format!("Uid:\t{}\t", first + 1000)), "{status}");
        processes.push(process);
    }
    let namespace = |process: &i32| fs::read_link(format!("/proc/{process}/ns/user"));
    assert_ne!(namespace(&processes[0])?, namespace(&processes[1])?);
    assert_eq!(layers(&stage)?, before + 2, "each container has a layer of its own and the image's are nobody's copy");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_with_users_outlives_the_daemon() -> Result<()> {
    let mut stage = Stage::set().await?;
    let mut config = with_users(stage.node.pod("lasting"), 700_000);
    pod_namespaces(&mut config).pid = NamespaceMode::Pod.into();
    let pod = stage.pod_of(config).await?;
    let shared = |name: &str, script: &str| -> ContainerConfig {
        let mut config = stage.shell(name, script);
        namespaces(&mut config).pid = NamespaceMode::Pod.into();
        config
    };
    let (first, second) = (shared("first", "sleep 1000"), shared("second", "tr -s ' ' </proc/1/uid_map"));
    let id = stage.start(&pod, &first).await?;
    stage.crash().await?;
    let said = stage.exec(&id, "tr '\\0' ' ' </proc/1/cmdline; id -u").await?;
    assert!(said.contains("pause") && said.ends_with("0\n"), "{said}");
    let said = stage.finish(&pod, &second).await?.stdout;
    assert_eq!(said.trim(), format!("0 700000 {LENGTH}"), "the pause container is in it, too");
    let request = PodSandboxStatusRequest { pod_sandbox_id: pod.id.clone(), verbose: true };
    let told = stage.cri.runtime().pod_sandbox_status(request).await?.into_inner();
    let namespaces = told.status.and_then(|s| s.linux).and_then(|l| l.namespaces).and_then(|n| n.options);
    let user = namespaces.and_then(|options| options.userns_options).context("a user namespace")?;
    assert_eq!(user.uids, map(700_000));
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_can_give_every_pod_users() -> Result<()> {
    let crio_conf = "[crio.runtime]\nuid_mappings = \"0:150000:1000,1000:160000:1000\"\n\
         gid_mappings = \"0:150000:2000\"\nminimum_mappable_uid = 150000\n";
    let options = Options { crio_conf: crio_conf.to_owned(), ..Options::default() };
    let stage = Stage::set_with(options).await?;
    let pod = stage.pod("given").await?;
    let mut config = stage.shell("main", "id -u; id -g; stat -c '%u:%g' /bin/sh; sleep 1000");
    security(&mut config).run_as_user = Some(Int64Value { value: 1001 });
    let id = stage.start(&pod, &config).await?;
    assert_eq!(stage.exec(&id, "id -u; stat -c '%u:%g' /bin/sh").await?, "1001\n0:0\n");
    let status = fs::read_to_string(format!("/proc/{}/status", stage.process(&id).await?))?;
    assert!(status.contains("Uid:\t160001\t"), "{status}");
    let mut host = stage.node.pod("host");
    pod_namespaces(&mut host).network = NamespaceMode::Node.into();
    let host = stage.pod_of(host).await?;
    let said = stage.output(&host, "main", "cut -c 11-21 /proc/self/uid_map").await?;
    assert_eq!(said.trim(), "0", "what uses the host's network has the host's users");
    let below = stage.cri.run_pod(&with_users(stage.node.pod("below"), 149_999)).await;
    refused(below, Code::InvalidArgument, &["149999", "150000"])?;
    stage.close().await
}

type PodChange = fn(&mut PodSandboxConfig);
type ContainerChange = fn(&mut ContainerConfig);

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_and_leaves_nothing() -> Result<()> {
    let stage = Stage::set().await?;
    let pods: [(&str, PodChange); 8] = [
        ("network", |pod| pod_namespaces(pod).network = NamespaceMode::Node.into()),
        ("pid", |pod| pod_namespaces(pod).pid = NamespaceMode::Node.into()),
        ("ipc", |pod| pod_namespaces(pod).ipc = NamespaceMode::Node.into()),
        ("uids", |pod| pod_namespaces(pod).userns_options.get_or_insert_default().uids.extend(map(900_000))),
        ("gids", |pod| pod_namespaces(pod).userns_options.get_or_insert_default().gids.clear()),
        ("not mapped", |pod| pod_namespaces(pod).userns_options.get_or_insert_default().uids[0].container_id = 1),
        ("mode", |pod| {
            pod_namespaces(pod).userns_options.get_or_insert_default().set_mode(NamespaceMode::Container);
        }),
        ("mode", |pod| pod_namespaces(pod).userns_options.get_or_insert_default().set_mode(NamespaceMode::Target)),
    ];
    for (word, change) in pods {
        let mut config = with_users(stage.node.pod("refused"), 800_000);
        change(&mut config);
        refused(stage.cri.run_pod(&config).await, Code::InvalidArgument, &[word])?;
    }
    assert!(stage.cri.pods().await?.is_empty());
    let pod = pod(&stage, "refusing", 800_000).await?;
    let containers: [(&str, ContainerChange); 6] = [
        ("network", |config| namespaces(config).network = NamespaceMode::Node.into()),
        ("pid", |config| namespaces(config).pid = NamespaceMode::Node.into()),
        ("no other", |config| {
            let user = namespaces(config).userns_options.get_or_insert_default();
            (user.uids, user.gids) = (map(1), map(1));
        }),
        ("user 65536", |config| security(config).run_as_user = Some(Int64Value { value: 65_536 })),
        ("group 70000", |config| security(config).supplemental_groups = vec![70_000]),
        ("id-mapped", |config| {
            // A file system that knows no owners but its own.
            config.mounts = vec![mount("/proc2", "/proc/sys".as_ref(), Some(800_000))];
        }),
    ];
    for (word, change) in containers {
        let mut config = stage.shell("refused", "true");
        change(&mut config);
        refused(stage.cri.run(&pod.id, &pod.config, &config).await, Code::InvalidArgument, &[word])?;
    }
    let mut config = stage.shell("refused", "true");
    config.mounts = vec![Mount {
        propagation: MountPropagation::PropagationBidirectional.into(),
        ..mount("/shared", &stage.node.path("run"), Some(800_000))
    }];
    refused(stage.cri.run(&pod.id, &pod.config, &config).await, Code::InvalidArgument, &["BIDIRECTIONAL"])?;
    assert!(stage.cri.containers().await?.is_empty());
    let ordinary = stage.pod("ordinary").await?;
    let mut config = stage.shell("refused", "true");
    let user = namespaces(&mut config).userns_options.get_or_insert_default();
    (user.uids, user.gids) = (map(800_000), map(800_000));
    refused(stage.cri.run(&ordinary.id, &ordinary.config, &config).await, Code::InvalidArgument, &["no other"])?;
    stage.close().await
}
