//! Devices: of the request, of the configuration, and by the names of the Container Device Interface.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use crio_cri_api::v1::{CdiDevice, ContainerState, Device, Int64Value, RunPodSandboxRequest};
use crio_testkit::Options;
use crio_tests::workload::{pod_security, security};
use crio_tests::{Pod, Stage, refused};
use serde_json::json;
use tempfile::TempDir;
use tonic::Code;

/// The CDI specification of a thing: a variable and a group for all of its kind, nodes, a mount and a hook for each.
fn specification(top: &Path) -> serde_json::Value {
    let hook = format!("echo \"$WHICH $0 $(env | wc -l)\" >{}", top.join("hooked").display());
    json!({
        "cdiVersion": "0.6.0",
        "kind": "vendor.com/thing",
        "containerEdits": { "env": ["VENDOR=yes"], "additionalGids": [4711] },
        "devices": [
            { "name": "one", "containerEdits": {
                "env": ["THING=one"],
                "deviceNodes": [{ "path": "/dev/thing", "hostPath": "/dev/kmsg", "permissions": "r" }],
                "mounts": [{ "hostPath": top.join("library"), "containerPath": "/opt/vendor", "options": ["ro"] }],
                "hooks": [{
                    "hookName": "createRuntime", "path": "/bin/sh", "args": ["sh", "-c", hook, "linked"],
                    "env": ["WHICH=ran"],
                }],
            } },
            { "name": "absent", "containerEdits": { "deviceNodes": [{ "path": "/dev/no-such-device" }] } },
        ],
    })
}

