//! Tests of the way from a pipe to the log.

use std::os::fd::{AsFd, OwnedFd};

use rustix::pipe::{PipeFlags, pipe_with};

use super::*;
use crate::record::HEADER_BYTES;

struct Fixture {
    directory: tempfile::TempDir,
    log: Log,
    scratch: Scratch,
    read: OwnedFd,
    write: Option<OwnedFd>,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::open(&directory.path().join("log"), None).unwrap();
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
        rustix::pipe::fcntl_setpipe_size(&write, 1 << 20).unwrap();
        Self { directory, log, scratch: Scratch::default(), read, write: Some(write) }
    }

    fn put(&self, bytes: &[u8]) {
        assert_eq!(rustix::io::write(self.write.as_ref().unwrap(), bytes).unwrap(), bytes.len());
    }

    fn pump(&mut self, budget: usize) -> Pumped {
        self.scratch.pump(self.read.as_fd(), Stream::Stderr, Some(&mut self.log), budget, |_| {})
    }

    /// The records as (tag, content).
    fn records(&self) -> Vec<(char, Vec<u8>)> {
        let bytes = std::fs::read(self.directory.path().join("log")).unwrap();
        let records = bytes.split_inclusive(|&byte| byte == b'\n');
        records
            .map(|record| {
                assert_eq!(&record[35..43], b" stderr ");
                (char::from(record[43]), record[HEADER_BYTES..record.len() - 1].to_vec())
            })
            .collect()
    }
}

fn check(puts: &[&[u8]], expected: &[(char, &[u8])]) {
    let mut fixture = Fixture::new();
    for put in puts {
        fixture.put(put);
        assert_eq!(fixture.pump(usize::MAX), Pumped::Idle);
    }
    fixture.write = None;
    assert_eq!(fixture.pump(usize::MAX), Pumped::Ended);
    let expected: Vec<_> = expected.iter().map(|(tag, content)| (*tag, content.to_vec())).collect();
    assert_eq!(fixture.records(), expected);
}

#[test]
fn lines_become_records() {
    let long = vec![b'l'; CONTENT_MAX_BYTES];
    let longer = [&long[..], b"m"].concat();
    check(&[b"one\ntwo\n"], &[('F', b"one"), ('F', b"two")]);
    check(&[b"\n\n"], &[('F', b""), ('F', b"")]);
    check(&[b"no newline"], &[('P', b"no newline")]);
    check(&[b"a", b"b\n"], &[('P', b"a"), ('F', b"b")]);
    check(&[b"\0\xff\xfe\r\n"], &[('F', b"\0\xff\xfe\r")]);
    check(&[&[&long[..], b"\n"].concat()], &[('F', &long)]);
    check(&[&[&longer[..], b"\n"].concat()], &[('P', &long), ('F', b"m")]);
    check(&[&longer], &[('P', &long), ('P', b"m")]);
    check(&[&long], &[('P', &long)]);
    check(&[], &[]);
}

#[test]
fn any_input_is_kept_byte_for_byte() {
    let mut fixture = Fixture::new();
    let mut state = 12_345u64;
    let input: Vec<u8> = (0..900_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // One byte in sixty is a newline, with a stretch of none in between.
            if state >> 58 == 0 { b'\n' } else { (state >> 33) as u8 }
        })
        .collect();
    let mut input = input;
    input[300_000..400_000].fill(0);
    fixture.put(&input);
    while fixture.pump(200_000) == Pumped::More {}
    let mut joined = Vec::new();
    for (tag, content) in fixture.records() {
        assert!(content.len() <= CONTENT_MAX_BYTES);
        joined.extend(content);
        if tag == 'F' {
            joined.push(b'\n');
        }
    }
    assert!(joined == input);
}

#[test]
fn a_line_across_reads_is_whole_when_more_is_there() {
    let mut fixture = Fixture::new();
    let line = vec![b'x'; 99];
    let mut input = Vec::new();
    while input.len() < 3 * READ_BYTES {
        input.extend_from_slice(&line);
        input.push(b'\n');
    }
    fixture.put(&input);
    assert_eq!(fixture.pump(usize::MAX), Pumped::Idle);
    assert!(fixture.records().iter().all(|(tag, content)| *tag == 'F' && *content == line));
}

#[test]
fn without_a_log_output_is_still_taken_and_shown() {
    let mut fixture = Fixture::new();
    fixture.put(b"shown");
    let mut seen = Vec::new();
    let tap = |bytes: &[u8]| seen.extend_from_slice(bytes);
    assert_eq!(fixture.scratch.pump(fixture.read.as_fd(), Stream::Stdout, None, 1 << 20, tap), Pumped::Idle);
    assert_eq!(seen, b"shown");
}
