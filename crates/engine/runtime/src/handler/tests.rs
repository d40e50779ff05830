//! Tests of handler set-up, with shell scripts as runtimes.

use super::*;

struct Programs(tempfile::TempDir);

impl Programs {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

fn config(handlers: &[(&str, &Path)]) -> Config {
    let handler = |path: &Path| HandlerConfig { path: Some(path.to_owned()), ..HandlerConfig::default() };
    Config {
        handlers: handlers.iter().map(|(name, path)| ((*name).to_owned(), handler(path))).collect(),
        default_handler: "good".to_owned(),
        monitor_binary: PathBuf::from("/bin/false"),
        exits_directory: PathBuf::from("/nowhere"),
        systemd_cgroup: false,
    }
}

#[tokio::test]
async fn a_bad_handler_is_left_out_unless_it_is_the_default() {
    let programs = Programs::new();
    let good = programs.script("good", r#"[ "$1" = features ] && echo '{"ociVersionMax":"1.1.0"}'"#);
    let broken = programs.script("broken", "echo cannot >&2; exit 1");
    let runtimes = Runtimes::load(config(&[("good", &good), ("broken", &broken)])).await.unwrap();
    assert_eq!(runtimes.resolve("").unwrap().features.oci_version, "1.1.0");
    assert_eq!(runtimes.resolve("good").unwrap().path, good);
    assert_eq!(runtimes.resolve("broken").unwrap_err(), ResolveError::Unknown { name: "broken".to_owned() });

    let error = Runtimes::load(config(&[("good", &broken)])).await.unwrap_err();
    assert!(chain(&error).contains("cannot"), "{}", chain(&error));
    let error = Runtimes::load(config(&[("good", Path::new("/no/such/program"))])).await.unwrap_err();
    assert!(matches!(error, LoadError::NoProgram { .. }));
    let error = Runtimes::load(config(&[("other", &good)])).await.unwrap_err();
    assert!(matches!(error, LoadError::NoDefault { .. }));
}

#[tokio::test]
async fn a_virtual_machine_handler_is_known_and_refused() {
    let programs = Programs::new();
    let good = programs.script("good", "echo crun version 1.8.1");
    let mut config = config(&[("good", &good), ("kata", &good)]);
    config.handlers.get_mut("kata").unwrap().kind = HandlerKind::Vm;
    let runtimes = Runtimes::load(config).await.unwrap();
    assert!(runtimes.resolve("").unwrap().features.recursive_read_only);
    assert_eq!(runtimes.resolve("kata").unwrap_err().kind(), ErrorKind::Unimplemented);
}

#[tokio::test]
async fn deleting_what_the_runtime_does_not_know_is_no_error() {
    let programs = Programs::new();
    let cases = [
        ("echo 'container does not exist' >&2; exit 1", true),
        ("echo 'error opening file: No such file or directory' >&2; exit 1", true),
        ("echo 'device or resource busy' >&2; exit 1", false),
        ("exit 0", true),
    ];
    for (number, (body, expected)) in cases.into_iter().enumerate() {
        let body = format!("[ \"$1\" = features ] && echo '{{}}' && exit 0\n{body}");
        let path = programs.script(&format!("runtime{number}"), &body);
        let runtimes = Runtimes::load(config(&[("good", &path)])).await.unwrap();
        let deleted = runtimes.resolve("").unwrap().delete_forced(&ContainerId::from_bytes([1; 32])).await;
        assert_eq!(deleted.is_ok(), expected, "{body}");
    }
}

#[tokio::test]
async fn checkpoints_need_a_runtime_that_has_them_and_criu() {
    let programs = Programs::new();
    let annotated = r#"echo '{"annotations":{"org.opencontainers.runc.checkpoint.enabled":"true"}}'"#;
    let able = programs.script("able", annotated);
    let unable = programs.script("unable", "echo '{}'");
    programs.script("criu", "");
    let mut config = config(&[("good", &able), ("unable", &unable), ("lonely", &able)]);
    let set = |config: &mut Config, name: &str, path: String| {
        config.handlers.get_mut(name).unwrap().monitor_environment = vec!["PATH=/old".to_owned(), path];
    };
    set(&mut config, "good", format!("PATH=/nowhere:{}", programs.0.path().display()));
    set(&mut config, "lonely", "PATH=/nowhere".to_owned());
    let runtimes = Runtimes::load(config).await.unwrap();
    let check = |name: &str| runtimes.resolve(name).unwrap().check_checkpoints();
    assert_eq!(check("good"), Ok(()));
    assert_eq!(check("unable"), Err(CheckpointUnavailable::Runtime { path: unable }));
    assert_eq!(check("lonely"), Err(CheckpointUnavailable::NoCriu { path: "/nowhere".to_owned() }));
}
