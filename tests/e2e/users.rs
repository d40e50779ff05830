//! Who a process is: users, groups and how they are told.

use anyhow::{Context as _, Result};
use crio_cri_api::v1::{ContainerConfig, Int64Value, SupplementalGroupsPolicy};
use crio_testkit::image::{Compression, Layer};
use crio_testkit::request;
use crio_tests::workload::security;
use crio_tests::{Stage, images, until};
use serde_json::json;

const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n";
const GROUP: &str = "root:x:0:\nalice:x:1000:\nextra:x:5000:alice\nother:x:6000:\n";

type Change = fn(&mut ContainerConfig);

fn cases() -> Vec<(&'static str, Change, &'static str)> {
    vec![
        ("image", |_| (), "uid=1000(alice) gid=1000(alice) groups=1000(alice),5000(extra)"),
        (
            "uid",
            |config| security(config).run_as_user = Some(Int64Value { value: 0 }),
            "uid=0(root) gid=0(root) groups=0(root)",
        ),
        (
            "name",
            |config| security(config).run_as_username = "alice".to_owned(),
            "uid=1000(alice) gid=1000(alice) groups=1000(alice),5000(extra)",
        ),
        (
            "group",
            |config| {
                security(config).run_as_user = Some(Int64Value { value: 1000 });
                security(config).run_as_group = Some(Int64Value { value: 6000 });
            },
            "uid=1000(alice) gid=6000(other) groups=5000(extra),6000(other)",
        ),
        (
            "merge",
            |config| security(config).supplemental_groups = vec![6000, 7000],
            "uid=1000(alice) gid=1000(alice) groups=1000(alice),5000(extra),6000(other),7000",
        ),
        (
            "strict",
            |config| {
                security(config).supplemental_groups = vec![7000];
                security(config).supplemental_groups_policy = SupplementalGroupsPolicy::Strict.into();
            },
            "uid=1000(alice) gid=1000(alice) groups=1000(alice),7000",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_groups_are_the_containers_own() -> Result<()> {
    let stage = Stage::set().await?;
    let files = Layer::new().file("/etc/passwd", 0o644, PASSWD).file("/etc/group", 0o644, GROUP);
    let image = images::with_shell()?.layer(files, Compression::Gzip).config("User", json!("alice")).build()?;
    let image = stage.registry.push(&image, "users:1").await?;
    stage.cri.pull(&image).await?;
    let pod = stage.pod("users").await?;
    for (name, change, expected) in cases() {
        let mut config = request::shell(name, &image, "id; sleep 1000");
        change(&mut config);
        let id = stage.start(&pod, &config).await?;
        let said = stage.exec(&id, "id").await?;
        assert_eq!(sorted(said.trim()), expected, "{name}, in an exec");
        let user = stage.cri.status(&id).await?.user.and_then(|user| user.linux).context("a user")?;
        let groups = expected.split_once("groups=").map(|(_, groups)| groups).unwrap_or_default();
        let groups: Vec<i64> = groups.split(',').filter_map(number).collect();
        let mut told = user.supplemental_groups.clone();
        told.sort_unstable();
        assert_eq!(told, groups, "{name}: {user:?}");
        assert!(expected.starts_with(&format!("uid={}(", user.uid)), "{name}: {user:?}");
        let log = until("the container has spoken", async || {
            let log = std::fs::read_to_string(stage.node.container_log("users", name))?;
            Ok(log.ends_with('\n').then_some(log))
        })
        .await?;
        let own = log.split_once(" F ").map(|(_, line)| line.trim().to_owned()).unwrap_or_default();
        assert_eq!(sorted(&own), expected, "{name}, in the container");
    }
    stage.close().await
}

/// The groups of a line of `id` in the order of their numbers.
fn sorted(line: &str) -> String {
    let Some((before, groups)) = line.split_once("groups=") else {
        return line.to_owned();
    };
    let mut groups: Vec<&str> = groups.split(',').collect();
    groups.sort_by_key(|group| number(group));
    format!("{before}groups={}", groups.join(","))
}

fn number(group: &str) -> Option<i64> {
    group.split('(').next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_null_device_is_never_a_users() -> Result<()> {
    const USER: u32 = 48_151;
    let stage = Stage::set().await?;
    let pod = stage.pod("null").await?;
    let mut config = stage.shell("main", "sleep 1000");
    security(&mut config).run_as_user = Some(Int64Value { value: USER.into() });
    let id = stage.start(&pod, &config).await?;
    // crun gives the standard streams of a command to its user.
    assert_eq!(stage.exec(&id, "id -u; cat; echo x >/dev/null").await?, format!("{USER}\n"));
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/dev/null")?);
    assert_ne!(owner, USER);
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_number_is_a_user_all_the_same() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("stranger").await?;
    let mut config = stage.shell("main", "id -u; id -un; grep :4711: /etc/passwd; touch /tmp/mine; ls -n /tmp/mine");
    security(&mut config).run_as_user = Some(Int64Value { value: 4711 });
    let ended = stage.finish(&pod, &config).await?;
    assert_eq!(ended.status.exit_code, 0, "{ended:?}");
    assert!(ended.stdout.starts_with("4711\n"), "{}", ended.stdout);
    stage.close().await
}
