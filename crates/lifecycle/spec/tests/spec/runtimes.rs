//! crun and runc run what we generate: who the process is, what it may do and what it sees.
//!
//! Needs root and both runtimes. crun refuses a hybrid cgroup layout, so both run in a mount namespace in which the
//! unified half is covered; nothing outside a temporary directory and a cgroup of our own is touched, and both go.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crio_security::HostSecurity;
use crio_spec::CgroupVersion;
use crio_types::{Capabilities, EnvVar, Mount, Resources, SecurityProfile};
use oci_spec::runtime::Spec;
use tempfile::TempDir;

use crate::fixture::{Fixture, image};

const RUNTIMES: [&str; 2] = ["runc", "crun"];
const CGROUP: &str = "crio-rs-spec-test";
const APPLETS: [&str; 12] =
    ["sleep", "find", "sh", "cat", "id", "unshare", "mount", "hostname", "touch", "ls", "env", "mknod"];

/// A process that keeps a pod's namespaces, a root file system and a bundle.
struct Pod {
    directory: TempDir,
    holder: Child,
    name: String,
}

impl Pod {
    fn new(name: &str) -> Self {
        Self::held_by(name, Command::new("unshare").args(["--net", "--ipc", "--uts", "sleep", "120"]))
    }

    /// A pod with a user namespace, and a root file system that belongs to its root.
    fn in_user_namespace(name: &str, first: u32, length: u32) -> Self {
        let mut holder = Command::new("unshare");
        let pod = Self::held_by(name, holder.args(["--user", "--net", "--ipc", "--uts", "sleep", "120"]));
        for map in ["uid_map", "gid_map"] {
            let path = format!("/proc/{}/{map}", pod.holder.id());
            std::fs::write(path, format!("0 {first} {length}")).expect("map");
        }
        let owned = format!("{first}:{first}");
        let mut chown = Command::new("chown");
        chown.args(["--recursive", "--no-dereference", &owned]).arg(pod.directory.path());
        assert!(chown.status().expect("chown").success());
        pod
    }

