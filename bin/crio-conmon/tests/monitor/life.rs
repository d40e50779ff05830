//! From create to removal.

use crio_runtime::{MonitorState, SignalScope, read_exit_record, wait_exit};
use crio_types::{Classified, ErrorKind, Signal};

use super::support::{PATIENCE, Pod, RUNTIMES, cgroup, shell, until};

#[tokio::test]
async fn a_container_lives_ends_and_is_gone() {
    for runtime in RUNTIMES {
        let mut pod = Pod::new(runtime).await;
        let (id, created) = pod.create(&shell("echo out; echo err >&2; printf tail; exit 7")).await;
        let created = created.unwrap();
        let listed = pod.monitor.list().await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].state, listed[0].pid), (MonitorState::Created, created.pid));
        assert!(std::fs::read(pod.log_path(&id)).unwrap().is_empty());

        let watched = tokio::spawn(wait_exit(created.pid, created.start_time));
        tokio::task::yield_now().await;
        pod.monitor.start(&id).await.unwrap();
        let (exited, exit) = pod.exited().await;
        assert_eq!((exited, exit.code, exit.signal, exit.oom), (id.clone(), 7, None, false));
        let log = pod.log(&id);
        assert_eq!((&log.stdout[..], &log.stderr[..]), (&b"out\ntail"[..], &b"err\n"[..]));
        assert_eq!(std::fs::read_to_string(pod.path().join("exits").join(id.as_str())).unwrap(), "7");
        assert_eq!(read_exit_record(&pod.path().join("pod"), &id).unwrap().unwrap().exit, exit);
        assert_eq!(pod.monitor.list().await.unwrap()[0].state, MonitorState::Exited(exit));
        assert_eq!(watched.await.unwrap().unwrap().map(|ended| ended.code()), Some(7));

        for error in [pod.monitor.start(&id).await, pod.monitor.signal(&id, Signal::TERM, SignalScope::Init).await] {
            assert_eq!(error.unwrap_err().kind(), ErrorKind::FailedPrecondition);
        }
        pod.monitor.remove(&id).await.unwrap();
        pod.monitor.remove(&id).await.unwrap();
        assert!(!cgroup(&id).exists());
        assert_eq!(pod.monitor.list().await.unwrap(), []);
        pod.close().await;
    }
}

#[tokio::test]
async fn signals_reach_the_first_process_or_all() {
    for runtime in RUNTIMES {
        let mut pod = Pod::new(runtime).await;
        let (id, _) = pod.run(&shell("trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done")).await;
        pod.logged(&id, "ready").await;
        pod.monitor.signal(&id, Signal::TERM, SignalScope::Init).await.unwrap();
        assert_eq!(pod.exited().await.1.code, 3);

        // Without a process namespace of its own, what a container leaves behind is ended all the same.
        let mut options = shell("sleep 1000 & echo $!; exec sleep 2000");
        options.own_processes = false;
        let (id, created) = pod.run(&options).await;
        pod.logged(&id, "\n").await;
        let left: u32 = String::from_utf8(pod.log(&id).stdout).unwrap().trim().parse().unwrap();
        let start_time = crio_sys::process::start_time(left).unwrap();
        pod.monitor.signal(&id, Signal::KILL, SignalScope::Init).await.unwrap();
        let (_, exit) = pod.exited().await;
        assert_eq!((exit.code, exit.signal, exit.oom), (137, Some(9), false));
        tokio::time::timeout(PATIENCE, wait_exit(left, start_time)).await.unwrap().unwrap();
        assert!(created.pid != left);

        let (id, _) = pod.run(&options).await;
        pod.logged(&id, "\n").await;
        pod.monitor.signal(&id, Signal::from_number(15).unwrap(), SignalScope::All).await.unwrap();
        assert_eq!(pod.exited().await.1.code, 143);
        pod.close().await;
    }
}

#[tokio::test]
async fn a_container_that_cannot_be_made_leaves_nothing() {
    for runtime in RUNTIMES {
        let pod = Pod::new(runtime).await;
        let mut options = shell("");
        options.command = vec!["/no/such/program".to_owned()];
        let (id, created) = pod.create(&options).await;
        let failed = match created {
            Err(error) => error,
            Ok(_) => pod.monitor.start(&id).await.unwrap_err(),
        };
        assert!(failed.to_string().contains("/no/such/program"), "{failed}");
        pod.monitor.remove(&id).await.unwrap();
        assert!(!cgroup(&id).exists());
        assert_eq!(pod.monitor.list().await.unwrap(), []);

        std::fs::write(pod.path().join("rootfs/bin/garbage"), "\x7fELF nonsense").unwrap();
        let garbage = std::fs::File::open(pod.path().join("rootfs/bin/garbage")).unwrap();
        garbage.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        options.command = vec!["/bin/garbage".to_owned()];
        let (id, created) = pod.create(&options).await;
        let started = match created {
            Err(error) => Err(error),
            Ok(_) => pod.monitor.start(&id).await,
        };
        // A runtime may find out only when it is too late to tell; the exit tells then.
        if started.is_ok() {
            until(|| pod.path().join("exits").join(id.as_str()).exists()).await;
        }
        pod.monitor.remove(&id).await.unwrap();
        pod.close().await;
    }
}

#[tokio::test]
async fn a_running_container_is_removed_with_all_it_has() {
    for runtime in RUNTIMES {
        let mut pod = Pod::new(runtime).await;
        let (running, _) = pod.run(&shell("sleep 1000 & sleep 2000")).await;
        let (created, _) = pod.create(&shell("true")).await;
        let (first, second) = tokio::join!(pod.monitor.remove(&running), pod.monitor.remove(&running));
        first.unwrap();
        second.unwrap();
        pod.monitor.remove(&created).await.unwrap();
        assert_eq!((pod.exited().await.1.code, pod.exited().await.1.code), (137, 137));
        assert_eq!(pod.monitor.list().await.unwrap(), []);
        assert!(!cgroup(&running).exists() && !cgroup(&created).exists());
        assert!(pod.monitor.shutdown().await.is_ok());
        tokio::time::timeout(PATIENCE, pod.monitor.died()).await.unwrap();
        assert_eq!(pod.monitor.list().await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
}

#[tokio::test]
async fn a_name_is_used_once_and_a_busy_monitor_stays() {
    let pod = Pod::new("crun").await;
    let (id, _) = pod.create(&shell("true")).await;
    let bundle = pod.path().join(format!("bundle-{id}"));
    let again = crio_runtime::CreateRequest {
        handler: &pod.handler(),
        id: &id,
        bundle: &bundle,
        log: None,
        stdio: crio_runtime::Stdio::default(),
        cgroups: Vec::new(),
        pod_cgroup: None,
    };
    assert_eq!(pod.monitor.create(again).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(pod.monitor.shutdown().await.unwrap_err().kind(), ErrorKind::FailedPrecondition);
    pod.close().await;
}
