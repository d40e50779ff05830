//! The daemon or a monitor killed at a bad moment, under the OCI runtime that `CRIO_TEST_RUNTIME` names.

mod halfway;
mod monitor;
mod restart;
