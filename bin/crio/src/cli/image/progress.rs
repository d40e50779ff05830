//! A line of progress while a pull runs.
//!
//! CRI says nothing until a pull is done, so the bytes come from the inspection interface. Where that does not know the pull
//! (another daemon, a name it knows under another one), only the time shows: nothing is guessed.

use std::future::Future;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;

use super::super::client::inspect;
use super::super::output::bytes;

/// How often the line is refreshed.
const REFRESH: Duration = Duration::from_millis(250);

#[derive(Debug, Deserialize)]
struct Pull {
    image: String,
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Debug, Deserialize)]
struct Layer {
    done_bytes: u64,
    total_bytes: u64,
}

/// Waits for `pulling` and shows its progress on standard error, when that is a terminal.
pub async fn shown<T>(socket: &Path, image: &str, pulling: impl Future<Output = T>) -> T {
    if !std::io::stderr().is_terminal() {
        return pulling.await;
    }
    let line = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]") {
        line.set_style(style);
    }
    line.set_message(format!("pulling {image}"));
    let mut refresh = tokio::time::interval(REFRESH);
    tokio::pin!(pulling);
    let outcome = loop {
        tokio::select! {
            outcome = &mut pulling => break outcome,
            _ = refresh.tick() => {
                if let Some(message) = message(socket, image).await {
                    line.set_message(message);
                }
                line.tick();
            }
        }
    };
    line.finish_and_clear();
    outcome
}

async fn message(socket: &Path, image: &str) -> Option<String> {
    let answer = inspect::get(socket, "/pulls").await.ok()?;
    describe(image, &serde_json::from_slice::<Vec<Pull>>(&answer).ok()?)
}

/// What there is to say about the pull of `image`.
fn describe(image: &str, pulls: &[Pull]) -> Option<String> {
    // The daemon may know the image by its full name.
    let pull = pulls.iter().find(|pull| pull.image == image || pull.image.ends_with(&format!("/{image}")))?;
    let total: u64 = pull.layers.iter().map(|layer| layer.total_bytes).sum();
    let done: u64 = pull.layers.iter().map(|layer| layer.done_bytes).sum();
    if total == 0 {
        return Some(format!("pulling {image}: reading the manifest"));
    }
    let ready = pull.layers.iter().filter(|layer| layer.done_bytes >= layer.total_bytes).count();
    Some(format!("pulling {image}: {} of {}, {ready} of {} layers", bytes(done), bytes(total), pull.layers.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_is_shown() {
        let text = r#"[{"image":"docker.io/library/a:1","started_at":1,"waiters":1,"layers":
            [{"digest":"x","done_bytes":10,"total_bytes":10},{"digest":"y","done_bytes":0,"total_bytes":90}]},
            {"image":"b","started_at":1,"waiters":1,"layers":[]}]"#;
        let pulls: Vec<Pull> = serde_json::from_str(text).expect("pulls");
        assert_eq!(describe("library/a:1", &pulls).as_deref(), Some("pulling library/a:1: 10B of 100B, 1 of 2 layers"));
        assert_eq!(describe("b", &pulls).as_deref(), Some("pulling b: reading the manifest"));
        assert_eq!(describe("c", &pulls), None);
    }
}
