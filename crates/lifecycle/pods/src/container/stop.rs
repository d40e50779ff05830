//! StopContainer: asked to end, then killed, and never half.
//!
//! One stop runs per container; a later call joins it and can only bring the kill nearer. The stop goes on when its
//! caller leaves. Nothing is polled: the end is announced by the monitor, and the process that carries it out waits
//! for that or for the moment of the kill.

use std::sync::Arc;
use std::time::Duration;

use crio_runtime::SignalScope;
use crio_types::{Classified, ContainerState, ErrorKind, Signal};
use tokio::time::{Instant, sleep_until, timeout};

use crate::container::Container;
use crate::context::Context;
use crate::{Outcome, PodError, watch};

/// How long a killed process may take to disappear before it is killed again.
const KILL_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// How often it is killed before the stop gives up. A process in uninterruptible sleep is the only one to get there.
const KILL_ATTEMPTS: u32 = 15;

impl Container {
    /// Sets when the stop that runs or comes kills it: nearer than before, never farther.
    pub(crate) fn kill_by(&self, kill_at: Instant) {
        self.kill_at().send_if_modified(|current| {
            let nearer = current.is_none_or(|at| kill_at < at);
            if nearer {
                *current = Some(kill_at);
            }
            nearer
        });
    }
}

/// Stops a container, or joins whoever is stopping it. One that has ended is a success.
pub(crate) async fn stop_container(
    context: &Arc<Context>,
    container: &Arc<Container>,
    kill_at: Instant,
) -> Outcome<()> {
    if container.state() == ContainerState::Exited {
        return Ok(());
    }
    // Before joining: the stop that runs may not have got as far as to look.
    container.kill_by(kill_at);
    let id = container.id().as_str();
    context.operations.stops.join(id, (), || stop(Arc::clone(context), Arc::clone(container), kill_at)).await
}

async fn stop(context: Arc<Context>, container: Arc<Container>, kill_at: Instant) -> Result<(), PodError> {
    // Again: an earlier stop may have ended, and cleared it, since this one was asked for.
    container.kill_by(kill_at);
    let stopped = ask_then_kill(&context, &container).await;
    container.kill_at().send_replace(None);
    stopped
}

async fn ask_then_kill(context: &Arc<Context>, container: &Container) -> Result<(), PodError> {
    // What was never started has no program that could react to a polite signal.
    if container.state() == ContainerState::Running && container.sandbox().monitor().is_some() {
        ask(container).await?;
        if ended_in_time(container).await {
            return Ok(());
        }
    }
    for _attempt in 0..KILL_ATTEMPTS {
        kill(context, container).await?;
        if timeout(KILL_AGAIN_AFTER, container.wait_exit()).await.is_ok() {
            return Ok(());
        }
    }
    let pid = container.record().pid;
    Err(PodError::Unkillable {
        id: container.id().to_string(),
        pid,
        state: crio_sys::process::stat(pid).map_or('?', |stat| stat.state),
        waited_s: KILL_AGAIN_AFTER.as_secs() * u64::from(KILL_ATTEMPTS),
    })
}

/// Sends the stop signal, unless the kill is due already.
async fn ask(container: &Container) -> Result<(), PodError> {
    let due = container.kill_at().borrow().is_none_or(|at| at <= Instant::now());
    if due {
        return Ok(());
    }
    signal(container, container.record().stop_signal, SignalScope::Init).await.map(drop)
}

/// Waits for the end or for the moment of the kill, which may come nearer meanwhile. Says whether it ended.
async fn ended_in_time(container: &Container) -> bool {
    let mut kill_at = container.kill_at().subscribe();
    loop {
        let Some(at) = *kill_at.borrow_and_update() else {
            return false;
        };
        tokio::select! {
            () = container.wait_exit() => return true,
            () = sleep_until(at) => return false,
            changed = kill_at.changed() => if changed.is_err() { return false },
        }
    }
}

/// Kills it: its first process takes a PID namespace of its own with it, otherwise everything in its cgroup must go.
async fn kill(context: &Arc<Context>, container: &Container) -> Result<(), PodError> {
    let scope = if container.record().shares_pids { SignalScope::All } else { SignalScope::Init };
    match signal(container, Signal::KILL, scope).await? {
        Told::Somebody => Ok(()),
        // Nobody will tell of its end.
        Told::Nobody => watch::end_unwatched(context, container).await,
    }
}

/// Whether there was a monitor with this container.
enum Told {
    Somebody,
    Nobody,
}

async fn signal(container: &Container, signal: Signal, scope: SignalScope) -> Result<Told, PodError> {
    let Some(monitor) = container.sandbox().monitor() else {
        return Ok(Told::Nobody);
    };
    let Err(error) = monitor.signal(container.id(), signal, scope).await else {
        return Ok(Told::Somebody);
    };
    match error.kind() {
        // It has just ended; the news is on its way.
        ErrorKind::FailedPrecondition => Ok(Told::Somebody),
        ErrorKind::NotFound | ErrorKind::Unavailable => Ok(Told::Nobody),
        _ => Err(PodError::step("signalling the process", format!("container {}", container.id()))(error)),
    }
}
