//! Everything else: mounts, links, firewall rules, control groups, addresses, layers and files.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::Scope;
use crate::run;

/// Where the CNI client remembers what it has set up.
pub(crate) const CNI_RESULTS: &str = "/var/lib/cni/results";
const CGROUP_ROOT: &str = "/sys/fs/cgroup";
/// Files of host-local that are not leases.
const NOT_A_LEASE: [&str; 2] = ["lock", "last_reserved_ip.0"];
/// The image store keeps its own directory mounted on itself, as containers/storage does, until the host goes down.
const STORE_MOUNT: &str = "root/overlay";
/// Newer versions of crun keep compiled seccomp filters here, in their own state, for the next container.
const RUNTIME_CACHE: &str = "/.cache/seccomp/";
/// Files of the running state that stay by intent.
const STAYS: [&str; 2] = ["version", "crio.log"];

pub(super) fn mounts(scope: &Scope) -> Result<BTreeSet<String>> {
    let read = |path: &str| fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
    let inside = read(&format!("/proc/{}/mountinfo", scope.namespace_pid))?;
    let outside = read("/proc/self/mountinfo")?;
    let directory = scope.directory.to_string_lossy();
    let inside = inside.lines().filter_map(|line| mount(line, "in the node"));
    let outside =
        outside.lines().filter(|line| line.contains(&*directory)).filter_map(|line| mount(line, "on the host"));
    let store = format!("{}/{STORE_MOUNT} ", scope.directory.display());
    Ok(inside.chain(outside).filter(|mount| !mount.starts_with(&store)).collect())
}

/// Mount point, type and source; the numbers in front change with every mount.
fn mount(line: &str, place: &str) -> Option<String> {
    let point = line.split(' ').nth(4)?;
    let filesystem: Vec<&str> = line.split_once(" - ")?.1.split(' ').take(2).collect();
    Some(format!("{point} {} ({place})", filesystem.join(" ")))
}

/// The bridge and what hangs on it, and every veth or bridge named after the node.
pub(super) fn links(scope: &Scope) -> Result<BTreeSet<String>> {
    let list = run::text("ip", &["-o", "link", "show"])?;
    let ours = |line: &str| {
        line.contains(&format!("master {} ", scope.bridge)) || line.contains(&format!(": {}", scope.bridge))
    };
    Ok(list.lines().filter(|line| ours(line)).filter_map(link).collect())
}

fn link(line: &str) -> Option<String> {
    let mut fields = line.split(": ").skip(1);
    let name = fields.next()?.split('@').next()?;
    let kind = line.split_once(" master ").map_or("", |_| "on the bridge");
    Some(format!("{name} {kind}"))
}

pub(super) fn firewall(scope: &Scope) -> Result<BTreeSet<String>> {
    let mut rules = String::new();
    for (program, arguments) in [("nft", &["list", "ruleset"][..]), ("iptables-save", &[]), ("ip6tables-save", &[])] {
        rules +=
            &run::text(program, arguments).with_context(|| format!("{program} is needed to see firewall rules"))?;
    }
    let ours = |line: &&str| scope.network_markers.iter().any(|marker| line.contains(marker.as_str()));
    Ok(rules.lines().filter(ours).map(|line| line.trim().to_owned()).collect())
}

pub(super) fn cgroups(scope: &Scope) -> BTreeSet<String> {
    let parent = scope.cgroup_parent.trim_start_matches('/');
    let mut roots = vec![PathBuf::from(CGROUP_ROOT)];
    roots.extend(directories(Path::new(CGROUP_ROOT)));
    let mut found = BTreeSet::new();
    for root in roots {
        let mut pending = directories(&root.join(parent));
        while let Some(directory) = pending.pop() {
            pending.extend(directories(&directory));
            // Pods' own parents are made by who names them; kubelet removes its own.
            if directory.file_name().is_some_and(|name| name.to_string_lossy().starts_with("crio")) {
                found.insert(directory.display().to_string());
            }
        }
    }
    found
}

pub(super) fn addresses(scope: &Scope) -> BTreeSet<String> {
    let leases = walk(&scope.directory.join("ipam"));
    let is_lease =
        |path: &PathBuf| !path.file_name().is_some_and(|name| NOT_A_LEASE.iter().any(|other| name == *other));
    let cached = walk(Path::new(CNI_RESULTS)).into_iter().filter(|path| path.to_string_lossy().contains(&scope.bridge));
    let leases = leases.into_iter().filter(is_lease);
    leases.chain(cached).filter(|path| path.is_file()).map(|path| path.display().to_string()).collect()
}

pub(super) fn layers(scope: &Scope) -> BTreeSet<String> {
    let places = ["root/overlay-containers", "runroot/overlay-containers"];
    let found = places.iter().flat_map(|place| directories(&scope.directory.join(place)));
    found.map(|path| path.display().to_string()).collect()
}

/// Files below the directories of running state; of directories only those that hold something are seen, through it.
pub(super) fn files(scope: &Scope) -> BTreeSet<String> {
    let found = walk(&scope.directory.join("run"));
    let stays = |path: &PathBuf| {
        let is_cache = path.to_string_lossy().contains(RUNTIME_CACHE);
        is_cache || path.file_name().is_some_and(|name| STAYS.iter().any(|other| name == *other))
    };
    found.into_iter().filter(|path| !path.is_dir() && !stays(path)).map(|path| describe(&path)).collect()
}

fn describe(path: &Path) -> String {
    let kind = fs::symlink_metadata(path).map(|metadata| metadata.file_type());
    let kind = match kind {
        Ok(kind) if kind.is_socket() => "socket",
        Ok(kind) if kind.is_fifo() => "fifo",
        Ok(kind) if kind.is_symlink() => "symlink",
        _ => "file",
    };
    format!("{} ({kind})", path.display())
}

fn directories(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path()).collect()
}

/// Everything below a directory, without following symbolic links.
fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        for entry in entries {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                pending.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found
}
