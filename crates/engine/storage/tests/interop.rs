//! The store beside podman and skopeo on one graph root: what one writes the others read, and the reverse.
//!
//! Needs root, podman, skopeo, crun and busybox-static, and fails without them. Everything happens in temporary
//! directories; mounts made there are taken off at the end.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use crio_storage::{ApplyLimits, Compression, Config, LayerInfo, NewContainer, NewImage, Store, layer_id};
use crio_types::{ContainerId, ImageId, LayerId, Timestamp};
use sha2::{Digest, Sha256};

const NAME: &str = "localhost/crio-rs/interop:latest";

/// A graph root and a run root, unmounted and removed at the end.
struct Roots {
    directory: tempfile::TempDir,
}

impl Roots {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn open(&self) -> Store {
        let store = Store::open(Config::new(self.path("root"), self.path("run"))).unwrap();
        assert!(store.left_behind().is_empty(), "{:?}", store.left_behind());
        store
    }

    fn podman(&self, arguments: &[&str]) -> String {
        run(self.podman_command(Command::new("podman")).args(arguments))
    }

    /// Podman where crun, which refuses hosts that have controllers in both cgroup hierarchies, sees only one.
    fn podman_with_plain_cgroups(&self, arguments: &[&str]) -> String {
        let script = "mount --make-rprivate / && mount -t tmpfs none /sys/fs/cgroup/unified && exec podman \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script, "sh"]);
        run(self.podman_command(command).args(arguments))
    }

    fn podman_command(&self, mut command: Command) -> Command {
        command.arg("--root").arg(self.path("root")).arg("--runroot").arg(self.path("run"));
        command.args(["--storage-driver", "overlay", "--runtime", "crun", "--cgroup-manager", "cgroupfs"]);
        command.arg("--tmpdir").arg(self.path("tmp"));
        command
    }

    /// The name by which skopeo finds this store.
    fn skopeo_name(&self, name: &str) -> String {
        format!("containers-storage:[overlay@{}+{}]{name}", self.path("root").display(), self.path("run").display())
    }
}

impl Drop for Roots {
    fn drop(&mut self) {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let ours = table.lines().filter_map(|line| line.split(' ').nth(4));
        let mut ours: Vec<&str> = ours.filter(|point| Path::new(point).starts_with(self.directory.path())).collect();
        ours.sort_by_key(|point| std::cmp::Reverse(point.len()));
        for point in ours {
            let _ = crio_sys::mount::unmount(Path::new(point));
        }
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// An image in memory: its layers' archives, its configuration and its manifest.
struct Image {
    layers: Vec<Vec<u8>>,
    configuration: Vec<u8>,
    manifest: Vec<u8>,
}

impl Image {
    fn id(&self) -> ImageId {
        sha256(&self.configuration)["sha256:".len()..].parse().unwrap()
    }

    fn layer_ids(&self) -> Vec<LayerId> {
        let mut ids: Vec<LayerId> = Vec::new();
        for layer in &self.layers {
            ids.push(layer_id(ids.last(), &sha256(layer)).unwrap());
        }
        ids
    }
}

fn append(archive: &mut tar::Builder<Vec<u8>>, path: &str, kind: tar::EntryType, mode: u32, contents: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(1_600_000_000);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(contents.len() as u64);
    archive.append_data(&mut header, path, contents).unwrap();
}

fn append_link(archive: &mut tar::Builder<Vec<u8>>, path: &str, kind: tar::EntryType, target: &str) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o777);
    header.set_mtime(1_600_000_000);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    archive.append_link(&mut header, path, target).unwrap();
}

