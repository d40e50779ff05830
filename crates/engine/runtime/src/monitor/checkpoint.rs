//! Writing and reading the state of a container's processes, through the monitor.

use std::time::Duration;

use crio_monitor_protocol::{Call, CheckpointFiles, FailureKind, UNKNOWN_CALL};
use crio_types::ContainerId;

use super::error::MonitorError;
use super::{CreateRequest, Created, Monitor, SHORT_CALL, milliseconds};

impl Monitor {
    /// Writes the state of a running container's processes into `files`, whose directories exist. They go on. A call that
    /// is dropped is cancelled.
    ///
    /// # Errors
    /// The runtime's own words; the state is worth nothing then.
    pub async fn checkpoint(
        &self,
        id: &ContainerId,
        files: CheckpointFiles,
        limit: Duration,
    ) -> Result<(), MonitorError> {
        const NAME: &str = "checkpoint";
        let call = Call::Checkpoint { id: id.clone(), files, deadline_ms: milliseconds(limit) };
        self.done(NAME, call, limit + SHORT_CALL).await.map_err(|error| outdated(NAME, error))
    }

    /// Makes a container whose processes go on where those of a checkpoint were.
    ///
    /// # Errors
    /// As [`Monitor::create`]; nothing of the container is left then, either.
    pub async fn restore(&self, request: CreateRequest<'_>, files: CheckpointFiles) -> Result<Created, MonitorError> {
        const NAME: &str = "restore";
        let limit = request.handler.config.create_timeout;
        let call = Call::Restore { container: Box::new(request.into_call()), files };
        self.make(NAME, call, limit).await.map_err(|error| outdated(NAME, error))
    }
}

/// A monitor outlives the daemon that started it, so it may be older than these calls.
fn outdated(call: &'static str, error: MonitorError) -> MonitorError {
    match error {
        MonitorError::Refused { failure: FailureKind::InvalidArgument, message } if message == UNKNOWN_CALL => {
            MonitorError::Outdated { call }
        }
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use crio_types::{Classified, ErrorKind};

    use super::*;

    #[test]
    fn an_old_monitor_is_told_from_a_bad_call() {
        let refused = |message: &str| {
            let failure = FailureKind::InvalidArgument;
            outdated("restore", MonitorError::Refused { failure, message: message.to_owned() })
        };
        assert_eq!(refused(UNKNOWN_CALL).kind(), ErrorKind::Unimplemented);
        assert!(refused(UNKNOWN_CALL).to_string().contains("older version"));
        assert_eq!(refused("the call came with the wrong number of descriptors").kind(), ErrorKind::InvalidArgument);
    }
}
