//! Both services as one axum router.
//!
//! What is neither a gRPC method we know nor a route the caller adds afterwards is answered in the caller's own
//! language: gRPC clients get Unimplemented, which they fall back on, and HTTP clients 404.

use axum::response::IntoResponse;
use crio_cri_api::v1::image_service_server::ImageServiceServer;
use crio_cri_api::v1::runtime_service_server::RuntimeServiceServer;
use http::{HeaderMap, StatusCode, header};
use tonic::service::Routes;

use crate::image_service::ImageRpc;
use crate::runtime_service::RuntimeRpc;
use crate::{Config, Services};

/// The services, ready to be merged with other routes and served over HTTP/2.
pub fn service(services: &Services, config: Config) -> axum::Router {
    let runtime = RuntimeServiceServer::new(RuntimeRpc(services.clone()))
        .max_decoding_message_size(config.max_receive_bytes)
        .max_encoding_message_size(config.max_send_bytes);
    let images = ImageServiceServer::new(ImageRpc(services.clone()))
        .max_decoding_message_size(config.max_receive_bytes)
        .max_encoding_message_size(config.max_send_bytes);
    Routes::new(runtime).add_service(images).into_axum_router().reset_fallback().fallback(unknown)
}

async fn unknown(headers: HeaderMap) -> axum::response::Response {
    let content = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if content.is_some_and(|content| content.starts_with("application/grpc")) {
        tonic::Status::unimplemented("this daemon serves runtime.v1 only").into_http::<axum::body::Body>()
    } else {
        (StatusCode::NOT_FOUND, "not found\n").into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn strangers_are_answered_in_their_own_language() {
        let mut headers = HeaderMap::new();
        assert_eq!(unknown(headers.clone()).await.status(), StatusCode::NOT_FOUND);
        headers.insert(header::CONTENT_TYPE, "application/grpc+proto".parse().expect("a header value"));
        let answer = unknown(headers).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["grpc-status"], "12");
    }
}
