//! Running a pod: images, directories, sandbox, init containers in order, containers.
//!
//! A failure names the step and takes back everything that was made. So does an interrupt. When taking back fails too, both are
//! reported.

use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use crio_cri_api::v1;
use tokio::time::{Instant, interval};

use super::super::client::{Client, OPERATION, QUESTION, failed, within};
use super::super::container::log_line::LogLine;
use super::super::image;
use super::super::output::tell;
use super::directory::PodDirectory;
use super::manifest::{Container, Pod, PullPolicy, Volume};
use super::request::Plan;
use super::stop::{remove_id, stop_id};

/// How often the daemon is asked whether an init container has ended: CRI tells no client without being asked.
const ASK: Duration = Duration::from_millis(100);

/// Runs `pod` and gives its sandbox' id.
pub async fn run(client: &mut Client, pod: Pod, init_timeout_seconds: u64) -> Result<String> {
    let uid = std::fs::read_to_string("/proc/sys/kernel/random/uuid").context("cannot make a uid")?;
    let uid = uid.trim().to_owned();
    let mut run = Run {
        plan: Plan {
            directory: PodDirectory::new(&pod.namespace, &pod.name, &uid),
            node_memory_bytes: node_memory_bytes()?,
            pod,
            uid,
        },
        init_timeout: Duration::from_secs(init_timeout_seconds),
        sandbox: None,
    };
    let outcome = tokio::select! {
        outcome = run.start(client) => outcome,
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
    };
    match outcome {
        Ok(id) => Ok(id),
        Err(failure) => Err(run.take_back(client, failure).await),
    }
}

/// What was made so far.
struct Run {
    plan: Plan,
    init_timeout: Duration,
    /// Set before the sandbox exists: a call that was cut off may have made it.
    sandbox: Option<Sandbox>,
}

enum Sandbox {
    Asked,
    Made(String),
}

impl Run {
    async fn start(&mut self, client: &mut Client) -> Result<String> {
        let pod = self.plan.pod.clone();
        let mut images = Vec::new();
        for container in pod.init_containers.iter().chain(&pod.containers) {
            let image = provide_image(client, &container.image, container.pull).await?;
            self.check_user(container, &image)?;
            images.push(image.id);
        }
        for volume in pod.volumes.values() {
            if let Volume::Image { reference, pull } = volume {
                provide_image(client, reference, *pull).await?;
            }
        }
        self.plan.directory.make(&pod)?;
        let id = self.make_sandbox(client).await?;
        let (init_images, images) = images.split_at(pod.init_containers.len());
        for (container, image_id) in pod.init_containers.iter().zip(init_images) {
            let container_id = self.start_container(client, &id, container, image_id).await?;
            self.wait_for_success(client, &container.name, &container_id).await?;
        }
        for (container, image_id) in pod.containers.iter().zip(images) {
            self.start_container(client, &id, container, image_id).await?;
        }
        Ok(id)
    }

    /// `runAsNonRoot` as kubelet checks it: by the uid of the manifest, or else of the image.
    fn check_user(&self, container: &Container, image: &v1::Image) -> Result<()> {
        let identity = self.plan.identity(container);
        if identity.non_root != Some(true) {
            return Ok(());
        }
        let image_user = image.uid.as_ref().map(|uid| uid.value);
        match identity.user.or(image_user) {
            Some(0) => bail!("container {} has to run as non-root, and would run as root", container.name),
            Some(_) => Ok(()),
            None if image.username.is_empty() => {
                bail!("container {} has to run as non-root, and its image runs as root", container.name)
            }
            None => bail!(
                "container {} has to run as non-root, and its image runs as {:?}: set runAsUser",
                container.name,
                image.username
            ),
        }
    }

    async fn make_sandbox(&mut self, client: &mut Client) -> Result<String> {
        let request = v1::RunPodSandboxRequest {
            config: Some(self.plan.sandbox()),
            runtime_handler: self.plan.pod.runtime_class.clone(),
        };
        self.sandbox = Some(Sandbox::Asked);
        let answer = client.runtime.run_pod_sandbox(within(OPERATION, request)).await;
        let id = answer.map_err(failed("cannot make the pod's sandbox"))?.into_inner().pod_sandbox_id;
        self.sandbox = Some(Sandbox::Made(id.clone()));
        if !self.plan.pod.host.network {
            let addresses = addresses(client, &id).await?;
            self.plan.directory.write_hosts(self.plan.hostname(), &addresses)?;
        }
        Ok(id)
    }

