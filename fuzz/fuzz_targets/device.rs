//! Device strings of the configuration and of the devices annotation.
//!
//! Oracle: a device written out in full is the same device, and the annotation reaches allowed devices only.
#![no_main]

use std::path::PathBuf;

use crio_devices::{parse, parse_annotation};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(device) = parse(text) {
        let full = format!("{}:{}:{}", device.host_path, device.container_path, device.permissions);
        assert_eq!(parse(&full).ok(), Some(device), "{full:?}");
    }
    let allowed = ["/dev/fuse", "/dev/net/tun"];
    for device in parse_annotation(text, &allowed.map(PathBuf::from)).unwrap_or_default() {
        assert!(allowed.contains(&device.host_path.as_str()), "{:?}", device.host_path);
        assert!(device.container_path.starts_with('/'));
    }
});
