//! Bearer tokens: who is told the password to get one.
//!
//! The registry names its token service in the challenge (`realm`). A hostile or impersonated registry could name
//! any host there, so the rule is: over https with a certificate that verifies, any realm is spoken to, because the
//! registry itself was verified and that is how Docker Hub and most others are set up; without verification only the
//! registry's own host. Plain http is spoken only to the host of a registry that is configured as insecure.

use crio_types::Credentials;
use reqwest::Url;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use super::error::RegistryError;
use super::refusal;
use super::transport::{Transport, Verification, host_of};

const MAX_ANSWER_BYTES: u64 = 256 << 10;
const CLIENT_ID: &str = "crio-rs";

/// What is needed to buy a token.
#[derive(Debug)]
pub(super) struct TokenRequest<'a> {
    /// The registry that asked, with port.
    pub(super) registry: &'a str,
    /// How it is verified.
    pub(super) verification: Verification,
    /// Its realm, as sent.
    pub(super) realm: &'a str,
    pub(super) service: Option<&'a str>,
    pub(super) scope: String,
    pub(super) credentials: Option<&'a Credentials>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

/// Buys a token and returns it as the value of an `Authorization` header.
pub(super) async fn buy(transport: &Transport, request: &TokenRequest<'_>) -> Result<HeaderValue, RegistryError> {
    let refused = |reason: String| RegistryError::Challenge { host: request.registry.to_owned(), reason };
    let (realm, verification) =
        trusted_realm(request.registry, request.verification, request.realm).map_err(refused)?;
    let host = host_of(&realm);
    let client = transport.client(&host, verification)?;
    let http_request = match request.credentials {
        Some(Credentials::IdentityToken(token)) => client
            .post(realm)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(refresh_form(request, token)),
        Some(Credentials::Basic { username, password }) => {
            client.get(with_query(realm, request, Some(username))).basic_auth(username, Some(password))
        }
        Some(Credentials::RegistryToken(_)) | None => client.get(with_query(realm, request, None)),
    };
    let response = transport.send(&host, http_request).await?;
    let status = response.status();
    let headers = response.headers().clone();
    let body = transport.body(response, MAX_ANSWER_BYTES).await?;
    if !status.is_success() {
        return Err(refusal::classify(&host, status.as_u16(), &headers, &body, request.credentials.is_none()));
    }
    header_value(&body).ok_or_else(|| refused("its token service answers without a token".to_owned()))
}

/// The realm as a URL, and how its host is verified, if we may speak to it at all.
fn trusted_realm(registry: &str, verification: Verification, realm: &str) -> Result<(Url, Verification), String> {
    let url: Url = realm.parse().map_err(|_| "its realm is not a URL".to_owned())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("its realm carries credentials".to_owned());
    }
    let same_host = url.host_str().is_some_and(|host| host == host_only(registry));
    match (url.scheme(), same_host, verification) {
        ("https", true, verification) => Ok((url, verification)),
        ("https", false, _) => Ok((url, Verification::Required)),
        ("http", true, Verification::Waived) => Ok((url, Verification::Waived)),
        ("http", ..) => {
            Err(format!("its realm {} is neither https nor the host of an insecure registry", host_of(&url)))
        }
        (scheme, ..) => Err(format!("its realm has the scheme {scheme:?}")),
    }
}

fn host_only(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn with_query(mut realm: Url, request: &TokenRequest<'_>, account: Option<&str>) -> Url {
    {
        let mut query = realm.query_pairs_mut();
        if let Some(account) = account {
            query.append_pair("account", account);
        }
        if let Some(service) = request.service {
            query.append_pair("service", service);
        }
        query.append_pair("scope", &request.scope);
    }
    realm
}

/// The form that trades an identity token for a bearer token, by Docker's token specification (OAuth 2).
fn refresh_form(request: &TokenRequest<'_>, identity_token: &str) -> String {
    let mut form = Url::parse("form:").expect("a scheme alone is a URL");
    form.query_pairs_mut()
        .append_pair("grant_type", "refresh_token")
        .append_pair("service", request.service.unwrap_or(request.registry))
        .append_pair("client_id", CLIENT_ID)
        .append_pair("scope", &request.scope)
        .append_pair("refresh_token", identity_token);
    form.query().unwrap_or_default().to_owned()
}

fn header_value(body: &[u8]) -> Option<HeaderValue> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let token = if answer.token.is_empty() { answer.access_token } else { answer.token };
    bearer(&token)
}

/// `Bearer <token>` as a header value that is kept out of debug output.
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    if token.is_empty() {
        return None;
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusts_realms_by_the_rule() {
        use Verification::{Required, Waived};
        for (registry, verification, realm, expected) in [
            ("registry-1.docker.io", Required, "https://auth.docker.io/token", Some(Required)),
            ("a.io", Required, "https://a.io/token", Some(Required)),
            ("a.io:5000", Required, "https://a.io/token", Some(Required)),
            ("a.io", Waived, "https://a.io/token", Some(Waived)),
            ("a.io:5000", Waived, "https://a.io:5001/token", Some(Waived)),
            ("a.io", Waived, "https://evil.io/token", Some(Required)),
            ("a.io", Waived, "http://a.io/token", Some(Waived)),
            ("a.io:5000", Waived, "http://a.io:5001/token", Some(Waived)),
            ("a.io", Waived, "http://evil.io/token", None),
            ("a.io", Required, "http://a.io/token", None),
            ("a.io", Required, "http://evil.io/token", None),
            ("a.io", Required, "https://u:p@a.io/token", None),
            ("a.io", Waived, "file:///etc/passwd", None),
            ("a.io", Waived, "/token", None),
            ("a.io", Waived, "", None),
            ("[::1]:5000", Waived, "http://[::1]:5001/token", Some(Waived)),
            ("[::1]", Waived, "http://[::1]/token", Some(Waived)),
        ] {
            let trusted = trusted_realm(registry, verification, realm).ok().map(|(_, verification)| verification);
            assert_eq!(trusted, expected, "{realm} from {registry} ({verification:?})");
        }
    }

    #[test]
    fn asks_for_exactly_the_scope() {
        let mut request = TokenRequest {
            registry: "a.io",
            verification: Verification::Required,
            realm: "",
            service: Some("the service"),
            scope: "repository:a/b:pull".to_owned(),
            credentials: None,
        };
        let url = with_query("https://a.io/token?x=1".parse().unwrap(), &request, Some("me"));
        assert_eq!(
            url.as_str(),
            "https://a.io/token?x=1&account=me&service=the+service&scope=repository%3Aa%2Fb%3Apull"
        );
        request.service = None;
        assert_eq!(
            refresh_form(&request, "a b"),
            "grant_type=refresh_token&service=a.io&client_id=crio-rs&scope=repository%3Aa%2Fb%3Apull&refresh_token=a+b"
        );
    }

    #[test]
    fn takes_either_token_field() {
        for (body, expected) in [
            (r#"{"token":"t"}"#, Some("Bearer t")),
            (r#"{"access_token":"a"}"#, Some("Bearer a")),
            (r#"{"token":"t","access_token":"a","expires_in":300}"#, Some("Bearer t")),
            (r#"{}"#, None),
            (r#"{"token":"a\nb"}"#, None),
            ("[]", None),
            ("", None),
        ] {
            let value = header_value(body.as_bytes());
            assert_eq!(value.as_ref().map(|value| value.to_str().unwrap()), expected, "{body}");
        }
    }
}
