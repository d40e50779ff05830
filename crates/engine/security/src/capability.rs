//! Linux capabilities: names, sets, and what a request's add and drop lists make of the defaults.
//!
//! Inheritable and ambient sets stay empty unless the request names ambient capabilities (CVE-2022-27652 and its
//! kin), and no set ever exceeds the daemon's own bounding set: the kernel would refuse the rest anyway, and a
//! privileged container on a restricted host shall start with what there is.

use std::collections::HashSet;

use crio_types::{Capabilities, Classified, ErrorKind};
use oci_spec::runtime::Capability;

/// Every capability in the order of its kernel number.
const TABLE: [(&str, Capability); 41] = [
    ("CHOWN", Capability::Chown),
    ("DAC_OVERRIDE", Capability::DacOverride),
    ("DAC_READ_SEARCH", Capability::DacReadSearch),
    ("FOWNER", Capability::Fowner),
    ("FSETID", Capability::Fsetid),
    ("KILL", Capability::Kill),
    ("SETGID", Capability::Setgid),
    ("SETUID", Capability::Setuid),
    ("SETPCAP", Capability::Setpcap),
    ("LINUX_IMMUTABLE", Capability::LinuxImmutable),
    ("NET_BIND_SERVICE", Capability::NetBindService),
    ("NET_BROADCAST", Capability::NetBroadcast),
    ("NET_ADMIN", Capability::NetAdmin),
    ("NET_RAW", Capability::NetRaw),
    ("IPC_LOCK", Capability::IpcLock),
    ("IPC_OWNER", Capability::IpcOwner),
    ("SYS_MODULE", Capability::SysModule),
    ("SYS_RAWIO", Capability::SysRawio),
    ("SYS_CHROOT", Capability::SysChroot),
    ("SYS_PTRACE", Capability::SysPtrace),
    ("SYS_PACCT", Capability::SysPacct),
    ("SYS_ADMIN", Capability::SysAdmin),
    ("SYS_BOOT", Capability::SysBoot),
    ("SYS_NICE", Capability::SysNice),
    ("SYS_RESOURCE", Capability::SysResource),
    ("SYS_TIME", Capability::SysTime),
    ("SYS_TTY_CONFIG", Capability::SysTtyConfig),
    ("MKNOD", Capability::Mknod),
    ("LEASE", Capability::Lease),
    ("AUDIT_WRITE", Capability::AuditWrite),
    ("AUDIT_CONTROL", Capability::AuditControl),
    ("SETFCAP", Capability::Setfcap),
    ("MAC_OVERRIDE", Capability::MacOverride),
    ("MAC_ADMIN", Capability::MacAdmin),
    ("SYSLOG", Capability::Syslog),
    ("WAKE_ALARM", Capability::WakeAlarm),
    ("BLOCK_SUSPEND", Capability::BlockSuspend),
    ("AUDIT_READ", Capability::AuditRead),
    ("PERFMON", Capability::Perfmon),
    ("BPF", Capability::Bpf),
    ("CHECKPOINT_RESTORE", Capability::CheckpointRestore),
];

/// The capabilities a container has when the request names none (CRI-O's nine).
pub const DEFAULT: [&str; 9] =
    ["CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE", "KILL"];

/// A set of capabilities, one bit for each kernel number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CapabilitySet(u64);

impl CapabilitySet {
    /// No capability.
    pub const EMPTY: Self = Self(0);
    /// Every capability we know by name.
    pub const ALL: Self = Self((1 << TABLE.len()) - 1);

    /// The set of a kernel bit mask, as `/proc/self/status` shows it. Numbers we have no name for are left out.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// The set of these names, with or without `CAP_`, in any letter case; `ALL` is every capability.
    ///
    /// # Errors
    /// [`CapabilityError`] for a name the kernel does not have.
    pub fn parse<I, S>(names: I) -> Result<Self, CapabilityError>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<str>,
    {
        let mut set = Self::EMPTY;
        for name in names {
            set = set.union(named(name.as_ref())?);
        }
        Ok(set)
    }

    /// Whether every capability of `other` is in this set.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The capabilities of either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The capabilities of both.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The capabilities that `other` lacks.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether no capability is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Names without `CAP_`, in kernel order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.members().map(|(name, _)| name)
    }

    /// The set as the OCI specification holds it.
    #[must_use]
    pub fn oci(self) -> HashSet<Capability> {
        self.members().map(|(_, capability)| capability).collect()
    }

    fn members(self) -> impl Iterator<Item = (&'static str, Capability)> {
        TABLE
            .into_iter()
            .enumerate()
            .filter_map(move |(number, member)| (self.0 & (1 << number) != 0).then_some(member))
    }
}

/// The five sets of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CapabilitySets {
    /// Upper limit for ever.
    pub bounding: CapabilitySet,
    /// In force for root, and for others through ambient ones.
    pub effective: CapabilitySet,
    /// May be put in force.
    pub permitted: CapabilitySet,
    /// Kept over `execve` of files that are marked so; empty unless ambient ones are asked for.
    pub inheritable: CapabilitySet,
    /// Kept over `execve` of any file.
    pub ambient: CapabilitySet,
}

impl CapabilitySets {
    /// `set` as bounding, effective and permitted set, nothing inheritable, nothing ambient.
    #[must_use]
    pub fn plain(set: CapabilitySet) -> Self {
        Self { bounding: set, effective: set, permitted: set, ..Self::default() }
    }
}

/// A capability name the kernel does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown capability {0:?}")]
pub struct CapabilityError(pub String);

