//! What containers and pods use, assembled from control groups, network and storage.
//!
//! The [`Collector`] is told about every sandbox and container once, when it is made, and forgets it when it is removed. It keeps
//! each group's counter files open, so a reading costs a few `pread` calls: a list of fifty pods takes milliseconds, not
//! processes or tree walks.
//! * `collector`: the table, and the answers in CRI's terms
//! * `metric`: which metrics there are
//! * `group`: one group's counters, open
//! * `budget`: how many files may be open for that
//! * `process`: what processes have open
//! * `rate`: processor use now, out of two readings
//! * `layer`: disk use of writable layers, measured in the background because a walk takes as long as a container likes
//! * `subject`: what the collector is told
//!
//! It does not know states: whoever asks says about which ids. It reads only; nothing here changes a group or a file.

mod budget;
mod collector;
mod group;
mod layer;
mod metric;
mod process;
mod rate;
mod subject;

pub use collector::{Collector, Config, MeasuredPod};
pub use metric::{
    BASE_LABELS, ContainerMetrics, Metric, MetricDescriptor, MetricGroup, MetricGroups, MetricKind, PodMetrics,
};
pub use subject::{ContainerSubject, NetworkCounters, SandboxSubject, WritableLayer};
