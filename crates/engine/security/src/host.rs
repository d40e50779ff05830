//! What this host can enforce, looked up once when the daemon starts.

use std::fs;
use std::path::PathBuf;

use crate::{CapabilitySet, apparmor, selinux};

/// What this host can enforce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSecurity {
    /// The daemon's own bounding set: no container can have more.
    pub bounding: CapabilitySet,
    /// The kernel filters system calls.
    pub seccomp: bool,
    /// AppArmor is in force.
    pub apparmor: bool,
    /// The kernel's list of loaded AppArmor profiles.
    pub apparmor_profiles: PathBuf,
    /// SELinux is in force.
    pub selinux: bool,
    /// Kernel version as `(major, minor)`, for rules of profiles that need a newer one.
    pub kernel: (u32, u32),
    /// Paths that exist here, tell a container about its neighbours, and are in no list kubelet sends.
    pub leaky_paths: Vec<String>,
}

impl HostSecurity {
    /// Looks at `/proc`, `/sys` and the kernel's version.
    ///
    /// # Errors
    /// `/proc/self/status` cannot be read, or shows no bounding set.
    pub fn detect() -> std::io::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let bounding = field(&status, "CapBnd")
            .and_then(|mask| u64::from_str_radix(mask, 16).ok())
            .ok_or_else(|| std::io::Error::other("/proc/self/status shows no CapBnd mask"))?;
        Ok(Self {
            bounding: CapabilitySet::from_bits(bounding),
            seccomp: field(&status, "Seccomp").is_some(),
            apparmor: apparmor::enabled(),
            apparmor_profiles: PathBuf::from(apparmor::LOADED),
            selinux: selinux::enabled(),
            kernel: kernel_version(&rustix::system::uname().release().to_string_lossy()),
            leaky_paths: leaky_paths(),
        })
    }
}

/// Interrupt counts, the power meter and the throttling counters of every processor.
fn leaky_paths() -> Vec<String> {
    let fixed = ["/proc/asound", "/proc/interrupts", "/sys/devices/virtual/powercap"];
    let mut paths: Vec<String> = fixed.into_iter().map(str::to_owned).collect();
    let processors = fs::read_dir("/sys/devices/system/cpu").into_iter().flatten().flatten();
    let throttles = processors.map(|entry| entry.path().join("thermal_throttle"));
    paths.extend(throttles.filter_map(|path| path.to_str().map(str::to_owned)));
    paths.retain(|path| fs::exists(path).unwrap_or(false));
    paths.sort();
    paths
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn kernel_version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_kernel_versions() {
        let cases = [("6.18.44", (6, 18)), ("5.4.0-42-generic", (5, 4)), ("6.1-rc3", (6, 1)), ("", (0, 0))];
        for (release, expected) in cases {
            assert_eq!(kernel_version(release), expected, "{release:?}");
        }
    }

    #[test]
    fn this_host_has_a_bounding_set() {
        let host = HostSecurity::detect().expect("detect");
        assert!(!host.bounding.is_empty());
        assert!(host.kernel.0 >= 4);
    }
}