    fn held_by(name: &str, holder: &mut Command) -> Self {
        let directory = tempfile::tempdir().expect("tempdir");
        let rootfs = directory.path().join("rootfs");
        for path in ["bin", "etc", "proc", "dev", "sys", "tmp", "run", "work"] {
            std::fs::create_dir_all(rootfs.join(path)).expect("mkdir");
        }
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).expect("chmod");
        std::fs::copy("/bin/busybox", rootfs.join("bin/busybox")).expect("busybox-static is installed");
        for applet in APPLETS {
            symlink("busybox", rootfs.join("bin").join(applet)).expect("symlink");
        }
        for file in ["resolv.conf", "hostname", ".containerenv"] {
            std::fs::write(directory.path().join(file), file).expect("write");
        }
        std::fs::create_dir(directory.path().join("shm")).expect("mkdir");
        let holder = holder.spawn().expect("unshare");
        let pod = Self { directory, holder, name: format!("{name}-{}", std::process::id()) };
        pod.wait_for_namespaces();
        pod
    }

    /// `unshare` has changed its namespaces when it has become `sleep`.
    fn wait_for_namespaces(&self) {
        let comm = format!("/proc/{}/comm", self.holder.id());
        for _ in 0..10_000 {
            if std::fs::read_to_string(&comm).is_ok_and(|name| name.trim() == "sleep") {
                return;
            }
            std::thread::yield_now();
        }
        panic!("the holder of the namespaces did not start");
    }

    fn fixture(&self, script: &str) -> Fixture {
        let mut fixture = Fixture::minimal();
        let path = |name: &str| Some(self.directory.path().join(name));
        let namespace = |name: &str| Some(format!("/proc/{}/ns/{name}", self.holder.id()).into());
        fixture.own_pids();
        fixture.image = image(&["/bin/sh", "-c"], &[script]);
        fixture.rootfs = self.directory.path().join("rootfs");
        fixture.cgroups_path = format!("/{CGROUP}/{}", self.name);
        fixture.namespaces.network = namespace("net");
        fixture.namespaces.ipc = namespace("ipc");
        fixture.namespaces.uts = namespace("uts");
        fixture.files.resolv_conf = path("resolv.conf");
        fixture.files.hostname = path("hostname");
        fixture.files.containerenv = path(".containerenv");
        fixture.files.shm = path("shm");
        fixture.host_security = HostSecurity::detect().expect("detect");
        fixture.host_security.apparmor = false;
        fixture.host.cgroup_version = cgroup_version();
        fixture.host.has_hugetlb = false;
        fixture.host.minimum_oom_score_adj = own_score();
        fixture.host.has_memory_swap = Path::new("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").exists();
        fixture
    }

    fn run(&self, runtime: &str, spec: &Spec) -> Output {
        self.script(runtime, spec, r#"exec "$0" --root "$1" run --bundle "$2" "$3""#, Path::new(""))
    }

    /// Starts a container, runs a further process in it, and removes it.
    fn exec(&self, runtime: &str, spec: &Spec, process: &Path) -> Output {
        let script = r#"
            "$0" --root "$1" run --detach --bundle "$2" "$3" </dev/null >/dev/null 2>&1 || exit 100
            "$0" --root "$1" exec --process "$4" "$3"
            code=$?
            "$0" --root "$1" delete --force "$3"
            exit $code"#;
        self.script(runtime, spec, script, process)
    }

    /// Runs a script with `$0` the runtime, `$1` its state, `$2` the bundle, `$3` the container, `$4` a process.
    fn script(&self, runtime: &str, spec: &Spec, script: &str, process: &Path) -> Output {
        let bundle = self.directory.path();
        std::fs::write(bundle.join("config.json"), serde_json::to_vec(spec).expect("json")).expect("write");
        let covered = "mount --make-rprivate /
            if [ -d /sys/fs/cgroup/unified ]; then mount -t tmpfs none /sys/fs/cgroup/unified; fi\n";
        let root = bundle.join("state").join(runtime);
        Command::new("unshare")
            .args(["--mount", "sh", "-c", &format!("{covered}{script}"), runtime])
            .args([root.as_path(), bundle, Path::new(&self.name), process])
            // Not the host's null device: crun 1.8 gives its standard streams to the user that runs.
            .stdin(Stdio::piped())
            .output()
            .expect("unshare")
    }

    /// Runs a fixture with a runtime and returns what the container printed.
    #[track_caller]
    fn printed(&self, runtime: &str, fixture: &Fixture) -> String {
        let output = self.run(runtime, &fixture.generate().expect("generates"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{runtime}: {}\n{}", text(&output.stderr), text(&output.stdout));
        text(&output.stdout) + &text(&output.stderr)
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.holder.kill().ok();
        self.holder.wait().ok();
        let hierarchies = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
        for hierarchy in hierarchies {
            std::fs::remove_dir(hierarchy.path().join(CGROUP).join(&self.name)).ok();
            std::fs::remove_dir(hierarchy.path().join(CGROUP)).ok();
        }
        std::fs::remove_dir(Path::new("/sys/fs/cgroup").join(CGROUP)).ok();
    }
}

fn cgroup_version() -> CgroupVersion {
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() { CgroupVersion::V2 } else { CgroupVersion::V1 }
}

fn own_score() -> i32 {
    let text = std::fs::read_to_string("/proc/self/oom_score_adj").expect("oom_score_adj");
    text.trim().parse().expect("a number")
}

/// The value of a field of `/proc/self/status`.
#[track_caller]
fn field<'a>(printed: &'a str, name: &str) -> &'a str {
    let line = printed.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in\n{printed}")).trim()
}

#[track_caller]
fn has(printed: &str, line: &str) {
    assert!(printed.lines().any(|printed| printed == line), "no {line:?} in\n{printed}");
}

/// CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE.
const NINE: &str = "00000000000005fb";
const NONE: &str = "0000000000000000";

