//! Specifications of typical requests: as golden files, and run for real by crun and runc.

mod fixture;
mod golden;
mod refusals;
mod runtimes;
