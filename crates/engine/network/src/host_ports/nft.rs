//! Running `nft`.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crio_types::{Classified, ErrorKind};
use serde_json::Value;
use tokio::time::Instant;

use super::ruleset::LOCALNET_SET;
use crate::process::{self, ProcessError, Program};

/// The program, found on the daemon's `PATH`.
const NFT: &str = "nft";
/// How long a change may take; large foreign rule sets make `nft` slow.
const NFT_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest name of a network link, as the kernel counts it without the final zero.
const LINK_NAME_BYTES_MAX: usize = 15;

/// The packet filter could not be changed; it is as it was.
#[derive(Debug, thiserror::Error)]
pub enum NftError {
    /// `nft` could not be run to its end.
    #[error("cannot change the packet filter")]
    Run {
        /// What went wrong.
        source: ProcessError,
    },
    /// `nft` or the kernel refused the rules.
    #[error("nft refused the host port rules: {message}")]
    Refused {
        /// What `nft` wrote.
        message: String,
    },
}

impl NftError {
    /// Whether there is no `nft` on this node.
    pub(super) fn is_not_installed(&self) -> bool {
        matches!(self, Self::Run { source: ProcessError::Start { source, .. } } if source.kind() == std::io::ErrorKind::NotFound)
    }
}

impl Classified for NftError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Internal
    }
}

/// Applies a script as one transaction.
pub(super) async fn apply(script: &str) -> Result<(), NftError> {
    let output = run(&["-f", "-"], script).await?;
    if output.status.success() {
        Ok(())
    } else {
        let message = if output.stderr.is_empty() { output.status.to_string() } else { output.stderr };
        Err(NftError::Refused { message })
    }
}

/// The links a table remembers; none when it does not exist, or when `nft` was built without JSON.
pub(super) async fn localnet_links(table: &str) -> Result<BTreeSet<String>, NftError> {
    let output = run(&["-j", "list", "set", "inet", table, LOCALNET_SET], "").await?;
    let Ok(document) = serde_json::from_slice::<Value>(&output.stdout) else {
        return Ok(BTreeSet::new());
    };
    let objects = document["nftables"].as_array().into_iter().flatten();
    let elements = objects.filter_map(|object| object["set"]["elem"].as_array()).flatten();
    Ok(elements.filter_map(Value::as_str).filter(|name| is_link_name(name)).map(str::to_owned).collect())
}

/// Whether `name` can be a link's name: it becomes a path component and a quoted string.
pub(super) fn is_link_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= LINK_NAME_BYTES_MAX
        && !matches!(name, "." | "..")
        && name.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b'"' | b'\\' | b'*'))
}

async fn run(arguments: &[&str], input: &str) -> Result<process::Output, NftError> {
    let program = Program { path: Path::new(NFT), arguments, environment: &[], input: input.as_bytes() };
    process::run(&program, Instant::now() + NFT_TIMEOUT).await.map_err(|source| NftError::Run { source })
}

/// Whether the table exists.
pub(super) async fn exists(table: &str) -> Result<bool, NftError> {
    Ok(run(&["list", "table", "inet", table], "").await?.status.success())
}
