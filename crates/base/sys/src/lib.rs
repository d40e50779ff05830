//! The operating system, as safe functions: the only crate of the daemon with `unsafe` code.
//!
//! Most calls go through rustix, which is safe already; what it lacks is wrapped here, one unsafe operation a block
//! with its proof. Functions take and give owned or borrowed descriptors, never raw numbers, and their errors say
//! what was attempted on which path. Nothing here decides anything: policy lives in the engines.

pub mod confined;
pub mod interface;
pub mod link;
pub mod lock;
pub mod memory;
pub mod mount;
pub mod namespace;
pub mod netlink;
pub mod null;
pub mod process;
pub mod random;
pub mod seqpacket;
pub mod signalfd;
pub mod sysctl;
