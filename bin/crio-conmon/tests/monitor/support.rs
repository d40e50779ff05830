//! A pod under test: a directory, a monitor, and containers made from busybox.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio as Streams;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crio_runtime::{
    Config, CreateRequest, Created, ExecError, ExecLimits, ExecOutcome, Exit, Handler, HandlerConfig, LogFile, Monitor,
    MonitorError, MonitorEvent, MonitorLaunch, Runtimes, Stdio,
};
use crio_types::ContainerId;
use oci_spec::runtime::{Process, Spec};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;

/// The runtimes every scenario is run with.
pub(crate) const RUNTIMES: [&str; 2] = ["crun", "runc"];
/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A pod under test.
pub(crate) struct Pod {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) runtimes: Runtimes,
    pub(crate) monitor: Monitor,
    pub(crate) events: Receiver<MonitorEvent>,
    ids: Mutex<Vec<ContainerId>>,
}

/// What a container is like.
pub(crate) struct Options {
    pub(crate) command: Vec<String>,
    pub(crate) stdio: Stdio,
    pub(crate) log_size_max_bytes: Option<u64>,
    pub(crate) memory_limit_bytes: Option<i64>,
    pub(crate) own_processes: bool,
}

/// A shell script as a container's command.
pub(crate) fn shell(script: &str) -> Options {
    let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    Options {
        command,
        stdio: Stdio::default(),
        log_size_max_bytes: None,
        memory_limit_bytes: None,
        own_processes: true,
    }
}

pub(crate) fn new_id() -> ContainerId {
    let mut bytes = [0u8; 32];
    bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes[8..12].copy_from_slice(&std::process::id().to_be_bytes());
    ContainerId::from_bytes(bytes)
}

