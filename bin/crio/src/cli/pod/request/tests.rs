//! What kubelet would have sent.

use super::super::manifest;
use super::*;

fn plan(pod: &str, container: &str) -> Plan {
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: web, namespace: shop, labels: {{app: a}}}}\nspec:\n  {pod}\n  containers:\n  - name: c\n    image: i:1\n    {container}\n"
    );
    Plan {
        pod: manifest::parse(&text).expect("a supported manifest"),
        uid: "u".to_owned(),
        directory: PodDirectory::new("shop", "web", "u"),
        node_memory_bytes: 1 << 30,
    }
}

fn security(plan: &Plan) -> v1::LinuxContainerSecurityContext {
    let config = plan.container(&plan.pod.containers[0], "image");
    config.linux.and_then(|linux| linux.security_context).expect("always set")
}

#[test]
fn the_sandbox_is_as_kubelet_would_ask() {
    let plan = plan("hostname: h", "ports: [{containerPort: 80, hostPort: 8080}]");
    let sandbox = plan.sandbox();
    assert_eq!(sandbox.hostname, "h");
    assert_eq!(sandbox.log_directory, "/var/log/pods/shop_web_u");
    assert_eq!(sandbox.port_mappings.len(), 1);
    assert_eq!(sandbox.labels["io.kubernetes.pod.uid"], "u");
    assert_eq!(sandbox.labels["app"], "a");
    assert!(sandbox.annotations.contains_key(ANNOTATION));
    let options = plan.namespaces();
    assert_eq!(options.pid(), v1::NamespaceMode::Container);
    assert_eq!(options.network(), v1::NamespaceMode::Pod);
}

#[test]
fn namespaces_of_the_host() {
    let plan = plan("hostNetwork: true\n  hostPID: true\n  hostIPC: true", "tty: false");
    let options = plan.namespaces();
    assert_eq!(
        (options.network(), options.pid(), options.ipc()),
        (v1::NamespaceMode::Node, v1::NamespaceMode::Node, v1::NamespaceMode::Node)
    );
    assert_eq!(plan.sandbox().hostname, "");
    let config = plan.container(&plan.pod.containers[0], "image");
    assert!(config.mounts.is_empty(), "the host's /etc/hosts is the daemon's business");
}

#[test]
fn an_image_volume_is_asked_for_by_name() {
    let plan = plan(
        "volumes: [{name: v, image: {reference: data:1}}]",
        "volumeMounts: [{name: v, mountPath: /v, subPath: models}]",
    );
    let mount = &plan.container(&plan.pod.containers[0], "image").mounts[0];
    assert_eq!((mount.host_path.as_str(), mount.readonly, mount.image_sub_path.as_str()), ("", true, "models"));
    assert_eq!(mount.image.as_ref().map(|image| image.image.as_str()), Some("data:1"));
}

#[test]
fn containers_have_what_kubelet_gives_them() {
    let plan = plan("volumes: [{name: v, emptyDir: {}}]", "volumeMounts: [{name: v, mountPath: /v, readOnly: true}]");
    let config = plan.container(&plan.pod.containers[0], "image");
    assert_eq!(config.log_path, "c/0.log");
    assert_eq!(config.labels["io.kubernetes.container.name"], "c");
    let mounts: Vec<(&str, &str, bool)> = config
        .mounts
        .iter()
        .map(|mount| (mount.container_path.as_str(), mount.host_path.as_str(), mount.readonly))
        .collect();
    assert_eq!(
        mounts,
        [("/v", "/var/lib/crio/pods/u/volumes/v", true), ("/etc/hosts", "/var/lib/crio/pods/u/hosts", false),]
    );
}

#[test]
fn confinement_is_on_unless_it_is_turned_off() {
    use v1::security_profile::ProfileType;
    let plain = security(&plan("hostname: h", "tty: false"));
    assert_eq!(plain.seccomp.map(|profile| profile.profile_type()), Some(ProfileType::RuntimeDefault));
    assert!(plain.masked_paths.contains(&"/proc/kcore".to_owned()));
    assert!(!plain.no_new_privs);
    let privileged = security(&plan("hostname: h", "securityContext: {privileged: true}"));
    assert!(privileged.privileged && privileged.masked_paths.is_empty() && privileged.readonly_paths.is_empty());
    let own = security(&plan(
        "securityContext: {runAsUser: 5, runAsGroup: 6, seccompProfile: {type: Unconfined}}",
        "securityContext: {runAsUser: 7, allowPrivilegeEscalation: false, seccompProfile: {type: Localhost, localhostProfile: p}}",
    ));
    assert_eq!(own.run_as_user.map(|it| it.value), Some(7));
    assert_eq!(own.run_as_group.map(|it| it.value), Some(6));
    assert!(own.no_new_privs);
    assert_eq!(own.seccomp.map(|profile| profile.localhost_ref).as_deref(), Some("/var/lib/kubelet/seccomp/p"));
}
