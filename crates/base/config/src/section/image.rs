//! `[crio.image]`: which images, from where, and how they are trusted.

use std::path::PathBuf;
use std::time::Duration;

use super::{option, section};
use crate::codec::{AbsolutePath, AnyPath, GoDuration, List, Optional, Regular, Switch, Word, words};

words! {
    /// What becomes of the volumes an image declares.
    ImageVolumes {
        /// A directory in the container's own layer.
        Mkdir = "mkdir",
        /// A directory of the host, mounted.
        Bind = "bind",
        /// Nothing.
        Ignore = "ignore",
    }
}

words! {
    /// What becomes of image names without a registry.
    ShortNameMode {
        /// An ambiguous one is refused.
        Enforcing = "enforcing",
        /// The unqualified-search registries are tried in order.
        Disabled = "disabled",
    }
}

section! {
    /// `[crio.image]`.
    Image {
        /// Transport of image names that have none.
        default_transport: String as Regular = "docker://".to_owned()
            => option().flag("default-transport").env(&["CONTAINER_DEFAULT_TRANSPORT"]).accepted();
        /// File with registry credentials for pulls that bring none.
        global_auth_file: Option<PathBuf> as Optional<AnyPath> = None
            => option().flag("global-auth-file").env(&["CONTAINER_GLOBAL_AUTH_FILE"]);
        /// Directory of credentials for one namespace and image each.
        namespaced_auth_dir: Option<PathBuf> as Optional<AbsolutePath> = Some("/etc/crio/auth".into())
            => option().flag("namespaced-auth-dir").env(&["CONTAINER_NAMESPACED_AUTH_DIR"]).hidden().accepted();
        /// Image of the pause process. It is never garbage-collected.
        pause_image: String as Regular = "registry.k8s.io/pause:3.10.1".to_owned()
            => option().flag("pause-image").env(&["CONTAINER_PAUSE_IMAGE"]).live();
        /// File with the credentials for the pause image.
        pause_image_auth_file: Option<PathBuf> as Optional<AnyPath> = None
            => option().flag("pause-image-auth-file").env(&["CONTAINER_PAUSE_IMAGE_AUTH_FILE"]).live().accepted();
        /// Command of the pause process; empty for the image's.
        pause_command: Option<String> as Optional<Regular> = Some("/pause".to_owned())
            => option().flag("pause-command").env(&["CONTAINER_PAUSE_COMMAND"]).live();
        /// Images that are never garbage-collected: a name, a prefix ending in *, or a word between two *.
        pinned_images: Vec<String> as List<Regular> = Vec::new()
            => option().flag("pinned-images").env(&["CONTAINER_PINNED_IMAGES"]).live();
        /// Signature policy; empty for /etc/containers/policy.json.
        signature_policy: Option<PathBuf> as Optional<AnyPath> = None
            => option().flag("signature-policy").env(&["CONTAINER_SIGNATURE_POLICY"]);
        /// Directory of signature policies, NAMESPACE.json for one namespace each.
        signature_policy_dir: Option<PathBuf> as Optional<AbsolutePath> = Some("/etc/crio/policies".into())
            => option().flag("signature-policy-dir").env(&["CONTAINER_SIGNATURE_POLICY_DIR"]);
        /// Registries that are reached without verified TLS.
        insecure_registries: Vec<String> as List<Regular> = Vec::new()
            => option().flag("insecure-registry").env(&["CONTAINER_INSECURE_REGISTRY"]).deprecated("use insecure in registries.conf").accepted();
        /// What becomes of the volumes an image declares: mkdir, bind or ignore.
        image_volumes: ImageVolumes as Word = ImageVolumes::Mkdir
            => option().flag("image-volumes").env(&["CONTAINER_IMAGE_VOLUMES"]);
        /// Directory for large temporary files of pulls; empty for /var/tmp.
        big_files_temporary_dir: Option<PathBuf> as Optional<AnyPath> = None
            => option().flag("big-files-temporary-dir").env(&["CONTAINER_BIG_FILES_TEMPORARY_DIR"]).accepted();
        /// Whether registries.conf is read again when it changes.
        auto_reload_registries: bool as Switch = false
            => option().flag("auto-reload-registries").env(&["AUTO_RELOAD_REGISTRIES"]).accepted();
        /// How long a pull may make no progress before it is given up; 0s for ever.
        pull_progress_timeout: Duration as GoDuration = Duration::ZERO
            => option().flag("pull-progress-timeout").env(&["CONTAINER_PULL_PROGRESS_TIMEOUT"]);
        /// Whether OCI artifacts can be mounted as volumes.
        oci_artifact_mount_support: bool as Switch = true
            => option().flag("oci-artifact-mount-support").env(&["CONTAINER_OCI_ARTIFACT_SUPPORT"]).accepted();
        /// What becomes of ambiguous short image names: enforcing refuses them, disabled tries the registries in order.
        short_name_mode: ShortNameMode as Word = ShortNameMode::Enforcing
            => option().flag("short-name-mode").env(&["CONTAINER_SHORT_NAME_MODE"]);
    }
}
