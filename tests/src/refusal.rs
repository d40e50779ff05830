//! What a refusal must be: the right gRPC code, and a message that names what was wrong.

use std::fmt::Debug;

use anyhow::{Result, bail, ensure};
use tonic::{Code, Status};

/// What a test answers.
pub type TestResult = Result<()>;

/// Checks that a call was refused with `code`, in a message that holds each of `words`.
///
/// # Errors
/// It was not.
pub fn refused<T: Debug>(answer: Result<T, Status>, code: Code, words: &[&str]) -> TestResult {
    let status = match answer {
        Ok(answer) => bail!("{code:?} was expected, not {answer:?}"),
        Err(status) => status,
    };
    ensure!(status.code() == code, "{code:?} was expected, not {status:?}");
    for word in words {
        ensure!(status.message().contains(word), "{word:?} is not in {:?}", status.message());
    }
    Ok(())
}
