//! Pulls from registries that behave, and from registries that do not.

mod cancel;
mod credentials;
mod fake;
mod faults;
mod hostile;
mod images;
mod memory;
mod real;

use std::time::Duration;

use crio_types::{Classified, Credentials, ErrorKind, chain};

use self::fake::FakeRegistry;
use self::images::TestImage;
use self::memory::MemorySink;
use super::*;
use crate::client::Config;
use crate::registries::RegistriesPaths;
use crate::registry::Timeouts;

/// A puller with no patience, into memory, with this registries.conf.
fn puller(registries: &str) -> (Puller<MemorySink>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let main = directory.path().join("registries.conf");
    std::fs::write(&main, registries).unwrap();
    let config = Config {
        registries: RegistriesPaths {
            main,
            drop_ins: directory.path().join("none.d"),
            recorded_aliases: directory.path().join("none.conf"),
        },
        auth_files: AuthFiles {
            paths: vec![directory.path().join("auth.json")],
            helper_timeout: Duration::from_secs(5),
        },
        certificate_directories: vec![directory.path().join("certs.d")],
        platform: crate::Platform { os: "linux".into(), architecture: "amd64".into(), variant: String::new() },
        timeouts: Timeouts {
            connect: Duration::from_secs(2),
            stall: Duration::from_millis(400),
            backoff: Duration::from_millis(5),
            floor_window: Duration::from_secs(5),
        },
        unpack_limits: UnpackLimits { ratio: 10, allowance_bytes: 4 << 20 },
        ..Config::default()
    };
    (Puller::new(Client::new(config).unwrap(), MemorySink::default()), directory)
}

/// Tables that call these hosts insecure.
fn insecure(hosts: &[&str]) -> String {
    hosts.iter().map(|host| format!("[[registry]]\nlocation = \"{host}\"\ninsecure = true\n")).collect()
}

fn request(name: &str) -> Request {
    Request { reference: Reference::parse(name).unwrap(), credentials: None, auth_files: None }
}

fn basic(username: &str, password: &str) -> Credentials {
    Credentials::Basic { username: username.to_owned(), password: password.to_owned() }
}

/// Pulls `app:1` from one fake registry.
async fn pull_from(registry: &FakeRegistry, name: &str) -> (Result<PulledImage, PullError>, Puller<MemorySink>) {
    let (puller, _directory) = puller(&insecure(&[registry.host()]));
    let pulled = puller.pull(&request(&format!("{}/{name}", registry.host())), &Progress::default()).await;
    (pulled, puller)
}

/// A pull that must fail and leave nothing.
async fn refused(registry: &FakeRegistry) -> (ErrorKind, String) {
    let (pulled, puller) = pull_from(registry, "app:1").await;
    let error = pulled.expect_err("the pull must fail");
    puller.sink().assert_untouched().await;
    (error.kind(), chain(&error))
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_a_manifest_and_an_index() {
    let image = TestImage::layers(3);
    let registry = FakeRegistry::start().await;
    registry.serve(&image);
    registry.serve_index(&image, "multi");
    for (name, has_index) in [("app:1", false), ("app:multi", true), ("app", false)] {
        registry.serve_as(&image, "latest");
        let (pulled, puller) = pull_from(&registry, name).await;
        let pulled = pulled.unwrap();
        assert_eq!(pulled.index.is_some(), has_index, "{name}");
        assert_eq!(pulled.manifest_bytes, image.manifest);
        assert_eq!(pulled.config_bytes, image.config);
        assert_eq!(puller.sink().layers(), image.tars);
        assert_eq!(puller.sink().recorded(), [image.config_digest()]);
    }
    let by_digest = format!("app@{}", image.manifest_digest());
    let (pulled, _) = pull_from(&registry, &by_digest).await;
    assert_eq!(pulled.unwrap().reference.to_string(), format!("{}/{by_digest}", registry.host()));
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_that_are_here_are_not_fetched() {
    let image = TestImage::layers(3);
    let registry = FakeRegistry::start().await;
    registry.serve(&image);
    let (puller, _directory) = puller(&insecure(&[registry.host()]));
    let request = request(&format!("{}/app:1", registry.host()));
    puller.pull(&request, &Progress::default()).await.unwrap();
    let first = registry.blob_bytes();
    let progress = Progress::default();
    puller.pull(&request, &progress).await.unwrap();
    assert_eq!(registry.blob_bytes() - first, image.config.len() as u64);
    assert!(progress.layers().iter().all(|layer| layer.done_bytes() == layer.total_bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn says_what_is_missing() {
    let registry = FakeRegistry::start().await;
    let (kind, text) = refused(&registry).await;
    assert_eq!(kind, ErrorKind::NotFound);
    assert!(text.starts_with(&format!("manifest unknown: {}/app:1", registry.host())), "{text}");

    let gone = FakeRegistry::start().await;
    let host = gone.host().to_owned();
    drop(gone);
    let (puller, _directory) = puller(&insecure(&[&host]));
    let error = puller.pull(&request(&format!("{host}/app:1")), &Progress::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknown);
    assert!(chain(&error).starts_with("RegistryUnavailable: "), "{}", chain(&error));
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_needs_permission() {
    let image = TestImage::layers(1);
    let registry = FakeRegistry::start().await;
    registry.serve(&image);
    let (puller, _directory) = puller("");
    let name = format!("{}/app:1", registry.host());
    let error = puller.pull(&request(&name), &Progress::default()).await.unwrap_err();
    assert!(chain(&error).starts_with("RegistryUnavailable: "), "{}", chain(&error));
    assert_eq!(registry.requests().len(), 0);
}
