//! What containers and pods use, assembled from control groups, network and storage.
//!
//! The [`Collector`] is told about every sandbox and container once, when it is made, and forgets it when it is removed. It keeps
//! each group's counter files open, so a reading costs a few `pread` calls: a list of fifty pods takes milliseconds, not
//! processes or tree walks.
//! * `collector`: the table, and the answers in CRI's terms
//! * `group`: one group's counters, open
//! * `rate`: processor use now, out of two readings
//! * `layer`: disk use of writable layers, measured in the background because a walk takes as long as a container likes
//! * `subject`: what the collector is told
//!
//! It does not know states: whoever asks says about which ids. It reads only; nothing here changes a group or a file.

mod collector;
mod group;
mod layer;
mod rate;
mod subject;

pub use collector::{Collector, Config};
pub use subject::{ContainerSubject, ReadNetwork, SandboxSubject, WritableLayer};
