//! Per-registry certificates: containers-certs.d(5).
//!
//! `<directory>/<host:port>/` may hold `*.crt` (authorities trusted besides the system's) and pairs of `*.cert` and
//! `*.key` (what we present). The first directory that has the host is used alone.

use std::path::{Path, PathBuf};

const MAX_FILE_BYTES: u64 = 1 << 20;

/// What certs.d holds for one host.
#[derive(Debug, Default)]
pub(crate) struct HostCertificates {
    /// PEM bundles of authorities.
    pub(crate) authorities: Vec<Vec<u8>>,
    /// PEM of our certificate chain and its key, in one.
    pub(crate) identity: Option<Vec<u8>>,
}

/// Certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file or directory cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// One half of a pair is missing.
    #[error("{} has no matching {missing} file", path.display())]
    Unpaired {
        /// The half that is there.
        path: PathBuf,
        /// Extension of the one that is not.
        missing: &'static str,
    },
}

impl HostCertificates {
    /// Reads what `directories` hold for `host`, which is a host name with the port of the reference.
    pub(crate) fn read(directories: &[PathBuf], host: &str) -> Result<Self, CertificateError> {
        // The host comes out of a parsed reference or URL, but here it becomes a path.
        if host.is_empty() || host.starts_with('.') || host.contains('/') {
            return Ok(Self::default());
        }
        let found = directories.iter().map(|directory| directory.join(host)).find(|path| path.is_dir());
        found.map_or_else(|| Ok(Self::default()), |path| Self::read_directory(&path))
    }

    fn read_directory(directory: &Path) -> Result<Self, CertificateError> {
        let failed = |source| CertificateError::Read { path: directory.to_owned(), source };
        let mut names = std::fs::read_dir(directory)
            .map_err(failed)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        names.sort();
        let mut certificates = Self::default();
        for path in names {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => certificates.authorities.push(read_file(&path)?),
                Some("cert") => certificates.identity = Some(pair(&path)?),
                Some("key") if !path.with_extension("cert").exists() => {
                    return Err(CertificateError::Unpaired { path, missing: "cert" });
                }
                _ => {}
            }
        }
        Ok(certificates)
    }
}

fn pair(certificate: &Path) -> Result<Vec<u8>, CertificateError> {
    let key = certificate.with_extension("key");
    if !key.exists() {
        return Err(CertificateError::Unpaired { path: certificate.to_owned(), missing: "key" });
    }
    let mut pem = read_file(certificate)?;
    pem.push(b'\n');
    pem.extend(read_file(&key)?);
    Ok(pem)
}

fn read_file(path: &Path) -> Result<Vec<u8>, CertificateError> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes))
        .map_err(|source| CertificateError::Read { path: path.to_owned(), source })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_directory_with_the_host_counts() {
        let root = tempfile::tempdir().unwrap();
        let directories = [root.path().join("containers"), root.path().join("docker")];
        for (path, content) in [
            ("docker/a.b:5000/ca.crt", "docker"),
            ("docker/only:1/ca.crt", "docker"),
            ("containers/a.b:5000/ca.crt", "containers"),
            ("containers/a.b:5000/client.cert", "cert"),
            ("containers/a.b:5000/client.key", "key"),
            ("containers/half/client.cert", "cert"),
            ("containers/other-half/client.key", "key"),
        ] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let both = HostCertificates::read(&directories, "a.b:5000").unwrap();
        assert_eq!(both.authorities, [b"containers".to_vec()]);
        assert_eq!(both.identity.as_deref(), Some(b"cert\nkey".as_slice()));
        let fallback = HostCertificates::read(&directories, "only:1").unwrap();
        assert_eq!(fallback.authorities, [b"docker".to_vec()]);
        for none in ["a.b", "", ".", "..", "../docker/only:1"] {
            assert!(HostCertificates::read(&directories, none).unwrap().authorities.is_empty(), "{none:?}");
        }
        assert!(HostCertificates::read(&directories, "half").is_err());
        assert!(HostCertificates::read(&directories, "other-half").is_err());
    }
}
