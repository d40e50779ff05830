//! Every CRI request: protobuf, then the checks that turn it into domain types. The first byte picks the message.
//!
//! Oracle: encoding is stable; host names, log paths and limits keep their promises; a status gives back what was asked for.
#![no_main]

use crio_cri_api::v1;
use libfuzzer_sys::fuzz_target;
use prost::Message;

#[path = "../../crates/front/cri-server/src/convert"]
#[expect(dead_code, reason = "a target uses a part of what it includes")]
mod convert {
    pub(crate) mod container;
    pub(crate) mod field;
    pub(crate) mod filter;
    pub(crate) mod image;
    pub(crate) mod mount;
    pub(crate) mod namespace;
    pub(crate) mod resources;
    pub(crate) mod sandbox;
    pub(crate) mod security;
    pub(crate) mod signal;
}
mod cri;

fn decoded<T: Message + Default + PartialEq>(bytes: &[u8]) -> Option<T> {
    let message = T::decode(bytes).ok()?;
    assert!(T::decode(message.encode_to_vec().as_slice()).as_ref() == Ok(&message), "encoding is not stable");
    Some(message)
}

fn plain<T: Message + Default + PartialEq>(bytes: &[u8]) {
    let _message = decoded::<T>(bytes);
}

fn checked<T: Message + Default + PartialEq>(bytes: &[u8], check: fn(T)) {
    if let Some(message) = decoded(bytes) {
        check(message);
    }
}

/// A decoder for every request of CRI. A seed names its message by its place, so new ones come last.
const REQUESTS: [fn(&[u8]); 43] = [
    |bytes| checked(bytes, cri::run_pod_sandbox),
    |bytes| checked(bytes, cri::create_container),
    |bytes| checked(bytes, cri::update_resources),
    |bytes| checked(bytes, cri::pull_image),
    |bytes| checked(bytes, cri::update_sandbox_resources),
    |bytes| checked(bytes, cri::list_sandboxes),
    |bytes| checked(bytes, cri::list_containers),
    |bytes| checked(bytes, cri::list_container_stats),
    |bytes| checked(bytes, cri::list_sandbox_stats),
    |bytes| checked(bytes, cri::image_status),
    |bytes| checked(bytes, cri::remove_image),
    plain::<v1::AttachRequest>,
    plain::<v1::CheckpointContainerRequest>,
    plain::<v1::CheckpointPodRequest>,
    plain::<v1::ContainerStatsRequest>,
    plain::<v1::ContainerStatusRequest>,
    plain::<v1::ExecRequest>,
    plain::<v1::ExecSyncRequest>,
    plain::<v1::GetEventsRequest>,
    plain::<v1::ImageFsInfoRequest>,
    plain::<v1::ListImagesRequest>,
    plain::<v1::ListMetricDescriptorsRequest>,
    plain::<v1::ListPodSandboxMetricsRequest>,
    plain::<v1::PodSandboxStatsRequest>,
    plain::<v1::PodSandboxStatusRequest>,
    plain::<v1::PortForwardRequest>,
    plain::<v1::RemoveContainerRequest>,
    plain::<v1::RemovePodSandboxRequest>,
    plain::<v1::ReopenContainerLogRequest>,
    plain::<v1::RestorePodRequest>,
    plain::<v1::RuntimeConfigRequest>,
    plain::<v1::StartContainerRequest>,
    plain::<v1::StatusRequest>,
    plain::<v1::StopContainerRequest>,
    plain::<v1::StopPodSandboxRequest>,
    plain::<v1::StreamContainerStatsRequest>,
    plain::<v1::StreamContainersRequest>,
    plain::<v1::StreamImagesRequest>,
    plain::<v1::StreamPodSandboxesRequest>,
    plain::<v1::StreamPodSandboxMetricsRequest>,
    plain::<v1::StreamPodSandboxStatsRequest>,
    plain::<v1::UpdateRuntimeConfigRequest>,
    plain::<v1::VersionRequest>,
];

fuzz_target!(|input: (u8, &[u8])| {
    let (kind, bytes) = input;
    REQUESTS[usize::from(kind) % REQUESTS.len()](bytes);
});
