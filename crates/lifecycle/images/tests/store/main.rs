//! The images service over a real store and a real registry, with podman and skopeo as witnesses.
//!
//! Needs root, `docker-registry`, `skopeo` and `podman`. Everything lies in temporary directories.

mod interop;
mod naming;
mod refusals;
mod together;
mod world;
