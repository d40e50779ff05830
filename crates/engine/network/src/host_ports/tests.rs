//! Which forwards a pod gets, and what the table says; that it works is tested with real pods elsewhere.

use std::collections::BTreeSet;

use crio_types::PortMapping;

use super::*;
use crate::pod::tests::pod;

fn attachment(addresses: &[&str]) -> Attachment {
    let addresses: Vec<IpNet> = addresses.iter().map(|address| address.parse().expect("address")).collect();
    Attachment {
        network: "n".to_owned(),
        interface: "eth0".to_owned(),
        ips: addresses.iter().map(IpNet::addr).collect(),
        addresses,
    }
}

fn mapping(host_port: u16, host_ip: Option<&str>) -> PortMapping {
    PortMapping {
        protocol: Protocol::Tcp,
        container_port: 80,
        host_port,
        host_ip: host_ip.map(|address| address.parse().expect("address")),
    }
}

#[test]
fn each_port_is_forwarded_in_the_families_it_can_be() {
    let both = ["10.0.0.2/24", "10.0.0.3/24", "fd00::2/64"];
    let cases: [(&[&str], PortMapping, &[&str]); 8] = [
        (&both, mapping(8080, None), &["* 10.0.0.2:80", "* [fd00::2]:80"]),
        (&both, mapping(8080, Some("0.0.0.0")), &["* 10.0.0.2:80"]),
        (&both, mapping(8080, Some("::")), &["* [fd00::2]:80"]),
        (&both, mapping(8080, Some("192.0.2.1")), &["192.0.2.1 10.0.0.2:80"]),
        (&both, mapping(8080, Some("2001:db8::1")), &["2001:db8::1 [fd00::2]:80"]),
        (&["10.0.0.2/24"], mapping(8080, Some("2001:db8::1")), &[]),
        (&both, mapping(0, None), &[]),
        (&[], mapping(8080, None), &[]),
    ];
    for (addresses, port, expected) in cases {
        let pod = PodNetwork { ports: vec![port.clone()], ..pod(1) };
        let found: Vec<String> = forwards(&pod, &attachment(addresses))
            .iter()
            .map(|forward| {
                let host = forward.host_address.map_or("*".to_owned(), |address| address.to_string());
                format!("{host} {}", forward.target)
            })
            .collect();
        assert_eq!(found, expected, "{port:?}");
    }
}

#[test]
fn the_table_names_each_port_once_and_the_later_claim_counts() {
    let pod = |ports| PodNetwork { ports, ..pod(1) };
    let old =
        forwards(&pod(vec![mapping(8080, None), mapping(9090, Some("127.0.0.1"))]), &attachment(&["10.0.0.2/24"]));
    let new = forwards(&pod(vec![mapping(8080, None)]), &attachment(&["10.0.0.3/24"]));
    let links = BTreeSet::from(["cni0".to_owned()]);
    let script = ruleset::replace("t", old.iter().chain(&new), &links);
    assert!(script.starts_with("table inet t\ndelete table inet t\ntable inet t {\n"), "{script}");
    assert!(script.contains("elements = { tcp . 8080 : 10.0.0.3 . 80 }"), "{script}");
    assert!(!script.contains("10.0.0.2 . 80 }; }\n  map bound_v4") && !script.contains("8080 : 10.0.0.2"), "{script}");
    assert!(script.contains("elements = { 127.0.0.1 . tcp . 9090 : 10.0.0.2 . 80 }"), "{script}");
    assert!(script.contains("elements = { 10.0.0.0/24 . tcp . 8080, 127.0.0.0/8 . tcp . 8080 }"), "{script}");
    assert!(script.contains("elements = { \"cni0\" }"), "{script}");
    assert!(!script.contains("MARK"), "{script}");
}

#[test]
fn names_that_need_quoting_are_no_link_names() {
    for name in ["", ".", "..", "a/b", "a\"b", "a b", "sixteen-letters-x", "a\\", "cni*", "é"] {
        assert!(!nft::is_link_name(name), "{name:?}");
    }
    for name in ["cni0", "veth1a2b3c4d", "eth0.100", "br-lan:1"] {
        assert!(nft::is_link_name(name), "{name:?}");
    }
}
