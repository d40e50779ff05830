//! A program on a real terminal, with a person in front of it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Result, bail};
use crio_tests::{PATIENCE, Stage, crictl};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::{Winsize, tcsetwinsize};

/// How long to wait for more before looking at what there is.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// The person's side.
pub(crate) struct Terminal {
    near: File,
    program: Child,
    /// All that was shown.
    pub(crate) seen: String,
}

impl Terminal {
    /// crictl on a terminal of this size.
    pub(crate) fn crictl(stage: &Stage, arguments: &[&str], rows: u16, columns: u16) -> Result<Self> {
        let words = crictl::words(stage)?;
        let arguments = words.iter().map(String::as_str).chain(arguments.iter().copied());
        Self::open(&arguments.collect::<Vec<_>>(), rows, columns)
    }

    /// A program on a terminal of this size.
    pub(crate) fn open(words: &[&str], rows: u16, columns: u16) -> Result<Self> {
        let near = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        rustix::pty::grantpt(&near)?;
        rustix::pty::unlockpt(&near)?;
        let name = rustix::pty::ptsname(&near, Vec::new())?;
        let far = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        tcsetwinsize(&near, size(rows, columns))?;
        let end = |far: &OwnedFd| far.try_clone().map(Stdio::from);
        // Programs are told of a new size only on the terminal that controls them.
        let program = Command::new("setsid")
            .arg("--ctty")
            .args(words)
            .stdin(end(&far)?)
            .stdout(end(&far)?)
            .stderr(end(&far)?)
            .spawn()?;
        Ok(Self { near: File::from(near), program, seen: String::new() })
    }

    /// Types a line.
    pub(crate) fn type_line(&mut self, line: &str) -> Result<()> {
        Ok(self.near.write_all(format!("{line}\n").as_bytes())?)
    }

    /// Makes the window another size.
    pub(crate) fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        Ok(tcsetwinsize(&self.near, size(rows, columns))?)
    }

    /// Waits until a text is shown, and forgets what came before it and the text itself.
    pub(crate) fn expect(&mut self, text: &str) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while !self.seen.contains(text) {
            if Instant::now() >= until {
                bail!("{text:?} was not shown, but {:?}", self.seen);
            }
            if !self.look()? && !self.seen.contains(text) {
                bail!("the program ended without {text:?}, but with {:?}", self.seen);
            }
        }
        if let Some((_, rest)) = self.seen.split_once(text) {
            self.seen = rest.to_owned();
        }
        Ok(())
    }

    /// Types a line again and again until a text is shown that it makes appear sooner or later.
    pub(crate) fn insist(&mut self, line: &str, text: &str) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            self.type_line(line)?;
            let mut lives = true;
            for _ in 0..4 {
                lives = self.look()?;
            }
            if self.seen.contains(text) {
                return self.expect(text);
            }
            if !lives || Instant::now() >= until {
                bail!("{line:?} never made {text:?} appear, but {:?}", self.seen);
            }
        }
    }

    /// Waits for the program to end.
    pub(crate) fn finish(mut self) -> Result<(ExitStatus, String)> {
        let until = Instant::now() + PATIENCE;
        while self.look()? {
            if Instant::now() >= until {
                bail!("the program did not end; it showed {:?}", self.seen);
            }
        }
        Ok((self.program.wait()?, std::mem::take(&mut self.seen)))
    }

    /// Takes the program away.
    pub(crate) fn kill(mut self) -> Result<()> {
        crictl::kill(&mut self.program)
    }

    /// Takes in what is shown within a moment; whether there may be more.
    fn look(&mut self) -> Result<bool> {
        let mut watched = [PollFd::new(&self.near, PollFlags::IN)];
        if poll(&mut watched, Some(&GLANCE))? == 0 {
            return Ok(true);
        }
        let mut buffer = [0u8; 4096];
        // The kernel says with an error that nobody is on the other side any more.
        let length = self.near.read(&mut buffer).unwrap_or(0);
        self.seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        Ok(length > 0)
    }
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}
