//! `crio container`: list, inspect, logs, exec, attach and stats through the daemon.
//!
//! `exec` runs a command to its end and prints what it wrote; with `-i` or `-t` this terminal is connected to it.

pub mod log_line;
mod logs;
mod stats;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Subcommand;
use crio_cri_api::v1;
use serde_json::{Value, json};

use super::client::{Client, Connection, OPERATION, QUESTION, failed, within};
use super::image::info_json;
use super::output::{self, Format, Table};
use super::stream::{self, Ends};

/// What to do with containers.
#[derive(Debug, Subcommand)]
pub enum ContainerAction {
    /// List running containers
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        connection: Connection,
        /// Those that do not run, too
        #[arg(short, long)]
        all: bool,
        /// Table or JSON
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Print what is known about a container as JSON
    Inspect {
        #[command(flatten)]
        connection: Connection,
        /// Id, beginning of an id, or name
        container: String,
    },
    /// Print what a container wrote
    Logs(logs::LogsArguments),
    /// Run a command in a container, and end with its exit status
    Exec {
        #[command(flatten)]
        connection: Connection,
        /// Pass standard input on
        #[arg(short, long)]
        interactive: bool,
        /// Give the command a terminal, which is this one
        #[arg(short, long)]
        tty: bool,
        /// Kill the command after so many seconds; 0 for never
        #[arg(long, default_value_t = 0, value_name = "SECONDS", conflicts_with_all = ["interactive", "tty"])]
        timeout: u32,
        /// Id, beginning of an id, or name
        container: String,
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Connect to a container's own output, and input
    Attach {
        #[command(flatten)]
        connection: Connection,
        /// Pass standard input on
        #[arg(short, long)]
        interactive: bool,
        /// The container has a terminal, which becomes this one
        #[arg(short, long)]
        tty: bool,
        /// Id, beginning of an id, or name
        container: String,
    },
    /// Print what containers use
    Stats {
        #[command(flatten)]
        connection: Connection,
        /// Table or JSON
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
        /// Ids, beginnings of ids, or names; all running ones when none is given
        containers: Vec<String>,
    },
}

/// Does it.
pub async fn run(action: ContainerAction) -> Result<ExitCode> {
    match action {
        ContainerAction::List { connection, all, output } => list(&mut connection.open().await?, all, output).await?,
        ContainerAction::Inspect { connection, container } => {
            inspect(&mut connection.open().await?, &container).await?;
        }
        ContainerAction::Logs(arguments) => logs::run(&arguments).await?,
        ContainerAction::Exec { connection, interactive, tty, timeout, container, command } => {
            let mut client = connection.open().await?;
            if !(interactive || tty) {
                return exec(&mut client, &container, command, timeout).await;
            }
            return exec_here(&mut client, &container, command, Ends { stdin: interactive, tty }).await;
        }
        ContainerAction::Attach { connection, interactive, tty, container } => {
            let mut client = connection.open().await?;
            return attach_here(&mut client, &container, Ends { stdin: interactive, tty }).await;
        }
        ContainerAction::Stats { connection, output, containers } => {
            stats::run(&mut connection.open().await?, &containers, output).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The word for a container's state.
pub fn state_word(state: v1::ContainerState) -> &'static str {
    match state {
        v1::ContainerState::ContainerCreated => "created",
        v1::ContainerState::ContainerRunning => "running",
        v1::ContainerState::ContainerExited => "exited",
        v1::ContainerState::ContainerUnknown => "unknown",
    }
}

async fn list(client: &mut Client, all: bool, format: Format) -> Result<()> {
    let mut containers = client.containers().await?;
    containers.retain(|container| all || container.state() == v1::ContainerState::ContainerRunning);
    let mut table = Table::new(&["ID", "NAME", "STATE", "AGE", "IMAGE", "POD"]);
    for container in &containers {
        let image = container.image.as_ref().map(|image| image.image.clone()).unwrap_or_default();
        table.push(vec![
            output::short_id(&container.id),
            container.metadata.as_ref().map(|metadata| metadata.name.clone()).unwrap_or_default(),
            state_word(container.state()).to_owned(),
            output::age(container.created_at),
            if image == container.image_id { output::short_id(&image) } else { image },
            container.labels.get("io.kubernetes.pod.name").cloned().unwrap_or_default(),
        ]);
    }
    output::print_list(format, &table, containers.iter().map(summary).collect())
}

fn summary(container: &v1::Container) -> Value {
    json!({
        "id": container.id,
        "podSandboxId": container.pod_sandbox_id,
        "name": container.metadata.as_ref().map(|metadata| &metadata.name),
        "attempt": container.metadata.as_ref().map(|metadata| metadata.attempt),
        "state": state_word(container.state()),
        "createdAt": container.created_at,
        "image": container.image.as_ref().map(|image| &image.image),
        "imageRef": container.image_ref,
        "imageId": container.image_id,
        "labels": container.labels,
        "annotations": container.annotations,
    })
}

async fn inspect(client: &mut Client, wanted: &str) -> Result<()> {
    let found = client.container(wanted).await?;
    let answer = client.container_status(&found.id, true).await?;
    let Some(status) = &answer.status else {
        bail!("the daemon has no status of container {}", found.id);
    };
    let mut value = summary(&found);
    value["state"] = json!(state_word(status.state()));
    for (key, moment) in [("startedAt", status.started_at), ("finishedAt", status.finished_at)] {
        value[key] = json!(moment);
    }
    value["exitCode"] = json!(status.exit_code);
    value["reason"] = json!(status.reason);
    value["message"] = json!(status.message);
    value["logPath"] = json!(status.log_path);
    let mounts = status.mounts.iter().map(
        |mount| json!({"containerPath": mount.container_path, "hostPath": mount.host_path, "readonly": mount.readonly}),
    );
    value["mounts"] = mounts.collect();
    value["info"] = info_json(&answer.info);
    output::print_json(&value)
}

async fn exec(client: &mut Client, wanted: &str, command: Vec<String>, timeout_seconds: u32) -> Result<ExitCode> {
    let container = client.container(wanted).await?;
    let message = v1::ExecSyncRequest { container_id: container.id, cmd: command, timeout: i64::from(timeout_seconds) };
    // Without a timeout the command may run as long as it likes, so the call has no deadline either.
    let request = match timeout_seconds {
        0 => tonic::Request::new(message),
        seconds => within(OPERATION + Duration::from_secs(u64::from(seconds)), message),
    };
    let answer = client.runtime.exec_sync(request).await;
    let answer = answer.map_err(failed(format!("cannot run the command in {wanted}")))?.into_inner();
    std::io::stdout().write_all(&answer.stdout)?;
    std::io::stderr().write_all(&answer.stderr)?;
    Ok(u8::try_from(answer.exit_code).map_or(ExitCode::FAILURE, ExitCode::from))
}

async fn exec_here(client: &mut Client, wanted: &str, command: Vec<String>, ends: Ends) -> Result<ExitCode> {
    let container_id = client.container(wanted).await?.id;
    let Ends { stdin, tty } = ends;
    let request = v1::ExecRequest { container_id, cmd: command, tty, stdin, stdout: true, stderr: !tty };
    let answer = client.runtime.exec(within(QUESTION, request)).await;
    let url = answer.map_err(failed(format!("cannot run the command in {wanted}")))?.into_inner().url;
    stream::connect(&url, ends).await
}

async fn attach_here(client: &mut Client, wanted: &str, ends: Ends) -> Result<ExitCode> {
    let container_id = client.container(wanted).await?.id;
    let Ends { stdin, tty } = ends;
    let request = v1::AttachRequest { container_id, tty, stdin, stdout: true, stderr: !tty };
    let answer = client.runtime.attach(within(QUESTION, request)).await;
    let url = answer.map_err(failed(format!("cannot attach to {wanted}")))?.into_inner().url;
    stream::connect(&url, ends).await
}
