//! Pod manifests, as the command line reads them.
//!
//! Oracle: names are unique and mounts name volumes that exist.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../bin/crio/src/cli/pod"]
mod pod {
    pub(crate) mod manifest;
}

fuzz_target!(|text: &str| {
    let Ok(pod) = pod::manifest::parse(text) else { return };
    let containers: Vec<_> = pod.init_containers.iter().chain(&pod.containers).collect();
    let names: std::collections::BTreeSet<_> = containers.iter().map(|container| &container.name).collect();
    assert_eq!(names.len(), containers.len());
    let mut mounts = containers.iter().flat_map(|container| &container.mounts);
    assert!(mounts.all(|mount| pod.volumes.contains_key(&mount.volume)));
});
