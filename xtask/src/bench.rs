//! `cargo xtask bench`: measures what is shipped, on a private daemon with a registry of its own.
//!
//! Prints the driver's table and keeps its figures as JSON in `target/bench/crio-rs.json`. Arguments go to the driver. To measure
//! another runtime, build `crio-bench` and give it that runtime's socket; see `bench/README.md`.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::run::root;
use crate::{demo, setup, test};

/// Runs the benchmark.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    ensure!(test::is_root(), "the benchmark runs pods: run it as root");
    setup::packages()?;
    demo::build()?;
    let results = root().join("target/bench");
    fs::create_dir_all(&results).with_context(|| format!("cannot make {}", results.display()))?;
    let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    let mut line = vec![text(demo::release("crio-bench")), "--save".to_owned(), text(results.join("crio-rs.json"))];
    line.extend_from_slice(arguments);
    demo::become_program("crio-bench-node", &line)
}
