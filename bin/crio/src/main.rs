//! `crio`: the daemon that kubelet drives over the Container Runtime Interface, and its command line.
//!
//! Without a command it is the daemon ([`daemon`]), made of its engines by [`wiring`]. The commands of [`cli`] print
//! configuration and manuals, or are thin clients of a running daemon's socket.

#![expect(unreachable_pub, reason = "a program has no outside: pub marks what a module offers to its siblings")]

mod cli;
mod daemon;
mod wiring;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
