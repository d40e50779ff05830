//! Whether two specifications grant a container's processes the same rights.
//!
//! Restored processes have the rights they had; a specification that grants others would only claim to. What differs is
//! named, so that people know what to ask for.

use std::collections::BTreeSet;

use serde_json::Value;

/// What must be equal: where it stands, and what to call it. Lists are sets here.
const EQUAL: [(&str, &str); 13] = [
    ("/process/user", "the user"),
    ("/process/capabilities", "the capabilities"),
    ("/process/noNewPrivileges", "no_new_privs"),
    ("/process/apparmorProfile", "the AppArmor profile"),
    ("/process/rlimits", "the ulimits"),
    ("/root/readonly", "the read-only root"),
    ("/linux/seccomp", "the seccomp profile"),
    ("/linux/maskedPaths", "the masked paths"),
    ("/linux/readonlyPaths", "the read-only paths"),
    ("/linux/uidMappings", "the uid mappings"),
    ("/linux/gidMappings", "the gid mappings"),
    ("/linux/rootfsPropagation", "the propagation of mounts"),
    ("/process/terminal", "the terminal"),
];

/// Compares the specification of a checkpointed container with that of the one it is to become.
///
/// # Errors
/// What differs, or is missing.
pub(crate) fn check(dumped: &Value, wanted: &Value) -> Result<(), String> {
    let mut differing: Vec<&str> = EQUAL
        .iter()
        .filter(|(pointer, _)| normal(dumped.pointer(pointer)) != normal(wanted.pointer(pointer)))
        .map(|(_, name)| *name)
        .collect();
    if selinux_type(dumped) != selinux_type(wanted) {
        differing.push("the SELinux type");
    }
    if namespaces(dumped) != namespaces(wanted) {
        differing.push("the namespaces");
    }
    if !differing.is_empty() {
        return Err(format!("{} differ from those of the container it is of", differing.join(", ")));
    }
    let missing: Vec<String> = mounts(dumped).difference(&mounts(wanted)).cloned().collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("it needs mounts at {}", missing.join(", "))) }
}

/// The same for equal meanings: an absent value is like an empty one, and lists are ordered.
fn normal(value: Option<&Value>) -> Value {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => Value::Null,
        Some(Value::Array(list)) if list.is_empty() => Value::Null,
        Some(Value::Array(list)) => {
            let mut list: Vec<Value> = list.iter().map(|item| normal(Some(item))).collect();
            list.sort_by_key(ToString::to_string);
            Value::Array(list)
        }
        Some(Value::Object(object)) => {
            let mut fields: Vec<(&String, Value)> =
                object.iter().map(|(key, value)| (key, normal(Some(value)))).filter(|(_, v)| !v.is_null()).collect();
            fields.sort_by_key(|(key, _)| *key);
            if fields.is_empty() {
                return Value::Null;
            }
            Value::Object(fields.into_iter().map(|(key, value)| (key.clone(), value)).collect())
        }
        Some(value) => value.clone(),
    }
}

/// A label without its level, which differs from pod to pod.
fn selinux_type(spec: &Value) -> Option<String> {
    let label = spec.pointer("/process/selinuxLabel")?.as_str().filter(|label| !label.is_empty())?;
    Some(label.splitn(4, ':').take(3).collect::<Vec<_>>().join(":"))
}

/// Kinds of namespaces, and whether each is the pod's or the container's own.
fn namespaces(spec: &Value) -> BTreeSet<(String, bool)> {
    let list = spec.pointer("/linux/namespaces").and_then(Value::as_array);
    let describe = |namespace: &Value| {
        let is_joined = namespace["path"].as_str().is_some_and(|path| !path.is_empty());
        Some((namespace["type"].as_str()?.to_owned(), is_joined))
    };
    list.into_iter().flatten().filter_map(describe).collect()
}

fn mounts(spec: &Value) -> BTreeSet<String> {
    let list = spec["mounts"].as_array();
    list.into_iter().flatten().filter_map(|mount| mount["destination"].as_str()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec() -> Value {
        json!({
            "process": {
                "user": { "uid": 1, "gid": 1, "additionalGids": [5, 6] },
                "capabilities": { "bounding": ["CAP_A", "CAP_B"], "ambient": [] },
                "noNewPrivileges": true,
                "selinuxLabel": "system_u:system_r:container_t:s0:c1,c2",
            },
            "root": { "readonly": false },
            "linux": {
                "namespaces": [{ "type": "pid" }, { "type": "network", "path": "/run/ns/1" }],
                "seccomp": { "defaultAction": "SCMP_ACT_ERRNO" },
            },
            "mounts": [{ "destination": "/proc" }, { "destination": "/data" }],
        })
    }

    #[test]
    fn the_same_rights_in_another_order_and_another_pod_are_equal() {
        let mut other = spec();
        other["process"]["capabilities"] = json!({ "ambient": null, "bounding": ["CAP_B", "CAP_A"] });
        other["process"]["user"]["additionalGids"] = json!([6, 5]);
        other["process"]["selinuxLabel"] = json!("system_u:system_r:container_t:s0:c7,c8");
        other["root"] = json!({});
        other["linux"]["namespaces"] = json!([{ "type": "network", "path": "/run/ns/2" }, { "type": "pid" }]);
        other["mounts"].as_array_mut().expect("a list").push(json!({ "destination": "/more" }));
        assert_eq!(check(&spec(), &other), Ok(()));
        assert_eq!(check(&spec(), &spec()), Ok(()));
    }

    #[test]
    fn every_difference_is_named() {
        let cases = [
            ("/process/user/uid", json!(0), "the user"),
            ("/process/capabilities/bounding", json!(["CAP_A"]), "the capabilities"),
            ("/process/noNewPrivileges", json!(false), "no_new_privs"),
            ("/process/selinuxLabel", json!("system_u:system_r:spc_t:s0"), "the SELinux type"),
            ("/linux/seccomp", json!(null), "the seccomp profile"),
            ("/linux/namespaces", json!([{ "type": "pid" }]), "the namespaces"),
            ("/linux/namespaces/1/path", json!(""), "the namespaces"),
            ("/root/readonly", json!(true), "the read-only root"),
            ("/mounts/1/destination", json!("/other"), "mounts at /data"),
        ];
        for (pointer, value, named) in cases {
            let mut other = spec();
            *other.pointer_mut(pointer).expect("there") = value;
            let refused = check(&spec(), &other).expect_err(pointer);
            assert!(refused.contains(named), "{pointer}: {refused}");
        }
    }

    #[test]
    fn a_document_of_nonsense_is_no_match() {
        for nonsense in [json!(null), json!([]), json!("x"), json!({ "linux": 1, "process": [] })] {
            assert!(check(&nonsense, &spec()).is_err(), "{nonsense}");
        }
    }
}
