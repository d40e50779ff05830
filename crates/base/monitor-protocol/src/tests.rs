//! The wire format, as text: a change here is a change of the protocol.

use crio_types::{ContainerId, Signal, Timestamp};

use super::*;

fn id() -> ContainerId {
    ContainerId::from_bytes([0xab; 32])
}

fn container() -> CreateContainer {
    let runtime = RuntimeCommand { path: "/r".into(), root: None, arguments: Vec::new(), systemd_cgroup: false };
    CreateContainer {
        id: id(),
        bundle: "/b".into(),
        runtime,
        log_path: None,
        log_size_max_bytes: None,
        tty: false,
        stdin: false,
        stdin_once: false,
        cgroups: Vec::new(),
        pod_cgroup: None,
        deadline_ms: 5,
    }
}

#[test]
fn the_wire_format_is_stable() {
    let name = "ab".repeat(32);
    let start = Request { number: 7, call: Call::Start { id: id(), deadline_ms: 5 } };
    let signal = Request { number: 8, call: Call::Signal { id: id(), signal: Signal::TERM, scope: SignalScope::All } };
    let exec = Call::Exec {
        id: id(),
        streams: ExecStreams::Passed(Streams { stdin: false, stdout: true, stderr: true }),
        deadline_ms: None,
    };
    let exit = Exit { code: 137, signal: Some(9), finished_at: Timestamp(5), oom: true, oom_kills: 1 };
    let event = Message::Event(Event::Exited { id: id(), exit });
    let files = CheckpointFiles { images: "/i".into(), work: "/w".into() };
    let container = container();
    let refusal = Failure { kind: FailureKind::NotFound, message: "no".to_owned() };
    let cases = [
        (encode(&start).unwrap(), format!(r#"{{"number":7,"call":{{"start":{{"id":"{name}","deadline_ms":5}}}}}}"#)),
        (
            encode(&signal).unwrap(),
            format!(r#"{{"number":8,"call":{{"signal":{{"id":"{name}","signal":15,"scope":"all"}}}}}}"#),
        ),
        (
            encode(&exec).unwrap(),
            format!(
                r#"{{"exec":{{"id":"{name}","streams":{{"passed":{{"stdin":false,"stdout":true,"stderr":true}}}},"deadline_ms":null}}}}"#
            ),
        ),
        (
            encode(&event).unwrap(),
            format!(
                r#"{{"event":{{"exited":{{"id":"{name}","exit":{{"code":137,"signal":9,"finished_at":5,"oom":true,"oom_kills":1}}}}}}}}"#
            ),
        ),
        (
            encode(&Message::Reply { number: 1, result: Err(refusal) }).unwrap(),
            r#"{"reply":{"number":1,"result":{"Err":{"kind":"not_found","message":"no"}}}}"#.to_owned(),
        ),
        (
            encode(&Call::Checkpoint { id: id(), files: files.clone(), deadline_ms: 5 }).unwrap(),
            format!(r#"{{"checkpoint":{{"id":"{name}","files":{{"images":"/i","work":"/w"}},"deadline_ms":5}}}}"#),
        ),
        (
            encode(&Call::Restore { container: Box::new(container), files }).unwrap(),
            format!(
                r#"{{"restore":{{"container":{{"id":"{name}","bundle":"/b","runtime":{{"path":"/r","root":null,"arguments":[],"systemd_cgroup":false}},"log_path":null,"log_size_max_bytes":null,"tty":false,"stdin":false,"stdin_once":false,"cgroups":[],"pod_cgroup":null,"deadline_ms":5}},"files":{{"images":"/i","work":"/w"}}}}}}"#
            ),
        ),
        (encode(&Call::Shutdown).unwrap(), r#""shutdown""#.to_owned()),
    ];
    for (bytes, expected) in cases {
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}

#[test]
fn what_is_written_is_read() {
    let request = Request { number: 1, call: Call::List { after: Some(id()) } };
    assert_eq!(decode::<Request>(&encode(&request).unwrap()).unwrap(), request);
}

#[test]
fn nonsense_and_too_much_are_refused() {
    for bad in [
        &b""[..],
        b"{}",
        br#"{"number":1,"call":"dance"}"#,
        br#"{"number":1,"call":{"start":{"id":"../x","deadline_ms":1}}}"#,
    ] {
        assert!(decode::<Request>(bad).is_err());
    }
    let long = Failure { kind: FailureKind::Internal, message: "x".repeat(MAX_MESSAGE_BYTES) };
    assert!(matches!(encode(&long), Err(CodecError::TooLong { .. })));
}

#[test]
fn a_full_list_fits_a_message() {
    let exit =
        Exit { code: i32::MIN, signal: Some(64), finished_at: Timestamp(i64::MIN), oom: false, oom_kills: u64::MAX };
    let entry = ContainerEntry { id: id(), state: MonitorState::Exited(exit), pid: u32::MAX, start_time: u64::MAX };
    let answer = Answer::Containers { containers: vec![entry; MAX_LIST_ENTRIES], more: true };
    assert!(encode(&Message::Reply { number: u64::MAX, result: Ok(answer) }).is_ok());
}
