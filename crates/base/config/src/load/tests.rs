//! Precedence, merging, deprecations and refusals.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use super::*;
use crate::{Assignment, CgroupManager, LogLevel, Reload, StorageDriver};

/// A directory with configuration files, and sources that read only it.
struct Fixture {
    directory: tempfile::TempDir,
    sources: Sources,
}

impl Fixture {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = directory.path();
        fs::create_dir_all(root.join("crio.conf.d")).expect("a directory");
        for (name, text) in [("crio.conf", ""), ("storage.conf", "")].iter().chain(files) {
            let path = root.join(name);
            fs::create_dir_all(path.parent().expect("below the root")).expect("a directory");
            fs::write(path, text).expect("a file");
        }
        let sources = Sources {
            config: Some(root.join("crio.conf")),
            config_dir: Some(root.join("crio.conf.d")),
            storage_conf: Some(root.join("storage.conf")),
            ..Sources::default()
        };
        Self { directory, sources }
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn flag(mut self, name: &str, value: &str) -> Self {
        let values = self.sources.flags.entry(name.to_owned()).or_default();
        values.push(value.to_owned());
        self
    }

    /// Puts executables into a directory that becomes PATH.
    fn programs(self, names: &[&str]) -> Self {
        let bin = self.directory.path().join("bin");
        fs::create_dir_all(&bin).expect("a directory");
        for name in names {
            fs::write(bin.join(name), "").expect("a file");
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).expect("permissions");
        }
        let path = bin.to_str().expect("a temporary path").to_owned();
        self.variable("PATH", &path)
    }

    /// The problem or warning texts, without the temporary directory.
    fn shown(&self, lines: impl Iterator<Item = String>) -> Vec<String> {
        let prefix = format!("{}/", self.directory.path().display());
        lines.map(|line| line.replace(&prefix, "")).collect()
    }

    fn config(&self) -> Config {
        load(&self.sources).expect("a usable configuration").0
    }

    fn warnings(&self) -> Vec<String> {
        let (_, warnings) = load(&self.sources).expect("a usable configuration");
        self.shown(warnings.iter().map(ToString::to_string))
    }

    fn problems(&self) -> Vec<String> {
        let ConfigErrors(problems) = load(&self.sources).expect_err("an unusable configuration");
        self.shown(problems.iter().map(|problem| crio_types::chain(problem)))
    }
}

fn main_file(text: &str) -> Fixture {
    Fixture::new(&[("crio.conf", text)])
}

#[test]
fn nothing_means_the_defaults() {
    let fixture = main_file("");
    assert_eq!(fixture.config(), Config::default());
    assert_eq!(fixture.warnings(), [""; 0]);
    let config = Config::default();
    assert_eq!(config.storage.root, Path::new("/var/lib/containers/storage"));
    assert_eq!(config.runtime.default_runtime, "crun");
    assert_eq!(config.runtime.ctr_stop_timeout, Duration::from_secs(30));
    assert_eq!(config.api.grpc_max_recv_msg_size, 80 << 20);
    assert_eq!(config.runtimes["crun"].container_min_memory, 500 << 10);
}

#[test]
fn later_sources_win() {
    let files = [
        ("storage.conf", "[storage]\ngraphroot = \"/s\"\nrunroot = \"/sr\"\ndriver = \"overlay\"\n"),
        (
            "crio.conf",
            "[crio]\nroot = \"\"\nrunroot = \"/fr\"\n[crio.runtime]\nlog_level = \"debug\"\n[crio.image]\npause_image = \"a\"\n",
        ),
        ("crio.conf.d/10-a/z", "[crio.image]\npause_image = \"b\"\n"),
        ("crio.conf.d/10-a.swp", "[crio.image]\npause_image = \"c\"\n"),
        ("crio.conf.d/02-first", "[crio.image]\npause_image = \"d\"\n"),
    ];
    let config = Fixture::new(&files).config();
    assert_eq!(config.storage.root, Path::new("/s"), "an empty root inherits");
    assert_eq!(config.storage.runroot, Path::new("/fr"));
    assert_eq!(config.storage.storage_driver, Some(StorageDriver::Overlay));
    assert_eq!(config.runtime.log_level, LogLevel::Debug);
    assert_eq!(config.image.pause_image, "c");
    let fixture = Fixture::new(&files).variable("CONTAINER_PAUSE_IMAGE", "e");
    assert_eq!(fixture.config().image.pause_image, "e");
    assert_eq!(fixture.variable("CONTAINER_LOG_LEVEL", "").flag("pause-image", "f").config().image.pause_image, "f");
}

