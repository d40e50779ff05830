//! Metrics of pods and containers: which there are, what they are called, and what one measurement holds.
//!
//! Names, label keys and groups are CRI-O's, which took the names from cAdvisor: dashboards are written for them. A value is a
//! whole number, because CRI's are, so times are in full seconds. Every metric that is ever sent is in [`descriptors`], and its
//! label values are in the order of the descriptor's label keys.

mod table;

use std::collections::BTreeSet;

use crio_types::{ContainerId, SandboxId, Timestamp};

pub(crate) use table::*;

/// The label keys that every metric begins with.
pub const BASE_LABELS: [&str; 5] = ["id", "image", "namespace", "pod", "container"];

/// A group of metrics that the configuration can include.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetricGroup {
    /// Processor time.
    Cpu,
    /// Use of the file system.
    Disk,
    /// Block input and output.
    DiskIo,
    /// Huge pages.
    Hugetlb,
    /// Memory.
    Memory,
    /// Network interfaces.
    Network,
    /// Out-of-memory kills.
    Oom,
    /// Processes and what they have open.
    Process,
    /// Limits as configured.
    Spec,
    /// Pressure stall information.
    Pressure,
}

impl MetricGroup {
    const ALL: [Self; 10] = [
        Self::Cpu,
        Self::Disk,
        Self::DiskIo,
        Self::Hugetlb,
        Self::Memory,
        Self::Network,
        Self::Oom,
        Self::Process,
        Self::Spec,
        Self::Pressure,
    ];

    /// The word for it in `included_pod_metrics`.
    fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Disk => "disk",
            Self::DiskIo => "diskIO",
            Self::Hugetlb => "hugetlb",
            Self::Memory => "memory",
            Self::Network => "network",
            Self::Oom => "oom",
            Self::Process => "process",
            Self::Spec => "spec",
            Self::Pressure => "pressure",
        }
    }
}

/// The groups that are included.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetricGroups(BTreeSet<MetricGroup>);

impl MetricGroups {
    /// The groups these words name, `all` naming every one; words that name none are passed over, because the configuration
    /// has been checked.
    #[must_use]
    pub fn from_words(words: &[String]) -> Self {
        let named = |group: &MetricGroup| words.iter().any(|word| word == "all" || word == group.word());
        Self(MetricGroup::ALL.into_iter().filter(named).collect())
    }

    /// Whether the group is included.
    #[must_use]
    pub fn include(&self, group: MetricGroup) -> bool {
        self.0.contains(&group)
    }
}

/// How a metric's values relate to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// What a metric is.
#[derive(Debug, PartialEq, Eq)]
pub struct MetricDescriptor {
    /// Its name.
    pub name: &'static str,
    /// What it means, for people.
    pub help: &'static str,
    /// The label keys after [`BASE_LABELS`].
    pub further_labels: &'static [&'static str],
    /// How its values relate to each other.
    pub kind: MetricKind,
    /// Its group; `None` for what is always there.
    pub group: Option<MetricGroup>,
}

impl MetricDescriptor {
    /// All its label keys, in order.
    pub fn label_keys(&self) -> impl Iterator<Item = &'static str> {
        BASE_LABELS.into_iter().chain(self.further_labels.iter().copied())
    }
}

/// One value of one metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Which metric.
    pub descriptor: &'static MetricDescriptor,
    /// When it was measured.
    pub timestamp: Timestamp,
    /// Its label values, one for each key.
    pub labels: Vec<String>,
    /// The value.
    pub value: u64,
}

/// The metrics of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerMetrics {
    /// Which.
    pub id: ContainerId,
    /// Its metrics.
    pub metrics: Vec<Metric>,
}

/// The metrics of one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodMetrics {
    /// Which sandbox.
    pub id: SandboxId,
    /// The sandbox's own.
    pub metrics: Vec<Metric>,
    /// Its containers'.
    pub containers: Vec<ContainerMetrics>,
}

/// What there can be, for the groups that are included.
pub(crate) fn descriptors(groups: &MetricGroups) -> Vec<&'static MetricDescriptor> {
    let included = |descriptor: &&&MetricDescriptor| descriptor.group.is_none_or(|group| groups.include(group));
    ALL.iter().filter(included).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(words: &[&str]) -> MetricGroups {
        MetricGroups::from_words(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn groups_are_chosen_by_their_words() {
        for (words, count) in [
            (&[][..], 1),
            (&["cpu"], 7),
            (&["cpu", "cpu"], 7),
            (&["disk", "diskIO", "nonsense"], 10),
            (&["hugetlb", "memory", "network"], 21),
            (&["oom", "process", "spec", "pressure"], 21),
            (&["all"], 56),
        ] {
            assert_eq!(descriptors(&groups(words)).len(), count, "{words:?}");
        }
    }

    #[test]
    fn names_are_unique_and_say_what_prometheus_expects() {
        let all = descriptors(&groups(&["all"]));
        let names: BTreeSet<&str> = all.iter().map(|descriptor| descriptor.name).collect();
        assert_eq!(names.len(), all.len());
        for descriptor in all {
            let name = descriptor.name;
            assert!(name.starts_with("container_") && !descriptor.help.is_empty(), "{name}");
            let keys: Vec<&str> = descriptor.label_keys().collect();
            assert_eq!(keys.len(), keys.iter().collect::<BTreeSet<_>>().len(), "{name}");
            // cAdvisor's name for a number of inodes is the one that does not follow the rule.
            let counts = name.ends_with("_total") && name != "container_fs_inodes_total";
            assert_eq!(counts || name == "container_memory_failcnt", descriptor.kind == MetricKind::Counter, "{name}");
        }
    }
}
