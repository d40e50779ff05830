//! Clients that come and go, monitors that die, and those that never start.

use std::time::Duration;

use crio_monitor_protocol::{MAX_MESSAGE_BYTES, SOCKET_NAME};
use crio_runtime::{ConnectError, ExecLimits, Monitor, MonitorState, SpawnError, wait_exit};
use crio_sys::process::PidFd;
use crio_sys::seqpacket::SeqPacket;
use crio_types::{Classified, ErrorKind};

use super::support::{PATIENCE, Pod, RUNTIMES, cgroup, process, shell, until};

#[tokio::test]
async fn a_new_client_finds_everything() {
    let mut pod = Pod::new("crun").await;
    let (running, created) = pod.run(&shell("sleep 1000")).await;
    let (over, _) = pod.run(&shell("exit 9")).await;
    let (_, exit) = pod.exited().await;
    let directory = pod.monitor.directory().to_owned();
    let second = Monitor::connect(&directory).await.unwrap();
    assert_eq!(second.pid(), pod.monitor.pid());
    let mut listed = second.list().await.unwrap();
    listed.sort_by_key(|entry| entry.id != running);
    assert_eq!((listed[0].state, listed[0].start_time), (MonitorState::Running, created.start_time));
    assert_eq!((&listed[1].id, listed[1].state), (&over, MonitorState::Exited(exit)));
    let mut events = second.events();
    pod.monitor.remove(&running).await.unwrap();
    events.recv().await.unwrap();
    drop(second);
    assert!(matches!(Monitor::spawn(&pod.launch()).await.unwrap_err(), SpawnError::Running { .. }));
    pod.close().await;
}

