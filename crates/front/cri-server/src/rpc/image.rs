//! Images: list, status, pull, remove, and what they occupy.
//!
//! An image that is not there is an answer without image, never an error; removing it is a success.

use std::collections::BTreeMap;

use crio_cri_api::v1;
use crio_images::{Image, PullRequest};
use tonic::{Request, Status};

use super::chunks::{self, Stream};
use super::info;
use crate::Services;
use crate::call::{Answer, about};
use crate::convert::{DecodeError, image as convert, stats};
use crate::status::{failed, refused};

pub(crate) async fn list(
    services: &Services,
    request: Request<v1::ListImagesRequest>,
) -> Answer<v1::ListImagesResponse> {
    let name = wanted(request.into_inner().filter);
    let images = services.images.list(name.as_deref()).await.map_err(refused)?;
    Ok(v1::ListImagesResponse { images: images.iter().map(|image| convert::encode(image)).collect() })
}

pub(crate) async fn stream(
    services: &Services,
    request: Request<v1::StreamImagesRequest>,
) -> Answer<Stream<v1::StreamImagesResponse>> {
    let name = wanted(request.into_inner().filter);
    let images = services.images.list(name.as_deref()).await.map_err(refused)?;
    let message = |images| v1::StreamImagesResponse { images };
    Ok(chunks::stream(images, |image| convert::encode(image), message))
}

fn wanted(filter: Option<v1::ImageFilter>) -> Option<String> {
    filter.and_then(|filter| filter.image).map(|spec| spec.image).filter(|name| !name.is_empty())
}

pub(crate) async fn status(
    services: &Services,
    request: Request<v1::ImageStatusRequest>,
) -> Answer<v1::ImageStatusResponse> {
    let request = request.into_inner();
    let spec = convert::decode_spec("image", request.image).map_err(refused)?;
    about(&spec.image);
    let image = services.images.status(&spec.image).await.map_err(refused)?;
    let info = match &image {
        Some(image) if request.verbose => verbose(services, image).await?,
        _ => BTreeMap::new(),
    };
    Ok(v1::ImageStatusResponse { image: image.as_deref().map(convert::encode), info })
}

async fn verbose(services: &Services, image: &Image) -> Result<BTreeMap<String, String>, Status> {
    let document = services.images.config_json(&image.id).await.map_err(refused)?;
    let config: serde_json::Value =
        document.and_then(|document| serde_json::from_slice(&document).ok()).unwrap_or_default();
    Ok(info(&serde_json::json!({"labels": image.labels, "imageSpec": config})))
}

pub(crate) async fn pull(services: &Services, request: Request<v1::PullImageRequest>) -> Answer<v1::PullImageResponse> {
    let request = request.into_inner();
    let spec = convert::decode_spec("image", request.image).map_err(refused)?;
    about(&spec.image);
    check_handler(services, &spec.runtime_handler).map_err(refused)?;
    let metadata = request.sandbox_config.and_then(|config| config.metadata);
    let pull = PullRequest {
        spec,
        credentials: convert::decode_auth("auth", request.auth).map_err(refused)?,
        namespace: metadata.map(|metadata| metadata.namespace).unwrap_or_default(),
        ..PullRequest::default()
    };
    let id = services.images.pull(pull).await.map_err(|error| failed(&error))?;
    Ok(v1::PullImageResponse { image_ref: id.into() })
}

fn check_handler(services: &Services, name: &str) -> Result<(), DecodeError> {
    if name.is_empty() || services.pods.runtime_handlers().iter().any(|handler| handler.name == name) {
        return Ok(());
    }
    Err(DecodeError::new("image.runtime_handler", format!("no runtime handler {name:?} is configured")))
}

pub(crate) async fn remove(
    services: &Services,
    request: Request<v1::RemoveImageRequest>,
) -> Answer<v1::RemoveImageResponse> {
    let spec = convert::decode_spec("image", request.into_inner().image).map_err(refused)?;
    about(&spec.image);
    services.images.remove(&spec.image).await.map_err(refused)?;
    Ok(v1::RemoveImageResponse {})
}

/// kubelet indexes the first element of both lists without looking.
pub(crate) async fn filesystems(
    services: &Services,
    _request: Request<v1::ImageFsInfoRequest>,
) -> Answer<v1::ImageFsInfoResponse> {
    let usage = services.images.filesystem_usage().await.map_err(refused)?;
    Ok(v1::ImageFsInfoResponse {
        image_filesystems: vec![stats::filesystem(&usage.images)],
        container_filesystems: vec![stats::filesystem(&usage.containers)],
    })
}
