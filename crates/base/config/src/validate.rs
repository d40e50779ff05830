//! What is settled once every source is read: deprecated options become their successors, limits are raised to their
//! minimum, handlers get their defaults, and values that are right alone are checked together.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use crate::Shape;
use crate::codec::{AnyPath, ByteSize, Codec, Optional, Switch, Word, value_from_text};
use crate::load::{Loader, find_program};
use crate::problem::{Origin, Problem, Warning};
use crate::section::{CgroupManager, RuntimeHandler};

/// CRI-O's floor for both timeouts: less would kill what only needs a moment.
const MIN_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) fn settle(loader: &mut Loader, search_path: Option<&OsStr>) {
    add_handlers_of_flags(loader);
    choose_default_runtime(loader, search_path);
    replace_deprecated(loader);
    raise_timeouts(loader);
    check_default_runtime(loader);
    inherit_default_runtime(loader);
    check_monitor_cgroups(loader);
    check_pairs(loader);
}

/// `--runtimes name:path:root:type:privileged_without_host_devices:config_path:min_memory`.
fn add_handlers_of_flags(loader: &mut Loader) {
    for text in loader.config.daemon.runtimes.clone() {
        match handler_of_flag(&text) {
            Ok((name, handler)) => {
                loader.config.runtimes.insert(name, handler);
            }
            Err(expected) => loader.problems.push(Problem::Value {
                origin: loader.origin("", "runtimes"),
                option: "runtimes".to_owned(),
                found: format!("{text:?}"),
                expected,
            }),
        }
    }
}

fn handler_of_flag(text: &str) -> Result<(String, RuntimeHandler), String> {
    let parts: Vec<&str> = text.split(':').collect();
    let part = |at: usize| parts.get(at).copied().unwrap_or_default();
    let string = |at: usize| toml::Value::String(part(at).to_owned());
    if part(0).is_empty() || part(1).is_empty() || parts.len() > 7 {
        return Err("name:path[:root[:type[:privileged_without_host_devices[:config_path[:min_memory]]]]]".to_owned());
    }
    let defaults = RuntimeHandler::default();
    let read = || {
        Ok(RuntimeHandler {
            runtime_path: Optional::<AnyPath>::decode(&string(1))?,
            runtime_root: Optional::<AnyPath>::decode(&string(2))?,
            runtime_type: Optional::<Word>::decode(&string(3))?,
            privileged_without_host_devices: match part(4) {
                "" => false,
                word => Switch::decode(&value_from_text(Shape::Switch, &[word.to_owned()])?)?,
            },
            runtime_config_path: Optional::<AnyPath>::decode(&string(5))?,
            container_min_memory: match part(6) {
                "" => defaults.container_min_memory,
                _ => ByteSize::decode(&string(6))?,
            },
            ..defaults.clone()
        })
    };
    let handler =
        read().map_err(|mismatch: crate::Mismatch| format!("{} for {}", mismatch.expected, mismatch.found))?;
    Ok((part(0).to_owned(), handler))
}

/// crun, unless nobody asked for it and only runc is installed. A runc that is named as the default needs no table.
fn choose_default_runtime(loader: &mut Loader, search_path: Option<&OsStr>) {
    let origin = loader.origin("crio.runtime", "default_runtime");
    let installed = |name: &str| search_path.is_some_and(|path| find_program(Path::new(name), path).is_some());
    let untouched = loader.config.runtimes.get("crun") == Some(&RuntimeHandler::builtin_crun());
    let unnamed = origin == Origin::Default && untouched;
    if unnamed && search_path.is_some() && !installed("crun") && installed("runc") {
        loader.config.runtime.default_runtime = "runc".to_owned();
        loader
            .warnings
            .push(Warning { origin, message: "crun is not installed, so runc is the default runtime".to_owned() });
    }
    if loader.config.runtime.default_runtime == "runc" {
        loader.config.runtimes.entry("runc".to_owned()).or_insert_with(RuntimeHandler::builtin_runc);
    }
}

fn replace_deprecated(loader: &mut Loader) {
    let config = &mut loader.config;
    for handler in config.runtimes.values_mut() {
        if handler.monitor_cgroup.is_none() {
            handler.monitor_cgroup.clone_from(&config.runtime.conmon_cgroup);
        }
    }
    if let Some(directory) = config.network.plugin_dir.take()
        && !config.network.plugin_dirs.contains(&directory)
    {
        config.network.plugin_dirs.push(directory);
    }
    if config.stats.collection_period.is_zero() {
        config.stats.collection_period = config.stats.stats_collection_period;
    }
    config.stats.stats_collection_period = Duration::ZERO;
}