fn build_image() -> Image {
    use tar::EntryType::{Directory, Link, Regular, Symlink};
    let mut base = tar::Builder::new(Vec::new());
    for directory in ["bin/", "etc/", "usr/", "usr/lib/", "proc/", "sys/", "dev/", "tmp/"] {
        append(&mut base, directory, Directory, 0o755, b"");
    }
    append(&mut base, "bin/busybox", Regular, 0o755, &fs::read("/bin/busybox").unwrap());
    for applet in ["sh", "cat", "ls", "stat"] {
        append_link(&mut base, &format!("bin/{applet}"), Symlink, "busybox");
    }
    append_link(&mut base, "lib", Symlink, "usr/lib");
    append(&mut base, "lib/through-link", Regular, 0o644, b"through a link");
    append(&mut base, "etc/passwd", Regular, 0o644, b"root:x:0:0::/:/bin/sh\n");
    append(&mut base, "etc/gone", Regular, 0o644, b"to be hidden");
    append(&mut base, &format!("usr/lib/{}", "long-name-".repeat(20)), Regular, 0o600, &[7; 100_000]);
    append_link(&mut base, "etc/linked", Link, "etc/passwd");
    let mut top = tar::Builder::new(Vec::new());
    append(&mut top, "etc/", Directory, 0o750, b"");
    append(&mut top, "etc/hello", Regular, 0o4755, b"hello from layer two\n");
    append(&mut top, "etc/.wh.gone", Regular, 0o644, b"");
    append(&mut top, "usr/lib/.wh..wh..opq", Regular, 0o644, b"");
    let layers = vec![base.into_inner().unwrap(), top.into_inner().unwrap()];
    let configuration = serde_json::json!({
        "architecture": "amd64", "os": "linux", "created": "2024-05-06T07:08:09Z",
        "config": {"Cmd": ["/bin/cat", "/etc/hello"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|layer| sha256(layer)).collect::<Vec<_>>()},
    });
    let configuration = serde_json::to_vec(&configuration).unwrap();
    let descriptor =
        |kind: &str, bytes: &[u8]| serde_json::json!({"mediaType": kind, "digest": sha256(bytes), "size": bytes.len()});
    let layer_type = "application/vnd.oci.image.layer.v1.tar";
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &configuration),
        "layers": layers.iter().map(|layer| descriptor(layer_type, layer)).collect::<Vec<_>>(),
    });
    Image { layers, configuration, manifest: serde_json::to_vec(&manifest).unwrap() }
}

fn write(store: &Store, image: &Image) {
    let ids = image.layer_ids();
    for (index, layer) in image.layers.iter().enumerate() {
        let mut staged = store.stage_layer().unwrap();
        let applied = staged.apply(layer.as_slice(), &ApplyLimits::default()).unwrap();
        assert!(applied.is_reproducible);
        let info = LayerInfo {
            id: ids[index].clone(),
            parent: index.checked_sub(1).map(|below| ids[below].clone()),
            diff_digest: sha256(layer),
            diff_size_bytes: applied.size_bytes,
            compressed_digest: Some(sha256(layer)),
            compressed_size_bytes: Some(layer.len() as u64),
            compression: Compression::None,
        };
        store.commit_layer(staged, &info).unwrap();
    }
    let big_data = vec![
        ("manifest".to_owned(), image.manifest.clone()),
        (format!("manifest-{}", sha256(&image.manifest)), image.manifest.clone()),
        (sha256(&image.configuration), image.configuration.clone()),
    ];
    let new = NewImage {
        id: image.id(),
        names: vec![NAME.to_owned()],
        top_layer: ids.last().cloned(),
        digest: Some(sha256(&image.manifest)),
        big_data,
        metadata: "{}".to_owned(),
        created: Timestamp(1_714_979_289_000_000_000),
    };
    store.create_image(new).unwrap();
}

fn container(image: &Image) -> NewContainer {
    NewContainer {
        id: ContainerId::from_bytes(crio_sys::random::bytes32().unwrap()),
        names: vec!["k8s_interop".to_owned()],
        image: Some(image.id()),
        top_layer: None,
        metadata: "{\"pod-name\":\"interop\"}".to_owned(),
        mount_label: String::new(),
        id_mappings: None,
    }
}

#[test]
fn podman_and_skopeo_use_what_we_wrote() {
    let (roots, image) = (Roots::new(), build_image());
    let store = roots.open();
    write(&store, &image);
    for (id, layer) in image.layer_ids().iter().zip(&image.layers) {
        let mut exported = Vec::new();
        store.export_layer(id, &mut exported).unwrap();
        assert_eq!(sha256(&exported), sha256(layer), "our own export");
    }
    let listed: serde_json::Value = serde_json::from_str(&roots.podman(&["images", "--format", "json"])).unwrap();
    assert_eq!(listed[0]["Id"], image.id().as_str());
    assert_eq!(listed[0]["Names"][0], NAME);
    let tree = PathBuf::from(roots.podman(&["image", "mount", NAME]).trim());
    assert_eq!(fs::read(tree.join("etc/hello")).unwrap(), b"hello from layer two\n");
    assert!(!tree.join("etc/gone").exists() && !tree.join("usr/lib/through-link").exists());
    roots.podman(&["image", "unmount", NAME]);
    let said = roots.podman_with_plain_cgroups(&[
        "run",
        "--rm",
        "--network",
        "none",
        "--cgroups",
        "disabled",
        "--ulimit",
        "nofile=64:64",
        "--ulimit",
        "nproc=64:64",
        NAME,
    ]);
    assert_eq!(said, "hello from layer two\n");

    let copied = roots.path("copied");
    let inspected = run(Command::new("skopeo").args(["inspect", "--raw"]).arg(roots.skopeo_name(NAME)));
    assert_eq!(inspected.as_bytes(), image.manifest);
    run(Command::new("skopeo")
        .args(["--insecure-policy", "copy", &roots.skopeo_name(NAME)])
        .arg(format!("dir:{}", copied.display())));
    for layer in &image.layers {
        let digest = sha256(layer);
        let file = fs::read(copied.join(&digest["sha256:".len()..])).unwrap();
        assert_eq!(sha256(&file), digest, "skopeo's export");
    }
}

