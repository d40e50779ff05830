//! `crio-conmon`: the monitor of one pod.
//!
//! It owns the standard streams and terminals of the pod's containers, writes their logs, runs the OCI runtime, is the
//! parent of every container and of every command run in one, and records how they end. The daemon drives it through
//! a socket and may come and go; the monitor stays until it is told to end or has had nothing to do for a while.
//!
//! One thread, one epoll loop (`monitor`), no waiting anywhere else: a runtime that hangs, a disk that is full or a client
//! that does not read never holds up another container. A node runs as many monitors as pods, so memory counts: buffers
//! are shared by all containers of the monitor, and nothing is kept that the kernel keeps anyway.

mod arguments;
mod console;
mod exit_record;
mod log;
mod monitor;
mod oom;
mod output;
mod poll;
mod reaped;
mod record;
mod runtime;
mod setup;
mod timers;
mod tree;

use std::process::ExitCode;

use arguments::{Arguments, Parsed};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crio-conmon: {}", crio_types::chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = match Arguments::parse(std::env::args_os().skip(1))? {
        Parsed::Version => {
            println!("crio-conmon version {}", env!("CARGO_PKG_VERSION"));
            return Ok(());
        }
        Parsed::Run(arguments) => arguments,
    };
    let foundation = setup::prepare(&arguments)?;
    let mut monitor = monitor::Monitor::new(arguments, foundation)?;
    setup::close_standard_streams()?;
    monitor.run()?;
    Ok(())
}
