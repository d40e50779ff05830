//! `containers` and `initContainers` of a pod.

use super::fields::{Fields, ManifestError};
use super::{Container, HostPort, Propagation, Protocol, PullPolicy, Resources, VolumeMount, quantity, security};

/// Reads a list of containers.
pub fn read_list(spec: &mut Fields, key: &str) -> Result<Vec<Container>, ManifestError> {
    spec.objects(key)?.into_iter().map(read).collect()
}

fn read(mut fields: Fields) -> Result<Container, ManifestError> {
    let image = fields.required_text("image")?;
    let pull = fields.word("imagePullPolicy", &POLICIES)?.unwrap_or_else(|| default_policy(&image));
    let env = read_env(&mut fields)?;
    let expand = |texts: Vec<String>| texts.iter().map(|text| expand(text, &env)).collect();
    let container = Container {
        name: fields.required_name("name")?,
        image,
        pull,
        command: expand(fields.texts("command")?),
        args: expand(fields.texts("args")?),
        working_dir: fields.text("workingDir")?.unwrap_or_default(),
        host_ports: read_ports(&mut fields)?,
        resources: read_resources(&mut fields)?,
        security: security::read_container(&mut fields)?,
        mounts: read_mounts(&mut fields)?,
        stdin: fields.truth("stdin")?.unwrap_or(false),
        tty: fields.truth("tty")?.unwrap_or(false),
        env,
    };
    // What only kubelet does with the end of a container.
    fields.finish(&["terminationMessagePath", "terminationMessagePolicy"])?;
    Ok(container)
}

/// The words for when an image is pulled.
pub(super) const POLICIES: [(&str, PullPolicy); 3] =
    [("Always", PullPolicy::Always), ("IfNotPresent", PullPolicy::IfNotPresent), ("Never", PullPolicy::Never)];

/// As Kubernetes has it: an image without a tag, or with `latest`, is pulled each time.
pub(super) fn default_policy(image: &str) -> PullPolicy {
    let name = image.rsplit('/').next().unwrap_or(image);
    let tag = name.rsplit_once(':').map(|(_, tag)| tag);
    match tag {
        _ if image.contains('@') => PullPolicy::IfNotPresent,
        None | Some("latest") => PullPolicy::Always,
        Some(_) => PullPolicy::IfNotPresent,
    }
}

fn read_env(fields: &mut Fields) -> Result<Vec<(String, String)>, ManifestError> {
    let mut env = Vec::new();
    for mut variable in fields.objects("env")? {
        let path = variable.path("name");
        let name = variable.required_text("name")?;
        if name.contains('=') {
            return Err(ManifestError::new(path, "holds a ="));
        }
        let value = variable.text("value")?.unwrap_or_default();
        variable.finish(&[])?;
        let value = expand(&value, &env);
        env.push((name, value));
    }
    Ok(env)
}

/// `text` with each `$(NAME)` of a known variable replaced; `$$` is a plain `$`, and what is unknown stays as it is.
fn expand(text: &str, env: &[(String, String)]) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        expanded.push_str(before);
        let after = &from[1..];
        let reference = after.strip_prefix('(').and_then(|inside| inside.split_once(')'));
        let known = reference.and_then(|(name, rest)| {
            let value = env.iter().rev().find(|(known, _)| known == name)?;
            Some((value.1.as_str(), rest))
        });
        match (after.strip_prefix('$'), known) {
            (Some(next), _) => {
                expanded.push('$');
                rest = next;
            }
            (None, Some((value, next))) => {
                expanded.push_str(value);
                rest = next;
            }
            (None, None) => {
                expanded.push('$');
                rest = after;
            }
        }
    }
    expanded + rest
}

