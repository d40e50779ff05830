//! Dependencies point downward: bin, front, lifecycle, engine, base. Engines do not know one another, and nothing that is shipped
//! depends on what tests it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use toml::{Table, Value};

use super::{File, Findings};

/// Higher may depend on lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Base,
    Engine,
    Lifecycle,
    Front,
    Program,
    /// Test kit, tests, benchmarks, tasks.
    Workshop,
}

impl Layer {
    fn of(manifest: &Path) -> Option<Self> {
        let parts: Vec<&str> = manifest.iter().filter_map(|part| part.to_str()).collect();
        match parts.as_slice() {
            ["crates", "base", ..] => Some(Self::Base),
            ["crates", "engine", ..] => Some(Self::Engine),
            ["crates", "lifecycle", ..] => Some(Self::Lifecycle),
            ["crates", "front", ..] => Some(Self::Front),
            ["bin", ..] => Some(Self::Program),
            ["crates", "testkit", ..] | ["tests" | "bench" | "xtask", ..] => Some(Self::Workshop),
            _ => None,
        }
    }

    fn may_use(self, other: Self) -> bool {
        match self {
            Self::Workshop => true,
            Self::Engine | Self::Program => other < self,
            Self::Base | Self::Lifecycle | Self::Front => other <= self,
        }
    }
}

struct Member {
    name: String,
    layer: Layer,
    dependencies: Vec<String>,
}

pub(super) fn check(files: &[File], findings: &mut Findings) -> Result<()> {
    let mut members = Vec::new();
    for file in files.iter().filter(|file| file.name() == "Cargo.toml") {
        if let Some(layer) = Layer::of(&file.path) {
            members.push(member(file, layer).with_context(|| format!("cannot understand {}", file.path.display()))?);
        }
    }
    let layers: BTreeMap<&str, Layer> = members.iter().map(|member| (member.name.as_str(), member.layer)).collect();
    for member in &members {
        for name in &member.dependencies {
            let Some(&layer) = layers.get(name.as_str()) else {
                continue;
            };
            if !member.layer.may_use(layer) {
                findings.problem(format!("{} ({:?}) depends on {name} ({layer:?})", member.name, member.layer));
            }
        }
    }
    Ok(())
}

/// What tests depend on is not looked at: a test may use the test kit, or a neighbour.
fn member(file: &File, layer: Layer) -> Result<Member> {
    let manifest: Table = file.text.parse()?;
    let name = manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str);
    let tables = ["dependencies", "build-dependencies"].map(|table| manifest.get(table).and_then(Value::as_table));
    let dependencies = tables.into_iter().flatten().flat_map(|table| table.keys().cloned()).collect();
    Ok(Member { name: name.context("it names no package")?.to_owned(), layer, dependencies })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(manifests: &[(&str, &str, &[&str])]) -> Vec<String> {
        let files: Vec<File> = manifests
            .iter()
            .map(|(path, name, uses)| {
                let uses: String = uses.iter().map(|name| format!("{name} = \"1\"\n")).collect();
                let text = format!("[package]\nname = \"{name}\"\n[dependencies]\n{uses}");
                File { path: Path::new(path).join("Cargo.toml"), text }
            })
            .collect();
        let mut findings = Findings::default();
        check(&files, &mut findings).unwrap();
        findings.problems
    }

    #[test]
    fn only_downward_edges_are_allowed() {
        let base = ("crates/base/types", "types", &[][..]);
        let network = ("crates/engine/network", "network", &["types", "serde"][..]);
        let good = ("crates/lifecycle/pods", "pods", &["network", "spec"][..]);
        let spec = ("crates/lifecycle/spec", "spec", &["types"][..]);
        assert_eq!(problems(&[base, network, good, spec]), Vec::<String>::new());
        let sideways = ("crates/engine/storage", "storage", &["network"][..]);
        let upward = ("crates/base/config", "config", &["pods"][..]);
        assert_eq!(problems(&[base, network, good, spec, sideways, upward]).len(), 2);
        let kit = ("crates/testkit", "testkit", &["pods"][..]);
        let shipped = ("bin/crio", "crio", &["testkit"][..]);
        assert_eq!(problems(&[good, kit, shipped]).len(), 1);
    }
}
