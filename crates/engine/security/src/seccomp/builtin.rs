//! The built-in profile: CRI-O's, less what let containers reach `AF_ALG`, `AF_VSOCK` and `socketcall`.
//!
//! The default action is `ENOSYS`, so every rule here says what *is*. The kernel takes the arguments of `clone` and
//! `socket` as 32-bit numbers while a filter sees 64 bits, so every comparison that closes something masks the upper
//! half away: a plain "equals" could be passed by with a stray high bit. No two rules for one call overlap with
//! different actions; what libseccomp does then depends on its version.
//!
//! A filter costs every start of a container: with crun 1.8 and libseccomp 2.5 about 4 ms for the machine's own
//! architecture, 7 ms more for its 32-bit one, and a tenth of a millisecond for each rule that looks at an argument.
//!
//! x32 is not in the list of architectures, so its calls are refused altogether.

use std::ops::Range;

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder, LinuxSeccompOperator as Operator,
    LinuxSyscall,
};

use super::syscalls::{ALLOWED, GATED, PERSONALITIES, REFUSED};
use crate::CapabilitySet;

const EPERM: u32 = 1;
const EINVAL: u32 = 22;
const ENOSYS: u32 = 38;

/// The lower half of a register, where the kernel looks for an `int`.
const INT: u64 = 0xffff_ffff;

/// Flags of `clone` that make namespaces: mount, cgroup, UTS, IPC, user, PID, network.
const NAMESPACE_FLAGS: [u64; 7] =
    [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000];

const AF_NETLINK: u64 = 16;
const AF_ALG: u64 = 38;
const AF_VSOCK: u64 = 40;
/// One past the last address family any kernel knows.
const FAMILIES_END: u64 = 48;
const NETLINK_AUDIT: u64 = 9;

/// The built-in profile for a container with these capabilities, on the machine we run on.
pub(super) fn filter(capabilities: CapabilitySet) -> LinuxSeccomp {
    let machine = Machine::this();
    let mut rules = Rules::default();
    rules.refuse(REFUSED, EPERM);
    rules.allow(ALLOWED);
    rules.allow(machine.own_calls);
    for (any_of, names) in GATED {
        if has_any(capabilities, any_of) {
            rules.allow(names);
        } else {
            rules.refuse(names, EPERM);
        }
    }
    for value in PERSONALITIES {
        rules.allow_when("personality", &[masked(0, INT, *value)]);
    }
    clone(&mut rules, has_any(capabilities, &["SYS_ADMIN"]), machine.clone_flags_index);
    socket(&mut rules, has_any(capabilities, &["AUDIT_WRITE"]));
    let mut filter = LinuxSeccomp::default();
    filter
        .set_default_action(LinuxSeccompAction::ScmpActErrno)
        .set_default_errno_ret(Some(ENOSYS))
        .set_architectures(Some(machine.architectures.to_vec()))
        .set_syscalls(Some(rules.0));
    filter
}

/// New namespaces need `CAP_SYS_ADMIN`. The flags of `clone3` lie behind a pointer where no filter can look; the
/// default action, `ENOSYS`, makes libc use `clone`.
fn clone(rules: &mut Rules, may_make_namespaces: bool, flags: usize) {
    if may_make_namespaces {
        rules.allow(&["clone", "clone3"]);
        return;
    }
    let all = NAMESPACE_FLAGS.iter().fold(0, |all, flag| all | flag);
    rules.allow_when("clone", &[masked(flags, all, 0)]);
    for flag in NAMESPACE_FLAGS {
        rules.refuse_when("clone", EPERM, &[masked(flags, flag, flag)]);
    }
}

/// All address families but two; without `CAP_AUDIT_WRITE` the audit protocol of netlink answers as in a kernel built
/// without auditing. That is for the programs' sake and closes nothing (the kernel checks the capability), so the
/// protocol is compared as it comes.
fn socket(rules: &mut Rules, may_audit: bool) {
    for family in [AF_ALG, AF_VSOCK] {
        rules.refuse_when("socket", EPERM, &[masked(0, INT, family)]);
    }
    for families in [0..AF_NETLINK, AF_NETLINK + 1..AF_ALG, AF_ALG + 1..AF_VSOCK, AF_VSOCK + 1..FAMILIES_END] {
        for (mask, value) in blocks(families) {
            rules.allow_when("socket", &[masked(0, mask, value)]);
        }
    }
    let netlink = masked(0, INT, AF_NETLINK);
    if may_audit {
        rules.allow_when("socket", &[netlink]);
        return;
    }
    rules.refuse_when("socket", EINVAL, &[netlink, compared(2, Operator::ScmpCmpEq, NETLINK_AUDIT)]);
    rules.allow_when("socket", &[netlink, compared(2, Operator::ScmpCmpNe, NETLINK_AUDIT)]);
}

