//! The registry protocol: the pull half of the OCI distribution specification.
//!
//! A [`session::Session`] is one repository at one endpoint with one set of credentials. It knows how to obtain a
//! document or a blob, and on the way answers authentication challenges, follows redirects, waits out refusals that
//! pass, and resumes what was cut off. It verifies no digest: that is the pull pipeline's work, done on the same
//! bytes that are used.
//!
//! Credentials go to the endpoint's own host and to the token service it names, nowhere else (see `token`).

pub(crate) mod blob;
mod challenge;
pub(crate) mod error;
mod refusal;
mod retry;
pub(crate) mod session;
mod token;
pub(crate) mod transport;

pub use error::RegistryError;
pub use transport::Timeouts;
