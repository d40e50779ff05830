//! What is refused, and in which words.

use std::time::Duration;

use anyhow::Result;
use crio_images::{Config, PullRequest};
use crio_testkit::Registry;
use crio_types::{Classified, Credentials, ErrorKind, chain};
use serde_json::json;

use crate::world::{World, image, spec};

#[tokio::test(flavor = "multi_thread")]
async fn failures_say_what_kubelet_looks_for() -> Result<()> {
    let world = World::new().await?;
    let unknown = world.registry.name("none:1");
    for (name, kind, start) in [
        (unknown.as_str(), ErrorKind::NotFound, "manifest unknown: "),
        ("127.0.0.1:1/app:1", ErrorKind::Unknown, "RegistryUnavailable: "),
        ("Not A Name", ErrorKind::InvalidArgument, "image name"),
        ("", ErrorKind::InvalidArgument, "image name"),
    ] {
        let error = world.pull(name).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{name}");
        assert!(chain(&error).starts_with(start), "{}", chain(&error));
    }
    world.assert_empty().await
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_keep_pulls_apart() -> Result<()> {
    let registry = Registry::start_with_password("user", "secret").await?;
    let world = World::with(registry, Config::default(), "")?;
    let name = world.registry.push(&image("one")?, "app:1").await?;
    let with = |password: Option<&str>| PullRequest {
        credentials: password
            .map(|password| Credentials::Basic { username: "user".to_owned(), password: password.to_owned() }),
        ..PullRequest::new(&spec(&name))
    };
    let (right, wrong, none) = tokio::join!(
        world.images.pull(with(Some("secret"))),
        world.images.pull(with(Some("guess"))),
        world.images.pull(with(None)),
    );
    right?;
    for error in [wrong.unwrap_err(), none.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(!format!("{error:?}{}", chain(&error)).contains("guess"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_and_namespaced_files_count() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("policy.json"), r#"{"default":[{"type":"insecureAcceptAnything"}]}"#)?;
    std::fs::create_dir(path("policies"))?;
    std::fs::write(path("policies/strict.json"), r#"{"default":[{"type":"reject"}]}"#)?;
    std::fs::create_dir(path("auth"))?;
    let registry = Registry::start_with_password("user", "secret").await?;
    let config = Config {
        policy: Some(path("policy.json")),
        namespaced_policies: Some(path("policies")),
        namespaced_auth: Some(path("auth")),
        ..Config::default()
    };
    let world = World::with(registry, config, "")?;
    let name = world.registry.push(&image("one")?, "app:1").await?;
    let within = |namespace: &str| PullRequest { namespace: namespace.to_owned(), ..PullRequest::new(&spec(&name)) };
    let leave_credentials = |namespace: &str| {
        let auths = json!({"auths": {world.registry.host(): {"auth": "dXNlcjpzZWNyZXQ="}}});
        let digest = crio_image::Digest::of(name.as_bytes()).hex();
        std::fs::write(path("auth").join(format!("{namespace}-{digest}.json")), auths.to_string())
    };
    leave_credentials("strict")?;
    let error = world.images.pull(within("strict")).await.unwrap_err();
    assert!(chain(&error).starts_with("SignatureValidationFailed: "), "{}", chain(&error));
    assert_eq!(error.kind(), ErrorKind::Unknown);
    assert!(world.images.check_policy("strict", &name).is_err());
    assert!(world.images.check_policy("lax", &name).is_ok());

    leave_credentials("lax")?;
    world.images.pull(within("lax")).await?;
    assert_eq!(std::fs::read_dir(path("auth"))?.count(), 1);
    assert_eq!(std::fs::read_dir(path("auth/in-use"))?.count(), 0);
    // They served one pull.
    let error = world.images.pull(within("lax")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);

    std::fs::remove_file(path("policy.json"))?;
    let error = world.images.pull(within("lax")).await.unwrap_err();
    assert!(chain(&error).starts_with("SignatureValidationFailed: "), "{}", chain(&error));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_without_progress_ends_and_shows_until_then() -> Result<()> {
    let config = Config { pull_progress_timeout: Some(Duration::from_millis(300)), ..Config::default() };
    // It accepts connections, and never says a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let world = World::with(Registry::start().await?, config, "")?;
    let name = format!("{}/app:1", silent.local_addr()?);
    let pull = world.pull(&name);
    tokio::pin!(pull);
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut pull).await.is_err());
    let running = world.images.pulls();
    assert_eq!(running.len(), 1);
    assert_eq!((running[0].image.as_str(), running[0].waiters), (name.as_str(), 1));
    let error = pull.await.unwrap_err();
    assert!(chain(&error).starts_with("RegistryUnavailable: "), "{}", chain(&error));
    assert!(world.images.pulls().is_empty());
    Ok(())
}
