//! Security settings of sandboxes and containers, with *absent* kept apart from *empty*.

use serde::{Deserialize, Serialize};

use crate::IdMapping;

/// Whose namespace is used (CRI `NamespaceMode`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum NamespaceMode {
    /// The pod's. CRI's zero value, so also what an absent field means.
    #[default]
    Pod,
    /// The container's own.
    Container,
    /// The host's.
    Node,
    /// That of the container with this id.
    Target(String),
}

/// A user namespace (CRI `UserNamespace`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UserNamespace {
    /// `Pod` for a namespace of its own, `Node` for none.
    pub mode: NamespaceMode,
    /// Uid mappings.
    pub uids: Vec<IdMapping>,
    /// Gid mappings.
    pub gids: Vec<IdMapping>,
}

/// Which namespaces are shared with whom (CRI `NamespaceOption`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NamespaceOptions {
    /// Network: `Pod` or `Node`.
    pub network: NamespaceMode,
    /// Processes: any mode.
    pub pid: NamespaceMode,
    /// IPC: `Pod` or `Node`.
    pub ipc: NamespaceMode,
    /// Users; `None` is the host's.
    pub user: Option<UserNamespace>,
}

/// SELinux label parts (CRI `SELinuxOption`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SelinuxOptions {
    /// User.
    pub user: String,
    /// Role.
    pub role: String,
    /// Type.
    pub kind: String,
    /// Level.
    pub level: String,
}

/// A seccomp or AppArmor profile (CRI `SecurityProfile`). An absent message is `None` *around* this type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecurityProfile {
    /// The runtime's default profile.
    RuntimeDefault,
    /// No confinement.
    Unconfined,
    /// A profile on the node: a path (seccomp) or a name (AppArmor).
    Localhost(String),
}

/// How the groups the image's `/etc/group` gives the user count (CRI `SupplementalGroupsPolicy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SupplementalGroupsPolicy {
    /// They are added to those the request names.
    #[default]
    Merge,
    /// Only those the request names count.
    Strict,
}

/// Capabilities to add and drop, with or without the `CAP_` prefix; `ALL` is every one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Capabilities {
    /// To add.
    pub add: Vec<String>,
    /// To drop.
    pub drop: Vec<String>,
    /// To add to the ambient set too.
    pub add_ambient: Vec<String>,
}

/// Security settings of a sandbox (CRI `LinuxSandboxSecurityContext`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SandboxSecurity {
    /// Namespaces.
    pub namespaces: NamespaceOptions,
    /// SELinux label; `None` for a generated one.
    pub selinux: Option<SelinuxOptions>,
    /// Uid of the infra container's process.
    pub run_as_user: Option<i64>,
    /// Gid of the infra container's process.
    pub run_as_group: Option<i64>,
    /// Read-only root of the infra container.
    pub readonly_rootfs: bool,
    /// Further groups.
    pub supplemental_groups: Vec<i64>,
    /// Policy for the image's groups.
    pub supplemental_groups_policy: SupplementalGroupsPolicy,
    /// Whether privileged containers may join.
    pub privileged: bool,
    /// Seccomp profile of the infra container; `None` is unconfined.
    pub seccomp: Option<SecurityProfile>,
    /// AppArmor profile of the infra container.
    pub apparmor: Option<SecurityProfile>,
}

/// Security settings of a container (CRI `LinuxContainerSecurityContext`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ContainerSecurity {
    /// Capabilities; `None` for the configured defaults.
    pub capabilities: Option<Capabilities>,
    /// Everything allowed, nothing masked.
    pub privileged: bool,
    /// Namespaces.
    pub namespaces: NamespaceOptions,
    /// SELinux label; `None` for the pod's.
    pub selinux: Option<SelinuxOptions>,
    /// Uid; `None` for the image's user.
    pub run_as_user: Option<i64>,
    /// Gid; needs a user.
    pub run_as_group: Option<i64>,
    /// User name, looked up in the container's own `/etc/passwd`; empty for none.
    pub run_as_username: String,
    /// Read-only root.
    pub readonly_rootfs: bool,
    /// Further groups.
    pub supplemental_groups: Vec<i64>,
    /// Policy for the image's groups.
    pub supplemental_groups_policy: SupplementalGroupsPolicy,
    /// Set `no_new_privs`.
    pub no_new_privs: bool,
    /// Paths hidden from the container.
    pub masked_paths: Vec<String>,
    /// Paths it may only read.
    pub readonly_paths: Vec<String>,
    /// Seccomp profile; `None` is unconfined.
    pub seccomp: Option<SecurityProfile>,
    /// AppArmor profile; `None` for the default one.
    pub apparmor: Option<SecurityProfile>,
}
