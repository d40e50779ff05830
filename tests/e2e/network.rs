//! The network of a pod: addresses, containers that talk, ports of the node.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result};
use crio_cri_api::v1::{PortMapping, Protocol};
use crio_tests::{Stage, until};

const SERVER: &str = "mkdir /www; echo hello >/www/index.html; exec httpd -f -p 80 -h /www";

/// What an HTTP server says, or nothing while it does not listen.
fn get(address: SocketAddr) -> Result<Option<String>> {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
        return Ok(None);
    };
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(Some(text))
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_have_addresses_that_everybody_reaches() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("server").await?;
    stage.start(&pod, &stage.shell("httpd", SERVER)).await?;
    let network = stage.cri.pod_status(&pod.id).await?.network.context("a network")?;
    let ip: IpAddr = network.ip.parse()?;
    let from_host = until("the pod answers the host", async || get(SocketAddr::new(ip, 80))).await?;
    assert!(from_host.ends_with("hello\n"), "{from_host}");

    let neighbour = stage.output(&pod, "neighbour", "wget -q -O - http://127.0.0.1/").await?;
    assert_eq!(neighbour, "hello\n", "containers of a pod talk over localhost");

    let other = stage.pod("client").await?;
    let second = stage.cri.pod_status(&other.id).await?.network.context("a network")?;
    assert_ne!(second.ip, network.ip);
    let other = stage.output(&other, "main", &format!("wget -q -O - http://{ip}/; ls /sys/class/net")).await?;
    assert_eq!(other, "hello\neth0\nlo\n", "pods talk to one another");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_the_node_leads_to_the_pod() -> Result<()> {
    let stage = Stage::set_alone().await?;
    let port = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?.local_addr()?.port();
    let mut config = stage.node.pod("published");
    config.port_mappings = vec![PortMapping {
        protocol: Protocol::Tcp.into(),
        container_port: 80,
        host_port: port.into(),
        host_ip: String::new(),
    }];
    let pod = stage.pod_of(config).await?;
    stage.start(&pod, &stage.shell("httpd", SERVER)).await?;
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let answer = until("the node's port answers", async || get(local)).await?;
    assert!(answer.ends_with("hello\n"), "{answer}");

    let client = stage.pod("client").await?;
    let route = stage.output(&client, "route", "ip route | sed -n 's/default via \\([0-9.]*\\).*/\\1/p'").await?;
    let script = format!("wget -q -O - http://{}:{port}/", route.trim());
    assert_eq!(stage.output(&client, "main", &script).await?, "hello\n", "from another pod, by the node's address");

    stage.cri.stop_pod(&pod.id).await?;
    assert_eq!(get(local)?, None, "the port is free again");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_given_back() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("first").await?;
    let status = stage.cri.pod_status(&pod.id).await?;
    let lease = |ip: &str| stage.node.path("ipam").join(stage.node.network()).join(ip);
    let ip = status.network.context("a network")?.ip;
    assert!(lease(&ip).exists(), "{}", lease(&ip).display());
    stage.cri.stop_pod(&pod.id).await?;
    assert!(!lease(&ip).exists(), "{ip} is still taken");
    stage.cri.stop_pod(&pod.id).await?;
    stage.cri.remove_pod(&pod.id).await?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_directory_is_made_and_stays_kubelets() -> Result<()> {
    let stage = Stage::set().await?;
    let mut config = stage.node.pod("logs");
    config.log_directory = stage.node.path("pods/deep/down").to_string_lossy().into_owned();
    let pod = stage.pod_of(config).await?;
    assert!(stage.node.path("pods/deep/down").is_dir());
    let ended = stage.finish(&pod, &stage.shell("main", "echo kept")).await?;
    stage.cri.remove_pod(&pod.id).await?;
    let log = std::fs::read_to_string(&ended.status.log_path)?;
    assert!(log.ends_with("stdout F kept\n"), "a log outlives its pod: {log}");
    stage.close().await
}
