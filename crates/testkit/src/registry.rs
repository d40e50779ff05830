//! A real registry: Debian's `docker-registry` on a free loopback port, with its store in a temporary directory.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Client, Method, RequestBuilder, Url};
use tempfile::TempDir;

use crate::image::{Blob, Image};
use crate::run;

const START_TIMEOUT: Duration = Duration::from_secs(10);
/// A free port can be taken by somebody else before the registry listens.
const START_ATTEMPTS: usize = 3;

/// A user name and password.
#[derive(Debug, Clone)]
pub struct Password {
    /// Name.
    pub user: String,
    /// Password.
    pub password: String,
}

/// A running registry; it ends when this is dropped.
#[derive(Debug)]
pub struct Registry {
    process: Child,
    port: u16,
    directory: TempDir,
    password: Option<Password>,
    client: Client,
}

impl Registry {
    /// Starts a registry that anybody may read and write.
    ///
    /// # Errors
    /// `docker-registry` is not installed or does not come up.
    pub async fn start() -> Result<Self> {
        Self::start_with(None).await
    }

    /// Starts a registry that wants basic authentication for everything.
    ///
    /// # Errors
    /// As [`Registry::start`].
    pub async fn start_with_password(user: &str, password: &str) -> Result<Self> {
        Self::start_with(Some(Password { user: user.to_owned(), password: password.to_owned() })).await
    }

    async fn start_with(password: Option<Password>) -> Result<Self> {
        for _ in 0..START_ATTEMPTS {
            let mut registry = Self::spawn(password.clone())?;
            let port = registry.port;
            let up = run::until("the registry listens", START_TIMEOUT, async || {
                if registry.process.try_wait()?.is_some() {
                    return Ok(Some(false));
                }
                Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok().then_some(true))
            });
            if up.await? {
                return Ok(registry);
            }
        }
        bail!("the registry ended {START_ATTEMPTS} times while starting")
    }

    fn spawn(password: Option<Password>) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("ct-registry-").tempdir()?;
        let port = free_port()?;
        let configuration = directory.path().join("config.yml");
        fs::write(&configuration, configure(directory.path(), port, password.as_ref())?)?;
        let log = fs::File::create(directory.path().join("log"))?;
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot run docker-registry")?;
        Ok(Self {
            process,
            port,
            directory,
            password,
            client: Client::builder().build().context("cannot make an HTTP client")?,
        })
    }

    /// Host and port, as the first part of an image name.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The full name of a repository and tag here.
    #[must_use]
    pub fn name(&self, repository: &str) -> String {
        format!("{}/{repository}", self.host())
    }

    /// What the registry has written about itself, one line for each request.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Pushes an image as `repository:tag` and gives its full name.
    ///
    /// # Errors
    /// The registry refuses a part of it.
    pub async fn push(&self, image: &Image, name: &str) -> Result<String> {
        let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "latest"));
        for blob in &image.blobs {
            self.push_blob(repository, blob).await.with_context(|| format!("cannot push {}", blob.digest))?;
        }
        for manifest in &image.manifests {
            self.push_manifest(repository, &manifest.digest, manifest).await?;
        }
        self.push_manifest(repository, tag, &image.root).await?;
        Ok(self.name(&format!("{repository}:{tag}")))
    }

    async fn push_blob(&self, repository: &str, blob: &Blob) -> Result<()> {
        let there = self.url(&format!("{repository}/blobs/{}", blob.digest))?;
        if self.request(Method::HEAD, there).send().await?.status().is_success() {
            return Ok(());
        }
        let uploads = self.url(&format!("{repository}/blobs/uploads/"))?;
        let started = self.request(Method::POST, uploads.clone()).send().await?.error_for_status()?;
        let location = started.headers().get(LOCATION).context("the registry names no place for an upload")?;
        let mut place = uploads.join(location.to_str()?)?;
        place.query_pairs_mut().append_pair("digest", &blob.digest);
        let upload = self.request(Method::PUT, place).header(CONTENT_TYPE, "application/octet-stream");
        upload.body(blob.bytes.clone()).send().await?.error_for_status()?;
        Ok(())
    }

    async fn push_manifest(&self, repository: &str, reference: &str, manifest: &Blob) -> Result<()> {
        let place = self.url(&format!("{repository}/manifests/{reference}"))?;
        let request = self.request(Method::PUT, place).header(CONTENT_TYPE, &manifest.media_type);
        let answer = request.body(manifest.bytes.clone()).send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "the registry refuses a manifest with {status}: {}", answer.text().await?);
        Ok(())
    }

    /// Deletes a manifest by its digest.
    ///
    /// # Errors
    /// The registry refuses.
    pub async fn delete(&self, repository: &str, digest: &str) -> Result<()> {
        let place = self.url(&format!("{repository}/manifests/{digest}"))?;
        self.request(Method::DELETE, place).send().await?.error_for_status()?;
        Ok(())
    }

    fn url(&self, path: &str) -> Result<Url> {
        Ok(Url::parse(&format!("http://{}/v2/{path}", self.host()))?)
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.client.request(method, url);
        match &self.password {
            Some(Password { user, password }) => request.basic_auth(user, Some(password)),
            None => request,
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that nobody listened on a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

fn configure(directory: &std::path::Path, port: u16, password: Option<&Password>) -> Result<String> {
    let store = directory.join("store");
    let mut text = format!(
        "version: 0.1\nlog: {{level: warn}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\n\
         http: {{addr: '127.0.0.1:{port}'}}\n",
        store.display()
    );
    if let Some(Password { user, password }) = password {
        let file = directory.join("htpasswd");
        fs::write(&file, format!("{user}:{}\n", bcrypt(password)?))?;
        text += &format!("auth:\n  htpasswd: {{realm: test, path: {}}}\n", file.display());
    }
    Ok(text)
}

/// Hashes with the C library's `crypt` through perl, which every Debian has.
fn bcrypt(password: &str) -> Result<String> {
    const SCRIPT: &str = "print crypt($ARGV[0], q($2y$05$testkittestkittestkitu))";
    run::text("perl", &["-e", SCRIPT, password])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Compression, Format, ImageBuilder, Layer};

    fn image(format: Format) -> Image {
        let layer = Layer::new().file("/a", 0o644, "a");
        ImageBuilder::new(format).layer(layer, Compression::Gzip).build().unwrap()
    }

    #[tokio::test]
    async fn pushed_images_and_indexes_can_be_inspected() {
        let registry = Registry::start().await.unwrap();
        let docker = registry.push(&image(Format::Docker), "some/docker:1").await.unwrap();
        let index = Image::index(Format::Oci, &[("linux/amd64", image(Format::Oci))]).unwrap();
        let index = registry.push(&index, "some/index").await.unwrap();
        for name in [docker, index] {
            let place = format!("docker://{name}");
            let inspected = run::text("skopeo", &["inspect", "--tls-verify=false", &place]).unwrap();
            assert!(inspected.contains("amd64"), "{inspected}");
        }
        assert!(registry.log().contains("manifests"));
    }

    #[tokio::test]
    async fn a_password_is_asked_for() {
        let registry = Registry::start_with_password("me", "secret").await.unwrap();
        let name = registry.push(&image(Format::Oci), "private").await.unwrap();
        let place = format!("docker://{name}");
        assert!(run::text("skopeo", &["inspect", "--tls-verify=false", &place]).is_err());
        run::text("skopeo", &["inspect", "--tls-verify=false", "--creds", "me:secret", &place]).unwrap();
    }
}
