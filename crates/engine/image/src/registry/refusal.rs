//! What a registry's error answer says, made fit for a log line.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;

use super::error::RegistryError;

const MAX_DETAIL_CHARS: usize = 256;

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    errors: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// The error a response with this status means. `anonymous` is whether no credentials were presented.
pub(super) fn classify(host: &str, status: u16, headers: &HeaderMap, body: &[u8], anonymous: bool) -> RegistryError {
    let host = host.to_owned();
    let detail = detail(body);
    match status {
        401 => RegistryError::Unauthorized { host, anonymous, detail },
        403 => RegistryError::Denied { host, detail },
        404 => RegistryError::NotFound { host, detail },
        429 => RegistryError::RateLimited { host, detail, retry_after: retry_after(headers) },
        500..=599 => RegistryError::Server { host, status, detail, retry_after: retry_after(headers) },
        _ => RegistryError::Status { host, status, detail },
    }
}

/// The first error of the distribution specification's error document, as ` (CODE: message)`; empty without one.
fn detail(body: &[u8]) -> String {
    let Ok(document) = serde_json::from_slice::<Document>(body) else {
        return String::new();
    };
    let Some(item) = document.errors.into_iter().next() else {
        return String::new();
    };
    let text = match (item.code.is_empty(), item.message.is_empty()) {
        (true, true) => return String::new(),
        (false, true) => item.code,
        (true, false) => item.message,
        (false, false) => format!("{}: {}", item.code, item.message),
    };
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_DETAIL_CHARS).collect();
    format!(" ({text})")
}

/// `Retry-After` in seconds. Its other form, a date, is taken for its absence: the usual back-off then applies.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_only_what_is_harmless() {
        for (body, expected) in [
            (
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#,
                " (MANIFEST_UNKNOWN: manifest unknown)",
            ),
            (r#"{"errors":[{"code":"DENIED"}]}"#, " (DENIED)"),
            (r#"{"errors":[{"message":"a\nb\u0007"}]}"#, " (a b )"),
            (r#"{"errors":[]}"#, ""),
            (r#"{"errors":[{}]}"#, ""),
            ("<html>", ""),
            ("", ""),
        ] {
            assert_eq!(detail(body.as_bytes()), expected, "{body}");
        }
        let long = format!(r#"{{"errors":[{{"message":"{}"}}]}}"#, "x".repeat(10_000));
        assert_eq!(detail(long.as_bytes()).len(), MAX_DETAIL_CHARS + 3);
    }

    #[test]
    fn reads_retry_after() {
        for (value, expected) in
            [("7", Some(7)), (" 0 ", Some(0)), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None)]
        {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            assert_eq!(retry_after(&headers), expected.map(Duration::from_secs), "{value}");
        }
    }
}
