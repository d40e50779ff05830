//! Programs inside layers: host programs with the libraries they load, and Debian packages.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::Layer;
use crate::run;

impl Layer {
    /// Copies a program of this machine to `to`, with every library `ldd` names.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn host_program(self, from: &str, to: &str) -> Result<Self> {
        self.host_file(from, to)?.libraries_of(from)
    }

    /// Copies the libraries that a program of this machine loads, and that are not in the layer yet.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn libraries_of(mut self, program: &str) -> Result<Self> {
        for library in libraries(program) {
            if !self.has(&library) {
                self = self.host_file(&library, &library)?;
            }
        }
        Ok(self)
    }

    /// Copies a program out of a Debian package to the place it has there, with the libraries of this machine that it loads.
    /// The package is not installed, so that no service of it starts.
    ///
    /// # Errors
    /// The package cannot be had or read, or has no such program.
    pub fn packaged_program(self, package: &str, program: &str, cache: &Path) -> Result<Self> {
        let package = fetch(package, cache)?;
        let unpacked = tempfile::tempdir()?;
        run::output("dpkg-deb", &["--extract", &package.to_string_lossy(), &unpacked.path().to_string_lossy()])?;
        let from = unpacked.path().join(program.trim_start_matches('/'));
        self.host_program(&from.to_string_lossy(), program)
    }

    /// Unpacks a Debian package of the machine's release, without what it depends on. The package is fetched once into
    /// `cache`; a package already there is not fetched again.
    ///
    /// # Errors
    /// The package cannot be had or read.
    pub fn debian_package(mut self, name: &str, cache: &Path) -> Result<Self> {
        let package = fetch(name, cache)?;
        let content = run::output("dpkg-deb", &["--fsys-tarfile", &package.to_string_lossy()])?;
        let mut archive = tar::Archive::new(content.as_slice());
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.to_string_lossy().trim_start_matches('.').to_owned();
            let mode = entry.header().mode()?;
            let link = entry.link_name()?.map(|target| target.to_string_lossy().into_owned());
            layer_entry(&mut self, &mut entry, &path, mode, link)?;
        }
        Ok(self)
    }
}

fn layer_entry(
    layer: &mut Layer,
    entry: &mut tar::Entry<'_, &[u8]>,
    path: &str,
    mode: u32,
    link: Option<String>,
) -> Result<()> {
    let before = std::mem::take(layer);
    *layer = match (entry.header().entry_type(), link) {
        (tar::EntryType::Directory, _) if path == "/" => before,
        (tar::EntryType::Directory, _) => before.directory(path, mode),
        (tar::EntryType::Symlink, Some(target)) => before.symlink(path, &target),
        (tar::EntryType::Link, Some(target)) => before.hard_link(path, target.trim_start_matches('.')),
        _ => {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).context("cannot read a package")?;
            before.file(path, mode, content)
        }
    };
    Ok(())
}

fn fetch(name: &str, cache: &Path) -> Result<std::path::PathBuf> {
    fs::create_dir_all(cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let prefix = format!("{name}_");
    let find = || -> Result<Option<std::path::PathBuf>> {
        let entries = fs::read_dir(cache)?.collect::<std::io::Result<Vec<_>>>()?;
        let is_it = |entry: &fs::DirEntry| {
            let file = entry.file_name().to_string_lossy().into_owned();
            file.starts_with(&prefix) && file.ends_with(".deb")
        };
        Ok(entries.into_iter().find(is_it).map(|entry| entry.path()))
    };
    if let Some(package) = find()? {
        return Ok(package);
    }
    // The user that apt downloads as cannot write into our directory. A machine that was never updated has no lists.
    let apt = |arguments: &[&str]| -> Result<bool> {
        let mut command = std::process::Command::new("apt-get");
        command.args(["-qq", "-o", "APT::Sandbox::User=root"]).args(arguments).current_dir(cache);
        Ok(command.status().context("cannot run apt-get")?.success())
    };
    let downloaded = apt(&["download", name])? || (apt(&["update"])? && apt(&["download", name])?);
    ensure!(downloaded, "apt-get cannot download {name}");
    find()?.with_context(|| format!("apt-get has downloaded no package {name}"))
}

/// The libraries a program loads; none for a static one, at which `ldd` fails.
fn libraries(program: &str) -> Vec<String> {
    let listed = run::text("ldd", &[program]).unwrap_or_default();
    let paths = listed.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    paths.map(str::to_owned).collect()
}