#[test]
fn an_ordinary_container_is_confined() {
    let pod = Pod::new("ordinary");
    let mut fixture = pod.fixture(
        "cat /proc/self/status; id; pwd; echo HOST=$(hostname); echo E=$IMAGE:$HOSTNAME:$LAST
         for p in /proc/kcore /proc/timer_list; do [ -s $p ] && echo VISIBLE $p; done
         touch /file 2>&1; touch /dev/shm/ok && echo SHM
         unshare -U true 2>&1; unshare -m true 2>&1; mount -t tmpfs x /tmp 2>&1
         mknod /dev/x c 1 3 2>&1; cat /etc/resolv.conf; echo; touch /sys/x 2>&1; echo $(cat /proc/1/oom_score_adj); :",
    );
    (fixture.user.uid, fixture.user.gid, fixture.user.groups) = (1000, 1001, vec![1001, 2000]);
    std::fs::set_permissions(pod.directory.path().join("shm"), std::fs::Permissions::from_mode(0o1777)).expect("chmod");
    let config = &mut fixture.config;
    config.envs = vec![EnvVar { key: "LAST".to_owned(), value: b"yes".to_vec() }];
    config.resources = Some(Resources {
        cpu_shares: 512,
        cpu_period_us: 100_000,
        cpu_quota_us: 50_000,
        memory_limit_bytes: 64 << 20,
        oom_score_adj: 500,
        ..Resources::default()
    });
    config.security.seccomp = Some(SecurityProfile::RuntimeDefault);
    config.security.no_new_privs = true;
    config.security.readonly_rootfs = true;
    config.security.masked_paths = vec!["/proc/kcore".to_owned(), "/proc/timer_list".to_owned()];
    config.security.readonly_paths = vec!["/proc/sys".to_owned()];
    for runtime in RUNTIMES {
        let printed = pod.printed(runtime, &fixture);
        assert_eq!(field(&printed, "CapBnd"), NINE, "{runtime}");
        for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
            assert_eq!(field(&printed, set), NONE, "{runtime} {set}");
        }
        assert_eq!(field(&printed, "Seccomp"), "2", "{runtime}");
        assert_eq!(field(&printed, "NoNewPrivs"), "1", "{runtime}");
        has(&printed, "uid=1000 gid=1001 groups=1001,2000");
        has(&printed, "/work");
        has(&printed, "HOST=web");
        has(&printed, "E=yes:web:yes");
        has(&printed, "SHM");
        has(&printed, "resolv.conf");
        has(&printed, "500");
        assert!(!printed.contains("VISIBLE"), "{runtime}: {printed}");
        assert!(printed.contains("/file: Read-only file system"), "{runtime}: {printed}");
        assert_eq!(printed.matches("Operation not permitted").count(), 2, "{runtime}: {printed}");
        let denied = printed.to_lowercase().matches("permission denied").count();
        assert_eq!(denied, 2, "{runtime}: {printed}");
    }
}

#[test]
fn root_without_requests_has_nine_capabilities() {
    let pod = Pod::new("root");
    let mut fixture = pod.fixture(
        "cat /proc/self/status; touch /file && echo WRITES; for f in $(find /sys/fs/cgroup -maxdepth 2 -name cgroup.procs); do echo 0 > $f && echo MOVED; done
         echo x > /proc/sys/kernel/hostname; :",
    );
    fixture.config.security.readonly_paths = vec!["/proc/sys".to_owned()];
    for runtime in RUNTIMES {
        let printed = pod.printed(runtime, &fixture);
        for (set, expected) in
            [("CapEff", NINE), ("CapPrm", NINE), ("CapBnd", NINE), ("CapInh", NONE), ("CapAmb", NONE)]
        {
            assert_eq!(field(&printed, set), expected, "{runtime} {set}");
        }
        assert_eq!(field(&printed, "Seccomp"), "0", "{runtime}");
        has(&printed, "WRITES");
        assert!(printed.contains("kernel/hostname: Read-only file system"), "{runtime}: {printed}");
        assert!(printed.contains("cgroup.procs: Read-only file system"), "{runtime}: {printed}");
        assert!(!printed.contains("MOVED"), "{runtime}: {printed}");
    }
    let dropped = Capabilities { drop: vec!["ALL".to_owned()], ..Capabilities::default() };
    fixture.config.security.capabilities = Some(dropped);
    for runtime in RUNTIMES {
        assert_eq!(field(&pod.printed(runtime, &fixture), "CapBnd"), NONE, "{runtime}");
    }
}

