//! Exec, attach and port-forward, over SPDY and WebSocket, under the OCI runtime that `CRIO_TEST_RUNTIME` names.

mod attach;
mod exec;
mod forward;
mod server;
mod spdy;
mod terminal;
mod websocket;
