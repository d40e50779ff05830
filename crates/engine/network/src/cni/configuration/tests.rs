//! Configurations as files, good and bad.

use super::*;

fn load(file: &str, text: &str) -> Result<NetworkConfiguration, ConfigurationError> {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join(file);
    std::fs::write(&path, text).expect("write");
    NetworkConfiguration::load(&path)
}

fn programs(configuration: &NetworkConfiguration) -> Vec<&str> {
    configuration.plugins.iter().map(|plugin| plugin.program.as_str()).collect()
}

#[test]
fn a_list_keeps_its_plugins_with_every_key_in_order() {
    let text = r#"{"cniVersion":"1.0.0","name":"n","disableCheck":"true","plugins":[
        {"type":"bridge","zzz":{"b":1,"a":[2]},"ipam":{"type":"host-local"}},
        {"type":"portmap","capabilities":{"portMappings":true,"other":false}}]}"#;
    let configuration = load("10-a.conflist", text).expect("valid");
    assert_eq!(configuration.name, "n");
    assert_eq!(programs(&configuration), ["bridge", "portmap"]);
    assert!(configuration.disable_check && !configuration.disable_gc);
    assert_eq!(configuration.plugins[1].capabilities.iter().collect::<Vec<_>>(), ["portMappings"]);
    let keys: Vec<_> = configuration.plugins[0].document.keys().collect();
    assert_eq!(keys, ["type", "zzz", "ipam"]);

    let again = NetworkConfiguration::parse(&configuration.to_bytes(configuration.versions[0])).expect("own bytes");
    assert_eq!(again, configuration);
}

#[test]
fn a_single_plugin_is_a_list_of_one() {
    for file in ["10-a.conf", "10-a.json"] {
        let configuration = load(file, r#"{"cniVersion":"0.3.1","type":"bridge"}"#).expect("valid");
        assert_eq!((configuration.name.as_str(), programs(&configuration)), (file, vec!["bridge"]));
    }
}

#[test]
fn versions_are_those_both_sides_may_speak_newest_first() {
    let cases = [
        (r#""cniVersion":"0.4.0""#, Some("0.4.0")),
        (r#""cniVersion":"1.0.0","cniVersions":["0.4.0","1.1.0","9.0.0"]"#, Some("1.1.0 1.0.0 0.4.0")),
        (r#""cniVersions":["0.3.1"]"#, Some("0.3.1")),
        (r#""x":1"#, Some("0.1.0")),
        (r#""cniVersion":"9.0.0""#, None),
        (r#""cniVersion":7"#, None),
        (r#""cniVersions":[7]"#, None),
    ];
    for (fields, expected) in cases {
        let versions = load("a.conflist", &format!(r#"{{"name":"n","plugins":[{{"type":"p"}}],{fields}}}"#))
            .ok()
            .map(|configuration| configuration.versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        assert_eq!(versions.as_deref(), expected, "{fields}");
    }
}

#[test]
fn plugins_of_the_networks_own_folder_join_the_chain() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("a.conflist");
    std::fs::create_dir(dir.path().join("n")).expect("mkdir");
    std::fs::write(dir.path().join("n/20.conf"), r#"{"type":"last"}"#).expect("write");
    std::fs::write(dir.path().join("n/10.conf"), r#"{"type":"second"}"#).expect("write");
    std::fs::write(dir.path().join("n/readme"), "no").expect("write");
    std::fs::write(&path, r#"{"name":"n","plugins":[{"type":"first"}]}"#).expect("write");
    let configuration = NetworkConfiguration::load(&path).expect("valid");
    assert_eq!(programs(&configuration), ["first", "second", "last"]);

    std::fs::write(&path, r#"{"name":"n","loadOnlyInlinedPlugins":true,"plugins":[{"type":"first"}]}"#).expect("write");
    assert_eq!(programs(&NetworkConfiguration::load(&path).expect("valid")), ["first"]);
}

#[test]
fn broken_configurations_are_refused() {
    let long_chain = format!(r#"{{"name":"n","plugins":[{}]}}"#, vec![r#"{"type":"p"}"#; 65].join(","));
    let large = format!(r#"{{"name":"n","x":"{}","plugins":[{{"type":"p"}}]}}"#, "x".repeat(1 << 20));
    let cases = [
        "",
        "[]",
        "{",
        r#"{"name":"n"}"#,
        r#"{"name":"n","plugins":[]}"#,
        r#"{"name":"n","plugins":{}}"#,
        r#"{"name":"n","plugins":[1]}"#,
        r#"{"name":"n","plugins":[{}]}"#,
        r#"{"name":"n","plugins":[{"type":""}]}"#,
        r#"{"name":"n","plugins":[{"type":".."}]}"#,
        r#"{"name":"n","plugins":[{"type":"../../bin/sh"}]}"#,
        r#"{"name":"n","plugins":[{"type":"a/b"}]}"#,
        r#"{"name":"n","plugins":[{"type":"p","capabilities":[]}]}"#,
        r#"{"name":"../n","plugins":[{"type":"p"}]}"#,
        r#"{"name":"a/b","plugins":[{"type":"p"}]}"#,
        r#"{"name":".","plugins":[{"type":"p"}]}"#,
        r#"{"name":1,"plugins":[{"type":"p"}]}"#,
        r#"{"name":"n","disableCheck":"maybe","plugins":[{"type":"p"}]}"#,
        &long_chain,
        &large,
    ];
    for text in cases {
        let error = load("a.conflist", text).expect_err(&text[..text.len().min(80)]);
        assert!(!error.to_string().is_empty());
    }
}
