//! What a manifest means, and which manifests are refused with which path.

use super::*;

const FULL: &str = r#"
apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: shop
  uid: ignored
  labels: { app: web }
spec:
  restartPolicy: Never
  hostNetwork: false
  shareProcessNamespace: true
  dnsConfig:
    nameservers: [10.0.0.10]
    options: [{ name: ndots, value: "5" }, { name: edns0 }]
  securityContext:
    runAsUser: 1000
    runAsNonRoot: true
    supplementalGroups: [7]
    sysctls: [{ name: net.core.somaxconn, value: "64" }]
  initContainers:
    - { name: prepare, image: "busybox:1", command: [sh, -c, "echo $(GREETING)"], env: [{ name: GREETING, value: hi }] }
  containers:
    - name: server
      image: registry:5000/server:2
      args: ["--port=80"]
      ports:
        - { containerPort: 80, hostPort: 8080, hostIP: 127.0.0.1 }
        - { containerPort: 9090, name: metrics }
      resources:
        limits: { cpu: 500m, memory: 128Mi }
        requests: { cpu: 0.25 }
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL], add: [NET_BIND_SERVICE] }
        seccompProfile: { type: Localhost, localhostProfile: p.json }
      volumeMounts:
        - { name: data, mountPath: /data }
        - { name: conf, mountPath: /conf, readOnly: true, mountPropagation: HostToContainer }
  volumes:
    - { name: data, emptyDir: {} }
    - { name: conf, hostPath: { path: /etc/shop, type: Directory } }
"#;

#[test]
fn a_whole_manifest() {
    let pod = parse(FULL).expect("a supported manifest");
    assert_eq!((pod.name.as_str(), pod.namespace.as_str()), ("web", "shop"));
    assert_eq!(pod.labels["app"], "web");
    assert!(pod.share_processes && !pod.host.network);
    assert_eq!(pod.dns.expect("resolver settings").options, ["ndots:5", "edns0"]);
    assert_eq!(pod.security.defaults.user, Some(1000));
    assert_eq!(pod.security.sysctls["net.core.somaxconn"], "64");
    assert_eq!(pod.init_containers[0].command, ["sh", "-c", "echo hi"]);
    let server = &pod.containers[0];
    assert_eq!(server.pull, PullPolicy::IfNotPresent);
    assert_eq!(server.host_ports.len(), 1);
    assert_eq!(server.host_ports[0].host_port, 8080);
    let expected = Resources {
        cpu_limit_milli: Some(500),
        cpu_request_milli: Some(250),
        memory_limit_bytes: Some(128 << 20),
        memory_request_bytes: None,
    };
    assert_eq!(server.resources, expected);
    assert_eq!(server.security.identity.seccomp, Some(Seccomp::Localhost("p.json".to_owned())));
    assert_eq!(server.security.drop_capabilities, ["ALL"]);
    assert_eq!(server.mounts[1].propagation, Propagation::HostToContainer);
    assert_eq!(pod.volumes["data"], Volume::EmptyDir);
}

/// The manifest with one container, `extra` lines at the level of the pod's and of the container's fields.
fn manifest(pod: &str, container: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec:\n  {pod}\n  containers:\n  - name: c\n    image: i:1\n    {container}\n"
    )
}

fn refused(text: &str, expected: &str) {
    let failure = parse(text).expect_err(text);
    assert_eq!(failure.to_string(), expected, "{text}");
}

/// Lines of a container, and the path below it with what is wrong.
const CONTAINERS: [(&str, &str); 15] = [
    ("livenessProbe: {exec: {command: [a]}}", "livenessProbe: is not supported"),
    ("envFrom: []\n    lifecycle: {}", "envFrom: is not supported"),
    ("env: [{name: A, valueFrom: {}}]", "env[0].valueFrom: is not supported"),
    ("resources: {limits: {nvidia.com/gpu: 1}}", "resources.limits.nvidia.com/gpu: is not supported"),
    ("resources: {limits: {cpu: lots}}", "resources.limits.cpu: \"lots\" is not a quantity such as 500m or 128Mi"),
    ("command: [sleep, 5]", "command[1]: has to be a string; quote it"),
    ("tty: maybe", "tty: has to be true or false"),
    ("imagePullPolicy: Never!", "imagePullPolicy: is \"Never!\"; it can be \"Always\", \"IfNotPresent\", \"Never\""),
    ("ports: [{containerPort: 70000}]", "ports[0].containerPort: has to be a port from 1 to 65535"),
    ("ports: [{containerPort: 7, hostIP: x}]", "ports[0].hostIP: \"x\" is not an address"),
    ("volumeMounts: [{name: v, mountPath: /v}]", "volumeMounts[0].name: there is no volume \"v\""),
    ("volumeMounts: [{name: v, mountPath: v}]", "volumeMounts[0].mountPath: has to be absolute"),
    ("securityContext: {procMount: Unmasked}", "securityContext.procMount: is not supported"),
    ("securityContext: {runAsUser: -1}", "securityContext.runAsUser: -1 is not an id"),
    (
        "securityContext: {privileged: true, allowPrivilegeEscalation: false}",
        "securityContext.allowPrivilegeEscalation: cannot be false for a privileged container or one with SYS_ADMIN",
    ),
];

