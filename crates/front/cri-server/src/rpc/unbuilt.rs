//! RPCs that are not built. Clients know what to do without them: kubelet falls back on other sources for metrics.

use tonic::Status;

use crate::status::unimplemented;

/// CheckpointPod and RestorePod.
pub(crate) fn pod_checkpoint() -> Status {
    unimplemented("this daemon neither writes nor restores checkpoints of whole pods, only of containers")
}