#[test]
fn ambient_capabilities_reach_a_user_that_is_not_root() {
    let pod = Pod::new("ambient");
    let mut fixture = pod.fixture("cat /proc/self/status");
    (fixture.user.uid, fixture.user.gid, fixture.user.groups) = (1000, 1000, vec![1000]);
    let ambient = Capabilities { add_ambient: vec!["NET_BIND_SERVICE".to_owned()], ..Capabilities::default() };
    fixture.config.security.capabilities = Some(ambient);
    for runtime in RUNTIMES {
        let printed = pod.printed(runtime, &fixture);
        for set in ["CapEff", "CapAmb", "CapInh"] {
            assert_eq!(field(&printed, set), "0000000000000400", "{runtime} {set}");
        }
    }
}

/// Set inside a container to make [`sockets`] open them.
const PROBE: &str = "CRIO_SOCKET_PROBE";

/// Runs in the containers of [`two_socket_families_are_refused`]; elsewhere it does nothing.
#[test]
fn sockets() {
    use rustix::net::{AddressFamily, Protocol, SocketType, socket};
    if std::env::var_os(PROBE).is_none() {
        return;
    }
    let families = [("unix", 1), ("inet", 2), ("inet6", 10), ("packet", 17), ("alg", 38), ("vsock", 40), ("xdp", 44)];
    for (name, family) in families {
        let opened = socket(AddressFamily::from_raw(family), SocketType::DGRAM, None);
        println!("\n{name}={:?}", opened.err());
    }
    for protocol in [0, 9, 15] {
        let raw = std::num::NonZeroU32::new(protocol).map(Protocol::from_raw);
        let opened = socket(AddressFamily::NETLINK, SocketType::RAW, raw);
        println!("\nnetlink{protocol}={:?}", opened.err());
    }
}

#[test]
fn two_socket_families_are_refused() {
    let pod = Pod::new("sockets");
    let mut fixture = pod.fixture("");
    let probe = std::env::current_exe().expect("this test");
    let libraries = [Path::new("/usr"), Path::new("/lib"), Path::new("/lib64")];
    for (inside, host) in libraries.into_iter().map(|path| (path, path)).chain([(Path::new("/probe"), &*probe)]) {
        let Ok(host) = host.canonicalize() else { continue };
        fixture.mount(Mount {
            container_path: inside.display().to_string(),
            host_path: host.display().to_string(),
            readonly: true,
            ..Mount::default()
        });
    }
    let arguments = ["/probe", "--exact", "runtimes::sockets", "--nocapture", "--test-threads=1"];
    fixture.config.command = arguments.map(str::to_owned).to_vec();
    fixture.config.envs = vec![EnvVar { key: PROBE.to_owned(), value: b"1".to_vec() }];
    fixture.config.security.seccomp = Some(SecurityProfile::RuntimeDefault);
    for runtime in RUNTIMES {
        let printed = pod.printed(runtime, &fixture);
        for line in ["unix=None", "inet=None", "netlink0=None", "netlink15=None"] {
            has(&printed, line);
        }
        let refused = |errno: rustix::io::Errno, name: &str| has(&printed, &format!("{name}={:?}", Some(errno)));
        refused(rustix::io::Errno::PERM, "alg");
        refused(rustix::io::Errno::PERM, "vsock");
        refused(rustix::io::Errno::INVAL, "netlink9");
    }
}

