//! What a chain of plugins answers: the addresses of the pod (CNI specification, section 5).
//!
//! The document itself is kept as it came, because later plugins and libcni's cache want all of it; only the addresses
//! are read here. Versions before 0.3.0 had one IPv4 and one IPv6 address under other keys.

use ipnet::IpNet;
use serde_json::{Map, Value};

/// More addresses than any pod has; a plugin that answers more is broken.
const ADDRESSES_MAX: usize = 64;

/// A plugin's answer that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// Not JSON, or not an object.
    #[error("it is not a JSON object")]
    Json {
        /// Why.
        source: serde_json::Error,
    },
    /// An address that is none.
    #[error("{0} is not an address with a prefix length")]
    Address(String),
    /// Far too many addresses.
    #[error("it holds more than {ADDRESSES_MAX} addresses")]
    TooManyAddresses,
    /// A field holds what it must not.
    #[error("the field {0} has a wrong type")]
    Field(&'static str),
}

/// Parses a plugin's standard output.
pub(crate) fn parse(bytes: &[u8]) -> Result<Map<String, Value>, ResultError> {
    serde_json::from_slice(bytes).map_err(|source| ResultError::Json { source })
}

/// The pod's addresses, in the plugins' order. Addresses that plugins report for links of the host are left out.
pub(crate) fn addresses(result: &Map<String, Value>) -> Result<Vec<IpNet>, ResultError> {
    let entries: &[Value] = match result.get("ips") {
        None | Some(Value::Null) => return old_addresses(result),
        Some(Value::Array(entries)) => entries,
        Some(_) => return Err(ResultError::Field("ips")),
    };
    if entries.len() > ADDRESSES_MAX {
        return Err(ResultError::TooManyAddresses);
    }
    let mut addresses = Vec::with_capacity(entries.len());
    for entry in entries {
        let address = parse_address(&entry["address"])?;
        if !is_on_host(result, entry) && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

fn old_addresses(result: &Map<String, Value>) -> Result<Vec<IpNet>, ResultError> {
    ["ip4", "ip6"]
        .iter()
        .filter_map(|family| result.get(*family))
        .filter(|entry| !entry.is_null())
        .map(|entry| parse_address(&entry["ip"]))
        .collect()
}

fn parse_address(value: &Value) -> Result<IpNet, ResultError> {
    let text = value.as_str().ok_or(ResultError::Field("address"))?;
    text.parse().map_err(|_| ResultError::Address(text.chars().take(64).collect()))
}

/// Whether an address belongs to an interface that is in no sandbox.
fn is_on_host(result: &Map<String, Value>, entry: &Value) -> bool {
    let index = entry["interface"].as_u64().and_then(|index| usize::try_from(index).ok());
    let interface = index.and_then(|index| result.get("interfaces")?.get(index));
    interface.is_some_and(|interface| interface["sandbox"].as_str().unwrap_or_default().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(result: &str) -> Option<Vec<String>> {
        let document = parse(result.as_bytes()).ok()?;
        Some(addresses(&document).ok()?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn finds_the_addresses_of_the_pod() {
        let interfaces = r#""interfaces":[{"name":"cni0"},{"name":"eth0","sandbox":"/ns"}]"#;
        let cases = [
            (r#"{"ips":[{"address":"10.0.0.2/24"},{"address":"fd00::2/64"}]}"#.to_owned(), "10.0.0.2/24 fd00::2/64"),
            (
                format!(
                    r#"{{"ips":[{{"address":"10.0.0.1/24","interface":0}},{{"address":"10.0.0.2/24","interface":1}}],{interfaces}}}"#
                ),
                "10.0.0.2/24",
            ),
            (r#"{"ips":[{"address":"10.0.0.2/24","interface":7}]}"#.to_owned(), "10.0.0.2/24"),
            (r#"{"ips":[{"address":"10.0.0.2/24"},{"address":"10.0.0.2/24"}]}"#.to_owned(), "10.0.0.2/24"),
            (r#"{"ip4":{"ip":"10.0.0.2/24"},"ip6":{"ip":"fd00::2/64"}}"#.to_owned(), "10.0.0.2/24 fd00::2/64"),
            (r#"{"ip4":null}"#.to_owned(), ""),
            ("{}".to_owned(), ""),
        ];
        for (result, expected) in cases {
            assert_eq!(texts(&result).expect(&result).join(" "), expected, "{result}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let many = format!(r#"{{"ips":[{}]}}"#, vec![r#"{"address":"10.0.0.2/24"}"#; 65].join(","));
        let deep = "[".repeat(100_000);
        for result in [
            "",
            "null",
            "[]",
            "{} {}",
            r#"{"ips":{}}"#,
            r#"{"ips":[{}]}"#,
            r#"{"ips":[{"address":"10.0.0.2"}]}"#,
            r#"{"ips":[{"address":"10.0.0.2/33"}]}"#,
            r#"{"ips":[7]}"#,
            &many,
            &deep,
        ] {
            assert_eq!(texts(result), None, "{}", &result[..result.len().min(60)]);
        }
    }
}
