//! Exec and Attach: sessions of clients with a container that runs.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crio_runtime::{AttachEnd, AttachStdio, ExecStdio, Terminal, attach_pipe};
use crio_types::ContainerState;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::net::unix::pipe;

use crate::container::Container;
use crate::session::{
    AttachRequest, ExecRequest, Session, SessionEnd, SessionEnding, SessionInput, SessionOutput, SessionSizes, Wanted,
};
use crate::{Outcome, PodError};

/// The near ends of pipes.
#[derive(Debug, Default)]
struct Near {
    stdin: Option<SessionInput>,
    stdout: Option<SessionOutput>,
    stderr: Option<SessionOutput>,
}

/// The far ends, for the container.
#[derive(Debug, Default)]
struct Far {
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

/// Refuses unless the container runs.
pub(crate) fn check_running(container: &Container) -> Outcome<()> {
    if container.state() == ContainerState::Running {
        Ok(())
    } else {
        Err(Arc::new(PodError::NotRunning { id: container.id().to_string() }))
    }
}

/// Starts a command whose streams are a client's.
pub(crate) async fn exec(container: &Container, request: ExecRequest) -> Outcome<Session> {
    check_running(container)?;
    let monitor = container.sandbox().need_monitor()?;
    let ExecRequest { command, wanted, .. } = request;
    let process = crio_spec::exec_process(container.process(), command, wanted.tty, &[]);
    let (near, stdio) = if wanted.tty {
        (Near::default(), ExecStdio::Terminal)
    } else {
        let pair = || Ok(pipe_with(PipeFlags::CLOEXEC)?);
        let (near, far) = pipes(wanted, pair).map_err(streams(container))?;
        (near, ExecStdio::Streams { stdin: far.stdin, stdout: far.stdout, stderr: far.stderr })
    };
    let started = monitor.exec(container.id(), &process, stdio).await;
    let failed = || PodError::step("running a command", format!("container {}", container.id()));
    let mut session = started.map_err(failed())?;
    let terminal = session.take_terminal().map(Terminal::new).transpose().map_err(streams(container))?;
    let of_command = failed();
    let ending = SessionEnding::new(async move {
        let code = session.wait().await.map_err(of_command)?;
        Ok(SessionEnd::Exited(code))
    });
    Ok(match terminal {
        None => Session { ending, ..unsized_session(near) },
        Some(terminal) => Session {
            stdin: wanted.stdin.then(|| SessionInput::Terminal(terminal.clone())),
            stdout: Some(SessionOutput::Terminal(terminal.clone())),
            stderr: None,
            sizes: SessionSizes::Terminal(terminal),
            ending,
        },
    })
}

/// Connects a client to the container's own streams, from now on.
pub(crate) async fn attach(container: &Container, request: &AttachRequest) -> Outcome<Session> {
    check_running(container)?;
    let monitor = container.sandbox().need_monitor()?;
    let (near, far) = pipes(request.wanted, attach_pipe).map_err(streams(container))?;
    let stdio = AttachStdio { stdin: far.stdin, stdout: far.stdout, stderr: far.stderr };
    let failed = || PodError::step("attaching", format!("container {}", container.id()));
    let attachment = monitor.attach(container.id(), stdio).await.map_err(failed())?;
    let of_attachment = failed();
    let ending = SessionEnding::new(async move {
        Ok(match attachment.wait().await.map_err(of_attachment)? {
            AttachEnd::TooSlow => SessionEnd::TooSlow,
            AttachEnd::Exited | AttachEnd::Closed | AttachEnd::Cancelled => SessionEnd::Detached,
        })
    });
    let sizes = if request.wanted.tty {
        SessionSizes::Container { monitor: monitor.as_ref().clone(), id: container.id().clone() }
    } else {
        SessionSizes::Nothing
    };
    Ok(Session { sizes, ending, ..unsized_session(near) })
}

fn unsized_session(near: Near) -> Session {
    let Near { stdin, stdout, stderr } = near;
    let ending = SessionEnding::new(std::future::pending());
    Session { stdin, stdout, stderr, sizes: SessionSizes::Nothing, ending }
}

/// A pipe for each stream that is wanted; `pair` makes one as (read end, write end).
fn pipes(wanted: Wanted, pair: impl Fn() -> io::Result<(OwnedFd, OwnedFd)>) -> io::Result<(Near, Far)> {
    let (mut near, mut far) = (Near::default(), Far::default());
    if wanted.stdin {
        let (read, write) = pair()?;
        near.stdin = Some(SessionInput::Pipe(pipe::Sender::from_owned_fd(write)?));
        far.stdin = Some(read);
    }
    let output = || -> io::Result<(Option<SessionOutput>, Option<OwnedFd>)> {
        let (read, write) = pair()?;
        Ok((Some(SessionOutput::Pipe(pipe::Receiver::from_owned_fd(read)?)), Some(write)))
    };
    if wanted.stdout {
        (near.stdout, far.stdout) = output()?;
    }
    if wanted.stderr {
        (near.stderr, far.stderr) = output()?;
    }
    Ok((near, far))
}

fn streams(container: &Container) -> impl FnOnce(io::Error) -> PodError + use<> {
    let id = container.id().to_string();
    move |source| PodError::Streams { id, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_is_a_pipe_for_every_wanted_stream() {
        let wanted = Wanted { stdin: true, stderr: true, ..Wanted::default() };
        let (mut near, far) = pipes(wanted, attach_pipe).unwrap();
        assert!(near.stdout.is_none() && far.stdout.is_none());
        near.stdin.as_mut().unwrap().write_all(b"in").await.unwrap();
        let mut buffer = [0u8; 8];
        assert_eq!(rustix::io::read(far.stdin.as_ref().unwrap(), &mut buffer).unwrap(), 2);
        rustix::io::write(far.stderr.as_ref().unwrap(), b"err").unwrap();
        assert_eq!(near.stderr.as_mut().unwrap().read(&mut buffer).await.unwrap(), 3);
        drop(far);
        assert_eq!(near.stderr.as_mut().unwrap().read(&mut buffer).await.unwrap(), 0);
        assert!(near.stdin.as_mut().unwrap().write_all(b"more").await.is_err());
    }
}
