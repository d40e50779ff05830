//! `securityContext` of pods and containers.

use std::collections::BTreeMap;

use super::fields::{Fields, ManifestError};
use super::{ContainerSecurity, Identity, PodSecurity, Seccomp};

/// Reads the pod's.
pub fn read_pod(spec: &mut Fields) -> Result<PodSecurity, ManifestError> {
    let Some(mut fields) = spec.object("securityContext")? else {
        return Ok(PodSecurity::default());
    };
    let mut sysctls = BTreeMap::new();
    for mut sysctl in fields.objects("sysctls")? {
        sysctls.insert(sysctl.required_text("name")?, sysctl.required_text("value")?);
        sysctl.finish(&[])?;
    }
    let security = PodSecurity {
        defaults: read_identity(&mut fields)?,
        supplemental_groups: fields.integers("supplementalGroups")?,
        sysctls,
    };
    fields.finish(&[])?;
    Ok(security)
}

/// Reads a container's.
pub fn read_container(container: &mut Fields) -> Result<ContainerSecurity, ManifestError> {
    let Some(mut fields) = container.object("securityContext")? else {
        return Ok(ContainerSecurity::default());
    };
    let (mut add_capabilities, mut drop_capabilities) = (Vec::new(), Vec::new());
    if let Some(mut capabilities) = fields.object("capabilities")? {
        add_capabilities = capabilities.texts("add")?;
        drop_capabilities = capabilities.texts("drop")?;
        capabilities.finish(&[])?;
    }
    let path = fields.path("allowPrivilegeEscalation");
    let security = ContainerSecurity {
        identity: read_identity(&mut fields)?,
        privileged: fields.truth("privileged")?.unwrap_or(false),
        read_only_root: fields.truth("readOnlyRootFilesystem")?.unwrap_or(false),
        allow_escalation: fields.truth("allowPrivilegeEscalation")?,
        add_capabilities,
        drop_capabilities,
    };
    fields.finish(&[])?;
    let escalates = security.privileged || security.add_capabilities.iter().any(|name| is_admin(name));
    if security.allow_escalation == Some(false) && escalates {
        return Err(ManifestError::new(path, "cannot be false for a privileged container or one with SYS_ADMIN"));
    }
    Ok(security)
}

fn is_admin(capability: &str) -> bool {
    matches!(capability, "SYS_ADMIN" | "CAP_SYS_ADMIN")
}

fn read_identity(fields: &mut Fields) -> Result<Identity, ManifestError> {
    let id = |fields: &mut Fields, key: &str| {
        let path = fields.path(key);
        match fields.integer(key)? {
            Some(id) if !(0..=i64::from(i32::MAX)).contains(&id) => {
                Err(ManifestError::new(path, format!("{id} is not an id")))
            }
            id => Ok(id),
        }
    };
    Ok(Identity {
        user: id(fields, "runAsUser")?,
        group: id(fields, "runAsGroup")?,
        non_root: fields.truth("runAsNonRoot")?,
        seccomp: read_seccomp(fields)?,
    })
}

fn read_seccomp(fields: &mut Fields) -> Result<Option<Seccomp>, ManifestError> {
    let Some(mut profile) = fields.object("seccompProfile")? else {
        return Ok(None);
    };
    let choices = [("RuntimeDefault", 0), ("Unconfined", 1), ("Localhost", 2)];
    let missing = ManifestError::new(profile.path("type"), "is missing");
    let seccomp = match profile.word("type", &choices)?.ok_or(missing)? {
        0 => Seccomp::RuntimeDefault,
        1 => Seccomp::Unconfined,
        _ => Seccomp::Localhost(profile.required_text("localhostProfile")?),
    };
    profile.finish(&[])?;
    Ok(Some(seccomp))
}
