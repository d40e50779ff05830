//! The HTTP interface beside CRI on the same socket.
//!
//! cAdvisor, which is part of every kubelet, reads `/info` once at its start and `/containers/{id}` for every cgroup
//! that looks like ours; without them there are no container statistics. The shapes are therefore CRI-O's, to the
//! letter. `/config` is the configuration in force, as TOML; `/pulls` is our own: what is being pulled and how far.
//!
//! | path | answer |
//! |---|---|
//! | `GET /info` | JSON: storage and cgroup drivers |
//! | `GET /containers/{id}` | JSON: a container, or a sandbox, by its whole id; 404 otherwise |
//! | `GET /config` | TOML |
//! | `GET /pulls` | JSON |
//!
//! [`router`] makes the routes; who owns the socket merges them with the gRPC services.

mod container;
mod info;
mod pulls;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use crio_images::Images;
use crio_pods::Pods;
use http::{StatusCode, header};
use tokio::sync::watch;

pub use info::{CgroupDriver, Settings};

/// What the routes are served from.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// Sandboxes and containers.
    pub pods: Pods,
    /// Images.
    pub images: Images,
    /// The daemon; the sender is the owner of the configuration.
    pub settings: watch::Receiver<Arc<Settings>>,
}

impl Inspected {
    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.borrow())
    }
}

/// The routes. They set no fallback, so that they merge with others.
pub fn router(inspected: Inspected) -> Router {
    Router::new()
        .route("/info", get(info))
        .route("/config", get(config))
        .route("/containers/{id}", get(container))
        .route("/pulls", get(pulls))
        .with_state(inspected)
}

async fn info(State(inspected): State<Inspected>) -> Json<info::Info> {
    Json(info::Info::of(&inspected.settings()))
}

async fn config(State(inspected): State<Inspected>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/toml")], inspected.settings().config_toml.clone())
}

async fn container(State(inspected): State<Inspected>, Path(id): Path<String>) -> Response {
    match inspected.pods.inspect(&id) {
        Some(found) => Json(container::Container::of(found)).into_response(),
        None => (StatusCode::NOT_FOUND, format!("can't find the container with id {id}\n")).into_response(),
    }
}

async fn pulls(State(inspected): State<Inspected>) -> Json<Vec<pulls::Pull>> {
    Json(inspected.images.pulls().into_iter().map(pulls::Pull::of).collect())
}
