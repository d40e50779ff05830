//! A connection to the daemon, and what every client command does with one.
//!
//! Every call has a deadline. Failures keep the daemon's message and its code, and say what was attempted.

pub mod inspect;

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use crio_cri_api::v1;
use crio_cri_api::v1::image_service_client::ImageServiceClient;
use crio_cri_api::v1::runtime_service_client::RuntimeServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

/// How long a question may take.
pub const QUESTION: Duration = Duration::from_secs(10);
/// How long an operation on a pod or container may take; the daemon's own deadlines are shorter.
pub const OPERATION: Duration = Duration::from_secs(300);
/// How long a pull may take.
pub const PULL: Duration = Duration::from_secs(3600);

/// Which daemon.
#[derive(Debug, Clone, Args)]
pub struct Connection {
    /// Socket of the daemon
    #[arg(
        long,
        env = "CONTAINER_RUNTIME_ENDPOINT",
        hide_env_values = true,
        value_name = "PATH",
        default_value = "unix:///var/run/crio/crio.sock"
    )]
    socket: String,
}

/// Both services of one daemon.
#[derive(Debug, Clone)]
pub struct Client {
    /// Pods and containers.
    pub runtime: RuntimeServiceClient<Channel>,
    /// Images.
    pub images: ImageServiceClient<Channel>,
    /// Path of the socket.
    pub socket: PathBuf,
}

/// Runs a client command; one thread is enough for it.
pub fn block_on(command: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?
        .block_on(command)
}

impl Connection {
    /// Connects to the daemon.
    pub async fn open(&self) -> Result<Client> {
        let socket = PathBuf::from(self.socket.strip_prefix("unix://").unwrap_or(&self.socket));
        let channel = tokio::time::timeout(QUESTION, crio_cri_api::connect(&socket))
            .await
            .map_err(|_| anyhow!("no answer from {} within {} s", socket.display(), QUESTION.as_secs()))?
            .with_context(|| format!("is the daemon running? Its socket is {}", socket.display()))?;
        Ok(Client {
            runtime: crio_cri_api::runtime_client(channel.clone()),
            images: crio_cri_api::image_client(channel),
            socket,
        })
    }
}

/// A request with a deadline, which the daemon learns too.
pub fn within<T>(deadline: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

/// What the daemon said, as an error about `attempted`.
pub fn failed(attempted: impl std::fmt::Display) -> impl FnOnce(Status) -> anyhow::Error {
    let attempted = attempted.to_string();
    move |status| match status.code() {
        Code::Unknown => anyhow!("{attempted}: {}", status.message()),
        code => anyhow!("{attempted}: {} ({code:?})", status.message()),
    }
}

/// The one of `candidates` that `wanted` names: by whole id, by name, or by a prefix of its id that no other has.
///
/// A candidate is an id and its names; the newest of several with the same name comes first and is taken.
pub fn choose<'a, T>(
    what: &str,
    wanted: &str,
    candidates: &'a [T],
    id: impl Fn(&T) -> &str,
    names: impl Fn(&T) -> Vec<String>,
) -> Result<&'a T> {
    let exact = candidates.iter().find(|candidate| id(candidate) == wanted);
    let named = || candidates.iter().find(|candidate| names(candidate).iter().any(|name| name == wanted));
    if let Some(found) = exact.or_else(named) {
        return Ok(found);
    }
    let by_prefix: Vec<&T> =
        candidates.iter().filter(|candidate| !wanted.is_empty() && id(candidate).starts_with(wanted)).collect();
    match by_prefix.as_slice() {
        [found] => Ok(found),
        [] => bail!("there is no {what} {wanted:?}"),
        several => bail!("{wanted:?} is the beginning of {} {what} ids", several.len()),
    }
}

impl Client {
    /// Every pod sandbox, newest first.
    pub async fn sandboxes(&mut self) -> Result<Vec<v1::PodSandbox>> {
        let request = within(QUESTION, v1::ListPodSandboxRequest::default());
        let answer = self.runtime.list_pod_sandbox(request).await.map_err(failed("cannot list pods"))?;
        let mut items = answer.into_inner().items;
        items.sort_by_key(|item| std::cmp::Reverse(item.created_at));
        Ok(items)
    }

    /// The pod sandbox that `wanted` names: an id, a prefix of one, `name` or `namespace/name`.
    pub async fn sandbox(&mut self, wanted: &str) -> Result<v1::PodSandbox> {
        let items = self.sandboxes().await?;
        let names = |item: &v1::PodSandbox| match &item.metadata {
            Some(metadata) => vec![metadata.name.clone(), format!("{}/{}", metadata.namespace, metadata.name)],
            None => Vec::new(),
        };
        choose("pod", wanted, &items, |item| &item.id, names).cloned()
    }

    /// Every container, newest first.
    pub async fn containers(&mut self) -> Result<Vec<v1::Container>> {
        let request = within(QUESTION, v1::ListContainersRequest::default());
        let answer = self.runtime.list_containers(request).await.map_err(failed("cannot list containers"))?;
        let mut items = answer.into_inner().containers;
        items.sort_by_key(|item| std::cmp::Reverse(item.created_at));
        Ok(items)
    }

    /// The container that `wanted` names: an id, a prefix of one, or a name.
    pub async fn container(&mut self, wanted: &str) -> Result<v1::Container> {
        let items = self.containers().await?;
        let names = |item: &v1::Container| item.metadata.iter().map(|metadata| metadata.name.clone()).collect();
        choose("container", wanted, &items, |item| &item.id, names).cloned()
    }

    /// The state of a container, with the daemon's further information when asked for.
    pub async fn container_status(&mut self, id: &str, verbose: bool) -> Result<v1::ContainerStatusResponse> {
        let request = v1::ContainerStatusRequest { container_id: id.to_owned(), verbose };
        let answer = self.runtime.container_status(within(QUESTION, request)).await;
        Ok(answer.map_err(failed(format!("cannot see container {id}")))?.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_win_over_prefixes_and_prefixes_have_to_be_unique() {
        let candidates = [("abc1", "web"), ("abd2", "abc"), ("x", "abd")];
        let check = |wanted: &str| {
            choose("pod", wanted, &candidates, |it| it.0, |it| vec![it.1.to_owned()])
                .map(|it| it.0)
                .map_err(|failure| failure.to_string())
        };
        assert_eq!(check("abc1"), Ok("abc1"));
        assert_eq!(check("abc"), Ok("abd2"));
        assert_eq!(check("web"), Ok("abc1"));
        assert_eq!(check("abd2"), Ok("abd2"));
        assert_eq!(check("ab"), Err("\"ab\" is the beginning of 2 pod ids".to_owned()));
        assert_eq!(check("y"), Err("there is no pod \"y\"".to_owned()));
        assert_eq!(check(""), Err("there is no pod \"\"".to_owned()));
    }
}
