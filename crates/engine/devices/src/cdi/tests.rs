//! Specifications in directories, and what containers get of them.

use std::fs;
use std::path::PathBuf;

use crio_types::{Classified, ErrorKind};

use super::*;
use crate::DeviceKind;

const GPU: &str = r#"
cdiVersion: "0.6.0"
kind: vendor.com/gpu
devices:
- name: "0"
  containerEdits:
    env: ["INDEX=0"]
    deviceNodes:
    - path: /dev/gpu0
      hostPath: /dev/null
      permissions: rw
- name: all
  containerEdits:
    deviceNodes:
    - {path: /dev/gpu9, type: c, major: 195, minor: 9, fileMode: 438, uid: 5, gid: 6}
containerEdits:
  env: ["VENDOR=yes", "LIST=a=b"]
  additionalGids: [44, 44, 45]
  mounts:
  - {hostPath: /usr/lib/vendor, containerPath: /usr/lib/vendor, options: [ro, nosuid]}
  hooks:
  - {hookName: createContainer, path: /usr/bin/hook, args: [hook, link], timeout: 5}
"#;

struct Directories(tempfile::TempDir);

impl Directories {
    fn new(files: &[(&str, &str)]) -> Self {
        let top = tempfile::tempdir().expect("tempdir");
        for name in ["etc", "run"] {
            fs::create_dir(top.path().join(name)).expect("mkdir");
        }
        for (name, text) in files {
            fs::write(top.path().join(name), text).expect("written");
        }
        Self(top)
    }

    fn paths(&self) -> Vec<PathBuf> {
        ["etc", "run", "missing"].map(|name| self.0.path().join(name)).to_vec()
    }

    fn resolve(&self, names: &[&str]) -> Result<(Edits, Vec<Skipped>), CdiError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        resolve(&self.paths(), &names, Owner { uid: 1000, gid: 0 })
    }
}

