//! Memory: limits, kills, and what the monitor says about them.

use crio_runtime::SignalScope;
use crio_types::Signal;
use oci_spec::runtime::LinuxResources;

use super::support::{Pod, RUNTIMES, cgroup, shell};

#[tokio::test]
async fn an_out_of_memory_kill_is_told_from_any_other() {
    for runtime in RUNTIMES {
        let mut pod = Pod::new(runtime).await;
        // The victim is a child of the container's first process, which passes its fate on.
        let mut options = shell("dd if=/dev/zero of=/dev/null bs=200M count=1; exit $?");
        options.memory_limit_bytes = Some(30 << 20);
        let (id, _) = pod.run(&options).await;
        let (exited, exit) = pod.exited().await;
        assert_eq!((exited, exit.code, exit.oom), (id, 137, true));
        assert!(exit.oom_kills >= 1);

        options.command = vec!["/bin/sleep".to_owned(), "1000".to_owned()];
        let (id, _) = pod.run(&options).await;
        pod.monitor.signal(&id, Signal::KILL, SignalScope::Init).await.unwrap();
        let (_, exit) = pod.exited().await;
        assert_eq!((exit.code, exit.oom, exit.oom_kills), (137, false, 0));
        pod.close().await;
    }
}

#[tokio::test]
async fn limits_are_changed() {
    for runtime in RUNTIMES {
        let pod = Pod::new(runtime).await;
        let mut options = shell("sleep 1000");
        options.memory_limit_bytes = Some(30 << 20);
        let (id, _) = pod.run(&options).await;
        let wanted = serde_json::json!({ "memory": { "limit": 50 << 20, "swap": 50 << 20 } });
        let resources: LinuxResources = serde_json::from_value(wanted).unwrap();
        pod.monitor.update(&id, &resources).await.unwrap();
        let limit = std::fs::read_to_string(cgroup(&id).join("memory.limit_in_bytes")).unwrap();
        assert_eq!(limit.trim(), (50 << 20).to_string());
        let nonsense: LinuxResources =
            serde_json::from_value(serde_json::json!({ "cpu": { "cpus": "9999999" } })).unwrap();
        assert!(pod.monitor.update(&id, &nonsense).await.is_err());
        pod.close().await;
    }
}