#[test]
fn we_use_what_podman_loaded() {
    let (writer, image) = (Roots::new(), build_image());
    write(&writer.open(), &image);
    let archive = writer.path("image.tar");
    run(Command::new("skopeo")
        .args(["--insecure-policy", "copy", &writer.skopeo_name(NAME)])
        .arg(format!("docker-archive:{}:{NAME}", archive.display())));

    let roots = Roots::new();
    roots.podman(&["load", "-i", archive.to_str().unwrap()]);
    let store = roots.open();
    let images = store.images().unwrap();
    assert_eq!(images.len(), 1);
    let loaded = &images[0];
    assert_eq!(loaded.names, [NAME]);
    let ids = image.layer_ids();
    assert_eq!(loaded.top_layer, ids.last().cloned());
    for (id, layer) in ids.iter().zip(&image.layers) {
        assert_eq!(store.layer(id).unwrap().unwrap().diff_digest, Some(sha256(layer)));
        let mut exported = Vec::new();
        store.export_layer(id, &mut exported).unwrap();
        assert_eq!(sha256(&exported), sha256(layer), "our export of podman's layer");
    }
    let manifest = store.image_big_data(&loaded.id, "manifest").unwrap().unwrap();
    assert_eq!(Some(sha256(&manifest)), loaded.digest);

    let mut new = container(&image);
    new.image = Some(loaded.id.clone());
    let id = new.id.clone();
    store.create_container(new).unwrap();
    let root = store.mount_container(&id).unwrap();
    let mut hello = String::new();
    fs::File::open(root.join("etc/hello")).unwrap().read_to_string(&mut hello).unwrap();
    assert_eq!(hello, "hello from layer two\n");
    fs::write(root.join("written"), "x").unwrap();
    // Podman 4.3 is older than the volatile tables; what is in them is checked by name.
    let table = |name: &str| fs::read_to_string(roots.path("root").join(name)).unwrap();
    let row =
        &serde_json::from_str::<serde_json::Value>(&table("overlay-containers/volatile-containers.json")).unwrap()[0];
    assert_eq!((&row["names"][0], &row["flags"]["Volatile"]), (&"k8s_interop".into(), &true.into()));
    assert!(table("overlay-layers/volatile-layers.json").contains(row["layer"].as_str().unwrap()));
    assert!(store.delete_image(&loaded.id).is_err(), "it is in use");
    store.delete_container(&id).unwrap();
    assert_eq!(table("overlay-containers/volatile-containers.json"), "[]");
    assert_eq!(table("overlay-layers/volatile-layers.json"), "[]");
    store.delete_image(&loaded.id).unwrap();
    assert_eq!(roots.podman(&["images", "--quiet"]), "");
    let left: Vec<_> =
        fs::read_dir(roots.path("root/overlay")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.len() < 64), "{left:?}");
}

#[test]
fn podman_reuses_our_layers_and_its_changes_reach_us() {
    let (roots, image) = (Roots::new(), build_image());
    let store = roots.open();
    write(&store, &image);
    let archive = roots.path("image.tar");
    run(Command::new("skopeo")
        .args(["--insecure-policy", "copy", &roots.skopeo_name(NAME)])
        .arg(format!("docker-archive:{}:localhost/again:v1", archive.display())));
    let layers_before = fs::read_to_string(roots.path("root/overlay-layers/layers.json")).unwrap();
    roots.podman(&["load", "-i", archive.to_str().unwrap()]);
    let layers_after = fs::read_to_string(roots.path("root/overlay-layers/layers.json")).unwrap();
    let count = |text: &str| serde_json::from_str::<Vec<serde_json::Value>>(text).unwrap().len();
    assert_eq!(count(&layers_before), count(&layers_after));
    let names = |store: &Store| {
        let mut names: Vec<String> = store.images().unwrap().iter().flat_map(|image| image.names.clone()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&store), ["localhost/again:v1", NAME]);
    roots.podman(&["tag", NAME, "localhost/tagged:v2"]);
    assert_eq!(names(&store), ["localhost/again:v1", NAME, "localhost/tagged:v2"]);
    roots.podman(&["rmi", "--force", "localhost/again:v1"]);
    store.remove_image_names(&image.id(), &[NAME.to_owned()]).unwrap();
    assert_eq!(roots.podman(&["images", "--format", "{{.Repository}}:{{.Tag}}"]), "localhost/tagged:v2\n");
}
