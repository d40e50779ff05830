//! Mounts, devices and what of them a status shows.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, ensure};
use crio_cri_api::v1::{Device, Mount, MountPropagation, StatusRequest};
use crio_tests::workload::security;
use crio_tests::{Stage, refused};
use rustix::fs::{CWD, RenameFlags};
use tonic::Code;

fn mount(host: &Path, container: &str) -> Mount {
    Mount { host_path: host.to_string_lossy().into_owned(), container_path: container.to_owned(), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn host_paths_are_seen_as_asked() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("mounts").await?;
    let host = stage.node.path("volume");
    fs::create_dir(&host)?;
    fs::write(host.join("file"), "from the host\n")?;
    std::os::unix::fs::symlink(&host, stage.node.path("link"))?;
    let missing = stage.node.path("not/yet/there");

    let mut config = stage.shell(
        "main",
        "cat /rw/file /ro/file /file /link/file; echo back >/rw/back
         echo no 2>/dev/null >/ro/no || echo read-only; test -d /missing && echo made; sleep 1000",
    );
    config.mounts = vec![
        mount(&host, "/rw"),
        Mount { readonly: true, ..mount(&host, "/ro") },
        mount(&host.join("file"), "/file"),
        mount(&stage.node.path("link"), "/link"),
        mount(&missing, "/missing"),
    ];
    let id = stage.start(&pod, &config).await?;
    crio_tests::until("the script is done", async || {
        let log = fs::read_to_string(stage.node.container_log("mounts", "main"))?;
        Ok(log.contains(" F made").then_some(()))
    })
    .await?;
    let log = fs::read_to_string(stage.node.container_log("mounts", "main"))?;
    assert_eq!(log.matches("from the host").count(), 4, "{log}");
    assert!(log.contains(" F read-only"), "{log}");
    assert_eq!(fs::read_to_string(host.join("back"))?, "back\n");
    assert!(missing.is_dir());

    let mut expected = config.mounts.clone();
    expected[3].host_path = host.to_string_lossy().into_owned();
    let shown = stage.cri.status(&id).await?.mounts;
    assert_eq!(shown, expected, "the request's mounts, with links resolved, and no others");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn mounts_made_later_travel_as_asked() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("propagation").await?;
    let mut ids = Vec::new();
    for (name, propagation) in [
        ("private", MountPropagation::PropagationPrivate),
        ("slave", MountPropagation::PropagationHostToContainer),
        ("shared", MountPropagation::PropagationBidirectional),
    ] {
        let host = stage.node.path(name);
        fs::create_dir_all(host.join("from-host"))?;
        fs::create_dir_all(host.join("from-container"))?;
        let mut config = stage.shell(name, "sleep 1000");
        config.mounts = vec![Mount { propagation: propagation.into(), ..mount(&host, "/mnt") }];
        security(&mut config).privileged = propagation == MountPropagation::PropagationBidirectional;
        let mut pod_config = pod.config.clone();
        pod_config.metadata.get_or_insert_default().name = format!("propagation-{name}");
        crio_tests::workload::pod_security(&mut pod_config).privileged = true;
        let pod = stage.pod_of(pod_config).await?;
        ids.push((name, stage.start(&pod, &config).await?));
    }
    for (name, id) in &ids {
        let target = stage.node.path(name).join("from-host");
        inside(&stage, &["mount", "-t", "tmpfs", "none", &target.to_string_lossy()])?;
        let seen = stage.exec(id, "grep -c /mnt/from-host /proc/self/mountinfo || true").await?;
        let expected = if *name == "private" { "0\n" } else { "1\n" };
        assert_eq!(seen, expected, "{name}: from the host to the container");
        inside(&stage, &["umount", &target.to_string_lossy()])?;
    }
    let (_, shared) = &ids[2];
    stage.exec(shared, "mount -t tmpfs none /mnt/from-container").await?;
    let target = stage.node.path("shared").join("from-container");
    inside(&stage, &["mountpoint", "-q", &target.to_string_lossy()])?;
    stage.exec(shared, "umount /mnt/from-container").await?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_goes_as_deep_as_asked() -> Result<()> {
    let stage = Stage::set().await?;
    let handlers = stage.cri.runtime().status(StatusRequest::default()).await?.into_inner().runtime_handlers;
    let mut features = handlers.iter().filter_map(|handler| handler.features.as_ref());
    assert!(features.all(|features| features.recursive_read_only_mounts), "{handlers:?}");
    let pod = stage.pod("recursive").await?;
    let host = stage.node.path("volume");
    fs::create_dir_all(host.join("below"))?;
    inside(&stage, &["mount", "-t", "tmpfs", "none", &host.join("below").to_string_lossy()])?;
    let script = "touch /mnt/x 2>/dev/null && echo top; touch /mnt/below/x 2>/dev/null && echo below; echo done";
    for (name, recursive, expected) in [("plain", false, "below\ndone\n"), ("recursive", true, "done\n")] {
        let mut config = stage.shell(name, script);
        config.mounts = vec![Mount { readonly: true, recursive_read_only: recursive, ..mount(&host, "/mnt") }];
        let ended = stage.finish(&pod, &config).await?;
        assert_eq!(ended.stdout, expected, "{name}: {ended:?}");
        assert_eq!(ended.status.mounts, config.mounts, "{name}");
    }
    let refusals: [fn(&mut Mount); 3] = [
        |mount| mount.readonly = false,
        |mount| mount.propagation = MountPropagation::PropagationHostToContainer.into(),
        |mount| mount.propagation = MountPropagation::PropagationBidirectional.into(),
    ];
    for (number, change) in refusals.into_iter().enumerate() {
        let mut config = stage.shell(&format!("refused-{number}"), "true");
        config.mounts = vec![Mount { readonly: true, recursive_read_only: true, ..mount(&host, "/mnt") }];
        change(&mut config.mounts[0]);
        let answer = stage.cri.create(&pod.id, &pod.config, &config).await;
        refused(answer, Code::InvalidArgument, &["recursive_read_only"])?;
    }
    inside(&stage, &["umount", &host.join("below").to_string_lossy()])?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn options_are_those_asked_for() -> Result<()> {
    let stage = Stage::set().await?;
    let features = stage.cri.runtime().status(StatusRequest::default()).await?.into_inner().features;
    assert!(features.is_some_and(|features| features.mount_options));
    let pod = stage.pod("options").await?;
    let host = stage.node.path("volume");
    fs::create_dir(&host)?;
    fs::write(host.join("program"), "#!/bin/sh\necho ran\n")?;
    fs::set_permissions(host.join("program"), fs::Permissions::from_mode(0o755))?;
    let script = "grep ' /mnt ' /proc/mounts; /mnt/program || echo refused";
    for (name, options) in [("none", vec![]), ("one", vec!["noexec"]), ("all", vec!["nosuid", "nodev", "noexec"])] {
        let mut config = stage.shell(name, script);
        let mount_options = options.iter().map(|&option| option.to_owned()).collect();
        config.mounts = vec![Mount { mount_options, ..mount(&host, "/mnt") }];
        let ended = stage.finish(&pod, &config).await?;
        assert_eq!(ended.status.mounts, config.mounts, "{name}");
        let (line, ran) = ended.stdout.split_once('\n').context("a line of the mount table")?;
        assert_eq!(ran, if options.contains(&"noexec") { "refused\n" } else { "ran\n" }, "{name}");
        let flags: Vec<&str> = line.split(' ').nth(3).unwrap_or_default().split(',').collect();
        for option in ["nosuid", "nodev", "noexec"] {
            assert_eq!(flags.contains(&option), options.contains(&option), "{name}: {line}");
        }
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requests_mounts_are_nested_and_come_before_our_own() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("nested").await?;
    let host = |name: &str| stage.node.path(name);
    for name in ["outer", "inner", "deep"] {
        fs::create_dir_all(host(name))?;
        fs::write(host(name).join("name"), format!("{name}\n"))?;
    }
    fs::create_dir_all(host("outer").join("in/deep"))?;
    fs::create_dir_all(host("inner").join("deep"))?;
    fs::write(host("hosts"), "my own\n")?;
    let mut config = stage.shell("main", "cat /a/in/deep/name /a/in/name /a/name /etc/resolv.conf");
    // The deepest first: the order of the request means nothing.
    config.mounts = vec![
        mount(&host("deep"), "/a/in/deep"),
        mount(&host("inner"), "/a/in"),
        mount(&host("outer"), "/a"),
        mount(&host("hosts"), "/etc/resolv.conf"),
    ];
    assert_eq!(stage.finish(&pod, &config).await?.stdout, "deep\ninner\nouter\nmy own\n");
    stage.close().await
}

/// Two names change places, a directory and a link to another one, as fast as they can.
fn swap(top: PathBuf, stop: Arc<AtomicBool>) -> JoinHandle<std::io::Result<()>> {
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            let (one, other) = (top.join("here"), top.join("link"));
            rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?;
        }
        Ok(())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_changes_places_is_not_mounted() -> Result<()> {
    const ATTEMPTS: usize = 25;
    let stage = Stage::set().await?;
    let pod = stage.pod("swapped").await?;
    let top = stage.node.path("swapped");
    for name in ["here", "other"] {
        fs::create_dir_all(top.join(name).join("volume"))?;
        fs::write(top.join(name).join("volume/name"), name)?;
    }
    std::os::unix::fs::symlink("other", top.join("link"))?;
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = swap(top.clone(), Arc::clone(&stop));
    let mut refusals = 0;
    for attempt in 0..ATTEMPTS {
        let mut config = stage.shell(&format!("attempt-{attempt}"), "sleep 1000");
        config.mounts = vec![mount(&top.join("here/volume"), "/mnt")];
        let id = match stage.cri.create(&pod.id, &pod.config, &config).await {
            Ok(id) => id,
            Err(status) => {
                assert!(status.message().contains("was replaced while the container was made"), "{status:?}");
                refusals += 1;
                continue;
            }
        };
        // What was found and told is what was mounted, whatever the name means by now.
        let told = stage.cri.status(&id).await?.mounts[0].host_path.clone();
        let name = fs::read_to_string(format!("/proc/{}/root/mnt/name", stage.process(&id).await?))?;
        assert_eq!(name == "other", told.contains("/other/"), "{told} is not {name}");
        stage.cri.remove(&id).await?;
    }
    stop.store(true, Ordering::Relaxed);
    swapping.join().expect("it does not panic")?;
    assert!(refusals < ATTEMPTS, "a source that is there can be mounted");
    stage.close().await
}

fn inside(stage: &Stage, words: &[&str]) -> Result<()> {
    let mut command: Command = stage.node.inside(words[0].as_ref());
    let output = command.args(&words[1..]).output()?;
    ensure!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_there_with_the_permissions_asked_for() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("devices").await?;
    let script = "ls -l /dev/message | cut -c1; dd if=/dev/message of=/dev/null count=0 && echo readable
         dd if=/dev/zero of=/dev/message count=0 2>/dev/null || echo not writable";
    let mut config = stage.shell("main", script);
    config.devices = vec![Device {
        host_path: "/dev/kmsg".to_owned(),
        container_path: "/dev/message".to_owned(),
        permissions: "r".to_owned(),
    }];
    // The kernel may want this for reading its messages, beside the permission of the group.
    let capabilities = security(&mut config).capabilities.get_or_insert_default();
    capabilities.add_capabilities.push("SYSLOG".to_owned());
    let ended = stage.finish(&pod, &config).await?;
    assert_eq!(ended.stdout, "c\nreadable\nnot writable\n", "{}", ended.stderr);

    let plain = stage.output(&pod, "plain", "ls /dev; test -e /dev/kmsg || echo none").await?;
    assert!(plain.contains("null\n") && plain.ends_with("none\n"), "{plain}");
    stage.close().await
}
