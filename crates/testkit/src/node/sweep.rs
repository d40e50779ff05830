//! Removing whatever a node has left, by force. A test that passes leaves nothing here to do but the bridge and the control group.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crio_cgroups::{CgroupPath, Cgroups, Config, Driver};
use rustix::process::{Pid, Signal, kill_process};

use super::config::Names;
use crate::{leak, run};

const PATIENCE: Duration = Duration::from_secs(5);

/// Best effort: this runs in a destructor, where nothing can be reported but on standard error.
pub(super) fn everything(directory: &Path, names: &Names) {
    // Monitors first, or they would report the deaths of their containers to nobody.
    kill_processes(directory, &names.cgroup_parent);
    remove_cgroups(&names.cgroup_parent);
    let _ = run::output("ip", &["link", "delete", &names.bridge]);
    remove_rules(&names.bridge);
    remove_results(&names.bridge);
}

/// The masquerading rules of pods that were never stopped, and the chains they jump to. Their comments name the network.
fn remove_rules(network: &str) {
    let rules = run::text("iptables", &["--wait", "--table", "nat", "--list-rules"]).unwrap_or_default();
    let ours: Vec<&str> = rules.lines().filter(|rule| rule.contains(network)).collect();
    let chains = ours.iter().filter_map(|rule| rule.rsplit_once("-j CNI-")).map(|(_, name)| format!("CNI-{name}"));
    let delete = ours.iter().filter_map(|rule| rule.strip_prefix("-A ")).map(|rule| format!("-D {rule}"));
    for arguments in delete.chain(chains.map(|chain| format!("-X {chain}"))) {
        // The list is quoted for a shell.
        let _ = run::output("sh", &["-c", &format!("iptables --wait --table nat {arguments}")]);
    }
}

/// What the CNI client remembers of such pods.
fn remove_results(network: &str) {
    let prefix = format!("{network}-");
    for entry in fs::read_dir(leak::CNI_RESULTS).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn kill_processes(directory: &Path, cgroup_parent: &str) {
    let own = std::process::id();
    let gone = run::wait_until(PATIENCE, || {
        let processes = leak::processes(directory, cgroup_parent);
        let others = processes.iter().filter(|process| process.pid != own && !process.is_zombie);
        let mut left = 0;
        for pid in others.filter_map(|process| Pid::from_raw(i32::try_from(process.pid).ok()?)) {
            let _ = kill_process(pid, Signal::KILL);
            left += 1;
        }
        left == 0
    });
    if !gone {
        eprintln!("processes of {} cannot be ended", directory.display());
    }
}

fn remove_cgroups(parent: &str) {
    let config = Config { driver: Driver::Cgroupfs, root: None };
    let (Ok(cgroups), Ok(path)) = (Cgroups::detect(&config), CgroupPath::parse(parent)) else {
        return;
    };
    if let Err(error) = cgroups.remove(&path, PATIENCE) {
        eprintln!("{error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_a_network_go_with_their_chain() {
        let network = format!("ct-t{}", std::process::id());
        let comment = format!("name: \"{network}\" id: \"x y\"");
        let chain = format!("CNI-{network}");
        let iptables = |arguments: &[&str]| {
            run::text("iptables", &[&["--wait", "--table", "nat"], arguments].concat()).unwrap();
        };
        iptables(&["-N", &chain]);
        iptables(&["-A", &chain, "-m", "comment", "--comment", &comment, "-j", "ACCEPT"]);
        iptables(&["-A", "POSTROUTING", "-s", "10.255.255.1/32", "-m", "comment", "--comment", &comment, "-j", &chain]);
        remove_rules(&network);
        let rules = run::text("iptables", &["--wait", "--table", "nat", "--list-rules"]).unwrap();
        assert!(!rules.contains(&network), "{rules}");
    }
}
