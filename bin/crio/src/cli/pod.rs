//! `crio pod`: run a Kubernetes Pod manifest without a cluster, and look after such pods.
//!
//! What kubelet does around the runtime is done here once, at the start: log and volume directories, `/etc/hosts`, init containers in
//! order. Nothing watches the pod afterwards, so nothing is restarted and no probe runs.

mod directory;
mod manifest;
mod request;
mod start;
mod stop;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use crio_cri_api::v1;
use serde_json::{Value, json};

use super::client::{Client, Connection, QUESTION, failed, within};
use super::container::state_word;
use super::image::info_json;
use super::output::{self, Format, Table};
use stop::Running;

/// The largest manifest that is read, in bytes.
const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// What to do with pods.
#[derive(Debug, Subcommand)]
pub enum PodAction {
    /// Run the pod of a Kubernetes manifest and print its id
    Run {
        #[command(flatten)]
        connection: Connection,
        /// How long an init container may run, in seconds
        #[arg(long, default_value_t = 600, value_name = "SECONDS")]
        init_timeout: u64,
        /// Manifest; - for standard input
        file: PathBuf,
    },
    /// List pods
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        connection: Connection,
        /// Table or JSON
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Print what is known about a pod as JSON
    Inspect {
        #[command(flatten)]
        connection: Connection,
        /// Id, beginning of an id, name, or namespace/name
        pod: String,
    },
    /// Stop pods and everything in them
    Stop {
        #[command(flatten)]
        connection: Connection,
        /// Kill containers that do not obey their stop signal after so many seconds [default: the daemon's]
        #[arg(short, long, value_name = "SECONDS")]
        timeout: Option<u32>,
        /// Ids, beginnings of ids, names, or namespace/name
        #[arg(required = true)]
        pods: Vec<String>,
    },
    /// Remove pods and everything in them; running ones only with --force
    #[command(name = "rm", visible_alias = "remove")]
    Remove {
        #[command(flatten)]
        connection: Connection,
        /// Stop them first
        #[arg(short, long)]
        force: bool,
        /// With --force, kill containers that do not obey their stop signal after so many seconds [default: the daemon's]
        #[arg(short, long, value_name = "SECONDS", requires = "force")]
        timeout: Option<u32>,
        /// Ids, beginnings of ids, names, or namespace/name
        #[arg(required = true)]
        pods: Vec<String>,
    },
}

/// Does it.
pub async fn run(action: PodAction) -> Result<ExitCode> {
    match action {
        PodAction::Run { connection, init_timeout, file } => {
            let pod = manifest::parse(&read_manifest(&file)?)
                .with_context(|| format!("cannot run the pod of {}", file.display()))?;
            let id = Box::pin(start::run(&mut connection.open().await?, pod, init_timeout)).await?;
            output::print_line(&id)?;
        }
        PodAction::List { connection, output } => list(&mut connection.open().await?, output).await?,
        PodAction::Inspect { connection, pod } => inspect(&mut connection.open().await?, &pod).await?,
        PodAction::Stop { connection, timeout, pods } => {
            let mut client = connection.open().await?;
            let mut failures = Vec::new();
            for pod in &pods {
                failures.extend(stop::stop(&mut client, pod, timeout).await.err());
            }
            finish(&failures)?;
        }
        PodAction::Remove { connection, force, timeout, pods } => {
            let running = if force { Running::Stop(timeout) } else { Running::Refuse };
            let mut client = connection.open().await?;
            let mut failures = Vec::new();
            for pod in &pods {
                failures.extend(stop::remove(&mut client, pod, running).await.err());
            }
            finish(&failures)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read_manifest(file: &Path) -> Result<String> {
    let source: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?)
    };
    let mut text = String::new();
    source
        .take(MAX_MANIFEST_BYTES + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {}", file.display()))?;
    if text.len() as u64 > MAX_MANIFEST_BYTES {
        bail!("{} is larger than {MAX_MANIFEST_BYTES} bytes", file.display());
    }
    Ok(text)
}

/// Every failure, one a line.
fn finish(failures: &[anyhow::Error]) -> Result<()> {
    if failures.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = failures.iter().map(|failure| format!("{failure:#}")).collect();
    bail!("{}", lines.join("\ncrio: "))
}

fn sandbox_state(state: v1::PodSandboxState) -> &'static str {
    match state {
        v1::PodSandboxState::SandboxReady => "ready",
        v1::PodSandboxState::SandboxNotready => "not ready",
    }
}

async fn list(client: &mut Client, format: Format) -> Result<()> {
    let sandboxes = client.sandboxes().await?;
    let containers = client.containers().await?;
    let mut table = Table::new(&["ID", "NAMESPACE", "NAME", "STATE", "AGE", "CONTAINERS", "HANDLER"]);
    for sandbox in &sandboxes {
        let metadata = sandbox.metadata.clone().unwrap_or_default();
        let own = containers.iter().filter(|container| container.pod_sandbox_id == sandbox.id);
        let running = own.clone().filter(|container| container.state() == v1::ContainerState::ContainerRunning);
        table.push(vec![
            output::short_id(&sandbox.id),
            metadata.namespace,
            metadata.name,
            sandbox_state(sandbox.state()).to_owned(),
            output::age(sandbox.created_at),
            format!("{}/{}", running.count(), own.count()),
            sandbox.runtime_handler.clone(),
        ]);
    }
    output::print_list(format, &table, sandboxes.iter().map(summary).collect())
}

fn summary(sandbox: &v1::PodSandbox) -> Value {
    let metadata = sandbox.metadata.clone().unwrap_or_default();
    json!({
        "id": sandbox.id,
        "name": metadata.name,
        "namespace": metadata.namespace,
        "uid": metadata.uid,
        "attempt": metadata.attempt,
        "state": sandbox_state(sandbox.state()),
        "createdAt": sandbox.created_at,
        "runtimeHandler": sandbox.runtime_handler,
        "labels": sandbox.labels,
        "annotations": sandbox.annotations,
    })
}

async fn inspect(client: &mut Client, wanted: &str) -> Result<()> {
    let sandbox = client.sandbox(wanted).await?;
    let request = v1::PodSandboxStatusRequest { pod_sandbox_id: sandbox.id.clone(), verbose: true };
    let answer = client.runtime.pod_sandbox_status(within(QUESTION, request)).await;
    let answer = answer.map_err(failed(format!("cannot see pod {wanted}")))?.into_inner();
    let network = answer.status.and_then(|status| status.network).unwrap_or_default();
    let further = network.additional_ips.into_iter().map(|ip| ip.ip);
    let addresses: Vec<String> = std::iter::once(network.ip).chain(further).filter(|ip| !ip.is_empty()).collect();
    let containers = client.containers().await?;
    let own = containers.iter().filter(|container| container.pod_sandbox_id == sandbox.id);
    let mut value = summary(&sandbox);
    value["ips"] = json!(addresses);
    value["containers"] = own
        .map(|container| {
            let name = container.metadata.as_ref().map(|metadata| &metadata.name);
            json!({"id": container.id, "name": name, "state": state_word(container.state())})
        })
        .collect();
    value["info"] = info_json(&answer.info);
    output::print_json(&value)
}
