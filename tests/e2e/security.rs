//! What a container may do: capabilities, seccomp, privileges, masked and read-only paths.

use std::fs;

use anyhow::Result;
use crio_cri_api::v1::security_profile::ProfileType;
use crio_cri_api::v1::{Capability, ContainerConfig, Int64Value, SecurityProfile};
use crio_testkit::image::{Compression, Layer};
use crio_testkit::{Options, request};
use crio_tests::workload::{pod_security, security};
use crio_tests::{Stage, images};

/// What CRI-O gives by default: chown, dac_override, fsetid, fowner, setgid, setuid, setpcap, net_bind_service and kill.
const DEFAULT_CAPABILITIES: u64 = 0x5fb;
const NET_ADMIN: u64 = 1 << 12;
const KILL: u64 = 1 << 5;

fn capabilities(add: &[&str], drop: &[&str]) -> Option<Capability> {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    Some(Capability { add_capabilities: words(add), drop_capabilities: words(drop), ..Default::default() })
}

/// The hexadecimal field of a `/proc/self/status` in what a container wrote.
fn field(status: &str, name: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(u64::MAX)
}

#[tokio::test(flavor = "multi_thread")]
async fn capabilities_are_those_asked_for() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("capabilities").await?;
    let cases = [
        ("default", None, DEFAULT_CAPABILITIES),
        ("add", capabilities(&["NET_ADMIN"], &[]), DEFAULT_CAPABILITIES | NET_ADMIN),
        ("drop", capabilities(&[], &["CAP_KILL"]), DEFAULT_CAPABILITIES & !KILL),
        ("none", capabilities(&[], &["ALL"]), 0),
        ("only", capabilities(&["KILL"], &["ALL"]), KILL),
    ];
    for (name, asked, expected) in cases {
        let mut config = stage.shell(name, "cat /proc/self/status");
        security(&mut config).capabilities = asked;
        let status = stage.finish(&pod, &config).await?.stdout;
        assert_eq!(field(&status, "CapBnd:"), expected, "{name}");
        assert_eq!(field(&status, "CapEff:"), expected, "{name}");
        assert_eq!(field(&status, "CapInh:"), 0, "{name}");
    }

    let mut config = stage.shell("user", "cat /proc/self/status");
    security(&mut config).run_as_user = Some(Int64Value { value: 1000 });
    let status = stage.finish(&pod, &config).await?.stdout;
    assert_eq!((field(&status, "CapEff:"), field(&status, "CapBnd:")), (0, DEFAULT_CAPABILITIES));
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn ambient_capabilities_reach_a_user_who_is_not_root() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("ambient").await?;
    let mut config = stage.shell("main", "cat /proc/self/status; sleep 1000");
    security(&mut config).run_as_user = Some(Int64Value { value: 1000 });
    let asked = security(&mut config).capabilities.get_or_insert_default();
    asked.add_ambient_capabilities.push("NET_ADMIN".to_owned());
    let id = stage.start(&pod, &config).await?;
    let status = stage.exec(&id, "cat /proc/self/status").await?;
    for set in ["CapAmb:", "CapEff:", "CapPrm:", "CapInh:"] {
        assert_eq!(field(&status, set), NET_ADMIN, "{set} in an exec");
    }
    assert_eq!(field(&status, "CapBnd:"), DEFAULT_CAPABILITIES | NET_ADMIN);
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn new_privileges_can_be_forbidden() -> Result<()> {
    let stage = Stage::set().await?;
    // Not busybox, which gives up such privileges by itself.
    let layer = Layer::new().host_program("/usr/bin/id", "/usr/bin/id")?;
    let layer = layer.file("/suid/id", 0o4755, fs::read("/usr/bin/id")?);
    let image = images::with_shell()?.layer(layer, Compression::Gzip).build()?;
    let image = stage.registry.push(&image, "suid:1").await?;
    stage.cri.pull(&image).await?;
    let pod = stage.pod("privileges").await?;
    for (name, forbidden, uid, flag) in [("allowed", false, "0", 0), ("forbidden", true, "1000", 1)] {
        let mut config = request::shell(name, &image, "cat /proc/self/status; exec /suid/id -u");
        security(&mut config).run_as_user = Some(Int64Value { value: 1000 });
        security(&mut config).no_new_privs = forbidden;
        let ended = stage.finish(&pod, &config).await?;
        assert_eq!(ended.stdout.lines().last(), Some(uid), "{name}: {}", ended.stderr);
        assert_eq!(field(&ended.stdout, "NoNewPrivs:"), flag, "{name}");
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn system_calls_are_filtered_as_asked() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("seccomp").await?;
    let profile = stage.node.path("no-chmod.json");
    fs::write(
        &profile,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["chmod","fchmodat","fchmodat2"],"action":"SCMP_ACT_ERRNO","errnoRet":1}]}"#,
    )?;
    let localhost = profile.to_string_lossy().into_owned();
    let cases = [
        ("absent", None, 0, true),
        ("unconfined", Some((ProfileType::Unconfined, "")), 0, true),
        ("default", Some((ProfileType::RuntimeDefault, "")), 2, true),
        ("localhost", Some((ProfileType::Localhost, localhost.as_str())), 2, false),
    ];
    for (name, profile, mode, can_chmod) in cases {
        let mut config = stage.shell(name, "cat /proc/self/status; chmod 700 /tmp && echo changed; sleep 1000");
        security(&mut config).seccomp =
            profile.map(|(kind, path)| SecurityProfile { profile_type: kind.into(), localhost_ref: path.to_owned() });
        let id = stage.start(&pod, &config).await?;
        let status = stage.exec(&id, "cat /proc/self/status; chmod 700 /tmp && echo changed; true").await?;
        assert_eq!(field(&status, "Seccomp:"), mode, "{name}, in an exec");
        assert_eq!(status.ends_with("changed\n"), can_chmod, "{name}, in an exec");
        let log = fs::read_to_string(stage.node.container_log("seccomp", name))?;
        assert_eq!(log.contains("changed"), can_chmod, "{name}");
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_are_masked_and_read_only_as_asked() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("paths").await?;
    let script = "cat /etc/group; ls /root; echo x 2>/dev/null >/etc/hosts || echo read-only
         echo x 2>/dev/null >/tmp/file && echo writable";
    let mut config = stage.shell("paths", script);
    security(&mut config).masked_paths = vec!["/etc/group".to_owned(), "/root".to_owned(), "/not/there".to_owned()];
    security(&mut config).readonly_paths = vec!["/etc".to_owned()];
    let ended = stage.finish(&pod, &config).await?;
    assert_eq!(ended.stdout, "read-only\nwritable\n", "{}", ended.stderr);

    let script = "touch /no 2>/dev/null || echo read-only; touch /dev/shm/file && echo shared memory";
    let mut config = stage.shell("rootfs", script);
    security(&mut config).readonly_rootfs = true;
    assert_eq!(stage.finish(&pod, &config).await?.stdout, "read-only\nshared memory\n");

    let plain =
        stage.output(&pod, "plain", "touch /yes && echo writable; touch /sys/no 2>/dev/null || echo sysfs").await?;
    assert_eq!(plain, "writable\nsysfs\n");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_can_make_every_root_read_only() -> Result<()> {
    let crio_conf = "[crio.runtime]\nread_only = true\n".to_owned();
    let stage = Stage::set_with(Options { crio_conf, ..Options::default() }).await?;
    let layer = Layer::new().file("/tmp/of-the-image", 0o644, "").directory("/run", 0o755);
    let image = images::with_shell()?.layer(layer, Compression::Gzip).build()?;
    let image = stage.registry.push(&image, "scratch:1").await?;
    stage.cri.pull(&image).await?;
    let pod = stage.pod("read-only").await?;
    let script =
        "echo >/no 2>/dev/null || echo root; for d in /run /tmp /var/tmp; do echo >$d/x && echo $d; done; ls /tmp";
    let config = request::shell("main", &image, script);
    let ended = stage.finish(&pod, &config).await?;
    assert_eq!(ended.stdout, "root\n/run\n/tmp\n/var/tmp\nof-the-image\nx\n", "{}", ended.stderr);
    stage.close().await
}

/// What kubelet hides and protects in every ordinary container.
const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

#[tokio::test(flavor = "multi_thread")]
async fn what_kubelet_hides_tells_nothing_and_takes_nothing() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("hidden").await?;
    let script = format!(
        "for path in {}; do
             if test -d $path; then ls -A $path 2>/dev/null | head -n 1; else head -c 1 $path 2>/dev/null | grep -c . ; fi
         done | grep -v '^0$' | head -n 1 | wc -l
         cat /proc/sys/kernel/domainname 2>/dev/null >/tmp/name && cp /tmp/name /proc/sys/kernel/domainname 2>/dev/null && echo wrote
         true",
        MASKED.join(" "),
    );
    let paths = |paths: &[&str]| paths.iter().map(|&path| path.to_owned()).collect::<Vec<_>>();
    for (name, hidden, expected) in [("hidden", true, "0\n"), ("open", false, "1\nwrote\n")] {
        let mut config = stage.shell(name, &script);
        if hidden {
            security(&mut config).masked_paths = paths(&MASKED);
            security(&mut config).readonly_paths = paths(&READ_ONLY);
        }
        let ended = stage.finish(&pod, &config).await?;
        assert_eq!(ended.stdout, expected, "{name}: {}", ended.stderr);
    }
    stage.close().await
}

fn privileged(mut config: ContainerConfig) -> ContainerConfig {
    security(&mut config).privileged = true;
    security(&mut config).masked_paths = vec!["/etc/group".to_owned()];
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn a_privileged_container_may_do_nearly_everything() -> Result<()> {
    let stage = Stage::set().await?;
    let mut config = stage.node.pod("privileged");
    pod_security(&mut config).privileged = true;
    let pod = stage.pod_of(config).await?;
    let script = "cat /proc/self/status; mount -t tmpfs none /tmp && echo mounted; test -c /dev/kmsg && echo devices
         test -s /etc/group && echo unmasked; grep -q ' /sys sysfs rw' /proc/mounts && echo sysfs";
    let ended = stage.finish(&pod, &privileged(stage.shell("main", script))).await?;
    assert!(ended.stdout.ends_with("mounted\ndevices\nunmasked\nsysfs\n"), "{ended:?}");
    let own = fs::read_to_string("/proc/self/status")?;
    assert_eq!(field(&ended.stdout, "CapEff:"), field(&own, "CapBnd:"), "as much as the host has");
    assert_eq!(field(&ended.stdout, "Seccomp:"), 0);
    stage.close().await
}
