//! How layers of pulled images are named, so that podman finds ours and we find podman's.
//!
//! The rule is containers/image's: the lowest layer has its diff's digest as id, every other the sha256 of
//! `<parent id>+<diff digest in hex>`. Both start from the digest of the uncompressed diff.

use crio_types::LayerId;
use sha2::{Digest, Sha256};

/// The id of the layer with this uncompressed digest (`sha256:<hex>`) on top of `parent`; `None` when the digest is
/// not a sha256 digest.
#[must_use]
pub fn layer_id(parent: Option<&LayerId>, diff_digest: &str) -> Option<LayerId> {
    let own: LayerId = diff_digest.strip_prefix("sha256:")?.parse().ok()?;
    let Some(parent) = parent else { return Some(own) };
    let mut hasher = Sha256::new();
    hasher.update(parent.as_str().as_bytes());
    hasher.update(b"+");
    hasher.update(own.as_str().as_bytes());
    Some(LayerId::from_bytes(hasher.finalize().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_layer_is_its_own_digest() {
        let hex = "5".repeat(64);
        assert_eq!(layer_id(None, &format!("sha256:{hex}")).unwrap().as_str(), hex);
        for bad in ["", "sha256:", "sha512:00", &hex, &format!("sha256:{}", "Z".repeat(64))] {
            assert!(layer_id(None, bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn an_upper_layer_hashes_parent_and_diff() {
        let parent: LayerId = "a".repeat(64).parse().unwrap();
        let id = layer_id(Some(&parent), &format!("sha256:{}", "b".repeat(64))).unwrap();
        let expected = hex::encode(Sha256::digest(format!("{}+{}", "a".repeat(64), "b".repeat(64))));
        assert_eq!(id.as_str(), expected);
    }
}