#[tokio::test]
async fn a_dead_monitor_is_noticed_and_its_containers_can_be_ended() {
    for runtime in RUNTIMES {
        let pod = Pod::new(runtime).await;
        let (id, created) = pod.run(&shell("sleep 1000")).await;
        let start_time = created.start_time;
        PidFd::open(pod.monitor.pid()).unwrap().signal(9).unwrap();
        tokio::time::timeout(Duration::from_secs(2), pod.monitor.died()).await.unwrap();
        assert_eq!(pod.monitor.list().await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(matches!(Monitor::connect(pod.monitor.directory()).await, Err(ConnectError::Absent { .. })));
        // Here the runtime runs without the monitor's mount namespace, which crun of this age does not like; a kill through
        // a handle works wherever the runtime does not.
        PidFd::open_started(created.pid, start_time).unwrap().signal(9).unwrap();
        tokio::time::timeout(PATIENCE, wait_exit(created.pid, start_time)).await.unwrap().unwrap();

        // A new monitor in the same place knows nothing and works.
        let again = Monitor::spawn(&pod.launch()).await.unwrap();
        assert_eq!(again.list().await.unwrap(), []);
        again.remove(&id).await.unwrap();
        again.shutdown().await.unwrap();
        if runtime == "runc" {
            pod.handler().delete_forced(&id).await.unwrap();
            pod.handler().delete_forced(&id).await.unwrap();
        }
        for controller in std::fs::read_dir("/sys/fs/cgroup").unwrap() {
            let left = controller.unwrap().path().join(cgroup(&id).file_name().unwrap());
            until(|| !left.exists() || std::fs::remove_dir(&left).is_ok()).await;
        }
    }
}

#[tokio::test]
async fn a_monitor_that_cannot_start_says_why() {
    let pod = Pod::new("crun").await;
    let mut launch = pod.launch();
    launch.binary = "/no/such/monitor".into();
    launch.directory = pod.path().join("other");
    assert!(matches!(Monitor::spawn(&launch).await.unwrap_err(), SpawnError::Run { .. }));
    launch.binary = "/bin/false".into();
    assert!(matches!(Monitor::spawn(&launch).await.unwrap_err(), SpawnError::Failed { .. }));
    launch.binary = env!("CARGO_BIN_EXE_crio-conmon").into();
    let held = std::fs::File::open(&launch.directory).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let error = Monitor::spawn(&launch).await.unwrap_err();
    assert!(error.to_string().contains("another monitor"), "{error}");
    pod.close().await;
}

#[tokio::test]
async fn no_zombies_and_no_descriptors_stay() {
    let pod = Pod::new("crun").await;
    let (id, _) = pod.run(&shell("sleep 1000")).await;
    let monitor = pod.monitor.pid();
    let descriptors = || std::fs::read_dir(format!("/proc/{monitor}/fd")).unwrap().count();
    let limits = ExecLimits { timeout: Some(PATIENCE), max_output_bytes: 100 };
    let command = process(&["/bin/sh", "-c", "(sleep 0.01 &); exit 0"], false);
    pod.monitor.exec_sync(&id, &command, limits).await.unwrap();
    let before = descriptors();
    for _ in 0..40 {
        assert_eq!(pod.monitor.exec_sync(&id, &command, limits).await.unwrap().exit_code, 0);
    }
    until(|| !crio_sys::process::all().unwrap().iter().any(|stat| stat.parent == monitor && stat.state == 'Z')).await;
    assert_eq!(descriptors(), before);
    pod.close().await;
}

/// A runtime that is crun until its verb is the one to hang.
fn hanging_runtime(pod: &Pod, verb: &str) -> std::path::PathBuf {
    let path = pod.path().join("hanging");
    let script = format!("#!/bin/sh\ncase \" $* \" in *' {verb} '*) sleep 611 & wait;; esac\nexec crun \"$@\"\n");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    path
}

fn sleepers() -> usize {
    let all = crio_sys::process::all().unwrap();
    let commands = all.iter().filter_map(|stat| std::fs::read(format!("/proc/{}/cmdline", stat.pid)).ok());
    commands.filter(|command| command.starts_with(b"sleep\x00611\0")).count()
}

#[tokio::test]
async fn a_hanging_runtime_is_killed_with_what_it_started() {
    let pod = Pod::new("crun").await;
    let mut handler = (*pod.handler()).clone();
    handler.path = hanging_runtime(&pod, "create");
    handler.config.create_timeout = Duration::from_millis(300);
    let id = super::support::new_id();
    let request = crio_runtime::CreateRequest {
        handler: &handler,
        id: &id,
        bundle: pod.path(),
        log: None,
        stdio: crio_runtime::Stdio::default(),
        cgroups: Vec::new(),
        pod_cgroup: None,
    };
    assert_eq!(pod.monitor.create(request).await.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    until(|| sleepers() == 0).await;
    assert_eq!(pod.monitor.list().await.unwrap(), []);

    handler.path = hanging_runtime(&pod, "exec");
    handler.config.create_timeout = PATIENCE;
    let (id, created) = pod.create_with(&handler, &shell("sleep 1000")).await;
    created.unwrap();
    pod.monitor.start(&id).await.unwrap();
    let limits = ExecLimits { timeout: Some(Duration::from_millis(200)), max_output_bytes: 100 };
    let error = pod.monitor.exec_sync(&id, &process(&["/bin/true"], false), limits).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert_eq!(sleepers(), 0);
    pod.close().await;
}

#[tokio::test]
async fn asked_to_end_it_waits_for_its_last_container() {
    let pod = Pod::new("crun").await;
    let (id, _) = pod.run(&shell("sleep 1000")).await;
    let monitor = PidFd::open(pod.monitor.pid()).unwrap();
    monitor.signal(15).unwrap();
    monitor.signal(1).unwrap();
    assert_eq!(pod.exec(&id, "exit 3").await.unwrap().exit_code, 3);
    pod.monitor.remove(&id).await.unwrap();
    tokio::time::timeout(PATIENCE, pod.monitor.died()).await.unwrap();
    assert!(matches!(Monitor::connect(pod.monitor.directory()).await, Err(ConnectError::Absent { .. })));
}

#[tokio::test]
async fn a_container_inherits_nothing_of_the_monitor() {
    for runtime in RUNTIMES {
        let mut pod = Pod::new(runtime).await;
        let (id, _) = pod.run(&shell("echo /proc/self/fd/*; ulimit -Sn; cat /proc/self/oom_score_adj")).await;
        pod.exited().await;
        let text = String::from_utf8(pod.log(&id).stdout).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let own = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap();
        assert_eq!(lines[1..], [own.to_string().as_str(), "0"]);
        let descriptors: Vec<&str> = lines[0].split(' ').filter(|path| !path.ends_with("/3")).collect();
        assert_eq!(descriptors, ["/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2"], "3 is the listing itself");
        pod.close().await;
    }
}

#[tokio::test]
async fn odd_clients_harm_nobody() {
    let pod = Pod::new("crun").await;
    let connect = || SeqPacket::connect(pod.monitor.directory(), SOCKET_NAME).unwrap();
    let receive = |client: &SeqPacket, buffer: &mut [u8]| loop {
        match client.receive(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => std::thread::yield_now(),
            other => break other.map(|received| received.length),
        }
    };
    let mut buffer = vec![0u8; MAX_MESSAGE_BYTES];
    // Without a greeting, and without sense, there is no conversation.
    for message in [&br#"{"number":1,"call":"shutdown"}"#[..], b"nonsense"] {
        let client = connect();
        client.send(message, &[]).unwrap();
        assert_eq!(receive(&client, &mut buffer).unwrap_or(0), 0);
    }
    let client = connect();
    client.send(br#"{"number":1,"call":{"hello":{"version":99}}}"#, &[]).unwrap();
    client.send(br#"{"number":2,"call":{"hello":{"version":1}}}"#, &[]).unwrap();
    client.send(br#"{"number":3,"call":{"of_tomorrow":{}}}"#, &[]).unwrap();
    for (number, expected) in [(1, "invalid_argument"), (2, "hello"), (3, "invalid_argument")] {
        let length = receive(&client, &mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        assert!(text.contains(&format!("\"number\":{number},")) && text.contains(expected), "{text}");
    }
    // One that asks much and reads late gets every answer, and the monitor rests afterwards.
    let busy_ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pod.monitor.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let mut sent = 0u64;
    while sent < 200 {
        let request = format!("{{\"number\":{},\"call\":{{\"list\":{{\"after\":null}}}}}}", 100 + sent);
        match client.send(request.as_bytes(), &[]) {
            Ok(()) => sent += 1,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    }
    for number in 0..sent {
        let length = receive(&client, &mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        assert!(text.contains(&format!("\"number\":{},", 100 + number)), "{text}");
    }
    let before = busy_ticks();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(busy_ticks() - before <= 5);
    drop(client);
    pod.close().await;
}