#[test]
fn a_pod_with_users_of_its_own() {
    use crio_types::{IdMapping, NamespaceMode, UserNamespace};
    const FIRST: u32 = 200_000;
    const LENGTH: u32 = 65_536;
    let pod = Pod::in_user_namespace("users", FIRST, LENGTH);
    let mut fixture = pod.fixture("cat /proc/self/uid_map /proc/self/status; id; touch /tmp/x && ls -n /tmp/x");
    fixture.namespaces.user = Some(format!("/proc/{}/ns/user", pod.holder.id()).into());
    let mapping = vec![IdMapping { host_id: FIRST, container_id: 0, length: LENGTH }];
    fixture.sandbox.security.namespaces.user =
        Some(UserNamespace { mode: NamespaceMode::Pod, uids: mapping.clone(), gids: mapping });
    for runtime in RUNTIMES {
        let printed = pod.printed(runtime, &fixture);
        has(&printed, &format!("{:>10} {FIRST:>10} {LENGTH:>10}", 0));
        assert!(printed.contains("uid=0 gid=0"), "{runtime}: {printed}");
        assert_eq!(field(&printed, "CapEff"), NINE, "{runtime}");
    }
}

#[test]
fn exec_keeps_the_confinement() {
    let pod = Pod::new("exec");
    let mut fixture = pod.fixture("exec sleep 60");
    (fixture.user.uid, fixture.user.gid, fixture.user.groups) = (1000, 1000, vec![1000, 3000]);
    fixture.config.security.seccomp = Some(SecurityProfile::RuntimeDefault);
    let spec = fixture.generate().expect("generates");
    let command = ["sh", "-c", "cat /proc/self/status; id; pwd; echo E=$IMAGE:$ADDED"].map(str::to_owned).to_vec();
    let added = [EnvVar { key: "ADDED".to_owned(), value: b"1".to_vec() }];
    let first = spec.process().clone().expect("process");
    let process = crio_spec::exec_process(&first, command, false, &added);
    let file = pod.directory.path().join("process.json");
    std::fs::write(&file, serde_json::to_vec(&process).expect("json")).expect("write");
    for runtime in RUNTIMES {
        let output = pod.exec(runtime, &spec, &file);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{runtime}: {printed} {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(field(&printed, "CapBnd"), NINE, "{runtime}");
        for set in ["CapEff", "CapInh", "CapAmb"] {
            assert_eq!(field(&printed, set), NONE, "{runtime} {set}");
        }
        assert_eq!(field(&printed, "Seccomp"), "2", "{runtime}");
        has(&printed, "uid=1000 gid=1000 groups=1000,3000");
        has(&printed, "/work");
        has(&printed, "E=yes:1");
    }
}

#[test]
fn privileged_has_what_the_daemon_has() {
    let pod = Pod::new("privileged");
    let mut fixture = pod.fixture(
        "cat /proc/self/status; ls /dev; mount -t tmpfs x /tmp && echo MOUNTED; unshare -m true && echo UNSHARED
         cat /proc/mounts",
    );
    fixture.sandbox.security.privileged = true;
    fixture.config.security.privileged = true;
    fixture.config.security.seccomp = Some(SecurityProfile::RuntimeDefault);
    fixture.devices = crio_devices::all_host_devices(Path::new("/dev")).expect("devices");
    let expected: u64 = (0..64).filter(|bit| fixture.host_security.bounding.contains(one(*bit))).map(bit_of).sum();
    for runtime in RUNTIMES {
        let printed = pod.printed(runtime, &fixture);
        assert_eq!(field(&printed, "CapEff"), format!("{expected:016x}"), "{runtime}");
        assert_eq!(field(&printed, "CapInh"), NONE, "{runtime}");
        assert_eq!(field(&printed, "Seccomp"), "0", "{runtime}");
        for line in ["MOUNTED", "UNSHARED", "kmsg"] {
            has(&printed, line);
        }
        let sys = printed.lines().find(|line| line.starts_with("sysfs /sys ")).expect("/sys is mounted");
        assert!(sys.contains(" rw,"), "{runtime}: {sys}");
    }
}

fn bit_of(bit: u32) -> u64 {
    1 << bit
}

fn one(bit: u32) -> crio_security::CapabilitySet {
    let set = crio_security::CapabilitySet::from_bits(bit_of(bit));
    // A number without a name is an empty set, which everything contains.
    if set.is_empty() { crio_security::CapabilitySet::ALL } else { set }
}