#[test]
fn handlers_are_replaced_whole_and_storage_options_gather() {
    let files = [
        (
            "storage.conf",
            "[storage.options]\nadditionalimagestores = [\"/ro\"]\n[storage.options.overlay]\nmountopt = \"nodev\"\n",
        ),
        (
            "crio.conf",
            "[crio]\nstorage_option = [\"overlay.mountopt=nodev\", \"overlay.size=1G\"]\n[crio.runtime.runtimes.runc]\nruntime_path = \"/r\"\nruntime_root = \"/rr\"\n",
        ),
        (
            "crio.conf.d/1",
            "[crio]\nstorage_option = [\"a.b=c\"]\n[crio.runtime.runtimes.runc]\nruntime_path = \"/s\"\n",
        ),
    ];
    let config = Fixture::new(&files).config();
    let options = ["overlay.imagestore=/ro", "overlay.mountopt=nodev", "overlay.size=1G", "a.b=c"];
    assert_eq!(config.storage.storage_option, options);
    assert_eq!(config.runtimes["runc"].runtime_path.as_deref(), Some(Path::new("/s")));
    assert_eq!(config.runtimes["runc"].runtime_root, None);
    assert!(config.runtimes.contains_key("crun"), "the built-in handler stays");
}

#[test]
fn everything_that_is_wrong_is_reported_at_once() {
    let fixture = main_file(
        "[crio]\nstorage_driver = \"btrfs\"\n[crio.api]\nlisten = \"crio.sock\"\n[crio.runtime]\ncgroup_manager = \"upstart\"\nlog_size_max = 100\ndefault_runtime = \"kata\"\ndefault_ulimits = [\"nofiles=1\"]\nno_pivot = \"yes\"\n[crio.image]\nimage_volumes = \"copy\"\npull_progress_timeout = \"soon\"\n",
    )
    .variable("CONTAINER_METRICS_PORT", "http")
    .flag("drop-infra-ctr", "maybe");
    let mut problems = fixture.problems();
    problems.sort();
    let mut expected = [
        "crio.conf:2: crio.storage_driver = \"btrfs\": expected one of \"overlay\", or \"\" for none",
        "crio.conf:4: crio.api.listen = \"crio.sock\": expected an absolute path",
        "crio.conf:6: crio.runtime.cgroup_manager = \"upstart\": expected one of \"systemd\", \"cgroupfs\"",
        "crio.conf:7: crio.runtime.log_size_max = 100: expected -1 for no limit, or an integer of at least 8192",
        "crio.conf:8: crio.runtime.default_runtime = \"kata\": expected a configured handler, of crun",
        "crio.conf:9: crio.runtime.default_ulimits = \"nofiles=1\": expected name=soft:hard with a name such as nofile or nproc, soft not above hard, -1 for unlimited",
        "crio.conf:10: crio.runtime.no_pivot = \"yes\": expected true or false",
        "crio.conf:12: crio.image.image_volumes = \"copy\": expected one of \"mkdir\", \"bind\", \"ignore\"",
        "crio.conf:13: crio.image.pull_progress_timeout = \"soon\": expected a duration such as \"90s\" or \"1h30m\"",
        "environment variable CONTAINER_METRICS_PORT: crio.metrics.metrics_port = \"http\": expected an integer",
        "flag --drop-infra-ctr: crio.runtime.drop_infra_ctr = \"maybe\": expected true or false",
    ]
    .map(str::to_owned);
    expected.sort();
    assert_eq!(problems, expected);
}

#[test]
fn a_wrong_value_that_is_replaced_is_only_odd() {
    let fixture = Fixture::new(&[
        ("crio.conf", "[crio.runtime]\ncgroup_manager = \"upstart\"\n"),
        ("crio.conf.d/1", "[crio.runtime]\ncgroup_manager = \"cgroupfs\"\n"),
    ]);
    assert_eq!(fixture.config().runtime.cgroup_manager, CgroupManager::Cgroupfs);
    assert_eq!(
        fixture.warnings(),
        [
            "crio.conf:2: crio.runtime.cgroup_manager = \"upstart\" is not usable (expected one of \"systemd\", \"cgroupfs\") and was replaced by crio.conf.d/1:2"
        ]
    );
}

#[test]
fn files_that_cannot_be_read() {
    let mut fixture = main_file("");
    fixture.sources.config = Some(fixture.directory.path().join("none.conf"));
    assert_eq!(fixture.problems(), ["cannot read none.conf: No such file or directory (os error 2)"]);
    let fixture = Fixture::new(&[("crio.conf.d/1", "[crio\n"), ("crio.conf.d/2", "x = \n")]);
    assert_eq!(fixture.problems().len(), 2);
    let mut fixture = main_file("");
    fixture.sources.config_dir = Some(fixture.directory.path().join("none.d"));
    assert_eq!(fixture.config(), Config::default(), "a missing directory is an empty one");
    let fixture = main_file(&"#".repeat((1 << 20) + 1));
    assert_eq!(fixture.problems(), ["crio.conf exceeds the limit of 1048576 bytes"]);
}

