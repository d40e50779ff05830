//! One record of a container log: `<time> <stream> <tags> <content>`, the format of kubelet's `cri` logs.
//!
//! A record tagged `P` holds a part of a line, without its end; the next record of the same stream continues it. Content is bytes, not
//! text.

/// Which stream of the container wrote a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// When it was written, as the log spells it.
    pub time: &'a str,
    /// Who wrote it.
    pub stream: Stream,
    /// Whether a line ends with it.
    pub ends_line: bool,
    /// What was written, without the end of the line.
    pub content: &'a [u8],
}

impl<'a> LogLine<'a> {
    /// The record in `bytes`, which hold no line feed; `None` when it is not one.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut parts = bytes.splitn(4, |byte| *byte == b' ');
        let time = std::str::from_utf8(parts.next()?).ok().filter(|time| !time.is_empty())?;
        let stream = match parts.next()? {
            b"stdout" => Stream::Stdout,
            b"stderr" => Stream::Stderr,
            _ => return None,
        };
        let ends_line = match parts.next()?.split(|byte| *byte == b':').next()? {
            b"F" => true,
            b"P" => false,
            _ => return None,
        };
        Some(Self { time, stream, ends_line, content: parts.next().unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_byte_by_byte() {
        let time = "2026-11-23T10:00:00.123456789+00:00";
        let record = |rest: &str| format!("{time} {rest}").into_bytes();
        let cases = [
            ("stdout F hello  world", Some((Stream::Stdout, true, "hello  world"))),
            ("stderr P part", Some((Stream::Stderr, false, "part"))),
            ("stdout F:x tagged", Some((Stream::Stdout, true, "tagged"))),
            ("stdout F ", Some((Stream::Stdout, true, ""))),
            ("stdout F", Some((Stream::Stdout, true, ""))),
            ("stdin F x", None),
            ("stdout Q x", None),
            ("stdout", None),
            ("", None),
        ];
        for (rest, expected) in cases {
            let bytes = record(rest);
            let found = LogLine::parse(&bytes).map(|line| (line.stream, line.ends_line, line.content));
            let expected = expected.map(|(stream, ends_line, text)| (stream, ends_line, text.as_bytes()));
            assert_eq!(found, expected, "{rest:?}");
        }
        assert_eq!(LogLine::parse(b""), None);
        assert_eq!(LogLine::parse(b" stdout F x"), None);
        let bytes = [record("stdout F ").as_slice(), &[0xff, 0]].concat();
        assert_eq!(LogLine::parse(&bytes).map(|line| line.content), Some(&[0xff, 0][..]));
    }
}