impl Pod {
    pub(crate) async fn new(runtime: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("conmon-").tempdir_in("/tmp").unwrap();
        let path = directory.path();
        for name in ["exits", "rootfs", "rootfs/bin", "rootfs/dev", "rootfs/proc", "rootfs/sys", "rootfs/tmp"] {
            std::fs::create_dir(path.join(name)).unwrap();
        }
        std::fs::copy("/bin/busybox", path.join("rootfs/bin/busybox")).unwrap();
        for applet in
            ["sh", "sleep", "cat", "echo", "dd", "yes", "head", "tail", "stty", "setsid", "true", "seq", "printf"]
        {
            std::fs::hard_link(path.join("rootfs/bin/busybox"), path.join("rootfs/bin").join(applet)).unwrap();
        }
        let wrapper = path.join("wrapper");
        let script = format!(
            "#!/bin/sh\nexec unshare --mount --propagation private sh -c \
             'mount -t tmpfs none /sys/fs/cgroup/unified && exec {} \"$@\"' crio-conmon \"$@\"\n",
            env!("CARGO_BIN_EXE_crio-conmon")
        );
        std::fs::write(&wrapper, script).unwrap();
        std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();

        let handler = HandlerConfig { root: Some(path.join("root")), ..HandlerConfig::default() };
        let runtimes = Runtimes::load(Config {
            handlers: [(runtime.to_owned(), handler)].into(),
            default_handler: runtime.to_owned(),
            monitor_binary: wrapper,
            exits_directory: path.join("exits"),
            systemd_cgroup: false,
        });
        let runtimes = runtimes.await.unwrap();
        let monitor = Monitor::spawn(&launch(path, &runtimes)).await.unwrap();
        let events = monitor.events();
        Self { directory, runtimes, monitor, events, ids: Mutex::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn handler(&self) -> Arc<Handler> {
        self.runtimes.resolve("").unwrap()
    }

    pub(crate) fn launch(&self) -> MonitorLaunch {
        launch(self.path(), &self.runtimes)
    }

    pub(crate) fn log_path(&self, id: &ContainerId) -> PathBuf {
        self.path().join(format!("{id}.log"))
    }

    pub(crate) async fn create(&self, options: &Options) -> (ContainerId, Result<Created, MonitorError>) {
        self.create_with(&self.handler(), options).await
    }

    pub(crate) async fn create_with(
        &self,
        handler: &Handler,
        options: &Options,
    ) -> (ContainerId, Result<Created, MonitorError>) {
        let id = new_id();
        self.ids.lock().unwrap().push(id.clone());
        let bundle = self.path().join(format!("bundle-{id}"));
        std::fs::create_dir(&bundle).unwrap();
        let spec = spec(&self.path().join("rootfs"), &id, options);
        std::fs::write(bundle.join("config.json"), serde_json::to_vec(&spec).unwrap()).unwrap();
        let created = self.monitor.create(CreateRequest {
            handler,
            id: &id,
            bundle: &bundle,
            log: Some(LogFile { path: self.log_path(&id), size_max_bytes: options.log_size_max_bytes }),
            stdio: options.stdio,
            cgroups: vec![cgroup(&id)],
            pod_cgroup: None,
        });
        let created = created.await;
        (id, created)
    }

    /// Makes a container and starts it.
    pub(crate) async fn run(&self, options: &Options) -> (ContainerId, Created) {
        let (id, created) = self.create(options).await;
        let created = created.unwrap();
        self.monitor.start(&id).await.unwrap();
        (id, created)
    }

    /// Waits for the next exit.
    pub(crate) async fn exited(&mut self) -> (ContainerId, Exit) {
        let event = tokio::time::timeout(PATIENCE, self.events.recv()).await.unwrap().unwrap();
        let MonitorEvent::Exited { id, exit } = event;
        (id, exit)
    }

    /// The log's content, by stream, parts joined.
    pub(crate) fn log(&self, id: &ContainerId) -> Log {
        Log::parse(&std::fs::read(self.log_path(id)).unwrap())
    }

    /// Waits until the log holds this text.
    pub(crate) async fn logged(&self, id: &ContainerId, text: &str) {
        until(|| std::fs::read_to_string(self.log_path(id)).is_ok_and(|log| log.contains(text))).await;
    }

    pub(crate) async fn exec(&self, id: &ContainerId, script: &str) -> Result<ExecOutcome, ExecError> {
        let limits = ExecLimits { timeout: Some(PATIENCE), max_output_bytes: 1 << 20 };
        self.monitor.exec_sync(id, &process(&["/bin/sh", "-c", script], false), limits).await
    }

    /// Removes all containers and ends the monitor; nothing may be left.
    pub(crate) async fn close(self) {
        for entry in self.monitor.list().await.unwrap() {
            self.monitor.remove(&entry.id).await.unwrap();
            assert!(!cgroup(&entry.id).exists());
        }
        assert_eq!(std::fs::read_dir(self.path().join("exits")).unwrap().count(), 0);
        self.monitor.shutdown().await.unwrap();
        tokio::time::timeout(PATIENCE, self.monitor.died()).await.unwrap();
        let left: Vec<_> = std::fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let stray = |name: &str| name.starts_with("pid.") || name.starts_with("tty.") || name.ends_with(".json");
        assert!(!left.iter().any(|name| stray(&name.to_string_lossy())), "{left:?}");
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // A test that failed leaves containers and a monitor behind; the monitor is the ancestor of all of them.
        let monitor = self.monitor.pid();
        if self.monitor.is_dead() {
            return;
        }
        let children = |parent: u32| {
            let all = std::process::Command::new("ps").args(["-o", "pid=", "--ppid", &parent.to_string()]).output();
            let text = String::from_utf8(all.unwrap().stdout).unwrap();
            text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let mut doomed = children(monitor);
        doomed.push(monitor.to_string());
        let _status = std::process::Command::new("kill").arg("-9").args(doomed).stderr(Streams::null()).status();
        for id in self.ids.lock().unwrap().iter() {
            for controller in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
                let left = controller.path().join(format!("conmon-test-{id}"));
                let deadline = std::time::Instant::now() + Duration::from_secs(2);
                while left.exists() && std::fs::remove_dir(&left).is_err() && std::time::Instant::now() < deadline {
                    std::thread::yield_now();
                }
            }
        }
    }
}

fn launch(path: &Path, runtimes: &Runtimes) -> MonitorLaunch {
    runtimes.monitor_launch(&path.join("pod"), &runtimes.resolve("").unwrap(), Vec::new())
}

pub(crate) fn cgroup(id: &ContainerId) -> PathBuf {
    Path::new("/sys/fs/cgroup/memory").join(format!("conmon-test-{id}"))
}

/// A command for an exec.
pub(crate) fn process(words: &[&str], terminal: bool) -> Process {
    serde_json::from_value(process_json(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>(), terminal))
        .unwrap()
}

fn process_json(words: &[String], terminal: bool) -> Value {
    json!({
        "terminal": terminal, "user": { "uid": 0, "gid": 0 }, "args": words, "cwd": "/",
        "env": ["PATH=/bin", "TERM=xterm"], "noNewPrivileges": true,
    })
}

fn spec(rootfs: &Path, id: &ContainerId, options: &Options) -> Spec {
    let mut namespaces = vec![json!({ "type": "mount" }), json!({ "type": "ipc" }), json!({ "type": "uts" })];
    namespaces.push(json!({ "type": "network" }));
    if options.own_processes {
        namespaces.push(json!({ "type": "pid" }));
    }
    let mut resources = json!({ "devices": [{ "allow": true, "access": "rwm" }] });
    if let Some(limit) = options.memory_limit_bytes {
        resources["memory"] = json!({ "limit": limit, "swap": limit });
    }
    let document = json!({
        "ociVersion": "1.0.2",
        "process": process_json(&options.command, options.stdio.tty),
        "root": { "path": rootfs, "readonly": false },
        "hostname": "test",
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
              "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"] },
        ],
        "linux": {
            "cgroupsPath": format!("/conmon-test-{id}"), "namespaces": namespaces, "resources": resources,
        },
    });
    serde_json::from_value(document).unwrap()
}

/// Waits until something holds. There is no event to wait for where this is used.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, poll).await.unwrap();
}

/// A parsed log.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) records: usize,
}

impl Log {
    /// Reads a log, and fails on anything that is not a record to the byte.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut log = Self::default();
        for record in bytes.split_inclusive(|&byte| byte == b'\n') {
            let text = String::from_utf8_lossy(record);
            assert!(record.len() >= 46 && record.ends_with(b"\n"), "{text:?}");
            let shape: String = text[..35].chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            assert_eq!(shape, "0000-00-00T00:00:00.000000000+00:00", "{text:?}");
            let content = &record[45..record.len() - 1];
            assert!(content.len() <= 8192);
            let target = match &record[35..43] {
                b" stdout " => &mut log.stdout,
                b" stderr " => &mut log.stderr,
                other => panic!("{other:?}"),
            };
            target.extend_from_slice(content);
            match &record[43..45] {
                b"F " => target.push(b'\n'),
                b"P " => {}
                other => panic!("{other:?}"),
            }
            log.records += 1;
        }
        log
    }
}
