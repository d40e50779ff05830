//! The OCI runtime specification of a container, as a pure function.
//!
//! [`generate()`] turns a request, an image, a resolved user, a confinement and facts about the host into the
//! `config.json` an OCI runtime reads; [`infra_spec`] does the same for the pause container and [`exec_process`] for
//! a further process in a running one. Nothing here reads a file, a clock or an environment variable: two equal
//! inputs make two equal specifications, which is what the golden files under `testdata/` rely on.
//!
//! Follows the OCI runtime specification 1.0–1.2 and, where CRI leaves a choice, CRI-O.

mod annotations;
mod command;
mod error;
mod exec;
mod generate;
mod infra;
mod input;
mod mounts;
mod namespaces;
mod resources;

pub use annotations::permitted_annotations;
pub use error::SpecError;
pub use exec::exec_process;
pub use generate::generate;
pub use infra::{InfraInput, infra_spec};
pub use input::{
    CgroupDriver, CgroupVersion, ContainerFacts, Defaults, HostFacts, ImageFacts, MountKind, PodFiles, PodNamespaces,
    ResolvedMount, RuntimeFacts, SandboxFacts, Sharing, SpecInput,
};
pub use resources::{limits, oom_score_adj};
