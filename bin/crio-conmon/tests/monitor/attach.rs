//! Attached clients and terminals.

use std::io::{Read, Write};

use crio_runtime::{AttachEnd, AttachStdio, Stdio, attach_pipe};
use crio_types::{Classified, ErrorKind};

use super::support::{Pod, RUNTIMES, shell};

#[tokio::test]
async fn input_and_output_flow() {
    for runtime in RUNTIMES {
        let mut pod = Pod::new(runtime).await;
        let mut options = shell("cat; echo over >&2");
        options.stdio = Stdio { stdin: true, stdin_once: true, tty: false };
        let (id, _) = pod.run(&options).await;
        let (stdin_far, stdin) = attach_pipe().unwrap();
        let (stdout, stdout_far) = attach_pipe().unwrap();
        let (stderr, stderr_far) = attach_pipe().unwrap();
        let far = AttachStdio { stdin: Some(stdin_far), stdout: Some(stdout_far), stderr: Some(stderr_far) };
        let attachment = pod.monitor.attach(&id, far).await.unwrap();
        let input: Vec<u8> = (0..100_000u32).flat_map(|number| format!("{number}\n").into_bytes()).collect();
        let sent = input.clone();
        let writer = std::thread::spawn(move || std::fs::File::from(stdin).write_all(&sent).unwrap());
        let reader = std::thread::spawn(move || {
            let mut text = Vec::new();
            std::fs::File::from(stdout).read_to_end(&mut text).unwrap();
            text
        });
        assert_eq!(attachment.wait().await.unwrap(), AttachEnd::Exited);
        writer.join().unwrap();
        assert!(reader.join().unwrap() == input);
        let mut text = String::new();
        std::fs::File::from(stderr).read_to_string(&mut text).unwrap();
        assert_eq!(text, "over\n");
        assert_eq!(pod.exited().await.1.code, 0);
        assert!(pod.log(&id).stdout == input);
        pod.close().await;
    }
}

#[tokio::test]
async fn a_slow_client_is_let_go_and_nothing_is_lost() {
    let mut pod = Pod::new("crun").await;
    let mut options = shell("read go; seq 1 600000");
    options.stdio = Stdio { stdin: true, stdin_once: false, tty: false };
    let (id, _) = pod.run(&options).await;
    let (stdout, stdout_far) = attach_pipe().unwrap();
    let slow = pod.monitor.attach(&id, AttachStdio { stdout: Some(stdout_far), ..AttachStdio::default() });
    let slow = slow.await.unwrap();
    let (stdin_far, stdin) = attach_pipe().unwrap();
    let feeder = pod.monitor.attach(&id, AttachStdio { stdin: Some(stdin_far), ..AttachStdio::default() });
    let feeder = feeder.await.unwrap();
    std::fs::File::from(stdin).write_all(b"go\n").unwrap();
    // Without stdin_once the end of a client's input ends only its attachment.
    assert_eq!(feeder.wait().await.unwrap(), AttachEnd::Closed);
    assert_eq!(slow.wait().await.unwrap(), AttachEnd::TooSlow);
    assert_eq!(pod.exited().await.1.code, 0);
    drop(stdout);
    let expected: String = (1..=600_000).map(|number| format!("{number}\n")).collect();
    assert!(pod.log(&id).stdout == expected.as_bytes());
    pod.close().await;
}

#[tokio::test]
async fn a_terminal_has_a_size_and_one_stream() {
    for runtime in RUNTIMES {
        let mut pod = Pod::new(runtime).await;
        let mut options = shell("read line; stty size; echo \"got $line\" >&2; exit 2");
        options.stdio = Stdio { stdin: true, stdin_once: false, tty: true };
        let (id, _) = pod.run(&options).await;
        pod.monitor.resize(&id, 30, 90).await.unwrap();
        let (stdin_far, stdin) = attach_pipe().unwrap();
        let (stdout, stdout_far) = attach_pipe().unwrap();
        let far = AttachStdio { stdin: Some(stdin_far), stdout: Some(stdout_far), stderr: None };
        let attachment = pod.monitor.attach(&id, far).await.unwrap();
        let mut stdin = std::fs::File::from(stdin);
        stdin.write_all(b"word\n").unwrap();
        assert_eq!(attachment.wait().await.unwrap(), AttachEnd::Exited);
        let mut text = String::new();
        std::fs::File::from(stdout).read_to_string(&mut text).unwrap();
        assert!(text.contains("30 90\r\n") && text.contains("got word\r\n"), "{text:?}");
        assert_eq!(pod.exited().await.1.code, 2);
        let log = pod.log(&id);
        assert!(String::from_utf8(log.stdout).unwrap().contains("got word\r\n"));
        assert!(log.stderr.is_empty());
        pod.close().await;
    }
}

#[tokio::test]
async fn only_terminals_are_resized_and_only_the_running_attached() {
    let mut pod = Pod::new("crun").await;
    let (id, _) = pod.create(&shell("exit 0")).await;
    assert_eq!(pod.monitor.resize(&id, 1, 1).await.unwrap_err().kind(), ErrorKind::FailedPrecondition);
    let attachment = pod.monitor.attach(&id, AttachStdio::default()).await.unwrap();
    assert_eq!(attachment.wait().await.unwrap_err().kind(), ErrorKind::FailedPrecondition);
    pod.monitor.start(&id).await.unwrap();
    pod.exited().await;
    // Without an open input there is nothing to read, and a reader sees its end at once.
    let (id, _) = pod.run(&shell("cat && echo empty")).await;
    pod.exited().await;
    assert_eq!(pod.log(&id).stdout, b"empty\n");
    pod.close().await;
}
