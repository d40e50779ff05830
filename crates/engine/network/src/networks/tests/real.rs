//! The reference plugins of the distribution, in a private network.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;

use crio_types::{PortMapping, Protocol};

use super::*;
use crate::InterfaceReader;

const PLUGINS: &str = "/usr/lib/cni";
const CONNECT_TIMEOUT: Duration = Duration::from_millis(700);

/// A node with a dual-stack bridge and everything a distribution puts behind it.
fn node() -> Node {
    node_with(r#""ipMasq":true,"#)
}

/// A node as above whose bridge has these settings, too.
fn node_with(settings: &str) -> Node {
    let mut node = Node::new();
    node.config.plugin_dirs = vec![PLUGINS.into()];
    node.configure(
        "10-real.conflist",
        &r#"{"cniVersion":"1.0.0","cniVersions":["0.4.0","1.0.0","1.1.0"],"name":"real","plugins":[
            {"type":"bridge","bridge":"cni0","isGateway":true,"hairpinMode":true,SETTINGS
             "ipam":{"type":"host-local","dataDir":"DATA",
                     "ranges":[[{"subnet":"10.85.0.0/16"}],[{"subnet":"fd00:85::/64"}]],
                     "routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]}},
            {"type":"portmap","capabilities":{"portMappings":true}},
            {"type":"firewall"},
            {"type":"tuning","sysctl":{"net.ipv4.conf.eth0.arp_notify":"1"}},
            {"type":"bandwidth","capabilities":{"bandwidth":true}}]}"#
            .replace("SETTINGS", settings)
            .replace("DATA", &node.dir.path().join("ipam").display().to_string()),
    );
    node
}

fn leases(node: &Node) -> usize {
    let leases = std::fs::read_dir(node.dir.path().join("ipam/real")).into_iter().flatten().flatten();
    leases.filter(|entry| entry.file_name().to_string_lossy().contains(['.', ':'])).filter(is_lease).count()
}

fn is_lease(entry: &std::fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().replace('_', ":").parse::<IpAddr>().is_ok()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect(program);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs `work` inside the pod.
fn inside<T: Send>(pod: &PodNetwork, work: impl FnOnce() -> T + Send) -> T {
    let namespace = namespace::open(&pod.netns).expect("pinned");
    namespace::run_in(namespace.as_fd(), NamespaceKind::Network, work).expect("entered")
}

/// Answers every connection to `port` of the pod with the address it came from, until the listener is dropped.
fn serve(pod: &PodNetwork, port: u16) -> std::thread::JoinHandle<()> {
    let listener = inside(pod, || TcpListener::bind(("::", port)).expect("bind"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let peer = stream.peer_addr().expect("peer").ip().to_canonical().to_string();
            let _ = stream.write_all(peer.as_bytes());
            if peer == "127.9.9.9" {
                return;
            }
        }
    })
}

/// What the server says to a connection to `address`; `None` when there is none.
fn ask(address: &str) -> Option<String> {
    let address: SocketAddr = address.parse().expect("address");
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).ok()?;
    stream.set_read_timeout(Some(CONNECT_TIMEOUT)).expect("timeout");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn port(protocol: Protocol, host_port: u16, container_port: u16, host_ip: Option<&str>) -> PortMapping {
    PortMapping {
        protocol,
        container_port,
        host_port,
        host_ip: host_ip.map(|address| address.parse().expect("address")),
    }
}

#[test]
fn a_pod_comes_and_goes_without_a_trace() {
    in_private_network(|| async {
        let node = node();
        let networks = node.networks().await;
        networks.readiness().expect("ready");
        let (mut pod, pinned) = node.pin(1).await;
        pod.annotations.insert("kubernetes.io/ingress-bandwidth".to_owned(), "100M".to_owned());
        let began = std::time::Instant::now();
        let attachment = networks.attach(&pod).await.expect("attach");
        eprintln!("ADD of five plugins: {:?}", began.elapsed());
        assert_eq!(attachment.network, "real");
        assert_eq!(attachment.addresses.len(), 2, "{attachment:?}");
        assert!(attachment.addresses[0].to_string().starts_with("10.85."), "{attachment:?}");
        assert_eq!(leases(&node), 2);
        networks.check(&pod).await.expect("well");

        let server = serve(&pod, 80);
        assert_eq!(ask(&format!("{}:80", attachment.ips[0])).as_deref(), Some("10.85.0.1"));
        let mut reader = InterfaceReader::open(&pod.netns).expect("entered");
        assert_eq!(reader.default_route(), Some("eth0"));
        let stats = reader.read().expect("stats");
        drop(reader);
        let eth0 = stats.iter().find(|stats| stats.name == "eth0").expect("eth0");
        assert!(eth0.rx_bytes > 0 && eth0.tx_bytes > 0, "{eth0:?}");
        assert!(stats.iter().all(|stats| stats.name != "lo"));
        let accept =
            inside(&pod, || crio_sys::sysctl::read(Path::new("net/ipv6/conf/eth0/accept_ra")).expect("accept_ra"));
        assert_eq!(accept, "0", "no router can announce itself to the pod");

        let began = std::time::Instant::now();
        networks.detach(&pod).await.expect("detach");
        eprintln!("DEL of five plugins: {:?}", began.elapsed());
        assert_eq!((leases(&node), node.cached()), (0, 0));
        assert!(!output("ip", &["-o", "link"]).contains("veth"));
        unpin(&pinned).await.expect("unpin");
        drop(server);
    });
}

#[test]
fn the_sample_configurations_work() {
    in_private_network(|| async {
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../packaging/cni");
        for (sample, addresses) in [("10-crio-bridge.conflist", 2), ("11-crio-ipv4-bridge.conflist", 1)] {
            let node = node();
            let text = std::fs::read_to_string(samples.join(sample)).expect(sample);
            let data_dir = format!(r#""type": "host-local", "dataDir": "{}","#, node.dir.path().join("ipam").display());
            node.configure("00-sample.conflist", &text.replace(r#""type": "host-local","#, &data_dir));
            let networks = node.networks().await;
            let (pod, pinned) = node.pin(1).await;
            let began = std::time::Instant::now();
            let attachment = networks.attach(&pod).await.expect(sample);
            eprintln!("{sample}: ADD {:?}", began.elapsed());
            assert_eq!((attachment.network.as_str(), attachment.ips.len()), ("crio", addresses), "{sample}");
            let began = std::time::Instant::now();
            networks.detach(&pod).await.expect(sample);
            eprintln!("{sample}: DEL {:?}", began.elapsed());
            unpin(&pinned).await.expect("unpin");
            output("ip", &["link", "del", "cni0"]);
        }
    });
}

#[test]
fn failures_leak_no_address() {
    in_private_network(|| async {
        let mut node = node();
        node.config.plugin_dirs = vec![PLUGINS.into(), node.dir.path().join("bin")];
        node.config.add_timeout = Duration::from_secs(1);
        node.configure(
            "00-small.conflist",
            &r#"{"cniVersion":"1.0.0","name":"real","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,
                "ipam":{"type":"host-local","dataDir":"DATA","subnet":"10.85.0.0/29"}},{"type":"bad"}]}"#
                .replace("DATA", &node.dir.path().join("ipam").display().to_string()),
        );
        node.plugin("bad", GOOD);
        let networks = node.networks().await;
        let (pod, pinned) = node.pin(1).await;
        // A /29 has five addresses for pods, so a leak of one a round would show.
        for failure in ["exit 1", "kill -9 $$", "echo '{'", "echo '{}'; kill -SEGV $$", "sleep 1000", "cat /dev/zero"] {
            node.plugin("bad", &format!(r#"[ "$CNI_COMMAND" = DEL ] || {{ {failure}; }}"#));
            networks.attach(&pod).await.expect_err(failure);
            assert_eq!((leases(&node), node.cached()), (0, 0), "{failure}");
            assert!(!output("ip", &["-o", "link"]).contains("veth"), "{failure}");
        }
        node.plugin("bad", GOOD);
        networks.attach(&pod).await.expect("attach");
        networks.detach(&pod).await.expect("detach");
        unpin(&pinned).await.expect("unpin");
    });
}

#[test]
fn an_address_is_released_though_the_namespace_is_gone() {
    in_private_network(|| async {
        let node = node();
        let networks = node.networks().await;
        for remains in ["nothing", "a plain file"] {
            let (pod, pinned) = node.pin(1).await;
            networks.attach(&pod).await.expect("attach");
            assert_eq!(leases(&node), 2);
            unpin(&pinned).await.expect("unpin");
            if remains == "a plain file" {
                std::fs::write(&pod.netns, "").expect("write");
            }
            networks.detach(&pod).await.unwrap_or_else(|error| panic!("{remains}: {error}"));
            assert_eq!((leases(&node), node.cached()), (0, 0), "{remains}");
            unpin(&pinned).await.expect("unpin");
        }
    });
}

#[test]
fn host_ports_lead_to_the_pod_from_everywhere() {
    in_private_network(|| async {
        let node = node();
        let networks = node.networks().await;
        networks.restore(&[]).await.expect("nothing yet");
        let (mut pod, pinned) = node.pin(1).await;
        pod.ports = vec![
            port(Protocol::Tcp, 12000, 80, None),
            port(Protocol::Tcp, 12001, 80, Some("127.0.0.1")),
            port(Protocol::Tcp, 12002, 80, Some("0.0.0.0")),
            port(Protocol::Udp, 12000, 53, None),
            port(Protocol::Sctp, 12000, 7, None),
            port(Protocol::Tcp, 0, 81, None),
        ];
        let (other, other_pinned) = node.pin(2).await;
        let attachment = networks.attach(&pod).await.expect("attach");
        networks.attach(&other).await.expect("attach");
        let _server = serve(&pod, 80);
        settled().await;
        reaches(&pod, &other, attachment.ips[0]);
        udp_reaches(&pod);

        assert!(output("nft", &["list", "table", "inet", "crio_hostports"]).contains("sctp . 12000"));
        assert_eq!(localnet("cni0"), "1");
        networks.detach(&other).await.expect("detach");
        assert!(ask("127.0.0.1:12000").is_some(), "another pod's leaving changes nothing");
        networks.detach(&pod).await.expect("detach");
        assert_eq!(ask("127.0.0.1:12000"), None);
        assert!(!output("nft", &["list", "tables"]).contains("crio_hostports"), "nothing is left");
        assert_eq!(localnet("cni0"), "0");
        for pinned in [pinned, other_pinned] {
            unpin(&pinned).await.expect("unpin");
        }
    });
}

fn reaches(pod: &PodNetwork, neighbour: &PodNetwork, address: IpAddr) {
    let gateway = Some("10.85.0.1");
    assert_eq!(ask("127.0.0.1:12000").as_deref(), gateway, "loopback is masqueraded");
    assert_eq!(ask("10.85.0.1:12000").as_deref(), gateway, "an address of the node");
    assert_eq!(ask("127.0.0.1:12001").as_deref(), gateway, "bound to loopback");
    assert_eq!(ask("10.85.0.1:12001"), None, "not bound to that address");
    assert_eq!(ask("127.0.0.1:12002").as_deref(), gateway, "bound to any IPv4 address");
    assert_eq!(ask("[fd00:85::1]:12000").as_deref(), Some("fd00:85::1"), "IPv6");
    assert_eq!(ask("[fd00:85::1]:12002"), None, "bound to IPv4");
    assert_eq!(ask("[::1]:12000"), None, "IPv6 loopback is refused");
    assert_eq!(ask("127.0.0.1:12003"), None, "not a host port");
    assert_eq!(inside(pod, || ask("10.85.0.1:12000")).as_deref(), gateway, "the pod itself");
    assert_eq!(inside(neighbour, || ask("10.85.0.1:12000")).as_deref(), gateway, "a neighbour");
    assert_eq!(inside(neighbour, || ask(&format!("{address}:12000"))), None, "the pod's own address");
    guarded(neighbour);
}

/// With `route_localnet` on the bridge, a neighbour that routes 127.0.0.0/8 to the node must still not reach services
/// on the node's loopback.
fn guarded(neighbour: &PodNetwork) {
    let secret = TcpListener::bind("127.0.0.9:12999").expect("bind");
    inside(neighbour, || {
        let localnet: PathBuf = ["net/ipv4/conf", "eth0", "route_localnet"].iter().collect();
        crio_sys::sysctl::write(&localnet, "1").expect("sysctl");
        output("ip", &["addr", "del", "127.0.0.1/8", "dev", "lo"]);
        output("ip", &["route", "add", "127.0.0.0/8", "via", "10.85.0.1"]);
        let address = SocketAddr::from(([127, 0, 0, 9], 12999));
        assert!(TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).is_err(), "the guard drops it");
    });
    drop(secret);
}

/// Waits until the kernel has made sure that no address is used twice; until then they do not work.
async fn settled() {
    let end = Instant::now() + PATIENCE;
    while !output("ip", &["-6", "addr", "show", "tentative"]).is_empty() {
        assert!(Instant::now() < end, "addresses stay tentative");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn host_ports_survive_a_flush_and_a_restart() {
    in_private_network(|| async {
        // The bridge plugin cannot remove masquerading rules that somebody else removed.
        let node = node_with("");
        let networks = node.networks().await;
        let (mut pod, pinned) = node.pin(1).await;
        pod.ports = vec![port(Protocol::Tcp, 12000, 80, None)];
        let attachment = networks.attach(&pod).await.expect("attach");
        let _server = serve(&pod, 80);
        assert!(ask("127.0.0.1:12000").is_some());

        output("nft", &["flush", "ruleset"]);
        let end = Instant::now() + PATIENCE;
        while ask("127.0.0.1:12000").is_none() {
            assert!(Instant::now() < end, "the rules do not come back");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }

        drop(networks);
        let networks = node.networks().await;
        assert!(ask("127.0.0.1:12000").is_some(), "rules outlive the daemon");
        networks.restore(&[(pod.clone(), attachment)]).await.expect("restore");
        assert!(ask("127.0.0.1:12000").is_some());
        drop(networks);

        // A daemon that finds no pods removes what an earlier one left, and closes what it opened.
        let networks = node.networks().await;
        assert_eq!(localnet("cni0"), "1");
        networks.restore(&[]).await.expect("restore");
        assert!(ask("127.0.0.1:12000").is_none());
        assert_eq!(localnet("cni0"), "0");
        networks.detach(&pod).await.expect("detach");
        unpin(&pinned).await.expect("unpin");
    });
}

#[test]
fn the_later_of_two_claims_to_a_port_counts() {
    in_private_network(|| async {
        let node = node();
        let networks = node.networks().await;
        let (mut old, old_pinned) = node.pin(1).await;
        let (mut new, new_pinned) = node.pin(2).await;
        old.ports = vec![port(Protocol::Tcp, 12000, 80, None)];
        new.ports = vec![port(Protocol::Tcp, 12000, 81, None)];
        networks.attach(&old).await.expect("attach");
        networks.attach(&new).await.expect("attach");
        let _old = serve(&old, 80);
        assert_eq!(ask("127.0.0.1:12000"), None, "the new pod does not answer yet");
        let _new = serve(&new, 81);
        assert!(ask("127.0.0.1:12000").is_some());
        networks.detach(&new).await.expect("detach");
        assert!(ask("127.0.0.1:12000").is_some(), "the old pod has it again");
        networks.detach(&old).await.expect("detach");
        for pinned in [old_pinned, new_pinned] {
            unpin(&pinned).await.expect("unpin");
        }
    });
}

#[test]
fn a_udp_flow_follows_its_host_port_to_the_next_pod() {
    in_private_network(|| async {
        let node = node();
        let networks = node.networks().await;
        let client = UdpSocket::bind("127.0.0.1:0").expect("bind");
        client.connect("127.0.0.1:12000").expect("connect");
        for byte in 1..=2 {
            let (mut pod, pinned) = node.pin(byte).await;
            pod.ports = vec![port(Protocol::Udp, 12000, 53, None)];
            networks.attach(&pod).await.expect("attach");
            let server = inside(&pod, || UdpSocket::bind("0.0.0.0:53").expect("bind"));
            server.set_read_timeout(Some(CONNECT_TIMEOUT)).expect("timeout");
            // The first packet may meet the refusal of one sent while no pod was there.
            let _ = client.send(b"stale");
            let _ = client.send(b"fresh");
            server.recv_from(&mut [0; 16]).unwrap_or_else(|error| panic!("pod {byte} receives it: {error}"));
            networks.detach(&pod).await.expect("detach");
            unpin(&pinned).await.expect("unpin");
            let _ = client.send(b"nobody there");
        }
    });
}

#[test]
fn many_pods_come_and_go_at_once() {
    in_private_network(|| async {
        let node = node();
        let networks = node.networks().await;
        // The firewall plugin fails when two of it make its chains at the same time, so one pod comes first.
        let (first, first_pinned) = node.pin(9).await;
        networks.attach(&first).await.expect("attach");
        let mut pods = Vec::new();
        for byte in 1..=8 {
            let (mut pod, pinned) = node.pin(byte).await;
            pod.ports = vec![port(Protocol::Tcp, 12000 + u16::from(byte), 80, None)];
            pods.push((pod, pinned));
        }
        let began = std::time::Instant::now();
        let attached = futures(pods.iter().map(|(pod, _)| networks.attach(pod))).await;
        eprintln!("8 ADDs at once: {:?}", began.elapsed());
        let mut addresses: Vec<_> = attached.into_iter().map(|result| result.expect("attach").ips[0]).collect();
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), 8);
        for result in futures(pods.iter().map(|(pod, _)| networks.detach(pod))).await {
            result.expect("detach");
        }
        networks.detach(&first).await.expect("detach");
        unpin(&first_pinned).await.expect("unpin");
        assert_eq!((leases(&node), node.cached()), (0, 0));
        assert!(!output("nft", &["list", "tables"]).contains("crio_hostports"));
        for (_, pinned) in pods {
            unpin(&pinned).await.expect("unpin");
        }
    });
}

/// Waits for all of them, polling each whenever any makes progress; enough for a handful.
async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = all.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut pending {
            if output.is_none()
                && let std::task::Poll::Ready(ready) = future.as_mut().poll(context)
            {
                *output = Some(ready);
            }
        }
        if pending.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    pending.into_iter().filter_map(|(_, output)| output).collect()
}

fn localnet(link: &str) -> String {
    crio_sys::sysctl::read(&["net/ipv4/conf", link, "route_localnet"].iter().collect::<PathBuf>()).expect("sysctl")
}

fn udp_reaches(pod: &PodNetwork) {
    let server = inside(pod, || UdpSocket::bind("0.0.0.0:53").expect("bind"));
    server.set_read_timeout(Some(CONNECT_TIMEOUT)).expect("timeout");
    let client = UdpSocket::bind("127.0.0.1:0").expect("bind");
    client.connect("127.0.0.1:12000").expect("connect");
    client.send(b"hello").expect("send");
    let mut buffer = [0; 16];
    let (length, peer) = server.recv_from(&mut buffer).expect("the pod receives it");
    server.send_to(&buffer[..length], peer).expect("answer");
    client.set_read_timeout(Some(CONNECT_TIMEOUT)).expect("timeout");
    assert_eq!(client.recv(&mut buffer).expect("the answer comes back"), 5);
}
