//! `crio-demo`: a pod from a registry to a running program and back, shown as a person at a node would do it.
//!
//! Everything is real and of its own: Debian's `docker-registry` on a loopback port, an image made from Debian packages, a daemon
//! with crun and CNI plugins in a private mount namespace. Each step is a sentence, the command as it is run, and its output.
//! `--fast` leaves the pauses out. The program ends with a status other than zero when any step failed or anything was left on
//! the host; after a failure, or a signal, it removes what it made first.
//!
//! It is run in the workspace's directory with `CRIO_BINARY` and `CRIO_CONMON` set, which is what `cargo xtask demo` does.

mod image;
mod narrator;
mod script;
mod stage;
mod traces;

use std::process::ExitCode;

use anyhow::{Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use narrator::{Narrator, Pace};
use stage::Stage;

#[tokio::main]
async fn main() -> ExitCode {
    let pace = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => Pace::Person,
        [flag] if flag == "--fast" => Pace::Fast,
        other => {
            eprintln!("crio-demo: {other:?} is not understood; there is only --fast");
            return ExitCode::from(2);
        }
    };
    let mut narrator = Narrator::new(pace);
    match Box::pin(perform(&mut narrator)).await {
        Ok(()) => {
            narrator.end();
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("\ncrio-demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Sets the stage, plays, and clears it, whatever happened.
async fn perform(narrator: &mut Narrator) -> Result<()> {
    let mut stage = tokio::select! {
        stage = Stage::set(narrator) => stage?,
        signal = told_to_end() => return signal,
    };
    let played = tokio::select! {
        outcome = script::play(&mut stage, narrator) => outcome,
        signal = told_to_end() => signal,
    };
    match played {
        Ok(()) => script::close(stage, narrator).await,
        Err(failure) => {
            eprintln!("\ncrio-demo: {failure:#}; removing what was made");
            stage.clear(narrator).await?;
            Err(failure)
        }
    }
}

/// Waits for a signal that asks for the end.
async fn told_to_end() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("told to end"),
        _ = hang_up.recv() => bail!("the terminal went away"),
    }
}
