//! CheckpointContainer: the state of a running container, in an archive of its own.
//!
//! ```text
//! place for the archive -> freeze -> the runtime's `checkpoint` -> what changed in the root -> thaw -> archive
//! ```
//! Frozen, the container's files are those of the moment its memory is of. The record says that it is frozen, so that a
//! daemon that is killed meanwhile leaves no container that never runs again. A stop of the container goes before.

mod archive;
mod place;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crio_checkpoint::{ArchiveWriter, DUMP_LOG, Patience};
use crio_runtime::CheckpointFiles;
use crio_storage::Changes;
use crio_types::ContainerState;

use crate::config::Checkpoints;
use crate::container::Container;
use crate::context::Context;
use crate::record::ContainerRecord;
use crate::sandbox::release::cgroup_path;
use crate::{Outcome, PodError};
use archive::Archive;
use place::Place;

/// Time allowed unless the request says otherwise: kubelet never asks for less.
const USUAL_LIMIT: Duration = Duration::from_secs(120);
/// The most time anybody gets.
const LIMIT_MAX: Duration = Duration::from_secs(3600);
/// How much of the end of CRIU's log is searched for its errors.
const LOG_TAIL_BYTES: u64 = 256 * 1024;
/// How many of them are passed on.
const ERRORS_MAX: usize = 3;

/// What a CheckpointContainer asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckpointRequest {
    pub(crate) location: PathBuf,
    pub(crate) limit: Option<Duration>,
}

/// Refuses unless checkpoints are enabled.
pub(crate) fn check_enabled(context: &Context) -> Result<(), PodError> {
    if context.config.checkpoints < Checkpoints::Written {
        return Err(PodError::CheckpointsOff { what: "written" });
    }
    Ok(())
}

/// Writes a checkpoint, or joins whoever writes the same one.
pub(crate) async fn checkpoint_container(
    context: &Arc<Context>,
    container: &Arc<Container>,
    request: CheckpointRequest,
) -> Outcome<()> {
    let id = container.id().as_str();
    let start = {
        let (context, container, request) = (Arc::clone(context), Arc::clone(container), request.clone());
        move || checkpoint(context, container, request)
    };
    context.operations.checkpoints.join(id, request, start).await
}

async fn checkpoint(
    context: Arc<Context>,
    container: Arc<Container>,
    request: CheckpointRequest,
) -> Result<(), PodError> {
    let state = container.state();
    if state != ContainerState::Running {
        let id = container.id().to_string();
        return Err(PodError::WrongState { operation: "checkpoint", id, state });
    }
    let of = format!("container {}", container.id());
    let able = container.sandbox().handler().check_checkpoints();
    able.map_err(PodError::step("looking for what checkpoints need", &of))?;
    let limit = request.limit.filter(|limit| !limit.is_zero()).unwrap_or(USUAL_LIMIT).min(LIMIT_MAX);
    let patience = Patience::until(Instant::now() + limit);
    let place = Place::of(&context, &container.record());
    let writer = {
        let (place, patience) = (place.clone(), patience.clone());
        let prepare = move || {
            place.make()?;
            let writer = ArchiveWriter::create(&request.location, &patience);
            writer.map_err(PodError::step("preparing the archive", &of))
        };
        context.blocking("CheckpointContainer", prepare).await
    };
    let written = match writer {
        Ok(writer) => write(&context, &container, &place, writer, &patience, limit).await,
        Err(error) => Err(error),
    };
    let removed = context.blocking("CheckpointContainer", move || place.remove()).await;
    match (written, removed) {
        (Err(error), Err(second)) => {
            Err(PodError::Teardown { of: container.id().to_string(), failures: vec![error, second] })
        }
        (written, removed) => written.and(removed),
    }
}

async fn write(
    context: &Arc<Context>,
    container: &Arc<Container>,
    place: &Place,
    writer: ArchiveWriter,
    patience: &Patience,
    limit: Duration,
) -> Result<(), PodError> {
    let record = container.record();
    freeze(context, container)?;
    let log_bytes = std::fs::metadata(&record.log_path).map_or(0, |metadata| metadata.len());
    let dumped = dump(context, container, place, patience, limit).await;
    let thawed = thaw(context, container);
    let changes = match (dumped, thawed) {
        (Ok(changes), Ok(())) => changes,
        (Err(error), Ok(())) | (Ok(_), Err(error)) => return Err(error),
        (Err(error), Err(second)) => {
            return Err(PodError::Teardown { of: container.id().to_string(), failures: vec![error, second] });
        }
    };
    let archive = Archive { record, handler: container.sandbox().handler().name.clone(), changes, log_bytes };
    let place = place.clone();
    unless_stopped(context, container, patience, move || archive.write(&place, writer)).await
}

