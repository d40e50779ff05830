//! Sessions whose container is a set of pipes.

use std::os::fd::OwnedFd;

use bytes::Bytes;
use crio_pods::{SessionEnding, SessionInput, SessionOutput, SessionSizes};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::*;
use crate::channel::{Inlet, Message};
use crate::protocol::StatusFormat;

/// The far ends of a session: what a command in a container would have.
struct Container {
    stdin: OwnedFd,
    stdout: OwnedFd,
    exit: oneshot::Sender<i32>,
}

/// What a client has.
struct Client {
    stdin: mpsc::Sender<Bytes>,
    received: mpsc::Receiver<Message>,
}

fn session() -> (Session, Container) {
    let (stdin, stdin_near) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let (stdout_near, stdout) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let (exit, exited) = oneshot::channel();
    let session = Session {
        stdin: Some(SessionInput::Pipe(pipe::Sender::from_owned_fd(stdin_near).unwrap())),
        stdout: Some(SessionOutput::Pipe(pipe::Receiver::from_owned_fd(stdout_near).unwrap())),
        stderr: None,
        sizes: SessionSizes::Nothing,
        ending: SessionEnding::new(async move { Ok(SessionEnd::Exited(exited.await.unwrap_or(137))) }),
    };
    (session, Container { stdin, stdout, exit })
}

fn channels() -> (Channels, Client) {
    let (stdin, from_client) = mpsc::channel(2);
    let (sender, received) = mpsc::channel(16);
    let outlet = |channel| Some(Outlet::Messages { channel, sender: sender.clone() });
    let channels = Channels {
        stdin: Some(Inlet::Messages(from_client)),
        stdout: outlet(1),
        stderr: None,
        error: outlet(3),
        resize: None,
        status: StatusFormat::Text,
    };
    (channels, Client { stdin, received })
}

#[tokio::test]
async fn bytes_flow_and_the_exit_code_comes_back() {
    let ((session, container), (mut channels, mut client)) = (session(), channels());
    let running = tokio::spawn(async move {
        let verdict = run(session, &mut channels, std::future::pending()).await;
        conclude(&mut channels, verdict).await;
    });
    client.stdin.send(Bytes::from_static(b"question")).await.unwrap();
    drop(client.stdin);
    let question = tokio::task::spawn_blocking(move || std::io::read_to_string(std::fs::File::from(container.stdin)));
    assert_eq!(question.await.unwrap().unwrap(), "question", "the end of the client's input is the command's");
    rustix::io::write(&container.stdout, b"answer").unwrap();
    // What holds the output open after the end delays nobody.
    container.exit.send(3).unwrap();
    let ended = Instant::now();
    running.await.unwrap();
    assert!(ended.elapsed() < Duration::from_secs(5));
    drop(container.stdout);
    let mut messages = Vec::new();
    while let Some(message) = client.received.recv().await {
        messages.push((message.channel, String::from_utf8(message.bytes.to_vec()).unwrap()));
    }
    let expected = [(1, "answer".to_owned()), (3, "command terminated with exit code 3".to_owned())];
    assert_eq!(messages, expected);
}

#[tokio::test]
async fn a_client_that_left_closes_the_streams_and_the_command_may_react() {
    let ((session, container), (mut channels, _client)) = (session(), channels());
    let (leave, left) = oneshot::channel();
    let running = tokio::spawn(async move {
        let cut = async {
            left.await.unwrap();
            Cut::Left
        };
        run(session, &mut channels, cut).await
    });
    leave.send(()).unwrap();
    let end = tokio::task::spawn_blocking(move || {
        let text = std::io::read_to_string(std::fs::File::from(container.stdin)).unwrap();
        (text, rustix::io::write(&container.stdout, b"anybody?"))
    });
    let (text, written) = end.await.unwrap();
    assert_eq!((text.as_str(), written), ("", Err(rustix::io::Errno::PIPE)));
    assert!(!running.is_finished());
    container.exit.send(0).unwrap();
    assert_eq!(running.await.unwrap(), Cut::Left.verdict());
}

#[tokio::test]
async fn what_a_command_does_not_read_holds_nothing_up() {
    let ((session, container), (mut channels, client)) = (session(), channels());
    let running = tokio::spawn(async move { run(session, &mut channels, std::future::pending()).await });
    drop(container.stdin);
    for _ in 0..16 {
        client.stdin.send(Bytes::from(vec![0; 64 << 10])).await.unwrap();
    }
    container.exit.send(0).unwrap();
    assert_eq!(running.await.unwrap(), Verdict::Success);
}
