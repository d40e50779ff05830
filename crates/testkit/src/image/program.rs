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
        let mut layer = self.host_file(from, to)?;
        for library in libraries(from) {
            layer = layer.host_file(&library, &library)?;
        }
        Ok(layer)
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
    let status = std::process::Command::new("apt-get")
        .args(["download", "--quiet", name])
        .current_dir(cache)
        .status()
        .context("cannot run apt-get")?;
    ensure!(status.success(), "apt-get cannot download {name}");
    find()?.with_context(|| format!("apt-get has downloaded no package {name}"))
}

/// The libraries a program loads; none for a static one, at which `ldd` fails.
fn libraries(program: &str) -> Vec<String> {
    let listed = run::text("ldd", &[program]).unwrap_or_default();
    let paths = listed.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    paths.map(str::to_owned).collect()
}
