//! ExecSync: one command in a running container.

use std::sync::Arc;
use std::time::Duration;

use crio_runtime::ExecLimits;
use crio_types::ContainerState;

use crate::container::Container;
use crate::{Outcome, PodError};

/// How much output comes back. Kubelet takes 16 MiB a message, so this is for both streams together, less what frames
/// them; the rest is read and dropped.
const MAX_OUTPUT_BYTES: usize = (16 << 20) - (64 << 10);

/// What a command run in a container gave back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutcome {
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// Its exit code, 128 + n after signal n.
    pub exit_code: i32,
}

/// Runs a command and waits for it, at most for `timeout`; afterwards nothing of it is left.
pub(crate) async fn exec_sync(
    container: &Container,
    command: Vec<String>,
    timeout: Option<Duration>,
) -> Outcome<ExecOutcome> {
    if command.is_empty() {
        let reason = "must name a program".to_owned();
        return Err(Arc::new(PodError::InvalidConfig { field: "cmd", reason }));
    }
    if container.state() != ContainerState::Running {
        return Err(Arc::new(PodError::NotRunning { id: container.id().to_string() }));
    }
    let monitor = container.sandbox().need_monitor()?;
    let limits = ExecLimits { timeout, max_output_bytes: MAX_OUTPUT_BYTES };
    let process = crio_spec::exec_process(container.process(), command, false, &[]);
    let output = monitor.exec_sync(container.id(), &process, limits).await;
    let output = output.map_err(PodError::step("running a command", format!("container {}", container.id())))?;
    Ok(ExecOutcome { stdout: output.stdout, stderr: output.stderr, exit_code: output.exit_code })
}
