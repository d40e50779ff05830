//! Calls under way.
//!
//! A call belongs to whoever waits for it: when the waiting is given up, so is the call. That matters for exec and attach,
//! which the monitor ends then; every other call runs to its end.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use crio_monitor_protocol::{Answer, Failure};
use tokio::sync::oneshot;

use super::connection::Connection;
use super::error::MonitorError;

/// A call that was sent and not answered yet. Dropping it cancels it at the monitor.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) connection: Arc<Connection>,
    pub(super) name: &'static str,
    pub(super) number: u64,
    pub(super) reply: oneshot::Receiver<Result<Answer, Failure>>,
    pub(super) console: Option<oneshot::Receiver<OwnedFd>>,
    /// There is nothing to cancel any more.
    pub(super) answered: bool,
}

impl Pending {
    /// Waits for the answer.
    pub(super) async fn answer(&mut self) -> Result<Answer, MonitorError> {
        let reply = (&mut self.reply).await;
        self.answered = true;
        match reply {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(failure)) => Err(failure.into()),
            Err(_closed) => Err(self.connection.gone()),
        }
    }

    /// Waits for the terminal of an exec, or for the answer that says why there is none.
    pub(super) async fn console(&mut self) -> Result<OwnedFd, MonitorError> {
        if let Some(console) = self.console.take()
            && let Ok(terminal) = console.await
        {
            return Ok(terminal);
        }
        match self.answer().await {
            Err(error) => Err(error),
            Ok(_) => Err(MonitorError::Confused { call: self.name }),
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.answered {
            self.connection.cancel(self.number);
        }
    }
}
