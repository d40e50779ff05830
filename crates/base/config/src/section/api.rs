//! `[crio.api]`: the CRI socket and the streaming server.

use std::path::PathBuf;
use std::time::Duration;

use super::{option, section};
use crate::codec::{
    AbsolutePath, AnyPath, GoDuration, List, MessageSize, Optional, PortText, Regular, Switch, Word, words,
};

words! {
    /// Oldest TLS version a server accepts.
    TlsVersion {
        /// TLS 1.2.
        Tls12 = "VersionTLS12",
        /// TLS 1.3.
        Tls13 = "VersionTLS13",
    }
}

section! {
    /// `[crio.api]`.
    Api {
        /// Unix socket of the Container Runtime Interface and of the inspection interface.
        listen: PathBuf as AbsolutePath = "/var/run/crio/crio.sock".into()
            => option().flag("listen").env(&["CONTAINER_LISTEN"]);
        /// Address the streaming server binds to.
        stream_address: String as Regular = "127.0.0.1".to_owned()
            => option().flag("stream-address").env(&["CONTAINER_STREAM_ADDRESS"]);
        /// Port of the streaming server; "0" for any free port.
        stream_port: u16 as PortText = 0
            => option().flag("stream-port").env(&["CONTAINER_STREAM_PORT"]);
        /// Whether the streaming server speaks TLS.
        stream_enable_tls: bool as Switch = false
            => option().flag("stream-enable-tls").env(&["CONTAINER_ENABLE_TLS"]);
        /// How long a stream may be idle before it is closed; empty means four hours.
        stream_idle_timeout: Option<Duration> as Optional<GoDuration> = None
            => option().flag("stream-idle-timeout").env(&["STREAM_IDLE_TIMEOUT"]);
        /// Certificate of the streaming server. The file is read again when it changes.
        stream_tls_cert: Option<PathBuf> as Optional<AnyPath> = None
            => option().flag("stream-tls-cert").env(&["CONTAINER_TLS_CERT"]);
        /// Key of that certificate. The file is read again when it changes.
        stream_tls_key: Option<PathBuf> as Optional<AnyPath> = None
            => option().flag("stream-tls-key").env(&["CONTAINER_TLS_KEY"]);
        /// Authorities whose client certificates the streaming server accepts. The file is read again when it changes.
        stream_tls_ca: Option<PathBuf> as Optional<AnyPath> = None
            => option().flag("stream-tls-ca").env(&["CONTAINER_TLS_CA"]);
        /// Oldest TLS version of the streaming and metrics servers.
        tls_min_version: TlsVersion as Word = TlsVersion::Tls12
            => option().flag("tls-min-version").env(&["CONTAINER_TLS_MIN_VERSION"]);
        /// Cipher suites of TLS 1.2, by IANA name; empty for the library's choice.
        tls_cipher_suites: Vec<String> as List<Regular> = Vec::new()
            => option().flag("tls-cipher-suites").env(&["CONTAINER_TLS_CIPHER_SUITES"]);
        /// Largest gRPC message sent, in bytes; 0 and less mean 80 MiB.
        grpc_max_send_msg_size: usize as MessageSize = MessageSize::DEFAULT
            => option().flag("grpc-max-send-msg-size").env(&["CONTAINER_GRPC_MAX_SEND_MSG_SIZE"]);
        /// Largest gRPC message accepted, in bytes; 0 and less mean 80 MiB.
        grpc_max_recv_msg_size: usize as MessageSize = MessageSize::DEFAULT
            => option().flag("grpc-max-recv-msg-size").env(&["CONTAINER_GRPC_MAX_RECV_MSG_SIZE"]);
    }
}
