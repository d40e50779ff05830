//! What a record of the store means to a caller.

use std::sync::Arc;

use crio_image::Reference;
use crio_storage::ImageRecord;
use crio_types::{ImageId, Labels, LayerId, Timestamp};
use oci_spec::image::ImageConfiguration;

use crate::details::Details;
use crate::pinned::Pinned;

/// Whom an image's configuration names as its user, the group left aside (CRI reports one or the other).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageUser {
    /// A number.
    Uid(i64),
    /// A name, to be looked up in the image's own `/etc/passwd`.
    Name(String),
}

impl ImageUser {
    /// The user part of a configuration's `User`; `None` for an empty one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let user = text.split(':').next().unwrap_or_default();
        // Digits only, as where the container's user is resolved: "+5" is a name there, too.
        let number = user.bytes().all(|byte| byte.is_ascii_digit());
        match user.parse() {
            Ok(uid) if number => Some(Self::Uid(uid)),
            _ if user.is_empty() => None,
            _ => Some(Self::Name(user.to_owned())),
        }
    }
}

/// An image on this node. Equal whichever name or id it was asked for by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its id, the hex digits of the configuration's digest.
    pub id: ImageId,
    /// `name:tag` of each tag that points to it.
    pub repo_tags: Vec<String>,
    /// `name@digest`, for each repository it is known under.
    pub repo_digests: Vec<String>,
    /// Bytes its layers occupy on disk, unpacked; never 0, which the CRI takes for a malformed answer.
    pub size_bytes: u64,
    /// The user its configuration names; `None` for root by omission.
    pub user: Option<ImageUser>,
    /// Annotations of its manifest.
    pub annotations: Labels,
    /// Labels of its configuration.
    pub labels: Labels,
    /// Whether garbage collection must leave it alone.
    pub pinned: bool,
    /// When it was created, by its own account.
    pub created_at: Timestamp,
    /// Its topmost layer; `None` for an image without layers.
    pub top_layer: Option<LayerId>,
}

impl Image {
    pub(crate) fn new(record: &ImageRecord, details: &Details, pinned: &Pinned) -> Self {
        let names = Names::new(record);
        Self {
            id: record.id.clone(),
            pinned: pinned.pins(record.names.iter().chain(&names.digests)),
            repo_tags: names.tags,
            repo_digests: names.digests,
            size_bytes: details.size_bytes.max(1),
            user: details.user.clone(),
            annotations: details.annotations.clone(),
            labels: details.labels.clone(),
            created_at: record.created,
            top_layer: record.top_layer.clone(),
        }
    }

    /// The name to show for it: its first tag, else its first repository digest, else its id.
    #[must_use]
    pub fn name(&self) -> &str {
        self.repo_tags.first().or(self.repo_digests.first()).map_or(self.id.as_str(), String::as_str)
    }

    /// What pins it down for a pod's status: its first repository digest, else its id.
    #[must_use]
    pub fn image_ref(&self) -> &str {
        self.repo_digests.first().map_or(self.id.as_str(), String::as_str)
    }
}

/// An image a container can be made from.
#[derive(Debug, Clone)]
pub struct ResolvedImage {
    /// Its id.
    pub id: ImageId,
    /// A name of it: the requested one when it was asked for by name, else [`Image::name`].
    pub name: String,
    /// Its repository digest, or its id when it has none.
    pub image_ref: String,
    /// Its configuration: entry point, environment, user, volumes. The history is left out.
    pub config: Arc<ImageConfiguration>,
    /// Its topmost layer; `None` for an image without layers.
    pub top_layer: Option<LayerId>,
    /// Bytes its layers occupy on disk, unpacked.
    pub size_bytes: u64,
    /// Annotations of its manifest.
    pub annotations: Labels,
}

/// A record's names as CRI wants them apart.
#[derive(Debug, PartialEq, Eq)]
struct Names {
    tags: Vec<String>,
    digests: Vec<String>,
}

impl Names {
    /// Tags are the record's own. A digest name exists for each repository and each manifest that led to the image.
    /// An image that lost its last name keeps the digests of the repositories it was known under, so that people see
    /// what it was.
    fn new(record: &ImageRecord) -> Self {
        let (mut tags, mut digests, mut repositories) = (Vec::new(), Vec::new(), Vec::new());
        for name in &record.names {
            let Ok(reference) = Reference::parse(name) else {
                tags.push(name.clone());
                continue;
            };
            match reference.digest() {
                Some(_) => push_new(&mut digests, name.clone()),
                None => tags.push(name.clone()),
            }
            push_new(&mut repositories, reference.repository());
        }
        if record.names.is_empty() {
            let former = record.names_history.iter().filter_map(|name| Reference::parse(name).ok());
            former.for_each(|reference| push_new(&mut repositories, reference.repository()));
        }
        for repository in &repositories {
            for digest in &record.digests {
                push_new(&mut digests, format!("{repository}@{digest}"));
            }
        }
        Self { tags, digests }
    }
}

fn push_new(list: &mut Vec<String>, text: String) {
    if !list.contains(&text) {
        list.push(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_a_number_or_a_name() {
        for (text, expected) in [
            ("", None),
            (":5", None),
            ("1002", Some(ImageUser::Uid(1002))),
            ("1003:users", Some(ImageUser::Uid(1003))),
            ("www-data", Some(ImageUser::Name("www-data".into()))),
            ("www-data:100", Some(ImageUser::Name("www-data".into()))),
            ("0", Some(ImageUser::Uid(0))),
            ("+5", Some(ImageUser::Name("+5".into()))),
        ] {
            assert_eq!(ImageUser::parse(text), expected, "{text:?}");
        }
    }
}