/// A range as aligned power-of-two blocks, each a mask and a value: the fewest comparisons that cover exactly it.
fn blocks(range: Range<u64>) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let aligned = if start == 0 { u64::MAX } else { 1 << start.trailing_zeros() };
        let mut size: u64 = 1 << (range.end - start).ilog2();
        size = size.min(aligned);
        found.push((INT & !(size - 1), start));
        start += size;
    }
    found
}

fn has_any(capabilities: CapabilitySet, names: &[&str]) -> bool {
    let wanted = CapabilitySet::parse(names).expect("the table names capabilities of the kernel");
    !capabilities.intersection(wanted).is_empty()
}

fn masked(index: usize, mask: u64, value: u64) -> LinuxSeccompArg {
    argument(index, Operator::ScmpCmpMaskedEq, mask, Some(value))
}

fn compared(index: usize, operator: Operator, value: u64) -> LinuxSeccompArg {
    argument(index, operator, value, None)
}

fn argument(index: usize, operator: Operator, value: u64, second: Option<u64>) -> LinuxSeccompArg {
    LinuxSeccompArgBuilder::default()
        .index(index)
        .value(value)
        .value_two(second.unwrap_or_default())
        .op(operator)
        .build()
        .expect("every field has a default")
}

#[derive(Default)]
struct Rules(Vec<LinuxSyscall>);

impl Rules {
    fn allow(&mut self, names: &[&str]) {
        if !names.is_empty() {
            self.push(names, LinuxSeccompAction::ScmpActAllow, None, &[]);
        }
    }

    fn allow_when(&mut self, name: &str, arguments: &[LinuxSeccompArg]) {
        self.push(&[name], LinuxSeccompAction::ScmpActAllow, None, arguments);
    }

    fn refuse(&mut self, names: &[&str], errno: u32) {
        self.push(names, LinuxSeccompAction::ScmpActErrno, Some(errno), &[]);
    }

    fn refuse_when(&mut self, name: &str, errno: u32, arguments: &[LinuxSeccompArg]) {
        self.push(&[name], LinuxSeccompAction::ScmpActErrno, Some(errno), arguments);
    }

    fn push(&mut self, names: &[&str], action: LinuxSeccompAction, errno: Option<u32>, arguments: &[LinuxSeccompArg]) {
        let mut rule = LinuxSyscall::default();
        rule.set_names(names.iter().map(|name| (*name).to_owned()).collect())
            .set_action(action)
            .set_errno_ret(errno)
            .set_args((!arguments.is_empty()).then(|| arguments.to_vec()));
        self.0.push(rule);
    }
}

/// What differs from machine to machine.
struct Machine {
    /// The machine's own architecture and the 32-bit one it also runs.
    architectures: &'static [Arch],
    /// System calls only this machine has.
    own_calls: &'static [&'static str],
    /// Which argument of `clone` holds the flags.
    clone_flags_index: usize,
}

