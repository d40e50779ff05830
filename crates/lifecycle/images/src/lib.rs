//! Images over time: pull, list, status, remove, pinning and disk use.
//!
//! [`Images`] joins the two engines an image passes through, the registry client (`crio-image`) and the store
//! (`crio-storage`), and is what the CRI image service, CreateContainer and the inspection API call. It holds no
//! truth of its own: the store's records are the truth, shared with podman and skopeo, and what this crate keeps is
//! a snapshot derived from them.
//!
//! | module | what |
//! |---|---|
//! | `images` | [`Images`]: the operations |
//! | `config`, `error` | settings; what can go wrong, per operation |
//! | `image`, `details` | what a record means; what the image's own documents say |
//! | `snapshot` | all images at one moment; ids, prefixes, tags, digests and short names to one image |
//! | `pull` | joining identical pulls, cancelling those nobody waits for |
//! | `sink` | layers and records written as containers/image writes them |
//! | `namespaced` | policies and credentials of one namespace |
//! | `pinned`, `remove`, `usage` | what must stay, what goes, what it occupies |

mod config;
mod details;
mod error;
mod image;
mod images;
mod namespaced;
mod pinned;
mod pull;
mod remove;
mod sink;
mod snapshot;
mod usage;

pub use config::Config;
pub use error::{ListError, PullError, RemoveError, ResolveError};
pub use image::{Image, ImageUser, ResolvedImage};
pub use images::Images;
pub use pull::{LayerStatus, PullRequest, PullStatus};
pub use remove::ImageHold;
pub use usage::ImageFilesystems;
