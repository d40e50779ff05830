//! Commands in containers.

use std::time::{Duration, Instant};

use crio_runtime::{ExecError, ExecLimits, ExecStdio, set_terminal_size};
use crio_types::{Classified, ErrorKind};
use std::io::Read;
use std::os::fd::AsFd;

use super::support::{PATIENCE, Pod, RUNTIMES, process, shell};

fn limits(timeout: Duration) -> ExecLimits {
    ExecLimits { timeout: Some(timeout), max_output_bytes: 1 << 20 }
}

#[tokio::test]
async fn output_and_exit_code_come_back() {
    for runtime in RUNTIMES {
        let pod = Pod::new(runtime).await;
        let (id, _) = pod.run(&shell("sleep 1000")).await;
        let outcome = pod.exec(&id, "echo out; echo err >&2; cat; exit 5").await.unwrap();
        assert_eq!((&outcome.stdout[..], &outcome.stderr[..], outcome.exit_code), (&b"out\n"[..], &b"err\n"[..], 5));
        let outcome = pod.exec(&id, "kill -9 $$").await.unwrap();
        assert_eq!(outcome.exit_code, 137);
        let outcome = pod.exec(&id, "head -c 3000000 /dev/zero").await.unwrap();
        assert_eq!((outcome.stdout.len(), outcome.exit_code), (1 << 20, 0));
        assert!(pod.exec(&id, "true").await.unwrap().stdout.is_empty());

        // Something that stays behind and holds the output delays nobody.
        let before = Instant::now();
        let outcome = pod.exec(&id, "sleep 100 & echo done").await.unwrap();
        assert_eq!((&outcome.stdout[..], outcome.exit_code), (&b"done\n"[..], 0));
        assert!(before.elapsed() < Duration::from_secs(10));

        let missing = process(&["/no/such/program"], false);
        let error = pod.monitor.exec_sync(&id, &missing, limits(PATIENCE)).await.unwrap_err();
        let text = crio_types::chain(&error);
        assert!(text.contains("/no/such/program"), "{text}");
        pod.close().await;
    }
}

