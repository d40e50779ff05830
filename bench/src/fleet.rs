//! Many pods at once: how fast they come up and go down, what they cost, and what lists cost while they run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::client::{Cri, Interrupt};
use crate::lists::{self, CallCost};
use crate::options::Options;
use crate::pod::{Process, Template, seen_running};
use crate::process::{CpuSeconds, Watched, pss_bytes};

/// One direction.
#[derive(Debug, Serialize)]
pub(crate) struct Pace {
    /// Seconds in all.
    pub(crate) seconds: f64,
    /// Pods a second.
    pub(crate) pods_per_second: f64,
    /// Processor time it took.
    pub(crate) cpu: Option<CpuSeconds>,
}

/// Memory while all pods run, in bytes of proportional set size.
#[derive(Debug, Serialize)]
pub(crate) struct Memory {
    /// Of the daemon.
    pub(crate) daemon_bytes: u64,
    /// Of all monitors that came with the pods.
    pub(crate) monitors_bytes: u64,
    /// How many those are.
    pub(crate) monitors: usize,
}

/// What many pods cost.
#[derive(Debug, Serialize)]
pub(crate) struct Fleet {
    pub(crate) pods: usize,
    pub(crate) clients: usize,
    pub(crate) up: Pace,
    pub(crate) memory: Option<Memory>,
    pub(crate) calls: Vec<CallCost>,
    pub(crate) down: Pace,
}

/// Brings the pods up, looks, and takes them down.
pub(crate) async fn measure(options: &Options, template: &Template, interrupt: &Interrupt) -> Result<Fleet> {
    let clients = Clients::connect(options, interrupt).await?;
    let watched = clients.watched.as_ref();
    let before = watched.map(Watched::monitors).transpose()?.unwrap_or_default();
    let template = Arc::new(template.clone());
    let start = move |cri: Cri, index: usize| {
        let template = Arc::clone(&template);
        async move { bring_up(&cri, &template, &format!("fleet-{index}")).await }
    };
    let (up, pods) = clients.pace(start).await.context("bringing pods up")?;

    let memory = watched.map(|watched| memory(watched, &before)).transpose()?;
    let calls = match (clients.connections.first(), pods.first()) {
        (Some(cri), Some(pod)) => lists::measure(cri, watched, options.calls, pod).await?,
        _ => Vec::new(),
    };

    let pods = Arc::new(pods);
    let stop = move |cri: Cri, index: usize| {
        let pods = Arc::clone(&pods);
        async move {
            let Some(pod) = pods.get(index) else { return Ok(()) };
            // As kubelet does: the containers first, so that no runtime waits for a process that ignores SIGTERM.
            cri.stop_container(&pod.container, 0).await?;
            cri.stop_pod_sandbox(&pod.sandbox).await?;
            cri.remove_pod_sandbox(&pod.sandbox).await
        }
    };
    let (down, _) = clients.pace(stop).await.context("taking pods down")?;
    Ok(Fleet { pods: options.pods, clients: options.clients, up, memory, calls, down })
}

/// The ids of a pod that runs.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) sandbox: String,
    pub(crate) container: String,
}

async fn bring_up(cri: &Cri, template: &Template, name: &str) -> Result<Pod> {
    template.make_log_directory(name, "sleeps")?;
    let sandbox = template.run(cri, name).await?;
    let config = template.container("sleeps", Process::Sleeps);
    let container = cri.create_container(&sandbox.id, config, sandbox.config.clone()).await?;
    cri.start_container(&container).await?;
    seen_running(cri, &container).await?;
    Ok(Pod { sandbox: sandbox.id, container })
}

/// Clients that share the work, each with a connection of its own.
struct Clients {
    connections: Vec<Cri>,
    pods: usize,
    watched: Option<Watched>,
}

impl Clients {
    async fn connect(options: &Options, interrupt: &Interrupt) -> Result<Self> {
        let mut connections = Vec::with_capacity(options.clients);
        for _ in 0..options.clients {
            connections.push(Cri::connect(&options.socket, interrupt.clone()).await?);
        }
        let watched = options.daemon_pid.map(|daemon| Watched { daemon, monitor_name: options.monitor_name.clone() });
        Ok(Self { connections, pods: options.pods, watched })
    }

    /// Does `work` once for each pod. After a failure the others finish the pod they have in hand.
    async fn pace<T, W, F>(&self, work: W) -> Result<(Pace, Vec<T>)>
    where
        T: Send + 'static,
        W: Fn(Cri, usize) -> F + Clone + Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let cpu = self.watched.as_ref().map(Watched::cpu).transpose()?;
        let started = Instant::now();
        let next = Arc::new(AtomicUsize::new(0));
        let mut clients = JoinSet::new();
        for cri in self.connections.iter().cloned() {
            clients.spawn(client(cri, Arc::clone(&next), self.pods, work.clone()));
        }
        let (mut done, mut failure) = (Vec::with_capacity(self.pods), None);
        while let Some(ended) = clients.join_next().await {
            match ended.context("a client panicked").flatten() {
                Ok(part) => done.extend(part),
                Err(error) => {
                    next.store(self.pods, Ordering::Relaxed);
                    failure.get_or_insert(error);
                }
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        let seconds = started.elapsed().as_secs_f64();
        let cpu = match (&self.watched, cpu) {
            (Some(watched), Some(earlier)) => Some(watched.cpu()?.since(earlier)),
            _ => None,
        };
        #[expect(clippy::cast_precision_loss, reason = "a number of pods")]
        let pods_per_second = self.pods as f64 / seconds;
        Ok((Pace { seconds, pods_per_second, cpu }, done))
    }
}

/// One client: takes the next pod until there are no more.
async fn client<T, W, F>(cri: Cri, next: Arc<AtomicUsize>, pods: usize, work: W) -> Result<Vec<T>>
where
    W: Fn(Cri, usize) -> F,
    F: Future<Output = Result<T>>,
{
    let mut done = Vec::new();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= pods {
            return Ok(done);
        }
        done.push(work(cri.clone(), index).await.with_context(|| format!("pod {index}"))?);
    }
}

fn memory(watched: &Watched, before: &std::collections::BTreeSet<u32>) -> Result<Memory> {
    let sizes: Vec<u64> = watched.monitors()?.difference(before).filter_map(|pid| pss_bytes(*pid).ok()).collect();
    Ok(Memory { daemon_bytes: pss_bytes(watched.daemon)?, monitors_bytes: sizes.iter().sum(), monitors: sizes.len() })
}
