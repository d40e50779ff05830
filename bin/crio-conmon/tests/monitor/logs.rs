//! What containers print, to the byte.

use super::support::{Pod, RUNTIMES, shell};

#[tokio::test]
async fn much_output_is_complete() {
    for runtime in RUNTIMES {
        let mut pod = Pod::new(runtime).await;
        let (id, _) = pod.run(&shell("seq 1 200000; head -c 100000 /dev/zero >&2; printf end")).await;
        assert_eq!(pod.exited().await.1.code, 0);
        let log = pod.log(&id);
        let expected: String = (1..=200_000).map(|number| format!("{number}\n")).collect::<String>() + "end";
        assert!(log.stdout == expected.as_bytes());
        assert!(log.stderr == vec![0u8; 100_000]);
        pod.close().await;
    }
}

#[tokio::test]
async fn a_log_is_rotated_without_losing_a_line() {
    let mut pod = Pod::new("crun").await;
    let (id, _) = pod.run(&shell("seq 1 400000")).await;
    let path = pod.log_path(&id);
    let mut all = Vec::new();
    for number in 0.. {
        let rotated = path.with_extension(number.to_string());
        std::fs::rename(&path, &rotated).unwrap();
        let reopened = pod.monitor.reopen_log(&id).await;
        if reopened.is_err() {
            // Over: there must be no new file then.
            assert!(!path.exists());
            all.extend(std::fs::read(&rotated).unwrap());
            break;
        }
        assert!(path.exists());
        all.extend(std::fs::read(&rotated).unwrap());
    }
    assert_eq!(pod.exited().await.1.code, 0);
    let log = super::support::Log::parse(&all);
    let expected: String = (1..=400_000).map(|number| format!("{number}\n")).collect();
    assert!(log.stdout == expected.as_bytes());
    pod.close().await;
}

#[tokio::test]
async fn a_size_limit_is_kept() {
    let mut pod = Pod::new("crun").await;
    let mut options = shell("seq 1 100000");
    options.log_size_max_bytes = Some(100_000);
    let (id, _) = pod.run(&options).await;
    pod.exited().await;
    assert!(std::fs::metadata(pod.log_path(&id)).unwrap().len() <= 100_000);
    assert!(pod.log(&id).stdout.ends_with(b"\n100000\n"));
    pod.close().await;
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_fails_the_container() {
    let pod = Pod::new("crun").await;
    let id = super::support::new_id();
    let bundle = pod.path().to_owned();
    let request = crio_runtime::CreateRequest {
        handler: &pod.handler(),
        id: &id,
        bundle: &bundle,
        log: Some(crio_runtime::LogFile { path: "/no/such/directory/log".into(), size_max_bytes: None }),
        stdio: crio_runtime::Stdio::default(),
        cgroups: Vec::new(),
        pod_cgroup: None,
    };
    let error = pod.monitor.create(request).await.unwrap_err();
    assert!(error.to_string().contains("open the log"), "{error}");
    assert_eq!(pod.monitor.list().await.unwrap(), []);
    pod.close().await;
}
