//! Running host tools, and waiting for something to become true.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Pause between two looks at a condition that nothing announces.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Runs a program to its end and gives its standard output.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Result<Vec<u8>> {
    let Output { status, stdout, stderr } =
        Command::new(program).args(arguments).output().with_context(|| format!("cannot run {program}"))?;
    if !status.success() {
        let message = String::from_utf8_lossy(&stderr);
        bail!("{program} {} failed with {status}: {}", arguments.join(" "), message.trim());
    }
    Ok(stdout)
}

/// The same as text.
pub(crate) fn text(program: &str, arguments: &[&str]) -> Result<String> {
    Ok(String::from_utf8_lossy(&output(program, arguments)?).into_owned())
}

/// Looks until `found` gives a value or `timeout` has passed.
pub(crate) async fn until<T>(
    what: &str,
    timeout: Duration,
    mut found: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(value) = found().await? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("{what}: not within {timeout:?}");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The same for callers that cannot await, such as destructors; answers whether it became true.
#[expect(clippy::disallowed_methods, reason = "nothing announces these conditions, and destructors cannot await")]
pub(crate) fn wait_until(timeout: Duration, mut is_true: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + timeout;
    while !is_true() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    true
}
