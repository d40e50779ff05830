//! What one container changed, put into another of the same image.

use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

use super::*;

fn two_containers(fixture: &Fixture) -> [(crio_types::ContainerId, PathBuf); 2] {
    let store = &fixture.store;
    let files =
        [("keep", "image"), ("gone", "image"), ("both/old", "image"), ("both/sub/deep", "image"), ("dir/x", "1")];
    let base = commit(store, None, &files);
    let top = commit(store, Some(&base), &[("moved/inside", "contents")]);
    let image = image(store, 1, &top, &["x"]);
    [5, 6].map(|number| {
        let new = container(number, Some(&image));
        let id = new.id.clone();
        store.create_container(new).unwrap();
        let root = store.mount_container(&id).unwrap();
        (id, root)
    })
}

fn carry(store: &Store, from: &crio_types::ContainerId, to: &crio_types::ContainerId) -> crate::Changes {
    let mut archive = Vec::new();
    let changes = store.export_changes(from, &mut archive).unwrap();
    store.import_changes(to, archive.as_slice(), &ApplyLimits::default()).unwrap();
    store.remove_paths(to, &changes.deleted).unwrap();
    changes
}

/// Everything below a root: path, kind and mode, contents.
fn tree(root: &Path) -> Vec<(String, u32, String)> {
    let mut found = Vec::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let status = fs::symlink_metadata(&path).unwrap();
            let contents = match status.file_type() {
                kind if kind.is_file() => fs::read_to_string(&path).unwrap(),
                kind if kind.is_symlink() => fs::read_link(&path).unwrap().display().to_string(),
                _ => String::new(),
            };
            if status.is_dir() {
                pending.push(path.clone());
            }
            found.push((path.strip_prefix(root).unwrap().display().to_string(), status.mode(), contents));
        }
    }
    found.sort();
    found
}

#[test]
fn changes_of_one_container_make_another_equal() {
    let fixture = Fixture::new();
    let [(from, changed), (to, root)] = two_containers(&fixture);
    fs::write(changed.join("keep"), "changed").unwrap();
    fs::set_permissions(changed.join("dir/x"), fs::Permissions::from_mode(0o4711)).unwrap();
    fs::remove_file(changed.join("gone")).unwrap();
    fs::remove_dir_all(changed.join("both")).unwrap();
    fs::create_dir_all(changed.join("both/sub")).unwrap();
    fs::write(changed.join("both/sub/new"), "new").unwrap();
    // A directory of the image moves; overlay may keep of that no more than a note.
    let renamed = fs::rename(changed.join("moved"), changed.join("elsewhere"));
    fs::write(changed.join("linked"), "twice").unwrap();
    fs::hard_link(changed.join("linked"), changed.join("linked-too")).unwrap();
    symlink("/etc/shadow", changed.join("symlink")).unwrap();
    fs::write(changed.join("n".repeat(200)), "long").unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, changed.join("pipe"), rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(changed.join("socket")).unwrap();
    rustix::fs::setxattr(changed.join("keep"), "user.kept", b"v", rustix::fs::XattrFlags::empty()).unwrap();

    let changes = carry(&fixture.store, &from, &to);
    let without_socket: Vec<_> = tree(&changed).into_iter().filter(|(path, ..)| path != "socket").collect();
    assert_eq!(tree(&root), without_socket, "{changes:?} {renamed:?}");
    assert!(changes.deleted.contains(&PathBuf::from("/gone")), "{changes:?}");
    assert!(changes.deleted.contains(&PathBuf::from("/both/old")), "{changes:?}");
    assert!(fs::symlink_metadata(root.join("pipe")).unwrap().file_type().is_fifo());
    let inode = |name: &str| fs::metadata(root.join(name)).unwrap().ino();
    assert_eq!(inode("linked"), inode("linked-too"));
    let mut value = [0; 8];
    let length = rustix::fs::getxattr(root.join("keep"), "user.kept", &mut value).unwrap();
    assert_eq!(&value[..length], b"v");
}

#[test]
fn nothing_outside_the_root_is_reached() {
    let fixture = Fixture::new();
    let [(from, changed), (to, root)] = two_containers(&fixture);
    let outside = fixture.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    symlink(&outside, changed.join("way-out")).unwrap();
    symlink(&outside, root.join("trap")).unwrap();
    carry(&fixture.store, &from, &to);
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(3);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    for path in ["trap/new", "way-out/new"] {
        builder.append_data(&mut header, path, &b"bad"[..]).unwrap();
    }
    let archive = builder.into_inner().unwrap();
    // Resolved inside the root, where the target does not exist, or refused.
    drop(fixture.store.import_changes(&to, archive.as_slice(), &ApplyLimits::default()));
    fixture.store.remove_paths(&to, &["/trap/secret".into(), "/way-out/secret".into(), "/no/such".into()]).unwrap();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "secret");
    for path in ["/", "a", "/a/../../b"] {
        let refused = fixture.store.remove_paths(&to, &[path.into()]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{path}");
    }
    // Hiding what is below is overlay's own business, not an archive's.
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut header, ".wh.other", &b"bad"[..]).unwrap();
    let archive = builder.into_inner().unwrap();
    let hidden = fixture.store.import_changes(&to, archive.as_slice(), &ApplyLimits::default());
    assert_eq!(hidden.unwrap_err().kind(), ErrorKind::InvalidArgument);
    fixture.store.unmount_container(&to).unwrap();
    assert!(fixture.store.import_changes(&to, archive.as_slice(), &ApplyLimits::default()).is_err());
}
