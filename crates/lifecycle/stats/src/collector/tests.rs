//! Answers about real groups of this machine.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crio_cgroups::{CgroupPath, Driver};
use crio_types::{InterfaceStats, NetworkStats};

use super::*;
use crate::WritableLayer;

mod metrics;

const PATIENCE: Duration = Duration::from_secs(10);

/// A pod with one container group in it; removed when dropped.
struct Pod {
    cgroups: Arc<Cgroups>,
    parent: CgroupPath,
    sandbox: SandboxSubject,
    container: ContainerSubject,
    _layer: tempfile::TempDir,
}

impl Pod {
    fn create(number: u8) -> Self {
        let config = crio_cgroups::Config { driver: Driver::Cgroupfs, root: None };
        let cgroups = Arc::new(Cgroups::detect(&config).unwrap());
        let parent = format!("/crio-rs-stats-test-{}-{number}", std::process::id());
        let (id, sandbox_id) = (ContainerId::from_bytes([number; 32]), SandboxId::from_bytes([number; 32]));
        let container_cgroup = cgroups.container_cgroup(&parent, &id).unwrap().path;
        cgroups.create(&container_cgroup).unwrap();
        let layer = tempfile::tempdir().unwrap();
        std::fs::write(layer.path().join("file"), vec![1; 5000]).unwrap();
        let container = ContainerSubject {
            id,
            sandbox_id: sandbox_id.clone(),
            metadata: Default::default(),
            labels: Default::default(),
            annotations: Default::default(),
            cgroup: container_cgroup,
            writable_layer: Some(WritableLayer { directory: layer.path().to_owned(), mountpoint: "/store".to_owned() }),
        };
        let sandbox = SandboxSubject {
            id: sandbox_id.clone(),
            metadata: Default::default(),
            labels: Default::default(),
            annotations: Default::default(),
            pod_cgroup: cgroups.pod_cgroup(&parent).unwrap(),
            sandbox_cgroup: cgroups.sandbox_cgroup("", &sandbox_id).unwrap().path,
            network: None,
        };
        Self { parent: CgroupPath::parse(&parent).unwrap(), cgroups, sandbox, container, _layer: layer }
    }

    fn collector(&self, config: Config) -> Collector {
        let collector = Collector::new(Arc::clone(&self.cgroups), config);
        collector.add_sandbox(self.sandbox.clone());
        collector.add_container(self.container.clone());
        collector
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = self.cgroups.remove(&self.parent, PATIENCE);
    }
}

/// A network of one interface.
#[derive(Debug, Default)]
struct FakeNetwork {
    closed: AtomicBool,
}

