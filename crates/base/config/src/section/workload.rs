//! `[crio.runtime.workloads.NAME]`: resources that an annotation gives a pod.

use super::{option, section};
use crate::codec::{List, Number, Optional, Regular};

section! {
    /// `[crio.runtime.workloads.NAME.resources]`: defaults that the annotation may override; 0 for none.
    WorkloadResources {
        /// CPU shares.
        cpushares: u64 as Number<0, { i64::MAX }> = 0 => option().accepted();
        /// CPU quota in microseconds a period.
        cpuquota: i64 as Number<-1, { i64::MAX }> = 0 => option().accepted();
        /// CPU period in microseconds.
        cpuperiod: u64 as Number<0, { i64::MAX }> = 0 => option().accepted();
        /// CPUs, as the kernel spells a list.
        cpuset: Option<String> as Optional<Regular> = None => option().accepted();
        /// CPU limit in thousandths of a core, from which the quota is computed.
        cpulimit: i64 as Number<0, { i64::MAX }> = 0 => option().accepted();
    }
}

section! {
    /// `[crio.runtime.workloads.NAME]`. A table in a later file replaces the whole workload of that name.
    Workload {
        /// Annotation that puts a pod into this workload, whatever its value.
        activation_annotation: String as Regular = String::new() => option().accepted();
        /// Prefix of the annotations that override a resource for one container.
        annotation_prefix: String as Regular = String::new() => option().accepted();
        /// Annotations of pods that are honoured for this workload.
        allowed_annotations: Vec<String> as List<Regular> = Vec::new() => option().accepted();
    }
    /// Resources of the workload's containers.
    extra resources: WorkloadResources;
}
