//! The files a pod's containers share: resolver configuration, host name, `/dev/shm`.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use crio_spec::PodFiles;
use crio_types::{DnsConfig, NamespaceMode, SandboxConfig};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::PodError;
use crate::record::{PodDirectory, SandboxRecord};

/// Size of a pod's `/dev/shm`, as CRI-O makes it.
const SHM_SIZE_BYTES: u64 = 64 << 20;
const HOST_RESOLV_CONF: &str = "/etc/resolv.conf";
/// More of the host's resolver configuration is not read.
const MAX_RESOLV_CONF_BYTES: u64 = 1 << 20;

/// Where the pod's files are, whether or not they have been made.
pub(crate) fn plan(directory: &PodDirectory, config: &SandboxConfig) -> PodFiles {
    let host_network = config.security.namespaces.network == NamespaceMode::Node;
    let host_ipc = config.security.namespaces.ipc == NamespaceMode::Node;
    let own = |name: &str| Some(directory.path().join(name));
    PodFiles {
        resolv_conf: own("resolv.conf"),
        hostname: own("hostname"),
        hosts: host_network.then(|| PathBuf::from("/etc/hosts")),
        shm: if host_ipc { Some("/dev/shm".into()) } else { own("shm") },
        containerenv: own("containerenv"),
        localtime: None,
    }
}

/// Makes them. What was made before a failure is removed with the pod's directory and [`release`].
pub(crate) fn make(directory: &PodDirectory, record: &SandboxRecord) -> Result<(), PodError> {
    let at = |name: &str| directory.path().join(name);
    write(&at("resolv.conf"), resolv_conf(record.config.dns.as_ref())?.as_bytes())?;
    write(&at("hostname"), format!("{}\n", record.hostname).as_bytes())?;
    write(&at("containerenv"), b"")?;
    if record.config.security.namespaces.ipc != NamespaceMode::Node {
        mount_shm(&at("shm"))?;
    }
    Ok(())
}

/// Unmounts what [`make`] mounted; what is not mounted is no error.
pub(crate) fn release(directory: &PodDirectory) -> Result<(), PodError> {
    let shm = directory.path().join("shm");
    match unmount(&shm, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => Ok(()),
        Err(errno) => Err(PodError::file("unmounting", &shm)(errno.into())),
    }
}

/// Removes what is left of a pod that holds nothing any more: its logs, where the request named no directory for them and so
/// nobody but us knows of it, and then its records.
pub(crate) fn forget(directory: &PodDirectory, record: &SandboxRecord) -> Result<(), PodError> {
    let logs = &record.log_directory;
    if record.config.log_directory.is_empty() && logs.ends_with(record.id.as_str()) {
        match std::fs::remove_dir_all(logs) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(PodError::file("removing", logs)(error));
            }
            _ => {}
        }
    }
    directory.remove()
}

fn mount_shm(path: &Path) -> Result<(), PodError> {
    std::fs::create_dir(path).map_err(PodError::file("creating", path))?;
    let options = std::ffi::CString::new(format!("mode=1777,size={SHM_SIZE_BYTES}"))
        .map_err(|error| PodError::file("mounting", path)(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    let flags = MountFlags::NOEXEC | MountFlags::NOSUID | MountFlags::NODEV;
    mount("shm", path, "tmpfs", flags, options.as_c_str())
        .map_err(|errno| PodError::file("mounting", path)(errno.into()))
}

/// The text of the pod's `/etc/resolv.conf`: the request's, or a copy of the host's when it says nothing.
fn resolv_conf(dns: Option<&DnsConfig>) -> Result<String, PodError> {
    match dns {
        Some(dns) if *dns != DnsConfig::default() => Ok(render(dns)),
        _ => host_resolv_conf(),
    }
}

fn render(dns: &DnsConfig) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    if !dns.searches.is_empty() {
        let _infallible = writeln!(text, "search {}", dns.searches.join(" "));
    }
    for server in &dns.servers {
        let _infallible = writeln!(text, "nameserver {server}");
    }
    if !dns.options.is_empty() {
        let _infallible = writeln!(text, "options {}", dns.options.join(" "));
    }
    text
}

fn host_resolv_conf() -> Result<String, PodError> {
    use std::io::Read;
    let path = Path::new(HOST_RESOLV_CONF);
    let mut text = String::new();
    match std::fs::File::open(path) {
        Ok(file) => {
            file.take(MAX_RESOLV_CONF_BYTES).read_to_string(&mut text).map_err(PodError::file("reading", path))?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(PodError::file("reading", path)(error)),
    };
    Ok(text)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), PodError> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, bytes).map_err(PodError::file("writing", path))?;
    // Whatever the daemon's umask, every user of a container may read them.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).map_err(PodError::file("writing", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolver_configuration_has_each_part_once() {
        let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
        let dns = DnsConfig {
            servers: list(&["10.0.0.10", "fd00::a"]),
            searches: list(&["default.svc", "svc"]),
            options: list(&["ndots:5"]),
        };
        assert_eq!(render(&dns), "search default.svc svc\nnameserver 10.0.0.10\nnameserver fd00::a\noptions ndots:5\n");
    }
}
