//! The entry of an index that runs here.

use super::{Descriptor, Index, ManifestError};
use crate::platform::Platform;

/// Marks an entry whose layers are compressed with zstd, which unpack several times faster than gzip.
const ZSTD_ANNOTATION: &str = "io.github.containers.compression.zstd";
const MAX_OFFERED_LISTED: usize = 16;

/// The best entry for `platform`: the nearest variant, then zstd before others, then the earliest.
pub(crate) fn choose<'a>(index: &'a Index, platform: &Platform) -> Result<&'a Descriptor, ManifestError> {
    let ranked = index.manifests.iter().filter_map(|entry| {
        let rank = match &entry.platform {
            Some(offered) => platform.rank(offered)?,
            // An index of one image for everybody leaves the platform out.
            None if index.manifests.len() == 1 => 0,
            None => return None,
        };
        let is_zstd = entry.annotations.get(ZSTD_ANNOTATION).is_some_and(|value| value == "true");
        Some(((rank, !is_zstd), entry))
    });
    ranked
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, entry)| entry)
        .ok_or_else(|| ManifestError::NoPlatform { wanted: platform.to_string(), offered: offered(index) })
}

fn offered(index: &Index) -> String {
    let mut names: Vec<String> = index
        .manifests
        .iter()
        .filter_map(|entry| entry.platform.as_ref())
        .take(MAX_OFFERED_LISTED)
        .map(|platform| platform.to_string().chars().take(64).collect())
        .collect();
    names.dedup();
    if names.is_empty() { "no platforms".to_owned() } else { names.join(", ") }
}
