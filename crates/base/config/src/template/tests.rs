//! The printed configuration is the configuration.

use std::path::Path;

use super::*;
use crate::{load_documents, parse_file};

fn reloaded(text: &str) -> Config {
    let document = parse_file(Path::new("template"), text);
    assert_eq!(document.warnings, []);
    let (config, _) = load_documents(vec![document]).expect("a printed configuration loads");
    config
}

fn changed() -> Config {
    let text = r#"
        [crio]
        storage_option = ["overlay.mountopt=nodev"]
        [crio.api]
        stream_idle_timeout = "1h30m"
        stream_port = "10010"
        [crio.runtime]
        cgroup_manager = "cgroupfs"
        selinux = true
        default_sysctls = ["net.ipv4.ping_group_range=0 2147483647"]
        default_ulimits = ["nofile=1024:-1"]
        default_capabilities = ["CHOWN", "NET_RAW", "DAC_OVERRIDE", "FSETID", "FOWNER", "SETGID", "SETUID", "SETPCAP", "KILL"]
        additional_devices = ["/dev/fuse:/dev/fuse:rw"]
        uid_mappings = "0:100000:65536"
        gid_mappings = "0:100000:65536"
        log_size_max = 16384
        [crio.runtime.runtimes.runc]
        runtime_path = "/usr/sbin/runc"
        default_annotations = { "a.b/c" = "quoted \"text\"" }
        [crio.runtime.runtimes."odd name"]
        container_min_memory = "3k"
        [crio.runtime.workloads.management]
        activation_annotation = "target.workload"
        [crio.runtime.workloads.management.resources]
        cpushares = 7
        cpuset = "0-1"
        [crio.nri.default_validator]
        nri_validator_required_plugins = ["a"]
    "#;
    reloaded(text)
}

#[test]
fn what_is_printed_loads_into_the_same_configuration() {
    for config in [Config::default(), changed()] {
        assert_eq!(reloaded(&template(&config)), config);
        assert_eq!(reloaded(&config.to_toml()), config);
    }
}

#[test]
fn every_commented_option_is_valid_when_the_comment_mark_is_taken_away() {
    let keys: Vec<&str> = crate::config::TABLES
        .iter()
        .flat_map(|(_, options)| options.iter().map(|spec| spec.key))
        .chain(RuntimeHandler::OPTIONS.iter().map(|spec| spec.key))
        .collect();
    let mut in_list = false;
    let uncommented: String = template(&Config::default())
        .lines()
        .map(|line| {
            let body = line.strip_prefix("# ").unwrap_or(line);
            let key = body.split(" =").next().unwrap_or_default();
            // The only option without a value to show is the one the host decides.
            let setting = body.contains(" =") && keys.contains(&key) && key != "selinux";
            let kept = if setting || in_list { body } else { line };
            in_list = (setting && body.ends_with('[')) || (in_list && body != "]");
            format!("{kept}\n")
        })
        .collect();
    assert_eq!(reloaded(&uncommented), Config::default());
}

#[test]
fn tools_find_the_lines_they_look_for_at_column_zero() {
    let text = template(&Config::default());
    assert!(text.lines().any(|line| line == "cgroup_manager = \"systemd\""));
    let text = template(&changed());
    for line in ["cgroup_manager = \"cgroupfs\"", "default_sysctls = [\"net.ipv4.ping_group_range=0 2147483647\"]"] {
        assert!(text.lines().any(|known| known == line), "{line}");
    }
    assert!(text.lines().any(|line| line.starts_with("# pause_image = ")));
}
