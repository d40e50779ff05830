//! The generated image service, one line for each RPC.

use crio_cri_api::v1;
use crio_cri_api::v1::image_service_server::ImageService;
use tonic::{Request, Response, Status};

use crate::Services;
use crate::call::Effect::{Read, Write};
use crate::call::observe;
use crate::rpc::chunks::Stream;
use crate::rpc::image;

/// Serves images.
#[derive(Debug)]
pub(crate) struct ImageRpc(pub(crate) Services);

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl ImageService for ImageRpc {
    type StreamImagesStream = Stream<v1::StreamImagesResponse>;

    async fn list_images(&self, request: Request<v1::ListImagesRequest>) -> Reply<v1::ListImagesResponse> {
        observe("ListImages", Read, image::list(&self.0, request)).await
    }

    async fn stream_images(&self, request: Request<v1::StreamImagesRequest>) -> Reply<Self::StreamImagesStream> {
        observe("StreamImages", Read, image::stream(&self.0, request)).await
    }

    async fn image_status(&self, request: Request<v1::ImageStatusRequest>) -> Reply<v1::ImageStatusResponse> {
        observe("ImageStatus", Read, image::status(&self.0, request)).await
    }

    async fn pull_image(&self, request: Request<v1::PullImageRequest>) -> Reply<v1::PullImageResponse> {
        observe("PullImage", Write, image::pull(&self.0, request)).await
    }

    async fn remove_image(&self, request: Request<v1::RemoveImageRequest>) -> Reply<v1::RemoveImageResponse> {
        observe("RemoveImage", Write, image::remove(&self.0, request)).await
    }

    async fn image_fs_info(&self, request: Request<v1::ImageFsInfoRequest>) -> Reply<v1::ImageFsInfoResponse> {
        observe("ImageFsInfo", Read, image::filesystems(&self.0, request)).await
    }
}
