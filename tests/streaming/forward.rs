//! Ports of pods, reached through crictl.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, ensure};
use crio_cri_api::v1::NamespaceMode;
use crio_tests::crictl::{TRANSPORTS, kill, run, start};
use crio_tests::workload::{namespaces, pod_namespaces};
use crio_tests::{PATIENCE, Stage, until};

/// A forwarding by crictl.
struct Forwarding {
    crictl: Child,
    /// The local port for each port of the pod.
    local: BTreeMap<u16, u16>,
    errors: std::thread::JoinHandle<String>,
}

impl Forwarding {
    fn open(stage: &Stage, transport: &str, pod: &str, ports: &[u16]) -> Result<Self> {
        let words: Vec<String> = ports.iter().map(|port| format!(":{port}")).collect();
        let mut arguments = vec!["port-forward", "-r", transport, pod];
        arguments.extend(words.iter().map(String::as_str));
        let mut crictl = start(stage, &arguments, Stdio::null())?;
        let mut errors = crictl.stderr.take().context("it has an error output")?;
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            let _ended = errors.read_to_string(&mut text);
            text
        });
        let mut local = BTreeMap::new();
        let mut lines = BufReader::new(crictl.stdout.take().context("it has an output")?).lines();
        while local.len() < ports.len() {
            let line = lines.next().context("crictl says where it listens")??;
            // `Forwarding from 127.0.0.1:40001 -> 80`
            if let Some((near, port)) =
                line.strip_prefix("Forwarding from 127.0.0.1:").and_then(|it| it.split_once(" -> "))
            {
                local.insert(port.trim().parse()?, near.parse()?);
            }
        }
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { crictl, local, errors })
    }

    /// What a web server on a port of the pod answers.
    fn get(&self, port: u16) -> Result<String> {
        get(self.local[&port])
    }

    /// Waits for its end, and gives what it complained about.
    fn ended(mut self) -> Result<String> {
        self.crictl.wait()?;
        self.errors.join().ok().context("reading does not panic")
    }

    /// Ends it, and gives what it complained about.
    fn close(mut self) -> Result<String> {
        kill(&mut self.crictl)?;
        self.errors.join().ok().context("reading does not panic")
    }
}

fn get(local: u16) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", local))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /index.html HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    ensure!(text.starts_with("HTTP/1."), "no answer: {text:?}");
    Ok(text.rsplit_once("\r\n\r\n").context("an answer has a body")?.1.to_owned())
}

/// Serves a page on one port over IPv4 only and another on the next over IPv6 only; and on the one after those, whatever
/// comes is sent back, once all of it has come.
fn servers(first: u16) -> String {
    let (second, third) = (first + 1, first + 2);
    format!(
        "mkdir -p /tmp/four /tmp/six; echo page four > /tmp/four/index.html; echo page six > /tmp/six/index.html; \
         httpd -p 127.0.0.1:{first} -h /tmp/four; httpd -p [::1]:{second} -h /tmp/six; \
         while :; do nc -l -p {third} -e sh -c 'cat > /tmp/all; md5sum < /tmp/all'; done"
    )
}

async fn listening(stage: &Stage, container: &str, first: u16) -> Result<()> {
    let words = [first, first + 1, first + 2].map(|port| format!(":{port:04X} "));
    until("the servers listen", async || {
        let table = stage.exec(container, "cat /proc/net/tcp /proc/net/tcp6").await?;
        Ok(words.iter().all(|word| table.contains(word.as_str())).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_listens_in_a_pod_is_reached() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("forward").await?;
    let id = stage.start(&pod, &stage.shell("main", &servers(80))).await?;
    listening(&stage, &id, 80).await?;
    for transport in TRANSPORTS {
        let forwarding = Forwarding::open(&stage, transport, &pod.id, &[80, 81, 82, 9])?;
        assert_eq!(forwarding.get(80)?, "page four\n", "{transport}");
        assert_eq!(forwarding.get(81)?, "page six\n", "{transport}");

        let many: Vec<_> = (0..24)
            .map(|number| {
                let local = forwarding.local[&(80 + number % 2)];
                std::thread::spawn(move || get(local))
            })
            .collect();
        for (number, request) in many.into_iter().enumerate() {
            let page = request.join().ok().context("a request does not panic")??;
            assert_eq!(page, ["page four\n", "page six\n"][number % 2], "{transport}");
        }
        // Nobody listens there. This client gives up then; that the session itself goes on is seen with others.
        let refused = forwarding.get(9);
        assert!(refused.is_err(), "{transport} {refused:?}");
        let errors = forwarding.ended()?;
        let told = errors.contains("error forwarding port 9 to pod") && errors.contains("refused");
        assert!(told, "{transport}: {errors}");
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_upload_that_ends_is_answered() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("forward").await?;
    let id = stage.start(&pod, &stage.shell("main", &servers(80))).await?;
    listening(&stage, &id, 80).await?;
    let data: Vec<u8> = (0..1_500_000u32).flat_map(|number| format!("{number}\n").into_bytes()).collect();
    for transport in TRANSPORTS {
        let forwarding = Forwarding::open(&stage, transport, &pod.id, &[82])?;
        let mut stream = TcpStream::connect(("127.0.0.1", forwarding.local[&82]))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&data)?;
        // The end of one direction is passed on while the other goes on.
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let expected = stage.exec(&id, "seq 0 1499999 | md5sum").await?;
        assert_eq!(answer, expected, "{transport}");
        forwarding.close()?;
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_on_the_hosts_network_is_reached_there() -> Result<()> {
    let stage = Stage::set().await?;
    let mut config = stage.node.pod("host");
    pod_namespaces(&mut config).network = NamespaceMode::Node.into();
    let pod = stage.pod_of(config).await?;
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let script = format!(
        "mkdir -p /tmp/www; echo the host > /tmp/www/index.html; exec httpd -f -p 127.0.0.1:{port} -h /tmp/www"
    );
    let mut config = stage.shell("main", &script);
    namespaces(&mut config).network = NamespaceMode::Node.into();
    stage.start(&pod, &config).await?;
    until("the server listens", async || Ok(TcpStream::connect(("127.0.0.1", port)).ok())).await?;
    for transport in TRANSPORTS {
        let forwarding = Forwarding::open(&stage, transport, &pod.id, &[port])?;
        assert_eq!(forwarding.get(port)?, "the host\n", "{transport}");
        forwarding.close()?;
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_stopped_is_not_reached() -> Result<()> {
    let stage = Stage::set().await?;
    let pod = stage.pod("forward").await?;
    let forwarding = Forwarding::open(&stage, "spdy", &pod.id, &[80])?;
    stage.cri.stop_pod(&pod.id).await?;
    assert!(forwarding.get(80).is_err());
    let errors = forwarding.ended()?;
    assert!(errors.contains("not ready"), "{errors}");
    let refused = run(&stage, &["port-forward", &pod.id, ":80"])?;
    assert!(!refused.status.success(), "{refused:?}");
    stage.close().await
}
