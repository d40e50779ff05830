//! Pods and their containers over time: operations, state machines, rollback and recovery.
//!
//! ```text
//! sandbox:    Making -run-> Ready -stop-> NotReady -remove-> gone
//! container:  Making -create-> Created -start-> Running -exit-> Exited -remove-> gone
//! ```
//!
//! [`Pods`] is the door. Behind it:
//! * `operation`: an operation outlives its call, and a repeated call joins it
//! * `sandbox` and `container`: what exists, and one module for each thing that is done to it
//! * `record`: what a restarted daemon finds; `recover` reads it
//! * `session`: a client's streams into a container
//! * `life`: a container's states; `watch`: how its end becomes known
//! * `index`: ids and names; `events`: for those who watch; `info` and `usage`: for those who look closer
//!
//! Engines meet here and nowhere else. Requests arrive as domain types, already decoded; nothing here knows gRPC.

mod config;
mod container;
mod context;
mod error;
mod events;
mod filter;
mod index;
mod info;
mod labels;
mod life;
mod operation;
mod pods;
mod record;
mod recover;
mod sandbox;
mod session;
mod usage;
mod users;
mod watch;

use std::time::Duration;

pub use config::{Checkpoints, Config, ImageVolumes};
pub use container::exec::ExecOutcome;
pub use context::{Engines, Live};
pub use error::{Failure, Outcome, PodError};
pub use events::{ContainerEvent, EventStream};
pub use filter::{ContainerFilter, SandboxFilter};
pub use info::Inspection;
pub use pods::{HandlerInfo, Pods};
pub use sandbox::forward::PortForward;
pub use session::{
    AttachRequest, ExecRequest, Session, SessionEnd, SessionEnding, SessionInput, SessionOutput, SessionSizes, Wanted,
};

/// Marks the storage's container records that are ours, among those of other programs on the same storage.
const OWNER: &str = "crio-rs";
/// How long killed processes may take to leave their cgroup.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);
