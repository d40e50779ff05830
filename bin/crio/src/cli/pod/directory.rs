//! The directories of a pod that `crio pod run` made: logs where kubelet has them, volumes and `/etc/hosts` in one of our own.
//!
//! They go when the pod is removed. Only pods that carry our annotation have any, and their paths are computed, never read from it:
//! a pod of somebody else cannot make us remove a directory.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use crio_cri_api::v1;

use super::manifest::{HostPathKind, Pod, Volume};

/// Marks the pods of `crio pod run`.
pub const ANNOTATION: &str = "pod-run.crio.io/directories";
/// Where kubelet has logs.
const LOGS: &str = "/var/log/pods";
/// Where our pods' volumes are.
const PODS: &str = "/var/lib/crio/pods";

/// The directories of one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodDirectory {
    /// Logs of its containers.
    pub logs: PathBuf,
    /// Everything else.
    pub root: PathBuf,
}

impl PodDirectory {
    /// The directories of the pod with this name and uid, which need not exist.
    pub fn new(namespace: &str, name: &str, uid: &str) -> Self {
        Self { logs: Path::new(LOGS).join(format!("{namespace}_{name}_{uid}")), root: Path::new(PODS).join(uid) }
    }

    /// The directories of a sandbox, when `crio pod run` made it.
    pub fn of_sandbox(sandbox: &v1::PodSandbox) -> Option<Self> {
        let metadata = sandbox.metadata.as_ref().filter(|_| sandbox.annotations.contains_key(ANNOTATION))?;
        let plain = |part: &str| !part.is_empty() && !part.contains('/') && part != "." && part != "..";
        let parts = [&metadata.namespace, &metadata.name, &metadata.uid];
        parts.into_iter().all(|part| plain(part)).then(|| Self::new(&metadata.namespace, &metadata.name, &metadata.uid))
    }

    /// Makes the log directories and the empty volumes, and looks at the host's paths.
    pub fn make(&self, pod: &Pod) -> Result<()> {
        for container in pod.init_containers.iter().chain(&pod.containers) {
            make_directory(&self.logs.join(&container.name))?;
        }
        make_directory(&self.root)?;
        for (name, volume) in &pod.volumes {
            match volume {
                Volume::EmptyDir => {
                    let path = self.volume(name);
                    make_directory(&path)?;
                    // Whoever the containers run as may write, as in Kubernetes.
                    fs::set_permissions(&path, Permissions::from_mode(0o777))
                        .with_context(|| format!("cannot open {} to everybody", path.display()))?;
                }
                Volume::Image { .. } => {}
                Volume::HostPath { path, kind } => {
                    prepare(path, *kind).with_context(|| format!("volume {name}"))?;
                }
            }
        }
        Ok(())
    }

    /// Where the empty volume `name` is.
    pub fn volume(&self, name: &str) -> PathBuf {
        self.root.join("volumes").join(name)
    }

    /// The pod's `/etc/hosts`.
    pub fn hosts(&self) -> PathBuf {
        self.root.join("hosts")
    }

    /// Writes `/etc/hosts` for a pod with these addresses.
    pub fn write_hosts(&self, hostname: &str, addresses: &[String]) -> Result<()> {
        let mut text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned();
        for address in addresses {
            text.push_str(&format!("{address}\t{hostname}\n"));
        }
        let path = self.hosts();
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Removes the directories and what is in them; missing ones are fine.
    pub fn remove(&self) -> Result<()> {
        let mut failures = Vec::new();
        for path in [&self.logs, &self.root] {
            match fs::remove_dir_all(path) {
                Err(failure) if failure.kind() != io::ErrorKind::NotFound => {
                    failures.push(format!("cannot remove {}: {failure}", path.display()));
                }
                _ => {}
            }
        }
        if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("; ")) }
    }
}

fn make_directory(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .with_context(|| format!("cannot make {}", path.display()))
}

/// Makes what the manifest asks to be made, and checks that the path is of the kind it names.
fn prepare(path: &Path, kind: HostPathKind) -> Result<()> {
    match kind {
        HostPathKind::DirectoryOrCreate if !path.exists() => make_directory(path)?,
        HostPathKind::FileOrCreate if !path.exists() => {
            fs::write(path, "").with_context(|| format!("cannot make {}", path.display()))?;
        }
        _ => {}
    }
    if kind == HostPathKind::Any {
        return Ok(());
    }
    let found = fs::metadata(path).with_context(|| format!("cannot use {}", path.display()))?.file_type();
    let fits = match kind {
        HostPathKind::Any => true,
        HostPathKind::Directory | HostPathKind::DirectoryOrCreate => found.is_dir(),
        HostPathKind::File | HostPathKind::FileOrCreate => found.is_file(),
        HostPathKind::Socket => found.is_socket(),
        HostPathKind::CharDevice => found.is_char_device(),
        HostPathKind::BlockDevice => found.is_block_device(),
    };
    if fits { Ok(()) } else { bail!("{} is not of type {kind:?}", path.display()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pods_have_directories() {
        let sandbox = |annotated: bool, uid: &str| v1::PodSandbox {
            metadata: Some(v1::PodSandboxMetadata {
                name: "web".to_owned(),
                namespace: "shop".to_owned(),
                uid: uid.to_owned(),
                attempt: 0,
            }),
            annotations: annotated.then(|| (ANNOTATION.to_owned(), "true".to_owned())).into_iter().collect(),
            ..v1::PodSandbox::default()
        };
        let found = PodDirectory::of_sandbox(&sandbox(true, "u-1")).expect("directories");
        assert_eq!(found.logs, Path::new("/var/log/pods/shop_web_u-1"));
        assert_eq!(found.root, Path::new("/var/lib/crio/pods/u-1"));
        for foreign in [sandbox(false, "u-1"), sandbox(true, ".."), sandbox(true, "a/b"), sandbox(true, "")] {
            assert_eq!(PodDirectory::of_sandbox(&foreign), None);
        }
    }

    #[test]
    fn directories_come_and_go() {
        let base = tempfile::tempdir().expect("a directory");
        let directory = PodDirectory { logs: base.path().join("logs"), root: base.path().join("root") };
        let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers: [{name: c, image: i}]\n  volumes: [{name: v, emptyDir: {}}]\n";
        let pod = super::super::manifest::parse(text).expect("a manifest");
        directory.make(&pod).expect("directories");
        directory.write_hosts("a", &["10.0.0.1".to_owned()]).expect("a file");
        assert!(base.path().join("logs/c").is_dir());
        let mode = fs::metadata(directory.volume("v")).expect("a volume").permissions().mode();
        assert_eq!(mode & 0o777, 0o777);
        assert!(fs::read_to_string(directory.hosts()).expect("a file").ends_with("10.0.0.1\ta\n"));
        directory.remove().expect("removable");
        directory.remove().expect("nothing is left");
        assert_eq!(fs::read_dir(base.path()).expect("a directory").count(), 0);
    }

    #[test]
    fn host_paths_are_of_their_kind() {
        let base = tempfile::tempdir().expect("a directory");
        let missing = base.path().join("x");
        prepare(&missing, HostPathKind::Any).expect("not looked at");
        assert!(prepare(&missing, HostPathKind::Directory).is_err());
        prepare(&missing, HostPathKind::DirectoryOrCreate).expect("made");
        prepare(&missing, HostPathKind::Directory).expect("there");
        assert!(prepare(&missing, HostPathKind::FileOrCreate).is_err());
        prepare(&base.path().join("f"), HostPathKind::FileOrCreate).expect("made");
        prepare(Path::new("/dev/null"), HostPathKind::CharDevice).expect("there");
    }
}
