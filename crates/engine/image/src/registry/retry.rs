//! When a failed request is tried again, and after how long.

use std::time::Duration;

use super::error::RegistryError;

/// Longest wait a registry may ask for; one that asks for more gets a failure instead.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);
const MAX_DELAY: Duration = Duration::from_secs(10);

/// Tries in all for failures the registry reports.
const TRIES_REFUSED: u32 = 5;
/// Tries in all for connections that fail: there are mirrors and kubelet's own back-off behind us.
const TRIES_UNREACHABLE: u32 = 3;

/// How long to wait before the next try after `failed` tries, the last with `error`; `None` gives up. `jitter` is in
/// 0..=255 and spreads the wait between half and one and a half times its length, so that nodes do not return in step.
pub(super) fn delay(base: Duration, failed: u32, error: &RegistryError, jitter: u8) -> Option<Duration> {
    let (tries, asked) = match error {
        RegistryError::Server { status, retry_after, .. } if retryable_status(*status) => (TRIES_REFUSED, *retry_after),
        RegistryError::RateLimited { retry_after, .. } => (TRIES_REFUSED, *retry_after),
        RegistryError::Unreachable { .. } => (TRIES_UNREACHABLE, None),
        _ => return None,
    };
    if failed >= tries {
        return None;
    }
    match asked {
        Some(asked) if asked > MAX_RETRY_AFTER => None,
        Some(asked) => Some(asked),
        None => {
            let exponential = base.saturating_mul(1 << (failed.saturating_sub(1)).min(10)).min(MAX_DELAY);
            Some(exponential.mul_f64(0.5 + f64::from(jitter) / 255.0))
        }
    }
}

fn retryable_status(status: u16) -> bool {
    // 501 and 505 are statements about the request, not about the moment.
    !matches!(status, 501 | 505)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(status: u16, retry_after: Option<u64>) -> RegistryError {
        RegistryError::Server {
            host: "h".into(),
            status,
            detail: String::new(),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    fn unreachable() -> RegistryError {
        RegistryError::Unreachable { host: "h".into(), source: "reset".into() }
    }

    #[test]
    fn waits_longer_each_time_and_then_gives_up() {
        let base = Duration::from_millis(200);
        let cases = [
            (server(503, None), 1, 128, Some(200)),
            (server(503, None), 2, 128, Some(400)),
            (server(503, None), 4, 128, Some(1600)),
            (server(503, None), 1, 0, Some(100)),
            (server(503, None), 1, 255, Some(300)),
            (server(503, None), 5, 128, None),
            (server(501, None), 1, 128, None),
            (server(503, Some(7)), 1, 0, Some(7000)),
            (server(503, Some(61)), 1, 0, None),
            (unreachable(), 2, 128, Some(400)),
            (unreachable(), 3, 128, None),
            (RegistryError::WrongRange { host: "h".into() }, 1, 0, None),
        ];
        for (error, failed, jitter, expected_ms) in cases {
            let wait = delay(base, failed, &error, jitter);
            match (wait, expected_ms) {
                (Some(wait), Some(expected)) => {
                    let difference = wait.as_millis().abs_diff(expected);
                    assert!(difference <= 5, "{error} after {failed}: {wait:?}");
                }
                (None, None) => {}
                other => panic!("{error} after {failed}: {other:?}"),
            }
        }
    }
}