impl Classified for CapabilityError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidArgument
    }
}

/// What `request` makes of `defaults`, cut to `limit` (the daemon's bounding set).
///
/// `ALL` counts before single names, and drops after adds: `add [ALL] drop [CHOWN]` is everything but one,
/// `drop [ALL] add [CHOWN]` is one.
///
/// # Errors
/// [`CapabilityError`] for an unknown name.
pub fn resolve(
    request: Option<&Capabilities>,
    defaults: CapabilitySet,
    limit: CapabilitySet,
) -> Result<CapabilitySets, CapabilityError> {
    let Some(request) = request else {
        return Ok(CapabilitySets::plain(defaults.intersection(limit)));
    };
    let has_all = |names: &[String]| names.iter().any(|name| is_all(name));
    let singles = |names: &[String]| CapabilitySet::parse(names.iter().filter(|name| !is_all(name)));
    let (add_all, drop_all) = (has_all(&request.add), has_all(&request.drop));
    let mut set = if drop_all {
        CapabilitySet::EMPTY
    } else if add_all {
        CapabilitySet::ALL
    } else {
        defaults
    };
    let ambient = if has_all(&request.add_ambient) { CapabilitySet::ALL } else { singles(&request.add_ambient)? };
    set = set.union(singles(&request.add)?).union(ambient);
    set = set.without(singles(&request.drop)?).intersection(limit);
    let ambient = ambient.intersection(set);
    Ok(CapabilitySets { inheritable: ambient, ambient, ..CapabilitySets::plain(set) })
}

fn is_all(name: &str) -> bool {
    bare(name).eq_ignore_ascii_case("ALL")
}

/// The name without `CAP_`.
fn bare(name: &str) -> &str {
    match name.get(..4) {
        Some(prefix) if prefix.eq_ignore_ascii_case("CAP_") => &name[4..],
        _ => name,
    }
}

fn named(name: &str) -> Result<CapabilitySet, CapabilityError> {
    if is_all(name) {
        return Ok(CapabilitySet::ALL);
    }
    TABLE
        .iter()
        .position(|(known, _)| known.eq_ignore_ascii_case(bare(name)))
        .map(|number| CapabilitySet(1 << number))
        .ok_or_else(|| CapabilityError(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn check(add: &[&str], drop: &[&str], expected: &[&str]) {
        let request = Capabilities { add: names(add), drop: names(drop), add_ambient: Vec::new() };
        let defaults = CapabilitySet::parse(["CHOWN", "KILL"]).expect("known");
        let sets = resolve(Some(&request), defaults, CapabilitySet::ALL).expect("resolves");
        let expected = CapabilitySet::parse(expected).expect("known");
        assert_eq!(sets, CapabilitySets::plain(expected), "add {add:?} drop {drop:?}");
    }

    #[test]
    fn all_counts_first_and_drop_last() {
        check(&[], &[], &["CHOWN", "KILL"]);
        check(&["NET_ADMIN"], &[], &["CHOWN", "KILL", "NET_ADMIN"]);
        check(&["cap_net_admin"], &["CAP_KILL"], &["CHOWN", "NET_ADMIN"]);
        check(&["ALL"], &[], &["ALL"]);
        check(&[], &["ALL"], &[]);
        check(&["NET_RAW"], &["all"], &["NET_RAW"]);
        check(&["NET_RAW"], &["NET_RAW"], &["CHOWN", "KILL"]);
        let request = Capabilities { add: names(&["ALL"]), drop: names(&["SYS_ADMIN"]), add_ambient: Vec::new() };
        let sets = resolve(Some(&request), CapabilitySet::EMPTY, CapabilitySet::ALL).expect("resolves");
        assert_eq!(sets.bounding.names().count(), 40);
        assert!(!sets.bounding.names().any(|name| name == "SYS_ADMIN"));
    }

    #[test]
    fn nothing_exceeds_the_daemons_bounding_set() {
        let limit = CapabilitySet::ALL.without(CapabilitySet::parse(["SYS_RESOURCE"]).expect("known"));
        let request = Capabilities { add: names(&["ALL"]), ..Capabilities::default() };
        let sets = resolve(Some(&request), CapabilitySet::EMPTY, limit).expect("resolves");
        assert_eq!(sets.bounding, limit);
    }

    #[test]
    fn only_ambient_requests_make_inheritable_sets() {
        let request = Capabilities { add_ambient: names(&["NET_BIND_SERVICE"]), ..Capabilities::default() };
        let sets = resolve(Some(&request), CapabilitySet::EMPTY, CapabilitySet::ALL).expect("resolves");
        let ambient = CapabilitySet::parse(["NET_BIND_SERVICE"]).expect("known");
        assert_eq!((sets.ambient, sets.inheritable, sets.permitted), (ambient, ambient, ambient));
    }

    #[test]
    fn an_unknown_name_is_refused() {
        for name in ["", "CAP_", "NOPE", "CAP_CAP_CHOWN", "ALLL"] {
            assert!(CapabilitySet::parse([name]).is_err(), "{name:?}");
        }
    }

    #[test]
    fn the_table_is_in_kernel_order() {
        let one = |name| CapabilitySet::parse([name]).expect("known");
        assert_eq!(one("CHOWN"), CapabilitySet::from_bits(1));
        assert_eq!(one("SYS_ADMIN"), CapabilitySet::from_bits(1 << 21));
        assert_eq!(one("CHECKPOINT_RESTORE"), CapabilitySet::from_bits(1 << 40));
    }
}
