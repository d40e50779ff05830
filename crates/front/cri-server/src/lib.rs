//! The CRI services: decode, call, map errors.
//!
//! Protobuf ends here. A request is decoded and checked whole (`convert`), one call goes down to
//! [`crio_pods::Pods`] or [`crio_images::Images`], and the answer or the error goes back (`rpc`, one function for each
//! RPC). No operation lives here: what was begun goes on when its caller leaves, because the layers below own it, and
//! a repeated request joins it there.
//!
//! | module | what |
//! |---|---|
//! | `convert` | protobuf to domain and back, with every check of a request |
//! | `rpc` | what each RPC calls |
//! | `runtime_service`, `image_service` | the generated traits, one line for each RPC |
//! | `call` | the log line of every RPC, and panics turned into errors |
//! | `status` | the one place where an error becomes a gRPC status |
//! | `deadline` | the caller's deadline, which is data for some RPCs |
//!
//! [`service`] gives an axum router, so that the inspect API can share the socket.

mod call;
mod convert;
mod deadline;
mod image_service;
mod router;
mod rpc;
mod runtime_service;
mod status;

use std::sync::Arc;

use crio_images::Images;
use crio_pods::Pods;
use crio_streaming::Urls;
use tokio::sync::watch;

pub use router::service;

/// Limits of the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The largest request, in bytes.
    pub max_receive_bytes: usize,
    /// The largest answer, in bytes.
    pub max_send_bytes: usize,
}

impl Default for Config {
    /// What CRI-O allows: 80 MiB each way.
    fn default() -> Self {
        Self { max_receive_bytes: 80 << 20, max_send_bytes: 80 << 20 }
    }
}

/// Whether clients may watch events (`enable_pod_events`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PodEvents {
    /// `GetContainerEvents` answers Unimplemented, and kubelet polls.
    #[default]
    Disabled,
    /// Events are streamed, and sandbox statuses tell about their containers.
    Enabled,
}

/// What the services tell about the daemon. A reload replaces it whole.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The daemon's version, in the form of semantic versioning.
    pub runtime_version: String,
    /// The pause image, which kubeadm compares with its own.
    pub sandbox_image: String,
    /// The configuration in force, as the verbose status shows it. Without secrets.
    pub runtime_config: serde_json::Value,
    /// Whether clients may watch events.
    pub pod_events: PodEvents,
}

/// What the RPCs are served from.
#[derive(Debug, Clone)]
pub struct Services {
    /// Sandboxes and containers.
    pub pods: Pods,
    /// Images.
    pub images: Images,
    /// URLs of exec, attach and port-forward sessions.
    pub streaming: Urls,
    /// The daemon; the sender is the owner of the configuration.
    pub settings: watch::Receiver<Arc<Settings>>,
}

impl Services {
    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.borrow())
    }
}
