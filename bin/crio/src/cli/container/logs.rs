//! `crio container logs`: the container's log file, and with `--follow` what is added until the container ends.
//!
//! The file is read on this machine; the daemon only says where it is. Changes are announced by inotify. When the log is rotated
//! the rest of the old file is read before the new one.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use crio_cri_api::v1::ContainerState;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::super::client::{Client, Connection};
use super::log_line::{LogLine, Stream};

/// The longest record that is read, in bytes; the monitor writes at most 8192 bytes of content in one.
const MAX_RECORD_BYTES: usize = 1 << 20;
/// How often the daemon is asked whether the container still runs while its log is followed.
const ASK: Duration = Duration::from_secs(1);

/// Arguments of `crio container logs`.
#[derive(Debug, Args)]
pub struct LogsArguments {
    #[command(flatten)]
    connection: Connection,
    /// Go on with what is added, until the container ends
    #[arg(short, long)]
    follow: bool,
    /// Begin with so many last lines
    #[arg(short = 'n', long, value_name = "LINES")]
    tail: Option<usize>,
    /// Put the time before each line
    #[arg(short, long)]
    timestamps: bool,
    /// Id, beginning of an id, or name
    container: String,
}

/// Prints the log.
pub async fn run(arguments: &LogsArguments) -> Result<()> {
    let mut client = arguments.connection.open().await?;
    let id = client.container(&arguments.container).await?.id;
    let path = log_path(&mut client, &id).await?;
    let mut reader = LogReader::open(&path)?;
    let mut printer = Printer { timestamps: arguments.timestamps, ..Printer::default() };
    if let Some(lines) = arguments.tail {
        print_tail(&mut reader, &mut printer, lines)?;
    }
    if arguments.follow {
        follow(&mut client, &id, reader, &mut printer).await?;
    } else {
        reader.print_rest(&mut printer)?;
    }
    Ok(())
}

async fn log_path(client: &mut Client, id: &str) -> Result<PathBuf> {
    let status = client.container_status(id, false).await?.status.unwrap_or_default();
    if status.log_path.is_empty() {
        bail!("container {id} has no log file");
    }
    Ok(status.log_path.into())
}

async fn follow(client: &mut Client, id: &str, mut reader: LogReader, printer: &mut Printer) -> Result<()> {
    // One slot: that something changed says it all.
    let (sender, mut changes) = mpsc::channel(1);
    let directory = reader.path.parent().context("the log has no directory")?.to_owned();
    let mut watcher = RecommendedWatcher::new(
        move |_| {
            // A full slot already says that something changed.
            sender.try_send(()).ok();
        },
        notify::Config::default(),
    )?;
    watcher.watch(&directory, RecursiveMode::NonRecursive)?;
    let mut ask = tokio::time::interval(ASK);
    loop {
        reader.print_rest(printer)?;
        if reader.rotated() {
            reader = LogReader::open(&reader.path)?;
            continue;
        }
        tokio::select! {
            _ = changes.recv() => {}
            _ = ask.tick() => if !is_running(client, id).await? {
                // The log is complete before the daemon reports the end.
                return reader.print_rest(printer);
            }
        }
    }
}

async fn is_running(client: &mut Client, id: &str) -> Result<bool> {
    let status = client.container_status(id, false).await?.status.unwrap_or_default();
    Ok(matches!(status.state(), ContainerState::ContainerRunning | ContainerState::ContainerCreated))
}

/// Prints the last `lines` whole lines that the log has now.
fn print_tail(reader: &mut LogReader, printer: &mut Printer, lines: usize) -> Result<()> {
    let mut last: VecDeque<Vec<Vec<u8>>> = VecDeque::new();
    let mut line = Vec::new();
    while let Some(record) = reader.next_record()? {
        let ends_line = LogLine::parse(&record).is_none_or(|record| record.ends_line);
        line.push(record);
        if ends_line {
            last.push_back(std::mem::take(&mut line));
        }
        if last.len() > lines {
            last.pop_front();
        }
    }
    // What is not a whole line yet belongs to what comes next.
    for record in last.into_iter().flatten().chain(line) {
        printer.print(&record)?;
    }
    Ok(())
}

