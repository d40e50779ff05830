//! Networks with scripted plugins (every way a plugin can fail) and, in `real`, with the reference plugins.
//!
//! Each test runs in a network namespace of its own, so that links and packet filters of the node stay untouched, and
//! keeps all files below a temporary directory.

use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use crio_types::{Classified, ErrorKind};
use tempfile::TempDir;

use super::*;
use crate::namespaces::{PinRequest, Pinned, pin, unpin};
use crate::pod::tests::pod;

mod real;

const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a test in a network of its own.
fn in_private_network<F: Future<Output = ()>>(body: impl FnOnce() -> F + Send) {
    namespace::run_in_new(&[NamespaceKind::Network], || {
        crio_sys::interface::raise_loopback().expect("lo");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(body());
    })
    .expect("a private network");
}

/// The files of a node.
struct Node {
    dir: TempDir,
    config: Config,
}

impl Node {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let config = Config {
            config_dir: dir.path().join("net.d"),
            plugin_dirs: vec![dir.path().join("missing"), dir.path().join("bin")],
            cache_dir: dir.path().join("cache"),
            add_timeout: PATIENCE,
            del_timeout: PATIENCE,
            ..Config::default()
        };
        for directory in [&config.config_dir, &config.plugin_dirs[1]] {
            std::fs::create_dir(directory).expect("mkdir");
        }
        Self { dir, config }
    }

    async fn networks(&self) -> Networks {
        Networks::start(self.config.clone()).await.expect("start")
    }

    fn configure(&self, file: &str, text: &str) {
        std::fs::write(self.config.config_dir.join(file), text).expect("write");
    }

    /// A configuration with a chain of scripted plugins.
    fn configure_chain(&self, file: &str, name: &str, plugins: &[&str]) {
        let plugins: Vec<String> = plugins.iter().map(|plugin| format!(r#"{{"type":"{plugin}"}}"#)).collect();
        let plugins = plugins.join(",");
        self.configure(file, &format!(r#"{{"cniVersion":"1.0.0","name":"{name}","plugins":[{plugins}]}}"#));
    }

    /// A plugin that notes what it is asked and then does `script`; VERSION is answered for it.
    fn plugin(&self, name: &str, script: &str) {
        let path = self.config.plugin_dirs[1].join(name);
        let log = self.log();
        let text = format!(
            r#"#!/bin/sh
if [ "$CNI_COMMAND" = VERSION ]; then
    echo '{{"cniVersion":"1.0.0","supportedVersions":["0.3.1","0.4.0","1.0.0"]}}'
    exit 0
fi
input=$(cat)
result='{{"cniVersion":"1.0.0","ips":[{{"address":"10.9.0.7/24"}}]}}'
echo "$CNI_COMMAND {name} $CNI_IFNAME $CNI_NETNS $CNI_ARGS $input" >> {log}
{script}
"#,
            log = log.display()
        );
        std::fs::write(&path, text).expect("write");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// What the plugins were asked so far, verb and plugin of each call, and forgets it.
    fn calls(&self) -> Vec<String> {
        let calls = self.lines().iter().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
        let _ = std::fs::remove_file(self.log());
        calls
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    async fn pin(&self, byte: u8) -> (PodNetwork, Pinned) {
        let mut pod = pod(byte);
        let request = PinRequest {
            dir: self.dir.path().to_owned(),
            id: pod.sandbox_id.clone(),
            net: true,
            ipc: false,
            uts: false,
            user: None,
            hostname: None,
            sysctls: crio_types::Labels::new(),
        };
        let pinned = pin(request).await.expect("pin");
        pod.netns = pinned.net.clone().expect("net");
        (pod, pinned)
    }

    fn cached(&self) -> usize {
        std::fs::read_dir(self.config.cache_dir.join("results")).map_or(0, Iterator::count)
    }
}

/// A plugin that does its work.
const GOOD: &str = r#"[ "$CNI_COMMAND" = ADD ] && echo "$result"; exit 0"#;

#[test]
fn a_chain_runs_forward_and_back() {
    in_private_network(|| async {
        let node = Node::new();
        node.plugin("one", GOOD);
        node.plugin("two", GOOD);
        node.configure_chain("10.conflist", "n", &["one", "two"]);
        let networks = node.networks().await;
        networks.readiness().expect("ready");
        let (pod, pinned) = node.pin(1).await;

        let attachment = networks.attach(&pod).await.expect("attach");
        assert_eq!(attachment.network, "n");
        assert_eq!(attachment.interface, "eth0");
        assert_eq!(attachment.ips, ["10.9.0.7".parse::<std::net::IpAddr>().expect("address")]);
        let lines = node.lines();
        assert!(lines[0].contains(&format!("eth0 {}", pod.netns.display())), "{}", lines[0]);
        assert!(lines[0].contains("K8S_POD_NAME=web"), "{}", lines[0]);
        assert!(!lines[0].contains("prevResult"), "{}", lines[0]);
        assert!(lines[1].contains(r#""prevResult":{"cniVersion":"1.0.0","ips""#), "{}", lines[1]);
        assert_eq!(node.calls(), ["ADD one", "ADD two"]);

        networks.check(&pod).await.expect("well");
        assert_eq!(node.calls(), ["CHECK one", "CHECK two"]);

        networks.detach(&pod).await.expect("detach");
        assert!(node.lines().iter().all(|line| line.contains("prevResult")));
        assert_eq!(node.calls(), ["DEL two", "DEL one"]);
        assert_eq!(node.cached(), 0);
        networks.detach(&pod).await.expect("detach again");
        assert_eq!(node.calls(), [""; 0]);
        assert_eq!(networks.check(&pod).await.expect_err("gone").kind(), ErrorKind::NotFound);
        unpin(&pinned).await.expect("unpin");
    });
}

#[test]
fn a_failure_anywhere_undoes_the_whole_chain() {
    let failures = [
        (
            r#"echo '{"code":7,"msg":"no way","details":"really"}'; exit 1"#,
            "no way; really (code 7)",
            ErrorKind::Internal,
        ),
        (r#"echo '{"code":11,"msg":"busy"}'; exit 1"#, "busy (code 11)", ErrorKind::Unavailable),
        ("echo broken >&2; exit 3", "exit status: 3: broken", ErrorKind::Internal),
        ("kill -SEGV $$", "signal: 11", ErrorKind::Internal),
        ("echo 'not JSON'; exit 0", "invalid result", ErrorKind::Internal),
        ("exit 0", "invalid result", ErrorKind::Internal),
        (r#"echo '{"ips":[{"address":"?"}]}'"#, "invalid result", ErrorKind::Internal),
        ("sleep 1000 & wait", "did not end in time", ErrorKind::DeadlineExceeded),
        ("cat /dev/zero", "wrote more than", ErrorKind::Internal),
    ];
    in_private_network(|| async move {
        let mut node = Node::new();
        node.plugin("good", GOOD);
        node.configure_chain("10.conflist", "n", &["good", "bad"]);
        node.plugin("bad", GOOD);
        node.config.add_timeout = Duration::from_secs(1);
        let networks = node.networks().await;
        let (pod, pinned) = node.pin(1).await;
        for (script, message, kind) in failures {
            node.plugin("bad", &format!(r#"[ "$CNI_COMMAND" = DEL ] && exit 0; {script}"#));
            let error = networks.attach(&pod).await.expect_err(script);
            assert!(crio_types::chain(&error).contains(message), "{script}: {}", crio_types::chain(&error));
            assert_eq!(error.kind(), kind, "{script}");
            assert!(error.leftovers().is_empty(), "{script}: {error}");
            assert_eq!(node.calls(), ["ADD good", "ADD bad", "DEL bad", "DEL good"], "{script}");
            assert_eq!(node.cached(), 0, "{script}");
        }
        unpin(&pinned).await.expect("unpin");
    });
}

#[test]
fn what_cannot_be_undone_is_undone_later() {
    in_private_network(|| async {
        let mut node = Node::new();
        node.plugin("good", GOOD);
        node.plugin("bad", "exit 1");
        node.configure_chain("10.conflist", "n", &["good", "bad"]);
        node.config.del_timeout = Duration::from_secs(1);
        let networks = node.networks().await;
        let (pod, pinned) = node.pin(1).await;
        let error = networks.attach(&pod).await.expect_err("bad");
        assert_eq!(error.leftovers().len(), 1, "{error}");
        assert_eq!(node.calls(), ["ADD good", "ADD bad", "DEL bad", "DEL good"]);
        assert_eq!(node.cached(), 1, "the record stays until all is undone");

        node.plugin("bad", "sleep 1000");
        let error = networks.detach(&pod).await.expect_err("hangs");
        assert!(error.to_string().contains("did not end in time"), "{error}");
        assert_eq!(node.calls(), ["DEL bad", "DEL good"]);

        // Neither the namespace nor the configuration is needed any more, and another daemon can do it.
        unpin(&pinned).await.expect("unpin");
        std::fs::write(&pod.netns, "").expect("what a reboot leaves of a pin");
        std::fs::remove_file(node.config.config_dir.join("10.conflist")).expect("remove");
        node.plugin("bad", GOOD);
        drop(networks);
        let networks = node.networks().await;
        assert!(networks.readiness().is_err());
        networks.detach(&pod).await.expect("detach");
        assert!(node.lines().iter().all(|line| line.contains("eth0  IgnoreUnknown")), "no namespace is passed");
        assert_eq!(node.calls(), ["DEL bad", "DEL good"]);
        assert_eq!(node.cached(), 0);
    });
}

#[test]
fn an_unreadable_record_falls_back_to_the_present_network() {
    in_private_network(|| async {
        let node = Node::new();
        node.plugin("one", GOOD);
        node.configure_chain("10.conflist", "n", &["one"]);
        let networks = node.networks().await;
        let pod = pod(1);
        std::fs::create_dir_all(node.config.cache_dir.join("results")).expect("mkdir");
        let record = node.config.cache_dir.join(format!("results/n-{}-eth0", pod.sandbox_id));
        std::fs::write(&record, "{").expect("write");
        networks.detach(&pod).await.expect("detach");
        assert_eq!(node.calls(), ["DEL one"]);
        assert_eq!(node.cached(), 0);
    });
}

#[test]
fn a_pod_without_a_proper_namespace_is_refused() {
    in_private_network(|| async {
        let node = Node::new();
        node.plugin("one", GOOD);
        node.configure_chain("10.conflist", "n", &["one"]);
        let networks = node.networks().await;
        let plain = node.dir.path().join("plain");
        std::fs::write(&plain, "").expect("write");
        for netns in [PathBuf::from("/no/such"), plain, PathBuf::from("/proc/thread-self/ns/net")] {
            let pod = PodNetwork { netns, ..pod(1) };
            let error = networks.attach(&pod).await.expect_err("refused");
            assert!(error.cause().kind() == ErrorKind::Internal, "{error}");
        }
        assert_eq!((node.calls().len(), node.cached()), (0, 0));
    });
}

#[test]
fn the_first_usable_configuration_wins() {
    in_private_network(|| async {
        let mut node = Node::new();
        let networks = node.networks().await;
        let message = networks.readiness().expect_err("empty").message;
        assert!(message.contains("no CNI configuration file"), "{message}");
        let error = networks.attach(&pod(1)).await.expect_err("not ready");
        assert_eq!(error.kind(), ErrorKind::Unavailable);

        node.plugin("one", GOOD);
        node.configure("00-broken.conflist", "{");
        node.configure("05-ignored.txt", "{");
        node.configure_chain("10-missing.conflist", "m", &["one", "absent"]);
        node.configure("15-version.conflist", r#"{"cniVersion":"1.1.0","name":"v","plugins":[{"type":"one"}]}"#);
        let message = networks.wait_ready(Instant::now()).await.expect_err("none usable").message;
        let _ = message;
        node.configure_chain("20-good.conflist", "first", &["one"]);
        node.configure_chain("30-good.conflist", "second", &["one"]);
        networks.wait_ready(Instant::now() + PATIENCE).await.expect("noticed");
        let (pod, pinned) = node.pin(1).await;
        assert_eq!(networks.attach(&pod).await.expect("attach").network, "first");

        node.config.default_network = Some("second".to_owned());
        let other = node.networks().await;
        other.readiness().expect("ready");
        other.detach(&pod).await.expect("found by its id");
        assert_eq!(other.attach(&pod).await.expect("attach").network, "second");
        other.detach(&pod).await.expect("detach");

        node.config.default_network = Some("third".to_owned());
        let message = node.networks().await.readiness().expect_err("unknown name").message;
        assert!(message.contains("third"), "{message}");
        unpin(&pinned).await.expect("unpin");
    });
}

#[test]
fn changes_are_noticed_without_being_asked() {
    in_private_network(|| async {
        let node = Node::new();
        let networks = node.networks().await;
        let mut state = networks.loader.state.clone();
        let wait = async |state: &mut tokio::sync::watch::Receiver<loader::State>, ready: bool| {
            tokio::time::timeout(PATIENCE, state.wait_for(|state| state.is_ok() == ready))
                .await
                .expect("in time")
                .expect("running")
                .clone()
        };
        node.configure_chain("10.conflist", "n", &["one"]);
        node.plugin("one", GOOD);
        wait(&mut state, true).await.expect("ready");
        std::fs::remove_file(node.config.config_dir.join("10.conflist")).expect("remove");
        wait(&mut state, false).await.expect_err("not ready");

        // The directory itself is replaced: the next look, which a reader causes, watches the new one.
        std::fs::remove_dir(&node.config.config_dir).expect("rmdir");
        let message = networks.readiness().expect_err("gone").message;
        assert!(!message.is_empty());
        std::fs::create_dir(&node.config.config_dir).expect("mkdir");
        node.configure_chain("10.conflist", "again", &["one"]);
        networks.wait_ready(Instant::now() + PATIENCE).await.expect("ready");
    });
}

#[test]
fn plugins_get_host_ports_only_when_we_keep_none() {
    in_private_network(|| async {
        let mut node = Node::new();
        node.plugin("one", GOOD);
        node.configure(
            "10.conf",
            r#"{"cniVersion":"1.0.0","name":"n","type":"one","capabilities":{"portMappings":true,"cgroupPath":true}}"#,
        );
        node.config.disable_hostport_mapping = true;
        let networks = node.networks().await;
        let (mut pod, pinned) = node.pin(1).await;
        pod.cgroup_path = "/pods/1".to_owned();
        pod.annotations.insert("kubernetes.io/ingress-bandwidth".to_owned(), "1M".to_owned());
        pod.ports = vec![crio_types::PortMapping {
            protocol: crio_types::Protocol::Tcp,
            container_port: 80,
            host_port: 8080,
            host_ip: None,
        }];
        networks.restore(&[]).await.expect("nothing to do");
        networks.attach(&pod).await.expect("attach");
        let line = node.lines().remove(0);
        let wanted = r#""runtimeConfig":{"cgroupPath":"/pods/1","portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]}"#;
        assert!(line.contains(wanted), "{line}");
        networks.detach(&pod).await.expect("detach");
        unpin(&pinned).await.expect("unpin");
    });
}

#[test]
fn garbage_is_what_nobody_lives_in() {
    in_private_network(|| async {
        let node = Node::new();
        node.plugin("one", GOOD);
        node.configure_chain("10.conflist", "n", &["one"]);
        let networks = node.networks().await;
        let (dead, dead_pin) = node.pin(1).await;
        let (live, live_pin) = node.pin(2).await;
        networks.attach(&dead).await.expect("attach");
        networks.attach(&live).await.expect("attach");
        node.calls();
        networks.collect_garbage(std::slice::from_ref(&live.sandbox_id)).await.expect("collect");
        assert!(node.lines()[0].contains(dead.sandbox_id.as_str()));
        assert_eq!((node.calls().len(), node.cached()), (1, 1));
        networks.detach(&live).await.expect("detach");
        for pinned in [dead_pin, live_pin] {
            unpin(&pinned).await.expect("unpin");
        }
    });
}

#[test]
fn an_impossible_table_name_is_refused() {
    for name in ["", "1x", "a b", "a;flush ruleset", "a-b", &"x".repeat(64)] {
        assert!(!is_table_name(name), "{name:?}");
    }
    assert!(is_table_name("crio_hostports"));
}
