//! The daemon as a unit of systemd, from the file that packages install.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use crio_cri_api::v1::ContainerState;
use crio_testkit::{Cri, Registry, image, request};
use crio_tests::PATIENCE;

use crate::{directory, group_of, output, property, remains};

const UNIT: &str = "crio.service";
const SOCKET: &str = "/var/run/crio/crio.sock";
const NETWORK: &str = r#"{"cniVersion":"1.0.0","name":"unit","plugins":[{"type":"bridge","bridge":"unit0","isGateway":true,
    "ipMasq":true,"ipam":{"type":"host-local","ranges":[[{"subnet":"10.200.0.0/24"}]]}}]}"#;

/// Puts everything where a package would, with a configuration that has nothing but what a test needs.
fn install(registry: &Registry) -> Result<()> {
    let program = |variable: &str| std::env::var(variable).with_context(|| format!("{variable} is not set"));
    for (from, to) in [("CRIO_BINARY", "/usr/bin/crio"), ("CRIO_CONMON", "/usr/bin/crio-conmon")] {
        fs::copy(program(from)?, to).with_context(|| format!("cannot write {to}"))?;
    }
    let files = [
        ("/etc/systemd/system/crio.service", include_str!("../../packaging/systemd/crio.service").to_owned()),
        ("/etc/cni/net.d/10-unit.conflist", NETWORK.to_owned()),
        ("/etc/containers/policy.json", r#"{"default":[{"type":"insecureAcceptAnything"}]}"#.to_owned()),
        (
            "/etc/containers/registries.conf",
            format!("[[registry]]\nlocation = {:?}\ninsecure = true\n", registry.host()),
        ),
        ("/etc/crio/crio.conf.d/50-unit.conf", "[crio.network]\nplugin_dirs = [\"/usr/lib/cni\"]\n".to_owned()),
    ];
    for (file, text) in files {
        fs::create_dir_all(Path::new(file).parent().context("files have directories")?)?;
        fs::write(file, text).with_context(|| format!("cannot write {file}"))?;
    }
    output("systemctl", &["daemon-reload"]).map(drop)
}

/// Asks systemd, which waits for READY=1 of this unit; when it comes, the daemon has to serve.
async fn told(verb: &str) -> Result<Cri> {
    if let Err(error) = output("systemctl", &[verb, UNIT]) {
        let log = output("journalctl", &["--unit", UNIT, "--lines", "50", "--no-pager"]).unwrap_or_default();
        return Err(error.context(log));
    }
    ensure!(property(UNIT, "ActiveState")? == "active", "{}", property(UNIT, "ActiveState")?);
    let cri = Cri::connect(Path::new(SOCKET)).await.context("the unit is ready, but nobody listens")?;
    cri.version().await?;
    Ok(cri)
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_outlive_a_restart_of_the_unit() -> Result<()> {
    let registry = Registry::start().await?;
    install(&registry)?;
    let busybox = registry.push(&image::busybox()?, "library/busybox:latest").await?;
    let cri = told("start").await?;
    assert_eq!(property(UNIT, "Type")?, "notify");
    cri.pull(&busybox).await?;
    let logs = tempfile::tempdir()?;
    let config = request::pod("unit", logs.path(), "kubepods-besteffort-podunit.slice");
    let pod = cri.run_pod(&config).await?;
    let container = cri.run(&pod, &config, &request::shell("main", &busybox, "echo begun; sleep 1000")).await?;
    let slice = "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podunit.slice";
    let group = property(&format!("crio-{container}.scope"), "ControlGroup")?;
    assert_eq!(group, format!("{slice}/crio-{container}.scope"), "the package's default is systemd");
    assert!(directory(&format!("/system.slice/crio-conmon-{pod}.scope")).is_dir(), "the monitor is outside the unit");

    let daemon = property(UNIT, "MainPID")?;
    assert_eq!(group_of(daemon.parse()?)?, "/system.slice/crio.service");
    let cri = told("restart").await?;
    assert_ne!(property(UNIT, "MainPID")?, daemon);
    let status = cri.status(&container).await?;
    assert_eq!(status.state(), ContainerState::ContainerRunning);
    let executed = cri.exec(&container, &["echo", "alive"], PATIENCE).await?;
    assert_eq!((executed.stdout.as_str(), executed.code), ("alive\n", 0));

    output("systemctl", &["reload", UNIT])?;
    assert_eq!(property(UNIT, "ActiveState")?, "active");
    output("systemctl", &["stop", UNIT])?;
    assert_eq!(property(UNIT, "Result")?, "success");
    assert!(Cri::connect(Path::new(SOCKET)).await.is_err(), "nobody listens");
    assert!(!fs::read_to_string(directory(&group).join("cgroup.events"))?.contains("populated 0"), "the pod goes on");

    let cri = told("start").await?;
    assert_eq!(cri.exec(&container, &["echo", "alive"], PATIENCE).await?.code, 0);
    cri.stop(&container, Duration::ZERO).await?;
    cri.remove_everything().await?;
    assert_eq!(remains(&[&pod, &container])?, Vec::<String>::new());
    output("systemctl", &["stop", UNIT])?;
    Ok(())
}
