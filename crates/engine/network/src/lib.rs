//! Pod networks: pinned namespaces, the CNI client and host ports.
//!
//! The path of a pod through this crate, and back:
//!
//! ```text
//! namespaces::plan -> (the caller records the paths) -> namespaces::pin -> Networks::attach
//! Networks::detach -> namespaces::unpin
//! ```
//!
//! * [`namespaces`] makes network, IPC and UTS namespaces in process and pins them on files.
//! * [`Networks`] knows the CNI configuration of the node, runs plugins (`cni`) and keeps host ports (`host_ports`).
//! * [`InterfaceReader`] reads the counters of a pod's links; [`connect_local`] reaches what listens in a pod.
//!
//! Nothing here knows CRI or keeps records of pods: a caller that wants to survive its own death records a
//! [`namespaces::Pinned`] and a [`PodNetwork`] *before* the calls that make them true; both undo operations accept
//! what was never made. Formats follow the CNI specification 1.1 and libcni's result cache.

mod cni;
mod host_ports;
mod local;
pub mod namespaces;
mod networks;
mod pod;
mod process;
mod stats;
mod task;

pub use cni::cache::CacheError;
pub use cni::plugin::{PluginError, Verb};
pub use cni::result::ResultError;
pub use cni::runtime::FactsError;
pub use host_ports::{HostPortError, NftError};
pub use local::{ConnectLocalError, connect_local};
pub use networks::{AttachCause, AttachError, CheckError, Config, DetachError, Networks, NotReady, StartError};
pub use pod::{Attachment, PodNetwork};
pub use process::ProcessError;
pub use stats::{InterfaceReader, StatsError};
