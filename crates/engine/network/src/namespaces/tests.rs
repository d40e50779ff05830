//! Namespaces are made for real here, as root; every pin is below a temporary directory and removed again.

use std::os::fd::AsFd;

use crio_sys::namespace::NamespaceError;
use crio_types::{Classified, ErrorKind};

use super::*;

fn request(dir: &Path) -> PinRequest {
    PinRequest {
        dir: dir.to_owned(),
        id: SandboxId::from_bytes([7; 32]),
        net: true,
        ipc: true,
        uts: true,
        user: None,
        hostname: Some("pod-name".to_owned()),
        sysctls: Labels::new(),
    }
}

fn inside<T: Send>(path: &Path, kind: NamespaceKind, work: impl FnOnce() -> T + Send) -> T {
    let namespace = namespace::open(path).expect("pinned");
    namespace::run_in(namespace.as_fd(), kind, work).expect("entered")
}

#[tokio::test]
async fn a_pod_gets_what_it_asked_for_and_the_host_keeps_its_own() {
    let dir = tempfile::tempdir().expect("tempdir");
    let mut request = request(dir.path());
    for (name, value) in
        [("net.ipv4.ip_unprivileged_port_start", "42"), ("kernel.shm_rmid_forced", "1"), ("fs.mqueue.msg_max", "100")]
    {
        request.sysctls.insert(name.to_owned(), value.to_owned());
    }
    let host_before = sysctl::read(Path::new("fs/mqueue/msg_max")).expect("host");
    let planned = plan(&request);
    let pinned = pin(request).await.expect("pin");
    assert_eq!(pinned, planned);

    let net = pinned.net.clone().expect("net");
    let ipc = pinned.ipc.clone().expect("ipc");
    let uts = pinned.uts.clone().expect("uts");
    let read = |path: &'static str| move || sysctl::read(Path::new(path)).expect(path);
    assert_eq!(inside(&net, NamespaceKind::Network, read("net/ipv4/ip_unprivileged_port_start")), "42");
    assert_eq!(inside(&net, NamespaceKind::Network, read("net/ipv6/conf/default/accept_ra")), "0");
    assert_eq!(inside(&ipc, NamespaceKind::Ipc, read("fs/mqueue/msg_max")), "100");
    assert_eq!(inside(&ipc, NamespaceKind::Ipc, read("kernel/shm_rmid_forced")), "1");
    let hostname = inside(&uts, NamespaceKind::Uts, || rustix::system::uname().nodename().to_owned());
    assert_eq!(hostname.to_bytes(), b"pod-name");
    assert_ne!(rustix::system::uname().nodename().to_bytes(), b"pod-name");
    assert_eq!(sysctl::read(Path::new("fs/mqueue/msg_max")).expect("host"), host_before);
    inside(&net, NamespaceKind::Network, || {
        std::net::TcpListener::bind("127.0.0.1:0").expect("lo is up");
    });

    assert!(is_pinned(&net));
    unpin(&pinned).await.expect("unpin");
    unpin(&pinned).await.expect("unpin again");
    assert!(!is_pinned(&net));
    for path in [net, ipc, uts] {
        assert!(!path.exists(), "{}", path.display());
    }
}

