//! Images: how requests name them, and what a client presents to a registry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crio_cri_api::v1;
use crio_images::{Image, ImageUser};
use crio_types::{Credentials, ImageSpec};

use super::field::{DecodeError, non_empty, required};

/// The image a request names, which must be there.
pub(crate) fn decode_spec(field: &str, spec: Option<v1::ImageSpec>) -> Result<ImageSpec, DecodeError> {
    let spec = required(field, spec)?;
    Ok(ImageSpec {
        image: non_empty(&format!("{field}.image"), spec.image)?,
        annotations: spec.annotations,
        user_specified_image: spec.user_specified_image,
        runtime_handler: spec.runtime_handler,
    })
}

/// An image as answers name it.
pub(crate) fn encode_spec(spec: &ImageSpec) -> v1::ImageSpec {
    v1::ImageSpec {
        image: spec.image.clone(),
        annotations: spec.annotations.clone(),
        user_specified_image: spec.user_specified_image.clone(),
        runtime_handler: spec.runtime_handler.clone(),
        image_ref: String::new(),
    }
}

/// What the client presents. The encoded form wins over user name and password, as in CRI-O; tokens come last. A
/// message without any of them is no credentials at all, so that the node's own are used. Errors never quote it.
pub(crate) fn decode_auth(field: &str, auth: Option<v1::AuthConfig>) -> Result<Option<Credentials>, DecodeError> {
    let Some(auth) = auth else { return Ok(None) };
    if !auth.auth.is_empty() {
        return decode_basic(&format!("{field}.auth"), &auth.auth).map(Some);
    }
    let (username, password) = (auth.username, auth.password);
    if !username.is_empty() {
        return Ok(Some(Credentials::Basic { username, password }));
    }
    if !auth.identity_token.is_empty() {
        return Ok(Some(Credentials::IdentityToken(auth.identity_token)));
    }
    Ok((!auth.registry_token.is_empty()).then_some(Credentials::RegistryToken(auth.registry_token)))
}

fn decode_basic(field: &str, encoded: &str) -> Result<Credentials, DecodeError> {
    let decoded = STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = decoded.as_deref().and_then(|text| text.trim_end_matches('\0').split_once(':'));
    match pair {
        Some((username, password)) => {
            Ok(Credentials::Basic { username: username.to_owned(), password: password.to_owned() })
        }
        None => Err(DecodeError::new(field, "is not base64 of user:password")),
    }
}

/// An image of this node. kubelet's client takes a size of zero for a broken answer.
pub(crate) fn encode(image: &Image) -> v1::Image {
    let (uid, username) = match &image.user {
        None => (None, String::new()),
        Some(ImageUser::Uid(value)) => (Some(v1::Int64Value { value: *value }), String::new()),
        Some(ImageUser::Name(name)) => (None, name.clone()),
    };
    v1::Image {
        id: image.id.to_string(),
        repo_tags: image.repo_tags.clone(),
        repo_digests: image.repo_digests.clone(),
        size: image.size_bytes.max(1),
        uid,
        username,
        spec: Some(v1::ImageSpec {
            image: image.name().to_owned(),
            annotations: image.annotations.clone(),
            ..Default::default()
        }),
        pinned: image.pinned,
    }
}

#[cfg(test)]
mod tests {
    use crio_types::{ImageId, Labels, Timestamp};

    use super::*;

    #[test]
    fn an_image_has_a_size_and_either_a_uid_or_a_name() {
        let mut image = Image {
            id: ImageId::from_bytes([1; 32]),
            repo_tags: vec!["docker.io/library/busybox:1".to_owned()],
            repo_digests: Vec::new(),
            size_bytes: 0,
            user: Some(ImageUser::Uid(0)),
            annotations: Labels::new(),
            labels: Labels::new(),
            pinned: true,
            created_at: Timestamp(1),
            top_layer: None,
        };
        let shown = encode(&image);
        assert_eq!((shown.size, shown.pinned), (1, true));
        assert_eq!((shown.uid, shown.username.as_str()), (Some(v1::Int64Value { value: 0 }), ""));

        image.user = Some(ImageUser::Name("www-data".to_owned()));
        let shown = encode(&image);
        assert_eq!((shown.uid, shown.username.as_str()), (None, "www-data"));
    }
}
