//! Authentication files as people and tools write them.

use super::*;

fn basic(username: &str, password: &str) -> Credentials {
    Credentials::Basic { username: username.to_owned(), password: password.to_owned() }
}

async fn find(content: &str, name: &str) -> Result<Option<Credentials>, AuthError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.json");
    std::fs::write(&path, content).unwrap();
    let files =
        AuthFiles { paths: vec![directory.path().join("absent.json"), path], helper_timeout: Duration::from_secs(5) };
    let registries = Registries::parse("").unwrap();
    files.find(&registries, &Reference::parse(name).unwrap()).await
}

#[tokio::test]
async fn the_longest_path_wins() {
    // "host", "ns" and "repo" with the password "p", in base64.
    let content = r#"{"auths":{
        "quay.io":{"auth":"aG9zdDpw"},
        "quay.io/ns":{"auth":"bnM6cA=="},
        "quay.io/ns/app":{"auth":"cmVwbzpw"},
        "quay.io/empty":{},
        "https://index.docker.io/v1/":{"auth":"aHViOnA="},
        "token.io":{"auth":"aG9zdDpw","identitytoken":"i"},
        "bearer.io":{"registrytoken":"r"}
    }}"#;
    for (name, expected) in [
        ("quay.io/x", Some(basic("host", "p"))),
        ("quay.io/ns/x", Some(basic("ns", "p"))),
        ("quay.io/ns/app:1", Some(basic("repo", "p"))),
        ("quay.io/ns/app/deeper", Some(basic("repo", "p"))),
        ("quay.io/nsx/app", Some(basic("host", "p"))),
        ("quay.io/empty/x", None),
        ("quay.io:8443/x", None),
        ("evilquay.io/x", None),
        ("busybox", Some(basic("hub", "p"))),
        ("token.io/x", Some(Credentials::IdentityToken("i".into()))),
        ("bearer.io/x", Some(Credentials::RegistryToken("r".into()))),
    ] {
        assert_eq!(find(content, name).await.unwrap(), expected, "{name}");
    }
}

#[tokio::test]
async fn reads_the_older_formats() {
    let bare = r#"{"https://quay.io":{"auth":"aG9zdDpw","email":""}}"#;
    assert_eq!(find(bare, "quay.io/x").await.unwrap(), Some(basic("host", "p")));
    assert_eq!(find("", "quay.io/x").await.unwrap(), None);
    assert_eq!(find("{}", "quay.io/x").await.unwrap(), None);
}

#[tokio::test]
async fn a_broken_file_is_an_error_that_tells_no_secret() {
    for content in [
        r#"{"auths":{"quay.io":{"auth":"hunter2hunter2!"}}}"#,
        r#"{"auths":{"quay.io":{"auth":"aHVudGVyMg=="}}}"#,
        r#"{"auths":{"quay.io":"hunter2"}}"#,
        r#"hunter2"#,
    ] {
        let error = find(content, "quay.io/x").await.unwrap_err();
        assert!(!crio_types::chain(&error).contains("hunter2"), "{error}");
    }
}

#[test]
fn knows_where_files_are() {
    let variables = |pairs: &'static [(&str, &str)]| {
        move |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value))
    };
    let uid = rustix::process::getuid().as_raw();
    assert_eq!(default_paths(variables(&[])), [PathBuf::from(format!("/run/containers/{uid}/auth.json"))]);
    assert_eq!(
        default_paths(variables(&[("HOME", "/root"), ("XDG_RUNTIME_DIR", "/run/user/0")])),
        [
            "/run/user/0/containers/auth.json",
            "/root/.config/containers/auth.json",
            "/root/.docker/config.json",
            "/root/.dockercfg"
        ]
        .map(PathBuf::from)
    );
    assert_eq!(default_paths(variables(&[("REGISTRY_AUTH_FILE", "/a"), ("HOME", "/root")])), [PathBuf::from("/a")]);
}
