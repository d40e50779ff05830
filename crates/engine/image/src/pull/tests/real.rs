//! A real registry: Debian's docker-registry on a loopback port, filled by skopeo.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;

/// A running docker-registry. Dropping it ends the process.
struct RealRegistry {
    child: Child,
    host: String,
    directory: tempfile::TempDir,
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `user:secret` as htpasswd's bcrypt spells it.
const HTPASSWD: &str = "user:$2b$04$1WMCHvWi4Gr9qsfpl/HP8u55qDadcdMaGBB4At6ra7zqciPFLq8j.\n";

/// What the registry demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Demand {
    Nothing,
    Password,
    /// Clients speak TLS.
    Tls,
    /// Clients speak TLS and present a certificate.
    ClientCertificate,
}

impl RealRegistry {
    async fn start(demand: Demand) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // The port is free now, and taken by nobody but this registry in the moment it needs to start.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let path = |name: &str| directory.path().join(name).display().to_string();
        let tls = match demand {
            Demand::Nothing | Demand::Password => String::new(),
            Demand::Tls | Demand::ClientCertificate => {
                make_certificates(directory.path());
                let clients = match demand {
                    Demand::ClientCertificate => format!(", clientcas: [{}]", path("ca.crt")),
                    _ => String::new(),
                };
                format!(", tls: {{certificate: {}, key: {}{clients}}}", path("server.crt"), path("server.key"))
            }
        };
        let mut config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{host}'{tls}}}\n",
            path("data")
        );
        if demand == Demand::Password {
            std::fs::write(path("htpasswd"), HTPASSWD).unwrap();
            config.push_str(&format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", path("htpasswd")));
        }
        std::fs::write(path("config.yml"), config).unwrap();
        let child = Command::new("docker-registry")
            .args(["serve", &path("config.yml")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the package docker-registry is installed");
        let registry = Self { child, host, directory };
        for _ in 0..500 {
            if tokio::net::TcpStream::connect(&registry.host).await.is_ok() {
                return registry;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("docker-registry does not listen on {}", registry.host);
    }

    /// Pushes an image as `app:<tag>`, in the format skopeo calls `format`.
    fn push(&self, image: &TestImage, tag: &str, format: &str) {
        let layout = self.directory.path().join("layout");
        let _ = std::fs::remove_dir_all(&layout);
        write_layout(image, &layout);
        let policy = self.directory.path().join("policy.json");
        std::fs::write(&policy, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
        let done = Command::new("skopeo")
            .args([
                "--policy",
                policy.to_str().unwrap(),
                "copy",
                "-q",
                "--dest-tls-verify=false",
                "--dest-creds",
                "user:secret",
            ])
            .args([
                "--format",
                format,
                &format!("oci:{}:x", layout.display()),
                &format!("docker://{}/app:{tag}", self.host),
            ])
            .output()
            .expect("skopeo is installed");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

/// An authority, a server certificate for the loopback address and a client certificate, all signed by it.
fn make_certificates(directory: &Path) {
    let script = r#"set -e
        key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
        openssl req -x509 $key -keyout ca.key -out ca.crt -subj /CN=authority -days 2
        for name in server client; do
            openssl req $key -keyout $name.key -out $name.csr -subj /CN=$name
            printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' > $name.ext
            openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out $name.crt -days 2 -extfile $name.ext
        done"#;
    let done = Command::new("sh").args(["-c", script]).current_dir(directory).output().expect("there is a shell");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Writes an image as an OCI layout.
fn write_layout(image: &TestImage, directory: &Path) {
    let blobs = directory.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    for content in image.blobs.iter().chain([&image.config, &image.manifest]) {
        std::fs::write(blobs.join(Digest::of(content).hex()), content).unwrap();
    }
    std::fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [{
        "mediaType": crate::OCI_MANIFEST, "digest": image.manifest_digest().to_string(), "size": image.manifest.len(),
        "annotations": {"org.opencontainers.image.ref.name": "x"},
    }]});
    std::fs::write(directory.join("index.json"), index.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_from_docker_registry() {
    let registry = RealRegistry::start(Demand::Nothing).await;
    let image = TestImage::of_tars(TestImage::sized(3, 200 << 10).tars, |_, tar| images::gzip(tar));
    registry.push(&image, "oci", "oci");
    registry.push(&image, "docker", "v2s2");
    for (tag, media_type) in [("oci", crate::OCI_MANIFEST), ("docker", crate::DOCKER_MANIFEST)] {
        let (puller, _directory) = puller(&insecure(&[&registry.host]));
        let name = format!("{}/app:{tag}", registry.host);
        let pulled = puller.pull(&request(&name), &Progress::default()).await.unwrap();
        assert_eq!(pulled.manifest.media_type, media_type);
        assert_eq!(puller.sink().layers(), image.tars);
    }
    let (puller, _directory) = puller(&insecure(&[&registry.host]));
    let unknown = format!("{}/app:none", registry.host);
    let error = puller.pull(&request(&unknown), &Progress::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(chain(&error).starts_with(&format!("manifest unknown: {unknown}")), "{}", chain(&error));
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_registry_checks_passwords() {
    let registry = RealRegistry::start(Demand::Password).await;
    let image = TestImage::of_tars(TestImage::layers(1).tars, |_, tar| images::gzip(tar));
    registry.push(&image, "1", "oci");
    let (puller, directory) = puller(&insecure(&[&registry.host]));
    let name = format!("{}/app:1", registry.host);
    for (credentials, succeeds) in
        [(None, false), (Some(basic("user", "no")), false), (Some(basic("user", "secret")), true)]
    {
        let request = Request { credentials, ..request(&name) };
        let pulled = puller.pull(&request, &Progress::default()).await;
        assert_eq!(pulled.is_ok(), succeeds);
        if let Err(error) = pulled {
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        }
    }
    let auths = format!(r#"{{"auths":{{"{}":{{"auth":"dXNlcjpzZWNyZXQ="}}}}}}"#, registry.host);
    std::fs::write(directory.path().join("auth.json"), auths).unwrap();
    puller.pull(&request(&name), &Progress::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_checked_and_presented() {
    let (image, registry) = (TestImage::layers(1), RealRegistry::start(Demand::Tls).await);
    registry.push(&image, "1", "oci");
    let request = request(&format!("{}/app:1", registry.host));

    let (trusting, _waived) = puller(&insecure(&[&registry.host]));
    trusting.pull(&request, &Progress::default()).await.unwrap();

    let (puller, directory) = puller("");
    let error = puller.pull(&request, &Progress::default()).await.unwrap_err();
    assert!(chain(&error).starts_with("RegistryUnavailable: "), "{}", chain(&error));
    puller.sink().assert_untouched().await;
    let host = directory.path().join("certs.d").join(&registry.host);
    std::fs::create_dir_all(&host).unwrap();
    std::fs::copy(registry.directory.path().join("ca.crt"), host.join("ca.crt")).unwrap();
    puller.client().reload().unwrap();
    puller.pull(&request, &Progress::default()).await.unwrap();

    // The registry now wants to know us, too.
    let strict = RealRegistry::start(Demand::ClientCertificate).await;
    let request = super::request(&format!("{}/app:none", strict.host));
    let host = directory.path().join("certs.d").join(&strict.host);
    std::fs::create_dir_all(&host).unwrap();
    let copy = |from: &str, to: &str| std::fs::copy(strict.directory.path().join(from), host.join(to)).unwrap();
    copy("ca.crt", "ca.crt");
    let error = puller.pull(&request, &Progress::default()).await.unwrap_err();
    assert!(chain(&error).starts_with("RegistryUnavailable: "), "{}", chain(&error));
    copy("client.crt", "client.cert");
    copy("client.key", "client.key");
    puller.client().reload().unwrap();
    let error = puller.pull(&request, &Progress::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{}", chain(&error));
}
