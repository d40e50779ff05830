//! The checks of `cri_request`, one function a message. Not a target.

use crio_cri_api::v1;

use crate::convert::{container, filter, image, mount, resources, sandbox, signal};

pub(crate) fn run_pod_sandbox(request: v1::RunPodSandboxRequest) {
    let Ok(config) = sandbox::decode("config", request.config.unwrap_or_default()) else { return };
    assert!(!config.metadata.name.is_empty() && !config.metadata.namespace.is_empty());
    assert!(config.hostname.len() <= 64 && !config.hostname.contains(['/', '\n', '\0']));
    assert!(config.log_directory.is_empty() || config.log_directory.starts_with('/'));
}

pub(crate) fn create_container(request: v1::CreateContainerRequest) {
    let Ok(config) = container::decode("config", request.config.unwrap_or_default()) else { return };
    let climbs = config.log_path.split('/').any(|part| part == "..");
    assert!(!climbs && !config.log_path.starts_with('/'), "{:?}", config.log_path);
    assert!(config.envs.iter().all(|variable| !variable.key.contains(['=', '\0']) && !variable.value.contains(&0)));
    for asked in config.mounts {
        assert_eq!(mount::decode("mount", mount::encode(&asked)), Ok(asked));
    }
    if let Some(asked) = config.stop_signal {
        assert_eq!(signal::decode("signal", signal::encode(asked).into()), Ok(Some(asked)));
    }
}

pub(crate) fn update_resources(request: v1::UpdateContainerResourcesRequest) {
    let Ok(asked) = resources::decode("linux", request.linux.unwrap_or_default()) else { return };
    assert!(asked.unified.keys().all(|name| !name.contains('/') && !name.starts_with('.')));
    assert_eq!(resources::decode("linux", resources::encode(&asked)), Ok(asked));
}

pub(crate) fn pull_image(request: v1::PullImageRequest) {
    if let Ok(asked) = image::decode_spec("image", request.image) {
        assert_eq!(image::decode_spec("image", Some(image::encode_spec(&asked))), Ok(asked));
    }
    let _credentials = image::decode_auth("auth", request.auth);
}

pub(crate) fn update_sandbox_resources(request: v1::UpdatePodSandboxResourcesRequest) {
    for limits in [request.overhead, request.resources].into_iter().flatten() {
        let _limits = resources::decode("resources", limits);
    }
}

pub(crate) fn list_sandboxes(request: v1::ListPodSandboxRequest) {
    let asked = request.filter.clone().unwrap_or_default();
    if let Ok(filter) = filter::sandboxes(request.filter) {
        assert_eq!((filter.id, filter.state.is_some()), (asked.id, asked.state.is_some()));
    }
}

pub(crate) fn list_containers(request: v1::ListContainersRequest) {
    let asked = request.filter.clone().unwrap_or_default();
    if let Ok(filter) = filter::containers(request.filter) {
        assert_eq!((filter.id, filter.sandbox_id), (asked.id, asked.pod_sandbox_id));
        assert_eq!(filter.state.is_some(), asked.state.is_some());
    }
}

pub(crate) fn list_container_stats(request: v1::ListContainerStatsRequest) {
    let asked = request.filter.clone().unwrap_or_default();
    assert_eq!(filter::container_stats(request.filter).labels, asked.label_selector);
}

pub(crate) fn list_sandbox_stats(request: v1::ListPodSandboxStatsRequest) {
    let asked = request.filter.clone().unwrap_or_default();
    assert_eq!(filter::sandbox_stats(request.filter).labels, asked.label_selector);
}

pub(crate) fn image_status(request: v1::ImageStatusRequest) {
    let _spec = image::decode_spec("image", request.image);
}

pub(crate) fn remove_image(request: v1::RemoveImageRequest) {
    let _spec = image::decode_spec("image", request.image);
}
