//! Commands in containers.
//!
//! kubelet takes at most 16 MiB in one message, so the two outputs together are cut below that; what is cut is
//! dropped without a word, as the contract has it. A command that fails is an answer, one that outlives its timeout
//! an error.

use std::time::Duration;

use crio_cri_api::v1;
use tonic::Request;

use super::pods;
use crate::Services;
use crate::call::{Answer, about};
use crate::convert::DecodeError;
use crate::convert::field::{all_without_nul, between};
use crate::status::refused;

/// Both outputs together: 16 MiB, less room for the rest of the message.
const MAX_OUTPUT_BYTES: usize = (16 << 20) - (16 << 10);
/// The longest timeout: a year.
const MAX_TIMEOUT_SECONDS: i64 = 365 * 24 * 3600;

pub(crate) async fn sync(services: &Services, request: Request<v1::ExecSyncRequest>) -> Answer<v1::ExecSyncResponse> {
    let request = request.into_inner();
    about(&request.container_id);
    let (command, timeout) = decode(request.cmd, request.timeout).map_err(refused)?;
    let mut outcome = services.pods.exec_sync(&request.container_id, command, timeout).await.map_err(pods)?;
    cut(&mut outcome.stdout, &mut outcome.stderr);
    Ok(v1::ExecSyncResponse { stdout: outcome.stdout, stderr: outcome.stderr, exit_code: outcome.exit_code })
}

fn decode(command: Vec<String>, timeout_seconds: i64) -> Result<(Vec<String>, Option<Duration>), DecodeError> {
    if command.is_empty() {
        return Err(DecodeError::new("cmd", "is empty"));
    }
    let command = all_without_nul("cmd", command)?;
    let seconds = between("timeout", timeout_seconds, 0, i64::MAX)?.min(MAX_TIMEOUT_SECONDS);
    let timeout = (seconds > 0).then(|| Duration::from_secs(seconds.unsigned_abs()));
    Ok((command, timeout))
}

/// Cuts the outputs to the limit. Each may use what the other leaves, and half of it in any case.
fn cut(stdout: &mut Vec<u8>, stderr: &mut Vec<u8>) {
    let half = MAX_OUTPUT_BYTES / 2;
    let left_by_stdout = MAX_OUTPUT_BYTES.saturating_sub(stdout.len());
    stderr.truncate(left_by_stdout.max(half));
    stdout.truncate(MAX_OUTPUT_BYTES - stderr.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_share_the_limit() {
        const ALL: usize = MAX_OUTPUT_BYTES;
        let cases = [
            ((10, 20), (10, 20)),
            ((ALL, 0), (ALL, 0)),
            ((ALL + 1, 0), (ALL, 0)),
            ((0, 2 * ALL), (0, ALL)),
            ((ALL, 10), (ALL - 10, 10)),
            ((10, ALL), (10, ALL - 10)),
            ((2 * ALL, 2 * ALL), (ALL / 2, ALL / 2)),
        ];
        for ((out, err), expected) in cases {
            let (mut stdout, mut stderr) = (vec![b'o'; out], vec![b'e'; err]);
            cut(&mut stdout, &mut stderr);
            assert_eq!((stdout.len(), stderr.len()), expected, "{out} {err}");
        }
    }

    #[test]
    fn a_command_and_a_sensible_timeout_are_required() {
        let command = || vec!["true".to_owned()];
        assert_eq!(decode(command(), 0), Ok((command(), None)));
        assert_eq!(decode(command(), 5), Ok((command(), Some(Duration::from_secs(5)))));
        assert!(decode(command(), i64::MAX).is_ok());
        assert!(decode(command(), -1).is_err());
        assert!(decode(Vec::new(), 0).is_err());
        assert!(decode(vec!["a\0b".to_owned()], 0).is_err());
    }
}
