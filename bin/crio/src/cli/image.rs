//! `crio image`: pull, list, inspect and remove images through the daemon.

mod progress;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Subcommand;
use crio_cri_api::v1;
use serde_json::{Value, json};

use super::client::{Client, Connection, OPERATION, PULL, QUESTION, failed, within};
use super::output::{self, Format, Table};

/// What to do with images.
#[derive(Debug, Subcommand)]
pub enum ImageAction {
    /// Pull an image and print its id
    Pull {
        #[command(flatten)]
        connection: Connection,
        /// Name of the image
        image: String,
        /// Show no progress
        #[arg(short, long)]
        quiet: bool,
    },
    /// List images
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        connection: Connection,
        /// Table or JSON
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Print what is known about an image as JSON
    Inspect {
        #[command(flatten)]
        connection: Connection,
        /// Name or id of the image
        image: String,
    },
    /// Remove images; by name only the name goes while others are left
    #[command(name = "rm", visible_alias = "remove")]
    Remove {
        #[command(flatten)]
        connection: Connection,
        /// Names or ids of the images
        #[arg(required = true)]
        images: Vec<String>,
    },
}

/// Does it.
pub async fn run(action: ImageAction) -> Result<ExitCode> {
    match action {
        ImageAction::Pull { connection, image, quiet } => {
            let mut client = connection.open().await?;
            let id = pull(&mut client, &image, !quiet).await?;
            output::print_line(&id)?;
        }
        ImageAction::List { connection, output } => list(&mut connection.open().await?, output).await?,
        ImageAction::Inspect { connection, image } => inspect(&mut connection.open().await?, &image).await?,
        ImageAction::Remove { connection, images } => remove(&mut connection.open().await?, &images).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn spec(image: &str) -> v1::ImageSpec {
    v1::ImageSpec { image: image.to_owned(), ..v1::ImageSpec::default() }
}

/// Pulls `image`, with a line of progress on a terminal, and gives its id.
pub async fn pull(client: &mut Client, image: &str, show_progress: bool) -> Result<String> {
    let request = v1::PullImageRequest { image: Some(spec(image)), ..v1::PullImageRequest::default() };
    let socket = client.socket.clone();
    // Boxed, because the future of a call is large and several live in one frame.
    let pulling = Box::pin(client.images.pull_image(within(PULL, request)));
    let answer = if show_progress { progress::shown(&socket, image, pulling).await } else { pulling.await };
    Ok(answer.map_err(failed(format!("cannot pull {image}")))?.into_inner().image_ref)
}

/// The image, or `None` when it is not on this node.
pub async fn find(client: &mut Client, image: &str) -> Result<Option<v1::Image>> {
    Ok(status(client, image, false).await?.image)
}

async fn status(client: &mut Client, image: &str, verbose: bool) -> Result<v1::ImageStatusResponse> {
    let request = v1::ImageStatusRequest { image: Some(spec(image)), verbose };
    let answer = client.images.image_status(within(QUESTION, request)).await;
    Ok(answer.map_err(failed(format!("cannot look for {image}")))?.into_inner())
}

async fn list(client: &mut Client, format: Format) -> Result<()> {
    let request = within(QUESTION, v1::ListImagesRequest::default());
    let answer = client.images.list_images(request).await.map_err(failed("cannot list images"))?;
    let mut images = answer.into_inner().images;
    images.sort_by(|a, b| (&a.repo_tags, &a.id).cmp(&(&b.repo_tags, &b.id)));
    let mut table = Table::new(&["IMAGE", "ID", "SIZE", "PINNED"]);
    for image in &images {
        let names = if image.repo_tags.is_empty() { &image.repo_digests } else { &image.repo_tags };
        let unnamed = ["<none>".to_owned()];
        for name in if names.is_empty() { &unnamed[..] } else { names } {
            let pinned = if image.pinned { "yes" } else { "" };
            table.push(vec![name.clone(), output::short_id(&image.id), output::bytes(image.size), pinned.to_owned()]);
        }
    }
    output::print_list(format, &table, images.iter().map(image_json).collect())
}

async fn inspect(client: &mut Client, image: &str) -> Result<()> {
    let answer = status(client, image, true).await?;
    let Some(found) = &answer.image else {
        bail!("there is no image {image:?} on this node");
    };
    let mut value = image_json(found);
    value["info"] = info_json(&answer.info);
    output::print_json(&value)
}

async fn remove(client: &mut Client, images: &[String]) -> Result<()> {
    let mut failures = Vec::new();
    for image in images {
        match remove_one(client, image).await {
            Ok(()) => output::print_line(image)?,
            Err(failure) => failures.push(format!("{failure:#}")),
        }
    }
    if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("\ncrio: ")) }
}

async fn remove_one(client: &mut Client, image: &str) -> Result<()> {
    if find(client, image).await?.is_none() {
        bail!("there is no image {image:?} on this node");
    }
    let request = v1::RemoveImageRequest { image: Some(spec(image)) };
    let answer = client.images.remove_image(within(OPERATION, request)).await;
    answer.map_err(failed(format!("cannot remove {image}")))?;
    Ok(())
}

fn image_json(image: &v1::Image) -> Value {
    json!({
        "id": image.id,
        "repoTags": image.repo_tags,
        "repoDigests": image.repo_digests,
        "size": image.size,
        "uid": image.uid.as_ref().map(|uid| uid.value),
        "username": image.username,
        "pinned": image.pinned,
        "annotations": image.spec.as_ref().map(|spec| &spec.annotations),
    })
}

/// The daemon's verbose information: each value is JSON text, or else plain text.
pub fn info_json<'a>(info: impl IntoIterator<Item = (&'a String, &'a String)>) -> Value {
    let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    info.into_iter().map(|(key, text)| (key.clone(), value(text))).collect()
}
