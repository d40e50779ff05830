//! Tests of process handles, with real children.

use std::process::{Command, Stdio};

use super::*;

fn child(script: &str) -> std::process::Child {
    Command::new("/bin/sh").args(["-c", script]).stdin(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_stat_line_is_read_from_its_last_parenthesis() {
    let line = b"42 (a) b (c)) S 7 42 40 34816 42 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3";
    let expected = Stat { pid: 42, state: 'S', parent: 7, session: 40, start_time: 987_654 };
    assert_eq!(parse_stat(line), Some(expected));
    for bad in [&b""[..], b"42", b"42 (x", b"42 (x) S 1 2", b"x (y) S 1 2 3"] {
        assert_eq!(parse_stat(bad), None);
    }
}

#[test]
fn wait_statuses_become_exit_codes() {
    let cases = [
        (0x0000, Some((0, None))),
        (0x0300, Some((3, None))),
        (0xff00, Some((255, None))),
        (0x0009, Some((137, Some(9)))),
        (0x008b, Some((139, Some(11)))),
        (0x137f, None),
    ];
    for (status, expected) in cases {
        let ended = Ended::from_wait_status(status);
        assert_eq!(ended.map(|ended| (ended.code(), ended.signal())), expected, "{status:#x}");
    }
}

#[test]
fn a_handle_outlives_the_process_and_knows_its_exit() {
    let mut child = child("read never; exit 7");
    let handle = PidFd::open_started(child.id(), start_time(child.id()).unwrap()).unwrap();
    assert!(PidFd::open_started(child.id(), 1).is_err());
    drop(child.stdin.take());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(7));
    assert!(handle.has_ended().unwrap());
    assert!(handle.signal(15).is_err());
    // Older kernels cannot say; when one says something, it is right.
    assert!(matches!(handle.exit_information(), None | Some(Ended::Exited(7))));
}

#[test]
fn real_time_signals_are_sent_and_others_refused() {
    let mut child = child("exec sleep 60");
    let handle = PidFd::open(child.id()).unwrap();
    assert!(!handle.has_ended().unwrap());
    assert!(handle.signal(0).is_err());
    assert!(handle.signal(65).is_err());
    handle.signal(37).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(37));
}

#[test]
fn we_are_among_all_processes() {
    let own = std::process::id();
    let found = all().unwrap();
    assert!(found.iter().any(|process| process.pid == own));
    assert_eq!(stat(own).unwrap().pid, own);
    assert!(stat(u32::MAX >> 1).is_err());
}
