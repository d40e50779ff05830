//! Who gets to see the credentials.

use super::fake::Reply;
use super::*;

const BASIC: &str = "Basic dXNlcjpzZWNyZXQ=";

async fn pull_with(
    config: &str,
    name: &str,
    credentials: Option<Credentials>,
) -> (Result<PulledImage, PullError>, Puller<MemorySink>) {
    let (puller, _directory) = puller(config);
    let request = Request { credentials, ..request(name) };
    let pulled = puller.pull(&request, &Progress::default()).await;
    (pulled, puller)
}

fn challenge(header: String) -> impl FnMut(&fake::Seen) -> Option<Reply> + Send + 'static {
    move |seen| {
        let known = seen.header("authorization").is_some_and(|value| value == BASIC || value == "Bearer good");
        (seen.path.starts_with("/v2/") && !known).then(|| Reply::status(401).with("WWW-Authenticate", &header))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_authentication() {
    let image = TestImage::layers(2);
    let registry = FakeRegistry::start().await;
    registry.serve(&image);
    registry.rule(challenge("Basic realm=\"x\"".to_owned()));
    let name = format!("{}/app:1", registry.host());
    let config = insecure(&[registry.host()]);
    pull_with(&config, &name, Some(basic("user", "secret"))).await.0.unwrap();
    // Credentials are not offered before they are asked for.
    assert_eq!(registry.requests()[0].header("authorization"), None);
    for (credentials, words) in [(None, "requires authentication"), (Some(basic("user", "wrong")), "does not accept")] {
        let (pulled, puller) = pull_with(&config, &name, credentials).await;
        let error = pulled.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        let text = chain(&error);
        assert!(text.contains("unauthorized: ") && text.contains(words) && !text.contains("wrong"), "{text}");
        puller.sink().assert_untouched().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bearer_tokens_from_the_registrys_own_service() {
    let image = TestImage::layers(2);
    let registry = FakeRegistry::start().await;
    registry.serve(&image);
    let host = registry.host().to_owned();
    registry.rule(challenge(format!("Bearer realm=\"http://{host}/token\",service=\"the service\"")));
    registry.rule(|seen| {
        let right = match seen.method.as_str() {
            "GET" => seen.header("authorization").is_none_or(|value| value == BASIC),
            _ => seen.body.contains("grant_type=refresh_token") && seen.body.contains("refresh_token=identity"),
        };
        seen.path.starts_with("/token").then(|| match right {
            true => Reply::ok(r#"{"token":"good"}"#),
            false => Reply::status(401),
        })
    });
    let (config, name) = (insecure(&[&host]), format!("{host}/app:1"));
    for credentials in [None, Some(basic("user", "secret")), Some(Credentials::IdentityToken("identity".into()))] {
        let asked = registry.count("/token");
        pull_with(&config, &name, credentials.clone()).await.0.unwrap();
        assert_eq!(registry.count("/token") - asked, 1, "{credentials:?}");
    }
    pull_with(&config, &name, Some(Credentials::RegistryToken("good".into()))).await.0.unwrap();
    let scope = registry.requests().iter().find(|seen| seen.path.starts_with("/token")).unwrap().path.clone();
    assert_eq!(scope, "/token?service=the+service&scope=repository%3Aapp%3Apull");
    let wrong = Some(Credentials::RegistryToken("bad".into()));
    let error = pull_with(&config, &name, wrong).await.0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_realm_elsewhere_sees_nothing() {
    let (registry, thief) = (FakeRegistry::start().await, FakeRegistry::start().await);
    // Another name of the same machine is another host.
    let port = thief.host().rsplit_once(':').unwrap().1.to_owned();
    for realm in [
        format!("http://localhost:{port}/token"),
        format!("http://[::ffff:127.0.0.1]:{port}/token"),
        "gopher://x".to_owned(),
    ] {
        registry.rule(challenge(format!("Bearer realm=\"{realm}\"")));
        let name = format!("{}/app:1", registry.host());
        let config = insecure(&[registry.host()]);
        let (pulled, _) = pull_with(&config, &name, Some(basic("user", "secret"))).await;
        let text = chain(&pulled.unwrap_err());
        assert!(text.contains("refused"), "{text}");
    }
    assert!(thief.requests().is_empty());
    assert!(registry.requests().iter().all(|seen| seen.header("authorization").is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_carry_no_credentials_away() {
    let image = TestImage::layers(2);
    let (registry, storage) = (FakeRegistry::start().await, FakeRegistry::start().await);
    registry.serve(&image);
    storage.serve(&image);
    let (origin, target) = (registry.host().to_owned(), storage.host().to_owned());
    registry.rule(challenge("Basic realm=\"x\"".to_owned()));
    registry.rule(move |seen| {
        (seen.path.contains("/blobs/") && !seen.path.ends_with("?back"))
            .then(|| Reply::redirect(&format!("http://{target}{}", seen.path)))
    });
    // The configuration comes back to the registry by a detour; that does not make the detour trustworthy.
    let config_path = format!("/v2/app/blobs/{}", image.config_digest());
    let (path, location) = (config_path.clone(), format!("http://{origin}{config_path}?back"));
    storage.rule(move |seen| (seen.path == path).then(|| Reply::redirect(&location)));
    let config_bytes = image.config.clone();
    registry.rule(move |seen| seen.path.ends_with("?back").then(|| Reply::ok(config_bytes.clone())));

    let name = format!("{}/app:1", registry.host());
    let pulled = pull_with(&insecure(&[registry.host()]), &name, Some(basic("user", "secret"))).await.0;
    assert!(chain(&pulled.unwrap_err()).contains("unauthorized"));
    assert!(storage.requests().iter().all(|seen| seen.header("authorization").is_none()));
    let back = registry.requests().into_iter().filter(|seen| seen.path.ends_with("?back"));
    assert!(back.into_iter().all(|seen| seen.header("authorization").is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_gets_its_own_credentials_only() {
    let image = TestImage::layers(1);
    let (mirror, origin) = (FakeRegistry::start().await, FakeRegistry::start().await);
    mirror.rule(challenge("Basic realm=\"x\"".to_owned()));
    origin.serve(&image);
    origin.rule(challenge("Basic realm=\"x\"".to_owned()));
    let config = format!(
        "[[registry]]\nlocation = \"{}\"\ninsecure = true\n[[registry.mirror]]\nlocation = \"{}\"\ninsecure = true\n",
        origin.host(),
        mirror.host()
    );
    let name = format!("{}/app:1", origin.host());
    pull_with(&config, &name, Some(basic("user", "secret"))).await.0.unwrap();
    assert!(!mirror.requests().is_empty());
    assert!(mirror.requests().iter().all(|seen| seen.header("authorization").is_none()));

    // What the node has for the mirror itself is used there.
    mirror.serve(&image);
    let (puller, directory) = puller(&config);
    let auths = format!(r#"{{"auths":{{"{}":{{"auth":"dXNlcjpzZWNyZXQ="}}}}}}"#, mirror.host());
    std::fs::write(directory.path().join("auth.json"), auths).unwrap();
    let asked = origin.requests().len();
    puller.pull(&request(&name), &Progress::default()).await.unwrap();
    assert_eq!(origin.requests().len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn challenges_end() {
    let registry = FakeRegistry::start().await;
    let host = registry.host().to_owned();
    let mut number = 0;
    registry.rule(move |seen| {
        number += 1;
        Some(match seen.path.starts_with("/token") {
            true => Reply::ok(format!(r#"{{"token":"t{number}"}}"#)),
            false => Reply::status(401).with("WWW-Authenticate", &format!("Bearer realm=\"http://{host}/token\"")),
        })
    });
    let (kind, text) = refused(&registry).await;
    assert_eq!(kind, ErrorKind::PermissionDenied, "{text}");
    assert!(registry.count("/token") <= 3 && registry.count("/v2/") <= 4);
}
