//! Stop signals: parsed from image configurations and CRI, by Linux number.

use serde::{Deserialize, Serialize};

/// A Linux signal, 1 to 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signal(u8);

const NAMES: &[(&str, u8)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
];
const REALTIME_MIN: u8 = 34;
const REALTIME_MAX: u8 = 64;

impl Signal {
    /// Asks a process to end.
    pub const TERM: Self = Self(15);
    /// Ends a process.
    pub const KILL: Self = Self(9);

    /// The signal with this Linux number, if there is one.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        (1..=REALTIME_MAX).contains(&number).then_some(Self(number))
    }

    /// The signal an image or a request names: a number, or a name with or without `SIG`, real-time ones as
    /// `RTMIN`, `RTMIN+n`, `RTMAX-n`, `RTMAX`. Letter case does not matter.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(number) = digits(text) {
            return Self::from_number(number);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
            return Some(Self(*number));
        }
        realtime(name).map(Self)
    }

    /// The Linux number.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// The name with `SIG`, as `SIGTERM`, `SIGRTMIN+3`.
    #[must_use]
    pub fn name(self) -> String {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => format!("SIG{name}"),
            None if self.0 == REALTIME_MIN => "SIGRTMIN".to_owned(),
            None if self.0 == REALTIME_MAX => "SIGRTMAX".to_owned(),
            None if self.0 > REALTIME_MIN => format!("SIGRTMIN+{}", self.0 - REALTIME_MIN),
            None => format!("SIG{}", self.0),
        }
    }
}

/// A number of digits only: the standard parser would take a sign too.
fn digits(text: &str) -> Option<u8> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn realtime(name: &str) -> Option<u8> {
    let number = if let Some(rest) = name.strip_prefix("RTMIN") {
        let offset = if rest.is_empty() { 0 } else { digits(rest.strip_prefix('+')?)? };
        REALTIME_MIN.checked_add(offset)?
    } else {
        let rest = name.strip_prefix("RTMAX")?;
        let offset = if rest.is_empty() { 0 } else { digits(rest.strip_prefix('-')?)? };
        REALTIME_MAX.checked_sub(offset)?
    };
    (REALTIME_MIN..=REALTIME_MAX).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_images_write() {
        let cases = [
            ("SIGTERM", Some(15)),
            ("term", Some(15)),
            ("9", Some(9)),
            ("SIGRTMIN+3", Some(37)),
            ("RTMAX-1", Some(63)),
            ("SIGRTMAX", Some(64)),
            ("RTMIN", Some(34)),
            ("SIGQUIT", Some(3)),
            ("0", None),
            ("65", None),
            ("SIGFOO", None),
            ("RTMIN+31", None),
            ("RTMIN-1", None),
            ("+9", None),
            ("RTMIN++3", None),
            ("", None),
            ("SIG", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Signal::parse(text).map(Signal::number), expected, "{text:?}");
        }
    }

    #[test]
    fn names_parse_back() {
        for number in (1..=31).chain(34..=64) {
            let signal = Signal::from_number(number).expect("in range");
            assert_eq!(Signal::parse(&signal.name()), Some(signal), "{number}");
        }
    }
}