#[test]
fn links_to_files_count_and_links_to_directories_do_not() {
    let fixture = Fixture::new(&[("elsewhere", "[crio.image]\npause_image = \"linked\"\n")]);
    let directory = fixture.directory.path().join("crio.conf.d");
    symlink(fixture.directory.path().join("elsewhere"), directory.join("1")).expect("a link");
    symlink(&directory, directory.join("loop")).expect("a link");
    assert_eq!(fixture.config().image.pause_image, "linked");
}

#[test]
fn deprecated_options_become_their_successors() {
    let fixture = main_file(
        "[crio.runtime]\nconmon = \"/usr/bin/conmon\"\nconmon_cgroup = \"pod\"\n[crio.runtime.runtimes.runc]\nmonitor_cgroup = \"a.slice\"\n[crio.network]\nplugin_dir = \"/p\"\n[crio.stats]\nstats_collection_period = 9\n",
    );
    let config = fixture.config();
    assert_eq!(config.runtimes["crun"].monitor_cgroup.as_deref(), Some("pod"));
    assert_eq!(config.runtimes["runc"].monitor_cgroup.as_deref(), Some("a.slice"));
    assert_eq!(config.network.plugin_dirs, [Path::new("/opt/cni/bin/"), Path::new("/p")]);
    assert_eq!(config.stats.collection_period, Duration::from_secs(9));
    let warnings = fixture.warnings();
    assert!(
        warnings.contains(
            &"crio.conf:2: crio.runtime.conmon is deprecated: the built-in monitor is always used".to_owned()
        )
    );
    assert_eq!(warnings.len(), 4, "{warnings:#?}");
}

#[test]
fn too_short_timeouts_are_raised() {
    let fixture = main_file(
        "[crio.runtime]\nctr_stop_timeout = 10\n[crio.runtime.runtimes.crun]\ncontainer_create_timeout = 1\n",
    );
    let config = fixture.config();
    assert_eq!(config.runtime.ctr_stop_timeout, Duration::from_secs(30));
    assert_eq!(config.runtimes["crun"].container_create_timeout, Duration::from_secs(30));
    assert_eq!(
        fixture.warnings(),
        [
            "crio.conf:2: crio.runtime.ctr_stop_timeout is raised to its minimum of 30 seconds",
            "crio.conf:4: crio.runtime.runtimes.crun.container_create_timeout is raised to its minimum of 30 seconds",
        ]
    );
}

#[test]
fn options_without_effect_say_so_when_they_are_changed() {
    let fixture = main_file("[crio.runtime]\ntimezone = \"Local\"\nno_pivot = false\n");
    assert_eq!(
        fixture.warnings(),
        ["crio.conf:2: crio.runtime.timezone is accepted and has no effect in this version"]
    );
}

#[test]
fn flags_and_variables_reach_irregular_names() {
    let config = main_file("")
        .variable("CONTAINER_INJECT_GOMAXPROCS", "3")
        .variable("CONTAINER_INCLUDED_POD_METRCIS", "cpu,memory")
        .flag("insecure-registry", "a")
        .flag("default-env", "A=1,B=2")
        .flag("default-env", "C=3")
        .flag("drop-infra-ctr", "false")
        .config();
    assert_eq!(config.runtime.min_injected_gomaxprocs, 3);
    assert_eq!(config.stats.included_pod_metrics, ["cpu", "memory"]);
    assert_eq!(config.image.insecure_registries, ["a"]);
    assert!(!config.runtime.drop_infra_ctr);
    let names: Vec<String> = config.runtime.default_env.iter().map(Assignment::to_string).collect();
    assert_eq!(names, ["A=1", "B=2", "C=3"]);
}

#[test]
fn handlers_come_from_flags_too() {
    let config =
        main_file("").flag("runtimes", "kata:/k:/run/kata:vm:true:/c.toml:1MiB").flag("runtimes", "b:/b").config();
    let handler = &config.runtimes["kata"];
    assert_eq!(handler.kind(), crate::RuntimeType::Vm);
    assert!(handler.privileged_without_host_devices);
    assert_eq!(handler.container_min_memory, 1 << 20);
    assert_eq!(config.runtimes["b"].runtime_path.as_deref(), Some(Path::new("/b")));
    for wrong in ["kata", "kata:", ":/k", "kata:/k:::perhaps", "kata:/k::xen", "a:b:c:d:e:f:g:h"] {
        assert_eq!(main_file("").flag("runtimes", wrong).problems().len(), 1, "{wrong}");
    }
}

