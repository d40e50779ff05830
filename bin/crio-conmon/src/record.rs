//! Log records, to the byte: `<time> <stream> <tag> <content>\n`.
//!
//! The time is RFC 3339 in UTC with nine fraction digits and a numeric offset, so that every record's header has the
//! same length. The tag is `F` for a line that ends here and `P` for a part of one; a reader joins `P` records up to the
//! next `F`. Content is whatever the container wrote, newline excluded. See the CRI logging design of Kubernetes.

use rustix::time::Timespec;

/// Bytes before a record's content.
pub(crate) const HEADER_BYTES: usize = 45;
/// The most content of one record; a longer line becomes several.
pub(crate) const CONTENT_MAX_BYTES: usize = 8192;
/// The most bytes of one record.
pub(crate) const RECORD_MAX_BYTES: usize = HEADER_BYTES + CONTENT_MAX_BYTES + 1;

const DATE_BYTES: usize = 19;
const FRACTION: std::ops::Range<usize> = 20..29;
const STREAM: std::ops::Range<usize> = 36..42;
const TAG: usize = 43;

/// A standard stream of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stream {
    /// Output.
    Stdout,
    /// Error output.
    Stderr,
}

/// Whether a record ends its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    /// It does.
    Full,
    /// The line goes on, or ended without a newline.
    Partial,
}

/// The header of the records written now.
#[derive(Debug)]
pub(crate) struct Header {
    text: [u8; HEADER_BYTES],
    second: Option<i64>,
}

impl Default for Header {
    fn default() -> Self {
        Self { text: *b"0000-00-00T00:00:00.000000000+00:00 stdout F ", second: None }
    }
}

impl Header {
    /// Sets the time. The date is computed once a second.
    pub(crate) fn set_time(&mut self, now: Timespec) {
        if self.second != Some(now.tv_sec) {
            self.second = Some(now.tv_sec);
            self.text[..DATE_BYTES].copy_from_slice(&date(now.tv_sec));
        }
        write_digits(&mut self.text[FRACTION], now.tv_nsec.unsigned_abs());
    }

    /// Sets the stream.
    pub(crate) fn set_stream(&mut self, stream: Stream) {
        self.text[STREAM].copy_from_slice(match stream {
            Stream::Stdout => b"stdout",
            Stream::Stderr => b"stderr",
        });
    }

    /// Appends a record. The content has no newline and at most [`CONTENT_MAX_BYTES`].
    pub(crate) fn append(&mut self, records: &mut Vec<u8>, tag: Tag, content: &[u8]) {
        self.text[TAG] = match tag {
            Tag::Full => b'F',
            Tag::Partial => b'P',
        };
        records.extend_from_slice(&self.text);
        records.extend_from_slice(content);
        records.push(b'\n');
    }
}

/// How much output some whole records hold: bytes as the container wrote them, and lines they end.
pub(crate) fn measure(records: &[u8]) -> (u64, u64) {
    let (mut bytes, mut lines) = (0, 0);
    for record in records.split_inclusive(|&byte| byte == b'\n') {
        let content = record.len().saturating_sub(HEADER_BYTES + 1);
        let ends_line = record.get(TAG) == Some(&b'F');
        bytes += content as u64 + u64::from(ends_line);
        lines += u64::from(ends_line);
    }
    (bytes, lines)
}

/// `YYYY-MM-DDThh:mm:ss` of a second since 1970, in UTC, for the years 1970 to 9999.
fn date(second: i64) -> [u8; DATE_BYTES] {
    let second = u64::try_from(second).unwrap_or(0);
    let (mut day, clock) = (second / 86_400, second % 86_400);
    // The Gregorian calendar repeats every 400 years of 146,097 days; what is left is at most 400 steps, once a second.
    let mut year = 1970 + day / 146_097 * 400;
    day %= 146_097;
    while day >= year_days(year) {
        day -= year_days(year);
        year += 1;
    }
    let mut month = 1;
    while day >= month_days(year, month) {
        day -= month_days(year, month);
        month += 1;
    }
    let mut text = *b"0000-00-00T00:00:00";
    let fields = [
        (0..4, year),
        (5..7, month),
        (8..10, day + 1),
        (11..13, clock / 3600),
        (14..16, clock / 60 % 60),
        (17..19, clock % 60),
    ];
    for (range, value) in fields {
        write_digits(&mut text[range], value);
    }
    text
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn year_days(year: u64) -> u64 {
    365 + u64::from(is_leap(year))
}

fn month_days(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u64::from(is_leap(year)),
        _ => 31,
    }
}

/// Fills `place` with the last digits of `value`.
fn write_digits(place: &mut [u8], mut value: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let cases = [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_709_251_199, "2024-02-29T23:59:59"),
            (1_795_427_045, "2026-11-23T09:44:05"),
            (4_107_542_400, "2100-03-01T00:00:00"),
            (253_402_300_799, "9999-12-31T23:59:59"),
            (-5, "1970-01-01T00:00:00"),
        ];
        for (second, expected) in cases {
            assert_eq!(std::str::from_utf8(&date(second)).unwrap(), expected, "{second}");
        }
    }

    #[test]
    fn a_record_is_exact() {
        let mut header = Header::default();
        let mut records = Vec::new();
        header.set_time(Timespec { tv_sec: 1_795_427_045, tv_nsec: 42 });
        header.set_stream(Stream::Stdout);
        header.append(&mut records, Tag::Full, b"hello");
        header.set_time(Timespec { tv_sec: 1_795_427_045, tv_nsec: 999_999_999 });
        header.set_stream(Stream::Stderr);
        header.append(&mut records, Tag::Partial, b"\xff\0");
        let expected = b"2026-11-23T09:44:05.000000042+00:00 stdout F hello\n\
            2026-11-23T09:44:05.999999999+00:00 stderr P \xff\0\n";
        assert_eq!(records, expected);
        assert_eq!(measure(&records), (8, 1));
        assert_eq!(measure(b""), (0, 0));
    }
}
