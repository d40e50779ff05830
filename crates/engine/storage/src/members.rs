//! An archive, file by file, for those who take out of it what they know and leave the rest.
//!
//! The reader is the one layers are unpacked with, so its limits hold here, too: whatever an archive says, memory is
//! bounded and a read ends.

use std::io::{self, Read};

use crate::config::ApplyLimits;
use crate::tar::{Archive, Entry, Kind, Recorder, TarError};

/// An archive being read.
#[expect(missing_debug_implementations, reason = "it holds a reader of any kind")]
pub struct Members<R> {
    archive: Archive<R>,
}

/// One file of an archive; what is not read of it is passed over.
#[expect(missing_debug_implementations, reason = "it holds a reader of any kind")]
pub struct Member<'a, R> {
    archive: &'a mut Archive<R>,
    entry: Entry,
}

/// What a file of an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind {
    /// A regular file without holes.
    File,
    /// A directory.
    Directory,
    /// A link, a device, a pipe, a file with holes.
    Other,
}

impl<R: Read> Members<R> {
    /// The archive behind this reader.
    pub fn new(reader: R, limits: ApplyLimits) -> Self {
        Self { archive: Archive::new(reader, limits) }
    }

    /// The next file; `None` at the end.
    ///
    /// # Errors
    /// The reader's, or [`io::ErrorKind::InvalidData`] for what is no archive or is over a limit.
    pub fn next_member(&mut self) -> io::Result<Option<Member<'_, R>>> {
        let entry = self.archive.next_entry(&mut Nobody).map_err(into_io)?;
        Ok(entry.map(|entry| Member { archive: &mut self.archive, entry }))
    }

    /// Reads what is behind the last file, up to the end of the stream: a reader that hashes has then seen all of it.
    ///
    /// # Errors
    /// As [`Members::next_member`].
    pub fn finish(mut self) -> io::Result<()> {
        self.archive.finish(&mut Nobody).map_err(into_io)
    }
}

impl<R> Member<'_, R> {
    /// Its path as written: it may be absolute, climb, or end with a slash.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        &self.entry.path
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> MemberKind {
        match self.entry.kind {
            Kind::File if self.entry.regions.is_none() => MemberKind::File,
            Kind::Directory => MemberKind::Directory,
            _ => MemberKind::Other,
        }
    }

    /// Bytes in it.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.entry.size
    }
}

impl<R: Read> Read for Member<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = buffer.len() as u64;
        let copy = |chunk: &[u8]| {
            buffer[..chunk.len()].copy_from_slice(chunk);
            Ok::<(), TarError>(())
        };
        let length = self.archive.read_chunk(limit, &mut Nobody, copy).map_err(into_io)?;
        Ok(usize::try_from(length).unwrap_or(usize::MAX))
    }
}

/// Keeps nothing: these archives need not be written again.
struct Nobody;

impl Recorder for Nobody {
    fn raw(&mut self, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn contents(&mut self, _bytes: &[u8]) {}
}

fn into_io(error: TarError) -> io::Error {
    match error {
        TarError::Read { source, .. } if source.kind() != io::ErrorKind::UnexpectedEof => source,
        error => io::Error::new(io::ErrorKind::InvalidData, crio_types::chain(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut add = |kind, path: &str, contents: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(contents.len() as u64);
            header.set_mode(0o600);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            if kind == tar::EntryType::Symlink {
                builder.append_link(&mut header, path, "/etc").unwrap();
            } else {
                builder.append_data(&mut header, path, contents).unwrap();
            }
        };
        add(tar::EntryType::Directory, "checkpoint", b"");
        add(tar::EntryType::Regular, "checkpoint/a", b"first");
        add(tar::EntryType::Symlink, "link", b"");
        add(tar::EntryType::Regular, "b", &[7; 3000]);
        builder.into_inner().unwrap()
    }

    #[test]
    fn files_come_one_by_one_read_or_not() {
        let archive = archive();
        let mut members = Members::new(archive.as_slice(), ApplyLimits::default());
        let mut seen = Vec::new();
        while let Some(mut member) = members.next_member().unwrap() {
            let path = String::from_utf8(member.path().to_vec()).unwrap();
            let mut contents = Vec::new();
            if path != "b" {
                member.read_to_end(&mut contents).unwrap();
            }
            seen.push((path, member.kind(), member.size_bytes(), contents));
        }
        let expected = [
            ("checkpoint", MemberKind::Directory, 0, ""),
            ("checkpoint/a", MemberKind::File, 5, "first"),
            ("link", MemberKind::Other, 0, ""),
            ("b", MemberKind::File, 3000, ""),
        ];
        let expected = expected.map(|(path, kind, size, text)| (path.to_owned(), kind, size, text.as_bytes().to_vec()));
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_is_cut_short_or_no_archive_or_too_much_is_refused() {
        let whole = archive();
        let limits = |entries, archive_bytes| ApplyLimits { entries, archive_bytes, ..ApplyLimits::default() };
        let cases = [
            (&whole[..2100], limits(9, 1 << 20)),
            (&[0xa5; 1024][..], limits(9, 1 << 20)),
            (&whole[..], limits(3, 1 << 20)),
            (&whole[..], limits(9, 600)),
        ];
        for (bytes, limits) in cases {
            let mut members = Members::new(bytes, limits);
            let read = (|| {
                while let Some(mut member) = members.next_member()? {
                    io::copy(&mut member, &mut io::sink())?;
                }
                Ok::<(), io::Error>(())
            })();
            assert_eq!(read.map_err(|error| error.kind()), Err(io::ErrorKind::InvalidData));
        }
    }
}
