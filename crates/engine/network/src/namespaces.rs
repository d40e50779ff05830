//! The namespaces of a pod, made in process and pinned on files.
//!
//! A pod's network, IPC and UTS namespace must outlive every process in it, so each is bind-mounted on
//! `<dir>/{netns,ipcns,utsns}/<sandbox id>`. One short-lived thread makes all of them, sets host name and sysctls while
//! inside, raises `lo`, and pins them last: what is pinned is finished, and what failed leaves nothing.
//! [`plan`] names the paths beforehand for a caller that records them first; [`unpin`] accepts any part of them.
//!
//! A pod with a user namespace has that pinned too (`userns`), and it owns the others: the pod's root may change its own
//! network, message queues and host name, and nobody else's.
//!
//! IPv6 router advertisements are refused on every link a pod gets (a neighbour could otherwise become the pod's
//! router, CVE-2020-10749); a pod that wants them sets the sysctl.

use std::io;
use std::path::{Path, PathBuf};

use crio_sys::namespace::{self, NamespaceKind};
use crio_sys::{interface, sysctl};
use crio_types::{Labels, SandboxId};
use serde::{Deserialize, Serialize};

mod error;
mod sysctls;
mod user;

pub use error::{PinError, UnpinError};
pub use sysctls::{Admitted, SysctlError, SysctlScope, admit};
pub use user::UserMaps;

/// Longest host name the kernel takes, in bytes.
const HOSTNAME_BYTES_MAX: usize = 64;

/// Which namespaces a pod gets of its own, and what is set in them.
#[derive(Debug, Clone)]
pub struct PinRequest {
    /// Directory of the pins (`namespaces_dir`); made when missing.
    pub dir: PathBuf,
    /// The sandbox, which names the pins.
    pub id: SandboxId,
    /// Make a network namespace; `lo` is up in it.
    pub net: bool,
    /// Make an IPC namespace.
    pub ipc: bool,
    /// Make a UTS namespace.
    pub uts: bool,
    /// Make a user namespace with these maps, and let it own the others.
    pub user: Option<UserMaps>,
    /// Host name to set; used only when a UTS namespace is made.
    pub hostname: Option<String>,
    /// Sysctls to set; only those that live in a namespace made here. [`admit`] sorts a pod's sysctls.
    pub sysctls: Labels,
}

/// Paths of a pod's pinned namespaces; `None` where the pod uses the host's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// Network namespace.
    pub net: Option<PathBuf>,
    /// IPC namespace.
    pub ipc: Option<PathBuf>,
    /// UTS namespace.
    pub uts: Option<PathBuf>,
    /// User namespace.
    #[serde(default)]
    pub user: Option<PathBuf>,
}

impl Pinned {
    /// Those a thread can make for itself.
    fn entries(&self) -> impl Iterator<Item = (NamespaceKind, &Path)> {
        [(NamespaceKind::Network, &self.net), (NamespaceKind::Ipc, &self.ipc), (NamespaceKind::Uts, &self.uts)]
            .into_iter()
            .filter_map(|(kind, path)| Some((kind, path.as_deref()?)))
    }

    fn paths(&self) -> impl Iterator<Item = &Path> {
        self.entries().map(|(_, path)| path).chain(self.user.as_deref())
    }
}

/// Where [`pin`] will put the namespaces of `request`, so that the caller can record them first.
#[must_use]
pub fn plan(request: &PinRequest) -> Pinned {
    let place = |wanted: bool, kind: &str| wanted.then(|| request.dir.join(kind).join(request.id.as_str()));
    Pinned {
        net: place(request.net, "netns"),
        ipc: place(request.ipc, "ipcns"),
        uts: place(request.uts, "utsns"),
        user: place(request.user.is_some(), "userns"),
    }
}

/// Makes the namespaces and pins them where [`plan`] says. Takes some milliseconds, on the blocking pool.
///
/// # Errors
/// A sysctl is not allowed or refused by the kernel, a pin exists already, or the kernel refuses a namespace.
pub async fn pin(request: PinRequest) -> Result<Pinned, PinError> {
    joined(tokio::task::spawn_blocking(move || pin_blocking(&request)).await)
}

/// Removes pins. Pins that do not exist are no error; every pin is tried.
///
/// # Errors
/// Some pin could not be unmounted or unlinked.
pub async fn unpin(pinned: &Pinned) -> Result<(), UnpinError> {
    let pinned = pinned.clone();
    joined(tokio::task::spawn_blocking(move || unpin_blocking(&pinned)).await)
}

/// Whether a namespace is pinned on `path` right now, rather than nothing or a plain file.
#[must_use]
pub fn is_pinned(path: &Path) -> bool {
    namespace::open(path).is_ok()
}

