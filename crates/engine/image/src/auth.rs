//! The node's own credentials: containers-auth.json(5) files, Docker's config.json, and credential helpers.
//!
//! A look-up is for one repository of one registry, so that what is found can be sent to that registry alone. The
//! first source with an answer wins: in each file the registry's helper, then the entry with the longest path, then
//! the file's default helper. What the caller of a pull brings itself does not pass through here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crio_types::Credentials;

use crate::reference::Reference;
use crate::registries::{AUTH_FILES, Registries};

mod file;
mod helper;

use file::AuthFile;

/// Credentials that could not be looked up. A file that does not exist is no error.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// A file cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not JSON of the expected shape. The source is left out: it would quote the secret.
    #[error("{} is not an authentication file (line {line})", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
    },
    /// An entry's secret is not base64 of `user:password`.
    #[error("the entry for {key} in {} is not base64 of user:password", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// Which entry.
        key: String,
    },
    /// A credential helper failed.
    #[error("credential helper {name}: {reason}")]
    Helper {
        /// Its name, without the `docker-credential-` in front.
        name: String,
        /// What happened.
        reason: String,
    },
}

/// Where authentication files are, first to last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthFiles {
    /// The files. Docker's older formats are recognised by their content.
    pub paths: Vec<PathBuf>,
    /// How long a credential helper may take.
    pub helper_timeout: Duration,
}

impl AuthFiles {
    /// How long a credential helper may take, unless configured.
    pub const HELPER_TIMEOUT: Duration = Duration::from_secs(20);

    /// `given` if there is one, or else the places containers-auth.json(5) names, for the user this process runs as.
    #[must_use]
    pub fn new(given: Option<&Path>) -> Self {
        let paths = match given {
            Some(path) => vec![path.to_owned()],
            None => default_paths(|name| std::env::var_os(name).map(PathBuf::from)),
        };
        Self { paths, helper_timeout: Self::HELPER_TIMEOUT }
    }

    /// What to present to the registry of `reference`; `None` means anonymous.
    ///
    /// # Errors
    /// A source exists and cannot be used. Going on anonymously would turn that into a puzzling refusal.
    pub(crate) async fn find(
        &self,
        registries: &Registries,
        reference: &Reference,
    ) -> Result<Option<Credentials>, AuthError> {
        for source in registries.credential_helpers() {
            let found = if source == AUTH_FILES {
                self.find_in_files(reference).await?
            } else {
                helper::get(source, reference.domain(), self.helper_timeout).await?
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    async fn find_in_files(&self, reference: &Reference) -> Result<Option<Credentials>, AuthError> {
        for path in &self.paths {
            // The files are small and local; a blocking thread would cost more than the read.
            let Some(file) = AuthFile::read(path)? else { continue };
            if let Some(name) = file.helper_for(reference.domain()) {
                return helper::get(name, reference.domain(), self.helper_timeout).await;
            }
            if let Some(credentials) = file.entry_for(reference, path)? {
                return Ok(Some(credentials));
            }
            if let Some(name) = file.default_helper()
                && let Some(credentials) = helper::get(name, reference.domain(), self.helper_timeout).await?
            {
                return Ok(Some(credentials));
            }
        }
        Ok(None)
    }
}

fn default_paths(variable: impl Fn(&str) -> Option<PathBuf>) -> Vec<PathBuf> {
    if let Some(path) = variable("REGISTRY_AUTH_FILE") {
        return vec![path];
    }
    let uid = rustix::process::getuid().as_raw();
    let run = match variable("XDG_RUNTIME_DIR") {
        Some(directory) => directory.join("containers/auth.json"),
        None => PathBuf::from(format!("/run/containers/{uid}/auth.json")),
    };
    let mut paths = vec![run];
    let home = variable("HOME");
    if let Some(config) = variable("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|home| home.join(".config"))) {
        paths.push(config.join("containers/auth.json"));
    }
    if let Some(docker) = variable("DOCKER_CONFIG").or_else(|| home.as_ref().map(|home| home.join(".docker"))) {
        paths.push(docker.join("config.json"));
    }
    if let Some(home) = home {
        paths.push(home.join(".dockercfg"));
    }
    paths
}

#[cfg(test)]
mod tests;
