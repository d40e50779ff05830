//! A session from the moment its connection has switched protocols to its end.

use std::time::Duration;

use crio_pods::{PortForward, Wanted};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::sleep;

use crate::handshake::Transport;
use crate::protocol::{ChannelProtocol, CommandProtocol};
use crate::remote_command::{self, Command, Cut};
use crate::server::Shared;
use crate::spdy;
use crate::token::{ForwardRequest, Target};
use crate::websocket;
use crate::wire::Line;

/// How long what a client sent before it left may take to be read.
const HANG_UP_SETTLES: Duration = Duration::from_secs(3);

/// A connection that has switched protocols.
pub(crate) struct Client {
    pub(crate) io: TokioIo<Upgraded>,
    pub(crate) line: Line,
}

/// Serves a session to its end. Each kind is boxed, so that a thread's stack holds the one that runs and not all four.
pub(crate) async fn serve(shared: &Shared, target: Target, transport: Transport, client: Client) {
    let (wanted, command) = match target {
        Target::Exec(request) => (request.wanted, Command::Exec(request)),
        Target::Attach(request) => (request.wanted, Command::Attach(request)),
        Target::PortForward(request) => return forward(shared, request, transport, client).await,
    };
    match transport {
        Transport::Command(protocol) => Box::pin(spdy_command(shared, command, wanted, protocol, client)).await,
        Transport::Channels(protocol) => Box::pin(channel_command(shared, command, wanted, protocol, client)).await,
        Transport::Forward | Transport::Tunnel => tracing::error!("a command was agreed to be carried as a forwarding"),
    }
}

async fn spdy_command(shared: &Shared, command: Command, wanted: Wanted, protocol: CommandProtocol, client: Client) {
    let Client { io, line } = client;
    let session = async |mut connection| {
        let Some(mut channels) = spdy::command::collect(&mut connection, protocol, wanted).await else { return };
        let cut = cut(shared, &line, spdy::command::gone(&mut connection));
        Box::pin(remote_command::serve(&shared.pods, command, &mut channels, cut)).await;
    };
    spdy::drive(io, shared.idle_limit, session).await;
}

async fn channel_command(shared: &Shared, command: Command, wanted: Wanted, protocol: ChannelProtocol, client: Client) {
    let Client { io, line } = client;
    let (mut channels, multiplex, greeting) = websocket::command::channels(protocol, wanted);
    let (socket, gone) = (websocket::socket(io).await, multiplex.gone());
    let session = async {
        let cut = cut(shared, &line, gone.cancelled());
        Box::pin(remote_command::serve(&shared.pods, command, &mut channels, cut)).await;
        // With the last outlet gone the connection is ended.
        drop(channels);
    };
    websocket::together(Box::pin(multiplex.carry(socket, greeting)), session).await;
}

async fn forward(shared: &Shared, request: ForwardRequest, transport: Transport, client: Client) {
    let way = match shared.pods.port_forward(&request.sandbox_id) {
        Ok(way) => way,
        // It was there when the token was issued. A pod that is not ready any more is told about on its streams.
        Err(error) => return tracing::info!(error = %crio_types::chain(&*error), "a port forwarding could not begin"),
    };
    match transport {
        Transport::Forward => Box::pin(spdy_forward(shared, way, client)).await,
        Transport::Tunnel => Box::pin(tunnel_forward(shared, way, client)).await,
        Transport::Channels(protocol) => {
            Box::pin(channel_forward(shared, way, &request.ports, protocol, client)).await;
        }
        Transport::Command(_) => tracing::error!("a forwarding was agreed to be carried as a command"),
    }
}

async fn spdy_forward(shared: &Shared, way: PortForward, client: Client) {
    let Client { io, line } = client;
    let cut = ended(shared, &line);
    spdy::drive(io, shared.idle_limit, |connection| spdy::forward::serve(connection, way, cut)).await;
}

async fn tunnel_forward(shared: &Shared, way: PortForward, client: Client) {
    let Client { io, line } = client;
    let (bytes, carried) = websocket::tunnel::open(websocket::socket(io).await);
    let cut = ended(shared, &line);
    let session = spdy::drive(bytes, shared.idle_limit, |connection| spdy::forward::serve(connection, way, cut));
    websocket::together(Box::pin(carried), session).await;
}

async fn channel_forward(shared: &Shared, way: PortForward, ports: &[u16], protocol: ChannelProtocol, client: Client) {
    let Client { io, line } = client;
    let (socket, cut) = (websocket::socket(io).await, ended(shared, &line));
    websocket::forward::serve(socket, protocol, way, ports, cut).await;
}

/// What cuts a command short. A client whose input is not read is not seen to leave by those who would read it.
async fn cut(shared: &Shared, line: &Line, gone: impl Future<Output = ()>) -> Cut {
    let hung_up = async {
        line.hung_up().await;
        sleep(HANG_UP_SETTLES).await;
    };
    tokio::select! {
        () = gone => Cut::Left,
        () = hung_up => Cut::Left,
        cut = ended(shared, line) => cut,
    }
}

/// What ends any session.
async fn ended(shared: &Shared, line: &Line) -> Cut {
    tokio::select! {
        () = line.idle(shared.idle_limit) => Cut::Idle,
        () = shared.stop.cancelled() => Cut::Stopping,
    }
}
