//! This terminal, connected to a command or a container: the client's side of the daemon's streaming server.
//!
//! Speaks WebSocket channels version 5. Input is read by a thread that ends with the process, because nothing can interrupt
//! a read of a terminal. A terminal is in raw mode for as long as the session lasts, and as before afterwards, whatever
//! happens.

mod raw;

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::client::QUESTION;
use raw::RawMode;

const PROTOCOL: &str = "v5.channel.k8s.io";
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
/// Says that no more comes on the channel that follows.
const CLOSE: u8 = 255;
/// How much input is taken at once.
const CHUNK_BYTES: usize = 16 << 10;
/// Pieces of input that wait for the connection.
const QUEUE: usize = 4;

/// What of this process takes part.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    /// Its standard input.
    pub stdin: bool,
    /// Its terminal.
    pub tty: bool,
}

/// Connects this process to the session at `url` until that ends, and gives the exit status it ended with.
pub async fn connect(url: &str, ends: Ends) -> Result<ExitCode> {
    let Some(rest) = url.strip_prefix("http://") else {
        bail!("the streaming server speaks TLS, and certificates are not known here: use crictl");
    };
    let host = rest.split('/').next().unwrap_or_default();
    let mut request = format!("ws://{rest}").into_client_request().context("the daemon gave a URL that is none")?;
    request.headers_mut().insert("sec-websocket-protocol", PROTOCOL.parse()?);
    let connecting = async {
        let connection = TcpStream::connect(host).await.with_context(|| format!("cannot connect to {host}"))?;
        connection.set_nodelay(true)?;
        tokio_tungstenite::client_async(request, connection).await.context("the streaming server refused")
    };
    let (socket, _) = timeout(QUESTION, connecting).await.context("the streaming server does not answer")??;
    let (mut sink, mut source) = socket.split();
    let raw = if ends.tty { Some(RawMode::enter().context("standard input is no terminal")?) } else { None };
    let mut input = ends.stdin.then(read_input);
    let mut resized = signal(SignalKind::window_change())?;
    if ends.tty {
        sink.send(size_message()?).await?;
    }
    let mut status = Vec::new();
    loop {
        tokio::select! {
            message = source.next() => match message {
                Some(Ok(Message::Binary(bytes))) => show(&bytes, &mut status)?,
                Some(Ok(Message::Close(_))) | None => break,
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error).context("the session was cut"),
            },
            bytes = next(&mut input), if input.is_some() => match bytes {
                Some(bytes) => sink.send(of_channel(STDIN, &bytes)).await?,
                None => {
                    input = None;
                    sink.send(Message::binary(vec![CLOSE, STDIN])).await?;
                }
            },
            Some(()) = resized.recv(), if ends.tty => sink.send(size_message()?).await?,
        }
    }
    drop(raw);
    exit_code(&status)
}

/// Pieces of standard input, as they come.
fn read_input() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    std::thread::spawn(move || {
        let mut buffer = vec![0u8; CHUNK_BYTES];
        while let Ok(length @ 1..) = std::io::stdin().lock().read(&mut buffer) {
            if sender.blocking_send(buffer[..length].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

async fn next(input: &mut Option<mpsc::Receiver<Vec<u8>>>) -> Option<Vec<u8>> {
    input.as_mut()?.recv().await
}

/// Writes what the daemon sent where it belongs.
fn show(message: &Bytes, status: &mut Vec<u8>) -> Result<()> {
    match message.split_first() {
        Some((&STDOUT, bytes)) => {
            let mut stdout = std::io::stdout();
            stdout.write_all(bytes)?;
            stdout.flush()?;
        }
        Some((&STDERR, bytes)) => std::io::stderr().write_all(bytes)?,
        Some((&ERROR, bytes)) => status.extend_from_slice(bytes),
        _ => {}
    }
    Ok(())
}

fn of_channel(channel: u8, bytes: &[u8]) -> Message {
    Message::binary([&[channel], bytes].concat())
}

fn size_message() -> Result<Message> {
    let size = rustix::termios::tcgetwinsize(std::io::stdin()).context("standard input has no size")?;
    let text = serde_json::json!({ "Width": size.ws_col, "Height": size.ws_row }).to_string();
    Ok(of_channel(RESIZE, text.as_bytes()))
}

/// The exit status in the daemon's last words.
fn exit_code(status: &[u8]) -> Result<ExitCode> {
    ensure!(!status.is_empty(), "the daemon ended the session without a word");
    let status: Value = serde_json::from_slice(status).context("the daemon's last words make no sense")?;
    if status["status"] == "Success" {
        return Ok(ExitCode::SUCCESS);
    }
    let causes = status["details"]["causes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let code = causes.iter().find(|cause| cause["reason"] == "ExitCode").and_then(|cause| cause["message"].as_str());
    match code.and_then(|code| code.parse::<u8>().ok()) {
        Some(code) => Ok(ExitCode::from(code)),
        None => bail!("{}", status["message"].as_str().unwrap_or("the session failed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_hold_the_exit_status() {
        let code = |text: &str| exit_code(text.as_bytes()).map(|code| format!("{code:?}")).map_err(|it| it.to_string());
        let expected = |code: u8| Ok(format!("{:?}", ExitCode::from(code)));
        assert_eq!(code(r#"{"status":"Success"}"#), expected(0));
        let failure = r#"{"status":"Failure","details":{"causes":[{"reason":"ExitCode","message":"137"}]}}"#;
        assert_eq!(code(failure), expected(137));
        assert_eq!(code(r#"{"status":"Failure","message":"no such program"}"#), Err("no such program".to_owned()));
        assert!(code("").is_err() && code("nonsense").is_err());
    }
}
