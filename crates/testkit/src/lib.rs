//! What the black-box tests are made of. Everything is real: a registry, the daemon, OCI runtimes, CNI plugins.
//!
//! * [`image`]: builds images out of files of this machine, writes them as layouts or pushes them
//! * [`registry`]: `docker-registry` on a loopback port
//! * [`node`]: the daemon in a mount namespace of its own, with directories, network and control groups that no other test shares
//! * [`cri`]: a client of its socket
//! * [`request`]: requests as kubelet makes them
//! * [`conformance`]: critest, its images, and what it says
//! * [`spdy`]: a client of the streaming protocol, as right or as wrong as a test wants it
//! * [`leak`]: what exists on the host before and after, and the difference in words
//!
//! Tests run as root. What they make lies in a temporary directory, below one control group and on one bridge of their own, and is
//! removed when the values are dropped, also after a failure. Nothing here belongs to the product: it uses `anyhow`, and runs the
//! host's tools where they are the shortest way.

pub mod conformance;
pub mod cri;
pub mod image;
pub mod leak;
pub mod node;
pub mod registry;
pub mod request;
mod run;
pub mod spdy;

pub use cri::Cri;
pub use image::Image;
pub use node::{CgroupManager, Node, Options, Runtime};
pub use registry::Registry;
