//! The protocols spoken over a connection, and how both sides agree on one.
//!
//! A client names those it speaks, best first; the first that we speak is taken. Over SPDY the names are in
//! `X-Stream-Protocol-Version` and there must be one; over WebSocket they are in `Sec-WebSocket-Protocol`, and a client
//! without any means the oldest.

/// What goes over the error stream of a remote command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatusFormat {
    /// Text when something failed, nothing otherwise.
    Text,
    /// One JSON document.
    Json,
}

/// How channels are told apart in WebSocket messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// The first byte is the channel.
    Binary,
    /// The first character is the channel as a digit, the rest is base64.
    Base64,
}

/// A protocol for commands over SPDY streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CommandProtocol {
    pub(crate) name: &'static str,
    /// There is a stream of terminal sizes.
    pub(crate) sizes: bool,
    pub(crate) status: StatusFormat,
}

/// A protocol for channels over WebSocket messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChannelProtocol {
    pub(crate) name: &'static str,
    pub(crate) encoding: Encoding,
    pub(crate) status: StatusFormat,
    /// A client can say that it is done with one channel.
    pub(crate) closes: bool,
}

/// For commands over SPDY, best first.
pub(crate) const COMMAND: [CommandProtocol; 4] = [
    CommandProtocol { name: "v4.channel.k8s.io", sizes: true, status: StatusFormat::Json },
    CommandProtocol { name: "v3.channel.k8s.io", sizes: true, status: StatusFormat::Text },
    CommandProtocol { name: "v2.channel.k8s.io", sizes: false, status: StatusFormat::Text },
    CommandProtocol { name: "channel.k8s.io", sizes: false, status: StatusFormat::Text },
];

/// For port forwarding over SPDY.
pub(crate) const FORWARD: [&str; 1] = ["portforward.k8s.io"];

/// For SPDY inside WebSocket messages, which is only used for port forwarding.
pub(crate) const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";

/// For commands over WebSocket.
pub(crate) const CHANNELS: [ChannelProtocol; 6] = [
    channel("v5.channel.k8s.io", Encoding::Binary, StatusFormat::Json, true),
    channel("v4.channel.k8s.io", Encoding::Binary, StatusFormat::Json, false),
    channel("v4.base64.channel.k8s.io", Encoding::Base64, StatusFormat::Json, false),
    channel("channel.k8s.io", Encoding::Binary, StatusFormat::Text, false),
    channel("base64.channel.k8s.io", Encoding::Base64, StatusFormat::Text, false),
    channel("", Encoding::Binary, StatusFormat::Text, false),
];

/// For port forwarding over WebSocket without SPDY.
pub(crate) const FORWARD_CHANNELS: [ChannelProtocol; 3] = [
    channel("v4.channel.k8s.io", Encoding::Binary, StatusFormat::Text, false),
    channel("v4.base64.channel.k8s.io", Encoding::Base64, StatusFormat::Text, false),
    channel("", Encoding::Binary, StatusFormat::Text, false),
];

const fn channel(name: &'static str, encoding: Encoding, status: StatusFormat, closes: bool) -> ChannelProtocol {
    ChannelProtocol { name, encoding, status, closes }
}

/// The names in the values of a header, each a list with commas.
pub(crate) fn names<'a>(values: impl Iterator<Item = &'a http::HeaderValue>) -> Vec<&'a str> {
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim).filter(|name| !name.is_empty()).collect()
}

/// The first of the client's protocols that is among ours.
pub(crate) fn agree<T: Copy>(offered: &[&str], ours: &[T], name: impl Fn(&T) -> &'static str) -> Option<T> {
    offered.iter().find_map(|offer| ours.iter().find(|protocol| name(protocol) == *offer).copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn headers_may_repeat_and_hold_lists() {
        let values = ["a, b", "", " , ", "c"].map(|text| HeaderValue::from_str(text).unwrap());
        assert_eq!(names(values.iter()), ["a", "b", "c"]);
    }

    #[test]
    fn the_clients_first_choice_that_we_speak_is_taken() {
        let cases: [(&[&str], Option<&str>); 6] = [
            (&["v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io"], Some("v4.channel.k8s.io")),
            (&["v2.channel.k8s.io", "v4.channel.k8s.io"], Some("v2.channel.k8s.io")),
            (&["channel.k8s.io"], Some("channel.k8s.io")),
            (&["v9.channel.k8s.io"], None),
            (&["V4.channel.k8s.io"], None),
            (&[], None),
        ];
        for (offered, expected) in cases {
            let agreed = agree(offered, &COMMAND, |protocol| protocol.name);
            assert_eq!(agreed.map(|protocol| protocol.name), expected, "{offered:?}");
        }
        let agreed = agree(&["v5.channel.k8s.io"], &CHANNELS, |protocol| protocol.name);
        assert!(agreed.unwrap().closes);
        assert_eq!(agree(&["v5.channel.k8s.io"], &FORWARD_CHANNELS, |protocol| protocol.name), None);
    }
}
