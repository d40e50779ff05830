//! The store as a whole, on a graph root of its own. Needs root: overlays are really mounted, and taken off again.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crio_types::{Classified, ErrorKind, IdMapping, ImageId, Timestamp};
use sha2::{Digest, Sha256};

use super::*;
use crate::{ApplyLimits, Compression, ImageMountOptions};

mod changes;

struct Fixture {
    directory: tempfile::TempDir,
    store: Store,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(config(directory.path())).unwrap();
        Self { directory, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Another process' view of the same store; also what a restart finds.
    fn reopened(&self) -> Store {
        Store::open(config(self.directory.path())).unwrap()
    }

    fn entries(&self, name: &str) -> BTreeSet<String> {
        let list = fs::read_dir(self.path(name)).unwrap();
        let names = list.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.starts_with(".tmp-")).collect()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let points = table.lines().filter_map(|line| line.split(' ').nth(4));
        let mut ours: Vec<&str> = points.filter(|point| Path::new(point).starts_with(self.directory.path())).collect();
        ours.sort_by_key(|point| std::cmp::Reverse(point.len()));
        for point in ours {
            let _ = crio_sys::mount::unmount(Path::new(point));
        }
    }
}

fn config(directory: &Path) -> Config {
    let mut config = Config::new(directory.join("root"), directory.join("run"));
    config.mount_options = vec!["nodev".to_owned(), "metacopy=on".to_owned()];
    config.lock_timeout = Duration::from_secs(20);
    config
}

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, contents) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(contents.len() as u64);
        archive.append_data(&mut header, path, contents.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn commit(store: &Store, parent: Option<&LayerId>, files: &[(&str, &str)]) -> LayerId {
    let archive = archive(files);
    let id = crate::layer_id(parent, &digest(&archive)).unwrap();
    let mut staged = store.stage_layer().unwrap();
    let applied = staged.apply(archive.as_slice(), &ApplyLimits::default()).unwrap();
    let info = LayerInfo {
        id: id.clone(),
        parent: parent.cloned(),
        diff_digest: digest(&archive),
        diff_size_bytes: applied.size_bytes,
        compressed_digest: Some(digest(&[archive.as_slice(), b"gz"].concat())),
        compressed_size_bytes: Some(7),
        compression: Compression::Gzip,
    };
    store.commit_layer(staged, &info).unwrap();
    id
}

fn image(store: &Store, seed: u8, top: &LayerId, names: &[&str]) -> ImageId {
    let id = ImageId::from_bytes([seed; 32]);
    let new = NewImage {
        id: id.clone(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        top_layer: Some(top.clone()),
        digest: Some(digest(&[seed])),
        big_data: vec![("manifest".to_owned(), vec![seed]), (digest(b"cfg"), b"cfg".to_vec())],
        metadata: "{}".to_owned(),
        created: Timestamp(1),
    };
    store.create_image(new).unwrap();
    id
}

fn container(seed: u8, image: Option<&ImageId>) -> NewContainer {
    NewContainer {
        id: ContainerId::from_bytes([seed; 32]),
        names: vec![format!("name-{seed}")],
        image: image.cloned(),
        top_layer: None,
        metadata: "{\"pod-id\":\"1\"}".to_owned(),
        mount_label: String::new(),
        id_mappings: None,
    }
}

#[test]
fn layers_are_committed_once_and_found() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let base = commit(store, None, &[("a", "1")]);
    let top = commit(store, Some(&base), &[("b", "2")]);
    assert_eq!(commit(store, Some(&base), &[("b", "2")]), top);
    let record = fixture.reopened().layer(&top).unwrap().unwrap();
    assert_eq!((record.parent.as_ref(), record.compression), (Some(&base), Compression::Gzip));
    let found = store.layers_by_compressed_digest(record.compressed_digest.as_ref().unwrap()).unwrap();
    assert_eq!(found.iter().map(|layer| &layer.id).collect::<Vec<_>>(), [&top]);
    let mut exported = Vec::new();
    store.export_layer(&top, &mut exported).unwrap();
    assert!(exported == archive(&[("b", "2")]));
    let staged = store.stage_layer().unwrap();
    let orphan = LayerInfo {
        id: LayerId::from_bytes([9; 32]),
        parent: Some(LayerId::from_bytes([8; 32])),
        diff_digest: digest(b""),
        diff_size_bytes: 0,
        compressed_digest: None,
        compressed_size_bytes: None,
        compression: Compression::None,
    };
    assert_eq!(store.commit_layer(staged, &orphan).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(fixture.entries("root/overlay/staging").is_empty());
    assert!(fixture.entries("root/overlay-layers").iter().all(|name| !name.starts_with("staging-")));
}

#[test]
fn names_move_between_images_and_shared_layers_stay() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let base = commit(store, None, &[("a", "1")]);
    let top = commit(store, Some(&base), &[("b", "2")]);
    let first = image(store, 1, &base, &["x:latest", "x:1"]);
    let second = image(store, 2, &top, &["x:latest"]);
    let names = |id| store.image(id).unwrap().unwrap().names.clone();
    assert_eq!((names(&first), names(&second)), (vec!["x:1".to_owned()], vec!["x:latest".to_owned()]));
    assert_eq!(store.image(&first).unwrap().unwrap().names_history.len(), 2);
    store.add_image_names(&first, &["x:latest".to_owned()]).unwrap();
    assert_eq!((names(&first), names(&second)), (vec!["x:1".to_owned(), "x:latest".to_owned()], vec![]));
    store.set_image_names(&first, &[]).unwrap();
    assert!(names(&first).is_empty());
    assert_eq!(image(store, 1, &base, &["again"]), first);
    assert_eq!(store.image_big_data(&first, &digest(b"cfg")).unwrap().unwrap(), b"cfg");
    assert_eq!(store.image_big_data(&first, "none").unwrap(), None);
    assert!(fixture.entries(&format!("root/overlay-images/{first}")).contains("manifest"));
    let sizes = [&base, &top].map(|id| store.layer(id).unwrap().unwrap().diff_size_bytes.unwrap());
    assert_eq!(store.image_size_bytes(&second).unwrap(), sizes[0] + sizes[1] + 4);
    assert_eq!(store.images_usage().unwrap().bytes, sizes[0] + sizes[1] + 8);

    let spare = commit(store, Some(&base), &[("spare", "3")]);
    let above = commit(store, Some(&spare), &[("above", "4")]);
    store.delete_unused_layers(&spare).unwrap();
    assert!(store.layer(&spare).unwrap().is_some(), "the layer above needs it");
    store.delete_unused_layers(&above).unwrap();
    store.delete_unused_layers(&above).unwrap();
    assert!(store.layer(&above).unwrap().or(store.layer(&spare).unwrap()).is_none());
    store.delete_image(&first).unwrap();
    assert!(store.layer(&base).unwrap().is_some(), "the second image needs it");
    store.delete_image(&second).unwrap();
    assert!(store.layer(&base).unwrap().is_none());
    assert_eq!(store.delete_image(&second).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(fixture.entries("root/overlay"), ["l", "staging"].map(str::to_owned).into());
    assert!(fixture.entries("root/overlay/l").is_empty());
    assert_eq!(fixture.entries("root/overlay-images"), ["images.json", "images.lock"].map(str::to_owned).into());
}

#[test]
fn a_container_lives_and_leaves_nothing() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let base = commit(store, None, &[("a", "image")]);
    let image = image(store, 1, &base, &["x"]);
    let new = container(5, Some(&image));
    let id = new.id.clone();
    let record = store.create_container(new.clone()).unwrap();
    assert_eq!(store.create_container(new.clone()).unwrap_err().kind(), ErrorKind::AlreadyExists);
    let mut same_name = container(6, Some(&image));
    same_name.names.clone_from(&new.names);
    assert!(matches!(store.create_container(same_name), Err(StoreError::NameInUse { .. })));
    assert!(store.container_dir(&id).is_dir() && store.container_run_dir(&id).is_dir());
    let root = store.mount_container(&id).unwrap();
    assert_eq!(store.mount_container(&id).unwrap(), root);
    assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "image");
    fs::write(root.join("written"), vec![0; 10_000]).unwrap();
    assert!(fs::read_to_string(fixture.path("run/overlay-layers/mountpoints.json")).unwrap().contains("\"count\":1"));
    let usage = store.container_usage(&id).unwrap();
    assert!(usage.bytes >= 10_000 && usage.inodes == 2, "{usage:?}");
    assert!(matches!(store.delete_image(&image), Err(StoreError::ImageInUse { .. })));
    store.set_container_metadata(&id, "new").unwrap();
    assert_eq!(fixture.reopened().container(&id).unwrap().unwrap().metadata, "new");
    assert!(crio_sys::mount::is_mount_point(&root).unwrap(), "a restart keeps what is mounted");

    store.unmount_container(&id).unwrap();
    store.unmount_container(&id).unwrap();
    assert_eq!(store.mount_container(&id).unwrap(), root);
    assert!(root.join("written").exists(), "mounting a volatile layer again");
    store.delete_container(&id).unwrap();
    store.delete_container(&id).unwrap();
    assert!(store.containers().unwrap().is_empty() && store.layer(&record.layer).unwrap().is_none());
    assert!(!root.exists() && !store.container_dir(&id).exists() && !store.container_run_dir(&id).exists());
    assert_eq!(fs::read_to_string(fixture.path("run/overlay-layers/mountpoints.json")).unwrap(), "[]");
    assert!(fixture.entries("root/overlay/staging").is_empty());
}

