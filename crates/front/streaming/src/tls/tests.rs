//! Certificates made by openssl, as administrators make them.

use std::process::Command;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use super::*;

/// An authority, or a certificate of one, in `directory`.
fn make(directory: &Path, name: &str, authority: Option<&str>) {
    let at = |name: &str| directory.join(name).to_string_lossy().into_owned();
    let (key, certificate) = (at(&format!("{name}.key")), at(&format!("{name}.crt")));
    let mut words = vec!["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    words.extend(["-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]);
    words.extend(["-keyout", &key, "-out", &certificate]);
    let (issuer, issuer_key) =
        (authority.map(|it| at(&format!("{it}.crt"))), authority.map(|it| at(&format!("{it}.key"))));
    if let (Some(issuer), Some(issuer_key)) = (&issuer, &issuer_key) {
        words.extend(["-CA", issuer, "-CAkey", issuer_key, "-addext", "basicConstraints=critical,CA:FALSE"]);
    }
    let made = Command::new("openssl").args(words).output().expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn files(directory: &Path) -> TlsFiles {
    TlsFiles { certificate: directory.join("server.crt"), key: directory.join("server.key"), ..TlsFiles::default() }
}

static OLD: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS12];

fn client(directory: &Path, identity: Option<&str>) -> ClientConfig {
    client_of(directory, identity, &TLS12_AND_13)
}

fn client_of(directory: &Path, identity: Option<&str>, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(&directory.join("ca.crt")).unwrap());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let builder = builder.with_root_certificates(roots);
    match identity {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let chain = certificates(&directory.join(format!("{name}.crt"))).unwrap();
            let key = PrivateKeyDer::from_pem_file(directory.join(format!("{name}.key"))).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    }
}

/// Sends a word each way, and gives the serial part of the server's certificate and the version.
async fn talk(tls: &Tls, client: ClientConfig) -> io::Result<(Vec<u8>, ProtocolVersion)> {
    let (near, far) = tokio::io::duplex(64 << 10);
    let connecting = async move {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let mut stream = TlsConnector::from(Arc::new(client)).connect(name, far).await?;
        stream.write_all(b"word").await?;
        let mut word = [0u8; 4];
        stream.read_exact(&mut word).await?;
        let connection = stream.get_ref().1;
        let certificate = connection.peer_certificates().and_then(|chain| chain.first()).unwrap().to_vec();
        Ok((certificate, connection.protocol_version().unwrap()))
    };
    let accepting = async {
        let mut stream = tls.accept(near).await?;
        let mut word = [0u8; 4];
        stream.read_exact(&mut word).await?;
        stream.write_all(&word).await?;
        stream.flush().await
    };
    let both = async { tokio::join!(connecting, accepting) };
    let (connected, accepted) = tokio::time::timeout(Duration::from_secs(20), both).await?;
    accepted.and(connected)
}

#[tokio::test]
async fn a_renewed_certificate_is_used_and_a_broken_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    make(directory, "ca", None);
    make(directory, "server", Some("ca"));
    let tls = Tls::load(&files(directory)).await.unwrap();
    let (first, _) = talk(&tls, client(directory, None)).await.unwrap();
    assert_eq!(talk(&tls, client(directory, None)).await.unwrap().0, first);
    make(directory, "server", Some("ca"));
    let (second, _) = talk(&tls, client(directory, None)).await.unwrap();
    assert_ne!(second, first);
    std::fs::write(directory.join("server.crt"), "nonsense").unwrap();
    assert_eq!(talk(&tls, client(directory, None)).await.unwrap().0, second);
    assert!(Tls::load(&files(directory)).await.is_err());
}

#[tokio::test]
async fn with_authorities_every_client_needs_a_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    make(directory, "ca", None);
    make(directory, "server", Some("ca"));
    make(directory, "member", Some("ca"));
    make(directory, "stranger", None);
    let files = TlsFiles { authorities: Some(directory.join("ca.crt")), ..files(directory) };
    let tls = Tls::load(&files).await.unwrap();
    talk(&tls, client(directory, Some("member"))).await.unwrap();
    talk(&tls, client(directory, Some("stranger"))).await.unwrap_err();
    talk(&tls, client(directory, None)).await.unwrap_err();
}

#[tokio::test]
async fn versions_and_suites_are_limited_as_configured() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    make(directory, "ca", None);
    make(directory, "server", Some("ca"));
    let old_only = || client_of(directory, None, &OLD);
    let tls = Tls::load(&files(directory)).await.unwrap();
    assert_eq!(talk(&tls, old_only()).await.unwrap().1, ProtocolVersion::TLSv1_2);
    let strict = TlsFiles { min_version: TlsVersion::Tls13, ..files(directory) };
    let tls = Tls::load(&strict).await.unwrap();
    assert_eq!(talk(&tls, client(directory, None)).await.unwrap().1, ProtocolVersion::TLSv1_3);
    talk(&tls, old_only()).await.unwrap_err();

    let name = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384".to_owned();
    let few = provider(std::slice::from_ref(&name)).unwrap();
    let old: Vec<_> = few.cipher_suites.iter().filter(|suite| suite.tls13().is_none()).collect();
    assert_eq!(old.len(), 1);
    assert!(provider(&["TLS_NOT_A_SUITE".to_owned()]).is_err());
    assert!(provider(&["TLS13_AES_128_GCM_SHA256".to_owned()]).is_err());
}
