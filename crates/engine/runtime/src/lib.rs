//! Runtime handlers, and the client of the pod monitor.
//!
//! A *handler* is an OCI runtime as the configuration names it: [`Runtimes`] knows them all and what each can do. A
//! *monitor* is the `crio-conmon` process of one pod: [`Monitor`] starts one or finds one again, and drives the pod's
//! containers through it. The runtime is never run from here, except to ask for its features and to delete what a dead
//! monitor left ([`Handler::delete_forced`]): whoever runs `create` becomes the parent of the container, and that must
//! be somebody who outlives the daemon.
//!
//! The monitor is the first source of truth about an exit; [`wait_exit`] and [`read_exit_record`] are what is left when it
//! is gone. Follows the OCI runtime command line as crun and runc have it.

mod command;
mod config;
mod exit;
mod features;
mod handler;
mod monitor;

pub use command::CommandError;
pub use config::{Config, HandlerConfig, HandlerKind};
pub use crio_monitor_protocol::{
    AttachEnd, CheckpointFiles, ContainerEntry, Event as MonitorEvent, Exit, ExitRecord, MonitorState, SignalScope,
};
pub use exit::{read_exit_record, wait_exit};
pub use features::Features;
pub use handler::{CheckpointUnavailable, Handler, LoadError, ResolveError, Runtimes};
pub use monitor::{
    AttachStdio, Attachment, ConnectError, CreateRequest, Created, ExecError, ExecLimits, ExecOutcome, ExecSession,
    ExecStdio, LogFile, Monitor, MonitorError, MonitorLaunch, SpawnError, Stdio, Terminal, attach_pipe,
    set_terminal_size,
};
