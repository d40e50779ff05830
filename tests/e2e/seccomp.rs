//! System calls: what the built-in profile refuses, and whose profile counts.

use std::fs;

use anyhow::Result;
use crio_cri_api::v1::security_profile::ProfileType;
use crio_cri_api::v1::{ContainerConfig, RunPodSandboxRequest, SecurityProfile};
use crio_testkit::image::{Compression, Layer};
use crio_testkit::{Options, request};
use crio_tests::workload::{pod_security, security};
use crio_tests::{Pod, Stage, images};

/// Prints the error number of each call, 0 when there was none: sockets of the cipher and the machine family, a new
/// user namespace, `clone3`, `keyctl`, `bpf`.
const PROBE: &str = r#"
    sub told { print $_[0], " ", $_[1] ? 0 : $! + 0, "\n" }
    told("alg", socket(my $a, 38, 5, 0)); told("vsock", socket(my $v, 40, 1, 0));
    for ([unshare => 272, 0x10000000], [clone3 => 435, 0, 0], [keyctl => 250, 0, 0], [bpf => 321, 0, 0]) {
        my ($name, @call) = @$_; told($name, syscall($call[0] + 0, $call[1], $call[2] // 0) != -1) }
"#;

fn profile(kind: ProfileType, reference: &str) -> Option<SecurityProfile> {
    Some(SecurityProfile { profile_type: kind.into(), localhost_ref: reference.to_owned() })
}

/// A static i386 program that calls `socketcall(SYS_SOCKET, {AF_INET, SOCK_STREAM, 0})` and exits with its error number.
fn socketcall() -> Vec<u8> {
    const HEADERS: u32 = 52 + 32;
    const BASE: u32 = 0x0804_8000;
    const CODE: [u8; 16] = [
        0xcd, 0x80, 0xf7, 0xd8, // int 0x80; neg eax
        0x89, 0xc3, 0xb8, 0x01, 0, 0, 0, 0xcd, 0x80, // exit(eax)
        0x90, 0x90, 0x90, // to a multiple of four
    ];
    let mut code = vec![0xb8, 102, 0, 0, 0, 0xbb, 1, 0, 0, 0, 0xb9]; // eax = socketcall, ebx = SYS_SOCKET, ecx = …
    let arguments = BASE + HEADERS + code.len() as u32 + 4 + CODE.len() as u32;
    code.extend(arguments.to_le_bytes());
    code.extend(CODE);
    for word in [2u32, 1, 0] {
        code.extend(word.to_le_bytes());
    }
    let length = HEADERS + code.len() as u32;
    let mut program = vec![0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    // An executable for the 386, version 1; entry point, program headers, no sections, no flags.
    program.extend([2u16, 3].iter().flat_map(|half| half.to_le_bytes()));
    program.extend([1, BASE + HEADERS, 52, 0, 0].iter().flat_map(|word: &u32| word.to_le_bytes()));
    program.extend([52u16, 32, 1, 0, 0, 0].iter().flat_map(|half| half.to_le_bytes()));
    // One segment, loaded readable and executable.
    program.extend([1, 0, BASE, BASE, length, length, 5, 0x1000].iter().flat_map(|word: &u32| word.to_le_bytes()));
    program.extend(code);
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_profile_closes_what_containers_broke_out_through() -> Result<()> {
    let stage = Stage::set().await?;
    let layer = Layer::new().host_program("/usr/bin/perl", "/usr/bin/perl")?.file("/socketcall", 0o755, socketcall());
    let image = images::with_shell()?.layer(layer, Compression::Gzip).build()?;
    let image = stage.registry.push(&image, "probe:1").await?;
    stage.cri.pull(&image).await?;
    let pod = stage.pod("probe").await?;
    let probe = |name: &str, kind| {
        let mut config = request::shell(name, &image, &format!("perl -e '{PROBE}'; /socketcall; echo socketcall $?"));
        security(&mut config).seccomp = profile(kind, "");
        config
    };
    let filtered = stage.finish(&pod, &probe("filtered", ProfileType::RuntimeDefault)).await?;
    let expected = "alg 1\nvsock 1\nunshare 1\nclone3 38\nkeyctl 38\nbpf 1\nsocketcall 1\n";
    assert_eq!(filtered.stdout, expected, "{}", filtered.stderr);
    // The same without a filter, so that the refusals above are the filter's.
    let free = stage.finish(&pod, &probe("free", ProfileType::Unconfined)).await?.stdout;
    let of = |name: &str| free.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u32>().ok());
    assert_ne!(of("alg"), Some(1), "{free}");
    assert_eq!((of("unshare"), of("clone3"), of("socketcall")), (Some(0), Some(22), Some(253)), "{free}");
    stage.close().await
}

const NO_CHMOD: &str = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["chmod","fchmodat","fchmodat2"],"action":"SCMP_ACT_ERRNO","errnoRet":1}]}"#;
const NO_MKDIR: &str = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":1}]}"#;
const ATTEMPT: &str = "chmod 700 /tmp 2>/dev/null && echo chmod; mkdir /tmp/x 2>/dev/null && echo mkdir; true";

fn confined(config: ContainerConfig, profile: Option<SecurityProfile>, privileged: bool) -> ContainerConfig {
    let mut config = config;
    security(&mut config).seccomp = profile;
    security(&mut config).privileged = privileged;
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configured_profiles_count_and_can_be_changed() -> Result<()> {
    let top = tempfile::Builder::new().prefix("ct-seccomp-").tempdir()?;
    let (default, privileged) = (top.path().join("default.json"), top.path().join("privileged.json"));
    fs::write(&default, NO_CHMOD)?;
    fs::write(&privileged, NO_MKDIR)?;
    let crio_conf = format!(
        "[crio.runtime]\nseccomp_profile = {default:?}\nprivileged_seccomp_profile = {privileged:?}\n\
         [crio.runtime.runtimes.strict]\ninherit_default_runtime = true\nseccomp_profile = {privileged:?}\n\
         [crio.runtime.runtimes.free]\ninherit_default_runtime = true\nseccomp_profile = \"unconfined\"\n"
    );
    let stage = Stage::set_with(Options { crio_conf, ..Options::default() }).await?;
    let mut config = stage.node.pod("profiles");
    pod_security(&mut config).privileged = true;
    let pod = stage.pod_of(config).await?;
    let runtime_default = || profile(ProfileType::RuntimeDefault, "");
    let cases = [
        ("default", confined(stage.shell("default", ATTEMPT), runtime_default(), false), "mkdir\n"),
        ("absent", confined(stage.shell("absent", ATTEMPT), None, false), "chmod\nmkdir\n"),
        ("privileged", confined(stage.shell("privileged", ATTEMPT), runtime_default(), true), "chmod\n"),
    ];
    for (name, config, expected) in cases {
        assert_eq!(stage.finish(&pod, &config).await?.stdout, expected, "{name}");
    }

    for (handler, expected) in [("strict", "chmod\n"), ("free", "chmod\nmkdir\n")] {
        let config = stage.node.pod(handler);
        let request = RunPodSandboxRequest { config: Some(config.clone()), runtime_handler: handler.to_owned() };
        let id = stage.cri.runtime().run_pod_sandbox(request).await?.into_inner().pod_sandbox_id;
        let attempt = confined(stage.shell("main", ATTEMPT), runtime_default(), false);
        assert_eq!(stage.finish(&Pod { id, config }, &attempt).await?.stdout, expected, "{handler}");
    }

    // A reload reads the file again; one that is broken changes nothing.
    let attempt = |name: &str| confined(stage.shell(name, ATTEMPT), runtime_default(), false);
    fs::write(&default, NO_MKDIR)?;
    stage.reload("the confinement of new containers was reloaded").await?;
    assert_eq!(stage.finish(&pod, &attempt("again")).await?.stdout, "chmod\n");
    fs::write(&default, "{")?;
    stage.reload("the confinement was not reloaded").await?;
    assert_eq!(stage.finish(&pod, &attempt("broken")).await?.stdout, "chmod\n");
    stage.close().await
}
