//! crio.conf as one option table: files, drop-ins, environment and flags become one validated value.
//!
//! An option is one row of [`section`]: key, type, default, flag, environment variables, documentation. The loader, the
//! command line, the template of `crio config` and the manual pages are derived from the rows. The names, the defaults and the
//! order of precedence are CRI-O's, because administrators bring their files along.

pub mod codec;
mod config;
mod file;
mod flag;
mod load;
mod manual;
mod problem;
mod rule;
pub mod section;
mod template;
mod validate;

pub use codec::{Codec, Mismatch, Shape, Words, value_from_text};
pub use config::{Change, Config};
pub use file::{Document, Entry, TableName, parse_file};
pub use flag::{flags, given_flags};
pub use load::{DEFAULT_DIRECTORY, DEFAULT_FILE, Sources, load, load_documents};
pub use manual::{configuration_page, flag_definitions};
pub use problem::{ConfigErrors, Origin, Problem, Warning};
pub use rule::{Assignment, DeviceNode, Ulimit};
pub use section::{
    Api, CgroupManager, CheckpointLevel, CheckpointRestore, Daemon, ExecCpuAffinity, Image, ImageVolumes, LogFormat,
    LogLevel, Metrics, Network, Nri, NriValidator, OptionSpec, Reload, Runtime, RuntimeHandler, RuntimeType, Section,
    ShortNameMode, Stats, Status, Storage, StorageDriver, TlsVersion, Tracing, Workload, WorkloadResources,
};
pub use template::template;