#[tokio::test]
async fn many_at_once_are_all_answered() {
    for runtime in RUNTIMES {
        let pod = Pod::new(runtime).await;
        let (id, _) = pod.run(&shell("sleep 1000")).await;
        let runs = (0..24).map(|number| {
            let (monitor, id) = (pod.monitor.clone(), id.clone());
            tokio::spawn(async move {
                let script = format!("echo {number}; exit {number}");
                let command = process(&["/bin/sh", "-c", &script], false);
                let outcome = monitor.exec_sync(&id, &command, limits(PATIENCE)).await.unwrap();
                assert_eq!(outcome.exit_code, number);
                assert_eq!(String::from_utf8(outcome.stdout).unwrap(), format!("{number}\n"));
            })
        });
        for run in runs.collect::<Vec<_>>() {
            run.await.unwrap();
        }
        pod.close().await;
    }
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_dead_when_the_caller_hears_of_it() {
    for runtime in RUNTIMES {
        let pod = Pod::new(runtime).await;
        let (id, created) = pod.run(&shell("sleep 1000")).await;
        let script = "trap '' TERM HUP; sleep 301 & (sleep 302 & sleep 303) & (setsid sleep 304 &); \
                      while :; do sleep 305 & sleep 0.02; done";
        let before = Instant::now();
        let command = process(&["/bin/sh", "-c", script], false);
        let error = pod.monitor.exec_sync(&id, &command, limits(Duration::from_millis(600))).await.unwrap_err();
        assert!(matches!(error, ExecError::TimedOut { .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
        assert!(before.elapsed() < Duration::from_secs(5));
        let own = std::fs::read(format!("/proc/{}/cgroup", created.pid)).unwrap();
        let all = crio_sys::process::all().unwrap();
        let left = all.iter().filter(|stat| stat.pid != created.pid && stat.state != 'Z');
        let left: Vec<_> =
            left.filter(|stat| std::fs::read(format!("/proc/{}/cgroup", stat.pid)).is_ok_and(|it| it == own)).collect();
        assert_eq!(left, Vec::<&crio_sys::process::Stat>::new());
        assert_eq!(pod.exec(&id, "exit 4").await.unwrap().exit_code, 4);
        pod.close().await;
    }
}

#[tokio::test]
async fn a_dropped_or_orphaned_command_is_ended() {
    for runtime in RUNTIMES {
        let pod = Pod::new(runtime).await;
        let (id, created) = pod.run(&shell("sleep 1000")).await;
        let own = std::fs::read(format!("/proc/{}/cgroup", created.pid)).unwrap();
        let count = || {
            let all = crio_sys::process::all().unwrap();
            let alive = all.iter().filter(|stat| stat.state != 'Z');
            alive.filter(|stat| std::fs::read(format!("/proc/{}/cgroup", stat.pid)).is_ok_and(|it| it == own)).count()
        };
        let command = process(&["/bin/sleep", "400"], false);
        let run = pod.monitor.exec_sync(&id, &command, ExecLimits { timeout: None, max_output_bytes: 10 });
        assert!(tokio::time::timeout(Duration::from_millis(300), run).await.is_err());
        super::support::until(|| count() == 1).await;

        let other = crio_runtime::Monitor::connect(pod.monitor.directory()).await.unwrap();
        let session = other.exec(&id, &command, ExecStdio::Streams { stdin: None, stdout: None, stderr: None });
        let session = session.await.unwrap();
        super::support::until(|| count() == 2).await;
        // Forgetting the session keeps it from cancelling; only the closed connection can.
        let waiting = tokio::spawn(session.wait());
        tokio::task::yield_now().await;
        waiting.abort();
        drop(other);
        super::support::until(|| count() == 1).await;
        pod.close().await;
    }
}

#[tokio::test]
async fn a_terminal_is_handed_over() {
    for runtime in RUNTIMES {
        let pod = Pod::new(runtime).await;
        let (id, _) = pod.run(&shell("sleep 1000")).await;
        let command = process(&["/bin/sh", "-c", "read line; stty size; echo \"got $line\"; exit 6"], true);
        let mut session = pod.monitor.exec(&id, &command, ExecStdio::Terminal).await.unwrap();
        let terminal = session.take_terminal().unwrap();
        set_terminal_size(terminal.as_fd(), 40, 100).unwrap();
        rustix::io::write(&terminal, b"word\n").unwrap();
        assert_eq!(session.wait().await.unwrap(), 6);
        let mut text = Vec::new();
        // A terminal that nobody has open any more ends with an error.
        let _end = std::fs::File::from(terminal).read_to_end(&mut text);
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("40 100\r\n") && text.contains("got word\r\n"), "{text:?}");

        let missing = process(&["/no/such/program"], true);
        assert!(pod.monitor.exec(&id, &missing, ExecStdio::Terminal).await.is_err());
        pod.close().await;
    }
}

#[tokio::test]
async fn commands_need_a_running_container() {
    let mut pod = Pod::new("crun").await;
    let (id, _) = pod.create(&shell("exit 0")).await;
    assert_eq!(pod.exec(&id, "true").await.unwrap_err().kind(), ErrorKind::FailedPrecondition);
    pod.monitor.start(&id).await.unwrap();
    pod.exited().await;
    assert_eq!(pod.exec(&id, "true").await.unwrap_err().kind(), ErrorKind::FailedPrecondition);
    let unknown = super::support::new_id();
    assert_eq!(pod.exec(&unknown, "true").await.unwrap_err().kind(), ErrorKind::NotFound);
    pod.close().await;
}

#[tokio::test]
async fn a_command_ends_with_its_container() {
    for runtime in RUNTIMES {
        let pod = Pod::new(runtime).await;
        let (id, _) = pod.run(&shell("sleep 1000")).await;
        let (monitor, exec_id) = (pod.monitor.clone(), id.clone());
        let run = tokio::spawn(async move {
            let command = process(&["/bin/sh", "-c", "echo on; exec sleep 500"], false);
            monitor.exec_sync(&exec_id, &command, limits(PATIENCE)).await
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        pod.monitor.remove(&id).await.unwrap();
        let outcome = run.await.unwrap().unwrap();
        assert_eq!((outcome.exit_code, &outcome.stdout[..]), (137, &b"on\n"[..]));
        pod.close().await;
    }
}