    async fn start_container(
        &self,
        client: &mut Client,
        sandbox: &str,
        container: &Container,
        image_id: &str,
    ) -> Result<String> {
        let name = &container.name;
        let request = v1::CreateContainerRequest {
            pod_sandbox_id: sandbox.to_owned(),
            config: Some(self.plan.container(container, image_id)),
            sandbox_config: Some(self.plan.sandbox()),
        };
        let answer = client.runtime.create_container(within(OPERATION, request)).await;
        let id = answer.map_err(failed(format!("cannot create container {name}")))?.into_inner().container_id;
        let request = v1::StartContainerRequest { container_id: id.clone() };
        let answer = client.runtime.start_container(within(OPERATION, request)).await;
        answer.map_err(failed(format!("cannot start container {name}")))?;
        Ok(id)
    }

    async fn wait_for_success(&self, client: &mut Client, name: &str, id: &str) -> Result<()> {
        let deadline = Instant::now() + self.init_timeout;
        let mut ask = interval(ASK);
        loop {
            ask.tick().await;
            let status = client.container_status(id, false).await?.status.unwrap_or_default();
            if status.state() == v1::ContainerState::ContainerExited {
                if status.exit_code == 0 {
                    return Ok(());
                }
                bail!(
                    "init container {name} ended with {} ({}); its log said:\n{}",
                    status.exit_code,
                    status.reason,
                    last_lines(&status.log_path)
                );
            }
            if Instant::now() >= deadline {
                bail!("init container {name} did not end within {} s", self.init_timeout.as_secs());
            }
        }
    }

    /// Removes what was made. The answer is `failure`, with what could not be removed.
    async fn take_back(&self, client: &mut Client, failure: anyhow::Error) -> anyhow::Error {
        let mut left = Vec::new();
        let id = match &self.sandbox {
            None => None,
            Some(Sandbox::Made(id)) => Some(id.clone()),
            Some(Sandbox::Asked) => self.find_sandbox(client).await,
        };
        if let Some(id) = id {
            left.extend(stop_id(client, &id).await.err());
            left.extend(remove_id(client, &id).await.err());
        }
        if left.is_empty() {
            left.extend(self.plan.directory.remove().err());
        }
        if left.is_empty() {
            return failure;
        }
        let left: Vec<String> = left.iter().map(|failure| format!("{failure:#}")).collect();
        anyhow!("{failure:#}; not everything could be removed again: {}", left.join("; "))
    }

    /// The sandbox that a call made which did not answer.
    async fn find_sandbox(&self, client: &mut Client) -> Option<String> {
        let sandboxes = client.sandboxes().await.ok()?;
        let ours = |item: &&v1::PodSandbox| item.metadata.as_ref().is_some_and(|it| it.uid == self.plan.uid);
        sandboxes.iter().find(ours).map(|item| item.id.clone())
    }
}

/// Pulls an image when its policy says so.
async fn provide_image(client: &mut Client, name: &str, policy: PullPolicy) -> Result<v1::Image> {
    let present = image::find(client, name).await?;
    let pull = match (policy, &present) {
        (PullPolicy::Never, None) => bail!("image {name} is not on this node, and its policy is never to pull it"),
        (PullPolicy::Always, _) | (PullPolicy::IfNotPresent, None) => true,
        _ => false,
    };
    let found = if pull {
        tell(&format!("pulling {name}"));
        image::pull(client, name, true).await?;
        image::find(client, name).await?
    } else {
        present
    };
    found.with_context(|| format!("image {name} was pulled and is not there"))
}

async fn addresses(client: &mut Client, sandbox: &str) -> Result<Vec<String>> {
    let request = v1::PodSandboxStatusRequest { pod_sandbox_id: sandbox.to_owned(), verbose: false };
    let answer = client.runtime.pod_sandbox_status(within(QUESTION, request)).await;
    let status = answer.map_err(failed("cannot see the pod's addresses"))?.into_inner().status;
    let network = status.and_then(|status| status.network).unwrap_or_default();
    let further = network.additional_ips.into_iter().map(|ip| ip.ip);
    Ok(std::iter::once(network.ip).chain(further).filter(|ip| !ip.is_empty()).collect())
}

/// The end of a log, since taking back removes the log.
fn last_lines(path: &str) -> String {
    const LINES: usize = 10;
    let records = log_end(path).unwrap_or_default();
    let lines: Vec<String> = records
        .split(|byte| *byte == b'\n')
        .filter_map(LogLine::parse)
        .map(|line| String::from_utf8_lossy(line.content).into_owned())
        .collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// The last bytes of a log, which may begin within a record.
fn log_end(path: &str) -> std::io::Result<Vec<u8>> {
    const BYTES: u64 = 64 << 10;
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
    let mut end = Vec::new();
    file.take(BYTES).read_to_end(&mut end)?;
    Ok(end)
}

fn node_memory_bytes() -> Result<i64> {
    let text = std::fs::read_to_string("/proc/meminfo").context("cannot read the node's memory")?;
    let kibibytes = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|number| number.trim().parse::<i64>().ok());
    Ok(kibibytes.context("/proc/meminfo has no MemTotal")? * 1024)
}
