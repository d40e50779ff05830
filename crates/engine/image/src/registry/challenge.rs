//! `WWW-Authenticate`: what a registry wants to see.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// Longest header value that is parsed.
const MAX_HEADER: usize = 8 << 10;

/// A challenge we can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User name and password with each request.
    Basic,
    /// A token from the service at `realm`.
    Bearer {
        /// URL of the token service, as sent.
        realm: String,
        /// The name the registry goes by at that service.
        service: Option<String>,
        /// What access is needed.
        scope: Option<String>,
    },
}

impl Challenge {
    /// The challenge to answer among all a response carries: bearer before basic.
    pub(super) fn choose(headers: &HeaderMap) -> Option<Self> {
        let mut basic = None;
        for value in headers.get_all(WWW_AUTHENTICATE) {
            let Some(text) = value.to_str().ok().filter(|text| text.len() <= MAX_HEADER) else {
                continue;
            };
            let Ok(challenges) = http_auth::parse_challenges(text) else {
                continue;
            };
            for challenge in &challenges {
                match Self::from_parsed(challenge) {
                    Some(Self::Basic) => basic = Some(Self::Basic),
                    Some(bearer) => return Some(bearer),
                    None => {}
                }
            }
        }
        basic
    }

    fn from_parsed(challenge: &http_auth::ChallengeRef<'_>) -> Option<Self> {
        if challenge.scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !challenge.scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let parameter = |name: &str| {
            let (_, value) = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
            Some(value.to_unescaped()).filter(|value| !value.is_empty())
        };
        Some(Self::Bearer { realm: parameter("realm")?, service: parameter("service"), scope: parameter("scope") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        })
    }

    #[test]
    fn chooses_a_challenge() {
        let cases: Vec<(Vec<&str>, Option<Challenge>)> = vec![
            (vec![], None),
            (vec![""], None),
            (vec![r#"Basic realm="x""#], Some(Challenge::Basic)),
            (vec![r#"basic realm="x""#], Some(Challenge::Basic)),
            (vec![r#"Digest realm="x", nonce="y""#], None),
            (
                vec![r#"Bearer realm="https://a/token",service="s",scope="repository:x:pull""#],
                bearer("https://a/token", Some("s"), Some("repository:x:pull")),
            ),
            (vec![r#"BEARER Realm="https://a""#], bearer("https://a", None, None)),
            (vec![r#"Basic realm="x""#, r#"Bearer realm="https://a""#], bearer("https://a", None, None)),
            (vec![r#"Basic realm="x", Bearer realm="https://a""#], bearer("https://a", None, None)),
            (vec![r#"Bearer service="s""#], None),
            (vec![r#"Bearer realm="""#], None),
            (vec!["Bearer realm=\"unterminated"], None),
            (vec![r#"Bearer realm="a\"b""#], bearer("a\"b", None, None)),
        ];
        for (values, expected) in cases {
            let headers = HeaderMap::from_iter(values.iter().map(|value| (WWW_AUTHENTICATE, value.parse().unwrap())));
            assert_eq!(Challenge::choose(&headers), expected, "{values:?}");
        }
        let long = format!(r#"Bearer realm="{}""#, "a".repeat(MAX_HEADER));
        let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, long.parse().unwrap())]);
        assert_eq!(Challenge::choose(&headers), None);
    }
}