#[tokio::test]
async fn a_pod_with_users_of_its_own_owns_its_namespaces() {
    let dir = tempfile::tempdir().expect("tempdir");
    let map = vec![crio_types::IdMapping { host_id: 400_000, container_id: 0, length: 65_536 }];
    let mut request = PinRequest { user: Some(UserMaps { uids: map.clone(), gids: map }), ..request(dir.path()) };
    for (name, value) in [
        ("net.ipv4.ip_unprivileged_port_start", "42"),
        ("net.ipv4.ping_group_range", "0 2147483647"),
        ("kernel.shm_rmid_forced", "1"),
        ("kernel.sem", "250 32000 100 99"),
        ("fs.mqueue.msg_max", "100"),
    ] {
        request.sysctls.insert(name.to_owned(), value.to_owned());
    }
    let planned = plan(&request);
    let pinned = pin(request).await.expect("pin");
    assert_eq!(pinned, planned);
    let (net, ipc) = (pinned.net.clone().expect("net"), pinned.ipc.clone().expect("ipc"));
    let read = |path: &'static str| move || sysctl::read(Path::new(path)).expect(path);
    assert_eq!(inside(&net, NamespaceKind::Network, read("net/ipv4/ip_unprivileged_port_start")), "42");
    assert_eq!(inside(&net, NamespaceKind::Network, read("net/ipv4/ping_group_range")), "400000\t465535");
    assert_eq!(inside(&ipc, NamespaceKind::Ipc, read("kernel/shm_rmid_forced")), "1");
    assert_eq!(inside(&ipc, NamespaceKind::Ipc, read("kernel/sem")), "250\t32000\t100\t99");
    assert_eq!(inside(&ipc, NamespaceKind::Ipc, read("fs/mqueue/msg_max")), "100");
    let uts = pinned.uts.clone().expect("uts");
    let hostname = inside(&uts, NamespaceKind::Uts, || rustix::system::uname().nodename().to_owned());
    assert_eq!(hostname.to_bytes(), b"pod-name");
    assert!(is_pinned(pinned.user.as_deref().expect("user")));
    unpin(&pinned).await.expect("unpin");
    assert!(pinned.paths().all(|path| !path.exists()));
}

#[tokio::test]
async fn only_the_namespaces_asked_for_are_made() {
    let dir = tempfile::tempdir().expect("tempdir");
    let request = PinRequest { net: false, uts: false, ..request(dir.path()) };
    let pinned = pin(request).await.expect("pin");
    assert!(pinned.net.is_none() && pinned.uts.is_none());
    assert!(!dir.path().join("netns").exists());
    unpin(&pinned).await.expect("unpin");

    let none = PinRequest { net: false, ipc: false, uts: false, ..self::request(dir.path()) };
    assert_eq!(pin(none).await.expect("nothing to do"), Pinned::default());
}

#[tokio::test]
async fn what_is_refused_leaves_no_pin() {
    let dir = tempfile::tempdir().expect("tempdir");
    let with = |name: &str, value: &str| {
        let mut request = request(dir.path());
        request.sysctls.insert(name.to_owned(), value.to_owned());
        request
    };
    let shared = PinRequest { net: false, ..with("net.ipv4.ip_forward", "1") };
    let map = vec![crio_types::IdMapping { host_id: 400_000, container_id: 0, length: 65_536 }];
    let users = Some(UserMaps { uids: map.clone(), gids: map });
    let unknown_in_userns = PinRequest { user: users, ..with("net.ipv4.no_such_parameter", "1") };
    let long_name = PinRequest { hostname: Some("x".repeat(65)), ..request(dir.path()) };
    let cases = [
        (with("kernel.core_pattern", "x"), "global"),
        (with("net.ipv4.no_such_parameter", "1"), "unknown"),
        (with("net.ipv4.ip_forward", "maybe"), "bad value"),
        (shared, "the node's network"),
        (long_name, "host name"),
        (unknown_in_userns, "unknown, in a user namespace"),
    ];
    for (request, what) in cases {
        let planned = plan(&request);
        let error = pin(request).await.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{what}: {error}");
        for path in planned.paths() {
            assert!(!path.exists(), "{what}: {}", path.display());
        }
    }
}

#[tokio::test]
async fn a_pin_that_exists_is_never_replaced() {
    let dir = tempfile::tempdir().expect("tempdir");
    let first = pin(request(dir.path())).await.expect("pin");
    let uts = first.uts.clone().expect("uts");
    let identity = |path: &Path| namespace::identity(namespace::open(path).expect("open").as_fd()).expect("fstat");
    let before = identity(&uts);

    // Free the first two so that the second attempt fails at the third, after it pinned two of its own.
    let freed = Pinned { uts: None, ..first.clone() };
    unpin(&freed).await.expect("unpin");
    let error = pin(request(dir.path())).await.expect_err("the name is taken");
    assert!(matches!(error, PinError::Namespace { source: NamespaceError::CreatePin { .. } }), "{error}");
    assert!(!is_pinned(&freed.net.expect("net")), "its own pins are gone");
    assert_eq!(identity(&uts), before, "the other's is untouched");
    unpin(&first).await.expect("unpin");
}