#[test]
fn what_is_not_supported_of_a_container_is_named_by_its_path() {
    for (lines, expected) in CONTAINERS {
        refused(&manifest("hostname: h", lines), &format!("spec.containers[0].{expected}"));
    }
}

/// Lines of a pod's specification, and what is wrong.
const PODS: [(&str, &str); 8] = [
    ("hostAliases: [{ip: 1.2.3.4}]", "spec.hostAliases: is not supported"),
    ("ephemeralContainers: [{name: x}]", "spec.ephemeralContainers: is not supported"),
    ("securityContext: {fsGroup: 5}", "spec.securityContext.fsGroup: is not supported"),
    (
        "volumes: [{name: v, configMap: {name: m}}]",
        "spec.volumes[0].(source): only emptyDir, hostPath and image are supported",
    ),
    (
        "volumes: [{name: v, emptyDir: {medium: Memory}}]",
        "spec.volumes[0].emptyDir.medium: is \"Memory\"; it can be \"\"",
    ),
    (
        "volumes: [{name: v, hostPath: {path: /a/../b}}]",
        "spec.volumes[0].hostPath.path: has to be absolute and without ..",
    ),
    ("initContainers: [{name: c, image: i}]", "spec.containers[0].name: \"c\" is the name of another container"),
    ("hostname: UPPER", "spec.hostname: has to be a name of lower-case letters, digits, - and ."),
];

#[test]
fn what_is_not_supported_of_a_pod_is_named_by_its_path() {
    for (lines, expected) in PODS {
        refused(&manifest(lines, "tty: false"), expected);
    }
}

#[test]
fn an_image_can_be_a_volume() {
    let mounts = "volumeMounts: [{name: v, mountPath: /v, subPath: models}]";
    let pod = parse(&manifest("volumes: [{name: v, image: {reference: data:1}}]", mounts)).expect("supported");
    let expected = Volume::Image { reference: "data:1".to_owned(), pull: PullPolicy::IfNotPresent };
    assert_eq!((&pod.volumes["v"], pod.containers[0].mounts[0].sub_path.as_str()), (&expected, "models"));
    let pod = parse(&manifest("volumes: [{name: v, image: {reference: data, pullPolicy: Never}}]", mounts));
    let expected = Volume::Image { reference: "data".to_owned(), pull: PullPolicy::Never };
    assert_eq!(pod.expect("supported").volumes["v"], expected);
    let expected = "spec.containers[0].volumeMounts[0].subPath: is supported for image volumes only";
    refused(&manifest("volumes: [{name: v, emptyDir: {}}]", mounts), expected);
    refused(&manifest("volumes: [{name: v, image: {}}]", mounts), "spec.volumes[0].image.reference: is missing");
}

#[test]
fn what_is_no_pod_is_refused() {
    let spec = "spec: {containers: [{name: c, image: i}]}";
    let cases = [
        ("apiVersion: v1\nkind: Deployment\n".to_owned(), "kind: is \"Deployment\"; only \"Pod\" is supported"),
        (
            format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: ../x}}\n{spec}\n"),
            "metadata.name: has to be a name of lower-case letters, digits, - and .",
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {}\n".to_owned(),
            "spec.containers: holds no container",
        ),
        (format!("kind: Pod\n{spec}\n"), "apiVersion: is missing"),
        ("[]".to_owned(), "the manifest: has to be a mapping"),
    ];
    for (text, expected) in cases {
        refused(&text, expected);
    }
}

#[test]
fn what_speaks_to_others_is_ignored() {
    parse(&manifest("nodeSelector: {a: b}\n  tolerations: []\n  hostAliases: null", "terminationMessagePath: /x"))
        .expect("supported");
}

#[test]
fn only_true_and_false_are_truths() {
    let pod = parse(&manifest("hostname: on", "env: [{name: N, value: yes}]")).expect("supported");
    assert_eq!(pod.containers[0].env, [("N".to_owned(), "yes".to_owned())]);
    refused(&manifest("hostNetwork: yes", "tty: false"), "spec.hostNetwork: has to be true or false");
}

#[test]
fn broken_yaml_is_refused() {
    for text in ["a: [", "a: b\na: c\n", "\t", "&a [*a, *a]"] {
        assert!(parse(text).is_err(), "{text:?}");
    }
}