fn read_ports(fields: &mut Fields) -> Result<Vec<HostPort>, ManifestError> {
    const PROTOCOLS: [(&str, Protocol); 3] = [("TCP", Protocol::Tcp), ("UDP", Protocol::Udp), ("SCTP", Protocol::Sctp)];
    let mut ports = Vec::new();
    for mut port in fields.objects("ports")? {
        let missing = ManifestError::new(port.path("containerPort"), "is missing");
        let container_port = port.port("containerPort")?.ok_or(missing)?;
        let host_port = port.port("hostPort")?;
        let protocol = port.word("protocol", &PROTOCOLS)?.unwrap_or(Protocol::Tcp);
        let path = port.path("hostIP");
        let host_ip = port.text("hostIP")?.unwrap_or_default();
        if !host_ip.is_empty() && host_ip.parse::<std::net::IpAddr>().is_err() {
            return Err(ManifestError::new(path, format!("{host_ip:?} is not an address")));
        }
        port.finish(&["name"])?;
        // Without a host port the entry only documents.
        if let Some(host_port) = host_port {
            ports.push(HostPort { protocol, container_port, host_port, host_ip });
        }
    }
    Ok(ports)
}

fn read_resources(fields: &mut Fields) -> Result<Resources, ManifestError> {
    let Some(mut resources) = fields.object("resources")? else {
        return Ok(Resources::default());
    };
    let mut read = |key: &str| {
        let Some(mut list) = resources.object(key)? else {
            return Ok((None, None));
        };
        let amounts = (amount(&mut list, "cpu", quantity::milli)?, amount(&mut list, "memory", quantity::whole)?);
        list.finish(&[])?;
        Ok(amounts)
    };
    let (cpu_limit_milli, memory_limit_bytes) = read("limits")?;
    let (cpu_request_milli, memory_request_bytes) = read("requests")?;
    resources.finish(&[])?;
    Ok(Resources { cpu_limit_milli, cpu_request_milli, memory_limit_bytes, memory_request_bytes })
}

fn amount(list: &mut Fields, key: &str, parse: fn(&str) -> Option<i64>) -> Result<Option<i64>, ManifestError> {
    let path = list.path(key);
    let Some(text) = list.scalar(key)? else {
        return Ok(None);
    };
    parse(&text)
        .map(Some)
        .ok_or_else(|| ManifestError::new(path, format!("{text:?} is not a quantity such as 500m or 128Mi")))
}

fn read_mounts(fields: &mut Fields) -> Result<Vec<VolumeMount>, ManifestError> {
    const PROPAGATIONS: [(&str, Propagation); 3] = [
        ("None", Propagation::None),
        ("HostToContainer", Propagation::HostToContainer),
        ("Bidirectional", Propagation::Bidirectional),
    ];
    let mut mounts = Vec::new();
    for mut mount in fields.objects("volumeMounts")? {
        let where_to = mount.path("mountPath");
        let read = VolumeMount {
            volume: mount.required_text("name")?,
            path: mount.required_text("mountPath")?,
            sub_path: mount.text("subPath")?.unwrap_or_default(),
            read_only: mount.truth("readOnly")?.unwrap_or(false),
            propagation: mount.word("mountPropagation", &PROPAGATIONS)?.unwrap_or(Propagation::None),
        };
        mount.finish(&[])?;
        if !read.path.starts_with('/') {
            return Err(ManifestError::new(where_to, "has to be absolute"));
        }
        mounts.push(read);
    }
    Ok(mounts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_to_variables() {
        let env = [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2".to_owned())];
        let cases = [
            ("$(A)-$(B)", "1-2"),
            ("$$(A)", "$(A)"),
            ("$(C)", "$(C)"),
            ("$A $(A", "$A $(A"),
            ("$$$(A)", "$1"),
            ("cost: 5$", "cost: 5$"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text, &env), expected, "{text}");
        }
    }

    #[test]
    fn images_without_a_fixed_tag_are_pulled_each_time() {
        let cases = [
            ("busybox", PullPolicy::Always),
            ("localhost:5000/busybox", PullPolicy::Always),
            ("busybox:latest", PullPolicy::Always),
            ("busybox:1", PullPolicy::IfNotPresent),
            ("busybox@sha256:0", PullPolicy::IfNotPresent),
        ];
        for (image, expected) in cases {
            assert_eq!(default_policy(image), expected, "{image}");
        }
    }
}