impl Machine {
    fn this() -> Self {
        let (architectures, own_calls): (&[Arch], &[&str]) = match std::env::consts::ARCH {
            "x86_64" => (&[Arch::ScmpArchX86_64, Arch::ScmpArchX86], &["arch_prctl", "modify_ldt"]),
            "aarch64" => (
                &[Arch::ScmpArchAarch64, Arch::ScmpArchArm],
                &["arm_fadvise64_64", "arm_sync_file_range", "breakpoint", "cacheflush", "set_tls", "sync_file_range2"],
            ),
            "powerpc64" => (&[Arch::ScmpArchPpc64le], &["swapcontext", "sync_file_range2"]),
            "s390x" => (
                &[Arch::ScmpArchS390x, Arch::ScmpArchS390],
                &["s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr"],
            ),
            "riscv64" => (&[Arch::ScmpArchRiscv64], &["riscv_flush_icache", "riscv_hwprobe"]),
            "loongarch64" => (&[Arch::ScmpArchLoongarch64], &[]),
            _ => (&[Arch::ScmpArchNative], &[]),
        };
        Self { architectures, own_calls, clone_flags_index: usize::from(std::env::consts::ARCH == "s390x") }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn covers(rules: &LinuxSeccomp, name: &str, arguments: [u64; 3]) -> Option<(LinuxSeccompAction, Option<u32>)> {
        let holds = |argument: &LinuxSeccompArg| {
            let given = arguments[argument.index()];
            match argument.op() {
                Operator::ScmpCmpMaskedEq => given & argument.value() == argument.value_two().expect("masked"),
                Operator::ScmpCmpEq => given == argument.value(),
                Operator::ScmpCmpNe => given != argument.value(),
                other => panic!("{other:?} is not used"),
            }
        };
        let mut found = rules.syscalls().as_ref().expect("rules").iter().filter(|rule| {
            rule.names().iter().any(|known| known == name)
                && rule.args().as_ref().is_none_or(|arguments| arguments.iter().all(holds))
        });
        let rule = found.next();
        assert_eq!(found.next(), None, "two rules for {name} {arguments:x?}");
        rule.map(|rule| (rule.action(), rule.errno_ret()))
    }

    #[track_caller]
    fn check(capabilities: &[&str], name: &str, arguments: [u64; 3], expected: Option<u32>) {
        let filter = filter(CapabilitySet::parse(capabilities).expect("known"));
        let answer = match covers(&filter, name, arguments) {
            None => filter.default_errno_ret(),
            Some((LinuxSeccompAction::ScmpActAllow, _)) => None,
            Some((_, errno)) => errno,
        };
        assert_eq!(answer, expected, "{name} {arguments:x?} with {capabilities:?}");
    }

    #[test]
    fn sockets_of_two_families_are_refused_whatever_the_upper_half_says() {
        for high in [0, 1 << 32, 0xffff_ffff_0000_0000] {
            check(&[], "socket", [high | 38, 5, 0], Some(EPERM));
            check(&[], "socket", [high | 40, 1, 0], Some(EPERM));
            check(&[], "socket", [high | 2, 1, 0], None);
            check(&[], "socket", [high | 16, 3, 9], Some(EINVAL));
            check(&[], "socket", [high | 16, 3, high], None);
            check(&["AUDIT_WRITE"], "socket", [high | 16, 3, high | 9], None);
        }
        for family in (0..FAMILIES_END).filter(|family| ![16, 38, 40].contains(family)) {
            check(&[], "socket", [family, 1, 9], None);
        }
        for protocol in (0..32).filter(|protocol| *protocol != 9) {
            check(&[], "socket", [16, 3, protocol], None);
        }
        check(&[], "socketcall", [1, 0, 0], Some(EPERM));
    }

    #[test]
    fn namespaces_need_sys_admin() {
        for flag in NAMESPACE_FLAGS {
            check(&[], "clone", [flag | 17, 0, 0], Some(EPERM));
            check(&["SYS_ADMIN"], "clone", [flag | 17, 0, 0], None);
        }
        check(&[], "clone", [0x0001_1200 | 17, 0, 0], None);
        check(&[], "clone3", [0; 3], Some(ENOSYS));
        check(&["SYS_ADMIN"], "clone3", [0; 3], None);
        check(&[], "unshare", [0; 3], Some(EPERM));
        check(&[], "setns", [0; 3], Some(EPERM));
        check(&["SYS_ADMIN"], "unshare", [0; 3], None);
    }

    #[test]
    fn gates_open_for_their_capabilities_only() {
        let cases: &[(&[&str], &str, Option<u32>)] = &[
            (&[], "read", None),
            (&[], "mount", Some(EPERM)),
            (&["SYS_ADMIN"], "mount", None),
            (&[], "bpf", Some(EPERM)),
            (&["BPF"], "bpf", None),
            (&["SYS_ADMIN"], "bpf", None),
            (&[], "userfaultfd", Some(EPERM)),
            (&["SYS_ADMIN"], "userfaultfd", Some(EPERM)),
            (&[], "keyctl", Some(ENOSYS)),
            (&[], "io_uring_setup", Some(ENOSYS)),
            (&[], "kexec_load", Some(EPERM)),
            (&["NET_ADMIN"], "init_module", Some(EPERM)),
            (&["SYS_MODULE"], "init_module", None),
            (&[], "chroot", Some(EPERM)),
            (&["SYS_CHROOT"], "chroot", None),
            (&["SYS_TIME"], "clock_settime", None),
            (&[], "personality", None),
        ];
        for (capabilities, name, expected) in cases {
            check(capabilities, name, [0; 3], *expected);
        }
        check(&[], "personality", [0x4000, 0, 0], Some(ENOSYS));
    }

    #[test]
    fn no_call_is_in_two_lists() {
        let mut seen = HashSet::new();
        let gated = GATED.iter().flat_map(|(_, names)| names.iter());
        for name in ALLOWED.iter().chain(REFUSED).chain(gated) {
            assert!(seen.insert(name), "{name} is listed twice");
        }
    }

    #[test]
    fn x32_is_not_an_architecture_of_ours() {
        let filter = filter(CapabilitySet::ALL);
        let architectures = filter.architectures().as_ref().expect("architectures");
        assert!(!architectures.contains(&Arch::ScmpArchX32));
    }

    #[test]
    fn blocks_cover_exactly_their_range() {
        for range in [0..16, 17..38, 39..40, 41..48, 0..9, 10..32] {
            for value in 0..80 {
                let covered = blocks(range.clone()).iter().any(|(mask, want)| value & mask == *want);
                assert_eq!(covered, range.contains(&value), "{value} in {range:?}");
            }
        }
    }
}
