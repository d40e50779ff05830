//! Container logs, as the command line reads them.
//!
//! Oracle: a record written again from its parts is the same record.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../bin/crio/src/cli/container/log_line.rs"]
mod log_line;

use log_line::{LogLine, Stream};

fuzz_target!(|bytes: &[u8]| {
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some(record) = LogLine::parse(line) else { continue };
        let stream = match record.stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        let tag = if record.ends_line { "F" } else { "P" };
        let mut written = format!("{} {stream} {tag} ", record.time).into_bytes();
        written.extend_from_slice(record.content);
        assert_eq!(LogLine::parse(&written).as_ref(), Some(&record));
    }
});
