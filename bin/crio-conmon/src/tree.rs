//! Ending a command in a container with everything it started.
//!
//! A command's processes are its descendants, the members of its session, and whoever in its container still holds the
//! pipes it was given: a process that left the first two by forking twice and starting a session is found by the third,
//! unless it closed its output as well, and then it is a daemon of the container and no part of the command.
//! They are stopped until no new one turns up and only then killed, so none can slip away by forking meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use crio_sys::process::{self, PidFd, Stat};

/// How often the table of processes is searched for new ones. A fork fails while a stop is pending, so each round leaves
/// only what the round before had not seen.
const ROUNDS_MAX: usize = 64;
const KILL: u8 = 9;
const STOP: u8 = 19;

/// A pipe, by what every descriptor of it has in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pipe {
    device: u64,
    inode: u64,
}

impl Pipe {
    /// The identity of an open file.
    pub(crate) fn of(descriptor: impl AsFd) -> std::io::Result<Self> {
        let stat = rustix::fs::fstat(descriptor)?;
        Ok(Self { device: stat.st_dev, inode: stat.st_ino })
    }
}

/// What belongs to a command.
#[derive(Debug, Default)]
pub(crate) struct Command {
    /// Its known processes: children of ours that were not collected yet.
    pub(crate) roots: Vec<u32>,
    /// The pipes it was given.
    pub(crate) pipes: Vec<Pipe>,
    /// The first process of its container.
    pub(crate) container: Option<u32>,
    /// Never to be touched, with what else descends from them.
    pub(crate) spared: BTreeSet<u32>,
}

impl Command {
    /// Kills all there is of it, and gives handles of the killed. Empty when there is nothing left.
    pub(crate) fn kill(&self) -> Vec<PidFd> {
        let mut stopped: BTreeMap<(u32, u64), PidFd> = BTreeMap::new();
        for _ in 0..ROUNDS_MAX {
            let Ok(all) = process::all() else { break };
            let mut progress = false;
            for member in self.members(&all) {
                let name = (member.pid, member.start_time);
                if stopped.contains_key(&name) {
                    continue;
                }
                if let Ok(handle) = PidFd::open_started(member.pid, member.start_time) {
                    // One that has just ended needs no signal.
                    drop(handle.signal(STOP));
                    stopped.insert(name, handle);
                    progress = true;
                }
            }
            if !progress {
                break;
            }
        }
        let handles: Vec<PidFd> = stopped.into_values().collect();
        for handle in &handles {
            drop(handle.signal(KILL));
        }
        handles
    }

    /// Its live processes.
    fn members(&self, all: &[Stat]) -> Vec<Stat> {
        let mut members: BTreeSet<u32> = self.roots.iter().copied().collect();
        self.add_descendants(all, &mut members);
        let holders = self.holders(all, &members);
        if !holders.is_empty() {
            members.extend(holders);
            self.add_descendants(all, &mut members);
        }
        let alive = |stat: &&Stat| !matches!(stat.state, 'Z' | 'X');
        all.iter().filter(|stat| members.contains(&stat.pid)).filter(alive).copied().collect()
    }

    /// Adds children of members, and members of sessions that a root leads, until there are none to add.
    fn add_descendants(&self, all: &[Stat], members: &mut BTreeSet<u32>) {
        loop {
            let before = members.len();
            for stat in all {
                let belongs = members.contains(&stat.parent) || self.roots.contains(&stat.session);
                if belongs && !self.spared.contains(&stat.pid) {
                    members.insert(stat.pid);
                }
            }
            if members.len() == before {
                return;
            }
        }
    }

    /// Processes of the container, or orphans that came to us, that hold a pipe of the command.
    fn holders(&self, all: &[Stat], members: &BTreeSet<u32>) -> Vec<u32> {
        if self.pipes.is_empty() {
            return Vec::new();
        }
        let own = std::process::id();
        let cgroup = self.container.and_then(cgroup_of);
        let suspect = |stat: &&Stat| {
            !members.contains(&stat.pid)
                && !self.spared.contains(&stat.pid)
                && (stat.parent == own || (cgroup.is_some() && cgroup_of(stat.pid) == cgroup))
        };
        all.iter().filter(suspect).map(|stat| stat.pid).filter(|&pid| self.holds_pipe(pid)).collect()
    }

    fn holds_pipe(&self, pid: u32) -> bool {
        let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
            return false;
        };
        entries.flatten().filter_map(|entry| std::fs::metadata(entry.path()).ok()).any(|metadata| {
            let pipe = Pipe { device: metadata.dev(), inode: metadata.ino() };
            self.pipes.contains(&pipe)
        })
    }
}

fn cgroup_of(pid: u32) -> Option<Vec<u8>> {
    std::fs::read(format!("/proc/{pid}/cgroup")).ok()
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    fn stat(pid: u32, parent: u32, session: u32, state: char) -> Stat {
        Stat { pid, parent, session, state, start_time: 1 }
    }

    #[test]
    fn members_are_descendants_and_sessions_without_the_spared() {
        let all = [
            stat(1, 0, 1, 'S'),
            stat(12, 11, 10, 'S'),
            stat(11, 10, 10, 'S'),
            stat(10, 2, 10, 'S'),
            stat(13, 1, 10, 'S'),
            stat(14, 13, 14, 'S'),
            stat(15, 10, 10, 'Z'),
            stat(16, 10, 16, 'S'),
            stat(17, 16, 16, 'S'),
            stat(20, 1, 20, 'S'),
        ];
        let command = Command { roots: vec![10], spared: [1, 16].into(), ..Command::default() };
        let members: Vec<u32> = command.members(&all).iter().map(|stat| stat.pid).collect();
        assert_eq!(members, [12, 11, 10, 13, 14]);
    }

    #[test]
    fn a_real_tree_is_killed_with_the_one_that_fled() {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let pipe = Pipe::of(&write).unwrap();
        // The last one forks twice, starts a session of its own and keeps only the pipe.
        let script = "sleep 300 & (sleep 300 & sleep 300) & (setsid sleep 300 &) ; echo ready; wait";
        let child =
            std::process::Command::new("/bin/sh").args(["-c", script]).stdout(write).stdin(Stdio::null()).spawn();
        let mut child = child.unwrap();
        assert_eq!(rustix::io::read(&read, &mut [0u8; 16]).unwrap(), 6);
        let command = Command {
            roots: vec![child.id()],
            pipes: vec![pipe],
            container: Some(child.id()),
            spared: [std::process::id(), 1].into(),
        };
        let killed = command.kill();
        child.wait().unwrap();
        for handle in &killed {
            let mut polled = [rustix::event::PollFd::new(handle, rustix::event::PollFlags::IN)];
            rustix::event::poll(&mut polled, None).unwrap();
        }
        assert!(killed.len() >= 5, "{}", killed.len());
        // Nobody holds the pipe, so it is at its end.
        assert_eq!(rustix::io::read(&read, &mut [0u8; 16]).unwrap(), 0);
    }
}