/// Has the runtime write the state of the processes, and writes what changed in the root.
async fn dump(
    context: &Arc<Context>,
    container: &Container,
    place: &Place,
    patience: &Patience,
    limit: Duration,
) -> Result<Changes, PodError> {
    const DOING: &str = "writing the state of the processes";
    let of = format!("container {}", container.id());
    let monitor = container.sandbox().need_monitor()?;
    let files = CheckpointFiles { images: place.images(), work: place.work() };
    // Dropped, the call is cancelled.
    let dumped = tokio::select! {
        dumped = monitor.checkpoint(container.id(), files, limit) => dumped,
        () = container.stop_asked() => return Err(PodError::CheckpointGivenUp { id: container.id().to_string() }),
    };
    dumped.map_err(|error| PodError::criu(DOING, of.clone(), criu_errors(&place.work().join(DUMP_LOG)), error))?;
    let (store, id) = (context.engines.store.clone(), container.id().clone());
    let (path, waiting) = (place.diff(), patience.clone());
    let export = move || {
        let file = File::create_new(&path).map_err(PodError::file("creating", &path))?;
        let exported = store.export_changes(&id, waiting.over(io::BufWriter::new(file)));
        exported.map_err(PodError::step("writing the changes of the root", of))
    };
    unless_stopped(context, container, patience, export).await
}

/// Runs blocking work, which ends early when the container is to be stopped.
async fn unless_stopped<T: Send + 'static>(
    context: &Context,
    container: &Container,
    patience: &Patience,
    work: impl FnOnce() -> Result<T, PodError> + Send + 'static,
) -> Result<T, PodError> {
    let mut work = pin!(context.blocking("CheckpointContainer", work));
    tokio::select! {
        done = &mut work => return done,
        () = container.stop_asked() => patience.give_up(),
    }
    work.await.map_err(|_given_up| PodError::CheckpointGivenUp { id: container.id().to_string() })
}

fn freeze(context: &Context, container: &Container) -> Result<(), PodError> {
    container.change(|record| record.is_frozen = true)?;
    let frozen = context.engines.cgroups.freeze(&cgroup_path(&container.record().cgroup)?);
    let Err(error) = frozen.map_err(PodError::step("freezing", format!("container {}", container.id()))) else {
        return Ok(());
    };
    container.change(|record| record.is_frozen = false)?;
    Err(error)
}

fn thaw(context: &Context, container: &Container) -> Result<(), PodError> {
    thaw_recorded(context, &container.record())?;
    container.change(|record| record.is_frozen = false)
}

fn thaw_recorded(context: &Context, record: &ContainerRecord) -> Result<(), PodError> {
    let thawed = context.engines.cgroups.thaw(&cgroup_path(&record.cgroup)?);
    thawed.map_err(PodError::step("letting the processes go on", format!("container {}", record.id)))
}

/// Undoes what a daemon that was killed left of a checkpoint. The monitor ended the rest when its client was gone.
pub(crate) fn abandon(context: &Context, record: &ContainerRecord) -> Result<(), PodError> {
    thaw_recorded(context, record)?;
    Place::of(context, record).remove()
}

/// The last errors CRIU wrote down, which say more than a runtime does.
pub(crate) fn criu_errors(log: &Path) -> Option<String> {
    let mut file = File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES))).ok()?;
    let mut text = Vec::new();
    file.take(LOG_TAIL_BYTES).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let errors = text.lines().filter_map(|line| line.split_once("Error (")?.1.split_once("): ")).map(|(_, what)| what);
    let mut last: Vec<&str> = errors.rev().take(ERRORS_MAX).collect();
    last.reverse();
    if last.is_empty() { None } else { Some(last.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_errors_of_criu_are_told() {
        let path = std::env::temp_dir().join(format!("crio-pods-criu-log-{}", std::process::id()));
        let cases = [
            ("(00.1) nothing bad\n", None),
            (
                "(00.1) Error (criu/a.c:1): one\n(00.2) fine\n(00.3) Error (criu/b.c:22): two: three\n",
                Some("one; two: three"),
            ),
            ("Error (x.c:1): 1\nError (x.c:1): 2\nError (x.c:1): 3\nError (x.c:1): 4\n", Some("2; 3; 4")),
        ];
        for (text, expected) in cases {
            std::fs::write(&path, text).expect("written");
            assert_eq!(criu_errors(&path).as_deref(), expected, "{text}");
        }
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(criu_errors(&path), None);
    }
}
