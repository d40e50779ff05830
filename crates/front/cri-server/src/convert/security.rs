//! Security contexts of sandboxes and containers.
//!
//! A profile that is *absent* is not one that is empty: absent means unconfined for seccomp and the default for
//! AppArmor, empty means the runtime's default. The deprecated string fields count only when the message that
//! replaced them is absent.

use crio_cri_api::v1;
use crio_types::{
    Capabilities, ContainerSecurity, SandboxSecurity, SecurityProfile, SelinuxOptions, SupplementalGroupsPolicy,
};

use super::field::{DecodeError, all_without_nul, ids, known, optional_id, without_nul};
use super::namespace::{self, Owner};

/// The prefix that marks a profile of the node in strings, and that some clients also put into `localhost_ref`.
const LOCALHOST: &str = "localhost/";

/// A sandbox's settings. Unlike a container's, its group may come without a user: kubelet sends that when only the
/// pod's `runAsGroup` is set.
pub(crate) fn decode_sandbox(
    field: &str,
    context: v1::LinuxSandboxSecurityContext,
) -> Result<SandboxSecurity, DecodeError> {
    let at = |name: &str| format!("{field}.{name}");
    let seccomp_path = deprecated_profile(&context);
    Ok(SandboxSecurity {
        namespaces: namespace::decode(&at("namespace_options"), Owner::Sandbox, context.namespace_options)?,
        selinux: context.selinux_options.map(decode_selinux),
        run_as_user: optional_id(&at("run_as_user"), context.run_as_user)?,
        run_as_group: optional_id(&at("run_as_group"), context.run_as_group)?,
        readonly_rootfs: context.readonly_rootfs,
        supplemental_groups: ids(&at("supplemental_groups"), context.supplemental_groups)?,
        supplemental_groups_policy: groups_policy(
            &at("supplemental_groups_policy"),
            context.supplemental_groups_policy,
        )?,
        privileged: context.privileged,
        seccomp: profile(&at("seccomp"), context.seccomp, &at("seccomp_profile_path"), seccomp_path)?,
        apparmor: profile(&at("apparmor"), context.apparmor, "", String::new())?,
    })
}

/// A container's settings.
pub(crate) fn decode_container(
    field: &str,
    context: v1::LinuxContainerSecurityContext,
) -> Result<ContainerSecurity, DecodeError> {
    let at = |name: &str| format!("{field}.{name}");
    let (seccomp_path, apparmor_name) = deprecated_profiles(&context);
    let run_as_user = optional_id(&at("run_as_user"), context.run_as_user)?;
    let run_as_group = optional_id(&at("run_as_group"), context.run_as_group)?;
    if run_as_group.is_some() && run_as_user.is_none() && context.run_as_username.is_empty() {
        let reason = "a group needs a user: neither run_as_user nor run_as_username is set";
        return Err(DecodeError::new(at("run_as_group"), reason));
    }
    Ok(ContainerSecurity {
        capabilities: context.capabilities.map(decode_capabilities),
        privileged: context.privileged,
        namespaces: namespace::decode(&at("namespace_options"), Owner::Container, context.namespace_options)?,
        selinux: context.selinux_options.map(decode_selinux),
        run_as_user,
        run_as_group,
        run_as_username: without_nul(&at("run_as_username"), context.run_as_username)?,
        readonly_rootfs: context.readonly_rootfs,
        supplemental_groups: ids(&at("supplemental_groups"), context.supplemental_groups)?,
        supplemental_groups_policy: groups_policy(
            &at("supplemental_groups_policy"),
            context.supplemental_groups_policy,
        )?,
        no_new_privs: context.no_new_privs,
        masked_paths: all_without_nul(&at("masked_paths"), context.masked_paths)?,
        readonly_paths: all_without_nul(&at("readonly_paths"), context.readonly_paths)?,
        seccomp: profile(&at("seccomp"), context.seccomp, &at("seccomp_profile_path"), seccomp_path)?,
        apparmor: profile(&at("apparmor"), context.apparmor, &at("apparmor_profile"), apparmor_name)?,
    })
}

#[expect(deprecated, reason = "older clients still set this field")]
fn deprecated_profile(context: &v1::LinuxSandboxSecurityContext) -> String {
    context.seccomp_profile_path.clone()
}

#[expect(deprecated, reason = "older clients still set these fields")]
fn deprecated_profiles(context: &v1::LinuxContainerSecurityContext) -> (String, String) {
    (context.seccomp_profile_path.clone(), context.apparmor_profile.clone())
}

/// The profile of the message, or of the string that came before it.
fn profile(
    field: &str,
    message: Option<v1::SecurityProfile>,
    string_field: &str,
    string: String,
) -> Result<Option<SecurityProfile>, DecodeError> {
    use v1::security_profile::ProfileType;
    let Some(message) = message else {
        return profile_string(string_field, string);
    };
    match known(&format!("{field}.profile_type"), message.profile_type)? {
        ProfileType::RuntimeDefault => Ok(Some(SecurityProfile::RuntimeDefault)),
        ProfileType::Unconfined => Ok(Some(SecurityProfile::Unconfined)),
        ProfileType::Localhost => localhost(&format!("{field}.localhost_ref"), message.localhost_ref).map(Some),
    }
}

fn profile_string(field: &str, string: String) -> Result<Option<SecurityProfile>, DecodeError> {
    match string.as_str() {
        "" => Ok(None),
        "unconfined" => Ok(Some(SecurityProfile::Unconfined)),
        "runtime/default" | "docker/default" => Ok(Some(SecurityProfile::RuntimeDefault)),
        text if text.starts_with(LOCALHOST) => localhost(field, string).map(Some),
        _ => Err(DecodeError::new(field, format!("{string:?} is not a profile CRI defines"))),
    }
}

fn localhost(field: &str, reference: String) -> Result<SecurityProfile, DecodeError> {
    let reference = without_nul(field, reference)?;
    match reference.strip_prefix(LOCALHOST).unwrap_or(&reference) {
        "" => Err(DecodeError::new(field, "a Localhost profile needs a path or a name")),
        name => Ok(SecurityProfile::Localhost(name.to_owned())),
    }
}

fn groups_policy(field: &str, value: i32) -> Result<SupplementalGroupsPolicy, DecodeError> {
    Ok(match known(field, value)? {
        v1::SupplementalGroupsPolicy::Merge => SupplementalGroupsPolicy::Merge,
        v1::SupplementalGroupsPolicy::Strict => SupplementalGroupsPolicy::Strict,
    })
}

fn decode_selinux(options: v1::SeLinuxOption) -> SelinuxOptions {
    SelinuxOptions { user: options.user, role: options.role, kind: options.r#type, level: options.level }
}

fn decode_capabilities(capabilities: v1::Capability) -> Capabilities {
    Capabilities {
        add: capabilities.add_capabilities,
        drop: capabilities.drop_capabilities,
        add_ambient: capabilities.add_ambient_capabilities,
    }
}
