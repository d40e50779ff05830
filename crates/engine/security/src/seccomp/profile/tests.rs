//! Profiles as people write them, and what refuses them.

use super::*;

const KERNEL: (u32, u32) = (6, 1);

fn names(profile: &Profile, capabilities: &[&str]) -> Vec<String> {
    let capabilities = CapabilitySet::parse(capabilities).expect("known");
    let filter = profile.filter(capabilities, KERNEL);
    let rules = filter.syscalls().clone().unwrap_or_default();
    rules.iter().flat_map(|rule| rule.names().clone()).collect()
}

fn conditional(condition: &str) -> Profile {
    let text = format!(
        r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{{"names":["read"],"action":"SCMP_ACT_ALLOW",{condition}}}]}}"#
    );
    Profile::parse(text.as_bytes()).expect("parses")
}

#[test]
fn conditions_decide_which_rules_count() {
    let cases: &[(&str, &[&str], bool)] = &[
        (r#""includes":{"caps":["CAP_BPF"]}"#, &[], false),
        (r#""includes":{"caps":["CAP_BPF"]}"#, &["BPF"], true),
        (r#""includes":{"caps":["CAP_BPF","CAP_CHOWN"]}"#, &["BPF"], false),
        (r#""excludes":{"caps":["CAP_BPF","CAP_CHOWN"]}"#, &["BPF"], false),
        (r#""excludes":{"caps":["CAP_BPF"]}"#, &[], true),
        (r#""includes":{"arches":["amd64","arm64","s390x"]}"#, &[], true),
        (r#""includes":{"arches":["mips"]}"#, &[], false),
        (r#""excludes":{"arches":["amd64","arm64","s390x"]}"#, &[], false),
        (r#""includes":{"minKernel":"4.8"}"#, &[], true),
        (r#""includes":{"minKernel":"6.2"}"#, &[], false),
        (r#""excludes":{"minKernel":"6.0"}"#, &[], false),
        (r#""includes":{"caps":null},"args":null"#, &[], true),
    ];
    for (condition, capabilities, expected) in cases {
        let counted = !names(&conditional(condition), capabilities).is_empty();
        assert_eq!(counted, *expected, "{condition} with {capabilities:?}");
    }
}

#[test]
fn a_plain_oci_profile_is_understood() {
    let text = br#"{
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [
            {"names": ["chmod", "fchmod"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
            {"name": "personality", "action": "SCMP_ACT_ERRNO", "errno": "EACCES",
             "args": [{"index": 0, "value": 8, "valueTwo": 0, "op": "SCMP_CMP_EQ"}], "comment": "old style"}
        ]
    }"#;
    let profile = Profile::parse(text).expect("parses");
    let filter = profile.filter(CapabilitySet::EMPTY, KERNEL);
    let rules = filter.syscalls().clone().expect("rules");
    assert_eq!(rules[0].errno_ret(), Some(1));
    assert_eq!(rules[1].errno_ret(), Some(13));
    assert_eq!(rules[1].args().as_ref().expect("arguments")[0].value(), 8);
    assert_eq!(filter.architectures().as_deref(), Some(&[Arch::ScmpArchX86_64][..]));
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_architecture_map_adds_the_sub_architectures_of_this_machine() {
    let text = br#"{"defaultAction":"SCMP_ACT_ALLOW","archMap":[
        {"architecture":"SCMP_ARCH_AARCH64","subArchitectures":["SCMP_ARCH_ARM"]},
        {"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]}]}"#;
    let filter = Profile::parse(text).expect("parses").filter(CapabilitySet::EMPTY, KERNEL);
    let expected = [Arch::ScmpArchX86_64, Arch::ScmpArchX86];
    assert_eq!(filter.architectures().as_deref(), Some(&expected[..]));
}

#[test]
fn what_cannot_be_understood_is_refused() {
    let rule = |rule: &str| format!(r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{rule}]}}"#);
    let cases = [
        (r#"{"syscalls":[]}"#.to_owned(), "not a seccomp profile"),
        (r#"{"defaultAction":"SCMP_ACT_PERHAPS"}"#.to_owned(), "not a seccomp profile"),
        (r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrno":"EWHAT"}"#.to_owned(), "EWHAT"),
        (rule(r#"{"action":"SCMP_ACT_ALLOW"}"#), "one of \"name\" and \"names\""),
        (rule(r#"{"name":"a","names":["b"],"action":"SCMP_ACT_ALLOW"}"#), "one of"),
        (rule(r#"{"name":"a","action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_NOPE"]}}"#), "rule 0"),
        (rule(r#"{"name":"a","action":"SCMP_ACT_ALLOW","includes":{"minKernel":"new"}}"#), "major.minor"),
        (
            r#"{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86"],
                "archMap":[{"architecture":"SCMP_ARCH_X86"}]}"#
                .to_owned(),
            "one of them",
        ),
    ];
    for (text, expected) in cases {
        let error = Profile::parse(text.as_bytes()).expect_err("refused");
        assert!(error.to_string().contains(expected), "{text}: {error}");
    }
}

#[test]
fn a_pipe_or_a_flood_is_refused_at_once() {
    let directory = tempfile::tempdir().expect("tempdir");
    let pipe = directory.path().join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).expect("mkfifo");
    assert!(matches!(Profile::read(&pipe), Err(ProfileError::NotRegular)));
    assert!(matches!(Profile::read(Path::new("/dev/zero")), Err(ProfileError::NotRegular)));
    let large = directory.path().join("large");
    File::create(&large).expect("create").set_len(10 << 30).expect("sparse");
    assert!(matches!(Profile::read(&large), Err(ProfileError::TooLarge)));
}