impl crate::NetworkCounters for FakeNetwork {
    fn read(&self) -> Option<NetworkStats> {
        let interface = InterfaceStats { name: "eth0".to_owned(), rx_packets: 7, ..InterfaceStats::default() };
        let stats = NetworkStats { default_interface: Some(interface), ..NetworkStats::default() };
        (!self.closed.load(Ordering::SeqCst)).then_some(stats)
    }

    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_container_is_answered_until_it_is_forgotten() {
    let pod = Pod::create(1);
    let collector = pod.collector(Config::default());
    let id = &pod.container.id;
    let stats = collector.container(id).await.expect("it is known");
    assert_eq!(stats.cpu.map(|cpu| cpu.usage_core_ns), Some(0));
    assert!(stats.memory.is_some());
    assert_eq!(collector.containers(std::slice::from_ref(id)).await.len(), 1);

    pod.cgroups.remove(&pod.container.cgroup, PATIENCE).unwrap();
    assert_eq!(collector.containers(std::slice::from_ref(id)).await.len(), 0, "exited ones are not listed");
    let exited = collector.container(id).await.expect("it is still known");
    assert_eq!((exited.cpu, exited.memory), (None, None));

    pod.cgroups.create(&pod.container.cgroup).unwrap();
    assert_eq!(collector.containers(std::slice::from_ref(id)).await.len(), 1, "a group made anew is found");

    collector.remove_container(id);
    assert!(collector.container(id).await.is_none());
}

#[tokio::test]
async fn a_pod_is_its_group_or_the_sum_of_its_parts() {
    let mut pod = Pod::create(2);
    let collector = pod.collector(Config::default());
    let stats = collector.sandbox(&pod.sandbox.id).await.expect("it is known");
    assert_eq!(stats.process_count, Some(0));
    assert_eq!(stats.containers.len(), 1);
    assert!(stats.cpu.is_some() && stats.memory.is_some() && stats.network.is_none());

    pod.sandbox.pod_cgroup = None;
    let network = Arc::new(FakeNetwork::default());
    pod.sandbox.network = Some(Arc::clone(&network) as Arc<dyn crate::NetworkCounters>);
    collector.add_sandbox(pod.sandbox.clone());
    let summed = collector.sandbox(&pod.sandbox.id).await.expect("it is known");
    assert_eq!(summed.process_count, Some(0));
    assert!(summed.cpu.is_some() && summed.memory.is_some() && summed.network.is_some());

    collector.network_ends(&pod.sandbox.id);
    assert!(network.closed.load(Ordering::SeqCst));
    collector.container_ended(&pod.container.id);
    let late = collector.sandbox(&pod.sandbox.id).await.expect("it is known");
    assert!(late.network.is_none() && late.containers.is_empty());
    assert!(collector.container(&pod.container.id).await.is_some_and(|stats| stats.cpu.is_some()));

    collector.remove_sandbox(&pod.sandbox.id);
    assert!(collector.sandbox(&pod.sandbox.id).await.is_none());
}

#[tokio::test]
async fn the_rate_appears_with_the_second_reading() {
    let pod = Pod::create(3);
    let config = Config { rate_interval: Duration::from_millis(1), ..Config::default() };
    let collector = pod.collector(config);
    let rate = async || collector.container(&pod.container.id).await.and_then(|stats| stats.cpu?.usage_nano_cores);
    assert_eq!(rate().await, None);
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(rate().await, Some(0));
}

#[tokio::test]
async fn within_the_collection_period_the_last_reading_stands() {
    let pod = Pod::create(5);
    for (period, expected) in [(Duration::from_secs(600), true), (Duration::ZERO, false)] {
        let collector = pod.collector(Config { collection_period: period, ..Config::default() });
        let read =
            async || collector.container(&pod.container.id).await.and_then(|stats| stats.cpu).expect("accounted");
        let first = read().await;
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(read().await.timestamp == first.timestamp, expected, "{period:?}");
    }
}

#[tokio::test]
async fn beyond_the_budget_files_are_opened_for_each_reading() {
    let pod = Pod::create(6);
    let mut group = crate::group::Group::new(pod.container.cgroup.clone());
    for limit in [0, 100] {
        let source = Source {
            cgroups: Arc::clone(&pod.cgroups),
            budget: Budget::new(limit),
            rate_interval: Duration::ZERO,
            collection_period: Duration::ZERO,
        };
        assert!(group.read(&source).is_some() && group.read(&source).is_some());
        assert_eq!(source.budget.open() > 0, limit > 0);
        group.close();
        assert_eq!(source.budget.open(), 0, "closed files are given back");
    }
}

#[tokio::test]
async fn layers_are_measured_in_the_background() {
    let pod = Pod::create(4);
    let config = Config { layer_age_max: Duration::ZERO, ..Config::default() };
    let collector = pod.collector(config);
    let usage = async || collector.container(&pod.container.id).await.and_then(|stats| stats.writable_layer);
    assert_eq!(usage().await, None, "nothing is measured on the call path");

    let measured = async || {
        while usage().await.is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = collector.run() => unreachable!("it never ends"),
        waited = tokio::time::timeout(PATIENCE, measured()) => waited.expect("it is measured soon"),
    }
    let usage = usage().await.unwrap();
    assert_eq!((usage.mountpoint.as_str(), usage.inodes_used), ("/store", 2));
    assert!(usage.used_bytes >= 5000, "{usage:?}");
}

#[tokio::test]
async fn fifty_pods_take_little_processor_time() {
    let pods: Vec<Pod> = (100..150).map(Pod::create).collect();
    let collector = pods[0].collector(Config::default());
    for pod in &pods {
        collector.add_sandbox(pod.sandbox.clone());
        collector.add_container(pod.container.clone());
    }
    let ids: Vec<_> = pods.iter().map(|pod| pod.container.id.clone()).collect();
    let opened = collector.containers(&ids).await;
    assert_eq!(opened.len(), 50);
    let started = Instant::now();
    for _ in 0..10 {
        collector.containers(&ids).await;
    }
    let each = started.elapsed() / 10;
    eprintln!("a list of fifty containers takes {each:?}");
    assert!(each < Duration::from_millis(50), "{each:?}");
}
