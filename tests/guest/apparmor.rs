//! AppArmor: which profile a container runs under, by either field of a request, and that it is enforced.

use std::fs;

use anyhow::{Context as _, Result};
use crio_cri_api::v1::security_profile::ProfileType;
use crio_cri_api::v1::{ContainerConfig, SecurityProfile};
use crio_testkit::{CgroupManager, Options};
use crio_tests::workload::security;
use crio_tests::{Stage, refused};
use tonic::Code;

use crate::{output, stage};

const DEFAULT: &str = "crio-default (enforce)";
const OWN: &str = "guest-deny-write (enforce)";
const WHO: &str = "cat /proc/self/attr/current";

/// Loads a profile that denies every write below /tmp.
fn load_own() -> Result<()> {
    let text = "profile guest-deny-write flags=(attach_disconnected,mediate_deleted) {
          file, network, capability, signal, ptrace, umount,
          deny /tmp/** w,
        }";
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("profile");
    fs::write(&file, text)?;
    output("apparmor_parser", &["--skip-cache", "--replace", &file.to_string_lossy()]).map(drop)
}

fn profile(kind: ProfileType, name: &str) -> Option<SecurityProfile> {
    Some(SecurityProfile { profile_type: kind.into(), localhost_ref: name.to_owned() })
}

#[expect(deprecated, reason = "older clients still set the string")]
fn ask(mut config: ContainerConfig, message: Option<SecurityProfile>, string: &str) -> ContainerConfig {
    security(&mut config).apparmor = message;
    security(&mut config).apparmor_profile = string.to_owned();
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_runs_under_the_profile_asked_for() -> Result<()> {
    load_own()?;
    let stage = stage(CgroupManager::Cgroupfs).await?;
    let loaded = fs::read_to_string("/sys/kernel/security/apparmor/profiles")?;
    assert!(loaded.lines().any(|line| line == DEFAULT), "the daemon has not loaded its profile: {loaded}");
    let pod = stage.pod("profiles").await?;
    let own = "guest-deny-write";
    let cases = [
        ("absent", None, "", DEFAULT),
        ("default", profile(ProfileType::RuntimeDefault, ""), "", DEFAULT),
        ("unconfined", profile(ProfileType::Unconfined, ""), "", "unconfined"),
        ("localhost", profile(ProfileType::Localhost, own), "", OWN),
        ("prefixed", profile(ProfileType::Localhost, "localhost/guest-deny-write"), "", OWN),
        ("olddefault", None, "runtime/default", DEFAULT),
        ("oldunconfined", None, "unconfined", "unconfined"),
        ("oldlocalhost", None, "localhost/guest-deny-write", OWN),
        ("newwins", profile(ProfileType::Localhost, own), "unconfined", OWN),
        ("newwinstoo", profile(ProfileType::Unconfined, ""), "localhost/guest-deny-write", "unconfined"),
    ];
    for (name, message, string, expected) in cases {
        let script = format!("{WHO}; echo x 2>/dev/null >/tmp/file && echo written; true");
        let ended = stage.finish(&pod, &ask(stage.shell(name, &script), message, string)).await?;
        let written = if expected == OWN { "" } else { "written\n" };
        assert_eq!(ended.stdout, format!("{expected}\n{written}"), "{name}: {}", ended.stderr);
    }

    let id =
        stage.start(&pod, &ask(stage.shell("exec", "sleep 1000"), profile(ProfileType::Localhost, own), "")).await?;
    let script = format!("{WHO}; echo x 2>/dev/null >/tmp/file || echo denied");
    assert_eq!(stage.exec(&id, &script).await?, format!("{OWN}\ndenied\n"), "in an exec");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_is_not_loaded_is_refused() -> Result<()> {
    let stage = stage(CgroupManager::Cgroupfs).await?;
    let pod = stage.pod("missing").await?;
    let cases =
        [("new", profile(ProfileType::Localhost, "guest-not-there"), ""), ("old", None, "localhost/guest-not-there")];
    for (name, message, string) in cases {
        let config = ask(stage.shell(name, WHO), message, string);
        let answer = stage.cri.create(&pod.id, &pod.config, &config).await;
        refused(answer, Code::InvalidArgument, &["guest-not-there"])?;
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_profile_keeps_the_machine_from_containers() -> Result<()> {
    let stage = stage(CgroupManager::Cgroupfs).await?;
    let pod = stage.pod("kept").await?;
    // As root with every capability but without masked paths, so that nothing else is in the way.
    let mut config = stage.shell("main", "sleep 1000");
    let capabilities = security(&mut config).capabilities.get_or_insert_default();
    capabilities.add_capabilities = vec!["ALL".to_owned()];
    security(&mut config).masked_paths = Vec::new();
    let id = stage.start(&pod, &config).await?;
    for script in
        ["mount -t tmpfs none /mnt", "mount -t tmpfs none /tmp", "head -c 1 /proc/kcore", "echo h >/proc/sysrq-trigger"]
    {
        let script = format!("{script} >/dev/null 2>&1 && echo done || echo denied");
        assert_eq!(stage.exec(&id, &script).await?, "denied\n", "{script}");
    }
    assert_eq!(stage.exec(&id, "echo own >/tmp/file && kill -0 1 && cat /tmp/file").await?, "own\n");

    let mut config = stage.shell("privileged", &format!("{WHO}; mount -t tmpfs none /tmp && echo mounted"));
    security(&mut config).privileged = true;
    let mut of = stage.node.pod("privileged");
    crio_tests::workload::pod_security(&mut of).privileged = true;
    let pod = stage.pod_of(of).await?;
    assert_eq!(stage.finish(&pod, &config).await?.stdout, "unconfined\nmounted\n");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_names_the_default() -> Result<()> {
    load_own()?;
    for (name, expected) in [("guest-deny-write", OWN), ("unconfined", "unconfined")] {
        let crio_conf = format!("[crio.runtime]\napparmor_profile = {name:?}\n");
        let stage = Stage::set_with(Options { crio_conf, ..Options::default() }).await?;
        let pod = stage.pod("configured").await?;
        let said = stage.output(&pod, "main", WHO).await.with_context(|| format!("apparmor_profile = {name:?}"))?;
        assert_eq!(said.trim(), expected);
        stage.close().await?;
    }
    Ok(())
}
