//! What the containers of a pod share with one another and with the node.

use std::fs;

use anyhow::Result;
use crio_cri_api::v1::{DnsConfig, NamespaceMode};
use crio_tests::workload::{namespaces, pod_namespaces};
use crio_tests::{Stage, refused};
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn processes_are_seen_as_asked() -> Result<()> {
    let stage = Stage::set().await?;
    let mut config = stage.node.pod("pids");
    pod_namespaces(&mut config).pid = NamespaceMode::Pod.into();
    let pod = stage.pod_of(config).await?;
    for (name, mode) in
        [("own", NamespaceMode::Container), ("shared", NamespaceMode::Pod), ("node", NamespaceMode::Node)]
    {
        let mut config = stage.shell(name, "sleep 4321");
        namespaces(&mut config).pid = mode.into();
        let id = stage.start(&pod, &config).await?;
        let first = stage.exec(&id, "tr '\\0' ' ' </proc/1/cmdline").await?;
        let namespace = stage.exec(&id, "readlink /proc/self/ns/pid").await?;
        let host = fs::read_link("/proc/self/ns/pid")?.to_string_lossy().into_owned();
        match mode {
            NamespaceMode::Container => assert!(first.contains("sleep 4321"), "{first}"),
            NamespaceMode::Node => assert_eq!(namespace.trim(), host),
            _ => {
                assert!(first.contains("pause"), "{first}");
                assert_ne!(namespace.trim(), host);
            }
        }
    }

    // A second container of the pod's namespace sees the first.
    let mut config = stage.shell("witness", "grep -l 4321 /proc/[0-9]*/cmdline | wc -l");
    namespaces(&mut config).pid = NamespaceMode::Pod.into();
    let seen = stage.finish(&pod, &config).await?.stdout;
    assert!(seen.trim().parse::<u32>()? >= 1, "{seen}");
    assert!(stage.cri.containers().await?.iter().all(|container| !container.id.is_empty()));
    assert_eq!(stage.cri.containers().await?.len(), 4, "the pause container is nobody's business");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_can_join_the_processes_of_another() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("target").await?;
    let main = stage.start(&pod, &stage.shell("main", "sleep 4322")).await?;
    let mut config = stage.shell("debug", "tr '\\0' ' ' </proc/1/cmdline");
    namespaces(&mut config).pid = NamespaceMode::Target.into();
    namespaces(&mut config).target_id = main;
    let seen = stage.finish(&pod, &config).await?;
    assert!(seen.stdout.contains("sleep 4322"), "{seen:?}");

    // Only a running container of the same pod can be joined.
    let other = stage.pod("another").await?;
    refused(stage.cri.create(&other.id, &other.config, &config).await, Code::InvalidArgument, &["in another pod"])?;
    namespaces(&mut config).target_id = seen.id;
    config.metadata.get_or_insert_default().attempt = 1;
    refused(stage.cri.create(&pod.id, &pod.config, &config).await, Code::InvalidArgument, &["is not running"])?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pod_has_a_name_resolvers_and_parameters() -> Result<()> {
    let stage = Stage::set().await?;
    let mut config = stage.node.pod("named");
    config.hostname = "my-host".to_owned();
    config.dns_config = Some(DnsConfig {
        servers: vec!["192.0.2.53".to_owned(), "192.0.2.54".to_owned()],
        searches: vec!["svc.example".to_owned()],
        options: vec!["ndots:5".to_owned()],
    });
    let linux = config.linux.get_or_insert_default();
    for (name, value) in
        [("kernel.shm_rmid_forced", "1"), ("net.ipv4.ip_unprivileged_port_start", "80"), ("fs.mqueue.msg_max", "100")]
    {
        linux.sysctls.insert(name.to_owned(), value.to_owned());
    }
    let pod = stage.pod_of(config).await?;
    let script = "hostname; cat /etc/hostname /etc/resolv.conf /proc/sys/kernel/shm_rmid_forced
         cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/fs/mqueue/msg_max; echo $HOSTNAME";
    let said = stage.output(&pod, "main", script).await?;
    let expected = "my-host\nmy-host\nsearch svc.example\nnameserver 192.0.2.53\nnameserver 192.0.2.54\noptions ndots:5\n1\n80\n100\nmy-host\n";
    assert_eq!(said, expected);
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_of_a_pod_share_memory_and_nothing_else() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("shared").await?;
    let first =
        stage.start(&pod, &stage.shell("first", "echo hello >/dev/shm/word; touch /private; sleep 1000")).await?;
    crio_tests::until("the word is there", async || Ok(stage.exec(&first, "cat /dev/shm/word").await.ok())).await?;
    let said = stage.output(&pod, "second", "cat /dev/shm/word; test -e /private || echo not mine").await?;
    assert_eq!(said, "hello\nnot mine\n");
    for namespace in ["net", "ipc", "uts"] {
        let script = format!("readlink /proc/self/ns/{namespace}");
        let own = stage.exec(&first, &script).await?;
        assert_eq!(own, stage.output(&pod, &format!("also-{namespace}"), &script).await?, "{namespace}");
    }
    let other = stage.pod("other").await?;
    let said = stage.output(&other, "main", "test -e /dev/shm/word || echo another pod").await?;
    assert_eq!(said, "another pod\n");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nodes_own_namespaces_can_be_used() -> Result<()> {
    let stage = Stage::set().await?;
    let mut config = stage.node.pod("host");
    config.hostname.clear();
    pod_namespaces(&mut config).network = NamespaceMode::Node.into();
    pod_namespaces(&mut config).ipc = NamespaceMode::Node.into();
    let pod = stage.pod_of(config).await?;
    let mut config = stage.shell("main", "for n in net ipc uts mnt; do readlink /proc/self/ns/$n; done; hostname");
    namespaces(&mut config).network = NamespaceMode::Node.into();
    namespaces(&mut config).ipc = NamespaceMode::Node.into();
    let said = stage.finish(&pod, &config).await?.stdout;
    let said: Vec<&str> = said.lines().collect();
    let own =
        |name: &str| fs::read_link(format!("/proc/self/ns/{name}")).map(|link| link.to_string_lossy().into_owned());
    assert_eq!((said[0], said[1]), (own("net")?.as_str(), own("ipc")?.as_str()));
    assert_eq!(said[2], own("uts")?, "the host name goes with the network");
    assert_ne!(said[3], own("mnt")?);
    assert_eq!(said[4], fs::read_to_string("/proc/sys/kernel/hostname")?.trim());
    let status = stage.cri.pod_status(&pod.id).await?;
    assert_eq!(status.network.map(|network| network.ip), Some(String::new()), "kubelet knows the node's address");
    stage.close().await
}
