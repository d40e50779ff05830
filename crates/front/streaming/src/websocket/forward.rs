//! Port forwarding over WebSocket without SPDY, as some clients in other languages do it.
//!
//! The ports are those of the request. Each has two channels: an even one for data, the odd one after it for errors; both
//! begin with the port as two bytes, the lower first. There is one connection for each port, made at once.

use crio_pods::PortForward;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;

use super::{Multiplex, together};
use crate::port_forward;
use crate::protocol::ChannelProtocol;
use crate::remote_command::Cut;

/// Channels are digits or bytes below the one that closes, two for each port.
pub(crate) const MAX_PORTS: usize = 127;
/// Base64 protocols have digits for channels.
pub(crate) const MAX_PORTS_BASE64: usize = 5;

/// Forwards one connection for each port until all are over.
pub(crate) async fn serve<T>(
    socket: WebSocketStream<T>,
    protocol: ChannelProtocol,
    way: PortForward,
    ports: &[u16],
    cut: impl Future<Output = Cut>,
) where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut multiplex = Multiplex::new(protocol);
    let mut running = JoinSet::new();
    for (channel, &port) in (0u8..).step_by(2).zip(ports) {
        let inlet = multiplex.inlet(channel);
        let (Some(mut data), Some(mut error)) = (multiplex.outlet(channel), multiplex.outlet(channel + 1)) else {
            return;
        };
        let way = way.clone();
        running.spawn(async move {
            let name = port.to_le_bytes();
            if data.send(&name).await.is_ok() && error.send(&name).await.is_ok() {
                port_forward::forward(&way, port, (inlet, data), error).await;
            }
        });
    }
    let gone = multiplex.gone();
    let forwarding = async {
        tokio::select! {
            _ends = async { while running.join_next().await.is_some() {} } => {}
            () = gone.cancelled() => {}
            cut = cut => tracing::debug!(?cut, "port forwarding was ended"),
        }
        running.shutdown().await;
    };
    together(Box::pin(multiplex.carry(socket, 0)), forwarding).await;
}
