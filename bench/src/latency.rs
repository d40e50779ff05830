//! One pod after the other: how long each step takes when nothing else happens.
//!
//! A round is a pod with a container that sleeps, which is executed in, killed and removed, then one that obeys
//! SIGTERM, then the pod's end. Pod-to-running is from the beginning of RunPodSandbox to the moment the container is
//! seen running.

use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::client::Cri;
use crate::pod::{Process, READY_FILE, Template, seen_running};
use crate::samples::{Recorder, Summary};

/// More than any container needs that obeys.
const GRACE_SECONDS: i64 = 30;

/// Runs the rounds.
pub(crate) async fn measure(cri: &Cri, template: &Template, rounds: usize) -> Result<Vec<Summary>> {
    let mut recorder = Recorder::default();
    for round in 0..rounds {
        one_pod(cri, template, &format!("latency-{round}"), &mut recorder)
            .await
            .with_context(|| format!("round {round}"))?;
    }
    Ok(recorder.summaries())
}

async fn one_pod(cri: &Cri, template: &Template, name: &str, recorder: &mut Recorder) -> Result<()> {
    template.make_log_directory(name, "sleeps")?;
    template.make_log_directory(name, "obeys")?;
    let started = Instant::now();
    let sandbox = recorder.time("RunPodSandbox", template.run(cri, name)).await?;
    let config = template.container("sleeps", Process::Sleeps);
    let create = cri.create_container(&sandbox.id, config, sandbox.config.clone());
    let container = recorder.time("CreateContainer", create).await?;
    recorder.time("StartContainer", cri.start_container(&container)).await?;
    seen_running(cri, &container).await?;
    recorder.add("pod-to-running", started.elapsed());

    recorder.time("ExecSync true", cri.exec(&container, &["true"])).await?;
    recorder.time("StopContainer, grace 0", cri.stop_container(&container, 0)).await?;
    recorder.time("RemoveContainer", cri.remove_container(&container)).await?;

    let config = template.container("obeys", Process::ObeysTerm);
    let container = cri.create_container(&sandbox.id, config, sandbox.config.clone()).await?;
    cri.start_container(&container).await?;
    let wait = format!("while [ ! -e {READY_FILE} ]; do :; done");
    cri.exec(&container, &["sh", "-c", &wait]).await?;
    recorder.time("StopContainer, obeys TERM", cri.stop_container(&container, GRACE_SECONDS)).await?;

    recorder.time("StopPodSandbox", cri.stop_pod_sandbox(&sandbox.id)).await?;
    recorder.time("RemovePodSandbox", cri.remove_pod_sandbox(&sandbox.id)).await?;
    Ok(())
}
