//! Between protobuf and the domain: everything a client sends becomes a domain type here, or an error that names the
//! field, and everything we answer becomes protobuf here.
//!
//! Rules of the whole folder. *Absent* and *empty* stay different where CRI says so: security profiles, run-as ids,
//! capabilities, DNS. An enum value or a number outside its range is refused, not guessed. A string that becomes a
//! path, an argument or a file name is refused when it holds a NUL byte. Sizes are bounded by the limit on a whole
//! message, which [`crate::Config`] names. Windows parts of messages are ignored.

pub(crate) mod container;
pub(crate) mod event;
pub(crate) mod field;
pub(crate) mod filter;
pub(crate) mod image;
pub(crate) mod metric;
pub(crate) mod mount;
pub(crate) mod namespace;
pub(crate) mod resources;
pub(crate) mod sandbox;
pub(crate) mod security;
pub(crate) mod signal;
pub(crate) mod stats;
pub(crate) mod status;

pub(crate) use field::DecodeError;

#[cfg(test)]
mod tests;
