//! RPCs that are not built. Clients know what to do without them: kubelet falls back on other sources for metrics.

use tonic::Status;

use crate::status::unimplemented;

/// Exec, Attach and PortForward.
pub(crate) fn streaming() -> Status {
    unimplemented("this daemon has no streaming server: exec sessions, attach and port-forward are not possible")
}

/// CheckpointContainer, CheckpointPod and RestorePod.
pub(crate) fn checkpoint() -> Status {
    unimplemented("this daemon neither writes nor restores checkpoints")
}