#[test]
fn runc_stands_in_only_where_nobody_asked_for_crun() {
    let cases: [(&[&str], &str, &str); 5] = [
        (&["crun", "runc"], "", "crun"),
        (&["runc"], "", "runc"),
        (&[], "", "crun"),
        (&["runc"], "[crio.runtime]\ndefault_runtime = \"crun\"\n", "crun"),
        (&["crun"], "[crio.runtime]\ndefault_runtime = \"runc\"\n", "runc"),
    ];
    for (programs, text, expected) in cases {
        let config = main_file(text).programs(programs).config();
        assert_eq!(config.runtime.default_runtime, expected, "{programs:?} {text:?}");
        assert!(config.default_handler().is_some());
    }
}

#[test]
fn a_handler_can_be_the_default_one_under_another_name() {
    let text = "[crio.runtime.runtimes.twin]\ninherit_default_runtime = true\nruntime_root = \"/other\"\n";
    let config = main_file(text).config();
    assert_eq!(config.runtimes["twin"].runtime_path.as_deref(), Some(Path::new("crun")));
    assert_eq!(config.runtimes["twin"].runtime_root.as_deref(), Some(Path::new("/run/crun")));
}

#[test]
fn options_that_need_each_other() {
    for text in [
        "[crio.api]\nstream_enable_tls = true\n",
        "[crio.runtime]\nuid_mappings = \"0:1:2\"\n",
        "[crio.network]\nplugin_dirs = []\n",
        "[crio.runtime]\ncgroup_manager = \"cgroupfs\"\nconmon_cgroup = \"system.slice\"\n",
        "[crio.runtime.runtimes.crun]\nmonitor_cgroup = \"nowhere\"\n",
    ] {
        assert_eq!(main_file(text).problems().len(), 1, "{text}");
    }
}

#[test]
fn a_reload_takes_only_what_is_live() {
    let old = Config::default();
    let new = main_file(
        "[crio.runtime]\nlog_level = \"debug\"\ncgroup_manager = \"cgroupfs\"\n[crio.runtime.runtimes.runc]\n[crio.image]\npinned_images = [\"a\"]\n",
    )
    .config();
    let changes: Vec<(String, Reload)> = old.changes(&new).into_iter().map(|it| (it.name, it.reload)).collect();
    assert_eq!(
        changes,
        [
            ("crio.runtime.cgroup_manager".to_owned(), Reload::Restart),
            ("crio.runtime.log_level".to_owned(), Reload::Live),
            ("crio.image.pinned_images".to_owned(), Reload::Live),
            ("crio.runtime.runtimes".to_owned(), Reload::Live),
        ]
    );
    let reloaded = old.reloaded(&new);
    assert_eq!(reloaded.runtime.cgroup_manager, CgroupManager::Systemd);
    assert_eq!(reloaded.runtime.log_level, LogLevel::Debug);
    assert_eq!(reloaded.image.pinned_images, ["a"]);
    assert!(reloaded.runtimes.contains_key("runc"));
    assert_eq!(old.reloaded(&old), old);
}

#[test]
fn flags_keys_and_variables_belong_to_one_row_each() {
    let config = Config::default();
    let rows: Vec<_> = config
        .sections()
        .into_iter()
        .flat_map(|(path, section)| section.options().iter().map(move |spec| (path, spec)))
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    for (path, spec) in rows {
        assert!(!spec.docs.is_empty() && seen.insert(format!("{path}.{}", spec.key)), "{}", spec.key);
        let short = spec.short.map(String::from).unwrap_or_default();
        for name in [spec.flag, spec.flag_alias, &short].into_iter().chain(spec.env.iter().copied()) {
            assert!(name.is_empty() || seen.insert(name.to_owned()), "{name} twice");
        }
    }
}

#[test]
fn the_command_line_takes_every_flag() {
    let command = clap::Command::new("crio").args(crate::flags());
    command.clone().debug_assert();
    let line = [
        "crio",
        "--selinux",
        "--drop-infra-ctr=false",
        "-l",
        "debug",
        "--log-size-max",
        "-1",
        "--default-env",
        "A=1",
        "--default-env=B=2,C=3",
    ];
    let matches = command.try_get_matches_from(line).expect("valid flags");
    let flags = crate::given_flags(&matches);
    assert_eq!(flags["selinux"], ["true"]);
    assert_eq!(flags["drop-infra-ctr"], ["false"]);
    assert_eq!(flags["log-size-max"], ["-1"]);
    assert_eq!(flags["default-env"], ["A=1", "B=2,C=3"]);
    assert_eq!(flags.len(), 5);
}
