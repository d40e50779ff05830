//! A terminal in raw mode, for as long as the value lives: every key goes to the other side.

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// Remembers how the terminal was.
#[derive(Debug)]
pub struct RawMode(Termios);

impl RawMode {
    /// Puts the terminal of standard input into raw mode.
    ///
    /// # Errors
    /// It is no terminal.
    pub fn enter() -> std::io::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // The terminal may be gone, and with it what there was to restore.
        let _gone = tcsetattr(std::io::stdin(), OptionalActions::Drain, &self.0);
    }
}