async fn with_specifications() -> Result<(TempDir, Stage)> {
    let top = tempfile::Builder::new().prefix("ct-cdi-").tempdir()?;
    for name in ["etc", "run", "library"] {
        fs::create_dir(top.path().join(name))?;
    }
    fs::write(top.path().join("library/name"), "the vendor's\n")?;
    fs::write(top.path().join("etc/thing.json"), specification(top.path()).to_string())?;
    fs::write(top.path().join("run/broken.yaml"), "cdiVersion: 0.6.0\nkind: [\n")?;
    let (etc, run) = (top.path().join("etc"), top.path().join("run"));
    let crio_conf = format!("[crio.runtime]\ncdi_spec_dirs = [{etc:?}, {run:?}]\n");
    let stage = Stage::set_with(Options { crio_conf, ..Options::default() }).await?;
    Ok((top, stage))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interface_brings_what_its_specification_lists() -> Result<()> {
    let (top, stage) = with_specifications().await?;
    let pod = stage.pod("interface").await?;
    let script = "echo $VENDOR $THING; id -G; cat /opt/vendor/name; touch /opt/vendor/x 2>/dev/null || echo read-only
         stat -c %t:%T /dev/thing; dd if=/dev/zero of=/dev/thing count=0 2>/dev/null || echo not writable";
    let expected = "yes one\n0 4711\nthe vendor's\nread-only\n1:b\nnot writable\n";
    let mut by_field = stage.shell("field", script);
    by_field.cdi_devices = vec![CdiDevice { name: "vendor.com/thing=one".to_owned() }];
    let mut by_annotation = stage.shell("annotation", script);
    by_annotation.annotations.insert("cdi.k8s.io/plugin".to_owned(), "vendor.com/thing=one".to_owned());
    let mut by_both = by_annotation.clone();
    by_both.metadata.get_or_insert_default().name = "both".to_owned();
    by_both.log_path = "both/0.log".to_owned();
    by_both.cdi_devices.clone_from(&by_field.cdi_devices);
    for config in [by_field, by_annotation, by_both] {
        let ended = stage.finish(&pod, &config).await?;
        assert_eq!(ended.stdout, expected, "{}", ended.stderr);
        assert!(ended.status.mounts.is_empty(), "only the request's mounts are shown: {:?}", ended.status.mounts);
        let hooked = fs::read_to_string(top.path().join("hooked"))?;
        // The shell adds PWD, and _ or SHLVL; nothing of the daemon or the image is there.
        let mut words = hooked.split_whitespace();
        assert_eq!((words.next(), words.next()), (Some("ran"), Some("linked")), "{hooked}");
        assert!(words.next().is_some_and(|count| count.parse::<u32>().is_ok_and(|count| count <= 4)), "{hooked}");
        fs::remove_file(top.path().join("hooked"))?;
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_nowhere_refuses_the_container() -> Result<()> {
    let (top, stage) = with_specifications().await?;
    let pod = stage.pod("nowhere").await?;
    for (name, code, words) in [
        ("vendor.com/thing=two", Code::FailedPrecondition, ["unresolvable", "vendor.com/thing=two", "broken.yaml"]),
        ("vendor.com/thing=absent", Code::InvalidArgument, ["vendor.com/thing=absent", "/dev/no-such-device", ""]),
        ("thing", Code::InvalidArgument, ["\"thing\"", "vendor/class=device", ""]),
    ] {
        let mut config = stage.shell("main", "true");
        config.cdi_devices = vec![CdiDevice { name: name.to_owned() }];
        refused(stage.cri.create(&pod.id, &pod.config, &config).await, code, &words)?;
    }
    // A specification counts from the moment it is there, and the later directory before the earlier one.
    let mut config = stage.shell("main", "echo $THING");
    config.cdi_devices = vec![CdiDevice { name: "vendor.com/thing=one".to_owned() }];
    let later =
        "cdiVersion: 1.0.0\nkind: vendor.com/thing\ndevices: [{name: one, containerEdits: {env: [THING=one]}}]\n";
    fs::write(top.path().join("run/later.yaml"), later)?;
    assert_eq!(stage.finish(&pod, &config).await?.stdout, "one\n");
    stage.close().await
}

/// Makes a device node in the node's directory.
fn node(stage: &Stage, path: &str, minor: &str) -> Result<()> {
    let status = Command::new("mknod").arg(stage.node.path(path)).args(["c", "1", minor]).status()?;
    ensure!(status.success(), "mknod {path}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_and_a_link_stand_for_their_nodes() -> Result<()> {
    let crio_conf = "[crio.runtime]\nadditional_devices = [\"/dev/kmsg:/dev/always:r\"]\n".to_owned();
    let stage = Stage::set_with(Options { crio_conf, ..Options::default() }).await?;
    let pod = stage.pod("nodes").await?;
    fs::create_dir_all(stage.node.path("nodes/deep"))?;
    node(&stage, "nodes/zero", "5")?;
    node(&stage, "nodes/deep/full", "7")?;
    fs::write(stage.node.path("nodes/file"), "no device")?;
    std::os::unix::fs::symlink(stage.node.path("nodes/zero"), stage.node.path("link"))?;
    let script = "cd /dev; ls vendor vendor/deep; head -c 2 linked | od -An -tx1; stat -c %t:%T always
         echo x 2>/dev/null >vendor/deep/full || echo full; dd if=zero of=always count=0 2>/dev/null || echo not writable";
    let mut config = stage.shell("main", script);
    let device = |host: &str, container: &str, permissions: &str| Device {
        host_path: stage.node.path(host).to_string_lossy().into_owned(),
        container_path: container.to_owned(),
        permissions: permissions.to_owned(),
    };
    config.devices = vec![device("nodes", "/dev/vendor", "rw"), device("link", "/dev/linked", "r")];
    let ended = stage.finish(&pod, &config).await?;
    let expected = "vendor:\ndeep\nzero\n\nvendor/deep:\nfull\n 00 00\n1:b\nfull\nnot writable\n";
    assert_eq!(ended.stdout, expected, "{}", ended.stderr);
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_can_come_by_annotation_and_belong_to_the_user() -> Result<()> {
    let crio_conf = "[crio.runtime]\nallowed_devices = [\"/dev/kmsg\"]\ndevice_ownership_from_security_context = true\n\
                     [crio.runtime.runtimes.open]\ninherit_default_runtime = true\nallowed_annotations = [\"devices.crio.io\"]\n";
    let stage = Stage::set_with(Options { crio_conf: crio_conf.to_owned(), ..Options::default() }).await?;
    let with_annotation = |name: &str, devices: &str| {
        let mut config = stage.node.pod(name);
        config.annotations.insert("devices.crio.io".to_owned(), devices.to_owned());
        config
    };
    for (name, handler, devices, expected) in [
        ("open", "open", "/dev/kmsg:/dev/message:r", "1:b 0\n1:5 1000:2000\n"),
        ("closed", "", "/dev/kmsg:/dev/message:r", "1:5 1000:2000\n"),
    ] {
        let config = with_annotation(name, devices);
        let request = RunPodSandboxRequest { config: Some(config.clone()), runtime_handler: handler.to_owned() };
        let id = stage.cri.runtime().run_pod_sandbox(request).await?.into_inner().pod_sandbox_id;
        let script = "stat -c '%t:%T %u' /dev/message 2>/dev/null; stat -c '%t:%T %u:%g' /dev/own";
        let mut config_of = stage.shell("main", script);
        security(&mut config_of).run_as_user = Some(Int64Value { value: 1000 });
        security(&mut config_of).run_as_group = Some(Int64Value { value: 2000 });
        let (host_path, container_path) = ("/dev/zero".to_owned(), "/dev/own".to_owned());
        config_of.devices = vec![Device { host_path, container_path, permissions: "r".to_owned() }];
        let ended = stage.finish(&Pod { id, config }, &config_of).await?;
        assert_eq!(ended.stdout, expected, "{name}: {}", ended.stderr);
    }
    let config = with_annotation("refused", "/dev/mem");
    let request = RunPodSandboxRequest { config: Some(config.clone()), runtime_handler: "open".to_owned() };
    let id = stage.cri.runtime().run_pod_sandbox(request).await?.into_inner().pod_sandbox_id;
    let answer = stage.cri.create(&id, &config, &stage.shell("main", "true")).await;
    refused(answer, Code::PermissionDenied, &["/dev/mem", "allowed devices"])?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_device_can_be_opened() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("closed").await?;
    // Making a node is allowed; opening it is not, except for what every container has: the answer of the kernel is
    // then another one, or none.
    let script = "cd /tmp; for major in $(seq 1 255); do for minor in 0 3 8; do for kind in c b; do
             mknod d $kind $major $minor || exit 1
             dd if=d of=/dev/null count=0 2>&1 | grep -Eq 'not permitted|denied' || echo $kind $major:$minor; rm d
         done; done; done";
    let mut config = stage.shell("main", script);
    security(&mut config).capabilities.get_or_insert_default().add_capabilities.push("MKNOD".to_owned());
    let id = stage.start(&pod, &config).await?;
    let ended = stage.cri.wait(&id, ContainerState::ContainerExited, Duration::from_secs(120)).await?;
    let said = crio_tests::log::read(ended.log_path.as_ref())?;
    let said = String::from_utf8_lossy(&crio_tests::log::content(&said, "stdout")).into_owned();
    assert_eq!(ended.exit_code, 0, "{said}");
    for open in said.lines() {
        let ordinary = ["c 1:3", "c 1:5", "c 1:7", "c 1:8", "c 1:9", "c 5:0", "c 5:1", "c 5:2"].contains(&open);
        assert!(ordinary || open.starts_with("c 136:"), "{open} can be opened: {said}");
    }
    assert!(said.contains("c 1:3\n") && said.contains("c 1:8\n"), "{said}");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_privileged_container_keeps_the_nodes_own_devices() -> Result<()> {
    let stage = Stage::set().await?;
    let mut config = stage.node.pod("privileged");
    pod_security(&mut config).privileged = true;
    let pod = stage.pod_of(config).await?;
    let device = |container: &str| Device {
        host_path: "/dev/zero".to_owned(),
        container_path: container.to_owned(),
        permissions: "rwm".to_owned(),
    };
    let mut config = stage.shell("main", "head -c 1 /dev/nothing-here | od -An -tx1");
    security(&mut config).privileged = true;
    config.devices = vec![device("/dev/full")];
    refused(stage.cri.create(&pod.id, &pod.config, &config).await, Code::InvalidArgument, &["/dev/full", "exists"])?;
    config.devices = vec![device("/dev/zero"), device("/dev/nothing-here")];
    assert_eq!(stage.finish(&pod, &config).await?.stdout, " 00\n");
    stage.close().await
}
