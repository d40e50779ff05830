//! A command or an attachment, between a container and a client.
//!
//! ```text
//! client --stdin--> container       ends with the client's input, or when the container takes no more
//! client --resize-> terminal
//! client <-stdout-- container       each to its own end, then FIN
//! client <-stderr--
//! client <-error--- verdict         last of all
//! ```
//! The client hears of the end after it was given all output. What was left behind in a container and still holds the
//! output open delays nobody: once the command has ended, what its pipe holds is taken, and no more is waited for.
//! When the client leaves first, its streams are closed, which most programs understand, and what does not end by
//! itself is ended.

mod pump;

use std::pin::pin;
use std::time::Duration;

use crio_pods::{AttachRequest, ExecRequest, Outcome, Pods, Session, SessionEnd};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::channel::{Channels, Outlet};
use crate::status::Verdict;

/// How long a command may go on after its client has left, with its streams closed.
const HANG_UP_GRACE: Duration = Duration::from_secs(2);
/// How long a client may take to take the verdict.
const VERDICT_LIMIT: Duration = Duration::from_secs(10);

/// What is run.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    Exec(ExecRequest),
    Attach(AttachRequest),
}

/// Why a session is cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The client has left.
    Left,
    /// Nothing moved for too long.
    Idle,
    /// The daemon stops.
    Stopping,
}

impl Cut {
    fn verdict(self) -> Verdict {
        Verdict::Failed(
            match self {
                Self::Left => "the client has left",
                Self::Idle => "the session was idle for too long",
                Self::Stopping => "the container runtime is stopping",
            }
            .to_owned(),
        )
    }
}

/// Runs a session to its end and tells the client how it went. `cut` may end it early.
pub(crate) async fn serve(pods: &Pods, command: Command, channels: &mut Channels, cut: impl Future<Output = Cut>) {
    let mut cut = pin!(cut);
    let started = tokio::select! {
        started = start(pods, command) => started,
        cut = &mut cut => return conclude(channels, cut.verdict()).await,
    };
    let verdict = match started {
        Ok(session) => run(session, channels, cut).await,
        Err(error) => Verdict::Failed(crio_types::chain(&*error)),
    };
    conclude(channels, verdict).await;
}

async fn start(pods: &Pods, command: Command) -> Outcome<Session> {
    match command {
        Command::Exec(request) => pods.exec(request).await,
        Command::Attach(request) => pods.attach(&request).await,
    }
}

/// Moves bytes until the session is over.
async fn run(session: Session, channels: &mut Channels, cut: impl Future<Output = Cut>) -> Verdict {
    let Session { stdin, stdout, stderr, sizes, mut ending } = session;
    let over = CancellationToken::new();
    let moved = {
        let input = pump::input(channels.stdin.as_mut(), stdin);
        let resizes = pump::sizes(channels.resize.as_mut(), &sizes);
        let outputs = async {
            let stdout = pump::output(stdout, channels.stdout.as_mut(), &over);
            let stderr = pump::output(stderr, channels.stderr.as_mut(), &over);
            tokio::join!(stdout, stderr)
        };
        let end = async {
            let end = ending.wait().await;
            over.cancel();
            end
        };
        let finished = async { tokio::join!(end, outputs).0 };
        // Input and sizes never end a session.
        let fed = async {
            tokio::join!(input, resizes);
            std::future::pending::<Outcome<SessionEnd>>().await
        };
        tokio::select! {
            end = finished => Ok(end),
            end = fed => Ok(end),
            cut = cut => Err(cut),
        }
    };
    drop(sizes);
    match moved {
        Ok(end) => verdict(end),
        Err(cut) => {
            if !over.is_cancelled() {
                // All streams are closed by now; dropping `ending` ends what does not mind.
                let _ended = timeout(HANG_UP_GRACE, ending.wait()).await;
            }
            cut.verdict()
        }
    }
}

fn verdict(end: Outcome<SessionEnd>) -> Verdict {
    match end {
        Ok(SessionEnd::Exited(code)) => Verdict::of_code(code),
        Ok(SessionEnd::Detached) => Verdict::Success,
        Ok(SessionEnd::TooSlow) => {
            Verdict::Failed("detached: the client did not read as fast as the container wrote".to_owned())
        }
        Err(error) => Verdict::Failed(crio_types::chain(&*error)),
    }
}

/// Ends the outputs, says how it went, and ends that, too. A client that is gone does not mind.
async fn conclude(channels: &mut Channels, verdict: Verdict) {
    let Channels { stdout, stderr, error, status, .. } = channels;
    let text = verdict.render(*status);
    let told = async {
        for outlet in [stdout, stderr].into_iter().flatten() {
            // The error stream counts more than a stream that the client has closed.
            let _gone = outlet.finish().await;
        }
        if let Some(error) = error {
            tell(error, &text).await;
        }
    };
    if timeout(VERDICT_LIMIT, told).await.is_err() {
        tracing::debug!("a client did not take the end of its session");
    }
}

async fn tell(error: &mut Outlet, text: &[u8]) {
    let sent = if text.is_empty() { Ok(()) } else { error.send(text).await };
    if sent.and(error.finish().await).is_err() {
        tracing::debug!("a client left before the end of its session");
    }
}

#[cfg(test)]
mod tests;