/// A log file, record by record.
#[derive(Debug)]
struct LogReader {
    path: PathBuf,
    inode: u64,
    file: BufReader<File>,
    /// A record whose end is not written yet.
    unfinished: Vec<u8>,
}

impl LogReader {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            inode: file.metadata()?.ino(),
            file: BufReader::new(file),
            unfinished: Vec::new(),
        })
    }

    /// The next whole record without its line feed; `None` when there is none yet.
    fn next_record(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            let available = self.file.fill_buf()?;
            if available.is_empty() {
                return Ok(None);
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(available.len());
            self.unfinished.extend_from_slice(&available[..taken]);
            self.file.consume(taken + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(Some(std::mem::take(&mut self.unfinished)));
            }
            if self.unfinished.len() > MAX_RECORD_BYTES {
                bail!("{} holds a record of more than {MAX_RECORD_BYTES} bytes", self.path.display());
            }
        }
    }

    fn print_rest(&mut self, printer: &mut Printer) -> Result<()> {
        while let Some(record) = self.next_record()? {
            printer.print(&record)?;
        }
        printer.flush()
    }

    /// Whether another file has the log's name now. While there is none, the old one counts.
    fn rotated(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|metadata| metadata.ino() != self.inode)
    }
}

/// Writes records as the container wrote them, each to its own stream.
#[derive(Debug, Default)]
struct Printer {
    timestamps: bool,
    /// The stream whose line has no end yet.
    open_line: Option<Stream>,
}

impl Printer {
    fn print(&mut self, record: &[u8]) -> Result<()> {
        match LogLine::parse(record) {
            Some(line) => match line.stream {
                Stream::Stdout => self.write(&line, &mut io::stdout().lock())?,
                Stream::Stderr => self.write(&line, &mut io::stderr().lock())?,
            },
            // Not a record of ours; showing it beats hiding it.
            None => {
                io::stdout().write_all(record)?;
                io::stdout().write_all(b"\n")?;
            }
        }
        Ok(())
    }

    fn write(&mut self, line: &LogLine<'_>, target: &mut impl Write) -> io::Result<()> {
        if self.timestamps && self.open_line != Some(line.stream) {
            write!(target, "{} ", line.time)?;
        }
        target.write_all(line.content)?;
        self.open_line = (!line.ends_line).then_some(line.stream);
        if line.ends_line { target.write_all(b"\n") } else { Ok(()) }
    }

    fn flush(&self) -> Result<()> {
        io::stdout().flush()?;
        Ok(io::stderr().flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_line_are_joined() {
        let mut printer = Printer { timestamps: true, ..Printer::default() };
        let mut written = Vec::new();
        for record in ["t1 stdout P ab", "t2 stdout P c", "t3 stdout F d", "t4 stdout F e"] {
            let line = LogLine::parse(record.as_bytes()).expect("a record");
            printer.write(&line, &mut written).expect("memory takes every write");
        }
        assert_eq!(written, b"t1 abcd\nt4 e\n");
    }

    #[test]
    fn records_are_read_whole_and_rotation_is_noticed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("0.log");
        std::fs::write(&path, "t stdout F a\nt stdout F b").expect("a file");
        let mut reader = LogReader::open(&path).expect("the file");
        assert_eq!(reader.next_record().expect("readable"), Some(b"t stdout F a".to_vec()));
        assert_eq!(reader.next_record().expect("readable"), None, "the end of the record is missing");
        let mut file = File::options().append(true).open(&path).expect("the file");
        file.write_all(b"c\n").expect("writable");
        assert_eq!(reader.next_record().expect("readable"), Some(b"t stdout F bc".to_vec()));
        assert!(!reader.rotated());
        std::fs::rename(&path, directory.path().join("0.log.1")).expect("the file");
        assert!(!reader.rotated(), "there is no new file yet");
        std::fs::write(&path, "").expect("a file");
        assert!(reader.rotated());
    }
}
