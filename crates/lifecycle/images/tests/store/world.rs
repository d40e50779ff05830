//! The parts every test needs: a store, a service over it, a registry, and images made of small files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use crio_image::{AuthFiles, Client, RegistriesPaths};
use crio_images::{Config, Images, PullError, PullRequest};
use crio_storage::{NewContainer, Store};
use crio_testkit::Registry;
use crio_testkit::image::{Compression, Format, Image, ImageBuilder, Layer};
use crio_types::{ContainerId, ImageId, ImageSpec};
use serde_json::json;

/// A store, a service over it, and a registry to pull from.
pub(crate) struct World {
    pub(crate) images: Images,
    pub(crate) store: Store,
    pub(crate) registry: Registry,
    pub(crate) directory: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        // podman and skopeo bind the overlay directory to itself, which would keep the directory from going.
        let _ = Command::new("umount").arg("-q").arg(self.root().join("overlay")).status();
    }
}

impl World {
    pub(crate) async fn new() -> Result<Self> {
        Self::with(Registry::start().await?, Config::default(), "")
    }

    pub(crate) fn with(registry: Registry, config: Config, registries: &str) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("crio-images-").tempdir()?;
        let path = |name: &str| directory.path().join(name);
        let host = registry.host();
        let text = format!("{registries}\n[[registry]]\nlocation = \"{host}\"\ninsecure = true\n");
        std::fs::write(path("registries.conf"), text)?;
        let client = Client::new(crio_image::Config {
            registries: RegistriesPaths {
                main: path("registries.conf"),
                drop_ins: path("none"),
                recorded_aliases: path("none"),
            },
            auth_files: AuthFiles::new(Some(&path("auth.json"))),
            certificate_directories: Vec::new(),
            ..crio_image::Config::default()
        })?;
        let store = Store::open(crio_storage::Config::new(path("root"), path("run")))?;
        Ok(Self { images: Images::new(config, store.clone(), client), store, registry, directory })
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    pub(crate) fn run_root(&self) -> PathBuf {
        self.directory.path().join("run")
    }

    pub(crate) async fn pull(&self, name: &str) -> Result<ImageId, PullError> {
        self.images.pull(PullRequest::new(&spec(name))).await
    }

    /// What lies in a directory of the store, links and hidden files left out.
    pub(crate) fn entries(&self, directory: &str) -> Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        for entry in std::fs::read_dir(self.root().join(directory))? {
            names.insert(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    }

    /// Fails unless the store holds no image, no layer and nothing staged, soon.
    pub(crate) async fn assert_empty(&self) -> Result<()> {
        let mut left = String::new();
        for _ in 0..200 {
            let staged = self.entries("overlay/staging").unwrap_or_default();
            let layers: Vec<_> = self
                .entries("overlay")?
                .into_iter()
                .filter(|name| name.len() == 64)
                .chain(self.entries("overlay-layers")?.into_iter().filter(|name| name.contains("tar-split")))
                .collect();
            let images = self.store.images()?;
            if staged.is_empty() && layers.is_empty() && images.is_empty() {
                return Ok(());
            }
            left = format!("staged {staged:?}, layers {layers:?}, images {images:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("left behind: {left}")
    }

    pub(crate) fn podman(&self, arguments: &[&str]) -> Result<String> {
        let (root, run_root) = (self.root(), self.run_root());
        let options = ["--root", text(&root), "--runroot", text(&run_root), "--storage-driver", "overlay"];
        run("podman", &[&options, arguments].concat())
    }

    pub(crate) fn in_store(&self, name: &str) -> String {
        format!("containers-storage:[overlay@{}+{}]{name}", text(&self.root()), text(&self.run_root()))
    }

    pub(crate) fn policy(&self) -> Result<PathBuf> {
        let path = self.directory.path().join("accept.json");
        std::fs::write(&path, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#)?;
        Ok(path)
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}

pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output().with_context(|| format!("cannot run {program}"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {arguments:?}: {words}");
    Ok(String::from_utf8(output.stdout)?)
}

pub(crate) fn spec(name: &str) -> ImageSpec {
    ImageSpec { image: name.to_owned(), ..ImageSpec::default() }
}

pub(crate) fn layer(seed: &str) -> Layer {
    Layer::new()
        .directory("/etc", 0o755)
        .file(&format!("/etc/{seed}"), 0o644, seed.repeat(1000))
        .symlink("/link", &format!("etc/{seed}"))
}

pub(crate) fn builder(seed: &str) -> ImageBuilder {
    ImageBuilder::new(Format::Oci)
        .layer(layer("base"), Compression::Gzip)
        .layer(layer(seed), Compression::Zstd)
        .config("User", json!("1003:users"))
        .config("Labels", json!({"a": "b"}))
        .config("Cmd", json!(["/bin/sh"]))
}

pub(crate) fn image(seed: &str) -> Result<Image> {
    builder(seed).build()
}

pub(crate) fn new_container(image: &ImageId) -> Result<NewContainer> {
    Ok(NewContainer {
        id: ContainerId::from_bytes(crio_sys::random::bytes32()?),
        names: vec!["k8s_user_of_the_image".to_owned()],
        image: Some(image.clone()),
        top_layer: None,
        metadata: "{}".to_owned(),
        mount_label: String::new(),
        id_mappings: None,
    })
}
