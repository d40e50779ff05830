//! Black-box tests of the daemon, run as root: `cargo xtask test [filter]`.
//!
//! * `e2e/`: what a client sees, under each OCI runtime
//! * `refusals/`: bad input of every kind, and the host as before
//! * `hostile/`: clients of the streaming server that mean no good
//! * `crash/`: the daemon or a monitor killed at a bad moment
//! * `checkpoint/`: containers that go on elsewhere, with runc and a real CRIU
//! * `interop/`: other programs on the same stores and sockets
//! * `streaming/`: exec, attach and port-forward, as crictl and other clients do them
//! * `conformance/`: crictl and critest
//! * `guest/`: what needs cgroup v2, systemd or AppArmor: `cargo xtask guest [filter]`
//!
//! [`Stage`] is what nearly every test begins with: a registry with an image, and a node that knows it. A test ends with
//! [`Stage::close`], which fails when anything is left on the host. [`workload`] has pods and containers and what became of
//! them, [`crictl`] is that client, [`log`] reads container logs, [`images`] builds images that are more than busybox, [`hostile`] is a registry that lies.

pub mod crictl;
pub mod hostile;
pub mod images;
pub mod log;
mod monitor;
mod refusal;
mod stage;
pub mod workload;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

pub use monitor::monitor_of;
pub use refusal::{TestResult, refused};
pub use stage::Stage;
pub use workload::{Ended, Pod};

/// How long a test waits for what should take a second.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Pause between two looks at what nothing announces.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until `found` gives a value.
///
/// # Errors
/// Looking fails, or nothing is found within [`PATIENCE`].
pub async fn until<T>(what: &str, mut found: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = found().await? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("{what}: not within {PATIENCE:?}");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
