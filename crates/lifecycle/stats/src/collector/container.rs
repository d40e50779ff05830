//! One container: its group and its writable layer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use crio_cgroups::{Counters, Details};
use crio_types::{ContainerStats, FilesystemUsage, Timestamp};

use super::{Shared, lock};
use crate::group::Group;
use crate::{ContainerSubject, WritableLayer, layer};

#[derive(Debug)]
pub(super) struct Container {
    pub(super) subject: ContainerSubject,
    group: Mutex<Group>,
    layer: ArcSwapOption<Measured>,
    ended: AtomicBool,
}

/// A finished measurement of a writable layer; `usage` is `None` when it failed.
#[derive(Debug)]
struct Measured {
    at: Instant,
    usage: Option<FilesystemUsage>,
}

impl Container {
    pub(super) fn new(subject: ContainerSubject) -> Self {
        let group = Mutex::new(Group::new(subject.cgroup.clone()));
        Self { subject, group, layer: ArcSwapOption::empty(), ended: AtomicBool::new(false) }
    }

    /// Its process is gone: the pod's statistics leave it out, and nothing is kept open for it.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        lock(&self.group).close();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Its counters; `None` when the group is gone.
    pub(super) fn counters(&self, shared: &Shared) -> Option<Counters> {
        lock(&self.group).read(&shared.source)
    }

    /// What only metrics tell; `None` when the group is gone.
    pub(super) fn details(&self, shared: &Shared) -> Option<Details> {
        lock(&self.group).read_details(&shared.source)
    }

    /// The answer while the group exists.
    pub(super) fn read_live(&self, shared: &Shared) -> Option<ContainerStats> {
        Some(self.answer(self.counters(shared)?, shared))
    }

    pub(super) fn read(&self, shared: &Shared) -> ContainerStats {
        let counters = self.counters(shared).unwrap_or_default();
        self.answer(counters, shared)
    }

    pub(super) fn answer(&self, counters: Counters, shared: &Shared) -> ContainerStats {
        ContainerStats {
            id: self.subject.id.clone(),
            metadata: self.subject.metadata.clone(),
            labels: self.subject.labels.clone(),
            annotations: self.subject.annotations.clone(),
            cpu: counters.cpu,
            memory: counters.memory,
            swap: counters.swap,
            io: counters.io,
            writable_layer: self.layer_usage(shared),
        }
    }

    pub(super) fn layer_usage(&self, shared: &Shared) -> Option<FilesystemUsage> {
        let measured = self.layer.load();
        let is_fresh = |measured: &Measured| measured.at.elapsed() < shared.config.layer_age_max;
        if !measured.as_deref().is_some_and(is_fresh) {
            shared.mark_stale(self);
        }
        measured.as_ref().and_then(|measured| measured.usage.clone())
    }

    pub(super) fn measure_layer(&self, shared: &Shared) {
        let Some(WritableLayer { directory, mountpoint }) = &self.subject.writable_layer else {
            return;
        };
        let timestamp = Timestamp::now();
        let usage = layer::measure(directory, Instant::now() + shared.config.layer_walk_max)
            .inspect_err(|error| tracing::debug!(?directory, %error, "writable layer not measured"))
            .ok();
        let measured = Measured {
            at: Instant::now(),
            usage: usage.map(|usage| FilesystemUsage {
                timestamp,
                mountpoint: mountpoint.clone(),
                used_bytes: usage.bytes,
                inodes_used: usage.inodes,
            }),
        };
        self.layer.store(Some(Arc::new(measured)));
    }
}
