//! CRI v1 messages and services, generated from our own description of the wire.
//!
//! [`v1`] is what `proto/cri/v1/api.proto` compiles to: package `runtime.v1`, every RPC of the interface, client and
//! server. `KeyValue.value` is `bytes`, because an environment variable need not be UTF-8; maps are sorted. No file
//! of this crate interprets a message: that is the work of `crio-cri-server`.
//!
//! [`connect`] reaches a CRI socket, ours or a peer's; [`runtime_client`] and [`image_client`] make clients whose
//! message limits are those of the servers that kubelet talks to.

mod client;

pub use client::{ConnectError, MAX_MESSAGE_BYTES, connect, image_client, runtime_client};

/// Package `runtime.v1`.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    clippy::semicolon_if_nothing_returned,
    clippy::needless_pass_by_value,
    clippy::unused_async,
    rustdoc::all,
    reason = "generated code; its documentation is the proto file"
)]
pub mod v1 {
    tonic::include_proto!("runtime.v1");

    impl std::fmt::Debug for AuthConfig {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("AuthConfig")
                .field("username", &self.username)
                .field("server_address", &self.server_address)
                .finish_non_exhaustive()
        }
    }
}

#[cfg(test)]
mod tests;
