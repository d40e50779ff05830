//! The option table: one row for each option, from which everything else is derived.
//!
//! A row is written once, in `section/*.rs`, through the [`section!`] macro: field, type, codec, default, flag,
//! environment variables, reload behaviour, and the documentation that the struct field, `crio config`, `--help` and the manual
//! page share. The macro makes a plain struct with public fields, its `Default`, and an implementation of [`Section`], through which
//! the loader, the template, the flags and the manual reach every option by key. Invariant: a key, a flag and an
//! environment variable each belong to one row (a test checks it).

mod api;
mod daemon;
mod handler;
mod image;
mod network;
mod nri;
mod observe;
mod runtime;
mod storage;
mod workload;

pub use api::{Api, TlsVersion};
pub use daemon::{Daemon, LogFormat};
pub use handler::{ExecCpuAffinity, RuntimeHandler, RuntimeType};
pub use image::{Image, ImageVolumes, ShortNameMode};
pub use network::Network;
pub use nri::{Nri, NriValidator};
pub use observe::{CheckpointLevel, CheckpointRestore, Metrics, Stats, Tracing};
pub use runtime::{CgroupManager, LogLevel, Runtime};
pub use storage::{Storage, StorageDriver};
pub use workload::{Workload, WorkloadResources};

use toml::Value;

use crate::codec::{Mismatch, Shape};

/// Whether a changed value takes effect on SIGHUP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The daemon has to be restarted.
    Restart,
    /// SIGHUP is enough.
    Live,
}

/// How far an option is implemented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It does what it says.
    Built,
    /// It is read, checked, kept and printed, and changes nothing yet.
    Accepted,
}

/// Whether `crio config` writes the option as a comment while it has its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Printed {
    /// As a comment.
    Commented,
    /// As a setting, always, because a tool looks for the line.
    Always,
}

/// One row of the option table.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    /// Key in its table of the file.
    pub key: &'static str,
    /// Documentation, one element a line, each with a leading space.
    pub docs: &'static [&'static str],
    /// Shape in the file.
    pub shape: Shape,
    /// What the option takes.
    pub expected: fn() -> String,
    /// Long flag; empty for none.
    pub flag: &'static str,
    /// Second long flag; empty for none.
    pub flag_alias: &'static str,
    /// Short flag.
    pub short: Option<char>,
    /// Environment variables, the first that is set counts.
    pub env: &'static [&'static str],
    /// Not shown in help, template and manual.
    pub hidden: bool,
    /// What to use instead; empty while the option is not deprecated.
    pub deprecated: &'static str,
    /// Whether SIGHUP is enough.
    pub reload: Reload,
    /// How far it is implemented.
    pub status: Status,
    /// Whether the template always sets it.
    pub printed: Printed,
    /// List elements of later files are added to those of earlier ones, each once.
    pub appends: bool,
}

/// A row without flag, variable or peculiarity; the macro fills in what it knows.
pub(crate) const fn option() -> OptionSpec {
    OptionSpec {
        key: "",
        docs: &[],
        shape: Shape::Text,
        expected: String::new,
        flag: "",
        flag_alias: "",
        short: None,
        env: &[],
        hidden: false,
        deprecated: "",
        reload: Reload::Restart,
        status: Status::Built,
        printed: Printed::Commented,
        appends: false,
    }
}

impl OptionSpec {
    pub(crate) const fn flag(mut self, long: &'static str) -> Self {
        self.flag = long;
        self
    }

    pub(crate) const fn flag_alias(mut self, long: &'static str) -> Self {
        self.flag_alias = long;
        self
    }

    pub(crate) const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    pub(crate) const fn env(mut self, names: &'static [&'static str]) -> Self {
        self.env = names;
        self
    }

    pub(crate) const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    pub(crate) const fn deprecated(mut self, instead: &'static str) -> Self {
        self.deprecated = instead;
        self
    }

    pub(crate) const fn live(mut self) -> Self {
        self.reload = Reload::Live;
        self
    }

    pub(crate) const fn accepted(mut self) -> Self {
        self.status = Status::Accepted;
        self
    }

    pub(crate) const fn always_printed(mut self) -> Self {
        self.printed = Printed::Always;
        self
    }

    pub(crate) const fn appends(mut self) -> Self {
        self.appends = true;
        self
    }

    pub(crate) const fn described(
        mut self,
        key: &'static str,
        docs: &'static [&'static str],
        shape: Shape,
        expected: fn() -> String,
    ) -> Self {
        self.key = key;
        self.docs = docs;
        self.shape = shape;
        self.expected = expected;
        self
    }
}

/// A table of the file, reached by key.
pub trait Section {
    /// Its rows, in file order.
    fn options(&self) -> &'static [OptionSpec];

    /// The canonical TOML value of `key`; `None` when it is unset or there is no such key.
    fn get(&self, key: &str) -> Option<Value>;

    /// Sets `key`; an unknown key changes nothing.
    ///
    /// # Errors
    /// [`Mismatch`] when the option does not take the value; the old value stays.
    fn set(&mut self, key: &str, value: &Value) -> Result<(), Mismatch>;
}

/// Declares a section: `field: Type as Codec = default => row;`.
macro_rules! section {
    (
        $(#[$meta:meta])*
        $name:ident {
            $($(#[doc = $doc:literal])+ $field:ident: $type:ty as $codec:ty = $default:expr => $spec:expr;)*
        }
        $($(#[$extra_meta:meta])* extra $extra:ident: $extra_type:ty;)*
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: $type,)*
            $($(#[$extra_meta])* pub $extra: $extra_type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($field: $default,)*
                    $($extra: <$extra_type>::default(),)*
                }
            }
        }

        impl $name {
            /// The rows of this table, in file order.
            pub const OPTIONS: &'static [$crate::section::OptionSpec] = &[
                $($spec.described(
                    stringify!($field),
                    &[$($doc),+],
                    <$codec as $crate::codec::Codec<$type>>::SHAPE,
                    <$codec as $crate::codec::Codec<$type>>::expected,
                ),)*
            ];
        }

        impl $crate::section::Section for $name {
            fn options(&self) -> &'static [$crate::section::OptionSpec] {
                Self::OPTIONS
            }

            fn get(&self, key: &str) -> Option<toml::Value> {
                match key {
                    $(stringify!($field) => <$codec as $crate::codec::Codec<$type>>::encode(&self.$field),)*
                    _ => None,
                }
            }

            fn set(&mut self, key: &str, value: &toml::Value) -> Result<(), $crate::codec::Mismatch> {
                match key {
                    $(stringify!($field) => {
                        self.$field = <$codec as $crate::codec::Codec<$type>>::decode(value)?;
                    })*
                    _ => {}
                }
                Ok(())
            }
        }
    };
}
pub(crate) use section;