fn raise_timeouts(loader: &mut Loader) {
    let raised = |origin, name: &str| Warning {
        origin,
        message: format!("{name} is raised to its minimum of {} seconds", MIN_TIMEOUT.as_secs()),
    };
    if loader.config.runtime.ctr_stop_timeout < MIN_TIMEOUT {
        loader.config.runtime.ctr_stop_timeout = MIN_TIMEOUT;
        let origin = loader.origin("crio.runtime", "ctr_stop_timeout");
        loader.warnings.push(raised(origin, "crio.runtime.ctr_stop_timeout"));
    }
    let low: Vec<String> = loader
        .config
        .runtimes
        .iter()
        .filter(|(_, handler)| handler.container_create_timeout < MIN_TIMEOUT)
        .map(|(name, _)| name.clone())
        .collect();
    for name in low {
        if let Some(handler) = loader.config.runtimes.get_mut(&name) {
            handler.container_create_timeout = MIN_TIMEOUT;
        }
        let origin = loader.handler_origin(&name, "container_create_timeout");
        let option = format!("crio.runtime.runtimes.{name}.container_create_timeout");
        loader.warnings.push(raised(origin, &option));
    }
}

fn check_default_runtime(loader: &mut Loader) {
    let name = &loader.config.runtime.default_runtime;
    if !loader.config.runtimes.contains_key(name) {
        let known: Vec<&str> = loader.config.runtimes.keys().map(String::as_str).collect();
        loader.problems.push(Problem::Value {
            origin: loader.origin("crio.runtime", "default_runtime"),
            option: "crio.runtime.default_runtime".to_owned(),
            found: format!("{name:?}"),
            expected: format!("a configured handler, of {}", known.join(", ")),
        });
    }
}

/// Handlers that inherit are the default handler's program under another name.
fn inherit_default_runtime(loader: &mut Loader) {
    let config = &mut loader.config;
    let Some(default) = config.default_handler().cloned() else {
        return;
    };
    let program = default.runtime_path.unwrap_or_else(|| config.runtime.default_runtime.clone().into());
    for handler in config.runtimes.values_mut().filter(|handler| handler.inherit_default_runtime) {
        handler.runtime_path = Some(program.clone());
        handler.runtime_type = default.runtime_type;
        handler.runtime_root.clone_from(&default.runtime_root);
        handler.runtime_config_path.clone_from(&default.runtime_config_path);
    }
}

fn check_monitor_cgroups(loader: &mut Loader) {
    let manager = loader.config.runtime.cgroup_manager;
    let (fits, expected): (fn(&str) -> bool, _) = match manager {
        CgroupManager::Systemd => (
            |cgroup| cgroup == "pod" || cgroup.ends_with(".slice"),
            "\"pod\", a name ending in .slice, or \"\", as cgroup_manager is systemd",
        ),
        CgroupManager::Cgroupfs => (|cgroup| cgroup == "pod", "\"pod\" or \"\", as cgroup_manager is cgroupfs"),
    };
    let wrong: Vec<(String, String)> = loader
        .config
        .runtimes
        .iter()
        .filter_map(|(name, handler)| Some((name.clone(), handler.monitor_cgroup.clone()?)))
        .filter(|(_, cgroup)| !fits(cgroup))
        .collect();
    for (name, cgroup) in wrong {
        let (origin, option) = match loader.handler_origin(&name, "monitor_cgroup") {
            Origin::Default => {
                (loader.origin("crio.runtime", "conmon_cgroup"), "crio.runtime.conmon_cgroup".to_owned())
            }
            origin => (origin, format!("crio.runtime.runtimes.{name}.monitor_cgroup")),
        };
        loader.problems.push(Problem::Value {
            origin,
            option,
            found: format!("{cgroup:?}"),
            expected: expected.to_owned(),
        });
    }
}

/// Options that need each other.
fn check_pairs(loader: &mut Loader) {
    let api = &loader.config.api;
    let runtime = &loader.config.runtime;
    let network = &loader.config.network;
    let checks = [
        (
            api.stream_enable_tls && (api.stream_tls_cert.is_none() || api.stream_tls_key.is_none()),
            ("crio.api", "stream_enable_tls"),
            "stream_enable_tls needs stream_tls_cert and stream_tls_key",
        ),
        (
            runtime.uid_mappings.is_empty() != runtime.gid_mappings.is_empty(),
            ("crio.runtime", "uid_mappings"),
            "uid_mappings and gid_mappings need each other",
        ),
        (network.plugin_dirs.is_empty(), ("crio.network", "plugin_dirs"), "plugin_dirs names no directory"),
    ];
    for (wrong, (path, key), message) in checks {
        if wrong {
            let origin = loader.origin(path, key);
            loader.problems.push(Problem::Conflict { origin, message: message.to_owned() });
        }
    }
}
