//! What a client sees, under the OCI runtime that `CRIO_TEST_RUNTIME` names.

mod checkpoint;
mod containers;
mod daemon;
mod devices;
mod events;
mod exec;
mod footprint;
mod image_volumes;
mod images;
mod lifecycle;
mod lists;
mod logs;
mod metrics;
mod mounts;
mod namespaces;
mod network;
mod pulls;
mod resources;
mod seccomp;
mod security;
mod stats;
mod status;
mod stop;
mod user_namespaces;
mod users;
