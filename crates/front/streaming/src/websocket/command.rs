//! Remote commands over WebSocket: five channels, of which the request says which are used.

use crio_pods::Wanted;

use super::Multiplex;
use crate::channel::Channels;
use crate::protocol::ChannelProtocol;

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;

/// The channels of a command, the other side of them, and the channel that the client is greeted on: the lowest we
/// write to.
pub(crate) fn channels(protocol: ChannelProtocol, wanted: Wanted) -> (Channels, Multiplex, u8) {
    let mut multiplex = Multiplex::new(protocol);
    let stderr = wanted.stderr && !wanted.tty;
    let channels = Channels {
        stdin: wanted.stdin.then(|| multiplex.inlet(STDIN)),
        resize: wanted.tty.then(|| multiplex.inlet(RESIZE)),
        stdout: multiplex.outlet(STDOUT).filter(|_| wanted.stdout),
        stderr: multiplex.outlet(STDERR).filter(|_| stderr),
        error: multiplex.outlet(ERROR),
        status: protocol.status,
    };
    let greeting = match (wanted.stdout, stderr) {
        (true, _) => STDOUT,
        (false, true) => STDERR,
        (false, false) => ERROR,
    };
    (channels, multiplex, greeting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::CHANNELS;

    #[test]
    fn the_greeting_comes_on_the_lowest_channel_we_write_to() {
        let of = |stdout, stderr, tty| {
            let wanted = Wanted { stdin: true, stdout, stderr, tty };
            let (channels, _, greeting) = channels(CHANNELS[0], wanted);
            (channels.stdout.is_some(), channels.stderr.is_some(), channels.resize.is_some(), greeting)
        };
        assert_eq!(of(true, true, false), (true, true, false, 1));
        assert_eq!(of(false, true, false), (false, true, false, 2));
        assert_eq!(of(false, false, true), (false, false, true, 3));
        assert_eq!(of(true, true, true), (true, false, true, 1));
    }
}
