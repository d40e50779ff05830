//! Around every RPC: a span, one log line when it ends, and a panic turned into an error.
//!
//! Reads are logged at debug level, because kubelet sends several a second; writes at info level; failures as
//! warnings, except those that clients provoke on purpose (an object that is not there, an RPC that is not built).
//! A panic fails the one call and never the daemon.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures_util::FutureExt as _;
use tonic::{Code, Response, Status};
use tracing::{Instrument as _, Span};

/// What a handler of an RPC answers.
pub(crate) type Answer<T> = Result<T, Status>;

/// Whether an RPC changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It only looks.
    Read,
    /// It changes something.
    Write,
}

/// Runs the handler of `rpc`.
pub(crate) async fn observe<T>(
    rpc: &'static str,
    effect: Effect,
    handler: impl Future<Output = Answer<T>> + Send,
) -> Result<Response<T>, Status> {
    let span = tracing::info_span!("cri", rpc, subject = tracing::field::Empty);
    let observed = async {
        let ending = Ending::new(effect);
        let answer = match AssertUnwindSafe(handler).catch_unwind().await {
            Ok(answer) => answer,
            Err(payload) => Err(panicked(rpc, payload.as_ref())),
        };
        ending.log(answer.as_ref().err());
        answer.map(Response::new)
    };
    observed.instrument(span).await
}

/// Says whom the running call is about; it appears in the call's log lines.
pub(crate) fn about(subject: &str) {
    Span::current().record("subject", subject);
}

fn panicked(rpc: &'static str, payload: &(dyn std::any::Any + Send)) -> Status {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    tracing::error!(panic = text, "the handler of a request panicked");
    Status::internal(format!("{rpc} failed on an internal error, which the daemon's log describes"))
}

/// Logs how a call ended, also when it is dropped because its caller left.
struct Ending {
    effect: Effect,
    started: Instant,
    logged: bool,
}

impl Ending {
    fn new(effect: Effect) -> Self {
        Self { effect, started: Instant::now(), logged: false }
    }

    fn elapsed_us(&self) -> u128 {
        self.started.elapsed().as_micros()
    }

    fn log(mut self, failure: Option<&Status>) {
        self.logged = true;
        let elapsed_us = self.elapsed_us();
        match (failure, self.effect) {
            (None, Effect::Read) => tracing::debug!(elapsed_us, "request served"),
            (None, Effect::Write) => tracing::info!(elapsed_us, "request served"),
            (Some(failure), _) if is_ordinary(failure.code()) => {
                tracing::debug!(elapsed_us, code = ?failure.code(), error = failure.message(), "request refused");
            }
            (Some(failure), _) => {
                tracing::warn!(elapsed_us, code = ?failure.code(), error = failure.message(), "request failed");
            }
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if !self.logged {
            let elapsed_us = self.elapsed_us();
            tracing::info!(elapsed_us, "the caller left before its request was served");
        }
    }
}

fn is_ordinary(code: Code) -> bool {
    matches!(code, Code::NotFound | Code::Unimplemented)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_fails_the_call_and_nothing_else() {
        let status = observe::<()>("Version", Effect::Read, async { panic!("broken invariant") }).await;
        let status = status.expect_err("the handler panicked");
        assert_eq!(status.code(), Code::Internal);
        assert!(status.message().starts_with("Version failed"), "{}", status.message());
    }

    #[tokio::test]
    async fn answers_and_refusals_pass_through() {
        let answer = observe("Version", Effect::Read, async { Ok(7) }).await.expect("answered");
        assert_eq!(answer.into_inner(), 7);
        let refusal = observe::<()>("Version", Effect::Write, async { Err(Status::not_found("x")) }).await;
        assert_eq!(refusal.expect_err("refused").code(), Code::NotFound);
    }
}
