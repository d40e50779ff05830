//! Exec, attach and port-forward: the streaming side of CRI.
//!
//! An RPC checks a request and answers a URL with a token ([`Urls`]); the client connects to it ([`Server`]), once and within
//! a minute, switches to SPDY/3.1 or WebSocket, and gets its session. Kubelet speaks SPDY; crictl both; other clients,
//! which kubelet passes on as they are, WebSocket in all its ages.
//!
//! ```text
//! server      listens, owns all tasks           token       what a URL stands for
//! connection  TLS, one request                  handshake   which protocol is spoken
//! session     joins the three below
//!     spdy, websocket                streams or channels on the connection
//!     remote_command, port_forward   what goes through them: `channel` hides which it is
//!     crio_pods                      the other ends, inside the container
//! ```
//! Every byte goes between the client's connection and a pipe, terminal or socket of the container, with nothing in between
//! but one buffer: a slow client slows down its own command and nothing else.
//!
//! Follows the streaming protocols of Kubernetes: SPDY `channel.k8s.io` versions 1 to 4 and `portforward.k8s.io`; WebSocket
//! channels up to version 5, and SPDY through WebSocket for port forwarding.

mod address;
mod channel;
mod config;
mod connection;
mod handshake;
mod port_forward;
mod protocol;
mod remote_command;
mod server;
mod session;
mod size;
mod spdy;
mod status;
mod tls;
mod token;
mod websocket;
mod wire;

pub use config::{Config, TlsFiles, TlsVersion};
pub use server::{BindError, Server, Urls};
pub use size::{NotASize, Size, Sizes};
pub use tls::TlsError;
pub use token::{ForwardRequest, IssueError};
pub use websocket::message::{ClientMessage, Encoding, MessageError, decode};
