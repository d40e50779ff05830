//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measurement {
    /// One pod after the other.
    Latency,
    /// Many pods at once: up, memory, lists, down.
    Fleet,
    /// How fast a container can log.
    Log,
}

/// How the result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Which network the pods have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Network {
    /// Their own, made by CNI.
    Cni,
    /// The host's.
    Host,
}

/// Measures a CRI socket.
#[derive(Debug, Parser)]
#[command(name = "crio-bench", version)]
pub(crate) struct Options {
    /// The CRI socket, with or without unix://.
    #[arg(long, default_value = "/var/run/crio/crio.sock")]
    pub(crate) socket: PathBuf,
    /// An image with sh, sleep, yes, head and true; pulled when it is not there.
    #[arg(long, default_value = "docker.io/library/busybox:latest")]
    pub(crate) image: String,
    /// The runtime's pause image, pulled first so that no measured pod waits for it.
    #[arg(long)]
    pub(crate) pause_image: Option<String>,
    /// The daemon's process id; without it processor time and memory are not measured.
    #[arg(long)]
    pub(crate) daemon_pid: Option<u32>,
    /// How the names of the runtime's per-pod or per-container processes begin.
    #[arg(long, default_value = "crio-conmon")]
    pub(crate) monitor_name: String,
    /// Pods started one after the other.
    #[arg(long, default_value_t = 40)]
    pub(crate) rounds: usize,
    /// Pods running at once.
    #[arg(long, default_value_t = 50)]
    pub(crate) pods: usize,
    /// Clients that start them.
    #[arg(long, default_value_t = 10)]
    pub(crate) clients: usize,
    /// Calls of each list while they run.
    #[arg(long, default_value_t = 200)]
    pub(crate) calls: usize,
    /// MiB that a container logs.
    #[arg(long, default_value_t = 200)]
    pub(crate) log_mib: u64,
    /// The pods' network.
    #[arg(long, value_enum, default_value = "cni")]
    pub(crate) network: Network,
    /// Parent cgroup of the pods; empty for the runtime's default.
    #[arg(long, default_value = "")]
    pub(crate) cgroup_parent: String,
    /// Runtime handler; empty for the default.
    #[arg(long, default_value = "")]
    pub(crate) runtime_handler: String,
    /// Where the pods' logs go while it runs.
    #[arg(long, default_value = "/tmp")]
    pub(crate) log_directory: PathBuf,
    /// What to measure; everything when not given.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) only: Vec<Measurement>,
    /// How to print the result.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Output,
    /// A file that gets the result as JSON.
    #[arg(long)]
    pub(crate) save: Option<PathBuf>,
    /// Remove what earlier runs left, and measure nothing.
    #[arg(long)]
    pub(crate) sweep: bool,
}

impl Options {
    /// Whether this is to be measured.
    pub(crate) fn measures(&self, measurement: Measurement) -> bool {
        self.only.is_empty() || self.only.contains(&measurement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_measured_unless_told_otherwise() {
        let all = Options::try_parse_from(["crio-bench"]).expect("valid");
        assert!(all.measures(Measurement::Log) && all.measures(Measurement::Fleet));
        let some = Options::try_parse_from(["crio-bench", "--only", "latency,log"]).expect("valid");
        assert!(some.measures(Measurement::Log) && !some.measures(Measurement::Fleet));
    }
}
