//! What each RPC does: decode, one call, encode.
//!
//! A handler takes the services and the request and answers a message or a status. It holds no state and starts no
//! task; whatever must survive it belongs to the layer it calls.

pub(crate) mod checkpoint;
pub(crate) mod chunks;
pub(crate) mod container;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod image;
pub(crate) mod metrics;
pub(crate) mod runtime;
pub(crate) mod sandbox;
pub(crate) mod stats;
pub(crate) mod streaming;
pub(crate) mod unbuilt;
pub(crate) mod update;

use std::collections::BTreeMap;
use std::sync::Arc;

use crio_pods::PodError;
use tonic::Status;

use crate::status;

/// The status of an operation on pods that failed.
#[expect(clippy::needless_pass_by_value, reason = "passed to map_err")]
pub(crate) fn pods(error: Arc<PodError>) -> Status {
    status::failed(&*error)
}

/// The `info` map of a verbose answer.
pub(crate) fn info(value: &serde_json::Value) -> BTreeMap<String, String> {
    BTreeMap::from([("info".to_owned(), value.to_string())])
}