#[test]
fn what_cannot_be_created_leaves_nothing() {
    let fixture = Fixture::new();
    let missing = container(1, Some(&ImageId::from_bytes([1; 32])));
    assert_eq!(fixture.store.create_container(missing).unwrap_err().kind(), ErrorKind::NotFound);
    let mut no_layer = container(2, None);
    no_layer.top_layer = Some(LayerId::from_bytes([1; 32]));
    assert_eq!(fixture.store.create_container(no_layer).unwrap_err().kind(), ErrorKind::NotFound);
    fs::write(fixture.path("run/overlay-containers").join("03".repeat(32)), "").unwrap();
    let blocked = container(3, None);
    let id = blocked.id.clone();
    assert!(fixture.store.create_container(blocked).is_err());
    assert!(fixture.store.container(&id).unwrap().is_none());
    assert_eq!(fixture.entries("root/overlay"), ["l", "staging"].map(str::to_owned).into());
    let empty = container(4, None);
    fixture.store.create_container(empty.clone()).unwrap();
    let root = fixture.store.mount_container(&empty.id).unwrap();
    fs::write(root.join("works"), "").unwrap();
}

#[test]
fn a_start_cleans_up_after_the_dead() {
    let fixture = Fixture::new();
    let base = commit(&fixture.store, None, &[("a", "1")]);
    let image = image(&fixture.store, 1, &base, &["x"]);
    let kept = fixture.store.create_container(container(1, Some(&image))).unwrap();
    let layer_dir = |id: &str| fixture.path("root/overlay").join(id);
    let (half, stray) = ("1".repeat(64), "2".repeat(64));
    for id in [&half, &stray] {
        fs::create_dir_all(layer_dir(id).join("diff")).unwrap();
        fs::write(layer_dir(id).join("link"), format!("LINK{}", &id[..1])).unwrap();
        std::os::unix::fs::symlink(
            format!("../{id}/diff"),
            fixture.path("root/overlay/l").join(format!("LINK{}", &id[..1])),
        )
        .unwrap();
    }
    fs::write(fixture.path(&format!("root/overlay-layers/{stray}.tar-split.gz")), "").unwrap();
    fs::write(fixture.path("root/overlay-layers/staging-dead"), "").unwrap();
    fs::create_dir_all(fixture.path(&format!("root/overlay-images/{stray}"))).unwrap();
    fs::create_dir_all(fixture.path(&format!("root/overlay-containers/{stray}/userdata"))).unwrap();
    let row = |id: &str, flags: &str| format!(r#"{{"id":"{id}","created":"2024-01-01T00:00:00Z","flags":{flags}}}"#);
    let orphan = "3".repeat(64);
    let table = fixture.path("root/overlay-layers/volatile-layers.json");
    let rows = fs::read_to_string(&table).unwrap();
    let rows = rows.trim_end_matches(']').to_owned();
    fs::write(&table, format!("{rows},{},{}]", row(&half, r#"{"incomplete":true}"#), row(&orphan, "{}"))).unwrap();
    // What another program would do after such a change.
    fs::write(fixture.path("root/overlay-layers/layers.lock"), [7; 64]).unwrap();

    let store = fixture.reopened();
    assert!(store.left_behind().is_empty());
    assert_eq!(fixture.entries("root/overlay/l").len(), 2);
    let expected = ["l", "staging", base.as_str(), kept.layer.as_str()].map(str::to_owned);
    assert_eq!(fixture.entries("root/overlay"), expected.into());
    let left = fs::read_to_string(&table).unwrap();
    assert!(!left.contains(&half) && !left.contains(&orphan) && left.contains(kept.layer.as_str()));
    assert!(
        !fixture.entries("root/overlay-layers").iter().any(|name| name.contains("staging-") || name.contains(&stray))
    );
    assert!(!fixture.path(&format!("root/overlay-images/{stray}")).exists());
    assert!(!fixture.path(&format!("root/overlay-containers/{stray}")).exists());
    assert!(store.mount_container(&kept.id).is_ok());
}

#[test]
fn rows_nobody_understands_protect_their_directories() {
    let fixture = Fixture::new();
    let stray = fixture.path("root/overlay").join("2".repeat(64));
    fs::create_dir(&stray).unwrap();
    fs::write(fixture.path("root/overlay-layers/layers.json"), r#"[{"id":"from-the-future"}]"#).unwrap();
    fs::write(fixture.path("root/overlay-layers/layers.lock"), [7; 64]).unwrap();
    let store = fixture.reopened();
    assert!(stray.exists());
    commit(&store, None, &[("a", "1")]);
    let rows = fs::read_to_string(fixture.path("root/overlay-layers/layers.json")).unwrap();
    assert!(rows.starts_with(r#"[{"id":"from-the-future"},"#));
}

#[test]
fn two_processes_and_many_threads_share_one_store() {
    let fixture = Fixture::new();
    let base = commit(&fixture.store, None, &[("a", "1")]);
    let image = image(&fixture.store, 1, &base, &["x"]);
    let stores = [fixture.store.clone(), fixture.reopened()];
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            let (store, image) = (&stores[usize::from(thread % 2)], &image);
            scope.spawn(move || {
                for round in 0..5u8 {
                    let new = container(thread * 10 + round + 1, Some(image));
                    let id = new.id.clone();
                    store.create_container(new).unwrap();
                    let root = store.mount_container(&id).unwrap();
                    fs::write(root.join("mine"), [thread]).unwrap();
                    if round % 2 == 0 {
                        store.delete_container(&id).unwrap();
                    }
                }
            });
        }
    });
    for store in &stores {
        assert_eq!(store.containers().unwrap().len(), 16);
    }
    let mounts = fs::read_to_string(fixture.path("run/overlay-layers/mountpoints.json")).unwrap();
    assert_eq!(mounts.matches("\"path\"").count(), 16);
}

#[test]
fn deep_images_and_long_paths_are_mounted() {
    let directory = tempfile::tempdir().unwrap();
    let deep = directory.path().join("d".repeat(100)).join("e".repeat(100));
    fs::create_dir_all(&deep).unwrap();
    let fixture = Fixture { store: Store::open(config(&deep)).unwrap(), directory };
    let mut top: Option<LayerId> = None;
    for index in 0..150 {
        let (name, contents) = (format!("file-{index}"), index.to_string());
        top = Some(commit(&fixture.store, top.as_ref(), &[(&name, &contents), ("last", &contents)]));
    }
    let image = image(&fixture.store, 1, top.as_ref().unwrap(), &["x"]);
    fixture.store.create_container(container(1, Some(&image))).unwrap();
    let root = fixture.store.mount_container(&ContainerId::from_bytes([1; 32])).unwrap();
    assert_eq!(fs::read_to_string(root.join("last")).unwrap(), "149");
    assert_eq!(fs::read_to_string(root.join("file-0")).unwrap(), "0");
}

#[test]
fn images_are_mounted_read_only_and_lost_links_are_restored() {
    let fixture = Fixture::new();
    let base = commit(&fixture.store, None, &[("a", "1")]);
    let image = image(&fixture.store, 1, &base, &["x"]);
    let target = fixture.path("volume");
    fs::create_dir(&target).unwrap();
    fixture.store.mount_image(&image, &target, ImageMountOptions::default()).unwrap();
    assert_eq!(fs::read_to_string(target.join("a")).unwrap(), "1");
    assert!(fs::write(target.join("b"), "").is_err());
    fixture.store.unmount_image(&target).unwrap();
    fixture.store.unmount_image(&target).unwrap();
    for link in fixture.entries("root/overlay/l") {
        fs::remove_file(fixture.path("root/overlay/l").join(link)).unwrap();
    }
    fixture.store.create_container(container(1, Some(&image))).unwrap();
    let root = fixture.store.mount_container(&ContainerId::from_bytes([1; 32])).unwrap();
    assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "1");
}

#[test]
fn a_user_namespace_sees_the_images_owners() {
    let fixture = Fixture::new();
    let base = commit(&fixture.store, None, &[("a", "1")]);
    let image = image(&fixture.store, 1, &base, &["x"]);
    let mut child =
        Command::new("unshare").args(["-U", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // The echo says that the new namespace exists.
    input.write_all(b"x\n").unwrap();
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0; 2]).unwrap();
    for map in ["uid_map", "gid_map"] {
        fs::write(format!("/proc/{}/{map}", child.id()), "0 100000 65536").unwrap();
    }
    let namespace = fs::File::open(format!("/proc/{}/ns/user", child.id())).unwrap();
    let mut new = container(1, Some(&image));
    let mapping = IdMapping { host_id: 100_000, container_id: 0, length: 65_536 };
    new.id_mappings = Some(IdMappings { uids: vec![mapping], gids: vec![mapping] });
    let id = new.id.clone();
    fixture.store.create_container(new).unwrap();
    let root = fixture.store.mount_container_mapped(&id, namespace.as_fd()).unwrap();
    for path in [root.clone(), root.join("a")] {
        assert_eq!(fs::metadata(&path).unwrap().uid(), 100_000, "{path:?}");
    }
    assert_eq!(fixture.entries("root/overlay").len(), 4);
    let target = fixture.path("volume");
    fs::create_dir(&target).unwrap();
    let mapped = ImageMountOptions { user_namespace: Some(namespace.as_fd()), ..ImageMountOptions::default() };
    fixture.store.mount_image(&image, &target, mapped).unwrap();
    assert_eq!(fs::metadata(target.join("a")).unwrap().uid(), 100_000);
    assert!(!target.with_added_extension("mapped").exists());
    fixture.store.unmount_image(&target).unwrap();
    let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = mounts();
    fixture.store.try_mapped_mount(namespace.as_fd()).unwrap();
    assert_eq!(mounts(), before);
    drop(input);
    child.wait().unwrap();
    fixture.store.delete_container(&id).unwrap();
}

#[test]
fn the_pod_path_is_fast() {
    let fixture = Fixture::new();
    let base = commit(&fixture.store, None, &[("a", "1")]);
    let image = image(&fixture.store, 1, &base, &["x"]);
    let mut times: Vec<Duration> = (1..=100u8)
        .map(|seed| {
            let new = container(seed, Some(&image));
            let id = new.id.clone();
            let start = Instant::now();
            fixture.store.create_container(new).unwrap();
            fixture.store.mount_container(&id).unwrap();
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("create and mount: median {:?}, worst {:?}", times[50], times[99]);
    assert!(times[50] < Duration::from_millis(20), "median {:?}", times[50]);
}

#[test]
fn big_data_file_names() {
    let cases = [
        ("manifest", "manifest"),
        ("a.b1", "a.b1"),
        ("sha256:ab", "=c2hhMjU2OmFi"),
        ("..", "=Li4="),
        ("../x", "=Li4veA=="),
    ];
    for (key, expected) in cases {
        assert_eq!(big_data_file(key), Path::new(expected), "{key}");
    }
}

#[test]
fn a_reboot_takes_our_containers_with_it() {
    let fixture = Fixture::new();
    let ours = fixture.store.create_container(container(1, None)).unwrap();
    let table = fixture.path("root/overlay-containers/volatile-containers.json");
    let rows = fs::read_to_string(&table).unwrap();
    let boot = ours.boot_id.as_ref().unwrap();
    let earlier = rows.replace(boot, "an-earlier-boot");
    let theirs = rows.replace(ours.id.as_str(), &"f".repeat(64)).replace("name-1", "theirs").replace("BootID", "Other");
    fs::write(&table, format!("{},{}", earlier.trim_end_matches(']'), theirs.trim_start_matches('['))).unwrap();
    fs::write(fixture.path("root/overlay-containers/containers.lock"), [7; 64]).unwrap();
    let store = fixture.reopened();
    let left: Vec<_> = store.containers().unwrap().iter().map(|container| container.names[0].clone()).collect();
    assert_eq!(left, ["theirs"]);
    assert!(!store.container_dir(&ours.id).exists());

    fs::write(&table, [0; 4096]).unwrap();
    fs::write(fixture.path("root/overlay-containers/containers.lock"), [8; 64]).unwrap();
    assert!(fixture.reopened().containers().unwrap().is_empty(), "what a power cut left of a volatile table");
}

#[test]
fn a_full_disk_lets_go_of_what_it_holds() {
    let directory = tempfile::tempdir().unwrap();
    let options = crio_sys::mount::Tmpfs {
        size_bytes: Some(2 << 20),
        mode: 0o700,
        attributes: crio_sys::mount::MountAttrFlags::empty(),
        label: "",
    };
    crio_sys::mount::tmpfs(directory.path(), options).unwrap();
    let fixture = Fixture { store: Store::open(config(directory.path())).unwrap(), directory };
    let base = commit(&fixture.store, None, &[("a", "1")]);
    let image = image(&fixture.store, 1, &base, &["x"]);
    let new = container(1, Some(&image));
    fixture.store.create_container(new.clone()).unwrap();
    let root = fixture.store.mount_container(&new.id).unwrap();
    let mut filler = fs::File::create(root.join("filler")).unwrap();
    while filler.write_all(&[1; 4096]).is_ok() {}
    while filler.write_all(&[1; 1]).is_ok() {}
    let mut staged = fixture.store.stage_layer().unwrap();
    let contents = "x".repeat(100_000);
    let refused = staged.apply(archive(&[("big", &contents)]).as_slice(), &ApplyLimits::default()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ResourceExhausted, "{refused:?}");
    drop(staged);
    let store = fixture.reopened();
    assert_eq!(store.images().unwrap().len(), 1);
    store.delete_container(&new.id).unwrap();
    store.delete_image(&image).unwrap();
    assert!(fixture.reopened().images().unwrap().is_empty());
}
