//! TLS, with certificates that are read again when their files change.
//!
//! Whoever renews a certificate replaces files; the next client gets the new one. Files that cannot be used leave the
//! last good ones in force, and the log says so. With authorities configured every client must have a certificate of
//! theirs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{CipherSuite, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::{TlsFiles, TlsVersion};

static TLS12_AND_13: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];
static TLS13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be looked at.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{} is no PEM file of the kind that is needed", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// A cipher suite has a name that is none.
    #[error("the cipher suite {name:?} is not known for TLS 1.2")]
    CipherSuite {
        /// As configured.
        name: String,
    },
    /// The parts do not belong together.
    #[error("the certificate and its key cannot be used")]
    Certificate {
        /// Why.
        source: rustls::Error,
    },
    /// The authorities cannot be used.
    #[error("the authorities of clients in {} cannot be used", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        source: VerifierBuilderError,
    },
}

/// Certificates in force. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Tls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    files: TlsFiles,
    loaded: Mutex<Loaded>,
}

#[derive(Debug, Clone)]
struct Loaded {
    stamp: Vec<Stamp>,
    config: Arc<ServerConfig>,
}

/// What changes when a file does.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    inode: u64,
    length: u64,
}

impl Tls {
    /// Reads the files.
    pub(crate) async fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let owned = files.clone();
        let loaded = blocking(move || read(&owned)).await?;
        Ok(Self(Arc::new(Shared { files: files.clone(), loaded: Mutex::new(loaded) })))
    }

    /// Agrees on TLS with a client.
    pub(crate) async fn accept<T: AsyncRead + AsyncWrite + Unpin>(&self, io: T) -> io::Result<TlsStream<T>> {
        let shared = Arc::clone(&self.0);
        let config = blocking(move || shared.current()).await;
        TlsAcceptor::from(config).accept(io).await
    }
}

impl Shared {
    /// The certificates in force, which are those in the files if these can be used.
    fn current(&self) -> Arc<ServerConfig> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        match stamp(&self.files) {
            Ok(stamp) if stamp == loaded.stamp => {}
            _ => match read(&self.files) {
                Ok(new) => {
                    tracing::info!("the certificates of the streaming server were read again");
                    *loaded = new;
                }
                Err(error) => tracing::warn!(
                    error = %crio_types::chain(&error),
                    "new certificates of the streaming server cannot be used; the old ones stay in force"
                ),
            },
        }
        Arc::clone(&loaded.config)
    }
}

/// Runs work on files where it delays nobody. Its panics go on here.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

fn read(files: &TlsFiles) -> Result<Loaded, TlsError> {
    // First, so that a change while the files are read is a change afterwards.
    let stamp = stamp(files)?;
    let chain = certificates(&files.certificate)?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|source| TlsError::Pem { path: files.key.clone(), source })?;
    let provider = Arc::new(provider(&files.cipher_suites)?);
    let versions: &[&SupportedProtocolVersion] = match files.min_version {
        TlsVersion::Tls12 => &TLS12_AND_13,
        TlsVersion::Tls13 => &TLS13,
    };
    let unusable = |source| TlsError::Certificate { source };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(unusable)?;
    let builder = match &files.authorities {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            let refused = |source| TlsError::Authorities { path: path.clone(), source };
            builder.with_client_cert_verifier(verifier.map_err(refused)?)
        }
    };
    let config = builder.with_single_cert(chain, key).map_err(unusable)?;
    Ok(Loaded { stamp, config: Arc::new(config) })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    certificates.map_err(|source| TlsError::Pem { path: path.to_owned(), source })
}

/// The library's cryptography, with fewer suites of TLS 1.2 if that is asked for.
fn provider(names: &[String]) -> Result<CryptoProvider, TlsError> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    if names.is_empty() {
        return Ok(provider);
    }
    let name = |suite: CipherSuite| suite.as_str().unwrap_or_default().to_owned();
    let is_old = |suite: &rustls::SupportedCipherSuite| suite.tls13().is_none();
    for wanted in names {
        let mut old = provider.cipher_suites.iter().filter(|suite| is_old(suite));
        if !old.any(|suite| name(suite.suite()) == *wanted) {
            return Err(TlsError::CipherSuite { name: wanted.clone() });
        }
    }
    provider.cipher_suites.retain(|suite| !is_old(suite) || names.contains(&name(suite.suite())));
    Ok(provider)
}

fn stamp(files: &TlsFiles) -> Result<Vec<Stamp>, TlsError> {
    use std::os::unix::fs::MetadataExt as _;
    let paths = [Some(&files.certificate), Some(&files.key), files.authorities.as_ref()];
    let look = |path: &PathBuf| {
        let metadata = std::fs::metadata(path).map_err(|source| TlsError::Read { path: path.clone(), source })?;
        Ok(Stamp { modified: metadata.modified().ok(), inode: metadata.ino(), length: metadata.len() })
    };
    paths.into_iter().flatten().map(look).collect()
}

#[cfg(test)]
mod tests;
