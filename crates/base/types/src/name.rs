//! The unique names CRI-O builds from Kubernetes metadata.
//!
//! The name is the key under which a repeated request finds the operation it repeats, so it holds everything that
//! kubelet varies when it wants a *new* object: the pod's uid and the attempt.

use crate::{ContainerMetadata, SandboxMetadata};

/// The sandbox's unique name: `k8s_<name>_<namespace>_<uid>_<attempt>`.
#[must_use]
pub fn sandbox_name(metadata: &SandboxMetadata) -> String {
    format!("k8s_{}_{}_{}_{}", metadata.name, metadata.namespace, metadata.uid, metadata.attempt)
}

/// The container's unique name: `k8s_<container>_<pod>_<namespace>_<pod uid>_<attempt>`.
#[must_use]
pub fn container_name(container: &ContainerMetadata, sandbox: &SandboxMetadata) -> String {
    format!("k8s_{}_{}_{}_{}_{}", container.name, sandbox.name, sandbox.namespace, sandbox.uid, container.attempt)
}
