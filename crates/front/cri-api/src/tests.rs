//! The generated code against the wire: bytes written by hand, as another implementation would write them.

use std::collections::BTreeMap;

use prost::Message;

use crate::v1;

#[test]
fn an_environment_value_may_be_any_bytes() {
    let wire = [0x0a, 1, b'K', 0x12, 2, 0xff, 0xfe];
    let pair = v1::KeyValue::decode(&wire[..]).expect("not UTF-8, and not expected to be");
    assert_eq!((pair.key.as_str(), pair.value.as_slice()), ("K", &[0xff, 0xfe][..]));
    assert_eq!(pair.encode_to_vec(), wire);
}

#[test]
fn irregular_field_numbers_are_those_of_the_wire() {
    let cases: [(&str, Vec<u8>, &[u8]); 4] = [
        (
            "Namespace.options is 2",
            v1::Namespace { options: Some(v1::NamespaceOption::default()) }.encode_to_vec(),
            &[2 << 3 | 2, 0],
        ),
        (
            "LinuxContainerSecurityContext.run_as_group is 12",
            v1::LinuxContainerSecurityContext { run_as_group: Some(v1::Int64Value { value: 0 }), ..Default::default() }
                .encode_to_vec(),
            &[12 << 3 | 2, 0],
        ),
        (
            "ContainerConfig.stop_signal is 18, and SIGTERM is 23",
            v1::ContainerConfig { stop_signal: v1::Signal::Sigterm.into(), ..Default::default() }.encode_to_vec(),
            &[0x90, 1, 23],
        ),
        (
            "ImageSpec.image_ref is 20",
            v1::ImageSpec { image_ref: "r".to_owned(), ..Default::default() }.encode_to_vec(),
            &[0xa2, 1, 1, b'r'],
        ),
    ];
    for (what, encoded, expected) in cases {
        assert_eq!(encoded, expected, "{what}");
    }
}

#[test]
fn absent_and_empty_profiles_stay_different() {
    let absent = v1::LinuxContainerSecurityContext::default();
    let empty = v1::LinuxContainerSecurityContext { seccomp: Some(v1::SecurityProfile::default()), ..absent.clone() };
    let decoded = v1::LinuxContainerSecurityContext::decode(empty.encode_to_vec().as_slice()).expect("valid");
    assert_eq!(
        decoded.seccomp.map(|profile| profile.profile_type()),
        Some(v1::security_profile::ProfileType::RuntimeDefault)
    );
    assert!(
        v1::LinuxContainerSecurityContext::decode(absent.encode_to_vec().as_slice()).expect("valid").seccomp.is_none()
    );
}

#[test]
fn maps_are_sorted_on_the_wire() {
    let labels: BTreeMap<String, String> = [("b", "2"), ("a", "1")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let encoded = v1::PodSandboxFilter { label_selector: labels, ..Default::default() }.encode_to_vec();
    let first = encoded.iter().position(|byte| *byte == b'a').expect("present");
    let second = encoded.iter().position(|byte| *byte == b'b').expect("present");
    assert!(first < second);
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let request = v1::PullImageRequest {
        auth: Some(v1::AuthConfig {
            username: "user".to_owned(),
            password: "hunter2".to_owned(),
            auth: "hunter2".to_owned(),
            identity_token: "hunter2".to_owned(),
            registry_token: "hunter2".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let shown = format!("{request:?}");
    assert!(shown.contains("user") && !shown.contains("hunter2"), "{shown}");
}
