//! Clients that stop reading while a container goes on writing.

use anyhow::{Context as _, Result, ensure};
use crio_testkit::spdy::Frame;
use crio_tests::{log, until};

use crate::client::{OUTPUT, break_off};
use crate::{Door, Scene};

const LINE: &str = "0123456789abcde";
const MUCH_BYTES: usize = 20_000_000;
/// A whole connection's buffers, and what the monitor's connection holds.
const ONE_CLIENT_KIB: u64 = 16 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn an_attached_client_that_stops_reading_holds_up_nobody() -> Result<()> {
    let scene = Scene::set().await?;
    let stage = &scene.stage;
    let pod = stage.pod("writer").await?;
    let script = format!(
        "while [ ! -e /go ]; do sleep 0.1; done; yes {LINE} | head -c {MUCH_BYTES}; echo; echo over; sleep 1000"
    );
    let writer = stage.start(&pod, &stage.shell("main", &script)).await?;
    let before = crate::Footprint::of(stage)?;

    let mut slow = Vec::new();
    for _ in 0..3 {
        slow.push(Door::attach(stage, &writer).await?.begin().await?);
    }
    let mut good = Door::attach(stage, &writer).await?.begin().await?;
    for _ in 0..2 {
        let frame = good.frame().await?;
        ensure!(matches!(frame, Some(Frame::SynReply { .. })), "{frame:?}");
    }
    // Attached is who has a session, which is after the last reply.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    stage.exec(&writer, "touch /go").await?;

    let reading = tokio::spawn(async move {
        let mut seen = 0;
        while seen < MUCH_BYTES / 20 {
            match good.frame().await?.context("the session ended")? {
                Frame::Data { id: OUTPUT, bytes, .. } => seen += bytes.len(),
                frame => anyhow::bail!("{frame:?}"),
            }
        }
        Ok(good)
    });
    let path = stage.cri.status(&writer).await?.log_path;
    let written = async || Ok(std::fs::read_to_string(&path)?.contains(" stdout F over\n").then_some(()));
    until("the container has written everything", written).await?;
    let logged = log::content(&log::read(path.as_ref())?, "stdout");
    ensure!(logged.len() == MUCH_BYTES + "\nover\n".len(), "{} bytes are in the log", logged.len());
    let good = reading.await??;
    before.has_grown_less_than(4 * ONE_CLIENT_KIB, stage)?;
    scene.serves().await?;

    break_off(good.io)?;
    for client in slow {
        break_off(client.io)?;
    }
    before.comes_back(stage).await?;
    scene.remove(&pod, &writer).await?;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_client_stops_reading_waits_and_ends_with_it() -> Result<()> {
    let scene = Scene::set().await?;
    let mut stuck = Vec::new();
    for _ in 0..8 {
        stuck.push(scene.door(&format!("yes {LINE}")).await?.begin().await?);
    }
    let running = "grep -l \"yes.012345678[9]\" /proc/[0-9]*/cmdline 2>/dev/null | wc -l";
    let count = async || -> Result<u32> {
        let listed = scene.stage.exec(&scene.container, running).await?;
        Ok(listed.trim().parse()?)
    };
    until("the commands run", async || Ok((count().await? >= 8).then_some(()))).await?;
    // Long enough for them to write gigabytes, if anybody kept them.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    scene.before.has_grown_less_than(8 * ONE_CLIENT_KIB / 4, &scene.stage)?;
    scene.serves().await?;
    for client in stuck {
        break_off(client.io)?;
    }
    until("the commands are gone", async || Ok((count().await? == 0).then_some(()))).await?;
    scene.close().await
}
