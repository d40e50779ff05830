//! A registry, a node and critest.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::images::{self, Images};
use super::report::Report;
use crate::{Node, Options, Registry, Runtime, image, run};

/// Where the daemon puts pods whose requests name no control group, as critest's do not.
const CGROUP_PARENT: &str = "/crio";
/// The variable that stands for the digest which critest has as a constant.
const DIGEST_VARIABLE: &str = "CRITEST_IMAGE_DIGEST";
/// critest ends itself after this, with whatever it has found.
const SUITE_TIMEOUT: &str = "20m";
/// The table of System V shared memory of this machine, and the size of the segments that critest makes and leaves.
const SHARED_MEMORY: &str = "/proc/sysvipc/shm";
const SEGMENT_BYTES: &str = "1048576";

/// Which specs run, and how.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Regular expressions of which a name has to match one; all names do when there is none.
    pub focus: Vec<String>,
    /// Regular expressions of which a name must not match any.
    pub skip: Vec<String>,
    /// How many specs run at a time; those that are marked serial run alone. 0 and 1 run one after the other.
    pub parallel: usize,
    /// Exec, attach and port-forward go over WebSocket instead of SPDY.
    pub websocket: bool,
    /// The benchmarks run, and nothing else.
    pub benchmark: bool,
}

/// What critest needs.
#[derive(Debug)]
pub struct Rig {
    // Dropped in this order: the node first, and critest with it.
    node: Node,
    _segments: SharedMemory,
    _registry: Registry,
    tools: PathBuf,
    image_digest: String,
}

impl Rig {
    /// Builds and pushes the images and starts a node. `tools` is where `cargo xtask setup` has put critest.
    ///
    /// # Errors
    /// Something is missing on the machine, or the daemon does not start.
    pub async fn set(runtime: Runtime, tools: &Path) -> Result<Self> {
        ensure!(tools.join("critest").is_file(), "{} has no critest: run `cargo xtask setup`", tools.display());
        let registry = Registry::start().await?;
        let Images { named, by_digest } = images::all(&tools.join("packages"))?;
        for (name, image) in named {
            registry.push(&image, &name).await.with_context(|| format!("cannot push {name}"))?;
        }
        let pause_image = registry.push(&image::pause()?, "library/pause:latest").await?;
        let options = Options {
            runtime,
            insecure_registries: vec![registry.host()],
            pause_image,
            registries_conf: redirections(&registry),
            cgroup_parent: Some(CGROUP_PARENT.to_owned()),
            ..Options::default()
        };
        let segments = SharedMemory { before: segments()? };
        let node = Node::start(options).await?;
        fs::create_dir(node.path("tmp"))?;
        Ok(Self { node, _segments: segments, _registry: registry, tools: tools.to_owned(), image_digest: by_digest })
    }

    /// Runs specs; what critest prints goes to the file `log`.
    ///
    /// # Errors
    /// critest cannot be run, or ends without a report. Failed specs are no error: they are in the report.
    pub async fn run(&self, selection: &Selection, log: &Path) -> Result<Report> {
        let json = self.node.path("tmp/report.json");
        let _ = fs::remove_file(&json);
        let file = fs::File::create(log).with_context(|| format!("cannot make {}", log.display()))?;
        let mut command = self.command(selection, &json)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let status = tokio::task::spawn_blocking(move || command.status()).await?.context("cannot run critest")?;
        let report = fs::read(&json)
            .with_context(|| format!("critest ended with {status} and no report; see {}", log.display()))?;
        let report = Report::parse(&report)?;
        ensure!(
            status.success() || !report.failed.is_empty(),
            "critest ended with {status} although no spec failed; see {}",
            log.display()
        );
        Ok(report)
    }

    fn command(&self, selection: &Selection, json: &Path) -> Result<Command> {
        let mut command = self.node.inside(&self.tools.join("critest"));
        let socket = self.node.socket().display().to_string();
        for service in ["runtime", "image"] {
            command.arg(format!("-{service}-endpoint=unix://{socket}"));
        }
        command.args(["-ginkgo.no-color", &format!("-ginkgo.timeout={SUITE_TIMEOUT}")]);
        command.arg(format!("-ginkgo.json-report={}", json.display()));
        command.args(selection.focus.iter().map(|pattern| format!("-ginkgo.focus={pattern}")));
        command.args(selection.skip.iter().map(|pattern| format!("-ginkgo.skip={pattern}")));
        if selection.parallel > 1 {
            command.arg(format!("-parallel={}", selection.parallel));
        }
        if selection.websocket {
            command.args(["-websocket-exec", "-websocket-attach", "-websocket-portforward"]);
        }
        if selection.benchmark {
            command.arg("-benchmark");
        }
        // Running in parallel, critest looks for ginkgo in PATH. It never removes all it makes below TMPDIR.
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([self.tools.clone()].into_iter().chain(std::env::split_paths(&path)))?;
        command.env("PATH", path).env("TMPDIR", self.node.path("tmp")).env(DIGEST_VARIABLE, &self.image_digest);
        Ok(command)
    }

    /// Everything the daemon has logged.
    #[must_use]
    pub fn daemon_log(&self) -> String {
        self.node.log()
    }

    /// Ends the daemon, and fails when anything is left on the host.
    ///
    /// # Errors
    /// Something is left, or the daemon does not end.
    pub async fn close(self) -> Result<()> {
        self.node.close().await
    }
}

/// Two specs make a segment of shared memory each and leave it; this removes what was not there before.
#[derive(Debug)]
struct SharedMemory {
    before: BTreeSet<String>,
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        for id in segments().unwrap_or_default().difference(&self.before) {
            if let Err(error) = run::output("ipcrm", &["--shmem-id", id]) {
                eprintln!("{error:#}");
            }
        }
    }
}

/// The ids of segments of that size that nobody is attached to.
fn segments() -> Result<BTreeSet<String>> {
    let table = fs::read_to_string(SHARED_MEMORY).with_context(|| format!("cannot read {SHARED_MEMORY}"))?;
    let id = |line: &str| {
        let mut words = line.split_whitespace();
        let (id, bytes, attached) = (words.nth(1)?, words.nth(1)?, words.nth(2)?);
        (bytes == SEGMENT_BYTES && attached == "0").then(|| id.to_owned())
    };
    Ok(table.lines().skip(1).filter_map(id).collect())
}

/// registries.conf: names of the registries that critest knows lead to ours, and nowhere else.
fn redirections(registry: &Registry) -> String {
    let host = registry.host();
    let table = |name: &str| {
        format!("[[registry]]\nprefix = {name:?}\nlocation = {:?}\ninsecure = true\n", format!("{host}/{name}"))
    };
    images::REGISTRIES.iter().copied().map(table).collect()
}
