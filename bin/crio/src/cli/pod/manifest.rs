//! A Kubernetes Pod manifest, read into types that hold what we can run.
//!
//! A field that would change what runs and is not supported is an error that names its path, never silently dropped. Fields that
//! speak to a scheduler or an API server are ignored: there is none here.

mod container;
mod fields;
mod model;
mod quantity;
mod security;
mod volume;

use fields::Fields;
pub use fields::ManifestError;
pub use model::{
    Container, ContainerSecurity, Dns, HostNamespaces, HostPathKind, HostPort, Identity, Pod, PodSecurity, Propagation,
    Protocol, PullPolicy, Resources, Seccomp, Volume, VolumeMount,
};

/// Reads the manifest `text`: YAML, or JSON, which is a part of it.
///
/// # Errors
/// [`ManifestError`] naming what is not valid or not supported.
pub fn parse(text: &str) -> Result<Pod, ManifestError> {
    // Only true and false are truths: a variable may be called N and have the value yes.
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    let value: serde_json::Value = serde_saphyr::from_str_with_options(text, options)
        .map_err(|failure| ManifestError::new("the manifest", format!("is not valid YAML: {failure}")))?;
    let mut top = Fields::of("", value)?;
    for (key, expected) in [("apiVersion", "v1"), ("kind", "Pod")] {
        let found = top.required_text(key)?;
        if found != expected {
            return Err(ManifestError::new(key, format!("is {found:?}; only {expected:?} is supported")));
        }
    }
    let mut metadata = top.required("metadata")?;
    let spec = top.required("spec")?;
    top.finish(&["status"])?;
    let pod = read_spec(spec, &mut metadata)?;
    metadata.finish(&[
        "uid",
        "creationTimestamp",
        "resourceVersion",
        "generation",
        "managedFields",
        "ownerReferences",
        "finalizers",
        "selfLink",
    ])?;
    check_references(&pod)?;
    Ok(pod)
}

/// Fields for schedulers, API servers and controllers, none of which is here. Nothing is restarted either: `restartPolicy`
/// is for kubelet.
const IGNORED: [&str; 17] = [
    "restartPolicy",
    "terminationGracePeriodSeconds",
    "dnsPolicy",
    "nodeName",
    "nodeSelector",
    "affinity",
    "tolerations",
    "topologySpreadConstraints",
    "schedulerName",
    "priority",
    "priorityClassName",
    "preemptionPolicy",
    "serviceAccount",
    "serviceAccountName",
    "automountServiceAccountToken",
    "enableServiceLinks",
    "imagePullSecrets",
];

fn read_spec(mut spec: Fields, metadata: &mut Fields) -> Result<Pod, ManifestError> {
    let containers = container::read_list(&mut spec, "containers")?;
    if containers.is_empty() {
        return Err(ManifestError::new("spec.containers", "holds no container"));
    }
    let pod = Pod {
        name: metadata.required_name("name")?,
        namespace: metadata.name("namespace")?.unwrap_or_else(|| "default".to_owned()),
        labels: metadata.text_map("labels")?,
        annotations: metadata.text_map("annotations")?,
        hostname: spec.name("hostname")?,
        runtime_class: spec.text("runtimeClassName")?.unwrap_or_default(),
        host: HostNamespaces {
            network: spec.truth("hostNetwork")?.unwrap_or(false),
            pid: spec.truth("hostPID")?.unwrap_or(false),
            ipc: spec.truth("hostIPC")?.unwrap_or(false),
        },
        share_processes: spec.truth("shareProcessNamespace")?.unwrap_or(false),
        dns: read_dns(&mut spec)?,
        security: security::read_pod(&mut spec)?,
        init_containers: container::read_list(&mut spec, "initContainers")?,
        containers,
        volumes: volume::read_list(&mut spec)?,
    };
    spec.finish(&IGNORED)?;
    Ok(pod)
}

fn read_dns(spec: &mut Fields) -> Result<Option<Dns>, ManifestError> {
    let Some(mut fields) = spec.object("dnsConfig")? else {
        return Ok(None);
    };
    let mut options = Vec::new();
    for mut option in fields.objects("options")? {
        let name = option.required_text("name")?;
        options.push(match option.text("value")? {
            Some(value) => format!("{name}:{value}"),
            None => name,
        });
        option.finish(&[])?;
    }
    let dns = Dns { servers: fields.texts("nameservers")?, searches: fields.texts("searches")?, options };
    fields.finish(&[])?;
    Ok(Some(dns))
}

/// Names are unique, and mounts name volumes that exist.
fn check_references(pod: &Pod) -> Result<(), ManifestError> {
    let mut names = std::collections::BTreeSet::new();
    let lists = [("initContainers", &pod.init_containers), ("containers", &pod.containers)];
    for (key, containers) in lists {
        for (at, container) in containers.iter().enumerate() {
            let path = format!("spec.{key}[{at}]");
            if !names.insert(&container.name) {
                return Err(ManifestError::new(
                    format!("{path}.name"),
                    format!("{:?} is the name of another container", container.name),
                ));
            }
            for (mount_at, mount) in container.mounts.iter().enumerate() {
                let Some(volume) = pod.volumes.get(&mount.volume) else {
                    return Err(ManifestError::new(
                        format!("{path}.volumeMounts[{mount_at}].name"),
                        format!("there is no volume {:?}", mount.volume),
                    ));
                };
                if !mount.sub_path.is_empty() && !matches!(volume, Volume::Image { .. }) {
                    return Err(ManifestError::new(
                        format!("{path}.volumeMounts[{mount_at}].subPath"),
                        "is supported for image volumes only",
                    ));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
