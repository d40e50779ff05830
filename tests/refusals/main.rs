//! Bad input of every kind: the right gRPC code, a message that names what was wrong, and the host as before.

mod archives;
mod daemon;
mod images;
mod network;
mod requests;
mod workloads;