/// The result of blocking work, whose panics go on here. Work that was started is never cancelled.
pub(crate) fn joined<T>(result: Result<T, tokio::task::JoinError>) -> T {
    result.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

fn pin_blocking(request: &PinRequest) -> Result<Pinned, PinError> {
    let setup = Setup {
        network: request.net,
        parameters: checked_sysctls(request)?,
        hostname: checked_hostname(request)?,
        user: request.user.as_ref(),
    };
    let plan = plan(request);
    for path in plan.paths().filter_map(Path::parent) {
        std::fs::create_dir_all(path).map_err(|source| PinError::MakeDirectory { path: path.to_owned(), source })?;
    }
    let kinds: Vec<NamespaceKind> = plan.entries().map(|(kind, _)| kind).collect();
    if let (Some(maps), Some(path)) = (&request.user, &plan.user) {
        user::pin_with(maps, path, &kinds, || setup.run_and_pin(&plan))?;
    } else if !kinds.is_empty() {
        namespace::run_in_new(&kinds, || setup.run_and_pin(&plan))
            .map_err(|source| PinError::Namespace { source })??;
    }
    Ok(plan)
}

/// What is done inside the new namespaces.
struct Setup<'a> {
    network: bool,
    parameters: Vec<Parameter<'a>>,
    hostname: Option<&'a str>,
    user: Option<&'a UserMaps>,
}

impl Setup<'_> {
    fn run_and_pin(&self, plan: &Pinned) -> Result<(), PinError> {
        if self.network {
            prepare_network()?;
        }
        self.parameters.iter().try_for_each(|parameter| parameter.set(self.user))?;
        if let Some(hostname) = self.hostname {
            set_hostname(hostname)?;
        }
        pin_all(plan)
    }
}

fn unpin_blocking(pinned: &Pinned) -> Result<(), UnpinError> {
    let mut errors = pinned.paths().filter_map(|path| namespace::unpin(path).err());
    match errors.next() {
        None => Ok(()),
        Some(first) => Err(UnpinError::new(first, errors)),
    }
}

/// Pins what `plan` names; after a failure takes off again what this call pinned, and nothing else.
fn pin_all(plan: &Pinned) -> Result<(), PinError> {
    let mut done = Vec::new();
    for (kind, path) in plan.entries() {
        if let Err(source) = namespace::pin_current(kind, path) {
            for path in done {
                // The failure to pin is the one to report; the caller's own unpin will meet this one again.
                let _ = namespace::unpin(path);
            }
            return Err(PinError::Namespace { source });
        }
        done.push(path);
    }
    Ok(())
}

fn prepare_network() -> Result<(), PinError> {
    for path in ["net/ipv6/conf/all/accept_ra", "net/ipv6/conf/default/accept_ra"] {
        match sysctl::write(Path::new(path), "0") {
            // A kernel without IPv6 has no such parameter, and nothing to refuse.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(PinError::SetSysctl { name: path.to_owned(), value: "0".to_owned(), source });
            }
            Ok(()) => {}
        }
    }
    interface::raise_loopback().map_err(|source| PinError::RaiseLoopback { source })
}

/// A sysctl that passed the check: its name and value for people, its path for the kernel.
struct Parameter<'a> {
    name: &'a str,
    value: &'a str,
    scope: SysctlScope,
    path: PathBuf,
}

impl Parameter<'_> {
    /// Sets it in the calling thread's namespaces, which belong to the user namespace with these maps, if there is one.
    fn set(&self, user: Option<&UserMaps>) -> Result<(), PinError> {
        let written = match (self.scope, user) {
            (_, None) => sysctl::write(&self.path, self.value),
            (SysctlScope::Network, Some(maps)) => {
                sysctl::write(&self.path, &maps.outside_value(&self.path, self.value))
            }
            (SysctlScope::Ipc, Some(maps)) => maps.as_root(|| sysctl::write(&self.path, self.value)),
        };
        written.map_err(|source| PinError::SetSysctl {
            name: self.name.to_owned(),
            value: self.value.to_owned(),
            source,
        })
    }
}

fn checked_sysctls(request: &PinRequest) -> Result<Vec<Parameter<'_>>, PinError> {
    let mut parameters = Vec::with_capacity(request.sysctls.len());
    for (name, value) in &request.sysctls {
        let (scope, path) = sysctls::parse(name, value).map_err(|source| PinError::Sysctl { source })?;
        let own = match scope {
            SysctlScope::Network => request.net,
            SysctlScope::Ipc => request.ipc,
        };
        if !own {
            return Err(PinError::HostSysctl { name: name.clone() });
        }
        parameters.push(Parameter { name, value, scope, path });
    }
    Ok(parameters)
}

fn checked_hostname(request: &PinRequest) -> Result<Option<&str>, PinError> {
    let Some(hostname) = request.hostname.as_deref().filter(|_| request.uts) else {
        return Ok(None);
    };
    let plain = !hostname.is_empty() && hostname.bytes().all(|b| b.is_ascii_graphic());
    if plain && hostname.len() <= HOSTNAME_BYTES_MAX {
        Ok(Some(hostname))
    } else {
        Err(PinError::Hostname { hostname: hostname.to_owned() })
    }
}

fn set_hostname(hostname: &str) -> Result<(), PinError> {
    rustix::system::sethostname(hostname.as_bytes())
        .map_err(|errno| PinError::SetHostname { hostname: hostname.to_owned(), source: errno.into() })
}

#[cfg(test)]
mod tests;