fn json(kind: &str, device: &str, edits: &str) -> String {
    let devices = format!(r#"[{{"name":"{device}","containerEdits":{edits}}}]"#);
    format!(r#"{{"cdiVersion":"1.0.0","kind":"{kind}","devices":{devices}}}"#)
}

#[test]
fn a_device_brings_its_own_and_its_kinds_edits_once() {
    let directories = Directories::new(&[("etc/gpu.yaml", GPU)]);
    let (edits, skipped) =
        directories.resolve(&["vendor.com/gpu=0", "vendor.com/gpu=all", "vendor.com/gpu=0"]).expect("resolved");
    assert!(skipped.is_empty(), "{skipped:?}");
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(edits.env, [pair("VENDOR", "yes"), pair("LIST", "a=b"), pair("INDEX", "0")]);
    assert_eq!(edits.additional_gids, [44, 45]);
    let nodes: Vec<_> = edits.devices.iter().map(|d| (d.path.to_str().expect("utf-8"), d.major, d.minor)).collect();
    assert_eq!(nodes, [("/dev/gpu0", 1, 3), ("/dev/gpu9", 195, 9)]);
    let [first, second] = &edits.devices[..] else { panic!("two nodes") };
    assert_eq!((first.kind, first.permissions.letters().as_str()), (DeviceKind::Character, "rw"));
    assert_eq!((first.uid, first.gid), (1000, 0), "the container's user, and the host's group");
    assert_eq!((second.uid, second.gid, second.mode), (5, 6, 0o666));
    let mount = &edits.mounts[0];
    assert_eq!(mount.options().as_deref(), Some(&["rbind", "ro", "nosuid"].map(str::to_owned)[..]));
    let (point, hook) = &edits.hooks[0];
    assert_eq!((*point, hook.timeout()), (HookPoint::CreateContainer, Some(5)));
    assert_eq!(edits.mounts.len() + edits.hooks.len(), 2);
}

#[test]
fn a_later_directory_wins_and_a_tie_is_an_error() {
    let of = |value: &str| json("v.com/c", "d", &format!(r#"{{"env":["FROM={value}"]}}"#));
    let (etc, run) = (of("etc"), of("run"));
    let both = Directories::new(&[("etc/a.json", &etc), ("run/a.json", &run)]);
    let (edits, _) = both.resolve(&["v.com/c=d"]).expect("resolved");
    assert_eq!(edits.env, [("FROM".to_owned(), "run".to_owned())]);
    let tie = Directories::new(&[("run/a.json", &run), ("run/b.json", &run), ("etc/a.json", &etc)]);
    let error = tie.resolve(&["v.com/c=d"]).expect_err("two");
    assert!(matches!(error, CdiError::Conflict { .. }), "{error}");
    // The two kinds may share a file name's directory as long as the device differs.
    let other = json("v.com/c", "e", "{}");
    let apart = Directories::new(&[("run/a.json", &run), ("run/b.json", &other)]);
    apart.resolve(&["v.com/c=d", "v.com/c=e"]).expect("resolved");
}

#[test]
fn what_cannot_be_read_is_passed_over_until_it_is_needed() {
    let good = json("v.com/c", "d", "{}");
    let bad = [
        ("run/a.json", "{"),
        ("run/b.yaml", "cdiVersion: [1"),
        ("run/c.json", r#"{"cdiVersion":"2.0.0","kind":"v.com/x","devices":[{"name":"d"}]}"#),
        ("run/d.json", r#"{"cdiVersion":"1.0.0","kind":"v.com/x","devices":[{"name":"d","weird":1}]}"#),
        ("run/e.json", r#"{"cdiVersion":"1.0.0","kind":"v.com","devices":[{"name":"d"}]}"#),
        ("run/f.json", r#"{"cdiVersion":"1.0.0","kind":"v.com/x","devices":[]}"#),
        ("run/g.json", r#"{"cdiVersion":"1.0.0","kind":"v.com/x","devices":[{"name":"d"},{"name":"d"}]}"#),
        ("run/ignored.txt", "not a specification"),
        ("run/good.json", &good),
    ];
    let directories = Directories::new(&bad);
    fs::create_dir(directories.0.path().join("run/directory.json")).expect("mkdir");
    let (_, skipped) = directories.resolve(&["v.com/c=d"]).expect("resolved");
    assert_eq!(skipped.len(), 8, "{skipped:?}");
    let error = directories.resolve(&["v.com/x=d"]).expect_err("nowhere");
    let text = error.to_string();
    assert!(text.starts_with("unresolvable CDI device v.com/x=d"), "{text}");
    assert!(text.contains("run/c.json") && text.contains("2.0.0") && text.contains("weird"), "{text}");
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    assert_eq!(directories.resolve(&[]).expect("nothing asked").1.len(), 0);
}

#[test]
fn edits_that_cannot_be_refuse_the_document() {
    let cases = [
        (r#"{"env":["NAME"]}"#, "env"),
        (r#"{"env":["=x"]}"#, "env"),
        (r#"{"deviceNodes":[{"path":"dev/x"}]}"#, "deviceNodes.path"),
        (r#"{"deviceNodes":[{"path":"/dev/x","hostPath":"x"}]}"#, "deviceNodes.hostPath"),
        (r#"{"deviceNodes":[{"path":"/dev/x","type":"z"}]}"#, "deviceNodes.type"),
        (r#"{"deviceNodes":[{"path":"/dev/x","permissions":"rx"}]}"#, "deviceNodes.permissions"),
        (r#"{"mounts":[{"hostPath":"/a","containerPath":"b"}]}"#, "mounts.containerPath"),
        (r#"{"hooks":[{"hookName":"later","path":"/a"}]}"#, "hooks.hookName"),
        (r#"{"hooks":[{"hookName":"poststop","path":"a"}]}"#, "hooks.path"),
        (r#"{"hooks":[{"hookName":"poststop","path":"/a","timeout":0}]}"#, "hooks.timeout"),
    ];
    for (edits, field) in cases {
        let error = Document::from_json(&json("v.com/c", "d", edits)).expect_err(edits);
        assert!(error.to_string().starts_with(field), "{edits}: {error}");
    }
    let null = r#"{"env":null,"mounts":null,"hooks":null,"deviceNodes":null}"#;
    Document::from_json(&json("v.com/c", "d", null)).expect("as some tools write it");
}

#[test]
fn devices_that_cannot_be_given_are_refused_by_name() {
    let cases = [
        (r#"{"deviceNodes":[{"path":"/dev/no-such-device"}]}"#, "v.com/c=d"),
        (r#"{"deviceNodes":[{"path":"/dev/x","hostPath":"/etc/passwd"}]}"#, "v.com/c=d"),
        (r#"{"deviceNodes":[{"path":"/dev/x","type":"p"}]}"#, "FIFO"),
        (r#"{"netDevices":[{"hostInterfaceName":"eth1","name":"eth0"}]}"#, "netDevices"),
        (r#"{"intelRdt":{"closID":"x","enableCMT":true}}"#, "intelRdt"),
    ];
    for (edits, word) in cases {
        let directories = Directories::new(&[("etc/a.json", &json("v.com/c", "d", edits))]);
        let error = directories.resolve(&["v.com/c=d"]).expect_err(edits);
        assert!(error.to_string().contains(word), "{edits}: {error}");
    }
    let directories = Directories::new(&[]);
    let error = directories.resolve(&["gpu0"]).expect_err("not a name");
    assert!(crio_types::chain(&error).contains("vendor/class=device"));
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}
